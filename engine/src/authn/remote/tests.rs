//! Fetched key sets: when they are fetched, what they are then, and what tokens see of it.

use serde_json::{Value, json};

use super::super::tests::{
    NOW, Outcome, TestHost, authenticator, compile, ec_key, jwks, mint, no_cache, other_ec_key,
    run_with,
};
use super::super::{Authenticator, MissingKeys, TokenCache};
use super::*;
use crate::config::types;
use crate::config::values::Size;

const SECOND: u64 = 1_000_000_000;
/// In nanoseconds, what the host of the tests reads as a clock.
const START: u64 = NOW * SECOND + 999_999_999;

fn ok_headers() -> Vec<(&'static [u8], &'static [u8])> {
    vec![(b":status", b"200"), (b"x-envoy-upstream-service-time", b"1")]
}

fn finish(remote: &Remote, body: &str, now: u64) -> FetchResult {
    let headers = ok_headers();
    let answer = Answer { headers: &headers, body: body.as_bytes(), body_len: body.len() };
    remote.finished(Some(&answer), now, 7).result
}

/// A fetch from beginning to end.
fn fetch(remote: &Remote, body: &str, now: u64) -> FetchResult {
    assert!(remote.is_due(now));
    remote.started(now);
    assert!(!remote.is_due(now), "one at a time");
    finish(remote, body, now)
}

fn fail(remote: &Remote, now: u64) {
    remote.started(now);
    assert_eq!(remote.finished(None, now, 7).result, FetchResult::Failed);
}

fn key(id: &str, mut key: Value) -> Value {
    key["kid"] = json!(id);
    key
}

