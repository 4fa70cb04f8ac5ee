//! Shipped `WasmPlugin` resources, as the Envoy filters that istiod 1.31 makes of them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::envoy::Extension;

/// A `WasmPlugin` (extensions.istio.io/v1alpha1). Fields that this translation does not know are
/// refused, so that a test never runs with less than the file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WasmPlugin {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    name: String,
    namespace: String,
}

/// `selector`, `url`, `phase` and `match` say where the filter goes and whence the module comes: the
/// gateway of a test decides both.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default, rename = "selector")]
    _selector: Value,
    #[serde(default, rename = "targetRefs")]
    _target_refs: Value,
    #[serde(rename = "url")]
    _url: String,
    #[serde(default, rename = "sha256")]
    _sha256: String,
    #[serde(default, rename = "imagePullPolicy")]
    _image_pull_policy: String,
    #[serde(default, rename = "phase")]
    _phase: String,
    #[serde(default, rename = "priority")]
    _priority: Option<i32>,
    #[serde(default, rename = "match")]
    _match: Value,
    #[serde(default)]
    fail_strategy: FailStrategy,
    #[serde(default)]
    plugin_name: String,
    #[serde(default)]
    plugin_config: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
enum FailStrategy {
    #[default]
    #[serde(rename = "FAIL_CLOSE")]
    Close,
    #[serde(rename = "FAIL_OPEN")]
    Open,
    #[serde(rename = "FAIL_RELOAD")]
    Reload,
}

impl WasmPlugin {
    /// Reads a file with one resource.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let plugin: Self =
            serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
        if plugin.kind != "WasmPlugin" || plugin.api_version != "extensions.istio.io/v1alpha1" {
            bail!(
                "{}: not a WasmPlugin but {} {}",
                path.display(),
                plugin.api_version,
                plugin.kind
            );
        }
        Ok(plugin)
    }

    /// Reads a file of the folder `wasmplugin/` of this repository.
    pub fn shipped(file: &str) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Self::read(&root.join("wasmplugin").join(file))
    }

    /// The shipped gateway plugin with another configuration.
    pub fn with_config(config: Value) -> Result<Self> {
        let mut plugin = Self::shipped("gateway.yaml")?;
        let Value::Object(config) = config else { bail!("pluginConfig is an object") };
        plugin.spec.plugin_config = config;
        Ok(plugin)
    }

    /// `pluginConfig`, to be read.
    pub fn config(&self) -> &Map<String, Value> {
        &self.spec.plugin_config
    }

    /// `pluginConfig`, to be changed where a test has to.
    pub fn config_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.spec.plugin_config
    }

    /// `istio-system.modelgate~istio-translated-wasmplugin`: since 1.30 istiod turns a `WasmPlugin`
    /// into a `TrafficExtension` first, and says so in the name.
    pub fn plugin_name(&self) -> String {
        let Metadata { name, namespace } = &self.metadata;
        format!("{namespace}.{name}~istio-translated-wasmplugin")
    }

    /// The extension that a gateway receives, with the module in a local file as the agent of the
    /// gateway provides it.
    pub fn extension(&self, module: &Path) -> Extension {
        let failure_policy = match self.spec.fail_strategy {
            FailStrategy::Close => "FAIL_CLOSED",
            FailStrategy::Open => "FAIL_OPEN",
            FailStrategy::Reload => "FAIL_RELOAD",
        };
        let name = self.plugin_name();
        let mut config = json!({
            "name": name,
            "root_id": self.spec.plugin_name,
            "failure_policy": failure_policy,
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module}},
            },
        });
        let text = Value::Object(self.spec.plugin_config.clone()).to_string();
        // An absent pluginConfig reaches the module as zero bytes, not as `{}`.
        if let (Some(config), false) = (config.as_object_mut(), self.config().is_empty()) {
            let configuration =
                json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text});
            config.insert("configuration".to_owned(), configuration);
        }
        Extension {
            name: format!("extensions.istio.io/trafficextension/{name}"),
            typed_config: json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": config,
            }),
        }
    }

    /// [`extension`](Self::extension) with the module under test.
    pub fn under_test(&self) -> Result<Extension> {
        Ok(self.extension(&module()?))
    }
}

/// The module under test, from `MODELGATE_WASM`.
pub fn module() -> Result<PathBuf> {
    let path = std::env::var_os("MODELGATE_WASM").context(
        "MODELGATE_WASM is not set: the path of the built module (`cargo xtask test` builds and sets it)",
    )?;
    std::path::absolute(PathBuf::from(path)).context("MODELGATE_WASM is not a path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_resources_become_filters() {
        for file in ["gateway.yaml", "sidecar-prometheus.yaml"] {
            let plugin = WasmPlugin::shipped(file).unwrap();
            let extension = plugin.extension(Path::new("/module.wasm"));
            let config = &extension.typed_config["config"];
            assert_eq!(config["failure_policy"], "FAIL_RELOAD", "{file}");
            let text = config["configuration"]["value"].as_str().unwrap();
            let read: Value = serde_json::from_str(text).unwrap();
            assert_eq!(&read, &Value::Object(plugin.config().clone()), "{file}");
        }
    }
}
