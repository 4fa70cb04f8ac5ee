//! `forwardOriginalToken` at every place: what a request still shows once it was decided.

use crate::pipeline::{Decision, Forward, Next, Plan};

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
        // As some servers take them apart, where no rule finds them.
        (&["a=1,session=T"], &["a=1"]),
        (&["a=1 , session = T; b"], &["a=1; b"]),
        (&["a=1 b=x\tsession=T"], &["a=1 b=x"]),
        (&["\"session\"=T; b=2", "a=\"x\",\"session\"=T"], &["b=2", "a=\"x\""]),
        (&["session=T,a=1;b=2"], &["b=2"]),
        (&["a=1;\x1csession\x1f=T"], &["a=1"]),
        (
            &["a=1; \u{85}session=T", "\u{a0}\u{2003}session \u{85}=T", "a=é session=T"],
            &["a=1", "a=é"],
        ),
        (&["é=1; sessioné=T; ésession_=T"], &["é=1; ésession_=T"]),
        (&["a=1,,session=T;session"], &["a=1;session"]),
        (
            &["a=session=T", "b=x,session; c=\"y, z\" session", "=T"],
            &["a=session=T", "b=x,session; c=\"y, z\" session", "=T"],
        ),
    ] {
        let path = b"/".as_slice();
        let headers: Vec<Header<'_>> = std::iter::once((b":path".as_slice(), path))
            .chain(lines.iter().map(|line| (b"cookie".as_slice(), line.as_bytes())))
            .collect();
        let host = TestHost::new(false);
        let attributes = Attributes::new(&host);
        let request = Request::new(&headers, &attributes);
        let mut edits = Edits::default();
        cookies::remove(&|name: &[u8]| name == b"session", &request, &mut edits);
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
            for way in ["accepted", "preflight", "bypassed"] {
                let host = TestHost::new(false);
                let attributes = Attributes::new(&host);
                let request = Request::new(&headers, &attributes);
                let mut edits = Edits::default();
                // With a token that is good, and where nobody looks: bypasses and preflights.
                let changed = match way {
                    "preflight" => authenticator.strip(&request, None, None, &mut edits),
                    "bypassed" => authenticator.strip_bypassed(&request, &mut edits),
                    _ => {
                        let result =
                            authenticator.authenticate(&request, &mut no_cache(), &mut edits);
                        assert!(
                            matches!(result.identification, Identification::Identified(_)),
                            "{path} {value}"
                        );
                        authenticator.strip(&request, result.path, result.rule, &mut edits)
                    }
                };
                let lines = lines_after(&edits, &request);
                let stays = forward && way != "preflight";
                let want = if stays { Some(value.as_str()) } else { after };
                let want: Vec<(String, String)> =
                    want.map(|value| (name.to_owned(), value.to_owned())).into_iter().collect();
                assert_eq!(lines, want, "{path} {name} {way}");
                let after = changed.map_or(path.clone(), |path| text(&path));
                assert_eq!(after.contains(&token), stays && path.contains(&token));
            }
        }
        // Keys never go on.
        let headers: [Header<'_>; 4] =
            [(b":path", b"/"), (b"x-api-key", b"k"), (b"x_api_key", b"k"), (b"x_api-key", b"k")];
        let host = TestHost::new(false);
        let attributes = Attributes::new(&host);
        let request = Request::new(&headers, &attributes);
        let mut edits = Edits::default();
        authenticator.strip(&request, None, None, &mut edits);
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
    for (authenticator, line, stays) in [
        (&beside, "Bearer mg_x", false),
        (&beside, token.as_str(), false),
        (&beside, "Basic x", true),
        (&alone, "Basic x", true),
        (&alone, "bearer:sk-own", false),
        (&alone, "Basic x, Bearer sk-own", false),
        (&alone, token.strip_prefix("Bearer ").unwrap(), false),
    ] {
        let headers: [Header<'_>; 2] = [(b":path", b"/"), (b"authorization", line.as_bytes())];
        let host = TestHost::new(false);
        let attributes = Attributes::new(&host);
        let request = Request::new(&headers, &attributes);
        let mut edits = Edits::default();
        authenticator.strip(&request, None, None, &mut edits);
        assert_eq!(edits.is_empty(), stays, "{line}");
    }
}

/// Three rules with places of their own, of which the last forwards, and keys beside the first.
fn gateway() -> Plan {
    let places = |issuer: &str, header: &str, prefix: &str| {
        json!({"issuer": issuer, "fromHeaders": [{"name": header, "prefix": prefix}],
            "fromParams": [issuer], "fromCookies": [issuer]})
    };
    let mut forwards = places("they", "x-they", "");
    forwards["forwardOriginalToken"] = json!(true);
    let rules =
        [places("me", "authorization", "Bearer "), places("you", "x-you", "Token "), forwards];
    let settings = json!({
        "authentication": {
            "jwtRules": rules.map(rule),
            "apiKeys": {"header": "authorization", "prefix": "Bearer ",
                "keys": [{"name": "n", "sha256": hash("mg_own")}]},
        },
        "bypass": [{"name": "open", "to": [{"operation": {"paths": ["*/status"]}}]}],
        "shadows": [{"name": "s", "models": ["*"], "cluster": "c"}],
    });
    let mut errors = Errors::default();
    let plan = Plan::read(settings.to_string().as_bytes(), &mut errors);
    plan.unwrap_or_else(|| panic!("{errors}"))
}

/// What reaches the model: the path and the header lines.
fn upstream(
    plan: &Plan,
    request: &str,
    lines: &[(&str, &str)],
) -> (Decision, Vec<(String, String)>) {
    let (method, path) = request.split_once(' ').unwrap();
    let pseudo = [(":method", method), (":path", path), (":authority", "models.example.com")];
    let headers: Vec<Header<'_>> =
        pseudo.iter().chain(lines).map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let host = TestHost::new(false);
    let attributes = Attributes::new(&host);
    let request = Request::new(&headers, &attributes);
    let decision = plan.decide(&request, &mut no_cache(), |_| Ok(()));
    // Of a request that is answered, the path that access logs show.
    let shown = |path: &[u8]| (":path".to_owned(), text(path));
    let after = match &decision.next {
        Next::Forward(Forward { edits, .. }) => {
            let path = edits.lines(&request, b":path").map(shown);
            lines_after(edits, &request).into_iter().chain(path).collect()
        }
        Next::AwaitModel(_) => panic!("no body names a model here"),
        Next::Reply(reply) => vec![shown(reply.path.as_deref().unwrap_or(path.as_bytes()))],
    };
    (decision, after)
}

/// Method, path, who it is, and the lines that say so.
type Way<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)]);

