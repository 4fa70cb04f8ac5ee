//! Whether an object of Istio's has the form that its API takes. What is read of another one would be less than what it
//! says: a list that is none holds no rule, and a policy that refuses is gone with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

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

/// Takes out objects that are there already, saying the same. Of those that say something else, a cluster has the one that was
/// applied last, and nobody knows here which that is.
pub fn without_twins<'d>(documents: Vec<&'d Document>) -> (Vec<&'d Document>, Vec<Twin<'d>>) {
    let mut first: BTreeMap<String, &Document> = BTreeMap::new();
    let (mut own, mut twins) = (Vec::new(), Vec::new());
    for document in documents {
        let name = format!("{} {}", document.group(), document.object());
        match first.get(&name) {
            None => {
                first.insert(name, document);
                own.push(document);
            }
            Some(other) => {
                twins.push(Twin { document, is_same: says(document) == says(other), of: other })
            }
        }
    }
    (own, twins)
}

/// An object that is given again.
#[derive(Debug)]
pub struct Twin<'d> {
    /// The later one.
    pub document: &'d Document,
    is_same: bool,
    of: &'d Document,
}

impl Twin<'_> {
    /// What has to be said of it.
    pub fn remark(&self) -> Option<Remark> {
        let reason = format!("is given twice, and says something else at {}", self.of.origin);
        (!self.is_same).then(|| Remark::new(self.document, "metadata.name", Done::Refused, reason))
    }
}

/// What counts of an object.
fn says(document: &Document) -> Vec<Value> {
    let mut annotations = document.get("/metadata/annotations").clone();
    if let Some(annotations) = annotations.as_object_mut() {
        // What `kubectl apply` keeps for itself.
        annotations.retain(|name, _| !name.starts_with("kubectl.kubernetes.io/"));
    }
    let parts = ["/spec", "/data", "/metadata/labels"].map(|part| document.get(part).clone());
    parts
        .into_iter()
        .chain([annotations])
        .filter(|part| !part.is_null() && *part != json!({}))
        .collect()
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
