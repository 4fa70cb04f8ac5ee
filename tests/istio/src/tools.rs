//! The programs of the suite, named by its environment, and its folder of logs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Tools {
    istio: PathBuf,
    kubernetes: PathBuf,
    registry: PathBuf,
    operator: PathBuf,
    gateway_api: PathBuf,
    /// Envoy with V8.
    pub envoy: PathBuf,
    /// The module under test.
    pub module: PathBuf,
    /// The folder of logs.
    pub logs: PathBuf,
}

impl Tools {
    /// From the environment that `cargo xtask test istio` sets.
    pub fn from_environment() -> Result<Self> {
        let path = |name: &str| -> Result<PathBuf> {
            let value = std::env::var_os(name)
                .with_context(|| format!("{name} is not set (`cargo xtask test istio` sets it)"))?;
            let path = std::path::absolute(value)?;
            ensure!(path.exists(), "{name} names {}, which is not there", path.display());
            Ok(path)
        };
        Ok(Self {
            istio: path("ISTIO_TOOLS")?,
            kubernetes: path("KUBERNETES_TOOLS")?,
            registry: path("REGISTRY_TOOLS")?,
            operator: path("PROMETHEUS_OPERATOR")?,
            gateway_api: path("GATEWAY_API")?,
            envoy: path("ENVOY")?,
            module: path("MODELGATE_WASM")?,
            logs: path("MODELGATE_LOGS")?,
        })
    }

    /// A program or file of Istio.
    pub fn istio(&self, name: &str) -> PathBuf {
        self.istio.join(name)
    }

    /// A program of Kubernetes.
    pub fn kubernetes(&self, name: &str) -> PathBuf {
        self.kubernetes.join(name)
    }

    /// The registry.
    pub fn registry(&self) -> PathBuf {
        self.registry.join("registry")
    }

    /// The definitions of the Prometheus operator's resources.
    pub fn operator(&self) -> &Path {
        &self.operator
    }

    /// The definitions of the Gateway API's resources.
    pub fn gateway_api(&self) -> &Path {
        &self.gateway_api
    }

    /// A log of its own for each process, named after the running scenario.
    pub fn log(&self, process: &str) -> PathBuf {
        let free = |path: &PathBuf| !path.exists();
        let names = std::iter::once(format!("{process}.log"))
            .chain((2..).map(|number| format!("{process}-{number}.log")));
        names.map(|name| self.logs.join(name)).find(free).unwrap_or_default()
    }
}

/// The checkout.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap_or_default()
}
