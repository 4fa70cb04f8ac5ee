//! Where tokens are found, and what is taken off the request.

use super::*;

const FORM: &str =
    "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";

fn token() -> String {
    mint(&json!({"iss": "me", "sub": "s"}))
}

#[test]
fn default_places() {
    let authenticator = one_rule(json!({}));
    let t = token();
    let line = |text: &str| text.replace("{t}", &t);
    for (value, want) in [
        ("Bearer {t}", "me/s"),
        ("bearer {t}", "anonymous"),
        ("BEARER {t}", "anonymous"),
        ("Bearer{t}", "anonymous"),
        ("Bearer   {t}", "me/s"),
        ("Bearer \"{t}", "me/s"),
        ("Basic x,Bearer {t}", "me/s"),
        ("Bearer {t} ", "Jwt signature is an invalid Base64url encoded"),
        ("Bearer {t},Bearer {t}", FORM),
        ("Bearer ", FORM),
        ("Bearer !", FORM),
        ("Basic abc", "anonymous"),
        ("", "anonymous"),
        ("{t}", "anonymous"),
    ] {
        let value = line(value);
        let outcome = run(&authenticator, "/", &[("authorization", &value)]);
        assert_eq!(outcome.verdict(), want, "{value}");
        let removed: &[&str] = if want == "me/s" { &["authorization"] } else { &[] };
        assert_eq!(outcome.removed(), removed, "{value}");
    }
    for (path, want, rest) in [
        ("/p?access_token={t}", "me/s", Some("/p")),
        ("/p?a=%26&access_token={t}&b", "me/s", Some("/p?a=%26&b")),
        ("/p?access%5Ftoken={t}&access_token=x", "me/s", Some("/p")),
        ("/p?access_token=x&access_token={t}", FORM, None),
        ("/p?access_token=", FORM, None),
        ("/p?access_token", FORM, None),
        ("/p?Access_token={t}", "anonymous", None),
        ("/p?access_token=+{t}", "Jwt header is an invalid Base64url encoded", None),
        ("/access_token={t}", "anonymous", None),
        ("*?access_token=x", "anonymous", None),
        ("", "anonymous", None),
    ] {
        let path = line(path);
        let outcome = run(&authenticator, &path, &[]);
        assert_eq!(outcome.verdict(), want, "{path}");
        assert_eq!(outcome.authentication.path.as_deref(), rest.map(str::as_bytes), "{path}");
    }
    // Cookies are no default place.
    assert_eq!(run(&authenticator, "/", &[("cookie", "access_token=x")]).verdict(), "anonymous");
}

#[test]
fn named_places_replace_the_default() {
    let authenticator = one_rule(json!({
        "fromHeaders": [{"name": "X-Jwt", "prefix": "Token:"}, {"name": "x-raw"}],
        "fromParams": ["jwt"], "fromCookies": ["session"],
    }));
    let t = token();
    for (name, value, want) in [
        ("x-jwt", "Token:{t}", "me/s"),
        ("x-jwt", "junk Token: {t}", "me/s"),
        ("x-jwt", "token:{t}", "anonymous"),
        ("x-raw", "{t}", "me/s"),
        ("x-raw", " {t}", "Jwt header is an invalid Base64url encoded"),
        ("x-raw", "", FORM),
        ("authorization", "Bearer x", "anonymous"),
        ("cookie", "session={t}", "me/s"),
        ("cookie", "a=1;  session=\"{t}\"; b", "me/s"),
        ("cookie", "session={t}; session=x", "me/s"),
        ("cookie", "session=x; session={t}", FORM),
        ("cookie", "session ={t}", "anonymous"),
        ("cookie", "Session={t}", "anonymous"),
        ("cookie", "xsession={t}", "anonymous"),
        ("cookie", "session", "anonymous"),
        ("cookie", "session=", FORM),
        ("cookie", "session=\"", FORM),
    ] {
        let value = value.replace("{t}", &t);
        let outcome = run(&authenticator, "/?access_token=x", &[(name, &value)]);
        assert_eq!(outcome.verdict(), want, "{name}: {value}");
        let removed = want == "me/s";
        assert_eq!(outcome.removed(), if removed { vec![name] } else { vec![] });
    }
    let outcome = run(&authenticator, "/?jwt=x", &[("x-raw", &t)]);
    assert_eq!(outcome.verdict(), FORM);
    assert_eq!(authenticator.credential_headers(), [b"x-jwt".to_vec(), b"x-raw".to_vec()]);
    assert_eq!(authenticator.credential_params(), [b"jwt".to_vec()]);
}

