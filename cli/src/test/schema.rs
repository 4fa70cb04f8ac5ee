//! A JSON Schema (2020-12) of files of expectations, for editors.

use modelgate_engine::routing::Operation;
use serde_json::{Map, Value, json};

use super::file::decisions;

/// The schema.
pub fn document() -> Value {
    let text = || json!({"type": ["string", "number"]});
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let by_name = || json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}});
    let operations: Vec<&str> = Operation::WORDS.iter().chain(&["none"]).copied().collect();
    let request = object(
        &[
            ("method", text(), "The method; without one GET, or POST with a body."),
            ("path", text(), "The path with its query, or the whole address."),
            ("host", text(), "The host."),
            (
                "headers",
                json!({"type": "object"}),
                "Headers by name, each a text or a list of texts.",
            ),
            ("curl", text(), "A curl command line, in the place of these."),
            ("accessLog", text(), "A line of an access log, in the place of these."),
            (
                "claims",
                json!({"type": "object"}),
                "Claims of a token whose signature is not checked.",
            ),
            ("token", text(), "A token; @FILE reads it from there."),
            ("key", text(), "An API key; @FILE reads it from there."),
            ("body", json!({}), "The body: a text, @FILE, or JSON."),
            ("ip", text(), "The client's address."),
            ("peerIp", text(), "The direct peer's address, behind another proxy."),
            ("port", text(), "The port of the listener."),
            ("sni", text(), "The server name of the TLS handshake."),
            ("peer", text(), "The URI in the client's certificate."),
            ("at", text(), "When: RFC 3339 or seconds since 1970."),
        ],
        &[],
    );
    let headers = object(
        &[
            ("set", by_name(), "Headers that go upstream with these values."),
            ("removed", texts(), "Headers that do not go upstream."),
        ],
        &[],
    );
    let expect = object(
        &[
            ("decision", json!({"enum": decisions()}), "The verdict."),
            ("status", text(), "The status of the gateway's own answer."),
            ("model", text(), "namespace/name of the model that is reached, or none."),
            ("operation", json!({"enum": operations}), "What is done with it."),
            ("policy", text(), "The policy or bypass that decides, or none."),
            ("rule", text(), "Which of its rules, from 0."),
            ("principal", text(), "Who calls, as issuer/subject, or none."),
            ("variant", text(), "The variant, or none."),
            ("shadows", texts(), "The shadows that get a copy, all of them."),
            ("path", text(), "The path that goes upstream."),
            ("host", text(), "The host that goes upstream."),
            ("headers", headers, "What changes of the headers."),
        ],
        &[],
    );
    let expectation = object(
        &[
            ("name", text(), "Its name; without one, method and path."),
            ("request", request, "What is asked."),
            ("expect", expect, "What is expected; what is left out may be anything."),
        ],
        &["request", "expect"],
    );
    let list = json!({"type": "array", "items": expectation});
    let file = object(
        &[
            ("config", text(), "The configuration, relative to this file."),
            ("resource", text(), "Which one, where it holds several."),
            (
                "jwks",
                by_name(),
                "Key sets that the gateway fetches: files by issuer, relative to this file.",
            ),
            (
                "assumeVerified",
                json!({"type": "boolean"}),
                "Takes tokens of other issuers whose keys are fetched for signed.",
            ),
            ("at", text(), "When requests come that do not say so."),
            ("expectations", list.clone(), "What is expected."),
        ],
        &["expectations"],
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "modelgate expectations",
        "anyOf": [file, list],
    })
}

fn object(fields: &[(&str, Value, &str)], required: &[&str]) -> Value {
    let fields = fields.iter().map(|(name, schema, about)| {
        let mut schema = schema.clone();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), (*about).into());
        }
        ((*name).to_owned(), schema)
    });
    let properties: Map<String, Value> = fields.collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}
