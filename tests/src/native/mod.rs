//! Envoy's own filters, as istiod configures them for the same rules and policies.

mod jwt_authn;
mod rbac;

use anyhow::Result;
use serde_json::{Value, json};

/// The filters for the words of `jwtRules` and `policies`, in Istio's order.
pub fn filters(rules: &[Value], policies: &[Value]) -> Result<Vec<Value>> {
    let mut filters = Vec::new();
    // Without a rule istiod makes no filter.
    if !rules.is_empty() {
        filters.push(jwt_authn::filter(rules)?);
    }
    filters.extend(rbac::filters(policies)?);
    Ok(filters)
}

fn filter(name: &str, type_url: &str, mut config: Value) -> Value {
    if let Some(config) = config.as_object_mut() {
        config.insert("@type".into(), type_url.into());
    }
    json!({"name": name, "typed_config": config})
}

/// The strings of a list; none where it is absent.
fn strings<'v>(value: &'v Value, field: &str) -> Vec<&'v str> {
    items(value, field).iter().filter_map(Value::as_str).collect()
}

fn items<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
