//! What is refused at load, with its path and remedy.

use super::*;

fn errors(settings: Value) -> Vec<String> {
    let (compiled, errors) = compile(settings);
    assert_eq!(compiled.is_none(), !errors.is_empty());
    errors.to_string().lines().map(str::to_owned).collect()
}

fn rule_errors(more: Value) -> Vec<String> {
    let errors = errors(json!({"jwtRules": [rule(more)]}));
    errors.into_iter().map(|e| e.replace("authentication.jwtRules[0]", "rule")).collect()
}

#[test]
fn rules_that_are_refused() {
    for (more, want) in [
        (json!({"issuer": ""}), "rule.issuer: is missing: exactly the iss of the tokens"),
        (
            json!({"issuer": "apikey"}),
            "rule.issuer: is reserved for API keys (apikey): another issuer",
        ),
        (
            json!({"issuer": "apikey/x"}),
            "rule.issuer: is reserved for API keys (apikey/x): another issuer",
        ),
        (
            json!({"jwksCluster": "c"}),
            "rule.jwksCluster: fetches nothing without jwksUri: give jwksUri, or leave it out",
        ),
        (
            json!({"timeout": "1s"}),
            "rule.timeout: limits a fetch of jwksUri, which this rule does not have: leave it out",
        ),
        (json!({"audiences": ["a", ""]}), "rule.audiences[1]: is empty: a name, or leave it out"),
        (json!({"fromParams": [""]}), "rule.fromParams[0]: is empty: a name, or leave it out"),
        (
            json!({"fromCookies": ["a;b"]}),
            "rule.fromCookies[0]: is not a name of a cookie (a;b): a name without = ; and spaces",
        ),
        (
            json!({"fromHeaders": [{"name": ":path"}]}),
            "rule.fromHeaders[0].name: is not a name of a header (:path): a name, as x-token",
        ),
        (
            json!({"outputPayloadToHeader": "x y"}),
            "rule.outputPayloadToHeader: is not a name of a header (x y): letters, digits, - and _",
        ),
        (
            json!({"outputPayloadToHeader": "Host"}),
            "rule.outputPayloadToHeader: is not a header for claims (Host): a name of its own, as x-user",
        ),
        (
            json!({"outputPayloadToHeader": "Seldon_Model"}),
            "rule.outputPayloadToHeader: is not a header for claims (Seldon_Model): a name of its own, as x-user",
        ),
        (
            json!({"outputPayloadToHeader": "x-envoy-upstream-rq-timeout-ms"}),
            "rule.outputPayloadToHeader: is not a header for claims (x-envoy-upstream-rq-timeout-ms): a name of its own, as x-user",
        ),
        (
            json!({"outputPayloadToHeader": "x-a", "outputClaimToHeaders": [{"header": "X_A", "claim": "a"}]}),
            "rule.outputClaimToHeaders[0].header: is given twice (X_A): a header for each claim",
        ),
        (
            json!({"outputClaimToHeaders": [{"header": "x", "claim": ""}]}),
            "rule.outputClaimToHeaders[0].claim: is empty: the name of a claim, as sub or realm_access.roles",
        ),
        (
            json!({"outputPayloadToHeader": "Authorization"}),
            "authentication: has a header that both carries credentials and receives claims (authorization): another header for the claims",
        ),
        (
            json!({"spaceDelimitedClaims": vec!["a"; 65]}),
            "rule.spaceDelimitedClaims: is too long: at most 64 claims",
        ),
        (
            json!({"jwks": "{\"keys\":[],\"keys\":[]}"}),
            "rule.jwks: is not a key set: a name stands twice in an object at line 1 column 21: a JSON Web Key Set, as {\"keys\": [...]}",
        ),
        (
            json!({"jwks": "{}"}),
            "rule.jwks: is a key set without a list of keys: a JSON Web Key Set, as {\"keys\": [...]}",
        ),
        (
            json!({"jwks": ""}),
            "rule.jwks: is not a key set: EOF while parsing a value at line 1 column 0: a JSON Web Key Set, as {\"keys\": [...]}",
        ),
        (
            json!({"jwks": "{\"keys\":[]}"}),
            "rule.jwks: is a key set without a usable key: a key for signatures: RSA of 2048 bits or more, EC, Ed25519, or a secret of 32 bytes or more",
        ),
    ] {
        assert_eq!(rule_errors(more.clone()), [want], "{more}");
    }
    assert_eq!(
        errors(json!({"jwtRules": [{"issuer": "me"}, {"jwks": jwks(&[ec_key()])}]})),
        [
            "authentication.jwtRules[0]: is a rule without keys: give the issuer's key set in jwks, or jwksUri and jwksCluster",
            "authentication.jwtRules[1].issuer: is missing: exactly the iss of the tokens",
        ]
    );
    assert_eq!(
        errors(json!({"tokenCache": {"bytes": "1KiB"}})),
        ["authentication.tokenCache.bytes: is too small: 8KiB or more, or 0B to switch it off"]
    );
}

