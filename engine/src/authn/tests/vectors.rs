//! Published vectors, and which keys verify what.

use super::*;

/// The payload of RFC 7515 A.2 and A.3: issuer `joe`, expires 1300819380.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// RFC 7515 A.2.1.
pub const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
/// RFC 7515 A.2.1; the next two are PKCS#1 v1.5 signatures by the same key.
pub const RS256: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const RS384: &str = "UqgNjrJOGhk4wfoSG6Uvrt9GcKu-TgPwInExALrMBadg1pol1uTw7mZADTddAWsC6ZzdFiTFUmIi7DuD38ftLAZoW4qezdAO7RYf1yZDsbT20bt8DJJN1I4VovL2PLg80B6x6ug-kaW8k5LaM5ce0dk1zgWhjafKC3Mb4UNLL8f9fqVMkHpdWYRjF6QjTz12Ap-gq-tPyUoWSdvzCIYOcZ9-08SQQdUTTgsNF1Qwu3TqeWPqzNJwmWHiHMmaV8I4ktMFEX-AiEBa55KsfYTx0jSbTHP-odqmnLQJ4n-oQJ2RSXy0HQP6BkdiwDHdoMUk4z_wAeOsfDTs_mLxTgOInQ";
const RS512: &str = "ZatQfsb2gyCu3y9cDuz59a-IKm4bkqtT0HuT8BpNlPCmA3Y2eH91CVSI0TbkPqI9v2jaXuWvPcoJGNRtTpUXafTAbqzxWSMjqx8SkJRTuUz6imaHBctra42j2AvJ1t7qJwf2NN49y9PZbkYn3ejhU-iCmKJ3J-_GLsYp5VlximYm-o3sMul0tyCMvHUdmuWvadnVEaio-jix3pXYWfyFC8tp19zZrTaofxTAzCqlqundx22tfsuqchto_zVnZk_ZBr1R5lr29Qle5JgLmRkfDNbVSQZFdwg6mSlODL8BrOiM_vreMaPCO8U_JGezKUob0ONv7DA7XDfpbaXaFsHipQ";
/// Every `alg` there is.
pub const ALGORITHMS: [&str; 13] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256",
    "HS384", "HS512", "EdDSA",
];
/// RFC 7515 A.3.1.
const ES256: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

pub fn rsa_key() -> Value {
    json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"})
}

pub fn with(mut key: Value, more: Value) -> Value {
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key
}

