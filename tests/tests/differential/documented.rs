//! Every difference that docs/istio.md names and the suite explains does occur, and is explained by its own
//! row alone.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use serde_json::{Value, json};

use crate::arena::{Arena, Side};
use crate::case::{Ask, Client, Set};
use crate::certificates::Certificates;
use crate::differences::*;
use crate::token::{Spelling, Token};

/// A good token of `me`.
fn token(more: &[(&str, &str)]) -> Token {
    let claims = [("iss", "\"me\""), ("sub", "\"alice\""), ("exp", "@+3600@")];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Token {
        header: vec![owned(("alg", "\"ES256\""))],
        claims: claims.into_iter().chain(more.iter().copied()).map(owned).collect(),
        owner: "a".into(),
        algorithm: "ES256".into(),
        spelling: Spelling::Right,
    }
}

fn signed(algorithm: &str, more: &[(&str, &str)]) -> Token {
    let header = vec![("alg".into(), format!("\"{algorithm}\""))];
    Token { header, algorithm: algorithm.into(), ..token(more) }
}

fn spelt(spelling: Spelling) -> Token {
    Token { spelling, ..token(&[]) }
}

fn rule(more: Value) -> Value {
    let mut rule = json!({"issuer": "me", "jwks": {"owners": ["a"]}});
    if let (Some(rule), Value::Object(more)) = (rule.as_object_mut(), more) {
        rule.extend(more);
    }
    rule
}

fn set(rules: Vec<Value>) -> Set {
    Set { rules, policies: Vec::new(), hops: 0, tls: false }
}

