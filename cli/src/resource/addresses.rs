//! Addresses that a configuration asks for at a sidecar's inbound listener, which vouches for none of them.

use modelgate_engine::config::{Errors, Path, Warning};
use serde_json::{Map, Value};

/// What names the peer in a source, and in a condition.
const NAMES: [&str; 4] = ["principals", "namespaces", "serviceAccounts", "trustDomains"];
const KEYS: [&str; 4] =
    ["source.principal", "source.namespace", "source.serviceAccount", "source.trustDomain"];

/// Warns of each field of a `pluginConfig` that asks for one.
pub(super) fn warnings(config: &Value, errors: &mut Errors) {
    let source = config.get("sourceAddress").and_then(Value::as_str).unwrap_or_default();
    let peer = match source {
        "" | "AUTO" => Peer::Unknown,
        "LAST_FORWARDED_FOR" => Peer::Forwarded,
        _ => Peer::Given,
    };
    walk(config, are_refused(config), peer, &Path::ROOT, errors);
}

/// What stands for the peer's address.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    /// Nothing.
    Unknown,
    /// What the sender wrote.
    Forwarded,
    /// Whatever the operator said of it.
    Given,
}

/// `named`: the rule is for peers that it names.
fn walk(value: &Value, named: bool, peer: Peer, path: &Path<'_>, errors: &mut Errors) {
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                walk(item, named, peer, &path.index(i), errors);
            }
        }
        Value::Object(members) => {
            let named = named || names(members) || are_named(members);
            for (name, member) in members {
                let path = path.field(name);
                let key = if name == "key" { member.as_str().unwrap_or_default() } else { "" };
                let of_peer = matches!(name.as_str(), "ipBlocks" | "notIpBlocks");
                let of_client = matches!(name.as_str(), "remoteIpBlocks" | "notRemoteIpBlocks");
                let of_peer = of_peer || key == "source.ip";
                if of_peer && peer == Peer::Unknown {
                    let what = "asks for the peer's address, which a sidecar's inbound listener does not tell: it \
                                always matches in DENY and AUDIT, and never elsewhere";
                    let fix = "principals, or sourceAddress LAST_FORWARDED_FOR where all that call are gateways";
                    errors.warn(Warning::SourceAddress, &path, what, fix);
                } else if !named
                    && (of_peer && peer == Peer::Forwarded || of_client || key == "remote.ip")
                {
                    let what = "asks for an address in x-forwarded-for, which whoever calls the sidecar writes";
                    let fix = "principals of the gateway beside it, or a DENY of all others by notPrincipals";
                    errors.warn(Warning::SourceAddress, &path, what, fix);
                }
                walk(member, named, peer, &path, errors);
            }
        }
        _ => {}
    }
}

/// The texts of a list.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a source names peers.
fn names(source: &Map<String, Value>) -> bool {
    NAMES.iter().any(|name| texts(source.get(*name)).any(|value| value != "*"))
}

/// Whether a rule or bypass is for peers that it names, by all its sources or by a condition.
fn are_named(rule: &Map<String, Value>) -> bool {
    let list = |name: &str| rule.get(name).and_then(Value::as_array).into_iter().flatten();
    let source = |from: &Value| from.get("source").and_then(Value::as_object).is_some_and(names);
    let condition = |one: &Value| {
        let key = one.get("key").and_then(Value::as_str);
        key.is_some_and(|key| KEYS.contains(&key))
            && texts(one.get("values")).any(|value| value != "*")
    };
    list("from").next().is_some() && list("from").all(source) || list("when").any(condition)
}

/// Whether a DENY refuses whoever is not a peer that it names.
fn are_refused(config: &Value) -> bool {
    let policies = config.pointer("/authorization/policies").and_then(Value::as_array);
    policies.into_iter().flatten().any(|policy| {
        let is_set = |name: &str| policy.get(name).is_some_and(|value| *value == Value::Bool(true));
        let rules = policy.get("rules").and_then(Value::as_array).into_iter().flatten();
        policy.get("action").and_then(Value::as_str) == Some("DENY")
            && !is_set("dryRun")
            && texts(policy.get("models")).next().is_none()
            && rules.into_iter().any(refuses_others)
    })
}

/// Whether a rule is for all peers but those that it names.
fn refuses_others(rule: &Value) -> bool {
    let sources = rule.get("from").and_then(Value::as_array).into_iter().flatten();
    let others = |from: &Value| {
        let source = from.get("source").and_then(Value::as_object);
        let excepted = source.filter(|source| source.len() == 1);
        excepted.is_some_and(|source| texts(source.get("notPrincipals")).next().is_some())
    };
    let bare = ["to", "when"].iter().all(|name| rule.get(*name).is_none());
    bare && sources.into_iter().any(others)
}