fn rule(more: Value) -> Value {
    let mut rule = json!({"issuer": "me", "jwksUri": "https://idp/keys", "jwksCluster": "idp"});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

fn one_remote() -> Authenticator {
    authenticator(json!({"jwtRules": [rule(json!({}))]}))
}

fn only(authenticator: &Authenticator) -> &Remote {
    authenticator.remotes().get(0).unwrap()
}

fn good() -> String {
    jwks(&[ec_key()])
}

/// A token at a time, in seconds after the start.
fn send(authenticator: &Authenticator, cache: &mut TokenCache, token: &str, after: u64) -> Outcome {
    let host = TestHost::new(true);
    host.now.set(NOW + after);
    let line = format!("Bearer {token}");
    run_with(authenticator, &host, cache, "/", &[("authorization", &line)])
}

fn token() -> String {
    mint(&json!({"iss": "me", "sub": "s"}))
}

fn cache() -> TokenCache {
    TokenCache::new(&types::TokenCache { bytes: Size::mib(1) })
}

const NO_KEYS: &str = "Jwks remote fetch is failed";
const WAIT: Option<MissingKeys> =
    Some(MissingKeys { remote: 0, wait: Some(Duration::from_secs(5)) });

#[test]
fn a_token_waits_for_the_first_keys_only() {
    let authenticator = one_remote();
    let remote = only(&authenticator);
    let mut cache = cache();
    let mut sent = |after| {
        let outcome = send(&authenticator, &mut cache, &token(), after);
        (outcome.verdict(), outcome.authentication.missing_keys)
    };
    assert_eq!(sent(0), (NO_KEYS.to_owned(), WAIT));
    remote.started(START);
    assert_eq!(sent(1), (NO_KEYS.to_owned(), WAIT));
    assert_eq!(remote.finished(None, START + SECOND, 7).result, FetchResult::Failed);
    assert_eq!(sent(1), (NO_KEYS.to_owned(), None));
    // The next attempt is due.
    assert_eq!(sent(3), (NO_KEYS.to_owned(), WAIT));
    assert_eq!(fetch(remote, &good(), START + 3 * SECOND), FetchResult::Ok);
    assert_eq!(sent(3), ("me/s".to_owned(), None));
    // Fails from now on: the old keys serve for a day, then nobody waits for long.
    for hour in 1..=25 {
        fail(remote, START + hour * 3600 * SECOND);
    }
    assert_eq!(sent(3 + 24 * 3600), ("me/s".to_owned(), None));
    assert_eq!(sent(4 + 24 * 3600).0, NO_KEYS);
}

#[test]
fn nobody_waits_with_a_token_that_fails_anyway_or_without_one() {
    let authenticator = authenticator(json!({"jwtRules": [rule(json!({"audiences": ["m"]}))]}));
    for (claims, want) in [
        (json!({"iss": "you", "aud": "m"}), "Jwt issuer is not configured"),
        (json!({"iss": "me", "aud": "n"}), "Audiences in Jwt are not allowed"),
        (json!({"iss": "me", "aud": "m", "exp": 1}), "Jwt is expired"),
    ] {
        let outcome = send(&authenticator, &mut no_cache(), &mint(&claims), 0);
        assert_eq!((outcome.verdict().as_str(), outcome.authentication.missing_keys), (want, None));
    }
    let outcome = send(&authenticator, &mut no_cache(), "junk", 0);
    assert_eq!(outcome.authentication.missing_keys, None);
    let host = TestHost::new(true);
    let outcome = run_with(&authenticator, &host, &mut no_cache(), "/", &[]);
    assert_eq!(
        (outcome.verdict().as_str(), outcome.authentication.missing_keys),
        ("anonymous", None)
    );
}

#[test]
fn a_removed_key_verifies_nothing_from_the_fetch_on() {
    let authenticator = one_remote();
    let remote = only(&authenticator);
    let mut cache = cache();
    let mut sent = |after| {
        let outcome = send(&authenticator, &mut cache, &token(), after);
        (outcome.verdict(), outcome.results()[0].0)
    };
    let both = jwks(&[key("a", ec_key()), key("b", other_ec_key())]);
    assert_eq!(fetch(remote, &both, START), FetchResult::Ok);
    assert_eq!(sent(0), ("me/s".to_owned(), "verified"));
    assert_eq!(sent(1), ("me/s".to_owned(), "cached"));
    // The same keys again: what was verified stays so.
    assert_eq!(fetch(remote, &format!(" {both}"), START + 300 * SECOND), FetchResult::Ok);
    assert_eq!(sent(300), ("me/s".to_owned(), "cached"));
    assert_eq!(
        fetch(remote, &jwks(&[key("b", other_ec_key())]), START + 600 * SECOND),
        FetchResult::Ok
    );
    assert_eq!(sent(600), ("Jwt verification fails".to_owned(), "bad_signature"));
    assert_eq!(fetch(remote, &both, START + 900 * SECOND), FetchResult::Ok);
    assert_eq!(sent(900), ("me/s".to_owned(), "verified"));
}

#[test]
fn an_empty_or_broken_answer_is_no_rotation() {
    let authenticator = one_remote();
    let remote = only(&authenticator);
    assert_eq!(fetch(remote, &good(), START), FetchResult::Ok);
    let weak = jwks(&[json!({"kty": "oct", "k": "AAAA"})]);
    let many = jwks(&vec![ec_key(); 257]);
    // A good key, and beside it what would take a hundred times its text.
    let small = vec![json!({"": 0}); 8_000];
    let small = json!({"keys": [ec_key()], "more": small}).to_string();
    let big = format!("{}{}", good(), " ".repeat(1 << 20));
    let mut now = START + 300 * SECOND;
    for (body, want) in [
        ("", FetchResult::Unusable),
        ("{}", FetchResult::Unusable),
        ("[]", FetchResult::Unusable),
        ("{\"keys\":[]}", FetchResult::Unusable),
        ("<html>", FetchResult::Unusable),
        (&weak, FetchResult::Unusable),
        (&many, FetchResult::Unusable),
        (&small, FetchResult::Unusable),
        (&big, FetchResult::TooLarge),
    ] {
        assert_eq!(fetch(remote, body, now), want, "{body:.60}");
        assert_eq!(remote.generation(now), Some(1));
        now += 60 * SECOND;
    }
    assert_eq!(send(&authenticator, &mut no_cache(), &token(), 900).verdict(), "me/s");
}

#[test]
fn answers_that_are_none() {
    type Lines = &'static [(&'static [u8], &'static [u8])];
    let served: (&[u8], &[u8]) = (b"x-envoy-upstream-service-time", b"3");
    for (lines, after, want) in [
        (&[] as Lines, 1, FetchResult::Failed),
        (&[], 5, FetchResult::Timeout),
        (&[(b":status", b"503")], 1, FetchResult::Failed),
        (&[(b":status", b"503")], 5, FetchResult::Timeout),
        (&[(b":status", b"504")], 1, FetchResult::Timeout),
        (&[(b":status", b"504"), served], 5, FetchResult::Failed),
        (&[(b":status", b"302"), served], 1, FetchResult::Failed),
        (&[(b":status", b"302"), served, (b"location", b"/k?code=s3cret")], 1, FetchResult::Failed),
        (&[(b":status", b"302"), served, (b"location", b"/k#t=s3cret")], 1, FetchResult::Failed),
        (&[(b":status", b"404"), served], 1, FetchResult::Failed),
        (&[(b":status", b"\xff\r\n")], 1, FetchResult::Failed),
    ] {
        let authenticator = one_remote();
        let remote = only(&authenticator);
        remote.started(START);
        let body = good();
        let answer = Answer { headers: lines, body: body.as_bytes(), body_len: body.len() };
        let fetched = remote.finished(Some(&answer), START + after * SECOND, 0);
        assert_eq!(fetched.result, want, "{lines:?} after {after} s");
        let line = fetched.line.unwrap();
        assert!(line.starts_with("the keys of me through idp: not fetched: "), "{line}");
        assert!(!line.contains("s3cret"), "{line}");
    }
}

#[test]
fn what_is_logged_is_news() {
    let authenticator = one_remote();
    let remote = only(&authenticator);
    let line = |after: u64, body: Option<&str>| {
        remote.started(START + after * SECOND);
        let headers = ok_headers();
        let answer =
            body.map(|b| Answer { headers: &headers, body: b.as_bytes(), body_len: b.len() });
        remote.finished(answer.as_ref(), START + after * SECOND, 0).line
    };
    let said = |line: Option<String>, what: &str| assert!(line.unwrap().contains(what));
    said(line(0, None), "there is no such cluster, or it has no endpoint; until there are some");
    assert_eq!(line(9, None), None);
    said(line(20, Some("{}")), "it is a key set without a list of keys");
    said(line(30, Some(&good())), "fetched again");
    assert_eq!(line(400, Some(&good())), None);
    said(line(800, None), "those fetched before serve on");
    let mixed = jwks(&[other_ec_key(), json!({"kty": "oct", "k": "c2VjcmV0"}), json!(1)]);
    said(
        line(900, Some(&mixed)),
        "refused: keys[1]: its secret is shorter than 32 bytes; keys[2]: it is not an object",
    );
    assert_eq!(line(1300, Some(&mixed)), None);
    // The keys that serve are the same, and those that do not are others.
    let signer = key("b", json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}));
    said(line(1700, Some(&jwks(&[other_ec_key(), signer]))), "keys[1] (kid b): it is shorter");
    assert_eq!(line(2100, Some(&jwks(&[other_ec_key()]))), None);
}

