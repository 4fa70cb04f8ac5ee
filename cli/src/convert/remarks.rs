//! What is said of objects that are not, or not only, for this gateway.

use super::document::Document;
use super::gateway::{GATEWAY_NAME, Gateway};
use super::part::{Done, Remark, Workload};

/// It holds for other workloads as well.
pub fn also(document: &Document) -> Remark {
    let reason =
        "holds for other pods too, which go on having it from Istio: keep it there for them";
    Remark::new(document, "spec", Done::LeftOut, reason)
}

/// It is that of a model's pods.
pub fn at_pods(document: &Document) -> Remark {
    let reason = "is decided at the gateway now: keep it with Istio for requests within the mesh, which do not come through the gateway";
    Remark::new(document, "spec.selector", Done::LeftOut, reason)
}

/// It is that of pods of which no model is known.
pub fn of_others(document: &Document, gateway: &Gateway, workloads: &[Workload]) -> Remark {
    let namespace = &document.namespace;
    let has_models = workloads.iter().any(|workload| workload.namespace == *namespace);
    let (done, reason) = if *namespace == gateway.namespace || *namespace == gateway.root {
        let reason = "selects pods beside the gateway by labels that the gateway is not known to have: --gateway says its labels, --keep that it is for others, and stays with Istio";
        (Done::Refused, reason)
    } else if has_models {
        let reason = "selects pods by labels that no model is known to have, in a namespace with models: --keep says that it is for others, and stays with Istio";
        (Done::Refused, reason)
    } else {
        let reason = "selects pods that are neither the gateway's nor those of a model that is known here: it stays with Istio";
        (Done::LeftOut, reason)
    };
    Remark::new(document, "spec.selector", done, reason)
}

/// It is attached to something else.
pub fn attached(document: &Document, to: &str) -> Remark {
    let reason = format!(
        "is attached to {to}, not to this gateway: it stays with Istio. Another gateway is said with --gateway {GATEWAY_NAME}=NAME"
    );
    Remark::new(document, "spec.targetRefs", Done::LeftOut, reason)
}
