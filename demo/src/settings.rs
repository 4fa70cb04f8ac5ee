//! What the demo changes in a shipped resource, and says so.

use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::Value;
use testbed::wasmplugin::WasmPlugin;

use crate::args::Models;

/// A field of `pluginConfig` with another value than the file's.
#[derive(Debug)]
pub struct Change {
    pointer: String,
    from: Option<Value>,
    to: Value,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, token) in self.pointer.split('/').skip(1).enumerate() {
            match (token.parse::<usize>(), depth) {
                (Ok(index), _) => write!(f, "[{index}]")?,
                (Err(_), 0) => f.write_str(token)?,
                (Err(_), _) => write!(f, ".{token}")?,
            }
        }
        match &self.from {
            Some(from) => write!(f, ": {from} -> {}", self.to),
            None => write!(f, ": {} (new)", self.to),
        }
    }
}

/// Sets a field, named by a JSON pointer whose last part is a name.
pub fn set(plugin: &mut WasmPlugin, pointer: &str, to: Value) -> Result<Change> {
    let (parent, name) = pointer.rsplit_once('/').context("not a JSON pointer")?;
    let config = plugin.config_mut();
    let mut whole = Value::Object(std::mem::take(config));
    let slot = whole.pointer_mut(parent).and_then(Value::as_object_mut);
    let from = slot
        .with_context(|| format!("the shipped resource has no {parent}"))?
        .insert(name.to_owned(), to.clone());
    if let Value::Object(whole) = whole {
        *config = whole;
    }
    Ok(Change { pointer: pointer.to_owned(), from, to })
}

/// What another protocol than Seldon's needs, for which the shipped resource is written.
pub fn for_demo(plugin: &mut WasmPlugin, models: Models) -> Result<Vec<Change>> {
    if models != Models::Mlserver {
        return Ok(Vec::new());
    }
    Ok(vec![
        set(plugin, "/rewrites/0/path", models.template().into())?,
        set(plugin, "/shadows/0/compare/ignore", vec![models.noise()].into())?,
    ])
}

/// Every request is copied.
pub fn for_comparison(plugin: &mut WasmPlugin) -> Result<Vec<Change>> {
    Ok(vec![set(plugin, "/shadows/0/percent", 100.into())?])
}

/// How far apart scores may be, as the shipped resource says.
pub fn tolerance(plugin: &WasmPlugin) -> Result<f64> {
    let shadow = plugin.config().get("shadows").and_then(|shadows| shadows.get(0));
    let tolerance = shadow.and_then(|shadow| shadow.pointer("/compare/absoluteTolerance"));
    tolerance.and_then(Value::as_f64).context("the shipped shadow has no absoluteTolerance")
}

/// What [`with_mistakes`] gets wrong: a value, and the name of a field.
pub const MISTAKES: [&str; 2] = ["percent", "acton"];

/// Two mistakes.
pub fn with_mistakes(plugin: &mut WasmPlugin) -> Result<Vec<Change>> {
    Ok(vec![
        set(plugin, "/shadows/0/percent", 1000.into())?,
        set(plugin, "/authorization/policies/0/acton", "DENY".into())?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_changes() {
        let mut plugin = WasmPlugin::shipped("gateway.yaml").unwrap();
        let changes = for_comparison(&mut plugin).unwrap();
        let shown: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["shadows[0].percent: 10 -> 100"]);
        assert_eq!(for_demo(&mut plugin, Models::Mlserver).unwrap().len(), 2);
        assert_eq!(for_demo(&mut plugin, Models::Seldon).unwrap().len(), 0);
    }
}
