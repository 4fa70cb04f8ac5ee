//! `AuthorizationPolicy` as up to three `rbac` filters: AUDIT, DENY, ALLOW. A dry run is a shadow rule.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::{filter, items, strings};

const TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// What istiod's actions are called in Envoy.
const ACTIONS: [(&str, &str); 3] = [("AUDIT", "LOG"), ("DENY", "DENY"), ("ALLOW", "ALLOW")];

pub fn filters(policies: &[Value]) -> Result<Vec<Value>> {
    let mut filters = Vec::new();
    for (action, in_envoy) in ACTIONS {
        let mut config = Map::new();
        for (field, dry_run) in [("rules", false), ("shadow_rules", true)] {
            let mut of_kind =
                policies.iter().filter(|policy| is(policy, action, dry_run)).peekable();
            if of_kind.peek().is_none() {
                continue;
            }
            let mut rules = Map::new();
            for policy in of_kind {
                let text = |field| policy.get(field).and_then(Value::as_str).unwrap_or_default();
                let (namespace, name) = (text("namespace"), text("name"));
                for (i, rule) in items(policy, "rules").iter().enumerate() {
                    let id = format!("ns[{namespace}]-policy[{name}]-rule[{i}]");
                    rules.insert(id, translate(rule, namespace)?);
                }
            }
            config.insert(field.into(), json!({"action": in_envoy, "policies": rules}));
        }
        if !config.is_empty() {
            config.insert("shadow_rules_stat_prefix".into(), "istio_dry_run_".into());
            filters.push(filter("envoy.filters.http.rbac", TYPE, Value::Object(config)));
        }
    }
    Ok(filters)
}

fn is(policy: &Value, action: &str, dry_run: bool) -> bool {
    policy.get("action").and_then(Value::as_str).unwrap_or("ALLOW") == action
        && policy.get("dryRun").and_then(Value::as_bool).unwrap_or_default() == dry_run
}

/// A rule: any `to` and the conditions on the operation, any `from` and those on the caller.
fn translate(rule: &Value, namespace: &str) -> Result<Value> {
    let (mut operations, mut callers) = (Vec::new(), Vec::new());
    for condition in items(rule, "when") {
        let key = condition.get("key").and_then(Value::as_str).context("a condition has a key")?;
        let side = match key {
            "destination.ip" | "destination.port" | "connection.sni" => Side::Permission,
            _ => Side::Principal,
        };
        let list = if side == Side::Permission { &mut operations } else { &mut callers };
        field(key, condition, ["values", "notValues"], side, namespace, list)?;
    }
    let mut permissions = Vec::new();
    for to in items(rule, "to") {
        let mut all = operations.clone();
        let to = to.get("operation").unwrap_or(&Value::Null);
        for (name, negated) in [
            ("hosts", "notHosts"),
            ("ports", "notPorts"),
            ("methods", "notMethods"),
            ("paths", "notPaths"),
        ] {
            field(name, to, [name, negated], Side::Permission, namespace, &mut all)?;
        }
        permissions.push(and(Side::Permission, all));
    }
    if permissions.is_empty() {
        permissions.push(and(Side::Permission, operations));
    }
    let mut principals = Vec::new();
    for from in items(rule, "from") {
        let mut all = callers.clone();
        let source = from.get("source").unwrap_or(&Value::Null);
        for (name, negated) in [
            ("principals", "notPrincipals"),
            ("requestPrincipals", "notRequestPrincipals"),
            ("namespaces", "notNamespaces"),
            ("serviceAccounts", "notServiceAccounts"),
            ("trustDomains", "notTrustDomains"),
            ("ipBlocks", "notIpBlocks"),
            ("remoteIpBlocks", "notRemoteIpBlocks"),
        ] {
            field(name, source, [name, negated], Side::Principal, namespace, &mut all)?;
        }
        principals.push(and(Side::Principal, all));
    }
    if principals.is_empty() {
        principals.push(and(Side::Principal, callers));
    }
    Ok(json!({"permissions": permissions, "principals": principals}))
}

/// Half of a policy of Envoy's: what is done, or who does it. They spell "and" and "or" differently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Permission,
    Principal,
}

fn and(side: Side, all: Vec<Value>) -> Value {
    match (side, all.is_empty()) {
        (_, true) => json!({"any": true}),
        (Side::Permission, _) => json!({"and_rules": {"rules": all}}),
        (Side::Principal, _) => json!({"and_ids": {"ids": all}}),
    }
}

/// Adds the values of a field, any of which may match, and those of its negation.
fn field(
    name: &str,
    from: &Value,
    fields: [&str; 2],
    side: Side,
    namespace: &str,
    into: &mut Vec<Value>,
) -> Result<()> {
    for (field, negated) in fields.into_iter().zip([false, true]) {
        let values = strings(from, field);
        if values.is_empty() {
            continue;
        }
        let any = values.iter().map(|value| matcher(name, value, namespace));
        let any = any.collect::<Result<Vec<_>>>()?;
        let (any, not) = match side {
            Side::Permission => (json!({"or_rules": {"rules": any}}), "not_rule"),
            Side::Principal => (json!({"or_ids": {"ids": any}}), "not_id"),
        };
        into.push(if negated { json!({not: any}) } else { any });
    }
    Ok(())
}

