//! `modelgate schema`: a JSON Schema, for editors and for checks where the command itself is not at hand.
//!
//! Draft 7, which every editor's YAML support knows.

use std::process::ExitCode;

use anyhow::Result;
use modelgate_engine::config::PluginConfig;
use modelgate_engine::config::describe::{Field, Settings, Shape};
use serde_json::{Map, Value, json};

use super::text;
use crate::output;

/// Prints the schema.
///
/// # Errors
///
/// It cannot be written.
pub fn run() -> Result<ExitCode> {
    output::print(&format!("{:#}\n", schema()))?;
    Ok(ExitCode::SUCCESS)
}

/// The schema of what `modelgate check` reads: a bare `pluginConfig`, a WasmPlugin, or a TrafficExtension.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let config = settings(&PluginConfig::described(), &mut definitions);
    let within = |place: Value| json!({"properties": {"spec": {"properties": place}}});
    let kind = |kind: &str| json!({"properties": {"kind": {"const": kind}}, "required": ["kind"]});
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "modelgate",
        "description": "The pluginConfig of modelgate, by itself or in a WasmPlugin or TrafficExtension.",
        "if": {"required": ["kind"]},
        "then": {"allOf": [
            {"if": kind("WasmPlugin"), "then": within(json!({"pluginConfig": config}))},
            {
                "if": kind("TrafficExtension"),
                "then": within(json!({"wasm": {"properties": {"pluginConfig": config}}})),
            },
        ]},
        "else": config,
        "definitions": definitions,
    })
}

/// A reference to the settings, which are defined once.
fn settings(settings: &Settings, definitions: &mut Map<String, Value>) -> Value {
    if !definitions.contains_key(settings.name) {
        // Before its fields, so that the definitions come in the order in which one reads them.
        definitions.insert(settings.name.into(), Value::Null);
        let required: Vec<&str> = settings
            .fields
            .iter()
            .filter(|field| field.default.is_none())
            .map(|field| field.name.as_str())
            .collect();
        let properties: Map<String, Value> = settings
            .fields
            .iter()
            .map(|field| (field.name.clone(), property(field, definitions)))
            .collect();
        let mut definition = json!({
            "description": text(settings.about),
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        if let Some(definition) = definition.as_object_mut().filter(|_| !required.is_empty()) {
            definition.insert("required".into(), required.into());
        }
        definitions.insert(settings.name.into(), definition);
    }
    json!({"$ref": format!("#/definitions/{}", settings.name)})
}

fn property(field: &Field, definitions: &mut Map<String, Value>) -> Value {
    let mut property = shape(&field.shape, definitions);
    // What stands beside a reference does not count in draft 7.
    if property.get("$ref").is_some() {
        property = json!({"allOf": [property]});
    }
    if let Some(members) = property.as_object_mut() {
        members.insert("description".into(), text(field.about).into());
        if let Some(default) = field.default.as_ref().filter(|default| !default.is_null()) {
            members.insert("default".into(), default.clone());
        }
    }
    property
}

fn shape(of: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match of {
        Shape::Bool => json!({"type": "boolean"}),
        Shape::String => json!({"type": "string"}),
        Shape::Count => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
        Shape::Number => json!({"type": "number", "minimum": 0}),
        Shape::Duration => json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"}),
        Shape::Size => json!({"type": "string", "pattern": "^[0-9]+(B|KiB|MiB)$"}),
        Shape::Any => json!({}),
        Shape::Words(words) => {
            let choices: Vec<Value> = words
                .iter()
                .map(|word| json!({"const": word.word, "description": text(word.about)}))
                .collect();
            json!({"oneOf": choices})
        }
        Shape::List(item) => json!({"type": "array", "items": shape(item, definitions)}),
        Shape::Entries(item) => {
            json!({"type": "object", "additionalProperties": shape(item, definitions)})
        }
        Shape::Settings(inner) => settings(inner, definitions),
    }
}
