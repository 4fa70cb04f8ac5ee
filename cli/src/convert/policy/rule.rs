//! A rule of an AuthorizationPolicy, taken apart, and put together for `pluginConfig`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::convert::document::is_nothing;

/// The fields of a source or an operation with their values: all of them must fit, one value of each.
pub type Fields = BTreeMap<String, Vec<String>>;

/// A condition of `when`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The attribute.
    pub key: String,
    /// Any of these.
    pub values: Vec<String>,
    /// None of these.
    pub not_values: Vec<String>,
}

/// A rule. Lists that are empty stand for anybody and anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Any of these sources.
    pub from: Vec<Fields>,
    /// Any of these operations.
    pub to: Vec<Fields>,
    /// All of these conditions.
    pub when: Vec<Condition>,
}

impl Rule {
    /// Reads a rule as Istio writes it.
    ///
    /// # Errors
    ///
    /// The field that is not one of Istio's, or not of its type, and what is wrong.
    pub fn read(value: &Value) -> Result<Self, (String, String)> {
        let mut rule = Self::default();
        for (name, value) in object(value, "")? {
            match name.as_str() {
                "from" => rule.from = entries(&value, "from", "source")?,
                "to" => rule.to = entries(&value, "to", "operation")?,
                "when" => {
                    for (i, value) in list(&value, "when")?.iter().enumerate() {
                        rule.when.push(Condition::read(value, &format!("when[{i}]"))?);
                    }
                }
                name => return Err((name.to_owned(), NOT_KNOWN.to_owned())),
            }
        }
        Ok(rule)
    }

    /// Whether it fits every request.
    pub fn is_any(&self) -> bool {
        self.from.is_empty() && self.to.is_empty() && self.when.is_empty()
    }

    /// Whether it asks who calls by a token.
    pub fn asks_for_token(&self) -> bool {
        let by_source = |fields: &Fields| {
            fields.keys().any(|name| name.to_ascii_lowercase().ends_with("requestprincipals"))
        };
        self.from.iter().any(by_source)
            || self.when.iter().any(|condition| condition.key.starts_with("request.auth."))
    }

    /// It as `pluginConfig` has it.
    pub fn value(&self) -> Value {
        let mut made = Map::new();
        let entries = |name: &str, entries: &[Fields]| -> Value {
            entries.iter().map(|fields| json!({name: fields})).collect()
        };
        if !self.from.is_empty() {
            made.insert("from".to_owned(), entries("source", &self.from));
        }
        if !self.to.is_empty() {
            made.insert("to".to_owned(), entries("operation", &self.to));
        }
        if !self.when.is_empty() {
            made.insert("when".to_owned(), self.when.iter().map(Condition::value).collect());
        }
        Value::Object(made)
    }
}

impl Condition {
    fn read(value: &Value, at: &str) -> Result<Self, (String, String)> {
        let mut condition = Self { key: String::new(), values: Vec::new(), not_values: Vec::new() };
        for (name, value) in object(value, at)? {
            let at = format!("{at}.{name}");
            match name.as_str() {
                "key" => {
                    let key = value.as_str().ok_or((at, "is no text".to_owned()))?;
                    condition.key = key.to_owned();
                }
                "values" => condition.values = texts(&value, &at)?,
                "notValues" => condition.not_values = texts(&value, &at)?,
                _ => return Err((at, NOT_KNOWN.to_owned())),
            }
        }
        Ok(condition)
    }

    fn value(&self) -> Value {
        let mut made = Map::new();
        made.insert("key".to_owned(), json!(self.key));
        for (name, values) in [("values", &self.values), ("notValues", &self.not_values)] {
            if !values.is_empty() {
                made.insert(name.to_owned(), json!(values));
            }
        }
        Value::Object(made)
    }
}

const NOT_KNOWN: &str = "is not a field of Istio's that is known here";

fn object(value: &Value, at: &str) -> Result<Map<String, Value>, (String, String)> {
    let object = value.as_object().ok_or_else(|| (at.to_owned(), "is not an object".to_owned()))?;
    Ok(object.clone().into_iter().filter(|(_, value)| !is_nothing(value)).collect())
}

