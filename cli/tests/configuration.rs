//! The reference, the schema and the example of the configuration: up to date, and true.
#![cfg(test)]

mod support;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use modelgate_cli::settings::{explain::explain, reference, schema::schema, warnings};
use modelgate_engine::config::describe::{Settings, Shape};
use modelgate_engine::config::{Errors, PluginConfig};
use modelgate_engine::pipeline::Plan;
use serde_json::{Value, json};

use support::{modelgate, root};

fn example() -> Result<String> {
    Ok(std::fs::read_to_string(root().join("docs/configuration.yaml"))?)
}

/// Compares a file of the documentation with what it is made from. With `MODELGATE_WRITE_DOCS` it is
/// written anew.
fn is_up_to_date(name: &str, wanted: &str) -> Result<()> {
    let path = root().join("docs").join(name);
    if std::env::var_os("MODELGATE_WRITE_DOCS").is_some() {
        std::fs::write(&path, wanted)?;
    }
    ensure!(
        std::fs::read_to_string(&path)? == wanted,
        "docs/{name} is not what the declarations say: \
         MODELGATE_WRITE_DOCS=1 cargo test -p modelgate-cli --test configuration --test chart"
    );
    Ok(())
}

#[test]
fn the_reference_is_up_to_date() -> Result<()> {
    is_up_to_date("configuration.md", &reference::markdown(&example()?))
}

#[test]
fn the_page_of_warnings_is_up_to_date() -> Result<()> {
    is_up_to_date("warnings.md", &warnings::markdown())
}

#[test]
fn the_schema_is_up_to_date() -> Result<()> {
    is_up_to_date("configuration.schema.json", &format!("{:#}\n", schema()))?;
    ensure!(modelgate(&["schema"], "").stdout == format!("{:#}\n", schema()));
    Ok(())
}

#[test]
fn the_example_is_accepted_and_uses_every_setting() -> Result<()> {
    let example: Value = serde_saphyr::from_str(&example()?)?;
    let mut errors = Errors::default();
    Plan::read(example.to_string().as_bytes(), &mut errors);
    ensure!(errors.is_empty() && errors.warnings().is_empty(), "{errors}{:?}", errors.warnings());
    let mut unused = BTreeSet::new();
    collect(&PluginConfig::described(), &mut unused);
    strike(&PluginConfig::described(), &example, &mut unused);
    ensure!(unused.is_empty(), "the example does not show {unused:?}");
    Ok(())
}

/// Every setting, as its group and name; `not...` is explained with what it negates.
fn collect(settings: &Settings, into: &mut BTreeSet<String>) {
    for field in &settings.fields {
        if !field.name.starts_with("not") || field.name == "notValues" {
            into.insert(format!("{}.{}", settings.name, field.name));
        }
        if let Some(settings) = below(&field.shape) {
            collect(settings, into);
        }
    }
}

fn strike(settings: &Settings, value: &Value, unused: &mut BTreeSet<String>) {
    for field in &settings.fields {
        let Some(value) = value.get(&field.name) else { continue };
        unused.remove(&format!("{}.{}", settings.name, field.name));
        if let Some(settings) = below(&field.shape) {
            match value.as_array() {
                Some(items) => items.iter().for_each(|item| strike(settings, item, unused)),
                None => strike(settings, value, unused),
            }
        }
    }
}

fn below(shape: &Shape) -> Option<&Settings> {
    match shape {
        Shape::Settings(settings) => Some(settings),
        Shape::List(item) | Shape::Entries(item) => below(item),
        _ => None,
    }
}

