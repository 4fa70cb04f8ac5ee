//! Model, Pipeline and Experiment of Seldon Core 2, which its own Envoy behind the gateway chooses among.

use serde_json::{Value, json};

use super::super::document::Document;
use super::super::part::{Converted, Done, Remark, Whence};

/// What one becomes: what its scheduler does stays there.
pub fn convert(document: &Document, converted: &mut Converted) {
    converted.objects.push(Whence::of(document));
    if document.kind != "Experiment" {
        return;
    }
    let mut left = |field, reason: &str| {
        converted.remarks.push(Remark::new(document, field, Done::LeftOut, reason));
    };
    if *document.get("/spec/candidates") != Value::Null {
        left(
            "spec.candidates",
            "are chosen among by Seldon's own Envoy behind the gateway, and go on being: the caller needs to be allowed the model that is asked for, and not each candidate",
        );
    }
    if *document.get("/spec/mirror") != Value::Null && *document.get("/spec/mirror") != json!({}) {
        left(
            "spec.mirror",
            "is done by Seldon's own Envoy behind the gateway, and goes on being: a shadow here besides would copy each request twice. Take it off the experiment, and write a shadow with `headers.set` of `seldon-model`",
        );
    }
}
