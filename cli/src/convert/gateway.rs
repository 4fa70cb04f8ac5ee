//! The gateway that the output is for, and which objects speak of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::document::Document;

/// The label that a Gateway of the Gateway API gives its pods.
pub const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// The gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Labels of its pods; the first is what the output selects them by.
    pub labels: Vec<(String, String)>,
    /// Its namespace.
    pub namespace: String,
    /// The mesh's root namespace.
    pub root: String,
    /// Its identity in the mesh, as `cluster.local/ns/istio-system/sa/istio-ingressgateway`, if that was said.
    pub principal: Option<String>,
}

/// What a policy or an authentication is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The gateway, and with `also` other workloads as well.
    Gateway {
        /// Whether it holds for others, too: there is no selector.
        also: bool,
    },
    /// Pods with these labels in this namespace, or in all; without labels all of them.
    Workloads {
        /// The namespace; none in the root namespace: every one.
        namespace: Option<String>,
        /// What is selected.
        labels: BTreeMap<String, String>,
    },
    /// A waypoint, another gateway, or whatever else it is attached to.
    Elsewhere(String),
}

impl Gateway {
    /// The value of a label.
    fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether these labels select the gateway's pods.
    fn is_selected(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.iter().all(|(name, value)| self.label(name) == Some(value))
    }

    /// What an object with `selector` or `targetRefs` is for (Istio: `pilot/pkg/model/policyattachment.go`).
    pub fn scope(&self, document: &Document) -> Scope {
        let here = document.namespace == self.namespace;
        let root = document.namespace == self.root;
        let references = references(document.get("/spec"));
        if !references.is_empty() {
            let name = self.label(GATEWAY_NAME);
            let text = |reference: &Value, field: &str| {
                reference.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let is_this = |reference: &&Value| {
                text(reference, "kind") == "Gateway"
                    && text(reference, "group") == "gateway.networking.k8s.io"
                    && Some(text(reference, "name").as_str()) == name
            };
            if here && references.iter().any(is_this) {
                return Scope::Gateway { also: references.len() > 1 };
            }
            let named =
                references.iter().map(|r| format!("{} {}", text(r, "kind"), text(r, "name")));
            return Scope::Elsewhere(named.collect::<Vec<_>>().join(", "));
        }
        let labels = labels(document.get("/spec/selector/matchLabels"));
        let namespace = (!root).then(|| document.namespace.clone());
        if labels.is_empty() && (here || root) {
            return Scope::Gateway { also: true };
        }
        if !labels.is_empty() && (here || root) && self.is_selected(&labels) {
            return Scope::Gateway { also: false };
        }
        Scope::Workloads { namespace, labels }
    }

    /// The fields of a resource that select this gateway.
    pub fn selector(&self) -> (&'static str, Value) {
        match (self.label(GATEWAY_NAME), self.labels.first()) {
            (Some(name), _) => {
                let group = "gateway.networking.k8s.io";
                ("targetRefs", json!([{"group": group, "kind": "Gateway", "name": name}]))
            }
            (None, Some((name, value))) => ("selector", json!({"matchLabels": {name: value}})),
            (None, None) => ("selector", json!({"matchLabels": {}})),
        }
    }
}

/// `targetRefs`, or the one of `targetRef`.
fn references(spec: &Value) -> Vec<&Value> {
    let list = spec.get("targetRefs").and_then(Value::as_array).into_iter().flatten();
    list.chain(spec.get("targetRef").filter(|one| one.is_object())).collect()
}

/// Labels as texts.
pub fn labels(value: &Value) -> BTreeMap<String, String> {
    let labels = value.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    labels.map(|(name, value)| (name.clone(), text(value))).collect()
}
