//! What changed between two configurations, in words. Order counts only where it decides something.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::check::is_secret;

/// Lists whose elements have names of their own, by the field that names them.
const NAMED: [(&str, &[&str]); 9] = [
    ("policies", &["namespace", "name"]),
    ("bypass", &["name"]),
    ("rewrites", &["name"]),
    ("splits", &["name"]),
    ("variants", &["name"]),
    ("shadows", &["name"]),
    ("quotas", &["name"]),
    ("jwtRules", &["issuer"]),
    ("keys", &["name"]),
];

/// Lists of which the first element that fits counts, or the place on a scale.
const ORDERED: [&str; 4] = ["jwtRules", "rewrites", "splits", "variants"];

/// Fields whose members are headers: their values may be credentials.
const HOLDERS: [&str; 2] = ["set", "setHeaders"];

/// The most of a value that is shown.
const LONGEST: usize = 200;

/// How it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It is another one.
    Changed,
}

impl Kind {
    /// A word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where, as `authorization.policies[prod/data-science].rules`.
    pub path: String,
    /// How.
    pub kind: Kind,
    /// What was there, as far as it is shown.
    pub old: Option<String>,
    /// What is there now.
    pub new: Option<String>,
}

/// Every change, in the order of the settings' names.
pub fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", "", old, new, &mut found);
    found
}

fn compare(path: &str, name: &str, old: &Value, new: &Value, found: &mut Vec<Change>) {
    if same(name, old, new) {
        return;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => objects(path, name, old, new, found),
        (Value::Array(old), Value::Array(new)) => lists(path, name, old, new, found),
        _ => found.push(Change {
            path: path.to_owned(),
            kind: Kind::Changed,
            old: Some(shown(name, old)),
            new: Some(shown(name, new)),
        }),
    }
}

fn objects(
    path: &str,
    name: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    found: &mut Vec<Change>,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for field in names {
        let below = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
        // A header is named by its holder: its own name says nothing about its value.
        let known = if HOLDERS.contains(&name) { name } else { field };
        match (old.get(field).filter(is_there), new.get(field).filter(is_there)) {
            (Some(old), Some(new)) => compare(&below, known, old, new, found),
            (old, new) => one_sided(&below, known, old, new, found),
        }
    }
}

/// Something that only one of them has: a section member by member, everything else as a whole.
fn one_sided(
    path: &str,
    name: &str,
    old: Option<&Value>,
    new: Option<&Value>,
    found: &mut Vec<Change>,
) {
    let is_listed = |value: &Value| value.is_array() && key(name).is_some();
    match (old, new) {
        (Some(value), None) if is_listed(value) => {
            lists(path, name, value.as_array().map_or(&[], Vec::as_slice), &[], found);
        }
        (None, Some(value)) if is_listed(value) => {
            lists(path, name, &[], value.as_array().map_or(&[], Vec::as_slice), found);
        }
        (Some(Value::Object(fields)), None) if holds_named(fields) => {
            objects(path, name, fields, &Map::new(), found);
        }
        (None, Some(Value::Object(fields))) if holds_named(fields) => {
            objects(path, name, &Map::new(), fields, found);
        }
        (old, new) => found.extend(change(path, name, old, new)),
    }
}

fn holds_named(fields: &Map<String, Value>) -> bool {
    fields.iter().any(|(name, value)| key(name).is_some() && value.is_array())
}

fn change(path: &str, name: &str, old: Option<&Value>, new: Option<&Value>) -> Option<Change> {
    let kind = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => Kind::Added,
        (Some(_), None) => Kind::Removed,
        (Some(_), Some(_)) => Kind::Changed,
    };
    let shown = |value: &Value| shown(name, value);
    Some(Change { path: path.to_owned(), kind, old: old.map(shown), new: new.map(shown) })
}

fn lists(path: &str, name: &str, old: &[Value], new: &[Value], found: &mut Vec<Change>) {
    if let Some(fields) = key(name) {
        return named(path, name, fields, [old, new], found);
    }
    // A multiset: what both have cancels out.
    let mut left: Vec<&Value> = new.iter().collect();
    let mut gone = Vec::new();
    for value in old {
        match left.iter().position(|other| same("", value, other)) {
            Some(at) => drop(left.remove(at)),
            None => gone.push(value),
        }
    }
    // One for one: what changed inside is easier to see.
    if let ([Value::Object(one)], [Value::Object(other)], false) = (&*gone, &*left, name == "rules")
    {
        return objects(path, name, one, other, found);
    }
    found.extend(gone.iter().filter_map(|value| change(path, name, Some(value), None)));
    found.extend(left.iter().filter_map(|value| change(path, name, None, Some(value))));
}

