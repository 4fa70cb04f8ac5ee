//! Fetched key sets: when they are fetched, what they are then, and what tokens see of it.

mod answers;
mod settings;

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
fn with_several_rules_what_can_be_waited_for_is_waited_for() {
    let inline = json!({"issuer": "me", "jwks": good()});
    let authenticator = authenticator(json!({"jwtRules": [rule(json!({})), inline]}));
    let outcome = send(&authenticator, &mut no_cache(), &token(), 0);
    assert_eq!((outcome.verdict().as_str(), outcome.authentication.missing_keys), ("me/s", WAIT));
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
