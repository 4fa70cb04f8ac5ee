//! `modelgate check`: what the filter would say of a configuration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use modelgate::config::Errors;
use modelgate::pipeline::Plan;
use serde_json::Value;

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
    pub fn run(self) -> ExitCode {
        let (mut refused, mut unreadable) = (false, false);
        for file in &self.files {
            let source = if file.as_os_str() == "-" {
                "standard input".to_owned()
            } else {
                file.display().to_string()
            };
            match read(file).and_then(|text| plugin_configs(&text)) {
                Ok(configs) => {
                    for (name, config) in configs {
                        refused |= !report(&format!("{source}{name}"), &config);
                    }
                }
                Err(error) => {
                    unreadable = true;
                    eprintln!("modelgate: {source} cannot be read: {error:#}");
                }
            }
        }
        match (unreadable, refused) {
            (true, _) => ExitCode::from(UNREADABLE),
            (false, true) => ExitCode::FAILURE,
            (false, false) => ExitCode::SUCCESS,
        }
    }
}

/// Prints what the filter would say of a configuration; whether it would take it.
fn report(place: &str, config: &str) -> bool {
    let mut errors = Errors::default();
    let accepted = Plan::read(config.as_bytes(), &mut errors).is_some();
    for warning in errors.warnings() {
        println!("{place}: warning: {warning}");
    }
    for error in errors.errors() {
        println!("{place}: {error}");
    }
    match errors.errors().len() {
        _ if accepted => println!("{place}: accepted"),
        1 => println!("{place}: refused, 1 error"),
        count => println!("{place}: refused, {count} errors"),
    }
    accepted
}

fn read(file: &Path) -> Result<String> {
    Ok(if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(file)?
    })
}

/// Every `pluginConfig` of the text, with the name of its resource, as the JSON that Envoy hands to
/// the filter; nothing for a resource without one, as for Istio.
fn plugin_configs(text: &str) -> Result<Vec<(String, String)>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let mut configs = Vec::new();
    for document in documents.into_iter().filter(|document| !document.is_null()) {
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
            configs.push((name, config.map(Value::to_string).unwrap_or_default()));
        }
    }
    anyhow::ensure!(!configs.is_empty(), "it holds neither a pluginConfig nor a resource with one");
    Ok(configs)
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
";
        let found = plugin_configs(text).expect("YAML");
        let expected = [
            (" (WasmPlugin a)", r#"{"mode":"REPORT"}"#),
            (" (TrafficExtension b)", r#"{"mode":"ENFORCE"}"#),
            (" (WasmPlugin c)", ""),
        ];
        assert_eq!(found, expected.map(|(name, config)| (name.to_owned(), config.to_owned())));
        assert_eq!(plugin_configs("mode: REPORT").expect("YAML").len(), 1);
        assert!(plugin_configs("kind: Gateway").is_err());
    }
}
