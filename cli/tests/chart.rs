//! The Helm chart's values: their schema is made from the declarations of the settings, and says what values.yaml shows.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use modelgate_cli::settings::schema::schema;
use serde_json::{Value, json};

const CHART: &str = "deploy/chart";

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(CHART).join(name)
}

fn read(name: &str) -> Result<String> {
    std::fs::read_to_string(file(name)).with_context(|| file(name).display().to_string())
}

fn values() -> Result<Value> {
    Ok(serde_saphyr::from_str(&read("values.yaml")?)?)
}

/// What surrounds `pluginConfig` in the values.
fn values_schema() -> Result<Value> {
    let mut schema = schema();
    let text = json!({"type": "string"});
    let labels = json!({"type": "object", "additionalProperties": text});
    let names = |minimum: usize| json!({"type": "string", "minLength": minimum});
    let port = json!({"type": "integer", "minimum": 1, "maximum": 65535});
    let list = |item: Value| json!({"type": "array", "items": item});
    let on = json!({"type": "boolean"});
    let target = object(&[("group", &text), ("kind", &names(1)), ("name", &names(1))]);
    let ports = list(object(&[("number", &port)]));
    let traffic = json!({"enum": ["CLIENT", "SERVER", "CLIENT_AND_SERVER"]});
    let issuer = object(&[
        ("host", &json!({"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"})),
        ("port", &port),
        ("name", &names(1)),
        ("credentialName", &text),
        ("caCertificates", &text),
        ("subjectAltNames", &list(names(1))),
        ("resolution", &json!({"enum": ["DNS", "DNS_ROUND_ROBIN", "STATIC"]})),
        ("endpoints", &list(json!({"type": "object"}))),
    ]);
    let monitored = |more: &[(&str, &Value)]| {
        object(&[&[("enabled", &on), ("labels", &labels)], more].concat())
    };
    let duration = json!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"});
    let values = object(&[
        ("url", &text),
        ("sha256", &json!({"type": "string", "pattern": "^$|^[a-f0-9]{64}$"})),
        ("imagePullPolicy", &json!({"enum": ["", "IfNotPresent", "Always"]})),
        ("imagePullSecret", &text),
        ("kind", &json!({"enum": ["WasmPlugin", "TrafficExtension"]})),
        ("selector", &labels),
        ("targetRefs", &list(with(target, "required", json!(["kind", "name"])))),
        ("match", &list(object(&[("mode", &traffic), ("ports", &ports)]))),
        ("phase", &json!({"enum": ["AUTHN", "AUTHZ", "STATS"]})),
        ("priority", &json!({"type": ["integer", "null"]})),
        ("failStrategy", &json!({"enum": ["FAIL_RELOAD", "FAIL_CLOSE"]})),
        ("pluginConfig", &json!({"$ref": "#/definitions/PluginConfig"})),
        ("issuers", &list(with(issuer, "required", json!(["host"])))),
        ("accessLog", &object(&[("enabled", &on), ("provider", &names(1))])),
        (
            "monitoring",
            &object(&[
                ("rules", &monitored(&[])),
                ("podMonitor", &monitored(&[("interval", &duration)])),
                ("dashboard", &monitored(&[("annotations", &labels)])),
            ]),
        ),
        ("nameOverride", &text),
        ("fullnameOverride", &text),
    ]);
    let of_schema = schema.as_object_mut().context("no object")?;
    let definitions = of_schema.remove("definitions").context("no definitions")?;
    ensure!(of_schema.get("else") == Some(&json!({"$ref": "#/definitions/PluginConfig"})));
    let mut values = with(values, "definitions", definitions);
    values["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    values["title"] = json!("Values of the chart modelgate");
    // Helm gives charts that others depend on the values that all of them share.
    values["properties"]["global"] = json!({"type": "object"});
    Ok(values)
}

/// An object with these members and no others.
fn object(members: &[(&str, &Value)]) -> Value {
    let properties: serde_json::Map<String, Value> =
        members.iter().map(|(name, schema)| ((*name).to_owned(), (*schema).clone())).collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn with(mut schema: Value, name: &str, value: Value) -> Value {
    schema[name] = value;
    schema
}

#[test]
fn the_schema_of_values_is_up_to_date() -> Result<()> {
    let wanted = format!("{:#}\n", values_schema()?);
    if std::env::var_os("MODELGATE_WRITE_DOCS").is_some() {
        std::fs::write(file("values.schema.json"), &wanted)?;
    }
    ensure!(
        read("values.schema.json")? == wanted,
        "{CHART}/values.schema.json is not what the declarations say: \
         MODELGATE_WRITE_DOCS=1 cargo test -p modelgate-cli --test configuration --test chart"
    );
    Ok(())
}

#[test]
fn values_are_what_the_schema_says() -> Result<()> {
    let (schema, values) = (values_schema()?, values()?);
    let validator = jsonschema::validator_for(&schema)?;
    let wrong: Vec<String> = validator
        .iter_errors(&values)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    ensure!(wrong.is_empty(), "{wrong:?}");
    // Each value that there is stands in values.yaml, where users look for it.
    let (mut known, mut shown) = (BTreeSet::new(), BTreeSet::new());
    declared(&schema, "", &mut known);
    written(&values, "", &mut shown);
    known.remove("/global");
    ensure!(known == shown, "{:?}", known.symmetric_difference(&shown).collect::<Vec<_>>());
    Ok(())
}

fn declared(schema: &Value, path: &str, into: &mut BTreeSet<String>) {
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        let path = format!("{path}/{name}");
        declared(schema, &path, into);
        into.insert(path);
    }
}

fn written(values: &Value, path: &str, into: &mut BTreeSet<String>) {
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        // Maps whose names are the user's, or the settings'.
        if name != "labels" && name != "pluginConfig" {
            written(value, &path, into);
        }
        into.insert(path);
    }
}

#[test]
fn the_schema_refuses_what_is_wrong() -> Result<()> {
    let validator = jsonschema::validator_for(&values_schema()?)?;
    for (path, value) in [
        ("/failStrategy", json!("FAIL_OPEN")),
        ("/kind", json!("EnvoyFilter")),
        ("/sha256", json!("sha256:abc")),
        ("/pluginConfig", json!({"mode": "MAYBE"})),
        ("/pluginConfig", json!({"authorisation": {}})),
        ("/pluginConfig", json!({"authorization": {"policies": [{"models": ["prod/iris"]}]}})),
        ("/issuers", json!([{"port": 443}])),
        ("/issuers", json!([{"host": "https://idp.example.com"}])),
        ("/targetRefs", json!([{"name": "models"}])),
        ("/monitoring/rules/enabled", json!("yes")),
        ("/monitoring/podMonitor/interval", json!(30)),
    ] {
        let mut values = values()?;
        *values.pointer_mut(path).with_context(|| path.to_owned())? = value.clone();
        ensure!(!validator.is_valid(&values), "{path} may be {value}");
    }
    ensure!(!validator.is_valid(&json!({"image": "a value that there is not"})));
    Ok(())
}

#[test]
fn the_chart_has_the_version_of_the_module() -> Result<()> {
    let chart: Value = serde_saphyr::from_str(&read("Chart.yaml")?)?;
    for field in ["version", "appVersion"] {
        ensure!(chart.get(field) == Some(&json!(env!("CARGO_PKG_VERSION"))), "{field}: {chart}");
    }
    Ok(())
}
