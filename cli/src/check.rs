//! `modelgate check`: what the filter would say of a configuration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use modelgate::config::Errors;
use modelgate::pipeline::Plan;
use serde_json::Value;

#[derive(Debug, Args)]
pub struct Check {
    /// Files to check; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Check {
    pub fn run(self) -> Result<ExitCode> {
        let mut refused = 0_usize;
        for file in &self.files {
            let text = read(file)?;
            for (name, config) in plugin_configs(&text)
                .with_context(|| format!("{} cannot be read", file.display()))?
            {
                let place = format!("{}{name}", file.display());
                let mut errors = Errors::default();
                let plan = Plan::read(config.as_bytes(), &mut errors);
                for warning in errors.warnings() {
                    println!("{place}: warning: {warning}");
                }
                for error in errors.errors() {
                    println!("{place}: {error}");
                }
                match plan {
                    Some(_) => println!("{place}: accepted"),
                    None => {
                        println!("{place}: refused, {} errors", errors.errors().len());
                        refused = refused.saturating_add(1);
                    }
                }
            }
        }
        Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn read(file: &Path) -> Result<String> {
    if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")
    } else {
        std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
    }
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
