//! etcd, kube-apiserver and istiod.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rcgen::KeyPair;
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::process::Process;
use testbed::wait::until;

use crate::agent::{IN_FORCE, MESH};
use crate::kubectl::Kubectl;
use crate::progress::Progress;
use crate::shipped;
use crate::tools::Tools;

/// How long a component may take on a loaded machine.
const READY: Duration = Duration::from_secs(240);

const ETCD: &str = "127.0.0.1:2379";
/// HTTP port of istiod, for readiness.
const ISTIOD: &str = "127.0.0.1:15080";
/// xDS without TLS.
pub(crate) const ISTIOD_PLAIN: (&str, u16) = ("127.0.0.1", 15010);
/// xDS with TLS, and the CA.
pub(crate) const ISTIOD_TLS: &str = "127.0.0.1:15012";

/// Where gateways and istiod live; Istio's root namespace.
pub const ISTIO_SYSTEM: &str = "istio-system";

/// A running control plane; everything ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// Programs and logs.
    pub tools: Tools,
    /// Resources.
    pub kubectl: Kubectl,
    pub(crate) state: PathBuf,
    istiod: Option<Process>,
    _api: Process,
    _etcd: Process,
}

impl Cluster {
    /// Starts everything, with its files in `state`.
    pub async fn start(state: &Path) -> Result<Self> {
        let tools = Tools::from_environment()?;
        let mut progress = Progress::open(&tools.logs);
        let state = state.to_owned();
        let etcd = progress.step("etcd", etcd(&tools, &state)).await?;
        let (api, kubectl) = progress.step("kube-apiserver", api(&tools, &state)).await?;
        let prepared = async {
            kubectl.apply_file(&tools.istio("crd-all.gen.yaml")).await?;
            kubectl.apply_file(tools.operator()).await?;
            kubectl.apply_file(tools.gateway_api()).await?;
            for namespace in [ISTIO_SYSTEM, "prod"] {
                kubectl.run(&["create", "namespace", namespace]).await?;
            }
            kubectl.apply(&[injector(&tools).await?]).await?;
            let crds = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=240s"];
            kubectl.run(&crds).await.map(drop)
        };
        progress.step("resource definitions", prepared).await?;
        let mut cluster = Self { tools, kubectl, state, istiod: None, _api: api, _etcd: etcd };
        progress.step("istiod", cluster.start_istiod()).await?;
        Ok(cluster)
    }