pub fn token(alg: &str, signature: &str) -> String {
    format!("{}.{PAYLOAD}.{signature}", b64(format!(r#"{{"alg":"{alg}"}}"#)))
}

/// What keys say to a token, by both ways.
pub fn verify(keys: &[Value], token: &str) -> String {
    verify_set(&jwks(keys), token)
}

/// The same of a set in any form.
pub fn verify_set(set: &str, token: &str) -> String {
    let authenticator = authenticator(json!({"jwtRules": [{"issuer": "joe", "jwks": set}]}));
    let line = format!("Bearer {token}");
    let results: Vec<String> = [true, false]
        .into_iter()
        .map(|verifies| {
            let host = TestHost::new(verifies);
            host.now.set(1_300_819_380);
            run_with(&authenticator, &host, &mut no_cache(), "/", &[("authorization", &line)])
                .verdict()
        })
        .collect();
    assert_eq!(results[0], results[1], "{token}");
    results[0].clone()
}

/// `joe` has no `sub`, so no principal.
pub const OK: &str = "nobody";
pub const FAILS: &str = "Jwt verification fails";
pub const NO_KEY: &str = "Jwks doesn't have key to match kid or alg from Jwt";

#[test]
fn published_tokens_verify() {
    for (key, alg, signature) in [
        (rsa_key(), "RS256", RS256),
        (rsa_key(), "RS384", RS384),
        (rsa_key(), "RS512", RS512),
        (ec_key(), "ES256", ES256),
    ] {
        assert_eq!(verify(&[other_ec_key(), key], &token(alg, signature)), OK, "{alg}");
    }
    // A sign byte before the modulus changes nothing.
    let n = URL_SAFE_NO_PAD.decode(RSA_N).unwrap();
    let signed = with(rsa_key(), json!({"n": b64([&[0], n.as_slice()].concat())}));
    assert_eq!(verify(&[signed], &token("RS256", RS256)), OK);
}

/// The payload of RFC 7520 §4, in base64url.
const ROAD: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
/// RFC 7520 §3.3.
pub const BILBO_N: &str = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";

/// Key, protected header, payload and signature, as they are printed.
fn published() -> Vec<(Value, &'static str, &'static str, &'static str)> {
    let bilbo = json!({"kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig",
        "n": BILBO_N, "e": "AQAB"});
    vec![
        // RFC 7515 A.1.1.
        (
            json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            PAYLOAD,
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        // A.2.1.
        (rsa_key(), "eyJhbGciOiJSUzI1NiJ9", PAYLOAD, RS256),
        // A.3.1.
        (ec_key(), "eyJhbGciOiJFUzI1NiJ9", PAYLOAD, ES256),
        // A.4.1; the payload is the word.
        (
            json!({"kty": "EC", "crv": "P-521",
                "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
                "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}),
            "eyJhbGciOiJFUzUxMiJ9",
            "UGF5bG9hZA",
            "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
        ),
        // RFC 7520 §4.1.
        (
            bilbo.clone(),
            "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            ROAD,
            "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
        ),
        // §4.2.
        (
            bilbo,
            "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            ROAD,
            "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
        ),
        // §4.3, with the key of §3.1.
        (
            json!({"kty": "EC", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "crv": "P-521",
                "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
                "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}),
            "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            ROAD,
            "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2",
        ),
        // §4.4, with the key of §3.5.
        (
            json!({"kty": "oct", "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037", "use": "sig", "alg": "HS256",
                "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}),
            "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
            ROAD,
            "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        ),
        // RFC 8037 A.4, with the key of A.2.
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            "eyJhbGciOiJFZERTQSJ9",
            "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ]
}

/// Most of their payloads are no claims: the keys are asked, not the rules.
#[test]
fn what_the_standards_print_verifies_by_both_ways() {
    for (jwk, header, payload, signature) in published() {
        let mut remarks = remarks::Remarks::default();
        let set = jwks::KeySet::read(jwks(&[jwk]).as_bytes(), &mut remarks).unwrap();
        assert_eq!(remarks.all(), "");
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let text = format!("{header}.{payload}");
        let header = URL_SAFE_NO_PAD.decode(header).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        let alg = header["alg"].as_str().unwrap();
        for verifies in [true, false] {
            let host = TestHost::new(verifies);
            let made = |alg: &str, text: &str, signature: &[u8]| {
                set.made(alg, text.as_bytes(), signature, &host)
            };
            assert!(made(alg, &text, &signature), "{alg}");
            assert_eq!(host.asked.get() > 0, alg.starts_with("RS") || alg.starts_with("ES"));
            assert!(!made(alg, &(text.clone() + "x"), &signature), "{alg}");
            for at in (0..signature.len()).step_by(11) {
                let mut other = signature.clone();
                other[at] ^= 1;
                assert!(!made(alg, &text, &other), "{alg} {at}");
            }
            for other in ALGORITHMS.iter().filter(|other| **other != alg) {
                assert!(!made(other, &text, &signature), "{alg} {other}");
            }
        }
    }
}

#[test]
fn a_curve_that_is_not_named_is_that_of_the_algorithm() {
    for more in [json!({}), json!({"crv": ""}), json!({"alg": "ES256"}), json!({"alg": ""})] {
        let key = with(json!({"kty": "EC", "x": EC_X, "y": EC_Y}), more);
        assert_eq!(verify(&[key], &token("ES256", ES256)), OK);
    }
}

#[test]
fn algorithm_and_key_agree() {
    for (key, alg, signature, want) in [
        (rsa_key(), "RS384", RS256, FAILS),
        (rsa_key(), "RS256", RS512, FAILS),
        (rsa_key(), "ES256", RS256, FAILS),
        (rsa_key(), "ES256", ES256, FAILS),
        (ec_key(), "RS256", ES256, FAILS),
        (other_ec_key(), "ES256", ES256, FAILS),
        (with(rsa_key(), json!({"alg": "RS256"})), "RS256", RS256, OK),
        (with(rsa_key(), json!({"alg": "RS512"})), "RS256", RS256, NO_KEY),
        (
            with(ec_key(), json!({"alg": "ES256", "use": "sig", "key_ops": ["verify"]})),
            "ES256",
            ES256,
            OK,
        ),
        (
            ec_key(),
            "none",
            "",
            "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
        ),
        (ec_key(), "none", ES256, "Jwt header [alg] is not supported"),
        (ec_key(), "HS256", ES256, FAILS),
        (ec_key(), "ES384", ES256, FAILS),
        (ec_key(), "EdDSA", ES256, FAILS),
        (rsa_key(), "PS256", RS256, FAILS),
        (with(rsa_key(), json!({"alg": "PS256"})), "RS256", RS256, NO_KEY),
        (ec_key(), "es256", ES256, "Jwt header [alg] is not supported"),
    ] {
        assert_eq!(verify(std::slice::from_ref(&key), &token(alg, signature)), want, "{key} {alg}");
    }
}

#[test]
fn keys_are_chosen_by_their_ids() {
    let key = |id: &str| with(ec_key(), json!({ "kid": id }));
    let other = |id: &str| with(other_ec_key(), json!({ "kid": id }));
    let settings =
        |keys: &[Value]| authenticator(json!({"jwtRules": [{"issuer": "me", "jwks": jwks(keys)}]}));
    for (keys, header, want) in [
        (vec![other("b"), key("a")], r#"{"alg":"ES256","kid":"a"}"#, "me/s"),
        (vec![other("b"), key("a")], r#"{"alg":"ES256"}"#, "me/s"),
        (vec![other("b"), key("a")], r#"{"alg":"ES256","kid":""}"#, "me/s"),
        (vec![other("b"), key("a")], r#"{"alg":"ES256","kid":"b"}"#, FAILS),
        (vec![other("b"), key("a")], r#"{"alg":"ES256","kid":"c"}"#, NO_KEY),
        (vec![other("b"), ec_key()], r#"{"alg":"ES256","kid":"c"}"#, "me/s"),
        (vec![other("b"), key("")], r#"{"alg":"ES256","kid":"c"}"#, "me/s"),
        (vec![key("a"), other("a")], r#"{"alg":"ES256","kid":"a"}"#, "me/s"),
    ] {
        let token = mint_raw(header, r#"{"iss":"me","sub":"s"}"#);
        assert_eq!(bearer(&settings(&keys), &token).verdict(), want, "{keys:?} {header}");
    }
}

#[test]
fn signatures_of_another_length_fail() {
    let bytes = URL_SAFE_NO_PAD.decode(ES256).unwrap();
    let rsa = URL_SAFE_NO_PAD.decode(RS256).unwrap();
    let n = URL_SAFE_NO_PAD.decode(RSA_N).unwrap();
    for signature in [
        bytes[..63].to_vec(),
        [bytes.as_slice(), &[0]].concat(),
        [&[0], bytes.as_slice()].concat(),
        der::ecdsa_signature(&bytes[..32], &bytes[32..]),
        vec![0; 64],
        vec![0xff; 64],
        [&bytes[..32], &[0; 32]].concat(),
        vec![0],
    ] {
        assert_eq!(verify(&[ec_key()], &token("ES256", &b64(signature))), FAILS);
    }
    for signature in [
        rsa[1..].to_vec(),
        [&[0], rsa.as_slice()].concat(),
        n,
        vec![0; 256],
        vec![0xff; 256],
        vec![1],
    ] {
        assert_eq!(verify(&[rsa_key()], &token("RS256", &b64(signature))), FAILS);
    }
}

#[test]
fn keys_that_may_not_verify_are_left_out_with_a_warning() {
    let rsa = |n: Value, e: &str| json!({"kty": "RSA", "n": n, "e": e});
    let modulus = |bytes: usize| json!(b64(vec![0xff; bytes]));
    let even = {
        let mut n = URL_SAFE_NO_PAD.decode(RSA_N).unwrap();
        *n.last_mut().unwrap() &= 0xfe;
        json!(b64(n))
    };
    let oct = |bytes: usize, more| with(json!({"kty": "oct", "k": b64(vec![7; bytes])}), more);
    let okp = |curve: &str, x: &[u8]| json!({"kty": "OKP", "crv": curve, "x": b64(x)});
    const NO_CURVE: &str = "its curve is none of P-256, P-384 and P-521";
    const NO_LENGTH: &str = "its coordinates are not as long as those of its curve";
    let short = json!(b64([&[0x7f], vec![0xff; 255].as_slice()].concat()));
    for (key, why) in [
        (json!(1), "it is not an object"),
        (json!({}), "its kty is not known"),
        (json!({"kty": "rsa"}), "its kty is not known"),
        (json!({"kty": "oct"}), "its k is missing"),
        (oct(31, json!({})), "its secret is shorter than 32 bytes"),
        (oct(47, json!({"alg": "HS384"})), "its secret is shorter than the hash of its alg"),
        (oct(63, json!({"alg": "HS512"})), "its secret is shorter than the hash of its alg"),
        (oct(64, json!({"alg": "RS256"})), "its alg does not fit its type and curve"),
        (okp("X25519", &[9; 32]), "its curve is not Ed25519"),
        (json!({"kty": "OKP", "x": b64([9; 32])}), "its curve is not Ed25519"),
        (okp("Ed25519", &[9; 31]), "its x is not 32 bytes long"),
        (okp("Ed25519", &[2; 32]), "its point is not on the curve Ed25519"),
        (okp("Ed25519", &[0; 32]), "its point is of small order, for which anybody can sign"),
        (with(ec_key(), json!({"crv": "secp256k1"})), NO_CURVE),
        (with(ec_key(), json!({"crv": "Ed25519"})), NO_CURVE),
        (with(ec_key(), json!({"crv": "P-384"})), NO_LENGTH),
        (with(ec_key(), json!({"x": "AA"})), NO_LENGTH),
        (with(ec_key(), json!({"x": b64([0; 33])})), NO_LENGTH),
        (with(ec_key(), json!({"y": EC_X})), "its point is not on its curve"),
        (
            with(ec_key(), json!({"x": b64([0; 32]), "y": b64([0; 32])})),
            "its point is not on its curve",
        ),
        (with(ec_key(), json!({"x": format!("{EC_X}=")})), "its x is not unpadded base64url"),
        (with(ec_key(), json!({"x": 1})), "its x is not a string"),
        (json!({"kty": "EC", "crv": "P-256", "x": EC_X}), "its y is missing"),
        (with(ec_key(), json!({"use": "tls"})), "its use is neither sig nor jwt-svid"),
        (with(ec_key(), json!({"use": 1})), "its use is not a string"),
        (with(ec_key(), json!({"kid": 1})), "its kid is not a string"),
        (with(ec_key(), json!({"key_ops": ["sign"]})), "its key_ops do not list verify"),
        (with(ec_key(), json!({"key_ops": "verify"})), "its key_ops are not a list"),
        (with(ec_key(), json!({"alg": "RS256"})), "its alg does not fit its type and curve"),
        (with(ec_key(), json!({"alg": "ES384"})), "its alg does not fit its type and curve"),
        (with(rsa_key(), json!({"alg": "RSA-OAEP"})), "its alg is not known"),
        (rsa(modulus(128), "AQAB"), "it is shorter than 2048 bits"),
        (rsa(short, "AQAB"), "it is shorter than 2048 bits"),
        (rsa(modulus(1025), "AQAB"), "it is longer than 8192 bits"),
        (rsa(even, "AQAB"), "its modulus is not that of an RSA key"),
        (rsa(json!(RSA_N), "AQ"), "its exponent is neither 3 nor 65537"),
        (rsa(json!(RSA_N), "AQABAA"), "its exponent is neither 3 nor 65537"),
        (rsa(json!(RSA_N), "AAAA"), "its exponent is neither 3 nor 65537"),
        (rsa(json!(RSA_N), ""), "its exponent is neither 3 nor 65537"),
    ] {
        let mut errors = Errors::default();
        let set = jwks::KeySet::parse(&jwks(&[key.clone(), ec_key()]), &Path::ROOT, &mut errors);
        assert_eq!(set.unwrap().kinds(), [algorithm::KeyKind::P256], "{key}");
        let want = format!("keys[0]: is left out: {why}: tokens signed with this key are refused");
        assert_eq!(errors.warnings()[0].to_string(), want, "{key}");
        let alone =
            jwks::KeySet::parse(&jwks(std::slice::from_ref(&key)), &Path::ROOT, &mut errors);
        assert!(alone.is_none());
        assert!(errors.to_string().contains("a key set without a usable key"), "{errors}");
    }
}