fn named(
    path: &str,
    name: &str,
    fields: &[&str],
    [old, new]: [&[Value]; 2],
    found: &mut Vec<Change>,
) {
    let label_of = |value: &Value| {
        let parts = fields.iter().filter_map(|field| value.get(field)?.as_str());
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    };
    let labels = |list: &[&Value]| -> Vec<String> {
        let (mut labels, mut seen) = (Vec::new(), BTreeMap::new());
        // Names need not be given, nor be different.
        for (i, value) in list.iter().enumerate() {
            let label = label_of(value);
            let times = seen.entry(label.clone()).or_insert(0_usize);
            *times = times.saturating_add(1);
            labels.push(match times {
                _ if label.is_empty() => i.to_string(),
                1 => label,
                times => format!("{label} ({times})"),
            });
        }
        labels
    };
    let (old, new) = (in_turn(name, old), in_turn(name, new));
    let (before, after) = (labels(&old), labels(&new));
    let get = |list: &'_ [&Value], labels: &[String], label: &String| -> Option<Value> {
        list.get(labels.iter().position(|known| known == label)?).map(|value| (*value).clone())
    };
    for label in before.iter().chain(after.iter().filter(|label| !before.contains(label))) {
        let below = format!("{path}[{label}]");
        match (get(&old, &before, label), get(&new, &after, label)) {
            (Some(old), Some(new)) => compare(&below, name, &old, &new, found),
            (old, new) => found.extend(change(&below, name, old.as_ref(), new.as_ref())),
        }
    }
    let common = |labels: &[String], others: &[String]| -> Vec<String> {
        labels.iter().filter(|label| others.contains(label)).cloned().collect()
    };
    let (was, is) = (common(&before, &after), common(&after, &before));
    if ORDERED.contains(&name) && was != is {
        let (old, new) = (Some(was.join(", ")), Some(is.join(", ")));
        found.push(Change { path: format!("{path} (order)"), kind: Kind::Changed, old, new });
    }
}

/// The elements in the order in which the filter asks them: rules by their issuers, of which the first that accepts counts.
fn in_turn<'v>(name: &str, list: &'v [Value]) -> Vec<&'v Value> {
    let mut list: Vec<&Value> = list.iter().collect();
    if name == "jwtRules" {
        list.sort_by_key(|rule| rule.get("issuer").and_then(Value::as_str).unwrap_or_default());
    }
    list
}

fn key(name: &str) -> Option<&'static [&'static str]> {
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, fields)| *fields)
}

/// Whether they mean the same: lists in any order, except where the order counts.
fn same(name: &str, old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            if ORDERED.contains(&name) {
                let (old, new) = (in_turn(name, old), in_turn(name, new));
                return old.len() == new.len()
                    && old.iter().zip(new).all(|(old, new)| same("", old, new));
            }
            let mut left: Vec<&Value> = new.iter().collect();
            old.len() == new.len()
                && old.iter().all(|value| {
                    let at = left.iter().position(|other| same("", value, other));
                    at.map(|at| left.swap_remove(at)).is_some()
                })
        }
        (Value::Object(old), Value::Object(new)) => {
            let there = |map: &Map<String, Value>| map.values().filter(is_there).count();
            there(old) == there(new)
                && old.iter().filter(|(_, value)| is_there(value)).all(|(name, value)| {
                    new.get(name).is_some_and(|other| same(name, value, other))
                })
        }
        _ => old == new,
    }
}

/// A field that is null is not there.
fn is_there(value: &&Value) -> bool {
    !value.is_null()
}

