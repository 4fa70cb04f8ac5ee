//! RequestAuthentication: `jwtRules`, field for field, and the cluster of their keys.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::document::Document;
use super::gateway::{Gateway, Scope};
use super::issuer::Server;
use super::part::{Converted, Done, Part, Remark, Whence};

/// The kind.
pub const KIND: &str = "RequestAuthentication";

/// Fields of a rule, but for its keys.
const FIELDS: [&str; 10] = [
    "issuer",
    "audiences",
    "fromHeaders",
    "fromParams",
    "fromCookies",
    "outputPayloadToHeader",
    "outputClaimToHeaders",
    "forwardOriginalToken",
    "timeout",
    "spaceDelimitedClaims",
];

/// What is known besides the objects.
#[derive(Debug)]
pub struct Keys<'a> {
    /// The gateway.
    pub gateway: &'a Gateway,
    /// Where keys of issuers are, whose rules leave it to OpenID Connect's discovery.
    pub uris: &'a [(String, String)],
}

/// What the RequestAuthentications among these become.
pub fn convert(documents: &[Document], keys: &Keys<'_>) -> Converted {
    let mut converted = Converted::default();
    let mut rules: Vec<(Value, Part)> = Vec::new();
    for document in documents.iter().filter(|document| document.kind == KIND) {
        converted.objects.push(Whence::of(document));
        match keys.gateway.scope(document) {
            Scope::Gateway { .. } => {}
            Scope::Workloads { .. } => {
                converted.remarks.push(elsewhere(document));
                continue;
            }
            Scope::Elsewhere(to) => {
                converted.remarks.push(attached(document, &to));
                continue;
            }
        }
        let given = document.get("/spec/jwtRules").as_array();
        for (i, rule) in given.into_iter().flatten().enumerate() {
            let at = format!("spec.jwtRules[{i}]");
            if let Some(rule) = one(rule, &at, document, keys, &mut converted) {
                let issuer = rule.get("issuer").cloned().unwrap_or_default();
                let mut part = Part::entry("authentication.jwtRules", rule, document);
                part.whence = vec![Whence { object: document.object(), origin: document.at(&at) }];
                rules.push((issuer, part));
            }
        }
    }
    // Istio puts them in this order, and the first that takes a token says who calls.
    rules.sort_by_cached_key(|(issuer, part)| (issuer.to_string(), part.whence.clone()));
    converted.parts.extend(rules.into_iter().map(|(_, part)| part));
    ways(documents, keys.gateway, &mut converted);
    converted
}

fn elsewhere(document: &Document) -> Remark {
    let reason = "is for other pods than the gateway's, which check tokens themselves: it stays with Istio. Labels of the gateway's own pods are said with --gateway";
    Remark::new(document, "spec.selector", Done::LeftOut, reason)
}

fn attached(document: &Document, to: &str) -> Remark {
    let reason = format!(
        "is attached to {to}, not to this gateway: it stays with Istio. Another gateway is said with --gateway {}=NAME",
        super::gateway::GATEWAY_NAME
    );
    Remark::new(document, "spec.targetRefs", Done::LeftOut, reason)
}

