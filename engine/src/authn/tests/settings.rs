//! What is refused at load, with its path and remedy.

use super::*;

#[test]
fn what_is_wrong_makes_nothing() {
    let wrong = json!({"jwtRules": [{"issuer": ""}], "tokenCache": {"bytes": "1KiB"}});
    let (compiled, errors) = compile(wrong);
    assert!(compiled.is_none());
    assert_eq!(errors.errors().len(), 3, "{errors}");
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
