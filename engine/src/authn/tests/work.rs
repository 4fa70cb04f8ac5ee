//! What a token may cost that nobody has signed.

use super::vectors::{FAILS, NO_KEY, with};
use super::*;

/// RSA keys of this many bytes. Nobody has their other halves.
fn rsa_keys(count: usize, bytes: usize) -> Vec<Value> {
    let key = |i: usize| {
        let mut n = vec![0xfb; bytes];
        n[1..9].copy_from_slice(&i.to_be_bytes());
        json!({"kty": "RSA", "n": b64(&n), "e": "AQAB"})
    };
    (0..count).map(key).collect()
}

fn ed25519_keys(count: u8) -> Vec<Value> {
    let key = |i: u8| {
        let key = ed25519_dalek::SigningKey::from_bytes(&[i + 1; 32]);
        json!({"kty": "OKP", "crv": "Ed25519", "x": b64(key.verifying_key().as_bytes())})
    };
    (0..count).map(key).collect()
}

fn forged(alg: &str, kid: &str, bytes: usize) -> String {
    let header = format!(r#"{{"alg":"{alg}"{kid}}}"#);
    format!("{}.{}.{}", b64(header), b64(r#"{"iss":"me"}"#), b64(vec![1; bytes]))
}

#[test]
fn a_token_without_a_key_id_has_few_keys_tried() {
    for (keys, alg, bytes, want) in [
        (rsa_keys(4, 256), "PS256", 256, FAILS),
        (rsa_keys(5, 256), "PS256", 256, NO_KEY),
        (rsa_keys(256, 256), "PS512", 256, NO_KEY),
        // The host is quicker.
        (rsa_keys(64, 256), "RS256", 256, FAILS),
        (rsa_keys(65, 256), "RS256", 256, NO_KEY),
        (rsa_keys(4, 1024), "RS256", 1024, FAILS),
        (rsa_keys(5, 1024), "RS256", 1024, NO_KEY),
        // One alone always is, however long.
        (rsa_keys(1, 1024), "PS256", 1024, FAILS),
        (rsa_keys(2, 1024), "PS256", 1024, NO_KEY),
        (rsa_keys(1, 512), "PS256", 512, FAILS),
        (rsa_keys(2, 512), "PS256", 512, NO_KEY),
        // Keys that a look at the length rules out cost nothing.
        ([rsa_keys(1, 512), rsa_keys(200, 256)].concat(), "PS256", 512, FAILS),
        (ed25519_keys(4), "EdDSA", 64, FAILS),
        (ed25519_keys(5), "EdDSA", 64, NO_KEY),
        (vec![ec_key(); 32], "ES256", 64, FAILS),
        (vec![ec_key(); 33], "ES256", 64, NO_KEY),
        (vec![signers::jwk("HS256"); 64], "HS256", 32, FAILS),
        (vec![signers::jwk("HS256"); 65], "HS256", 32, NO_KEY),
    ] {
        let count = keys.len();
        let authenticator =
            authenticator(json!({"jwtRules": [{"issuer": "me", "jwks": jwks(&keys)}]}));
        let line = format!("Bearer {}", forged(alg, "", bytes));
        // The host is said to check signatures, and to be asked for those that it can.
        let host = TestHost::new(true);
        let outcome =
            run_with(&authenticator, &host, &mut no_cache(), "/", &[("authorization", &line)]);
        assert_eq!(outcome.verdict(), want, "{count} keys, {alg} of {bytes} bytes");
        assert_eq!(host.asked.get() > 0, want == FAILS && matches!(alg, "RS256" | "ES256"));
    }
}

#[test]
fn a_key_id_leaves_one_to_try_and_good_tokens_are_good() {
    let mut keys = ed25519_keys(200);
    for (i, key) in keys.iter_mut().enumerate() {
        key["kid"] = json!(i.to_string());
    }
    keys[6] = with(signers::jwk("EdDSA"), json!({"kid": "6"}));
    let authenticator = authenticator(json!({"jwtRules": [{"issuer": "me", "jwks": jwks(&keys)}]}));
    assert_eq!(bearer(&authenticator, &forged("EdDSA", r#","kid":"199""#, 64)).verdict(), FAILS);
    let sign = |header: &str| {
        let text = format!("{}.{}", b64(header), b64(r#"{"iss":"me","sub":"s"}"#));
        format!("{text}.{}", b64(signers::sign("EdDSA", text.as_bytes())))
    };
    let named = sign(r#"{"alg":"EdDSA","kid":"6"}"#);
    assert_eq!(bearer(&authenticator, &named).verdict(), "me/s");
    // The price: nobody looks for the one of two hundred.
    assert_eq!(bearer(&authenticator, &sign(r#"{"alg":"EdDSA"}"#)).verdict(), NO_KEY);
}

#[test]
fn all_tokens_of_a_request_share_four_checks() {
    let rules: Vec<Value> = (0..8)
        .map(|i| {
            let header = json!([{"name": format!("x-token-{i}")}]);
            json!({"issuer": "me", "jwks": jwks(&ed25519_keys(1)), "fromHeaders": header})
        })
        .collect();
    let authenticator = authenticator(json!({"jwtRules": rules}));
    let token = forged("EdDSA", "", 64);
    let names: Vec<String> = (0..8).map(|i| format!("x-token-{i}")).collect();
    let mut cache = TokenCache::new(&types::TokenCache { bytes: Size::mib(1) });
    let mut send = |count: usize| {
        let lines: Vec<(&str, &str)> =
            names.iter().take(count).map(|name| (name.as_str(), token.as_str())).collect();
        run_with(&authenticator, &TestHost::new(true), &mut cache, "/", &lines);
        // What was checked is remembered; what was not, is not.
        let checked = |index| {
            let key = cache::Key::new(token.as_bytes(), index, 0, 0);
            cache.refused(&key).is_some()
        };
        (0..8).filter(|index| checked(*index)).count()
    };
    assert_eq!((send(2), send(8), send(8)), (2, 6, 8));
}

#[test]
fn places_are_looked_at_once_for_all_rules_and_each_reads_its_own() {
    let compile = |more: &[Value]| {
        let rules: Vec<Value> = more.iter().map(|more| rule(more.clone())).collect();
        let (path, mut errors) = (Path::ROOT.field("authentication"), Errors::default());
        let settings = json!({"jwtRules": rules});
        let settings = types::Authentication::read(&settings.into(), &path, &mut errors).unwrap();
        let mut remotes = remote::Remotes::new(&settings.jwks, &path, &mut errors);
        let rules = settings.jwt_rules.iter();
        let rules = rules.map(|rule| rule::Rule::compile(rule, &mut remotes, &path, &mut errors));
        let mut rules = rules.collect::<Option<Vec<rule::Rule>>>().unwrap();
        (rule::places_of(&mut rules), rules)
    };
    // Twenty that look at one header and one parameter.
    let (all, rules) = compile(&vec![json!({}); 20]);
    assert!(rules.iter().all(|rule| rule.own == [0, 1]) && all.get(2).is_none());
    // Each finds its own, in the order of its places, and the first of a name.
    let header = |name: &str| json!([{"name": name}]);
    let (all, rules) = compile(&[
        json!({"fromHeaders": header("x-b"), "fromParams": ["c", "a"], "fromCookies": ["z", "y"]}),
        json!({"fromHeaders": header("x-a"), "fromParams": ["b", "a"], "fromCookies": ["y"]}),
        json!({"fromParams": ["none"]}),
        json!({}),
    ]);
    let headers: [Header<'_>; 6] = [
        (b":path", b"/?c=1&%62=2&a=%33&a=4&access_token=5"),
        (b"cookie", b"z=6;  y=\"7\"; y=8"),
        (b"x-b", b"9"),
        (b"x-a", b"10"),
        (b"x-b", b"11"),
        (b"authorization", b"Bearer 12"),
    ];
    let host = TestHost::new(false);
    let attributes = Attributes::new(&host);
    let mut tokens = all.find(&Request::new(&headers, &attributes), None);
    let mut found = |rule: &rule::Rule| {
        let mut texts = Vec::new();
        for place in &rule.own {
            let there = tokens.at(*place).iter();
            texts.extend(there.map(|found| String::from_utf8(found.token.0.to_vec()).unwrap()));
        }
        texts.join(" ")
    };
    let found: Vec<String> = rules.iter().map(&mut found).collect();
    assert_eq!(found, ["9 11 3 1 7 6", "10 3 2 7", "", "12 5"]);
}

#[test]
fn more_tokens_than_are_kept_read_are_judged_alike() {
    let places = json!([{"name": "x-a"}, {"name": "x-b"}, {"name": "x-c"}]);
    let rules = ["me", "you", "she"]
        .map(|issuer| rule(json!({"issuer": issuer, "fromHeaders": places.clone()})));
    let authenticator = authenticator(json!({"jwtRules": rules}));
    let token =
        |issuer: &str, n: usize| mint(&json!({"iss": issuer, "sub": "s", "many": vec![n; 14_000]}));
    for (issuer, want) in [("she", "she/s"), ("nobody", "Jwt issuer is not configured")] {
        let tokens = [1, 2, 3].map(|n| token(issuer, n));
        let [a, b, c] = tokens.each_ref().map(String::as_str);
        assert!(a.len() > 32 * 1024, "{}", a.len());
        let outcome = run(&authenticator, "/", &[("x-a", a), ("x-b", b), ("x-c", c)]);
        assert_eq!(outcome.verdict(), want);
    }
}

#[test]
fn each_of_many_audiences_is_one() {
    let authenticator = one_rule(json!({"audiences": ["z", "https://a/", "m", "a"]}));
    for (audience, want) in
        [("a", "me/s"), ("m", "me/s"), ("z/", "me/s"), ("b", "Audiences in Jwt are not allowed")]
    {
        let token = mint(&json!({"iss": "me", "sub": "s", "aud": ["x", audience]}));
        assert_eq!(bearer(&authenticator, &token).verdict(), want, "{audience}");
    }
}

#[test]
fn a_wrong_signature_is_checked_once_as_long_as_the_keys_are_the_same() {
    let authenticator = one_rule(json!({}));
    let mut cache = TokenCache::new(&types::TokenCache { bytes: Size::mib(1) });
    let host = TestHost::new(true);
    let mut send = |token: &str| {
        let line = format!("Bearer {token}");
        let lines = [("authorization", line.as_str())];
        let outcome = run_with(&authenticator, &host, &mut cache, "/", &lines);
        (outcome.verdict(), outcome.results()[0].0, host.asked.get())
    };
    let good = mint(&json!({"iss": "me", "sub": "s", "exp": NOW + 100}));
    let (start, _) = good.rsplit_once('.').unwrap();
    let bad = format!("{start}.{}", b64([1; 64]));
    for _ in 0..3 {
        assert_eq!(send(&bad), (FAILS.to_owned(), "bad_signature", 1));
    }
    assert_eq!(send(&good), ("me/s".to_owned(), "verified", 2));
    // The clock goes first, as ever.
    host.now.set(NOW + 1000);
    assert_eq!(send(&bad).0, "Jwt is expired");
    host.now.set(NOW);
    assert_eq!(send(&bad), (FAILS.to_owned(), "bad_signature", 2));
    assert_eq!(send(&good), ("me/s".to_owned(), "cached", 2));
}

#[test]
fn a_token_that_came_before_its_key_is_good_once_the_key_is_there() {
    let under = |generation| refused::Under { hash: 7, rule: 0, generation };
    let mut refused = refused::Refused::default();
    assert_eq!(refused.get(b"a", under(1)), None);
    refused.put(b"a", under(1), failure::Rejection::BadSignature);
    assert_eq!(refused.get(b"a", under(1)), Some(failure::Rejection::BadSignature));
    // Another set, another token with the same hash, another rule.
    assert_eq!(refused.get(b"a", under(2)), None);
    assert_eq!(refused.get(b"b", under(1)), None);
    assert_eq!(refused.get(b"a", refused::Under { rule: 1, ..under(1) }), None);
    // Whatever comes, there are so many slots.
    for hash in 0..10_000 {
        let under = refused::Under { hash, rule: 0, generation: 0 };
        refused.put(b"x", under, failure::Rejection::BadSignature);
    }
    assert_eq!(refused.get(b"a", under(1)), None);
}

#[test]
fn a_cache_that_is_off_remembers_nothing() {
    let authenticator = one_rule(json!({}));
    let host = TestHost::new(true);
    let mut cache = no_cache();
    let (start, _) = mint(&json!({"iss": "me"}))
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let line = format!("Bearer {start}.{}", b64([1; 64]));
    for asked in 1..4 {
        run_with(&authenticator, &host, &mut cache, "/", &[("authorization", &line)]);
        assert_eq!(host.asked.get(), asked);
    }
}

#[test]
fn forged_tokens_take_half_a_second_of_each_and_others_are_as_before() {
    // A check costs the square of the length.
    for (alg, keys, bytes, checks) in
        [("PS256", rsa_keys(1, 1024), 1024, 64), ("EdDSA", vec![signers::jwk("EdDSA")], 64, 1024)]
    {
        let mut rule = json!({"issuer": "me", "jwks": jwks(&keys)});
        rule["fromHeaders"] = json!([{"name": "x"}]);
        let known = json!({"issuer": "known", "jwks": jwks(&[signers::jwk("EdDSA")])});
        let authenticator = authenticator(json!({"jwtRules": [rule, known]}));
        let mut cache = TokenCache::new(&types::TokenCache { bytes: Size::mib(1) });
        let sign = |subject: &str| {
            let header = b64(r#"{"alg":"EdDSA"}"#);
            let claims = json!({"iss": "known", "sub": subject}).to_string();
            let text = format!("{header}.{}", b64(claims));
            format!("Bearer {text}.{}", b64(signers::sign("EdDSA", text.as_bytes())))
        };
        let host = TestHost::new(false);
        let good = |cache: &mut TokenCache, subject: &str| {
            let lines = [("authorization", sign(subject))];
            let lines = lines.each_ref().map(|(name, value)| (*name, value.as_str()));
            run_with(&authenticator, &TestHost::new(false), cache, "/", &lines).verdict()
        };
        let forge = |cache: &mut TokenCache, i: usize| {
            let claims = format!(r#"{{"iss":"me","jti":"{i}"}}"#);
            let token = format!(
                "{}.{}.{}",
                b64(format!(r#"{{"alg":"{alg}"}}"#)),
                b64(claims),
                b64(vec![1; bytes])
            );
            run_with(&authenticator, &host, cache, "/", &[("x", &token)]).verdict()
        };
        assert_eq!(good(&mut cache, "before"), "known/before");
        for i in 0..checks {
            assert_eq!(forge(&mut cache, i), FAILS, "{alg} {i}");
        }
        for i in checks..checks + 100 {
            assert_eq!(forge(&mut cache, i), NO_KEY, "{alg} {i}");
        }
        // Who is known stays known.
        assert_eq!(good(&mut cache, "before"), "known/before");
        host.now.set(NOW + 1);
        assert_eq!(forge(&mut cache, 0), FAILS);
        // Nothing was remembered of those that were not checked.
        assert_eq!(forge(&mut cache, checks), FAILS);
    }
}

#[test]
fn good_tokens_are_never_too_many() {
    let settings = json!({"jwtRules": [{"issuer": "me", "jwks": jwks(&[signers::jwk("EdDSA")])}]});
    let authenticator = authenticator(settings);
    let text = format!("{}.{}", b64(r#"{"alg":"EdDSA"}"#), b64(r#"{"iss":"me","sub":"s"}"#));
    let token = format!("Bearer {text}.{}", b64(signers::sign("EdDSA", text.as_bytes())));
    // As if each were another: nothing is kept.
    let mut cache = no_cache();
    for _ in 0..2_000 {
        let lines = [("authorization", token.as_str())];
        let outcome = run_with(&authenticator, &TestHost::new(false), &mut cache, "/", &lines);
        assert_eq!(outcome.verdict(), "me/s");
    }
}