fn list<'v>(value: &'v Value, at: &str) -> Result<&'v Vec<Value>, (String, String)> {
    value.as_array().ok_or_else(|| (at.to_owned(), "is not a list".to_owned()))
}

fn texts(value: &Value, at: &str) -> Result<Vec<String>, (String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts: Option<Vec<String>> = list(value, at)?.iter().map(text).collect();
    texts.ok_or_else(|| (at.to_owned(), "holds something that is no text".to_owned()))
}

/// The sources of `from`, or the operations of `to`.
fn entries(value: &Value, list_name: &str, name: &str) -> Result<Vec<Fields>, (String, String)> {
    let fields_of = if name == "source" { &SOURCE[..] } else { &OPERATION[..] };
    let mut entries = Vec::new();
    for (i, entry) in list(value, list_name)?.iter().enumerate() {
        let at = format!("{list_name}[{i}]");
        let entry = object(entry, &at)?;
        let at = format!("{at}.{name}");
        let empty = Value::Object(Map::new());
        let inner = object(entry.get(name).unwrap_or(&empty), &at)?;
        let known = entry.keys().all(|key| key == name);
        if inner.is_empty() || !known {
            // Istio refuses it too: it would fit everything.
            return Err((at, "names nothing".to_owned()));
        }
        let mut fields = Fields::new();
        for (field, value) in inner {
            let at = format!("{at}.{field}");
            let (plain, is_negated) = positive(&field);
            let is_spelled = !is_negated || field == format!("not{}", capital(&plain));
            if !fields_of.contains(&plain.as_str()) || !is_spelled {
                return Err((at, NOT_KNOWN.to_owned()));
            }
            let values = texts(&value, &at)?;
            fields.insert(field, values);
        }
        entries.push(fields);
    }
    Ok(entries)
}

/// The field without `not`, and whether it had one.
pub fn positive(name: &str) -> (String, bool) {
    match name.strip_prefix("not") {
        Some(rest) => {
            let mut letters = rest.chars();
            let first = letters.next().map(|c| c.to_ascii_lowercase());
            (first.into_iter().chain(letters).collect(), true)
        }
        None => (name.to_owned(), false),
    }
}

/// With its first letter a capital.
fn capital(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Fields of sources, without `not`.
const SOURCE: [&str; 7] = [
    "principals",
    "requestPrincipals",
    "namespaces",
    "serviceAccounts",
    "trustDomains",
    "ipBlocks",
    "remoteIpBlocks",
];

/// The same of operations.
const OPERATION: [&str; 4] = ["hosts", "ports", "methods", "paths"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_their_entry_to_the_letter() {
        for (rule, at) in [
            (
                json!({"from": [{"source": {"notIpBlocks": ["::1"], "requestPrincipals": ["a"]}}]}),
                "",
            ),
            (json!({"to": [{"operation": {"notPaths": ["/a"], "hosts": ["a"]}}]}), ""),
            (json!({"from": [{"source": {"paths": ["/a"]}}]}), "from[0].source.paths"),
            (json!({"to": [{"operation": {"principals": ["a"]}}]}), "to[0].operation.principals"),
            (json!({"from": [{"source": {"Principals": ["a"]}}]}), "from[0].source.Principals"),
            (
                json!({"from": [{"source": {"requestprincipals": ["a"]}}]}),
                "from[0].source.requestprincipals",
            ),
            (
                json!({"to": [{"operation": {"notnotPaths": ["/a"]}}]}),
                "to[0].operation.notnotPaths",
            ),
            (json!({"to": [{"operation": {"models": ["prod/a"]}}]}), "to[0].operation.models"),
            (json!({"to": [{"operation": {"notpaths": ["/a"]}}]}), "to[0].operation.notpaths"),
            (json!({"to": [{"operation": {"hosts": [1]}}]}), "to[0].operation.hosts"),
            (json!({"to": {"operation": {"hosts": ["a"]}}}), "to"),
            (json!({"when": [{"key": 1, "values": ["a"]}]}), "when[0].key"),
        ] {
            let wrong = Rule::read(&rule).err().map(|(at, _)| at).unwrap_or_default();
            assert_eq!(wrong, at, "{rule}");
        }
    }
}