#[test]
fn api_keys_that_are_refused() {
    let hash = "ab".repeat(32);
    for (keys, want) in [
        (
            json!([{"name": "a/b", "sha256": hash}]),
            "keys[0].name: cannot be part of a principal (a/b): 1 to 253 printable ASCII characters without spaces, / and *",
        ),
        (
            json!([{"name": "", "sha256": hash}]),
            "keys[0].name: cannot be part of a principal (): 1 to 253 printable ASCII characters without spaces, / and *",
        ),
        (
            json!([{"name": "a", "sha256": "ab"}]),
            "keys[0].sha256: is not a SHA-256: 64 hexadecimal digits, as sha256sum prints them",
        ),
        (
            json!([{"name": "a", "sha256": "zz".repeat(32)}]),
            "keys[0].sha256: is not a SHA-256: 64 hexadecimal digits, as sha256sum prints them",
        ),
        (
            json!([{"name": "a", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]),
            "keys[0].sha256: is that of an empty key: the hash of a random key",
        ),
        (
            json!([{"name": "a", "sha256": hash, "claims": []}]),
            "keys[0].claims: is not an object: claims by name, as {groups: [batch]}",
        ),
        (
            json!([{"name": "a", "sha256": hash, "claims": {"sub": "root"}}]),
            "keys[0].claims.sub: is a registered claim: leave it out: iss is apikey, sub the name of the key",
        ),
        (
            json!([{"name": "a", "sha256": hash}, {"name": "a", "sha256": "cd".repeat(32)}]),
            "keys[1].name: is given twice (a): a name of its own",
        ),
        (
            json!([{"name": "a", "sha256": hash}, {"name": "b", "sha256": hash.to_uppercase()}]),
            "keys[1].sha256: is that of another key: a key of its own",
        ),
    ] {
        let want = format!("authentication.apiKeys.{want}");
        assert_eq!(errors(json!({"apiKeys": {"keys": keys}})), [want], "{keys}");
    }
    let keys = json!([{"name": "a", "sha256": hash}]);
    assert_eq!(
        errors(
            json!({"jwtRules": [rule(json!({}))], "apiKeys": {"header": "Authorization", "keys": keys}})
        ),
        [
            "authentication.apiKeys.header: also carries tokens (authorization): a header of its own, as x-api-key, or a prefix, as \"Bearer \""
        ]
    );
    for prefix in [" Bearer", "é", "a\n", "x".repeat(65).as_str()] {
        let found = errors(json!({"apiKeys": {"prefix": prefix}})).concat();
        assert!(found.starts_with("authentication.apiKeys.prefix: cannot stand before a key"));
    }
    assert_eq!(
        errors(json!({"apiKeys": {"header": "a b"}})),
        ["authentication.apiKeys.header: is not a name of a header (a b): a name, as x-token"]
    );
}

#[test]
fn a_claim_that_looks_like_a_url_is_warned_of() {
    let warned = |claim: &str| {
        let output = json!([{"header": "x-roles", "claim": claim}]);
        let (_, errors) =
            compile(json!({"jwtRules": [rule(json!({"outputClaimToHeaders": output}))]}));
        errors.warnings().iter().map(ToString::to_string).collect::<String>()
    };
    assert!(warned("https://example.com/roles").starts_with(
        "authentication.jwtRules[0].outputClaimToHeaders[0].claim: is read as the names of nested"
    ));
    assert_eq!(warned("realm_access.roles") + &warned("a/b"), "");
}

#[test]
fn nothing_at_all_is_fine_and_private_keys_are_warned_of() {
    let none = authenticator(json!({}));
    assert_eq!(
        run(&none, "/", &[("authorization", "Bearer x"), ("x-api-key", "k")]).verdict(),
        "anonymous"
    );
    assert!(none.credential_headers().is_empty() && none.output_headers().is_empty());
    let mut key = ec_key();
    key["d"] = json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    let (compiled, errors) = compile(json!({"jwtRules": [{"issuer": "me", "jwks": jwks(&[key])}]}));
    assert!(compiled.is_some());
    let warning = errors.warnings()[0].to_string();
    assert!(
        warning
            .starts_with("authentication.jwtRules[0].jwks: holds private keys (keys[0]): remove d"),
        "{warning}"
    );
    assert!(!warning.contains("jpsQ"));
}
