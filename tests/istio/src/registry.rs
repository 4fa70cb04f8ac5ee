//! An OCI registry, without TLS.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testbed::client::Request;
use testbed::process::Process;
use testbed::wait::until;

use crate::control_plane::Cluster;

/// Where it listens.
pub const ADDRESS: &str = "127.0.0.1:5000";

/// A running registry with its images in memory.
#[derive(Debug)]
pub struct Registry {
    _process: Process,
}

impl Registry {
    /// Starts an empty registry.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let folder = cluster.state.join("registry");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let config = folder.join("config.yml");
        let settings = json!({
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": folder.join("images")}},
            "http": {"addr": ADDRESS},
        });
        std::fs::write(&config, settings.to_string())?;
        let mut command = Command::new(cluster.tools.registry());
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none");
        let mut process = Process::start(command, &cluster.tools.log("registry"))?;
        let address = ADDRESS.parse()?;
        until("the registry", Duration::from_secs(120), async || {
            process.check_running()?;
            let answer = Request::get("/v2/").send(address).await;
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
        .await?;
        Ok(Self { _process: process })
    }
}