#[test]
fn an_unknown_key_id_brings_one_fetch_forward() {
    let authenticator = one_remote();
    let remote = only(&authenticator);
    assert!(!remote.request_refresh(START), "the first fetch comes anyway");
    assert_eq!(fetch(remote, &jwks(&[key("a", ec_key())]), START), FetchResult::Ok);
    let other = super::super::tests::mint_raw(r#"{"alg":"ES256","kid":"b"}"#, r#"{"iss":"me"}"#);
    let outcome = send(&authenticator, &mut no_cache(), &other, 1);
    assert_eq!(outcome.authentication.missing_keys, Some(MissingKeys { remote: 0, wait: None }));
    assert!(outcome.verdict().starts_with("Jwks doesn't have key to match kid"));
    let at = |after: u64| START + after * SECOND;
    assert!(!remote.is_due(at(1)));
    assert!(remote.request_refresh(at(1)) && remote.is_due(at(1)));
    assert_eq!(fetch(remote, &jwks(&[key("a", ec_key())]), at(1)), FetchResult::Ok);
    for after in 2..31 {
        assert!(!remote.request_refresh(at(after)) && !remote.is_due(at(after)), "{after}");
    }
    assert!(remote.request_refresh(at(31)));
    // A failure is not hurried.
    fail(remote, at(31));
    assert!(!remote.request_refresh(at(90)));
}

#[test]
fn a_fetch_whose_answer_is_lost_is_sent_again() {
    let authenticator = one_remote();
    let remote = only(&authenticator);
    remote.started(START);
    assert!(!remote.is_due(START + 9 * SECOND) && remote.is_awaited(START + 9 * SECOND));
    assert!(remote.is_due(START + 10 * SECOND));
    remote.started(START);
    remote.abandoned();
    assert!(remote.is_due(START));
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let authenticator = one_remote();
    let remote = only(&authenticator);
    assert_eq!(fetch(remote, &good(), START), FetchResult::Ok);
    assert!(remote.is_due(START - SECOND));
    assert!(remote.generation(1).is_some());
    fail(remote, START);
    assert!(remote.is_due(1));
}

#[test]
fn rules_with_one_source_share_a_set_and_configurations_of_a_worker_do() {
    let settings = |refresh: &str| {
        json!({"jwks": {"refresh": refresh}, "jwtRules": [
            rule(json!({})), rule(json!({"issuer": "you", "timeout": "7s"})),
            rule(json!({"jwksCluster": "other"})), rule(json!({"jwksUri": "http://idp/keys"})),
        ]})
    };
    let mut store = KeyStore::default();
    let mut first = authenticator(settings("5m"));
    store.share(first.remotes_mut());
    assert_eq!(first.remotes().iter().count(), 3);
    assert_eq!(only(&first).timeout(), Duration::from_secs(7));
    assert_eq!(fetch(only(&first), &good(), START), FetchResult::Ok);
    let mut second = authenticator(settings("1m"));
    store.share(second.remotes_mut());
    assert_eq!(only(&second).generation(START), Some(1));
    assert_eq!(second.remotes().get(1).unwrap().generation(START), None);
    drop(first);
    // Its own settings hold for what it found.
    assert!(only(&second).is_due(START + 60 * SECOND));
    // Sets that nobody uses any more are forgotten.
    let mut none = authenticator(json!({}));
    store.share(none.remotes_mut());
    assert_eq!(store.sets.len(), 3);
    drop(second);
    store.share(none.remotes_mut());
    assert_eq!(store.sets.len(), 0);
}

#[test]
fn with_several_rules_what_can_be_waited_for_is_waited_for() {
    let inline = json!({"issuer": "me", "jwks": good()});
    let authenticator = authenticator(json!({"jwtRules": [rule(json!({})), inline]}));
    let outcome = send(&authenticator, &mut no_cache(), &token(), 0);
    assert_eq!((outcome.verdict().as_str(), outcome.authentication.missing_keys), ("me/s", WAIT));
}

#[test]
fn settings_that_are_refused() {
    let errors = |settings: Value| -> Vec<String> {
        let (compiled, errors) = compile(settings);
        assert!(compiled.is_none());
        let lines: Vec<String> = errors.to_string().lines().map(str::to_owned).collect();
        lines
            .into_iter()
            .map(|l| l.replace("authentication.", "").replace("jwtRules[0]", "rule"))
            .collect()
    };
    let cluster = "the Envoy cluster that reaches jwksUri, as outbound|443||idp.example.com";
    for (more, want) in [
        (json!({"jwks": good()}), "rule: has both jwks and jwksUri: leave one of them out: jwks holds keys, jwksUri is where they are fetched".to_owned()),
        (json!({"jwksCluster": ""}), format!("rule.jwksCluster: is not the name of a cluster (): {cluster}")),
        (json!({"jwksCluster": "a b"}), format!("rule.jwksCluster: is not the name of a cluster (a b): {cluster}")),
        (json!({"timeout": "0s"}), "rule.timeout: is out of range (0ms): 100ms to 1m".to_owned()),
        (json!({"timeout": "61s"}), "rule.timeout: is out of range (61000ms): 100ms to 1m".to_owned()),
        (json!({"jwksUri": "https://me:secret@idp/"}), "rule.jwksUri: holds a user or a password: http:// or https://, a host and a path, as https://idp.example.com/jwks.json".to_owned()),
    ] {
        assert_eq!(errors(json!({"jwtRules": [rule(more)]})), [want]);
    }
    assert_eq!(
        errors(json!({"jwtRules": [{"issuer": "me", "jwksUri": "idp"}]})),
        [
            "rule.jwksUri: is not a URL of http or https: http:// or https://, a host and a path, as https://idp.example.com/jwks.json".to_owned(),
            format!("rule.jwksCluster: is missing beside jwksUri: {cluster}"),
        ]
    );
    for (jwks, want) in [
        (json!({"refresh": "0s"}), "jwks.refresh: is out of range (0ms): 1s to 24h"),
        (
            json!({"refresh": "10m", "maxStale": "9m"}),
            "jwks.maxStale: is out of range (540000ms): at least refresh, or sets end before they are renewed, and at most 720h",
        ),
        (json!({"maxBytes": "17MiB"}), "jwks.maxBytes: is out of range (17825792B): 1KiB to 16MiB"),
    ] {
        assert_eq!(errors(json!({"jwks": jwks})), [want]);
    }
}

#[test]
fn the_request_is_a_get_of_the_uri() {
    let uri = json!({"jwksUri": "http://idp:8080?x=1"});
    let (authenticator, errors) = compile(json!({"jwtRules": [rule(uri)]}));
    let authenticator = authenticator.unwrap();
    assert_eq!(
        errors.warnings()[0].to_string(),
        "authentication.jwtRules[0].jwksUri: is not https: whoever is on the way can put keys of \
         their own in, unless the cluster's TLS keeps them out"
    );
    let lines: Vec<String> = only(&authenticator)
        .source()
        .request()
        .iter()
        .map(|(n, v)| format!("{}={}", n.escape_ascii(), v.escape_ascii()))
        .collect();
    let want = [
        ":method=GET",
        ":scheme=http",
        ":authority=idp:8080",
        ":path=/?x=1",
        "accept=application/jwk-set+json, application/json",
        concat!("user-agent=modelgate/", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(lines, want);
}

proptest::proptest! {
    /// Whatever comes in whatever order, against the plain rules.
    #[test]
    fn any_course_of_events_keeps_the_rules(
        steps in proptest::collection::vec((0u8..6, 0u64..200), 0..200), salt in proptest::num::u64::ANY,
    ) {
        let authenticator = authenticator(json!({
            "jwtRules": [rule(json!({}))], "jwks": {"refresh": "2m", "maxStale": "10m"},
        }));
        let remote = only(&authenticator);
        let sets = [good(), jwks(&[other_ec_key()])];
        let headers = ok_headers();
        let mut now = START;
        let (mut under_way, mut failed, mut asked): (Option<u64>, Option<u64>, Option<u64>) = Default::default();
        let (mut good, mut generation) = (None::<(usize, u64)>, 0);
        for (step, wait) in steps {
            now += wait * SECOND / 4;
            let busy = under_way.is_some_and(|since| now - since < 10 * SECOND);
            let due = remote.is_due(now);
            proptest::prop_assert!(!(due && busy), "two at a time");
            proptest::prop_assert!(!(due && failed.is_some_and(|at| now - at < SECOND * 3 / 4)), "no pause");
            let fresh = good.is_some_and(|(_, at)| now - at < 108 * SECOND);
            let hurried = asked.is_some();
            proptest::prop_assert!(!(due && fresh && failed.is_none() && !hurried), "too early");
            let serves = good.is_some_and(|(_, at)| now - at <= 600 * SECOND);
            proptest::prop_assert_eq!(remote.generation(now), serves.then_some(generation));
            proptest::prop_assert_eq!(remote.is_awaited(now), !serves && (busy || due));
            match step {
                0 | 1 if due => {
                    remote.started(now);
                    under_way = Some(now);
                }
                2 | 3 if under_way.is_some() => {
                    let which = usize::from(step - 2);
                    let body = sets[which].as_bytes();
                    let answer = Answer { headers: &headers, body, body_len: body.len() };
                    remote.finished(Some(&answer), now, salt);
                    if good.is_none_or(|(before, _)| before != which) {
                        generation += 1;
                    }
                    (good, failed, under_way) = (Some((which, now)), None, None);
                }
                4 if under_way.is_some() => {
                    remote.finished(None, now, salt);
                    (failed, under_way) = (Some(now), None);
                }
                5 if remote.request_refresh(now) => {
                    proptest::prop_assert!(asked.is_none_or(|at| now - at >= 30 * SECOND));
                    asked = Some(now);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn no_answer_makes_it_panic(
        status in "[0-9x]{0,4}", body in proptest::collection::vec(proptest::num::u8::ANY, 0..64),
        len in proptest::num::usize::ANY, cache_control in ".{0,30}",
    ) {
        let authenticator = one_remote();
        let remote = only(&authenticator);
        remote.started(START);
        let headers: [(&[u8], &[u8]); 2] =
            [(b":status", status.as_bytes()), (b"cache-control", cache_control.as_bytes())];
        let answer = Answer { headers: &headers, body: &body, body_len: len };
        proptest::prop_assert_ne!(remote.finished(Some(&answer), START, 0).result, FetchResult::Ok);
    }
}

#[test]
fn fetched_keys_may_serve_any_issuer() {
    for absent in [json!({}), json!({"issuer": ""})] {
        let any = json!({"jwksUri": "https://idp:8443/keys", "jwksCluster": "idp"});
        let mut any = any.as_object().unwrap().clone();
        any.extend(absent.as_object().unwrap().clone());
        let other = json!({"issuer": "other", "jwks": jwks(&[other_ec_key()]), "audiences": ["m"]});
        let (compiled, errors) = compile(json!({"jwtRules": [other, any]}));
        let authenticator = compiled.unwrap();
        let warnings: Vec<String> = errors.warnings().iter().map(ToString::to_string).collect();
        assert!(warnings[0].contains("jwtRules[1].issuer: is missing: tokens of these keys"));
        assert_eq!(only(&authenticator).issuer(), "idp:8443");
        assert_eq!(fetch(only(&authenticator), &good(), START), FetchResult::Ok);
        let host = TestHost::new(true);
        let mut cache = TokenCache::new(&types::TokenCache { bytes: Size(1 << 20) });
        // Twice, so that the second comes from the cache where there is one.
        for _ in 0..2 {
            for (claims, want) in [
                (json!({"iss": "a", "sub": "s"}), "a/s"),
                (json!({"iss": "b/c", "sub": "s"}), "b/c/s"),
                // The rule's keys speak for others: what the warning says.
                (json!({"iss": "other", "sub": "s"}), "other/s"),
                (json!({"sub": "s"}), "nobody"),
                (json!({}), "nobody"),
                (json!({"iss": "apikey", "sub": "s"}), "Jwt issuer is not configured"),
                (json!({"iss": "apikey/a", "sub": "s"}), "Jwt issuer is not configured"),
            ] {
                let line = format!("Bearer {}", mint(&claims));
                let lines = [("authorization", line.as_str())];
                let outcome = run_with(&authenticator, &host, &mut cache, "/", &lines);
                assert_eq!(outcome.verdict(), want, "{claims}");
            }
        }
    }
}

#[test]
fn a_compressed_set_is_inflated_within_the_limit() {
    let good = good();
    let block = |text: &str| {
        let length = u16::try_from(text.len()).unwrap();
        [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), text.as_bytes()].concat()
    };
    let end = |text: &str| {
        let mut last = block(text);
        last[0] = 1;
        last
    };
    let long = " ".repeat(60_000);
    for (coding, blocks, want) in [
        ("deflate", vec![end(&good)], FetchResult::Ok),
        ("identity", vec![good.clone().into_bytes()], FetchResult::Ok),
        ("br", vec![end(&good)], FetchResult::Unusable),
        ("gzip, gzip", vec![end(&good)], FetchResult::Unusable),
        ("gzip", vec![end(&good)], FetchResult::Unusable),
        // As long as it may be, and longer than it says that it is read.
        ("deflate", vec![block(&long), end(&good)], FetchResult::Unusable),
    ] {
        let authenticator = authenticator(json!({"jwtRules": [rule(json!({}))],
            "jwks": {"maxBytes": "32KiB"}}));
        let remote = only(&authenticator);
        remote.started(START);
        let body = blocks.concat();
        let mut headers = ok_headers();
        headers.push((b"content-encoding", coding.as_bytes()));
        // The wire's length is checked first; here it is what inflates that is too long.
        let body_len = body.len().min(32 * 1024);
        let answer = Answer { headers: &headers, body: &body, body_len };
        assert_eq!(remote.finished(Some(&answer), START, 0).result, want, "{coding}");
    }
}
