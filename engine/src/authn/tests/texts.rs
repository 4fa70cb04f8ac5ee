//! Every text that a refused caller may read, the answer around it, and the choice among rules.

use super::failure::Rejection;
use super::*;

const FORM: &str =
    "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";

#[test]
fn tokens_and_texts() {
    let ok = r#"{"alg":"ES256"}"#;
    let me = r#"{"iss":"me","sub":"s"}"#;
    let good = mint_raw(ok, me);
    let parts: Vec<&str> = good.split('.').collect();
    let payload = |payload: &str| mint_raw(ok, payload);
    let header = |header: &str| mint_raw(header, me);
    let joined = |h: &str, p: &str, s: &str| format!("{h}.{p}.{s}");
    let (h, p, s) = (parts[0], parts[1], parts[2]);
    let past = NOW - 61;
    let ahead = NOW + 61;
    for (token, want) in [
        (good.clone(), "me/s"),
        ("a.b".into(), FORM),
        (format!("{good}."), FORM),
        (format!("{h}..{p}.{s}"), FORM),
        (format!("{good}.x"), FORM),
        (format!("{h}.{p}."), FORM),
        (joined(&format!("{h}="), p, s), "Jwt header is an invalid Base64url encoded"),
        (joined("e+", p, s), "Jwt header is an invalid Base64url encoded"),
        (joined(&format!("{h} "), p, s), "Jwt header is an invalid Base64url encoded"),
        (joined(&b64("[]"), p, s), "Jwt header is an invalid JSON"),
        (joined(&b64("null"), p, s), "Jwt header is an invalid JSON"),
        (header(r#"{"alg":"ES256","alg":"ES256"}"#), "Jwt header is an invalid JSON"),
        (header("{}"), "Jwt header [alg] field is required and must be a string"),
        (header(r#"{"alg":256}"#), "Jwt header [alg] field is required and must be a string"),
        (header(r#"{"alg":"es256"}"#), "Jwt header [alg] is not supported"),
        (header(r#"{"alg":"PS256"}"#), "Jwt verification fails"),
        (header(r#"{"alg":"none"}"#), "Jwt header [alg] is not supported"),
        (header(r#"{"alg":"ES256","kid":1}"#), "Jwt header [kid] field is not a string"),
        (
            header(r#"{"alg":"ES256","crit":["b64"],"b64":true}"#),
            "Jwt header [crit] is not supported",
        ),
        (header(r#"{"alg":"ES256","typ":7,"jku":"https://evil","jwk":{}}"#), "me/s"),
        (joined(h, "a", s), "Jwt payload is an invalid Base64url encoded"),
        (payload(r#"{"iss":"me","iss":"you"}"#), "Jwt payload is an invalid JSON"),
        (payload(r#"{"iss":"me","a":{"b":1,"b":1}}"#), "Jwt payload is an invalid JSON"),
        (payload(r#"{"iss":"me",}"#), "Jwt payload is an invalid JSON"),
        (payload("null"), "Jwt payload is an invalid JSON"),
        (
            payload(&format!(r#"{{"iss":"me","a":{}1{}}}"#, "[".repeat(100), "]".repeat(100))),
            "Jwt payload is an invalid JSON",
        ),
        (
            payload(&format!(
                r#"{{"iss":"me","sub":"s","a":{}1{}}}"#,
                "[".repeat(99),
                "]".repeat(99)
            )),
            "me/s",
        ),
        (payload(r#"{"iss":1}"#), "Jwt payload [iss] field is not a string"),
        (payload(r#"{"sub":1}"#), "Jwt payload [sub] field is not a string"),
        (payload(r#"{"iat":""}"#), "Jwt payload [iat] field is not an integer"),
        (payload(r#"{"iat":-1}"#), "Jwt payload [iat] field is not a positive 64 bit integer"),
        (payload(r#"{"nbf":""}"#), "Jwt payload [nbf] field is not an integer"),
        (payload(r#"{"nbf":-1}"#), "Jwt payload [nbf] field is not a positive 64 bit integer"),
        (payload(r#"{"exp":""}"#), "Jwt payload [exp] field is not an integer"),
        (payload(r#"{"exp":-1}"#), "Jwt payload [exp] field is not a positive 64 bit integer"),
        (payload(r#"{"jti":1}"#), "Jwt payload [jti] field is not a string"),
        (payload(r#"{"aud":[1]}"#), "Jwt payload [aud] field is not a string or string list"),
        (joined(h, p, &format!("{s}=")), "Jwt signature is an invalid Base64url encoded"),
        (joined(h, p, "a"), "Jwt signature is an invalid Base64url encoded"),
        (payload(r#"{"sub":"s"}"#), "Jwt issuer is not configured"),
        (payload(r#"{"iss":"Me"}"#), "Jwt issuer is not configured"),
        (payload(r#"{"iss":"apikey","sub":"nightly"}"#), "Jwt issuer is not configured"),
        (payload(&json!({"iss": "me", "exp": past}).to_string()), "Jwt is expired"),
        (payload(&json!({"iss": "me", "nbf": ahead}).to_string()), "Jwt not yet valid"),
        (
            payload(
                &json!({"iss": "me", "sub": "s", "exp": past + 1, "nbf": ahead - 1}).to_string(),
            ),
            "me/s",
        ),
        (joined(h, &b64(r#"{"iss":"me","sub":"root"}"#), s), "Jwt verification fails"),
    ] {
        assert_eq!(bearer(&one_rule(json!({})), &token).verdict(), want, "{token}");
    }
}

#[test]
fn unused_bits_and_an_audience() {
    let authenticator = one_rule(json!({"audiences": ["https://models/"]}));
    for (claims, want) in [
        (json!({"iss": "me", "sub": "s", "aud": ["x", "models"]}), "me/s"),
        (json!({"iss": "me", "sub": "s"}), "Audiences in Jwt are not allowed"),
        (json!({"iss": "me", "aud": "x", "exp": 1}), "Jwt is expired"),
    ] {
        assert_eq!(bearer(&authenticator, &mint(&claims)).verdict(), want, "{claims}");
    }
    // 64 bytes leave four unused bits at the end: only one of sixteen spellings is right.
    let token = mint(&json!({"iss": "me", "sub": "s", "aud": "models"}));
    let (front, end) = token.split_at(token.len() - 1);
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        let spelled = format!("{front}{last}");
        assert_eq!(bearer(&authenticator, &spelled).verdict() == "me/s", last.to_string() == end);
    }
}

#[test]
fn the_challenge_repeats_no_token_and_access_logs_those_that_are_forwarded() {
    let keeps = rule(json!({"fromParams": ["t"]}));
    let forwards = json!({"issuer": "you", "fromParams": ["u"], "forwardOriginalToken": true});
    let authenticator = authenticator(json!({"jwtRules": [keeps, rule(forwards)]}));
    for (path, shown, challenge) in [
        ("/p?a&t=x", Some("/p?a"), "/p?a"),
        ("/p?a&u=y", None, "/p?a"),
        ("/p?t=x&a&u=y", Some("/p?a&u=y"), "/p?a"),
    ] {
        let outcome = run(&authenticator, path, &[]);
        let failure = outcome.failure();
        assert_eq!(failure.path.as_deref(), shown.map(str::as_bytes), "{path}");
        let want = format!("Bearer realm=\"https://gw{challenge}\", error=\"invalid_token\"");
        assert_eq!(failure.www_authenticate, want, "{path}");
    }
}

#[test]
fn the_answer_is_envoys() {
    let authenticator = one_rule(json!({"audiences": ["a"], "fromHeaders": [{"name": "x-jwt"}],
        "fromParams": ["token"]}));
    let wrong = mint(&json!({"iss": "me"}));
    let outcome = run(&authenticator, "/p?q=\"1\"", &[("x-jwt", &wrong)]);
    assert_eq!(
        *outcome.failure(),
        Failure {
            code: 403,
            text: "Audiences in Jwt are not allowed",
            www_authenticate: r#"Bearer realm="https://gw/p?q=1", error="invalid_token""#.into(),
            details: "jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}".into(),
            path: None,
        }
    );
    assert_eq!(outcome.results(), [("wrong_audience", 1)]);
    assert!(outcome.edits.is_empty());
    // The token is not repeated, the path is cut, what would break out is dropped.
    let long = format!("/{}", "a".repeat(300));
    for (path, want) in [
        ("/p?token=secret&a=1", "https://gw/p?a=1"),
        ("/p?token=bad\r\nx: y", "https://gw/p"),
        ("/p?token=x&b=\u{e9}\r\nx", "https://gw/p?b=x"),
        ("/p?token=x&b=\\\"", "https://gw/p?b="),
    ] {
        let outcome = run(&authenticator, path, &[]);
        assert_eq!(outcome.failure().code, 401);
        let want = format!(r#"Bearer realm="{want}", error="invalid_token""#);
        assert_eq!(outcome.failure().www_authenticate, want);
    }
    let outcome = run(&authenticator, &long, &[("x-jwt", "")]);
    let want = format!(r#"Bearer realm="https://gw/{}", error="invalid_token""#, "a".repeat(255));
    assert_eq!(outcome.failure().www_authenticate, want);
}

#[test]
fn every_rejection_has_a_text_of_its_own() {
    let mut texts: Vec<&str> = Rejection::ALL.iter().map(|r| r.text()).collect();
    texts.sort_unstable();
    texts.dedup();
    // But for the key that is not tried, which is told as one that is not there.
    assert_eq!(texts.len() + 1, Rejection::ALL.len());
    assert_eq!(Rejection::KeyAmbiguous.text(), Rejection::NoKey.text());
    assert!(Rejection::ALL.iter().all(|r| !TokenResult::WORDS.contains(&r.text())));
}

/// Two rules, `me` and `you`, of which `you` has a key that signed nothing here and an audience.
#[test]
fn several_rules_merge_as_istios() {
    let authenticator = authenticator(json!({"jwtRules": [
        {"issuer": "you", "jwks": jwks(&[other_ec_key()]), "fromHeaders": [{"name": "x-you"}, {"name": "x-both"}]},
        rule(json!({"fromHeaders": [{"name": "x-me"}, {"name": "x-both"}]})),
    ]}));
    let me = mint(&json!({"iss": "me", "sub": "s"}));
    let old = mint(&json!({"iss": "me", "exp": 1}));
    let you = mint(&json!({"iss": "you"}));
    let they = mint(&json!({"iss": "they"}));
    for (lines, want) in [
        (vec![], "anonymous"),
        (vec![("x-both", me.as_str())], "me/s"),
        // The first rule is content: what only the second looks at is not looked at.
        (vec![("x-me", &me), ("x-you", "junk")], "me/s"),
        (vec![("x-you", &you)], "Jwt verification fails"),
        (vec![("x-both", &you)], "Jwt verification fails"),
        (vec![("x-both", &old)], "Jwt is expired"),
        (vec![("x-both", &they)], "Jwt issuer is not configured"),
        (vec![("x-me", &old), ("x-you", &you)], "Jwt is expired"),
        (vec![("x-me", &they), ("x-you", &you)], "Jwt verification fails"),
        (vec![("x-me", &they), ("x-you", "junk")], FORM),
        (vec![("x-me", "junk"), ("x-you", &they)], FORM),
        (vec![("x-me", &they)], "Jwt issuer is not configured"),
    ] {
        assert_eq!(run(&authenticator, "/", &lines).verdict(), want, "{lines:?}");
    }
}

#[test]
fn all_tokens_of_a_rule_must_be_good() {
    let authenticator = one_rule(json!({"fromHeaders": [{"name": "a"}, {"name": "b"}],
        "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}]}));
    let token = |sub: &str| mint(&json!({"iss": "me", "sub": sub}));
    let (one, two, old) = (token("1"), token("2"), mint(&json!({"iss": "me", "exp": 1})));
    for (lines, want) in [
        (vec![("b", two.as_str()), ("a", one.as_str())], "me/1"),
        (vec![("b", &two), ("b", &one)], "me/2"),
        (vec![("a", &one), ("b", &old)], "Jwt is expired"),
        (vec![("a", "junk"), ("b", &old)], "Jwt is expired"),
        (vec![("a", "junk"), ("b", &one)], FORM),
    ] {
        let outcome = run(&authenticator, "/", &lines);
        assert_eq!(outcome.verdict(), want, "{lines:?}");
        if want == "me/1" {
            assert_eq!(outcome.results(), [("verified", 2)]);
            assert_eq!(outcome.removed(), ["a", "b", "x-user"]);
            let added: Vec<_> = outcome.edits.added().collect();
            assert_eq!(added, [(b"x-user".as_slice(), b"1".as_slice())]);
        }
    }
}
