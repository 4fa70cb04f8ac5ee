//! Envoy's own filters, configured as istiod 1.31 configures them for the same policies.

use serde_json::{Map, Value, json};
use testbed::tokens::{AUDIENCE, ISSUER, Issuer};

use crate::workload::{GROUP, Policy, USER_HEADER};

/// Entries of the token cache: Envoy's default.
const CACHED_TOKENS: u32 = 100;

/// `jwt_authn` for one `RequestAuthentication` with one rule. istiod never sets `jwt_cache_config`.
pub fn jwt_authn(issuer: &Issuer, cached: bool) -> Value {
    let mut provider = json!({
        "issuer": issuer.name(),
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": issuer.jwks()},
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["permission", "scope"]},
        "claim_to_headers": [{"header_name": USER_HEADER, "claim_name": "sub"}],
        "clear_route_cache": true,
    });
    if let (Some(provider), true) = (provider.as_object_mut(), cached) {
        provider.insert("jwt_cache_config".into(), json!({"jwt_cache_size": CACHED_TOKENS}));
    }
    filter(
        "envoy.filters.http.jwt_authn",
        "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": {"origins-0": provider},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": [
                    {"provider_name": "origins-0"},
                    {"allow_missing": {}},
                ]}},
            }],
            "bypass_cors_preflight": true,
        }),
    )
}

/// `rbac` for ALLOW policies. Istio's language knows no models: a policy names the address by which
/// its model is reached.
pub fn rbac(policies: &[Policy]) -> Value {
    let policies: Map<String, Value> = policies
        .iter()
        .map(|policy| (format!("ns[prod]-policy[{}]-rule[0]", policy.name), rule(policy)))
        .collect();
    filter(
        "envoy.filters.http.rbac",
        "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        json!({"rules": {"action": "ALLOW", "policies": policies}}),
    )
}

fn rule(policy: &Policy) -> Value {
    let method = json!({"header": {"name": ":method", "string_match": {"exact": "POST"}}});
    let path = json!({"url_path": {"path": {"exact": policy.address}}});
    json!({
        "permissions": [{"and_rules": {"rules": [
            {"or_rules": {"rules": [method]}},
            {"or_rules": {"rules": [path]}},
        ]}}],
        "principals": [{"and_ids": {"ids": [
            {"or_ids": {"ids": [{"and_ids": {"ids": [
                claim("iss", json!({"string_match": {"exact": ISSUER}})),
                claim("sub", json!({"string_match": {"safe_regex": {"regex": ".+"}}})),
            ]}}]}},
            {"or_ids": {"ids": [
                claim("groups", json!({"or_match": {"value_matchers": [
                    {"list_match": {"one_of": {"string_match": {"exact": GROUP}}}},
                    {"string_match": {"exact": GROUP}},
                ]}})),
            ]}},
        ]}}],
    })
}

/// A condition on the metadata that `jwt_authn` writes.
fn claim(name: &str, value: Value) -> Value {
    json!({"metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "payload"}, {"key": name}],
        "value": value,
    }})
}

fn filter(name: &str, type_url: &str, mut config: Value) -> Value {
    if let Some(config) = config.as_object_mut() {
        config.insert("@type".into(), type_url.into());
    }
    json!({"name": name, "typed_config": config})
}
