//! The cache: what it gives, what it never gives, and its bounds.

use std::rc::Rc;

use super::cache::{Key, Verified};
use super::claims::Validity;
use super::*;

fn cache(bytes: usize) -> TokenCache {
    TokenCache::new(&types::TokenCache { bytes: Size(bytes) })
}

fn verified(subject: &str, not_before: u64, expires: Option<u64>) -> Rc<Verified> {
    let identity =
        Identity { issuer: Some("me".into()), subject: Some(subject.into()), claims: Map::new() };
    let lines = outputs::Lines::default();
    let validity = Validity { not_before, expires };
    Rc::new(Verified { identity: Rc::new(identity), lines, validity })
}

const HERE: usize = 0;

/// As a request asks for one.
fn get(cache: &mut TokenCache, key: &Key<'_>, now: u64) -> Option<Rc<Verified>> {
    let known = cache.known(key);
    cache.get(&known, key, now)
}

#[test]
fn a_token_is_verified_once() {
    let authenticator =
        one_rule(json!({"outputClaimToHeaders": [{"header": "x-sub", "claim": "sub"}]}));
    let token = mint(&json!({"iss": "me", "sub": "s", "exp": NOW}));
    let line = format!("Bearer {token}");
    let lines = [("authorization", line.as_str())];
    let host = TestHost::new(true);
    let mut cache = cache(1 << 20);
    let first = run_with(&authenticator, &host, &mut cache, "/", &lines);
    let second = run_with(&authenticator, &host, &mut cache, "/", &lines);
    assert_eq!((first.results(), second.results()), (vec![("verified", 1)], vec![("cached", 1)]));
    assert_eq!(host.asked.get(), 1);
    assert_eq!(first.edits, second.edits);
    assert_eq!(second.verdict(), "me/s");
    // Judged by the clock each time: up to the last second of the grace, and no longer.
    host.now.set(NOW + 60);
    assert_eq!(run_with(&authenticator, &host, &mut cache, "/", &lines).results(), [("cached", 1)]);
    host.now.set(NOW + 61);
    assert_eq!(
        run_with(&authenticator, &host, &mut cache, "/", &lines).verdict(),
        "Jwt is expired"
    );
    // Another place is another look-up.
    host.now.set(NOW);
    let path = format!("/?access_token={token}");
    assert_eq!(
        run_with(&authenticator, &host, &mut cache, &path, &[]).results(),
        [("verified", 1)]
    );
    // Any other byte is another token.
    let mut other = line.clone().into_bytes();
    *other.last_mut().unwrap() = if other.ends_with(b"A") { b'Q' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    let outcome = run_with(&authenticator, &host, &mut cache, "/", &[("authorization", &other)]);
    assert!(matches!(outcome.authentication.identification, Identification::Refused(_)));
}

#[test]
fn nothing_is_served_before_its_time() {
    let mut cache = cache(1 << 20);
    let key = Key::new(b"t", 0, HERE, 0);
    cache.put(&key, &verified("s", 1000, Some(2000)), 1000);
    for (now, want) in [(939, false), (940, true), (2060, true), (2061, false), (1500, true)] {
        assert_eq!(get(&mut cache, &key, now).is_some(), want, "{now}");
    }
}

#[test]
fn rules_are_told_apart() {
    let key = jwks(&[ec_key()]);
    let authenticator = authenticator(json!({"jwtRules": [
        {"issuer": "a", "jwks": key}, {"issuer": "b", "jwks": key}, {"issuer": "c", "jwks": key, "audiences": ["x"]},
        {"issuer": "c", "jwks": key, "spaceDelimitedClaims": ["w"]},
    ]}));
    let host = TestHost::new(true);
    let mut cache = cache(1 << 20);
    for (issuer, rule) in [("a", 0), ("b", 1), ("c", 3)] {
        let line = format!("Bearer {}", mint(&json!({"iss": issuer, "sub": "s", "w": "1 2"})));
        for (round, want) in ["verified", "cached", "cached"].into_iter().enumerate() {
            let outcome =
                run_with(&authenticator, &host, &mut cache, "/", &[("authorization", &line)]);
            assert_eq!(outcome.verdict(), format!("{issuer}/s"), "{round}");
            assert_eq!(outcome.results(), [(want, 1)], "{round}");
            assert_eq!(outcome.authentication.rule, Some(rule), "{issuer} {round}");
            let Identification::Identified(identity) = &outcome.authentication.identification
            else {
                panic!()
            };
            let words = if issuer == "c" { json!(["1", "2"]) } else { json!("1 2") };
            assert_eq!(identity.claims["w"], words);
        }
    }
    assert_eq!(host.asked.get(), 3);
}

#[test]
fn bytes_are_bounded_and_evictions_counted() {
    for limit in [0, 1, 8191, 10_000, 100_000] {
        let mut cache = cache(limit);
        for i in 0..2000u32 {
            let token = vec![b'x'; (i % 700) as usize];
            let token = [i.to_string().as_bytes(), &token].concat();
            cache.put(&Key::new(&token, 0, HERE, 0), &verified("s", 0, None), 0);
            assert!(cache.used() <= limit, "{} > {limit}", cache.used());
            let found = get(&mut cache, &Key::new(&token, 0, HERE, 0), 0).is_some();
            assert_eq!(found, limit >= 10_000, "{limit} {i}");
        }
        assert_eq!(cache.evicted() > 0, limit >= 10_000);
    }
}

#[test]
fn the_stale_goes_before_the_useful() {
    let mut cache = cache(8 * 1024); // One set.
    let token = |i: u8| [i];
    for i in 0..4 {
        let expires = if i == 2 { Some(10) } else { None };
        cache.put(&Key::new(&token(i), 0, HERE, 0), &verified("s", 0, expires), 0);
    }
    cache.put(&Key::new(&token(4), 0, HERE, 0), &verified("s", 0, None), 100);
    assert_eq!(cache.evicted(), 0);
    // Of the valid, the one that was not used for longest.
    for i in [0, 3, 4] {
        assert!(get(&mut cache, &Key::new(&token(i), 0, HERE, 0), 100).is_some());
    }
    cache.put(&Key::new(&token(5), 0, HERE, 0), &verified("s", 0, None), 100);
    assert_eq!(cache.evicted(), 1);
    assert!(get(&mut cache, &Key::new(&token(1), 0, HERE, 0), 100).is_none());
    // The same again takes its own place.
    let used = cache.used();
    cache.put(&Key::new(&token(5), 0, HERE, 0), &verified("s", 0, None), 100);
    assert_eq!((cache.evicted(), cache.used()), (1, used));
}

#[test]
fn one_token_does_not_push_out_all_others() {
    let mut cache = cache(64 * 1024);
    cache.put(&Key::new(b"small", 0, HERE, 0), &verified("s", 0, None), 0);
    let big = vec![b'x'; 60 * 1024];
    cache.put(&Key::new(&big, 0, HERE, 0), &verified("s", 0, None), 0);
    assert!(get(&mut cache, &Key::new(&big, 0, HERE, 0), 0).is_none());
    assert!(get(&mut cache, &Key::new(b"small", 0, HERE, 0), 0).is_some());
}

proptest::proptest! {
    /// Against a plain list of everything that was ever put in.
    #[test]
    fn never_gives_what_another_token_was_given(
        limit in 0usize..60_000,
        steps in proptest::collection::vec((0u8..40, 0usize..2, 0u64..5, proptest::bool::ANY), 0..200),
    ) {
        let mut cache = cache(limit);
        for (token, rule, now, put) in steps {
            // The ends of several are alike, and so are their hashes.
            let bytes = [vec![token; usize::from(token) * 20], vec![token % 4; 16]].concat();
            let key = Key::new(&bytes, rule, HERE, 0);
            let name = format!("{token}/{rule}");
            if put {
                cache.put(&key, &verified(&name, 0, None), now);
            }
            if let Some(found) = get(&mut cache, &key, now) {
                proptest::prop_assert_eq!(found.identity.subject.as_deref(), Some(name.as_str()));
            }
            proptest::prop_assert!(cache.used() <= limit);
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// Whatever came before, and whatever the clock does, a cached verdict is the verdict.
    #[test]
    fn no_verdict_depends_on_the_cache(
        steps in proptest::collection::vec((0usize..6, 0usize..3, 0u64..4), 1..24),
    ) {
        let key = jwks(&[ec_key()]);
        let places = json!([{"name": "x-one"}, {"name": "x-two"}]);
        let authenticator = authenticator(json!({"jwtRules": [
            {"issuer": "a", "jwks": key, "fromHeaders": places},
            {"issuer": "b", "jwks": key, "audiences": ["m"], "fromHeaders": places},
            {"issuer": "b", "jwks": key, "fromHeaders": [{"name": "x-one"}]},
        ]}));
        let tokens = [
            mint(&json!({"iss": "a", "sub": "1", "exp": NOW})),
            mint(&json!({"iss": "b", "sub": "2", "nbf": NOW})),
            mint(&json!({"iss": "b", "sub": "3", "aud": "m", "exp": NOW + 60})),
            mint(&json!({"iss": "c", "sub": "4"})),
            mint(&json!({"iss": "a", "sub": "5"})) + "A",
            "junk".to_owned(),
        ];
        let host = TestHost::new(true);
        let mut cache = cache(16 * 1024);
        for (token, place, minutes) in steps {
            let token = tokens[token].as_str();
            let lines: &[(&str, &str)] = match place {
                0 => &[("x-one", token)],
                1 => &[("x-two", token)],
                _ => &[("x-two", token), ("x-one", &tokens[0])],
            };
            host.now.set(NOW - 90 + minutes * 60);
            let with = run_with(&authenticator, &host, &mut cache, "/", lines);
            let without = run_with(&authenticator, &host, &mut no_cache(), "/", lines);
            proptest::prop_assert_eq!(with.verdict(), without.verdict());
            proptest::prop_assert_eq!(with.edits, without.edits);
        }
    }
}
