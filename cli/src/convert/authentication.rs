//! RequestAuthentication: `jwtRules`, field for field, and the cluster of their keys.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::document::{Document, is_nothing};
use super::gateway::{Gateway, Scope};
use super::issuer::Server;
use super::part::{Converted, Done, Part, Remark, Whence, Workload};
use super::{pods, remarks};

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
    /// Pods that are known to serve models.
    pub workloads: &'a [Workload],
}

/// Who checks tokens, for policies that ask for them.
#[derive(Debug, Default)]
pub struct Checks<'d> {
    /// The gateway's rules.
    pub gateway: Vec<Value>,
    /// Those of pods.
    pub pods: Vec<OfPods<'d>>,
}

/// Rules by which pods check tokens.
#[derive(Debug)]
pub struct OfPods<'d> {
    /// The models.
    pub models: Vec<String>,
    /// The rules.
    pub rules: Vec<Value>,
    /// Whether they are the gateway's as well: what holds for every pod stays with Istio for the others.
    pub is_also: bool,
    /// Whence they are.
    pub document: &'d Document,
}

/// What the RequestAuthentications among these become.
pub fn convert<'d>(
    documents: impl Iterator<Item = &'d Document>,
    keys: &Keys<'_>,
) -> (Converted, Checks<'d>) {
    let mut converted = Converted::default();
    let mut checks = Checks::default();
    let mut found: Vec<(Part, bool)> = Vec::new();
    for document in documents {
        converted.objects.push(Whence::of(document));
        let scope = keys.gateway.scope(document);
        let Some((of_gateway, models)) = place(document, scope, keys, &mut converted) else {
            continue;
        };
        let mut rules = Vec::new();
        let given = document.get("/spec/jwtRules").as_array();
        for (i, rule) in given.into_iter().flatten().enumerate() {
            let at = format!("spec.jwtRules[{i}]");
            let Some(rule) = one(rule, &at, document, keys, &mut converted) else { continue };
            rules.push(rule.clone());
            let mut part = Part::entry("authentication.jwtRules", rule, document);
            part.whence = vec![Whence { object: document.object(), origin: document.at(&at) }];
            found.push((part, of_gateway));
        }
        if of_gateway {
            checks.gateway.extend(rules.iter().cloned());
        }
        if !models.is_empty() && !rules.is_empty() {
            checks.pods.push(OfPods { models, rules, is_also: of_gateway, document });
        }
    }
    // Whoever the gateway refuses never comes to the pods.
    let is_gateways = !checks.gateway.is_empty();
    if !is_gateways {
        converted.remarks.extend(checks.pods.iter().map(|pods| everywhere(pods.document)));
    }
    found.retain(|(_, of_gateway)| *of_gateway || !is_gateways);
    // Istio puts them in this order, and the first that takes a token says who calls.
    let issuer = |part: &Part| part.value.get("issuer").map(Value::to_string).unwrap_or_default();
    found.sort_by_cached_key(|(part, _)| (issuer(part), part.whence.clone()));
    converted.parts.extend(found.into_iter().map(|(part, _)| part));
    (converted, checks)
}

/// Whether it is the gateway's, and the models whose pods have it, if it can be carried over.
fn place(
    document: &Document,
    scope: Scope,
    keys: &Keys<'_>,
    converted: &mut Converted,
) -> Option<(bool, Vec<String>)> {
    match scope {
        Scope::Gateway { also } => {
            if also {
                converted.remarks.push(remarks::also(document));
            }
            let is_root = document.namespace == keys.gateway.root;
            let all = if is_root { "*".to_owned() } else { format!("{}/*", document.namespace) };
            Some((true, if also { vec![all] } else { Vec::new() }))
        }
        Scope::Workloads { namespace, labels } => {
            let Some(pods) = pods::select(namespace.as_deref(), &labels, keys.workloads) else {
                converted.remarks.push(remarks::of_others(document, keys.gateway, keys.workloads));
                return None;
            };
            converted.remarks.push(remarks::at_pods(document));
            if pods.is_part {
                let reason = "is for some of a model's pods, and at the gateway they are one: --keep says that it stays with Istio";
                converted.remarks.push(Remark::new(
                    document,
                    "spec.selector",
                    Done::Refused,
                    reason,
                ));
                return None;
            }
            Some((false, pods.models))
        }
        Scope::Elsewhere(to) => {
            converted.remarks.push(remarks::attached(document, &to));
            None
        }
    }
}

fn everywhere(document: &Document) -> Remark {
    let reason = "has its tokens checked, and taken off, on every address of the gateway, not only on those of its models";
    Remark::new(document, "spec.jwtRules", Done::Stricter, reason)
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
        // istiod does not fetch where keys are given, so that there is nothing to wait for.
        (Some(jwks), _) => {
            made.insert("jwks".to_owned(), json!(one_line(jwks)));
            made.remove("timeout");
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

/// Resources for every cluster from which keys are fetched, where these documents do not have them.
pub fn ways(documents: &[Document], gateway: &Gateway, converted: &mut Converted) {
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
