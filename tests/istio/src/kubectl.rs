//! `kubectl`, as a user types it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::isolation::relative;
use crate::tools::Tools;

/// What scenarios leave behind; service accounts, roles and namespaces may stay.
const KINDS: &str = "gateways.networking.istio.io,virtualservices.networking.istio.io,\
destinationrules.networking.istio.io,serviceentries.networking.istio.io,sidecars.networking.istio.io,\
wasmplugins.extensions.istio.io,trafficextensions.extensions.istio.io,telemetries.telemetry.istio.io,\
requestauthentications.security.istio.io,authorizationpolicies.security.istio.io,\
peerauthentications.security.istio.io,workloadentries.networking.istio.io,\
gateways.gateway.networking.k8s.io,httproutes.gateway.networking.k8s.io,deployments.apps";

/// The command with the rights of an administrator.
#[derive(Debug)]
pub struct Kubectl {
    program: PathBuf,
    config: PathBuf,
    state: PathBuf,
    number: AtomicU32,
}

impl Kubectl {
    pub(crate) fn new(tools: &Tools, config: PathBuf, state: &Path) -> Self {
        let program = tools.kubernetes("kubectl");
        Self { program, config, state: state.to_owned(), number: AtomicU32::new(0) }
    }

    /// The kubeconfig.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Runs it and returns what it prints.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        self.with_input(args, "").await
    }

    /// Runs it with this standard input.
    pub async fn with_input(&self, args: &[&str], input: &str) -> Result<String> {
        let mut child = Command::new(&self.program)
            .args(args)
            .env("KUBECONFIG", &self.config)
            // Its cache of what the API server knows.
            .env("HOME", &self.state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {}: {}", args.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `kubectl apply -f` of a file. By the server: an annotation could not hold large resources.
    pub async fn apply_file(&self, path: &Path) -> Result<()> {
        let path = path.to_str().context("a path that is no text")?;
        self.run(&["apply", "--server-side", "--force-conflicts", "-f", path]).await.map(drop)
    }

    /// `kubectl apply -f -` of these resources.
    pub async fn apply(&self, resources: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": resources}).to_string();
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.with_input(&apply, &list).await.map(drop)
    }

    /// `kubectl apply -k` of a folder, with the patches that a user makes in an overlay of her own.
    pub async fn apply_kustomization(&self, folder: &Path, patches: &[Value]) -> Result<()> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let overlay = self.state.join(format!("overlay-{number}"));
        std::fs::create_dir_all(&overlay)?;
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [relative(&overlay, folder)],
            "patches": patches,
        });
        std::fs::write(overlay.join("kustomization.yaml"), kustomization.to_string())?;
        let overlay = overlay.to_str().context("a path that is no text")?;
        self.run(&["apply", "-k", overlay]).await.map(drop)
    }

    /// `kubectl patch --type=json` of a WasmPlugin in istio-system (RFC 6902, `add`, which also replaces).
    pub async fn patch_plugin(&self, name: &str, operations: &[(&str, Value)]) -> Result<()> {
        let operations = operations_of(operations).to_string();
        let patch = ["patch", "wasmplugin", name, "-n", "istio-system", "--type=json", "-p"];
        self.run(&[&patch[..], &[&operations]].concat()).await.map(drop)
    }

    /// Removes what a scenario applied.
    pub async fn clear(&self) -> Result<()> {
        let all = ["--all", "--all-namespaces", "--wait=false"];
        let resources = [&["delete", KINDS][..], &all].concat();
        let pods = [&["delete", "pods", "--force", "--grace-period=0"][..], &all].concat();
        let secrets = [
            "delete",
            "secrets",
            "--all-namespaces",
            // Not the keys of istiod's own authority.
            "--field-selector=type!=istio.io/ca-root",
            "--wait=false",
        ];
        // Not Kubernetes' own, in the namespace `default`.
        let others = ["--all-namespaces", "--field-selector=metadata.namespace!=default"];
        let services = [&["delete", "services", "--wait=false"][..], &others].concat();
        let resources = async {
            // Gateways first: istiod would make their Services again.
            self.run(&resources).await?;
            self.run(&services).await
        };
        let (resources, pods, secrets) =
            tokio::join!(resources, self.run(&pods), self.run(&secrets));
        resources.and(pods).and(secrets).map(drop)
    }
}

/// A patch of the resources of this kind: a user's own values in a shipped resource (RFC 6902).
pub fn patch(kind: &str, operations: &[(&str, Value)]) -> Value {
    json!({"target": {"kind": kind}, "patch": operations_of(operations).to_string()})
}

fn operations_of(operations: &[(&str, Value)]) -> Value {
    let operation =
        |(path, value): &(&str, Value)| json!({"op": "add", "path": path, "value": value});
    operations.iter().map(operation).collect()
}
