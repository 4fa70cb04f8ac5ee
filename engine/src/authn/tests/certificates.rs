//! Sets of certificates by key id, the form that Envoy takes besides JSON Web Key Sets.

use super::jwks::KeySet;
use super::vectors::{FAILS, NO_KEY, OK, RS256, token, verify_set};
use super::*;

/// X.509 v3, of the RSA key of RFC 7515 A.2.1.
const RSA: &str = "MIICUTCCAfegAwIBAgIUbT0G2LXCoaeepYyHaZeRiKiNWE0wCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGaXNzdWVyMB4XDTI2MTEyNjA1MTYwN1oXDTM2MTEyMzA1MTYwN1owDzENMAsGA1UEAwwEa2V5czCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAKH4Fgri48m0Zc6NLWViYzYrkn2+KeHwJHf8FiXMkKE244vZNJfFtupj3XcR5nx0KflWsPuKjwia3EtpiTzBMz9T7dAZuHeEJS/skU/khXdpWUvqQoDTLA9Vv2KUTxMDlrxum99uvdK9o2eO7KDGaPcBs42/+zjINCzi/m0n+t5KWkh0l53Uuc+a3sTHWwWFLCwPXvilwXUDkvlE6O1kwRDGtkdgmqR4OuucbJrXVTEwUGOLg2Zcb296gqOWcCofZBuC0+vyOSIZSR+2hocsVxb1Cvg1jZqLnRfDQHKPf4fYmhjY/KtnrYRZDC7PdZM5NjwHA01vYG+eIeBUVsrl6aECAwEAAaNkMGIwCQYDVR0TBAIwADAdBgNVHQ4EFgQUMxiIj6e/g5DN3tNdVInpUWMZ2tkwNgYDVR0jBC8wLaEVpBMwETEPMA0GA1UEAwwGaXNzdWVyghQIjLqF0BkrWZNf+mAeR5t9SW+f4TAKBggqhkjOPQQDAgNIADBFAiEA4ZkfmT10mJDml8e7yFRgdEd5KohO/h1glDUcycLlJ4oCIHu3ehsgjKFgEEuQ701CGr15kxGv7c+A/M5h/kJWAPfb";
/// X.509 v1, of a key on P-256.
const EC: &str = "MIIBGzCBwwIUCIy6hdAZK1mTX/pgHkebfUlvn+EwCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGaXNzdWVyMB4XDTI2MTEyNjA1MTQ0N1oXDTM2MTEyMzA1MTQ0N1owETEPMA0GA1UEAwwGaXNzdWVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgX96J0qXoYhFxrwHXeYlnDjQBWXtbJFyaQnWXcGYABVtbyGjQfUHwUgYvv7Yw1u8MINC29dlElQ2coCJ1TQSWzAKBggqhkjOPQQDAgNHADBEAiANs2XMcj/nzmRS8E2UPtAAY4VNrUMTv5pUOokGdz77cAIgQj1ZP7d22h7arTNScOjyrcX3bvc3xmqOja9SbB4Zle4=";

fn pem(base64: &str) -> String {
    let lines: Vec<&str> =
        base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[test]
fn certificates_verify_by_their_ids() {
    let set = json!({"a": pem(RSA), "other": pem(RSA)}).to_string();
    assert_eq!(verify_set(&set, &token("RS256", RS256)), OK);
    assert_eq!(verify_set(&set, &token("RS512", RS256)), FAILS);
    let named = format!("{}.e30.{RS256}", b64(r#"{"alg":"RS256","kid":"b"}"#));
    assert_eq!(verify_set(&set, &named), "Jwt issuer is not configured");
    let payload = b64(r#"{"iss":"joe"}"#);
    let named = |id: &str| {
        format!("{}.{payload}.{RS256}", b64(format!(r#"{{"alg":"RS256","kid":"{id}"}}"#)))
    };
    assert_eq!(verify_set(&set, &named("b")), NO_KEY);
    assert_eq!(verify_set(&set, &named("a")), FAILS);
}

#[test]
fn certificates_that_are_none_are_left_out() {
    let bytes = base64::engine::general_purpose::STANDARD.decode(RSA).unwrap();
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let longer = [bytes.as_slice(), &[0]].concat();
    let shorter = &bytes[..bytes.len() - 1];
    for (certificate, why) in [
        (EC.to_owned(), "its key is not an RSA key"),
        ("*".to_owned(), "it is not in base64"),
        (encode(&longer), "it is not a certificate"),
        (encode(shorter), "it is not a certificate"),
        (String::new(), "it is not a certificate"),
    ] {
        let set = json!({"good": pem(RSA), "bad": pem(&certificate)}).to_string();
        let mut errors = Errors::default();
        assert_eq!(
            KeySet::parse(&set, &Path::ROOT, &mut errors).unwrap().len(),
            1,
            "{certificate}"
        );
        let want = format!("bad: is left out: {why}: tokens signed with this key are refused");
        assert_eq!(errors.warnings()[0].to_string(), want);
    }
}

#[test]
fn what_is_neither_a_list_nor_certificates_is_no_set() {
    let good = pem(RSA);
    for set in [
        json!({}),
        json!([good]),
        json!({"": good}),
        json!({"a": good, "b": 1}),
        json!({"a": good, "b": "x"}),
        json!({"a": good.trim_end()}),
        json!({"a": good.replace("CERTIFICATE", "PUBLIC KEY")}),
        json!({"keys": {"a": good}}),
        json!({"keys": good}),
    ] {
        let read = KeySet::read(set.to_string().as_bytes(), &mut remarks::Remarks::default());
        assert_eq!(read.unwrap_err().to_string(), "is a key set without a list of keys", "{set}");
    }
}

#[test]
fn no_bytes_of_a_certificate_are_a_panic() {
    let bytes = base64::engine::general_purpose::STANDARD.decode(RSA).unwrap();
    for at in 0..bytes.len() {
        for to in [0, 0x7f, 0x80, 0x84, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = to;
            let text = base64::engine::general_purpose::STANDARD.encode(&changed);
            let _key = certificate::key(&text);
        }
    }
}