/// A rule, if it can be carried over.
fn one(
    rule: &Value,
    at: &str,
    document: &Document,
    keys: &Keys<'_>,
    converted: &mut Converted,
) -> Option<Value> {
    let mut refuse = |field: &str, reason: &str| {
        let field = if field.is_empty() { at.to_owned() } else { format!("{at}.{field}") };
        converted.remarks.push(Remark::new(document, &field, Done::Refused, reason));
    };
    let Some(fields) = rule.as_object() else {
        refuse("", "is no rule");
        return None;
    };
    let mut made = Map::new();
    for (name, value) in fields.iter().filter(|(_, value)| !is_nothing(value)) {
        match name.as_str() {
            "jwks" | "jwksUri" | "jwks_uri" => {}
            "timeout" => {
                made.insert(name.clone(), json!(duration(value)));
            }
            name if FIELDS.contains(&name) => {
                made.insert(name.to_owned(), value.clone());
            }
            name => refuse(name, "is not a field of Istio's that is known here"),
        }
    }
    let text =
        |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let issuer = text("issuer").unwrap_or_default();
    let found = keys.uris.iter().find(|(of, _)| of == issuer).map(|(_, uri)| uri.as_str());
    match (text("jwks"), text("jwksUri").or(text("jwks_uri")).or(found)) {
        // istiod does not fetch where keys are given.
        (Some(jwks), _) => {
            made.insert("jwks".to_owned(), json!(one_line(jwks)));
        }
        (None, Some(uri)) => match Server::of(uri, keys.gateway) {
            Ok(server) => {
                made.insert("jwksUri".to_owned(), json!(uri));
                made.insert("jwksCluster".to_owned(), json!(server.cluster()));
            }
            Err(why) => {
                refuse("jwksUri", &why);
                return None;
            }
        },
        (None, None) => {
            let reason = format!(
                "leaves the keys to discovery, and the filter fetches from clusters that are named: `jwks_uri` of {}/.well-known/openid-configuration is given with --jwks-uri {issuer}=URL",
                issuer.trim_end_matches('/')
            );
            refuse("jwksUri", &reason);
            return None;
        }
    }
    Some(Value::Object(made))
}

/// What Istio takes for a field that is not there.
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Istio's durations may have fractions, and several units.
fn duration(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let mut milliseconds = 0.0;
    let mut number = String::new();
    let mut unit = String::new();
    for c in text.chars().chain(std::iter::once('0')) {
        let is_number = c.is_ascii_digit() || c == '.';
        if is_number && !unit.is_empty() {
            let factor = match unit.as_str() {
                "h" => 3_600_000.0,
                "m" => 60_000.0,
                "s" => 1_000.0,
                "ms" => 1.0,
                // The filter says what is wrong with it.
                _ => return text.to_owned(),
            };
            milliseconds += number.parse::<f64>().unwrap_or(f64::NAN) * factor;
            number.clear();
            unit.clear();
        }
        if is_number { number.push(c) } else { unit.push(c) }
    }
    match milliseconds {
        whole if whole > 0.0 && whole % 1_000.0 == 0.0 => format!("{}s", whole / 1_000.0),
        whole if whole > 0.0 && whole.fract() == 0.0 => format!("{whole}ms"),
        _ => text.to_owned(),
    }
}

/// A key set on one line: no line break of JSON is within a text.
fn one_line(jwks: &str) -> String {
    match serde_json::from_str::<Value>(jwks) {
        Ok(_) => jwks.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned(),
        Err(_) => jwks.to_owned(),
    }
}

/// Resources for every cluster from which keys are fetched.
fn ways(documents: &[Document], gateway: &Gateway, converted: &mut Converted) {
    let mut servers: BTreeMap<String, (Server, Whence)> = BTreeMap::new();
    for part in &converted.parts {
        let uri = part.value.get("jwksUri").and_then(Value::as_str);
        let server = uri.and_then(|uri| Server::of(uri, gateway).ok());
        if let (Some(server), Some(whence)) = (server, part.whence.first()) {
            servers.entry(server.cluster()).or_insert_with(|| (server, whence.clone()));
        }
    }
    for (server, whence) in servers.into_values() {
        converted.resources.extend(server.resources(gateway, documents, &whence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole() {
        for (istio, ours) in [
            ("5s", "5s"),
            ("1.5s", "1500ms"),
            ("1m30s", "90s"),
            ("250ms", "250ms"),
            ("0.25s", "250ms"),
            ("5", "5"),
            ("0s", "0s"),
            ("5d", "5d"),
            ("", ""),
        ] {
            assert_eq!(duration(&json!(istio)), ours, "{istio}");
        }
    }
}
