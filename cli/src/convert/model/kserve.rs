//! InferenceService and LLMInferenceService of KServe, and the ConfigMap `inferenceservice-config` with its templates.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::document::Document;
use super::super::part::{Converted, Done, Part, Remark, Way, Whence, Workload};
use super::super::pods::KSERVE;
use super::{items, text};

/// What an InferenceService becomes.
pub fn service(document: &Document, converted: &mut Converted) {
    converted.objects.push(Whence::of(document));
    let model = format!("{}/{}", document.namespace, document.name);
    for component in ["predictor", "transformer"] {
        if document.get("/spec").get(component).is_some() {
            let labels = [(KSERVE, document.name.as_str()), ("component", component)];
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
            converted.workloads.push(Workload {
                labels: BTreeMap::from(labels),
                namespace: document.namespace.clone(),
                model: model.clone(),
                prefix: None,
            });
        }
    }
    let mut left = |field: &str, reason: &str| {
        converted.remarks.push(Remark::new(document, field, Done::LeftOut, reason));
    };
    if is_local(document) {
        left(
            "metadata.labels",
            "is not reached through the gateway, as its visibility is cluster-local",
        );
        return;
    }
    if document.get("/spec").get("explainer").is_some() {
        left("spec.explainer", "is reached as `explain` of the same model");
    }
    for component in ["predictor", "transformer"] {
        let field = format!("spec.{component}.canaryTrafficPercent");
        if !document.get(&format!("/{}", field.replace('.', "/"))).is_null() {
            left(
                &field,
                "is a share between two revisions, which Knative goes on drawing behind the gateway: for a split that callers stay in, deploy the canary as a service of its own",
            );
        }
    }
    let entry = |at: &str, value: String| Part::entry(at, json!(value), document);
    converted.parts.push(entry("targets.kserve.namespaces", document.namespace.clone()));
    converted.parts.push(entry("targets.kserve.services", model));
}

fn is_local(document: &Document) -> bool {
    let labels = document.get("/metadata/labels");
    ["networking.kserve.io/visibility", "networking.knative.dev/visibility"]
        .iter()
        .any(|name| text(labels, name) == Some("cluster-local"))
}

/// What an LLMInferenceService becomes.
fn language(document: &Document, converted: &mut Converted) {
    converted.objects.push(Whence::of(document));
    converted.parts.push(Part::entry("targets.llmisvc", json!(document.namespace), document));
    let name = document.text("/spec/model/name");
    let mut left = |field: &str, reason: &str| {
        converted.remarks.push(Remark::new(document, field, Done::LeftOut, reason));
    };
    if name.is_some_and(|name| name != document.name) {
        left(
            "spec.model.name",
            "is another name than the service's: `publishers/...` with it is another model to policies unless `targets.fixed` says which",
        );
    }
    if !items(document.get("/spec/model/lora"), "adapters").is_empty() {
        left(
            "spec.model.lora",
            "has adapters, whose names stand in bodies: `targets.bodyModels` has them read",
        );
    }
}

/// What all of them need: the families, and the templates of addresses.
pub fn settings(documents: &[&Document], converted: &mut Converted) {
    let of = |kind: &str| -> Vec<&Document> {
        let is_one = |document: &&&Document| {
            document.group() == "serving.kserve.io" && document.kind == kind
        };
        documents.iter().filter(is_one).copied().collect()
    };
    let services: Vec<&Document> =
        of("InferenceService").into_iter().filter(|document| !is_local(document)).collect();
    let languages = of("LLMInferenceService");
    for document in &languages {
        language(document, converted);
    }
    let has_templates = !services.is_empty() && templates(documents, &services, converted);
    // Those that are read by default stay.
    let mut families = vec!["seldon-v1", "seldon-v2"];
    let mut whence: Vec<Whence> = Vec::new();
    if has_templates {
        families.push("kserve");
        whence.extend(services.iter().map(|document| Whence::of(document)));
    } else {
        converted.parts.retain(|part| !part.at.starts_with("targets.kserve."));
    }
    if !languages.is_empty() {
        families.push("llmisvc");
        whence.extend(languages.iter().map(|document| Whence::of(document)));
    }
    if whence.is_empty() {
        return;
    }
    let (at, value) = ("targets.families".to_owned(), json!(families));
    converted.parts.push(Part { at, way: Way::Setting, value, whence });
}

/// Whether the templates are known, from KServe's ConfigMap or else from the addresses that services got.
fn templates(documents: &[&Document], services: &[&Document], converted: &mut Converted) -> bool {
    let is_config = |document: &&&Document| {
        document.kind == "ConfigMap" && document.name == "inferenceservice-config"
    };
    if let Some(config) = documents.iter().find(is_config) {
        converted.objects.push(Whence::of(config));
        return of_config(config, converted);
    }
    let mut is_known = false;
    for document in services {
        if let Some(template) = of_status(document) {
            is_known = true;
            let template = json!(template);
            converted.parts.push(Part::setting("targets.kserve.hostTemplate", template, document));
        }
    }
    if let (false, Some(document)) = (is_known, services.first()) {
        let reason = "is reached by an address that is not known here, so that no address is taken for it: add the ConfigMap inferenceservice-config of KServe's namespace, or services with their `status`";
        converted.remarks.push(Remark::new(document, "spec", Done::LeftOut, reason));
    }
    is_known
}

fn of_config(config: &Document, converted: &mut Converted) -> bool {
    let ingress = config.get("/data/ingress").as_str().unwrap_or_default();
    let ingress: Value = serde_json::from_str(ingress).unwrap_or_default();
    let domain = text(&ingress, "ingressDomain").unwrap_or("example.com");
    let host = text(&ingress, "domainTemplate")
        .unwrap_or("{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}");
    let mut is_known = false;
    for (at, template) in
        [("hostTemplate", Some(host)), ("pathTemplate", text(&ingress, "pathTemplate"))]
    {
        let Some(template) = template else { continue };
        match plain(template, domain) {
            Some(template) => {
                is_known = true;
                let at = format!("targets.kserve.{at}");
                converted.parts.push(Part::setting(&at, json!(template), config));
            }
            None => {
                let reason = format!(
                    "has a template with more in it than the name, the namespace and the domain: {template}"
                );
                converted.remarks.push(Remark::new(config, "data.ingress", Done::LeftOut, reason));
            }
        }
    }
    is_known
}

/// A template of Go as one of modelgate.
fn plain(template: &str, domain: &str) -> Option<String> {
    let mut made = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (variable, after) = after.split_once("}}")?;
        made.push_str(before);
        made.push_str(match variable.trim() {
            ".Name" => "{name}",
            ".Namespace" => "{namespace}",
            ".IngressDomain" => domain,
            _ => return None,
        });
        rest = after;
    }
    made.push_str(rest);
    Some(made)
}

/// The template that the address of a service has been made by.
fn of_status(document: &Document) -> Option<String> {
    let url = document.text("/status/url")?;
    let (_, host) = url.split_once("://")?;
    let host = host.split(['/', ':']).next()?;
    [("-", "{name}-{namespace}."), (".", "{name}.{namespace}.")].iter().find_map(|(dash, made)| {
        let start = format!("{}{dash}{}.", document.name, document.namespace);
        host.strip_prefix(&start).map(|domain| format!("{made}{domain}"))
    })
}