#[test]
fn the_schema_takes_what_the_filter_takes() -> Result<()> {
    let validator = jsonschema::validator_for(&schema())?;
    let mut files = vec![root().join("docs/configuration.yaml")];
    for entry in std::fs::read_dir(root().join("wasmplugin"))? {
        files.push(entry?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    ensure!(files.len() > 2, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        for document in documents {
            let wrong: Vec<String> = validator
                .iter_errors(&document)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            ensure!(wrong.is_empty(), "{}: {wrong:?}", file.display());
        }
    }
    Ok(())
}

/// Each is wrong by a name or a type, which is what a schema can know.
#[test]
fn the_schema_refuses_what_the_filter_refuses() -> Result<()> {
    let validator = jsonschema::validator_for(&schema())?;
    for config in [
        json!({"mode": "MAYBE"}),
        json!({"Mode": "REPORT"}),
        json!({"authorization": {"policies": [{"rules": []}]}}),
        json!({"authorization": {"policies": [{"name": "a", "models": "prod/iris"}]}}),
        json!({"authorization": {"policies": [{"name": "a", "rules": [{"when": [{"values": ["x"]}]}]}]}}),
        json!({"bypass": [{"name": "a", "to": [{"operation": {"ports": [6000]}}]}]}),
        json!({"rewrites": [{"name": "a", "path": "/b"}]}),
        json!({"splits": [{"name": "a", "models": ["*"], "variants": [{"name": "b", "weight": -1}]}]}),
        json!({"shadows": [{"name": "a", "models": ["*"]}]}),
        json!({"shadows": [{"name": "a", "models": ["*"], "cluster": "c", "percent": "10"}]}),
        json!({"shadows": [{"name": "a", "models": ["*"], "cluster": "c", "timeout": "2"}]}),
        json!({"shadowLimits": {"bufferedBytes": "1MB"}}),
        json!({"telemetry": {"accessLog": "yes"}}),
    ] {
        let mut errors = Errors::default();
        Plan::read(config.to_string().as_bytes(), &mut errors);
        ensure!(!errors.is_empty(), "the filter takes {config}");
        ensure!(!validator.is_valid(&config), "the schema takes {config}");
        let plugin = json!({"kind": "WasmPlugin", "spec": {"pluginConfig": config}});
        ensure!(!validator.is_valid(&plugin), "the schema takes {plugin}");
        let extension =
            json!({"kind": "TrafficExtension", "spec": {"wasm": {"pluginConfig": config}}});
        ensure!(!validator.is_valid(&extension), "the schema takes {extension}");
    }
    ensure!(validator.is_valid(&json!({"kind": "Gateway", "spec": {}})), "nothing of ours");
    Ok(())
}

#[test]
fn settings_are_explained() -> Result<()> {
    let whole = explain("", false)?;
    let top = PluginConfig::described().fields;
    for field in &top {
        ensure!(whole.contains(&format!("\n{}: ", field.name)), "{} in\n{whole}", field.name);
    }
    let shown = explain("shadows[0].breaker", false)?;
    ensure!(shown.starts_with("shadows.breaker: object\n"), "{shown}");
    ensure!(shown.contains("\nfailures: whole number, default 20\n"), "{shown}");
    ensure!(shown.contains("\nretryAfter: duration, default 30s\n"), "{shown}");
    ensure!(explain("mode", false)?.contains("  REPORT: "), "the words of a choice");
    ensure!(explain("shadows.cluster", false)?.starts_with("shadows.cluster: string, required\n"));
    let everything = explain("", true)?;
    ensure!(everything.contains("baselineCluster: string") && !whole.contains("baselineCluster"));
    ensure!(everything.lines().all(|line| line.chars().count() <= 100 || !line.contains("  ")));
    for (path, complaint) in [
        ("shadows.breakr", "shadows has no breakr; it has name, models"),
        ("mode.word", "mode has no word"),
        (".", ". names no setting"),
    ] {
        let error = explain(path, false).err().context("explained")?.to_string();
        ensure!(error.starts_with(complaint), "{error}");
    }
    let refused = modelgate(&["explain", "modes"], "");
    ensure!(refused.status == 1 && refused.stderr.contains("pluginConfig has no modes"));
    Ok(())
}