/// Envoy looks at headers in the order of their names with the prefixes behind them.
#[test]
fn of_two_good_tokens_the_identity_is_envoys() {
    for (first, second, want) in [
        (json!({"name": "x-auth", "prefix": "Bearer "}), json!({"name": "x-auth-token"}), "me/2"),
        (json!({"name": "x-auth-token"}), json!({"name": "x-auth", "prefix": "Bearer "}), "me/1"),
        (json!({"name": "x-auth", "prefix": "+"}), json!({"name": "x-auth-token"}), "me/1"),
        (json!({"name": "x-b"}), json!({"name": "x-a", "prefix": "z"}), "me/2"),
        (json!({"name": "x-a", "prefix": "z "}), json!({"name": "x-a", "prefix": "y "}), "me/2"),
    ] {
        let authenticator = one_rule(json!({"fromHeaders": [first, second]}));
        let line = |header: &Value, subject: &str| {
            let prefix = header["prefix"].as_str().unwrap_or_default();
            format!("{prefix}{}", mint(&json!({"iss": "me", "sub": subject})))
        };
        let (one, two) = (line(&first, "1"), line(&second, "2"));
        let lines =
            [(first["name"].as_str().unwrap(), &*one), (second["name"].as_str().unwrap(), &*two)];
        assert_eq!(run(&authenticator, "/", &lines).verdict(), want, "{first} {second}");
    }
}

#[test]
fn forwarding_keeps_everything() {
    let authenticator = one_rule(json!({"forwardOriginalToken": true}));
    let t = token();
    let outcome = run(
        &authenticator,
        &format!("/?access_token={t}"),
        &[("authorization", &format!("Bearer {t}"))],
    );
    assert_eq!(outcome.verdict(), "me/s");
    assert!(outcome.edits.is_empty() && outcome.authentication.path.is_none());
}

