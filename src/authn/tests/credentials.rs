//! `forwardOriginalToken: false` at every place: what a request still shows once it was decided.

use super::*;

/// The header lines that go on.
fn lines_after(edits: &Edits, request: &Request<'_>) -> Vec<(String, String)> {
    let names: std::collections::BTreeSet<&[u8]> =
        request.headers().iter().map(|(name, _)| *name).collect();
    let lines = |name: &[u8]| -> Vec<(String, String)> {
        edits.lines(request, name).map(|v| (text(name), text(v))).collect()
    };
    names.into_iter().flat_map(lines).filter(|(n, _)| !n.starts_with(':')).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn cookies_are_taken_out_and_the_others_stay_byte_for_byte() {
    for (lines, want) in [
        (&["session=T"][..], &[][..]),
        (&["session=T; a=1"], &["a=1"]),
        (&["a=1; session=T"], &["a=1"]),
        (&["a=1;  session=T;b=\"x y\"; c"], &["a=1;b=\"x y\"; c"]),
        (&["session=T;session=x; session=\"y\""], &[]),
        (&["a=1", "session=T", "b=2; session=T"], &["a=1", "b=2"]),
        (&["xsession=1; session=T; sessions=2; Session=3"], &["xsession=1; sessions=2; Session=3"]),
        (&["session=T;"], &[]),
        (&["session=T; ;"], &[";"]),
    ] {
        let path = b"/".as_slice();
        let headers: Vec<Header<'_>> = std::iter::once((b":path".as_slice(), path))
            .chain(lines.iter().map(|line| (b"cookie".as_slice(), line.as_bytes())))
            .collect();
        let host = TestHost::new(false);
        let attributes = Attributes::new(&host);
        let request = Request::new(&headers, &attributes);
        let mut edits = Edits::default();
        cookies::remove(&[b"session"], &request, &mut edits);
        let after: Vec<&[u8]> = edits.lines(&request, b"cookie").collect();
        let want: Vec<&[u8]> = want.iter().map(|line| line.as_bytes()).collect();
        assert_eq!(after, want, "{lines:?}");
    }
}

#[test]
fn no_place_keeps_a_token_whichever_way_the_request_goes() {
    let settings = |forward: bool| {
        json!({
            "jwtRules": [rule(json!({
                "fromHeaders": [{"name": "authorization", "prefix": "Bearer "}, {"name": "x-raw"}],
                "fromParams": ["jwt"], "fromCookies": ["session"], "forwardOriginalToken": forward,
            }))],
            "apiKeys": {"keys": [{"name": "n", "sha256": hash("k")}]},
        })
    };
    let token = mint(&json!({"iss": "me", "sub": "s"}));
    for forward in [false, true] {
        let authenticator = authenticator(settings(forward));
        for (path, name, value, after) in [
            ("/p", "authorization", "Bearer T", None),
            ("/p", "x-raw", "T", None),
            ("/p?a=1&jwt=T", "x", "y", Some("y")),
            ("/p", "cookie", "session=T", None),
            ("/p", "cookie", "a=1; session=T", Some("a=1")),
        ] {
            let (path, value) = (path.replace('T', &token), value.replace('T', &token));
            let headers: [Header<'_>; 3] = [
                (b":method", b"GET"),
                (b":path", path.as_bytes()),
                (name.as_bytes(), value.as_bytes()),
            ];
            for strips in [false, true] {
                let host = TestHost::new(false);
                let attributes = Attributes::new(&host);
                let request = Request::new(&headers, &attributes);
                let mut edits = Edits::default();
                // With a token that is good, and where nobody looks: bypasses and preflights.
                let changed = if strips {
                    authenticator.strip(&request, &mut edits)
                } else {
                    let result = authenticator.authenticate(&request, &mut no_cache(), &mut edits);
                    assert!(matches!(result.verdict, Verdict::Identified(_)), "{path} {value}");
                    result.path
                };
                let lines = lines_after(&edits, &request);
                let want = if forward { Some(value.as_str()) } else { after };
                let want: Vec<(String, String)> =
                    want.map(|value| (name.to_owned(), value.to_owned())).into_iter().collect();
                assert_eq!(lines, want, "{path} {name} {strips}");
                let after = changed.map_or(path.clone(), |path| text(&path));
                assert_eq!(after.contains(&token), forward && path.contains(&token));
            }
        }
        // Keys never go on.
        let headers: [Header<'_>; 2] = [(b":path", b"/"), (b"x-api-key", b"k")];
        let host = TestHost::new(false);
        let attributes = Attributes::new(&host);
        let request = Request::new(&headers, &attributes);
        let mut edits = Edits::default();
        authenticator.strip(&request, &mut edits);
        assert!(lines_after(&edits, &request).is_empty());
    }
}

fn hash(key: &str) -> String {
    algorithm::Hash::Sha256.of(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn keys_behind_a_prefix_and_beside_tokens() {
    let settings = |prefix: &str, key: &str, rules: Value| {
        json!({"jwtRules": rules, "apiKeys": {"header": "Authorization", "prefix": prefix,
            "keys": [{"name": "n", "sha256": hash(key)}]}})
    };
    const BAD: &str = "API key is not valid";
    const FORM: &str =
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    let token = format!("Bearer {}", mint(&json!({"iss": "me", "sub": "s"})));
    let alone = authenticator(settings("Bearer ", "sk-own", json!([])));
    let beside = authenticator(settings("Bearer ", "mg_own", json!([rule(json!({}))])));
    let scheme = authenticator(settings("ApiKey ", "mg_own", json!([rule(json!({}))])));
    for (authenticator, lines, want) in [
        (&alone, &["Bearer sk-own"][..], "apikey/n"),
        (&alone, &["Bearer sk-other"], BAD),
        (&alone, &["Bearer  sk-own"], BAD),
        (&alone, &["bearer sk-own"], "anonymous"),
        (&alone, &["sk-own"], "anonymous"),
        (&alone, &["Basic x"], "anonymous"),
        (&alone, &[&token], BAD),
        (&alone, &["Bearer sk-own", "Bearer sk-own"], "API key is given more than once"),
        (&alone, &["Basic x", "Bearer sk-own"], "API key is given more than once"),
        (&beside, &["Bearer mg_own"], "apikey/n"),
        (&beside, &["Bearer mg_other"], BAD),
        (&beside, &["Bearer mg_"], BAD),
        (&beside, &[&token], "me/s"),
        (&beside, &["Bearer sk-own"], FORM),
        (&beside, &["Bearer  mg_own"], FORM),
        (&beside, &["mg_own"], "anonymous"),
        (&beside, &["Bearer mg_own", &token], "API key and Jwt are given together"),
        (&beside, &["Bearer mg_own", "Bearer mg_own"], "API key is given more than once"),
        (&scheme, &["ApiKey mg_own"], "apikey/n"),
        (&scheme, &["Bearer mg_own"], FORM),
        (&scheme, &[&token], "me/s"),
    ] {
        let lines: Vec<(&str, &str)> = lines.iter().map(|line| ("authorization", *line)).collect();
        let outcome = run(authenticator, "/", &lines);
        assert_eq!(outcome.verdict(), want, "{lines:?}");
        let good = matches!(want, "apikey/n" | "me/s");
        assert_eq!(outcome.removed(), if good { vec!["authorization"] } else { vec![] });
    }
    // What nobody looks at goes all the same, and what is none stays.
    for (line, stays) in [("Bearer mg_x", false), (token.as_str(), false), ("Basic x", true)] {
        let headers: [Header<'_>; 2] = [(b":path", b"/"), (b"authorization", line.as_bytes())];
        let host = TestHost::new(false);
        let attributes = Attributes::new(&host);
        let request = Request::new(&headers, &attributes);
        let mut edits = Edits::default();
        beside.strip(&request, &mut edits);
        assert_eq!(edits.is_empty(), stays, "{line}");
    }
}