/// What istiod makes of one value of a field of a source or operation, or of a key of `when`.
fn matcher(name: &str, value: &str, namespace: &str) -> Result<Value> {
    Ok(match name {
        "principals" | "source.principal" => identity(&principal(value)),
        "namespaces" | "source.namespace" => {
            identity(&regex(&format!(".*/ns/{}/.*", quoted(value).replace("\\*", ".*"))))
        }
        "serviceAccounts" | "source.serviceAccount" => {
            let (namespace, account) = value.split_once('/').unwrap_or((namespace, value));
            let (namespace, account) = (quoted(namespace), quoted(account));
            identity(&regex(&format!("spiffe://.+/ns/{namespace}/(.+/|)sa/{account}(/.+)?")))
        }
        "trustDomains" | "source.trustDomain" => identity(&if value == "*" {
            json!({"prefix": "spiffe://"})
        } else if value.contains('*') {
            regex(&format!("spiffe://{}/.*", quoted(value).replace("\\*", "[^/]*")))
        } else {
            json!({"prefix": format!("spiffe://{value}/")})
        }),
        "requestPrincipals" | "request.auth.principal" => {
            let (issuer, subject) = request_principal(value);
            json!({"and_ids": {"ids": [
                claim(&["iss"], json!({"string_match": issuer})),
                claim(&["sub"], json!({"string_match": subject})),
            ]}})
        }
        "request.auth.audiences" => claim_value(&["aud"], value),
        "request.auth.presenter" => claim_value(&["azp"], value),
        "ipBlocks" | "source.ip" => json!({"direct_remote_ip": block(value)?}),
        "remoteIpBlocks" | "remote.ip" => json!({"remote_ip": block(value)?}),
        "destination.ip" => json!({"destination_ip": block(value)?}),
        "ports" | "destination.port" => json!({"destination_port": value.parse::<u16>()?}),
        "connection.sni" => json!({"requested_server_name": text(value)}),
        "hosts" => header(":authority", value, true),
        "methods" => header(":method", value, false),
        "paths" if value.contains("{*}") || value.contains("{**}") => json!({"uri_template": {
            "name": "uri-template",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "path_template": value.replace("{**}", "**").replace("{*}", "*"),
            },
        }}),
        "paths" => json!({"url_path": {"path": text(value)}}),
        key => {
            if let Some(inner) =
                key.strip_prefix("request.headers[").and_then(|k| k.strip_suffix(']'))
            {
                header(inner, value, false)
            } else if let Some(path) = key.strip_prefix("request.auth.claims") {
                claim_value(&brackets(path), value)
            } else {
                bail!("no translation of {key}")
            }
        }
    })
}

/// Istio's string match; `*` is `.+`.
fn text(value: &str) -> Value {
    if value == "*" {
        regex(".+")
    } else if let Some(rest) = value.strip_prefix('*') {
        json!({"suffix": rest})
    } else if let Some(rest) = value.strip_suffix('*') {
        json!({"prefix": rest})
    } else {
        json!({"exact": value})
    }
}

/// A header; here `*` means that it is there.
fn header(name: &str, value: &str, ignore_case: bool) -> Value {
    if value == "*" {
        return json!({"header": {"name": name, "present_match": true}});
    }
    let mut text = text(value);
    if let (true, Some(text)) = (ignore_case, text.as_object_mut()) {
        text.insert("ignore_case".into(), true.into());
    }
    json!({"header": {"name": name, "string_match": text}})
}

fn identity(name: &Value) -> Value {
    json!({"authenticated": {"principal_name": name}})
}

fn principal(value: &str) -> Value {
    if value == "*" {
        regex(".+")
    } else if let Some(rest) = value.strip_prefix('*') {
        regex(&format!("spiffe://.*{}", quoted(rest)))
    } else if let Some(rest) = value.strip_suffix('*') {
        json!({"prefix": format!("spiffe://{rest}")})
    } else {
        json!({"exact": format!("spiffe://{value}")})
    }
}

/// Istio's `requestPrincipalGenerator`.
fn request_principal(value: &str) -> (Value, Value) {
    let any = || regex(".+");
    let exact = |value: &str| json!({"exact": value});
    let split = value.rsplit_once('/');
    if value == "*" {
        (any(), any())
    } else if value.starts_with('*') {
        match split {
            Some((issuer, subject)) => (text(issuer), exact(subject)),
            None => (any(), text(value)),
        }
    } else if value.ends_with('*') {
        match split {
            Some((issuer, subject)) => (exact(issuer), text(subject)),
            None => (text(value), any()),
        }
    } else {
        let (issuer, subject) = split.unwrap_or((value, ""));
        (exact(issuer), exact(subject))
    }
}

/// A value that is a list, one of which matches, or a string that does.
fn claim_value(path: &[&str], value: &str) -> Value {
    let text = json!({"string_match": text(value)});
    claim(path, json!({"or_match": {"value_matchers": [{"list_match": {"one_of": text}}, text]}}))
}

fn claim(path: &[&str], value: Value) -> Value {
    let path: Vec<Value> =
        std::iter::once(&"payload").chain(path).map(|key| json!({"key": key})).collect();
    json!({"metadata": {"filter": "envoy.filters.http.jwt_authn", "path": path, "value": value}})
}

/// Istio's `extractNameInNestedBrackets`, for brackets that nest cleanly.
fn brackets(path: &str) -> Vec<&str> {
    let inner = path.strip_prefix('[').and_then(|p| p.strip_suffix(']')).unwrap_or_default();
    inner.split("][").collect()
}

fn regex(regex: &str) -> Value {
    json!({"safe_regex": {"regex": regex}})
}

/// Go's `regexp.QuoteMeta`.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn block(value: &str) -> Result<Value> {
    let whole = if value.contains(':') { 128 } else { 32 };
    let (address, length) = match value.split_once('/') {
        Some((address, length)) => (address, length.parse::<u32>()?),
        None => (value, whole),
    };
    Ok(json!({"address_prefix": address, "prefix_len": length}))
}
