//! Published vectors, and which keys verify what.

use super::*;

/// The payload of RFC 7515 A.2 and A.3: issuer `joe`, expires 1300819380.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// RFC 7515 A.2.1.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
/// RFC 7515 A.2.1; the next two are PKCS#1 v1.5 signatures by the same key.
const RS256: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const RS384: &str = "UqgNjrJOGhk4wfoSG6Uvrt9GcKu-TgPwInExALrMBadg1pol1uTw7mZADTddAWsC6ZzdFiTFUmIi7DuD38ftLAZoW4qezdAO7RYf1yZDsbT20bt8DJJN1I4VovL2PLg80B6x6ug-kaW8k5LaM5ce0dk1zgWhjafKC3Mb4UNLL8f9fqVMkHpdWYRjF6QjTz12Ap-gq-tPyUoWSdvzCIYOcZ9-08SQQdUTTgsNF1Qwu3TqeWPqzNJwmWHiHMmaV8I4ktMFEX-AiEBa55KsfYTx0jSbTHP-odqmnLQJ4n-oQJ2RSXy0HQP6BkdiwDHdoMUk4z_wAeOsfDTs_mLxTgOInQ";
const RS512: &str = "ZatQfsb2gyCu3y9cDuz59a-IKm4bkqtT0HuT8BpNlPCmA3Y2eH91CVSI0TbkPqI9v2jaXuWvPcoJGNRtTpUXafTAbqzxWSMjqx8SkJRTuUz6imaHBctra42j2AvJ1t7qJwf2NN49y9PZbkYn3ejhU-iCmKJ3J-_GLsYp5VlximYm-o3sMul0tyCMvHUdmuWvadnVEaio-jix3pXYWfyFC8tp19zZrTaofxTAzCqlqundx22tfsuqchto_zVnZk_ZBr1R5lr29Qle5JgLmRkfDNbVSQZFdwg6mSlODL8BrOiM_vreMaPCO8U_JGezKUob0ONv7DA7XDfpbaXaFsHipQ";
/// RFC 7515 A.3.1.
const ES256: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn rsa_key() -> Value {
    json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"})
}

fn with(mut key: Value, more: Value) -> Value {
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key
}

fn token(alg: &str, signature: &str) -> String {
    format!("{}.{PAYLOAD}.{signature}", b64(format!(r#"{{"alg":"{alg}"}}"#)))
}

/// What a set of keys says to a token, by both ways.
fn verify(keys: &[Value], token: &str) -> String {
    let authenticator = authenticator(json!({"jwtRules": [{"issuer": "joe", "jwks": jwks(keys)}]}));
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
const OK: &str = "nobody";
const FAILS: &str = "Jwt verification fails";
const NO_KEY: &str = "Jwks doesn't have key to match kid or alg from Jwt";

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
        (ec_key(), "HS256", ES256, "Jwt header [alg] is not supported"),
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
    let short = json!(b64([&[0x7f], vec![0xff; 255].as_slice()].concat()));
    for (key, why) in [
        (json!(1), "it is not an object"),
        (json!({}), "its kty is not known"),
        (json!({"kty": "rsa"}), "its kty is not known"),
        (json!({"kty": "oct", "k": "AAAA"}), "its type is not verified by this version"),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": EC_X}),
            "its type is not verified by this version",
        ),
        (
            with(ec_key(), json!({"crv": "P-384"})),
            "its curve is not P-256, the only one that this version verifies",
        ),
        (
            json!({"kty": "EC", "x": EC_X, "y": EC_Y}),
            "its curve is not P-256, the only one that this version verifies",
        ),
        (with(ec_key(), json!({"y": EC_X})), "its point is not on the curve P-256"),
        (with(ec_key(), json!({"x": "AA"})), "its coordinates are not 32 bytes long"),
        (
            with(ec_key(), json!({"x": format!("{EC_X}=")})),
            "one of its numbers is not unpadded base64url",
        ),
        (with(ec_key(), json!({"x": 1})), "one of its members is not a string"),
        (json!({"kty": "EC", "crv": "P-256", "x": EC_X}), "one of its numbers is missing"),
        (with(ec_key(), json!({"use": "enc"})), "its use is not sig"),
        (with(ec_key(), json!({"use": 1})), "one of its members is not a string"),
        (with(ec_key(), json!({"kid": 1})), "one of its members is not a string"),
        (with(ec_key(), json!({"key_ops": ["sign"]})), "its key_ops do not list verify"),
        (with(ec_key(), json!({"key_ops": "verify"})), "its key_ops do not list verify"),
        (with(ec_key(), json!({"alg": "RS256"})), "its alg does not fit its type and curve"),
        (with(rsa_key(), json!({"alg": "PS256"})), "its alg is not verified by this version"),
        (rsa(modulus(128), "AQAB"), "it is shorter than 2048 bits"),
        (rsa(short, "AQAB"), "it is shorter than 2048 bits"),
        (rsa(modulus(1025), "AQAB"), "it is longer than 8192 bits"),
        (rsa(even, "AQAB"), "its modulus is not that of an RSA key"),
        (rsa(json!(RSA_N), "AQ"), "its exponent is neither 3 nor 65537"),
        (rsa(json!(RSA_N), "AAEAAQ"), "its exponent is neither 3 nor 65537"),
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
