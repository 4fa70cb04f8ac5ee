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

use serde_json::{Map, Value, json};

use super::document::Document;
use super::part::Converted;

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
    converted
}

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
