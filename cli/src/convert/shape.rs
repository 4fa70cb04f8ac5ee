//! Whether an object of Istio's has the form that its API takes. What is read of another one would be less than what it
//! says: a list that is none holds no rule, and a policy that refuses is gone with it.

use serde_json::Value;

use super::document::Document;
use super::part::{Done, Remark};

/// The group of the kinds that are looked at.
pub const GROUP: &str = "security.istio.io";

/// What stands in a field.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    List,
    Object,
    Texts,
    Selector,
}

use Form::{List, Object, Selector, Text, Texts};

/// Fields of `spec` that every kind has.
const ATTACHED: [(&str, Form); 3] =
    [("selector", Selector), ("targetRef", Object), ("targetRefs", List)];

/// Fields of `spec` of AuthorizationPolicy and RequestAuthentication (`security.istio.io/v1` of Istio 1.31).
const SPEC: [(&str, &[(&str, Form)]); 2] = [
    ("AuthorizationPolicy", &[("action", Text), ("provider", Object), ("rules", List)]),
    ("RequestAuthentication", &[("jwtRules", List)]),
];

/// Whether it is one of the kinds, or means to be: what has no version is told of.
pub fn is_istios(document: &Document, kind: &str) -> bool {
    document.kind == kind && (document.group() == GROUP || document.api_version.is_empty())
}

/// What is wrong with it: without this, nothing of it may be taken.
pub fn wrong(document: &Document) -> Vec<Remark> {
    let mut found: Vec<(String, String)> = Vec::new();
    if document.api_version.is_empty() {
        found.push(("apiVersion".to_owned(), format!("is not there: {GROUP}/v1")));
    }
    for field in ["name", "namespace"] {
        form(document.get("/metadata").get(field), Text, &format!("metadata.{field}"), &mut found);
    }
    // What is no text is no annotation, whoever wrote it meant one.
    let annotations = document.get("/metadata/annotations");
    form(Some(annotations), Texts, "metadata.annotations", &mut found);
    let spec = document.get("/spec");
    form(Some(spec), Object, "spec", &mut found);
    let own = SPEC.iter().find(|(kind, _)| *kind == document.kind).map_or(&[][..], |(_, own)| own);
    for (name, value) in spec.as_object().into_iter().flatten() {
        let at = format!("spec.{name}");
        match ATTACHED.iter().chain(own).find(|(known, _)| known == name) {
            Some((_, wanted)) => form(Some(value), *wanted, &at, &mut found),
            None if value.is_null() => {}
            None => found.push((at, "is not a field of Istio's that is known here".to_owned())),
        }
    }
    let remark = |(at, why): (String, String)| Remark::new(document, &at, Done::Refused, why);
    found.into_iter().map(remark).collect()
}

fn form(value: Option<&Value>, wanted: Form, at: &str, found: &mut Vec<(String, String)>) {
    let Some(value) = value.filter(|value| !value.is_null()) else { return };
    let why = match (wanted, value) {
        (Text, Value::String(_)) | (List, Value::Array(_)) | (Object, Value::Object(_)) => return,
        (Texts, Value::Object(fields)) => {
            for (name, value) in fields {
                form(Some(value), Text, &format!("{at}.{name}"), found);
            }
            return;
        }
        (Selector, Value::Object(fields)) => {
            for (name, value) in fields {
                let at = format!("{at}.{name}");
                match name.as_str() {
                    "matchLabels" => form(Some(value), Texts, &at, found),
                    _ if value.is_null() => {}
                    _ => found.push((at, "is not how Istio selects: matchLabels is".to_owned())),
                }
            }
            return;
        }
        (Text, _) => "is no text",
        (List, _) => "is no list",
        (Object | Texts | Selector, _) => "is no object",
    };
    found.push((at.to_owned(), why.to_owned()));
}
