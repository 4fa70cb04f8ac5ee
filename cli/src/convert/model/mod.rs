//! Deployments of models and the routes to them: shadows, splits, and which pods serve which model.
//!
//! | file | what it does |
//! |---|---|
//! | `seldon` | SeldonDeployment of Seldon Core 1 |
//! | `seldon_v2` | Model, Pipeline and Experiment of Seldon Core 2 |
//! | `kserve` | InferenceService and LLMInferenceService |
//! | `route` | VirtualService: mirrors and weights |

mod kserve;
mod route;
mod seldon;
mod seldon_v2;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::document::Document;
use super::part::{Converted, Part};

/// What the deployments and routes among these become.
pub fn convert(documents: &[&Document]) -> Converted {
    let mut converted = Converted::default();
    for document in documents {
        match (document.group(), document.kind.as_str()) {
            ("machinelearning.seldon.io", "SeldonDeployment") => {
                seldon::convert(document, &mut converted);
            }
            ("mlops.seldon.io", "Model" | "Pipeline" | "Experiment") => {
                seldon_v2::convert(document, &mut converted);
            }
            ("serving.kserve.io", "InferenceService") => {
                kserve::service(document, &mut converted);
            }
            ("networking.istio.io", "VirtualService") => {
                route::convert(document, documents, &mut converted);
            }
            _ => {}
        }
    }
    kserve::settings(documents, &mut converted);
    name_apart(&mut converted.parts);
    converted
}

/// Headers of requests that VirtualServices set, add or remove, in lower case.
pub fn changed_headers(documents: &[&Document]) -> Vec<String> {
    let is_route =
        |one: &&&Document| one.group() == "networking.istio.io" && one.kind == "VirtualService";
    let mut names = BTreeSet::new();
    for document in documents.iter().filter(is_route) {
        for route in items(document.get("/spec"), "http") {
            for part in items(route, "route").iter().chain([route]) {
                let request = part.pointer("/headers/request").unwrap_or(&Value::Null);
                let fields =
                    ["set", "add"].iter().filter_map(|name| request.get(*name)?.as_object());
                names.extend(fields.flat_map(Map::keys).map(|name| name.to_ascii_lowercase()));
                let removed = items(request, "remove").iter().filter_map(Value::as_str);
                names.extend(removed.map(str::to_ascii_lowercase));
            }
        }
    }
    names.into_iter().collect()
}

/// The most letters that the names of shadows and splits have.
const LONGEST: usize = 64;

/// Has shadows and splits names of their own, short enough, whatever their models are called: `prod/b-a` and `prod-b/a` make
/// the same one.
fn name_apart(parts: &mut [Part]) {
    let mut names: BTreeSet<(String, String)> = BTreeSet::new();
    let mut known: Vec<(String, Value, String)> = Vec::new();
    for part in parts.iter_mut().filter(|part| ["shadows", "splits"].contains(&part.at.as_str())) {
        let Some(name) = text(&part.value, "name").map(str::to_owned) else { continue };
        // What is the same twice becomes one entry.
        let same = known.iter().find(|(at, value, _)| (at, value) == (&part.at, &part.value));
        let own = match same {
            Some((_, _, own)) => own.clone(),
            None => {
                let free = (1_usize..).map(|n| shortened(&name, n));
                let mut free = free.filter(|own| names.insert((part.at.clone(), own.clone())));
                let Some(own) = free.next() else { continue };
                known.push((part.at.clone(), part.value.clone(), own.clone()));
                own
            }
        };
        if let Some(fields) = part.value.as_object_mut() {
            fields.insert("name".to_owned(), json!(own));
        }
    }
}

/// The name for the `n`th time, with its end.
fn shortened(name: &str, n: usize) -> String {
    let (stem, end) = match name.strip_suffix(GRPC) {
        Some(stem) => (stem, GRPC),
        None => (name, ""),
    };
    let mark = if n == 1 { String::new() } else { format!("-{n}") };
    let room = LONGEST.saturating_sub(mark.len()).saturating_sub(end.len());
    let stem: String = stem.chars().take(room).collect();
    format!("{}{mark}{end}", stem.trim_end_matches('-'))
}

/// How the name of a shadow ends that is for gRPC alone.
const GRPC: &str = "-grpc";

/// An entry of `shadows`. Its `name` is unique where `document` and `part` are.
struct Shadow<'a> {
    name: String,
    model: &'a str,
    percent: f64,
    cluster: String,
    /// Whether it is for requests of gRPC, or for the others; none: for both.
    grpc: Option<bool>,
}

impl Shadow<'_> {
    fn value(self) -> Value {
        let mut entry = Map::new();
        entry.insert("name".to_owned(), json!(self.name));
        entry.insert("models".to_owned(), json!([self.model]));
        if let Some(grpc) = self.grpc {
            let field = if grpc { "values" } else { "notValues" };
            let when =
                json!([{"key": "request.headers[content-type]", field: ["application/grpc*"]}]);
            entry.insert("when".to_owned(), when);
        }
        if self.percent < 100.0 {
            entry.insert("percent".to_owned(), number(self.percent));
        }
        entry.insert("cluster".to_owned(), json!(self.cluster));
        Value::Object(entry)
    }
}

/// As it is written: `10` and not `10.0`.
fn number(value: f64) -> Value {
    serde_json::from_str(&value.to_string()).unwrap_or_else(|_| json!(value))
}

/// istiod's name for a cluster (`pilot/pkg/model/push_context.go`).
fn cluster(port: u64, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// The items of a list.
fn items<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text of an object.
fn text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}
