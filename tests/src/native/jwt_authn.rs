//! `RequestAuthentication` as `jwt_authn`: a provider for each rule in the order of the issuers, and one
//! requirement that takes any of them, or that none finds a token.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::{filter as http_filter, items, strings};

const TYPE: &str =
    "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";

pub fn filter(rules: &[Value]) -> Result<Value> {
    let mut rules: Vec<&Value> = rules.iter().collect();
    rules.sort_by_key(|rule| rule.get("issuer").and_then(Value::as_str));
    let mut providers = Map::new();
    for (i, rule) in rules.iter().enumerate() {
        providers.insert(format!("origins-{i}"), provider(rule)?);
    }
    let any = |requirements: Vec<Value>| json!({"requires_any": {"requirements": requirements}});
    let named = |i: usize| json!({"provider_name": format!("origins-{i}")});
    let missing = json!({"allow_missing": {}});
    let requires = if rules.len() == 1 {
        any(vec![named(0), missing])
    } else {
        let each = |i| any(vec![named(i), missing.clone()]);
        let all: Vec<Value> = (0..rules.len()).map(each).collect();
        let all = json!({"requires_all": {"requirements": all}});
        any((0..rules.len()).map(named).chain([all]).collect())
    };
    let config = json!({
        "providers": providers,
        "rules": [{"match": {"prefix": "/"}, "requires": requires}],
        "bypass_cors_preflight": true,
    });
    Ok(http_filter("envoy.filters.http.jwt_authn", TYPE, config))
}

fn provider(rule: &Value) -> Result<Value> {
    let text = |from: &Value, field: &str| {
        from.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut split = vec!["permission", "scope"];
    split.extend(strings(rule, "spaceDelimitedClaims"));
    split.sort_unstable();
    split.dedup();
    let headers: Vec<Value> = items(rule, "fromHeaders")
        .iter()
        .map(|h| json!({"name": text(h, "name"), "value_prefix": text(h, "prefix")}))
        .collect();
    let claims: Vec<Value> = items(rule, "outputClaimToHeaders")
        .iter()
        .map(|c| json!({"header_name": text(c, "header"), "claim_name": text(c, "claim")}))
        .collect();
    let mut provider = json!({
        "issuer": text(rule, "issuer"),
        "audiences": strings(rule, "audiences"),
        "forward": rule.get("forwardOriginalToken").unwrap_or(&Value::Bool(false)),
        "from_headers": headers,
        "from_params": strings(rule, "fromParams"),
        "from_cookies": strings(rule, "fromCookies"),
        "forward_payload_header": text(rule, "outputPayloadToHeader"),
        "claim_to_headers": claims,
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": split},
        "clear_route_cache": true,
    });
    let (field, keys) = keys(rule)?;
    provider.as_object_mut().context("a provider is an object")?.insert(field.into(), keys);
    Ok(provider)
}

/// Given, or fetched by Envoy as where `PILOT_JWT_ENABLE_REMOTE_JWKS` is `envoy`.
fn keys(rule: &Value) -> Result<(&'static str, Value)> {
    let Some(uri) = rule.get("jwksUri") else {
        let keys = rule.get("jwks").context("a rule without keys")?;
        return Ok(("local_jwks", json!({"inline_string": keys})));
    };
    let server = json!({"uri": uri, "cluster": rule.get("jwksCluster"), "timeout": "5s"});
    Ok(("remote_jwks", json!({"http_uri": server, "cache_duration": "300s"})))
}