#[test]
fn a_bypassed_request_loses_its_credentials() {
    let settings = json!({
        "jwtRules": [rule(json!({})),
            rule(json!({"issuer": "kept", "fromHeaders": [{"name": "x-kept"}], "forwardOriginalToken": true}))],
        "apiKeys": {"keys": [{"name": "n", "sha256": "00".repeat(32)}]},
    });
    let authenticator = authenticator(settings);
    let host = TestHost::new(false);
    let attributes = Attributes::new(&host);
    let strip = |headers: &[Header<'_>]| {
        let mut edits = Edits::default();
        let path = authenticator.strip_bypassed(&Request::new(headers, &attributes), &mut edits);
        let removed: Vec<Vec<u8>> = edits.removed().map(<[u8]>::to_vec).collect();
        (path, removed)
    };
    let all: &[Header<'_>] = &[
        (b":path", b"/prometheus?a=%20&access_token=x#f&b"),
        (b"authorization", b"Bearer \xff\xfe"),
        (b"x-kept", b"y"),
        (b"x-api-key", b"k"),
    ];
    let want = vec![b"authorization".to_vec(), b"x-api-key".to_vec()];
    assert_eq!(strip(all), (Some(b"/prometheus?a=%20&b".to_vec()), want));
    let none: &[Header<'_>] = &[(b":path", b"/prometheus?a"), (b"authorization", b"Basic x")];
    assert_eq!(strip(none), (None, vec![]));
}

#[test]
fn output_headers_are_written() {
    let authenticator = one_rule(json!({
        "outputPayloadToHeader": "X-Payload",
        "outputClaimToHeaders": [{"header": "x-sub", "claim": "sub"}, {"header": "X-Evil", "claim": "evil"},
            {"header": "x-scope", "claim": "scope"}, {"header": "x-none", "claim": "none"}],
    }));
    let t = mint(&json!({"iss": "me", "sub": "s", "evil": "a\nb", "scope": "a b"}));
    let outcome = bearer(&authenticator, &t);
    let added: Vec<(&str, &str)> = outcome
        .edits
        .added()
        .map(|(n, v)| (std::str::from_utf8(n).unwrap(), std::str::from_utf8(v).unwrap()))
        .collect();
    let payload = t.split('.').nth(1).unwrap();
    assert_eq!(added, [("x-payload", payload), ("x-sub", "s"), ("x-scope", "a b")]);
    assert_eq!(outcome.authentication.unwritable_claims, 1);
    let headers: Vec<&[u8]> = authenticator.output_headers().iter().map(Vec::as_slice).collect();
    let want: [&[u8]; 5] = [b"x-evil", b"x-none", b"x-payload", b"x-scope", b"x-sub"];
    assert_eq!(headers, want);
    let Identification::Identified(identity) = &outcome.authentication.identification else {
        panic!()
    };
    assert_eq!(identity.claims["scope"], json!(["a", "b"]));
}

#[test]
fn api_keys() {
    let sha256 = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"; // "key"
    let authenticator = authenticator(json!({
        "jwtRules": [rule(json!({}))],
        "apiKeys": {"keys": [
            {"name": "other", "sha256": "ab".repeat(32)},
            {"name": "nightly", "sha256": sha256, "claims": {"groups": ["batch"], "scope": "a b"}},
        ]},
    }));
    let bearer = format!("Bearer {}", token());
    for (lines, want, result) in [
        (vec![("x-api-key", "key")], "apikey/nightly", Some("api_key_verified")),
        (vec![("x-api-key", "Key")], "API key is not valid", Some("api_key_unknown")),
        (vec![("x-api-key", "")], "API key is not valid", Some("api_key_unknown")),
        (vec![("x-api-key", sha256)], "API key is not valid", Some("api_key_unknown")),
        (
            vec![("x-api-key", "key"), ("x-api-key", "key")],
            "API key is given more than once",
            Some("api_key_repeated"),
        ),
        (vec![("x-api-key", "key,key")], "API key is not valid", Some("api_key_unknown")),
        (
            vec![("x-api-key", "key"), ("authorization", &bearer)],
            "API key and Jwt are given together",
            Some("api_key_with_token"),
        ),
        (
            vec![("x-api-key", "bad"), ("authorization", "Bearer x")],
            "API key and Jwt are given together",
            Some("api_key_with_token"),
        ),
        (
            vec![("x-api-key", "key"), ("authorization", "Basic x")],
            "apikey/nightly",
            Some("api_key_verified"),
        ),
        (vec![], "anonymous", None),
    ] {
        let outcome = run(&authenticator, "/", &lines);
        assert_eq!(outcome.verdict(), want, "{lines:?}");
        assert_eq!(outcome.results().first().map(|(r, _)| *r), result);
        match &outcome.authentication.identification {
            Identification::Identified(identity) => {
                assert_eq!(outcome.removed(), ["x-api-key"]);
                let want = json!({"iss": "apikey", "sub": "nightly", "groups": ["batch"], "scope": ["a", "b"]});
                assert_eq!(Value::Object(identity.claims.clone()), want);
            }
            Identification::Refused(failure) => {
                assert_eq!(failure.code, 401);
                assert_eq!(failure.www_authenticate, r#"ApiKey realm="https://gw/""#);
                assert!(failure.details.starts_with("api_key_access_denied{API_key_"));
            }
            Identification::Anonymous => {}
        }
    }
    let debug = format!("{authenticator:?}");
    assert!(!debug.contains("171") && !debug.contains("2c70"), "{debug}");
}
