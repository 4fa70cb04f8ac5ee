//! The configuration that a request is decided by: one of those in what `check` reads, and only one that it accepts.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use serde_json::Value;

use crate::check;

/// Names standard input.
const INPUT: &str = "-";

/// A configuration.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Where it stands, for people.
    pub name: String,
    /// The `pluginConfig`.
    pub settings: Value,
    /// Whether a sidecar has it, for what comes to its workload.
    pub inbound: bool,
}

impl Configuration {
    /// Reads a file, or standard input. `resource` names one of several.
    ///
    /// # Errors
    ///
    /// It cannot be read, `check` would refuse it, or it holds none or several configurations.
    pub fn read(file: &Path, resource: Option<&str>) -> Result<Self> {
        let is_input = file.as_os_str() == INPUT;
        let name = if is_input { "standard input".to_owned() } else { file.display().to_string() };
        let text = if is_input {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(file)
        };
        Self::of_text(&name, text.with_context(|| format!("{name} cannot be read"))?, resource)
    }

    /// The same of a text that comes from there.
    ///
    /// # Errors
    ///
    /// Those of [`Configuration::read`].
    pub fn of_text(name: &str, text: String, resource: Option<&str>) -> Result<Self> {
        let found = check::configurations(name, text)?;
        let named = |label: &Option<(String, String)>| match (label, resource) {
            (Some((_, name)), Some(wanted)) => name == wanted,
            (None, Some(_)) => false,
            (_, None) => true,
        };
        let names: Vec<String> = found.iter().map(|one| label(&one.resource)).collect();
        let mut fitting = found.into_iter().filter(|one| named(&one.resource));
        let Some(one) = fitting.next() else {
            bail!("{name} holds no {}: there are {}", resource.unwrap_or("?"), names.join(", "));
        };
        ensure!(
            fitting.next().is_none(),
            "{name} holds {} configurations: say with --resource which one: {}",
            names.len(),
            names.join(", ")
        );
        let name = match &one.resource {
            Some(_) => format!("{name} ({})", label(&one.resource)),
            None => name.to_owned(),
        };
        Ok(Self { name, settings: one.settings, inbound: one.inbound })
    }

    /// Compiles it.
    ///
    /// # Errors
    ///
    /// The engine refuses it.
    pub fn plan(&self) -> Result<Plan> {
        plan(&self.settings).with_context(|| self.name.clone())
    }

    /// The name that the settings give to the entry of a list, as `rewrites[0]`.
    pub fn name_of(&self, list: &str, index: usize) -> String {
        let entry = self.settings.get(list).and_then(|list| list.get(index));
        let name = entry.and_then(|entry| entry.get("name")).and_then(Value::as_str);
        name.map_or_else(|| format!("{list}[{index}]"), str::to_owned)
    }
}

fn label(resource: &Option<(String, String)>) -> String {
    resource.as_ref().map_or("a pluginConfig".to_owned(), |(kind, name)| format!("{kind} {name}"))
}

/// Compiles settings.
///
/// # Errors
///
/// The engine refuses them.
pub fn plan(settings: &Value) -> Result<Plan> {
    let mut errors = Errors::default();
    let plan = Plan::read(settings.to_string().as_bytes(), &mut errors);
    plan.with_context(|| format!("the configuration is refused: {errors}"))
}