fn ask(path: &str, headers: &[(&str, &str)], tokens: Vec<Token>) -> Ask {
    Ask {
        method: "GET".into(),
        path: path.into(),
        host: "models.example.com".into(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        tokens,
        client: Client { address: 1, tls: false, certificate: String::new(), sni: String::new() },
    }
}

fn bearer(token: Token) -> Ask {
    ask("/", &[("authorization", "Bearer <0>")], vec![token])
}

fn occurring() -> Vec<(&'static str, Set, Ask)> {
    let plain = || set(vec![rule(json!({}))]);
    let mut cases = Vec::new();
    for spelling in [
        Spelling::DotBehind,
        Spelling::DotBetween,
        Spelling::DotBefore,
        Spelling::SpaceInHeader,
        Spelling::SpaceInPayload,
        Spelling::SpaceInSignature,
        Spelling::UnusedBitsInSignature,
        Spelling::PaddedSignature,
    ] {
        cases.push((SPELLING, plain(), bearer(spelt(spelling))));
    }
    for spelling in [Spelling::CommaInHeader, Spelling::CommaInPayload, Spelling::NullPayload] {
        cases.push((JSON, plain(), bearer(spelt(spelling))));
    }
    let mut critical = token(&[]);
    critical.header.push(("crit".into(), r#"["exp"]"#.into()));
    cases.push((CRIT, plain(), bearer(critical)));
    let mut confused = token(&[]);
    confused.header = vec![("alg".into(), "\"RS256\"".into())];
    cases.push((KEY_TYPE, plain(), bearer(confused)));
    let several = json!({"fromHeaders": [{"name": "x-token"}],
        "outputClaimToHeaders": [{"header": "x-sub", "claim": "sub"}]});
    let lines = [("x-token", "<0>"), ("x-token", "<1>")];
    let two = vec![token(&[]), token(&[("jti", "\"2\"")])];
    cases.push((SEVERAL, set(vec![rule(several.clone())]), ask("/", &lines, two)));
    // Where a policy asks for what only the other token says.
    let team = json!({"fromHeaders": [{"name": "x-token"}],
        "outputClaimToHeaders": [{"header": "x-team", "claim": "team"}]});
    let mut by_team = set(vec![rule(team)]);
    by_team.policies = vec![json!({"name": "p", "namespace": "prod", "action": "DENY",
        "rules": [{"when": [{"key": "request.headers[X-Team]", "values": ["red"]}]}]})];
    let two = vec![token(&[]), token(&[("team", "\"red\"")])];
    cases.push((SEVERAL, by_team, ask("/", &lines, two)));
    let expired = Token {
        claims: vec![("iss".into(), "\"me\"".into()), ("exp".into(), "@-3600@".into())],
        ..token(&[])
    };
    cases.push((CHALLENGE, plain(), ask("/?a=1&access_token=<0>", &[], vec![expired])));
    let query = "/?b=%41&access_token=<0>&a";
    cases.push((QUERY, plain(), ask(query, &[], vec![token(&[])])));
    for large in ["9007199254740993", "-9007199254740993", "18446744073709551617"] {
        let level = json!({"outputClaimToHeaders": [{"header": "x-level", "claim": "level"}]});
        cases.push((NUMBERS, set(vec![rule(level)]), bearer(token(&[("level", large)]))));
    }
    let level = json!({"outputClaimToHeaders": [{"header": "x-level", "claim": "level"}]});
    let blank = token(&[("level", "\"gold \"")]);
    cases.push((BLANKS, set(vec![rule(level)]), bearer(blank)));
    cases.push((UNDERSCORE, set(vec![rule(several)]), ask("/", &[("x_sub", "eve")], vec![])));
    let other = json!({"issuer": "https://b.example.com/", "jwks": {"owners": ["b"]}});
    let elsewhere = Token { claims: vec![], ..token(&[]) };
    let tried = rule(json!({"fromHeaders": [{"name": "x-token"}]}));
    let two = vec![elsewhere, token(&[])];
    cases.push((TRIED_AGAIN, set(vec![other, tried]), ask("/", &lines, two)));
    let cookie = json!({"fromCookies": ["session"]});
    let lines = [("cookie", "a=1; session=<0>; b")];
    cases.push((COOKIE, set(vec![rule(cookie)]), ask("/", &lines, vec![token(&[])])));
    let preflight = [
        ("authorization", "Bearer <0>"),
        ("origin", "https://web.example.com"),
        ("access-control-request-method", "POST"),
    ];
    let preflight = ask("/?a&access_token=<0>", &preflight, vec![token(&[])]);
    cases.push((PREFLIGHT, plain(), Ask { method: "OPTIONS".into(), ..preflight }));
    // Under another rule, and behind a scheme in other letters.
    let second = json!({"issuer": "https://b.example.com/", "jwks": {"owners": ["b"]},
        "fromHeaders": [{"name": "x-second", "prefix": "Token "}], "fromParams": ["second"]});
    let two = || set(vec![rule(json!({})), second.clone()]);
    let lines = [("authorization", "Bearer <0>"), ("x-second", "Token <0>")];
    cases.push((UNREAD, two(), ask("/", &lines, vec![token(&[])])));
    let in_query = ask("/?a=1&second=<0>", &lines[..1], vec![token(&[])]);
    cases.push((UNREAD, two(), in_query));
    let scheme = ask("/", &[("authorization", "bearer <0>")], vec![token(&[])]);
    cases.push((UNREAD, plain(), scheme));
    // Names and marks that other servers take for the same.
    for line in ["<0>", "JWT <0>", "Bearer:<0>", "Basic eA==, bearer <0>", "Token \"<0>\""] {
        let other = ask("/", &[("authorization", line)], vec![token(&[])]);
        cases.push((UNREAD, plain(), other));
    }
    let spelt = [lines[0], ("x_second", "Token <0>")];
    cases.push((UNREAD, two(), ask("/", &spelt, vec![token(&[])])));
    let in_query = ask("/?a=1;second=<0>", &lines[..1], vec![token(&[])]);
    cases.push((UNREAD, two(), in_query));
    // What is like a token that is forwarded.
    let forwards = || set(vec![rule(json!({"forwardOriginalToken": true}))]);
    let repeated = ask("/?access_token=<0>&a&access_token=<0>", &[], vec![token(&[])]);
    cases.push((UNREAD, forwards(), repeated));
    let scheme = ask("/", &[("authorization", "bearer <0>")], vec![token(&[])]);
    cases.push((UNREAD, forwards(), scheme));
    for (alg, owner) in [("EdDSA", "a"), ("PS256", "b")] {
        let many =
            json!({"issuer": "me", "jwks": {"owners": vec![owner; 5], "kid": true, "alg": true}});
        let token = Token { owner: owner.into(), ..signed(alg, &[]) };
        cases.push((MANY_KEYS, set(vec![many]), bearer(token)));
        let one = json!({"fromHeaders": [{"name": "x-token"}],
            "jwks": {"owners": ["a"], "kid": true, "alg": true}});
        let tokens =
            ["1", "2", "3", "4", "5"].map(|id| signed(alg, &[("jti", &format!("\"{id}\""))]));
        let lines = ["<0>", "<1>", "<2>", "<3>", "<4>"].map(|text| ("x-token", text));
        cases.push((MANY_TOKENS, set(vec![rule(one)]), ask("/", &lines, tokens.into())));
    }
    let dotted = Ask { host: "models.example.com.:80".into(), ..bearer(token(&[])) };
    cases.push((DOT, plain(), dotted));
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_differences_occur() -> Result<()> {
    let certificates = Arc::new(Certificates::new()?);
    let occurring = occurring();
    let sets: Vec<Set> = occurring.iter().map(|(_, set, _)| set.clone()).collect();
    let arena = Arena::start(&sets, &certificates).await?;
    for (i, (name, set, ask)) in occurring.iter().enumerate() {
        let texts = ask.texts()?;
        let asks = [(ask.client.clone(), ask.with(&texts)?)];
        let native = arena.answers(Side::Native, i, &asks).await?.pop().context("no answer")?;
        let ours = arena.answers(Side::Modelgate, i, &asks).await?.pop().context("no answer")?;
        let case = Case { set: set.clone(), ask: ask.clone(), texts, native, ours };
        ensure!(case.native != case.ours, "{name} does not occur:\n{case}");
        let mut rows = explain(&arena, i, &case).await?.unwrap_or_default();
        if rows.is_empty() {
            rows = explain_without_removal(&certificates, vec![case.clone()]).await?.1;
        }
        ensure!(rows == [*name], "{name} is explained by {rows:?}:\n{case}");
    }
    Ok(())
}

#[test]
fn every_row_that_explains_is_documented() {
    let page = include_str!("../../../docs/istio.md");
    for (name, _, _) in occurring() {
        let row = page.lines().any(|line| {
            line.starts_with(&format!("| {name} |")) || line.starts_with(&format!("- {name}"))
        });
        assert!(row, "docs/istio.md has no row {name}");
    }
}

#[test]
fn what_would_be_skipped_or_widened_is_refused_when_loaded() {
    let policy = |rule: Value| json!({"authorization": {"policies": [{"name": "p", "action": "DENY", "rules": [rule]}]}});
    let source = |source: Value| policy(json!({"from": [{"source": source}]}));
    for config in [
        json!({"authentication": {"jwtRules": [{"issuer": "me"}]}}),
        json!({"authentication": {"jwtRules": [{"issuer": "apikey/x", "jwks": "{}"}]}}),
        source(json!({"ipBlocks": ["10.0.0.0/8", "10.0.0.0/99"]})),
        source(json!({"principals": ["spiffe://cluster.local/ns/prod/sa/web"]})),
        policy(json!({"when": [{"key": "request.user", "values": ["x"]}]})),
        policy(json!({"when": [{"key": "experimental.envoy.filters.x[k]", "values": ["x"]}]})),
        json!({"authorization": {"policies": [{"name": "p", "action": "CUSTOM", "rules": [{}]}]}}),
    ] {
        let mut errors = Errors::default();
        assert!(Plan::read(config.to_string().as_bytes(), &mut errors).is_none(), "{config}");
    }
}
