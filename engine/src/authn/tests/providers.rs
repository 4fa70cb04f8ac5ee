//! Keys as identity providers write them: which are used, and what is said of the others.

use super::vectors::{NO_KEY, OK, rsa_key, verify, with};
use super::*;

/// A key for the tokens of the tests, with these members besides.
fn key(more: Value) -> Value {
    with(ec_key(), more)
}

fn tokens() -> (String, String) {
    let rsa = signers::token_with("RS256", |text| signers::sign("RS256", text));
    (mint(&json!({"iss": "joe"})), rsa)
}

/// What the set says of its keys, as a configuration's warnings.
fn warnings(keys: &[Value]) -> Vec<String> {
    let mut errors = Errors::default();
    jwks::KeySet::parse(&jwks(keys), &Path::ROOT, &mut errors).unwrap();
    errors.warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn valid_tokens_and_the_keys_that_providers_write_for_them() {
    let (ec, rsa) = tokens();
    let bilbo = signers::jwk("RS256");
    let wide = |zeros: usize, name: &str| {
        let number = URL_SAFE_NO_PAD.decode(bilbo[name].as_str().unwrap()).unwrap();
        with(bilbo.clone(), json!({name: b64([vec![0; zeros], number].concat())}))
    };
    for (what, key, token, taken) in [
        ("plain", key(json!({})), &ec, true),
        ("SPIFFE's word for JWTs", key(json!({"use": "jwt-svid"})), &ec, true),
        ("use null", key(json!({"use": null})), &ec, true),
        ("alg null", key(json!({"alg": null})), &ec, true),
        ("alg empty", key(json!({"alg": ""})), &ec, true),
        ("kid null", key(json!({"kid": null})), &ec, true),
        ("crv null", key(json!({"crv": null})), &ec, true),
        ("key_ops null", key(json!({"key_ops": null})), &ec, true),
        ("key_ops", key(json!({"key_ops": ["verify"]})), &ec, true),
        ("d null", key(json!({"d": null, "x5t": null})), &ec, true),
        ("e of three octets", bilbo.clone(), &rsa, true),
        ("e of four octets", wide(1, "e"), &rsa, true),
        ("e of eight octets", wide(5, "e"), &rsa, true),
        ("n with a sign octet", wide(1, "n"), &rsa, true),
        ("n of full words", wide(8, "n"), &rsa, true),
        ("use empty", key(json!({"use": ""})), &ec, false),
        ("use in capitals", key(json!({"use": "SIG"})), &ec, false),
        ("use signature", key(json!({"use": "signature"})), &ec, false),
        ("use tls", key(json!({"use": "tls"})), &ec, false),
        ("use enc", key(json!({"use": "enc"})), &ec, false),
        ("SPIFFE's word for X.509", key(json!({"use": "x509-svid"})), &ec, false),
        ("key_ops for nothing", key(json!({"key_ops": []})), &ec, false),
        ("key_ops to sign", key(json!({"key_ops": ["sign"]})), &ec, false),
        ("kid a number", key(json!({"kid": 1})), &ec, false),
        ("alg of RFC 9864", with(signers::jwk("EdDSA"), json!({"alg": "Ed25519"})), &ec, false),
        ("a padded number", key(json!({"x": format!("{EC_X}=")})), &ec, false),
    ] {
        // Beside a key of another algorithm: a set without any is no set.
        let set = [key, with(other_ec_key(), json!({"alg": "ES256", "kid": "other"}))];
        let mut errors = Errors::default();
        let read = jwks::KeySet::parse(&jwks(&set), &Path::ROOT, &mut errors).unwrap();
        assert_eq!(read.len(), if taken { 2 } else { 1 }, "{what}");
        if taken {
            assert_eq!(verify(&set[..1], token), OK, "{what}");
            assert!(errors.warnings().is_empty(), "{what}: {:?}", errors.warnings());
        }
    }
    for (token, want) in [
        (mint_raw(r#"{"alg":"ES256","crit":[]}"#, r#"{"iss":"joe"}"#), "Jwt header [crit]"),
        (
            mint_raw(r#"{"alg":"ES256","b64":true,"crit":["b64"]}"#, r#"{"iss":"joe"}"#),
            "Jwt header [crit]",
        ),
        (format!("{ec}="), "Jwt signature is an invalid Base64url encoded"),
        (ec.replacen('.', "=.", 1), "Jwt header is an invalid Base64url encoded"),
    ] {
        assert!(verify(&[ec_key()], &token).starts_with(want), "{token}");
    }
    assert_eq!(verify(&[rsa_key()], &ec), NO_KEY.replace(NO_KEY, vectors::FAILS));
}

#[test]
fn each_key_that_is_left_out_is_named_and_what_signs_no_tokens_is_not() {
    let encrypts = with(rsa_key(), json!({"kid": "k2", "use": "enc", "alg": "RSA-OAEP"}));
    let authority = with(ec_key(), json!({"use": "x509-svid", "x5c": ["MIIB"]}));
    let signer = key(json!({"kid": "k1", "key_ops": ["sign"]}));
    let escaped = key(json!({"kid": "a\n\u{1b}[31m\"", "alg": 1}));
    let good = other_ec_key();
    assert_eq!(warnings(&[encrypts.clone(), authority.clone(), good.clone()]), [""; 0]);
    let refused = "tokens signed with this key are refused";
    assert_eq!(
        warnings(&[encrypts.clone(), signer.clone(), good.clone(), escaped]),
        [
            format!("keys[1] (kid k1): is left out: its key_ops do not list verify: {refused}"),
            format!(
                "keys[3] (kid a\\n\\u{{1b}}[31m\\\"): is left out: its alg is not a string: {refused}"
            ),
        ]
    );
    // As many as there may be, in a bounded message.
    let long = key(json!({"kid": "\u{1b}".repeat(100_000), "use": 1}));
    let many: Vec<Value> = std::iter::once(good).chain(vec![long; 500]).collect();
    let said = warnings(&many);
    assert_eq!(said.len(), 17);
    assert!(said.iter().all(|line| line.len() < 200), "{said:?}");
    assert!(
        said[16]
            .ends_with("has 484 more that are left out: tokens signed with these keys are refused")
    );
    // None is left: now it matters what each is for.
    let mut errors = Errors::default();
    let none = jwks(&[encrypts, authority, signer]);
    assert!(jwks::KeySet::parse(&none, &Path::ROOT, &mut errors).is_none());
    let want = "is a key set without a usable key (keys[2] (kid k1): its key_ops do not list verify; \
                keys[0] (kid k2): its use is enc; keys[1]: its use is x509-svid)";
    assert!(errors.to_string().contains(want), "{errors}");
    assert!(errors.warnings().is_empty());
}

#[test]
fn keys_that_are_no_secret_in_the_settings_or_should_not_be_there_are_warned_of() {
    let private = key(json!({"kid": "k", "d": "AAAA"}));
    let secret = with(signers::jwk("HS256"), json!({"kid": "s"}));
    let said = warnings(&[private, secret]);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("holds private keys (keys[0] (kid k)): remove d"), "{said:?}");
    assert!(
        said[1]
            .contains("holds shared secrets, in a resource that is not a Secret (keys[1] (kid s))"),
        "{said:?}"
    );
    assert!(!said.concat().contains("AAAA"));
}

#[test]
fn a_set_in_the_settings_is_bounded_as_one_that_is_fetched() {
    let mut errors = Errors::default();
    let set = |count| jwks(&vec![ec_key(); count]);
    assert!(jwks::KeySet::parse(&set(256), &Path::ROOT, &mut errors).is_some());
    assert!(jwks::KeySet::parse(&set(257), &Path::ROOT, &mut errors).is_none());
    assert!(errors.to_string().contains("has more than 256 keys"), "{errors}");
    let discovery = json!({"issuer": "https://idp", "jwks_uri": "https://idp/keys"}).to_string();
    assert!(jwks::KeySet::parse(&discovery, &Path::ROOT, &mut errors).is_none());
    assert!(errors.to_string().contains("is a discovery document"), "{errors}");
}
