//! SeldonDeployment of Seldon Core 1: what its operator makes of it, as `operator/controllers/istio.go` of 1.17 does.

use serde_json::{Value, json};

use super::super::document::Document;
use super::super::gateway;
use super::super::part::{Converted, Done, Part, Remark, Whence, Workload};
use super::{GRPC, Shadow, cluster, items, text};

/// The executor's ports, each with whether it is that of gRPC.
const PORTS: [(u64, bool); 2] = [(8000, false), (5001, true)];

/// The longest name of a service; the operator makes a hash of longer ones.
const LONGEST: usize = 63;

/// What one becomes.
pub fn convert(document: &Document, converted: &mut Converted) {
    converted.objects.push(Whence::of(document));
    let model = format!("{}/{}", document.namespace, document.name);
    let predictors = items(document.get("/spec"), "predictors");
    let numbered = || predictors.iter().enumerate();
    for (_, predictor) in numbered().filter(|(_, predictor)| !is_shadow(predictor)) {
        converted.workloads.push(workload(document, predictor, &model));
    }
    let mut left = |field: String, reason: &str| {
        converted.remarks.push(Remark::new(document, &field, Done::LeftOut, reason));
    };
    for (i, _) in
        numbered().filter(|(_, predictor)| predictor.get("explainer").is_some_and(|e| !e.is_null()))
    {
        let reason = "is reached as `explain` of the same model, without the weights and shadows of its predictors";
        left(format!("spec.predictors[{i}].explainer"), reason);
    }
    if document.text("/spec/serverType") == Some("kafka") {
        left("spec.serverType".to_owned(), "is kafka: requests do not come through the gateway");
        return;
    }
    if annotation(document, "seldon.io/istio-gateway") == Some("mesh") {
        let reason = "is `mesh`: requests do not come through the gateway, so there are no shadows and splits of it";
        left(annotations(document).to_owned(), reason);
        return;
    }
    splits(document, &model, predictors, converted);
    for (i, predictor) in numbered().filter(|(_, predictor)| is_shadow(predictor)) {
        shadow(document, &model, (i, predictor), converted);
    }
}

fn is_shadow(predictor: &Value) -> bool {
    predictor.get("shadow").and_then(Value::as_bool) == Some(true)
}

/// Where annotations of the deployment stand that count.
fn annotations(document: &Document) -> &'static str {
    let found = document.get("/spec/annotations");
    if found.is_object() { "spec.annotations" } else { "metadata.annotations" }
}

/// An annotation of the deployment: those of `spec` come first.
fn annotation<'d>(document: &'d Document, name: &str) -> Option<&'d str> {
    let of = |pointer| text(document.get(pointer), name);
    of("/spec/annotations").or_else(|| of("/metadata/annotations"))
}

/// The service before a predictor, or why its name is not known.
fn service(document: &Document, predictor: &Value) -> Result<String, &'static str> {
    let annotations = predictor.get("annotations").unwrap_or(&Value::Null);
    if text(annotations, "seldon.io/no-engine") == Some("true") {
        return Err(
            "has no executor, and the ports of its containers are not known here: write the shadow's cluster by hand",
        );
    }
    if let Some(name) = text(annotations, "seldon.io/svc-name") {
        return Ok(name.to_owned());
    }
    let name = text(predictor, "name").ok_or("has no name")?;
    let service = format!("{}-{name}", document.name);
    if service.len() > LONGEST {
        return Err(
            "has a service with a name longer than 63 characters, of which the operator makes a hash: `seldon.io/svc-name` gives it one",
        );
    }
    Ok(service)
}

/// The labels that the operator gives a predictor's pods.
fn workload(document: &Document, predictor: &Value, model: &str) -> Workload {
    let mut labels = gateway::labels(predictor.get("labels").unwrap_or(&Value::Null));
    if let Some(name) = text(predictor, "name") {
        labels.entry("version".to_owned()).or_insert_with(|| name.to_owned());
    }
    if let Ok(service) = service(document, predictor) {
        labels.insert("seldon-app".to_owned(), service);
    }
    labels.insert("seldon-deployment-id".to_owned(), document.name.clone());
    Workload {
        labels,
        namespace: document.namespace.clone(),
        model: model.to_owned(),
        prefix: Some(format!("/seldon/{model}")),
    }
}

/// Weights, as one split.
fn splits(document: &Document, model: &str, predictors: &[Value], converted: &mut Converted) {
    let live: Vec<&Value> = predictors.iter().filter(|predictor| !is_shadow(predictor)).collect();
    if live.len() < 2 {
        return;
    }
    let weight = |predictor: &Value| predictor.get("traffic").and_then(Value::as_u64).unwrap_or(0);
    let sum = live.iter().fold(0_u64, |sum, predictor| sum.saturating_add(weight(predictor)));
    let (field, reason) = if sum == 100 {
        let variant = |predictor: &&Value| json!({"name": text(predictor, "name"), "weight": weight(predictor)});
        let variants: Vec<Value> = live.iter().map(variant).collect();
        let name = format!("{}-{}", document.namespace, document.name);
        let split = json!({"name": name, "models": [model], "variants": variants});
        converted.parts.push(Part::entry("splits", split, document));
        (
            "spec.predictors",
            "has weights, which the operator's own routes go on drawing by for each request: the split chooses where a host of its own has routes by its header, as in deploy/splits",
        )
    } else {
        (
            "spec.predictors",
            "has weights that do not add up to 100, which the operator refuses: there is no split of them",
        )
    };
    converted.remarks.push(Remark::new(document, field, Done::LeftOut, reason));
}

/// A shadow predictor: a shadow for each of the operator's two routes.
fn shadow(
    document: &Document,
    model: &str,
    (i, predictor): (usize, &Value),
    converted: &mut Converted,
) {
    let field = format!("spec.predictors[{i}]");
    let service = match service(document, predictor) {
        Ok(service) => service,
        Err(reason) => {
            converted.remarks.push(Remark::new(document, &field, Done::LeftOut, reason));
            return;
        }
    };
    let predictor_name = text(predictor, "name").unwrap_or_default();
    // 0 is no percentage to the operator, and Istio then mirrors everything.
    let traffic = predictor.get("traffic").and_then(Value::as_f64).filter(|traffic| *traffic > 0.0);
    let host = format!("{service}.{}.svc.cluster.local", document.namespace);
    for (port, grpc) in PORTS {
        let end = if grpc { GRPC } else { "" };
        let shadow = Shadow {
            name: format!("{}-{}-{predictor_name}{end}", document.namespace, document.name),
            model,
            percent: traffic.unwrap_or(100.0),
            cluster: cluster(port, predictor_name, &host),
            grpc: Some(grpc),
        };
        converted.parts.push(Part::entry("shadows", shadow.value(), document));
    }
    let reason = "is mirrored to by the operator's own route as well, with whatever credentials the request has, for as long as it says so: then it gets predictions twice. Other operations are not copied";
    converted.remarks.push(Remark::new(
        document,
        &format!("{field}.shadow"),
        Done::LeftOut,
        reason,
    ));
}