/// A value in a line, without what may be secret.
fn shown(name: &str, value: &Value) -> String {
    let text = match hidden(name, value) {
        Value::String(text) => text,
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
            items.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let mut cut: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    cut
}

fn hidden(name: &str, value: &Value) -> Value {
    let is_hidden = |name: &str| is_secret(name) || HOLDERS.contains(&name);
    match value {
        // The section of policies has the name of a header.
        Value::Object(fields) if !HOLDERS.contains(&name) => {
            fields.iter().map(|(name, value)| (name.clone(), hidden(name, value))).collect()
        }
        Value::Object(fields) => {
            fields.keys().map(|name| (name.clone(), Value::from("(not shown)"))).collect()
        }
        Value::Array(items) => items.iter().map(|item| hidden(name, item)).collect(),
        Value::String(_) if is_hidden(name) => "(not shown)".into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(old: Value, new: Value) -> Vec<String> {
        let text = |change: Change| {
            let (old, new) = (change.old.unwrap_or_default(), change.new.unwrap_or_default());
            format!("{} {}: {old} -> {new}", change.kind.as_str(), change.path)
        };
        changes(&old, &new).into_iter().map(text).collect()
    }

    #[test]
    fn what_changed_is_told_and_order_only_where_it_counts() {
        let policy =
            |name: &str, rules: Value| json!({"name": name, "namespace": "prod", "rules": rules});
        let policies = |list: Value| json!({"authorization": {"policies": list}});
        let (a, b) = (json!({"to": ["a"]}), json!({"to": ["b"]}));
        for (old, new, wanted) in [
            (json!({"mode": "REPORT"}), json!({"mode": "REPORT", "splits": null}), &[][..]),
            (
                json!({"mode": "REPORT"}),
                json!({"mode": "ENFORCE"}),
                &["changed mode: REPORT -> ENFORCE"],
            ),
            (json!({}), json!({"mode": "ENFORCE"}), &["added mode:  -> ENFORCE"]),
            (
                policies(json!([policy("x", json!([a, b])), policy("y", json!([]))])),
                policies(json!([policy("y", json!([])), policy("x", json!([b, a]))])),
                &[],
            ),
            (
                policies(json!([policy("x", json!([a]))])),
                policies(json!([policy("x", json!([b]))])),
                &[
                    "removed authorization.policies[prod/x].rules: {\"to\":[\"a\"]} -> ",
                    "added authorization.policies[prod/x].rules:  -> {\"to\":[\"b\"]}",
                ],
            ),
            (
                policies(json!([])),
                policies(json!([policy("x", json!([]))])),
                &[
                    "added authorization.policies[prod/x]:  -> {\"name\":\"x\",\"namespace\":\"prod\",\"rules\":[]}",
                ],
            ),
            (
                json!({"shadows": [{"name": "s", "percent": 1, "models": ["a", "b"]}]}),
                json!({"shadows": [{"name": "s", "percent": 2, "models": ["b", "c"]}]}),
                &[
                    "removed shadows[s].models: a -> ",
                    "added shadows[s].models:  -> c",
                    "changed shadows[s].percent: 1 -> 2",
                ],
            ),
            (
                json!({"rewrites": [{"name": "a"}, {"name": "b"}]}),
                json!({"rewrites": [{"name": "b"}, {"name": "a"}]}),
                &["changed rewrites (order): a, b -> b, a"],
            ),
            (
                json!({"authentication": {"jwtRules": [{"issuer": "i", "jwks": "one"}]}}),
                json!({"authentication": {"jwtRules": [{"issuer": "i", "jwks": "two"}]}}),
                &["changed authentication.jwtRules[i].jwks: (not shown) -> (not shown)"],
            ),
            (
                json!({"authentication": {"jwtRules": [{"issuer": "i"}, {"issuer": "j", "fromCookies": ["a"]}]}}),
                json!({"authentication": {"jwtRules": [{"issuer": "j", "fromCookies": ["a"]}, {"issuer": "i"}]}}),
                &[],
            ),
            (
                json!({"authentication": {"jwtRules": [{"issuer": "i", "fromCookies": ["a"]}, {"issuer": "i", "fromCookies": ["b"]}]}}),
                json!({"authentication": {"jwtRules": [{"issuer": "i", "fromCookies": ["b"]}, {"issuer": "i", "fromCookies": ["a"]}]}}),
                &[
                    "removed authentication.jwtRules[i].fromCookies: a -> ",
                    "added authentication.jwtRules[i].fromCookies:  -> b",
                    "removed authentication.jwtRules[i (2)].fromCookies: b -> ",
                    "added authentication.jwtRules[i (2)].fromCookies:  -> a",
                ],
            ),
            (
                json!({"rewrites": [{"name": "a", "setHeaders": {"x": "one"}}]}),
                json!({"rewrites": [{"name": "a", "setHeaders": {"x": "two"}}]}),
                &["changed rewrites[a].setHeaders.x: (not shown) -> (not shown)"],
            ),
        ] {
            assert_eq!(told(old.clone(), new), wanted, "{old}");
        }
    }
}
