//! `modelgate check`: what the filter would say of a configuration.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use serde_json::Value;

use crate::{output, resource};

/// Exit status where a file cannot be read: nothing was said about the configuration in it.
const UNREADABLE: u8 = 2;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Check {
    /// Files to check; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    /// Every file is checked, whatever was found in the ones before.
    ///
    /// # Errors
    ///
    /// The findings cannot be written.
    pub fn run(self) -> Result<ExitCode> {
        let (mut refused, mut unreadable) = (false, false);
        for file in &self.files {
            let source = if file.as_os_str() == "-" {
                "standard input".to_owned()
            } else {
                file.display().to_string()
            };
            match read(file).and_then(|text| plugin_configs(&text)) {
                Ok(configs) => {
                    for PluginConfig { name, text, around } in configs {
                        let place = format!("{source}{name}");
                        let (accepted, findings) = examine(&place, &text, &around);
                        refused |= !accepted;
                        output::print(&findings)?;
                    }
                }
                Err(error) => {
                    unreadable = true;
                    eprintln!("modelgate: {source} cannot be read: {error:#}");
                }
            }
        }
        Ok(match (unreadable, refused) {
            (true, _) => ExitCode::from(UNREADABLE),
            (false, true) => ExitCode::FAILURE,
            (false, false) => ExitCode::SUCCESS,
        })
    }
}

/// Whether the filter would take a configuration, and what it would say of it, line by line, with what is to be said of
/// the resource around it.
fn examine(place: &str, config: &str, around: &Errors) -> (bool, String) {
    let mut errors = Errors::default();
    let accepted = Plan::read(config.as_bytes(), &mut errors).is_some();
    let mut findings = String::new();
    for warning in around.named_warnings().chain(errors.named_warnings()) {
        let _ = writeln!(findings, "{place}: warning: {warning}");
    }
    for error in errors.errors() {
        let _ = writeln!(findings, "{place}: {error}");
    }
    let verdict = match errors.errors().len() {
        _ if accepted => "accepted".to_owned(),
        1 => "refused, 1 error".to_owned(),
        count => format!("refused, {count} errors"),
    };
    let _ = writeln!(findings, "{place}: {verdict}");
    (accepted, findings)
}

fn read(file: &Path) -> Result<String> {
    Ok(if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(file)?
    })
}

/// What is checked.
struct PluginConfig {
    /// The resource's kind and name, if it stands in one.
    name: String,
    /// The JSON that Envoy hands to the filter; nothing for a resource without one, as for Istio.
    text: String,
    /// Warnings of the resource.
    around: Errors,
}

/// Every `pluginConfig` of the text.
fn plugin_configs(text: &str) -> Result<Vec<PluginConfig>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let mut configs = Vec::new();
    for document in resources(documents) {
        let kind = document.get("kind").and_then(Value::as_str);
        let config = match kind {
            None => Some(("".to_owned(), Some(&document))),
            Some("WasmPlugin") => Some((name(&document), document.pointer("/spec/pluginConfig"))),
            Some("TrafficExtension") => {
                Some((name(&document), document.pointer("/spec/wasm/pluginConfig")))
            }
            Some(_) => None,
        };
        if let Some((name, config)) = config {
            let text = config.map(Value::to_string).unwrap_or_default();
            let around = kind.map(|_| resource::warnings(&document)).unwrap_or_default();
            configs.push(PluginConfig { name, text, around });
        }
    }
    anyhow::ensure!(!configs.is_empty(), "it holds neither a pluginConfig nor a resource with one");
    Ok(configs)
}

/// The documents, and in place of a `List`, as `kubectl get` prints it, its items.
fn resources(documents: Vec<Value>) -> Vec<Value> {
    let mut resources = Vec::new();
    for mut document in documents {
        let is_list = document.get("kind").and_then(Value::as_str) == Some("List");
        match document.get_mut("items").and_then(Value::as_array_mut).filter(|_| is_list) {
            Some(items) => resources.append(items),
            None => resources.push(document),
        }
    }
    resources.retain(|resource| !resource.is_null());
    resources
}

fn name(document: &Value) -> String {
    let field = |pointer| document.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    format!(" ({} {})", field("/kind"), field("/metadata/name"))
}

#[cfg(test)]
mod tests {
    use super::plugin_configs;

    #[test]
    fn finds_the_configuration_of_every_kind_of_document() {
        let text = "
kind: WasmPlugin
metadata: {name: a}
spec: {pluginConfig: {mode: REPORT}}
---
kind: TrafficExtension
metadata: {name: b}
spec: {wasm: {pluginConfig: {mode: ENFORCE}}}
---
kind: Gateway
---
kind: WasmPlugin
metadata: {name: c}
spec: {}
---
kind: List
items:
- {kind: WasmPlugin, metadata: {name: d}, spec: {pluginConfig: {}}}
";
        let found = plugin_configs(text).expect("YAML");
        let expected = [
            (" (WasmPlugin a)", r#"{"mode":"REPORT"}"#),
            (" (TrafficExtension b)", r#"{"mode":"ENFORCE"}"#),
            (" (WasmPlugin c)", ""),
            (" (WasmPlugin d)", "{}"),
        ];
        let found: Vec<_> =
            found.iter().map(|one| (one.name.as_str(), one.text.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!(plugin_configs("mode: REPORT").expect("YAML").len(), 1);
        for nothing in ["kind: Gateway", "kind: List\nitems: []", "kind: List"] {
            assert!(plugin_configs(nothing).is_err(), "{nothing}");
        }
    }
}
