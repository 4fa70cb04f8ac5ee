//! Settings of sets that are fetched: what is refused, what is sent, who shares one.

use super::*;

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