#[test]
fn what_nobody_read_reaches_no_model_on_any_way() {
    let plan = gateway();
    let token = |issuer: &str| mint(&json!({"iss": issuer, "sub": "s"}));
    let (me, you, they) = (token("me"), token("you"), token("they"));
    let bearer = format!("Bearer {me}");
    let predict = "/seldon/prod/iris/api/v1.0/predictions";
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    let ways: [Way<'_>; 7] = [
        ("POST", predict, "me/s", &[("authorization", &bearer)]),
        ("POST", predict, "they/s", &[("x-they", &they)]),
        ("POST", predict, "apikey/n", &[("authorization", "Bearer mg_own")]),
        ("POST", predict, "anonymous", &[]),
        ("GET", "/seldon/prod/iris/status", "bypassed", &[]),
        ("OPTIONS", predict, "anonymous", &preflight),
        ("OPTIONS", "*", "anonymous", &[]),
    ];
    let mut tried = 0;
    for (method, path, who, given) in ways {
        for (place, name, value) in [
            // Good, under another rule.
            ("header", "x-you", format!("Token {you}")),
            ("query", "you", you.clone()),
            ("cookie", "you", you.clone()),
            ("query", "me", me.clone()),
            ("cookie", "me", me.clone()),
            // Read by other servers, and by no rule.
            ("header", "x-you", format!("token {you}")),
            ("header", "x-you", format!("Token\t{you}")),
            ("header", "x-you", format!("TOKEN \t {you}")),
            ("header", "authorization", format!("bearer {you}")),
            ("header", "authorization", format!("BEARER\t{you}")),
            ("header", "authorization", "bearer mg_other".into()),
            ("header", "authorization", "BEARER \t mg_other".into()),
            ("header", "authorization", "Bearer\tmg_other".into()),
            ("header", "authorization", "mg_other".into()),
            ("header", "authorization", "Basic mg_other".into()),
            ("cookie", " you ", you.clone()),
            ("cookie", ",you", you.clone()),
            ("cookie", "\"you\"", you.clone()),
            ("cookie", "y%6fu", you.clone()),
            ("query", ";you", you.clone()),
            // `_` for `-`.
            ("header", "x_you", you.clone()),
            ("header", "x_you", format!("token {you}")),
            ("header", "x_you", "token opaque".into()),
            // Another scheme, none, or another mark behind it.
            ("header", "x-you", you.clone()),
            ("header", "authorization", you.clone()),
            ("header", "authorization", format!("JWT {you}")),
            ("header", "authorization", format!("Token {you}")),
            ("header", "authorization", format!("Token token=\"{you}\"")),
            ("header", "authorization", format!("Bearer{you}")),
            ("header", "authorization", format!("Bearer:{you}")),
            ("header", "authorization", format!("Bearer={you}")),
            ("header", "authorization", format!("Bearer,{you}")),
            ("header", "authorization", format!("Basic eA==, bearer {you}")),
            ("header", "authorization", "Bearer:opaque".into()),
            ("header", "authorization", "Basic eA==,bearer opaque".into()),
            ("header", "authorization", "eyJhbGciOiJub25lIn0=.eyJzdWIiOiJzIn0=.".into()),
            ("header", "authorization", format!("{}.e30.", b64("{\r\n  \"alg\": \"none\"}"))),
            ("header", "authorization", format!("{}.e30.", b64("{\t\"alg\": \"none\"}"))),
            ("header", "authorization", format!("{}.e30.", b64("{      \"alg\": \"none\"}"))),
            ("header", "authorization", format!("{}.e30.", b64(" {\"alg\": \"none\"}"))),
            ("header", "authorization", format!("{}.e30.", b64("\r\n{\"alg\": \"none\"}"))),
            ("header", "authorization", format!("{}.e30.", b64("\t \n \r  {\n\"alg\": \"none\"}"))),
            ("header", "authorization", format!("{}.e30.", b64("{\0\"\0a\0\"\0:\0\x31\0}\0"))),
            ("header", "authorization", format!("{}.e30.", b64("\0{\0\"\0a\0\"\0:\0\x31\0}"))),
        ] {
            let mut lines = given.to_vec();
            let mut path = format!("{path}?a=%41");
            let cookie = format!("theme=dark; {name}={value}");
            match place {
                "header" => lines.push((name, &value)),
                "query" => path = format!("{path}&{name}={value}"),
                _ => lines.push(("cookie", &cookie)),
            }
            let is_read = (who == "anonymous" && given.is_empty() && path.starts_with('/'))
                || who.starts_with("apikey");
            let strict =
                value.starts_with("Token ") || name.bytes().all(|c| c.is_ascii_alphabetic());
            if is_read && strict || who == "apikey/n" && name == "authorization" {
                // It is then the identity's, or one too many.
                continue;
            }
            let (decision, after) = upstream(&plan, &format!("{method} {path}"), &lines);
            let what = format!("{method} {path} as {who}, {name}: {value}");
            let Next::Forward(Forward { copies, .. }) = decision.next else { panic!("{what}") };
            let principal = decision.facts.identity.and_then(|identity| identity.principal());
            assert_eq!(principal.is_some(), who.contains('/'), "{what}");
            let secret = value.rsplit([' ', '\t', ':', ',']).next().unwrap();
            assert!(after.iter().all(|(_, value)| !value.contains(secret)), "{what}: {after:?}");
            let has =
                |name: &str, value: &str| after.contains(&(name.to_owned(), value.to_owned()));
            assert!(place != "cookie" || has("cookie", "theme=dark"), "{what}: {after:?}");
            let kept = |v: &str| v.trim_end_matches('&').ends_with("?a=%41");
            assert!(after.iter().any(|(n, v)| n == ":path" && kept(v)), "{what}");
            // What the rule that accepted it forwards stays.
            assert_eq!(principal.as_deref() == Some("they/s"), has("x-they", &they), "{what}");
            for copy in copies.iter().filter_map(|(_, copy)| copy.as_ref().ok()) {
                assert!(copy.lines().all(|(_, line)| !text(line).contains(secret)), "{what}");
            }
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried}");
}

/// Two rules that forward, the first with a place of each kind.
fn forwarding_gateway() -> Plan {
    let forwards = |issuer: &str, headers: Value| json!({"issuer": issuer, "fromHeaders": headers, "forwardOriginalToken": true});
    let mut first = forwards(
        "me",
        json!([{"name": "authorization", "prefix": "Bearer "}, {"name": "x-raw"},
            {"name": "x-form", "prefix": "v="}]),
    );
    first["fromParams"] = json!(["jwt"]);
    first["fromCookies"] = json!(["session"]);
    let settings = json!({
        "authentication": {"jwtRules": [rule(first), rule(forwards("you", json!([{"name": "x-you"}])))]},
        "bypass": [{"name": "open", "to": [{"operation": {"paths": ["*/status"]}}]}],
    });
    let mut errors = Errors::default();
    let plan = Plan::read(settings.to_string().as_bytes(), &mut errors);
    plan.unwrap_or_else(|| panic!("{errors}"))
}

#[test]
fn what_is_forwarded_is_what_was_verified_and_nothing_like_it() {
    let plan = forwarding_gateway();
    let (me, you) = (mint(&json!({"iss": "me", "sub": "s"})), mint(&json!({"iss": "you"})));
    let forged = mint_raw(r#"{"alg":"none"}"#, r#"{"iss":"me","sub":"root"}"#);
    let predict = "/seldon/prod/iris/api/v1.0/predictions";
    let fill =
        |text: &str| text.replace("GOOD", &me).replace("YOU", &you).replace("FORGED", &forged);
    let way = |method: &str, path: &str, lines: &[(&str, &str)]| {
        let lines: Vec<(&str, String)> = lines.iter().map(|(n, v)| (*n, fill(v))).collect();
        let lines: Vec<(&str, &str)> = lines.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let (decision, after) = upstream(&plan, &format!("{method} {}", fill(path)), &lines);
        assert!(decision.reply().is_none(), "{path} {lines:?}");
        let identity = decision.facts.identity.and_then(|identity| identity.issuer.clone());
        (identity.unwrap_or_default(), after)
    };
    type Lines<'a> = &'a [(&'a str, &'a str)];
    let rows: [(&str, &str, Lines<'_>, &str, Lines<'_>); 29] = [
        ("me", "?jwt=GOOD", &[], "?jwt=GOOD", &[]),
        ("me", "?jwt=GOOD&jwt=FORGED&a=%20", &[], "?jwt=GOOD&a=%20", &[]),
        ("me", "?a=1;jwt=FORGED&jwt=GOOD&b;jwt=x", &[], "?a=1&jwt=GOOD&b", &[]),
        ("me", "?%6awt=GOOD&jwt=x&j%77t=x", &[], "?%6awt=GOOD", &[]),
        ("", "?a;jwt=FORGED", &[], "?a", &[]),
        ("me", "", &[("cookie", "session=GOOD")], "", &[("cookie", "session=GOOD")]),
        ("me", "", &[("cookie", "a; session=GOOD;b")], "", &[("cookie", "a; session=GOOD;b")]),
        (
            "me",
            "",
            &[("cookie", "session=GOOD; session=FORGED")],
            "",
            &[("cookie", "session=GOOD")],
        ),
        (
            "me",
            "",
            &[
                ("cookie", "b=2,session=x; session=\"GOOD\"; s%65ssion=x; a"),
                ("cookie", "session=x; c"),
            ],
            "",
            &[("cookie", "b=2; session=\"GOOD\"; a"), ("cookie", "c")],
        ),
        ("", "", &[("cookie", "a=1; session\u{a0}=x")], "", &[("cookie", "a=1")]),
        ("me", "", &[("x-raw", "GOOD"), ("x_raw", "FORGED")], "", &[("x-raw", "GOOD")]),
        ("", "", &[("x_raw", "FORGED")], "", &[]),
        ("", "", &[("x_raw", "opaque")], "", &[]),
        (
            "me",
            "",
            &[("x-raw", "GOOD"), ("x-raw", "GOOD")],
            "",
            &[("x-raw", "GOOD"), ("x-raw", "GOOD")],
        ),
        ("", "", &[("authorization", "bearer FORGED")], "", &[]),
        ("", "", &[("authorization", "bearer opaque")], "", &[]),
        ("", "", &[("authorization", "\u{a0}bearer opaque")], "", &[]),
        ("", "", &[("authorization", "FORGED")], "", &[]),
        ("", "", &[("authorization", "Basic eA==")], "", &[("authorization", "Basic eA==")]),
        (
            "me",
            "",
            &[("authorization", "bearer FORGED"), ("authorization", "Bearer GOOD")],
            "",
            &[("authorization", "Bearer GOOD")],
        ),
        (
            "me",
            "",
            &[("authorization", "bearer opaque, Bearer GOOD")],
            "",
            &[("authorization", "Bearer GOOD")],
        ),
        (
            "me",
            "",
            &[("authorization", "FORGED Bearer GOOD")],
            "",
            &[("authorization", "Bearer GOOD")],
        ),
        (
            "me",
            "",
            &[("authorization", "Basic eA==, Bearer GOOD")],
            "",
            &[("authorization", "Basic eA==, Bearer GOOD")],
        ),
        ("me", "", &[("x-form", "a=1; v=GOOD")], "", &[("x-form", "a=1; v=GOOD")]),
        ("", "", &[("x-form", "a=1")], "", &[("x-form", "a=1")]),
        // Good or not: nobody has asked the second rule.
        ("me", "", &[("x-raw", "GOOD"), ("x-you", "YOU")], "", &[("x-raw", "GOOD")]),
        ("me", "?jwt=GOOD", &[("x-you", "FORGED")], "?jwt=GOOD", &[]),
        ("you", "", &[("x-you", "YOU")], "", &[("x-you", "YOU")]),
        ("you", "", &[("x-you", "YOU"), ("x_raw", "FORGED")], "", &[("x-you", "YOU")]),
    ];
    for (who, query, lines, query_after, lines_after) in rows {
        let (identity, after) = way("POST", &format!("{predict}{query}"), lines);
        assert_eq!(identity, who, "{query} {lines:?}");
        let want = lines_after.iter().map(|(name, value)| ((*name).to_owned(), fill(value)));
        let path = (":path".to_owned(), fill(&format!("{predict}{query_after}")));
        assert_eq!(after, want.chain([path]).collect::<Vec<_>>(), "{query} {lines:?}");
        // A preflight is not asked for any.
        let mut preflight = vec![("origin", "x"), ("access-control-request-method", "POST")];
        preflight.extend(lines);
        let (_, after) = way("OPTIONS", &format!("{predict}{query}"), &preflight);
        let shows = |text: &str| after.iter().any(|(_, value)| value.contains(text));
        assert!(![&me, &you, &forged].map(String::as_str).into_iter().any(shows), "{after:?}");
        // Who is bypassed meets with what the model asks for.
        let (_, after) = way("GET", &format!("/seldon/prod/iris/status{query}"), lines);
        assert!(
            lines.iter().all(|(n, v)| after.contains(&((*n).to_owned(), fill(v)))),
            "{after:?}"
        );
    }
}

#[test]
fn what_is_none_and_what_is_forwarded_stays() {
    let plan = gateway();
    let they = mint(&json!({"iss": "they", "sub": "s"}));
    let predict = "POST /seldon/prod/iris/api/v1.0/predictions";
    for (name, value) in [
        ("authorization", "Basic Zm9vOmJhcg=="),
        ("authorization", "Bearers x"),
        ("authorization", "Digest username=\"bearer\""),
        ("authorization", "Hawk mac=\"amg_x\", id=\"x/mg_\""),
        ("authorization", "Digest username=\"eyJ\", realm=\"a.b.c\", uri=\"//ewoks.example.com/\""),
        ("authorization", "Digest realm=\"eyJhbGciOiJub25lIn0.x\", uri=\"//eyAlbert.a.b/\""),
        ("authorization", "Basic ZXlKaGJHY2lPaUp1YjI1bEluMC5lMzAu"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=a/b.c.d/x, Signature=0a.1b.2c"),
        ("authorization", "x=bearer"),
        ("x-you", "Token-x a"),
        ("x_your", "Token x"),
        ("x-you", "Tokens x"),
        ("x-you", "a token x"),
        ("cookie", "You=1; theyyou=2; you"),
        ("x-they", they.as_str()),
    ] {
        let (decision, after) = upstream(&plan, predict, &[(name, value)]);
        assert!(decision.reply().is_none(), "{name}: {value}");
        assert!(after.contains(&(name.to_owned(), value.to_owned())), "{value}: {after:?}");
    }
    // Where one rule forwards what another does not: by who accepted it, line by line.
    let header = |prefix: &str| json!([{"name": "authorization", "prefix": prefix}]);
    let shared = authenticator(json!({"jwtRules": [
        rule(json!({"issuer": "they", "fromHeaders": header("Bearer "), "forwardOriginalToken": true})),
        rule(json!({"issuer": "you", "fromHeaders": header("Bearer ")})),
        rule(json!({"issuer": "zoe", "fromHeaders": header("Token ")})),
    ]}));
    let token = |issuer: &str| mint(&json!({"iss": issuer, "sub": "s"}));
    let good = format!("Bearer {they}");
    let (you, zoe) = (format!("Bearer {}", token("you")), format!("Token {}", token("zoe")));
    for (lines, want) in [
        (vec![good.as_str()], vec![good.as_str()]),
        (vec![&zoe, &good], vec![&good]),
        (vec![&you], vec![]),
        (vec![&zoe], vec![]),
    ] {
        let headers: Vec<Header<'_>> = std::iter::once((b":path".as_slice(), b"/".as_slice()))
            .chain(lines.iter().map(|line| (b"authorization".as_slice(), line.as_bytes())))
            .collect();
        let host = TestHost::new(false);
        let attributes = Attributes::new(&host);
        let request = Request::new(&headers, &attributes);
        let mut edits = Edits::default();
        let result = shared.authenticate(&request, &mut no_cache(), &mut edits);
        shared.strip(&request, result.path, result.rule, &mut edits);
        let after: Vec<String> =
            lines_after(&edits, &request).into_iter().map(|(_, value)| value).collect();
        assert_eq!(after, want, "{lines:?}");
    }
}

#[test]
fn policies_see_what_was_not_read_as_in_istio_and_access_logs_do_not() {
    let places = |issuer: &str, name: &str| {
        let header = json!([{"name": name}]);
        rule(json!({"issuer": issuer, "fromHeaders": header, "fromParams": [issuer]}))
    };
    let settings = json!({
        "authentication": {"jwtRules": [places("a", "x-a"), places("b", "x-b")]},
        "authorization": {"policies": [{"name": "p", "action": "DENY", "rules": [{"when": [
            {"key": "request.headers[x-b]", "values": ["*"]}]}]}]},
    });
    let mut errors = Errors::default();
    let plan = Plan::read(settings.to_string().as_bytes(), &mut errors).unwrap();
    let (a, b) = (mint(&json!({"iss": "a"})), mint(&json!({"iss": "b"})));
    let path = "/seldon/prod/iris/api/v1.0/predictions?c";
    let request = format!("POST {path}&b={b}&a={a}");
    for (lines, want) in [(vec![], None), (vec![("x-b", b.as_str())], Some(403))] {
        let (decision, after) = upstream(&plan, &request, &lines);
        assert_eq!(decision.reply().map(|reply| reply.code), want);
        // Of a request that is answered, this is what an access log may show.
        assert!(after.contains(&(":path".to_owned(), path.to_owned())), "{want:?}: {after:?}");
    }
}