    /// A path for a file that ends with the cluster.
    pub fn state(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// Starts istiod, again after [`stop_istiod`](Self::stop_istiod).
    pub async fn start_istiod(&mut self) -> Result<()> {
        let mesh = self.state.join("mesh.yaml");
        let values = shipped::read(MESH)?;
        let mut settings = values.first().and_then(|v| v.get("meshConfig")).cloned();
        let settings = settings.as_mut().and_then(Value::as_object_mut).context("no meshConfig")?;
        // Without `defaultProviders`: istiod adds no istio.stats, which is not in Envoy's own build.
        settings.insert("enableTracing".to_owned(), json!(false));
        fs::write(&mesh, json!(settings).to_string())?;
        let mut command = Command::new(self.tools.istio("pilot-discovery"));
        command
            .current_dir(&self.state)
            .arg("discovery")
            .arg(flag("--kubeconfig", self.kubectl.config()))
            .arg(flag("--meshConfig", &mesh))
            .args([
                "--namespace=istio-system",
                &format!("--grpcAddr={}:{}", ISTIOD_PLAIN.0, ISTIOD_PLAIN.1),
                &format!("--secureGRPCAddr={ISTIOD_TLS}"),
                &format!("--httpAddr={ISTIOD}"),
                // No webhooks.
                "--httpsAddr=",
                "--monitoringAddr=127.0.0.1:15014",
                "--ctrlz_port=0",
            ])
            .envs([
                // Filters of Istio's own build of Envoy.
                ("PILOT_ENABLE_ALPN_FILTER", "false"),
                ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
                ("PILOT_DISABLE_MX_ALPN", "true"),
                ("PILOT_ENABLE_TELEMETRY_LABEL", "false"),
                ("POD_NAMESPACE", ISTIO_SYSTEM),
                ("POD_NAME", "istiod-0"),
                ("REVISION", "default"),
                ("CLUSTER_ID", "Kubernetes"),
                ("ISTIOD_ADDR", "istiod.istio-system.svc:15012"),
                ("TOKEN_AUDIENCES", "istio-ca"),
            ]);
        let mut process = Process::start(command, &self.tools.log("istiod"))?;
        let address = ISTIOD.parse()?;
        until("istiod to be ready", READY, async || {
            process.check_running()?;
            let answer = Request::get("/ready").send(address).await;
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
        .await?;
        self.istiod = Some(process);
        Ok(())
    }

    /// Kills istiod.
    pub fn stop_istiod(&mut self) {
        self.istiod = None;
    }

    /// What istiod logged since it was started.
    pub fn istiod_log(&self) -> Result<String> {
        self.istiod.as_ref().context("istiod does not run")?.log()
    }

    /// Waits until istiod has logged `text`, and returns the line.
    pub async fn istiod_logged(&self, text: &str) -> Result<String> {
        until(&format!("istiod to log {text:?}"), IN_FORCE, async || {
            let log = self.istiod_log()?;
            Ok(log.lines().find(|line| line.contains(text)).map(str::to_owned))
        })
        .await
    }
}

/// The templates by which istiod deploys Gateways of the Gateway API, as an installation of Istio has them.
async fn injector(tools: &Tools) -> Result<Value> {
    let mut istioctl = tokio::process::Command::new(tools.istio("istioctl"));
    let generated = istioctl.args(["manifest", "generate"]).kill_on_drop(true).output().await?;
    let said = String::from_utf8_lossy(&generated.stderr);
    ensure!(generated.status.success(), "istioctl manifest generate: {said}");
    let manifest: Vec<Value> = serde_saphyr::from_multiple(&String::from_utf8(generated.stdout)?)?;
    let is_wanted = |resource: &Value| {
        // A webhook has the same name.
        resource.get("kind").is_some_and(|kind| kind == "ConfigMap")
            && resource
                .pointer("/metadata/name")
                .is_some_and(|name| name == "istio-sidecar-injector")
    };
    manifest.into_iter().find(is_wanted).context("no templates in Istio's manifest")
}

async fn etcd(tools: &Tools, state: &Path) -> Result<Process> {
    let mut command = Command::new(tools.kubernetes("etcd"));
    command
        .arg(flag("--data-dir", &state.join("etcd")))
        .args(["--listen-client-urls", &format!("http://{ETCD}")])
        .args(["--advertise-client-urls", &format!("http://{ETCD}")])
        .args(["--listen-peer-urls", "http://127.0.0.1:2380", "--unsafe-no-fsync"]);
    let mut process = Process::start(command, &tools.log("etcd"))?;
    let address = ETCD.parse()?;
    until("etcd to be ready", READY, async || {
        process.check_running()?;
        let answer = Request::get("/health").send(address).await;
        Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
    })
    .await?;
    Ok(process)
}

async fn api(tools: &Tools, state: &Path) -> Result<(Process, Kubectl)> {
    const TOKEN: &str = "only-inside-this-network";
    let [key, public, users] =
        ["service-accounts.pem", "service-accounts.pub", "tokens.csv"].map(|name| state.join(name));
    let pair = KeyPair::generate()?;
    fs::write(&key, pair.serialize_pem())?;
    fs::write(&public, pair.public_key_pem())?;
    fs::write(&users, format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
    let certificates = state.join("pki");
    let mut command = Command::new(tools.kubernetes("kube-apiserver"));
    command
        .arg(format!("--etcd-servers=http://{ETCD}"))
        .arg(flag("--cert-dir", &certificates))
        .arg(flag("--service-account-key-file", &public))
        .arg(flag("--service-account-signing-key-file", &key))
        .arg(flag("--token-auth-file", &users))
        .args([
            "--bind-address=127.0.0.1",
            "--secure-port=6443",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            // It would wait for a controller that makes a token for each account.
            "--disable-admission-plugins=ServiceAccount",
        ]);
    let mut process = Process::start(command, &tools.log("kube-apiserver"))?;
    let config = state.join("kubeconfig");
    let settings = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "suite", "cluster": {
            "server": "https://127.0.0.1:6443",
            "certificate-authority": certificates.join("apiserver.crt"),
        }}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "suite", "context": {"cluster": "suite", "user": "admin"}}],
        "current-context": "suite",
    });
    fs::write(&config, settings.to_string())?;
    let kubectl = Kubectl::new(tools, config, state);
    until("the API server to be ready", READY, async || {
        process.check_running()?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(kubectl.run(&["get", "--raw", "/readyz"]).await.ok())
    })
    .await?;
    Ok((process, kubectl))
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}
