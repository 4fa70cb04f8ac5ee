//! pilot-agent with Envoy as its child: certificates from istiod's CA, modules fetched and checked, secrets by SDS.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::process::Process;
use testbed::stats::Stats;
use testbed::wait::until;

use crate::control_plane::{Cluster, ISTIOD_TLS};
use crate::shipped;

/// How long until a proxy has its configuration.
const READY: Duration = Duration::from_secs(180);

/// How long a change of a resource may take until it is in force, on the busiest of machines: a second is usual.
pub const IN_FORCE: Duration = Duration::from_secs(90);

/// The settings of the mesh that modelgate's telemetry needs; Helm values of istiod.
pub const MESH: &str = "wasmplugin/mesh/values.yaml";

/// What runs as `pilot-agent proxy <role>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A gateway.
    Router,
    /// Beside a workload.
    Sidecar,
}

/// A workload: what Kubernetes would know of its pod.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Gateway or sidecar.
    pub role: Role,
    /// Its namespace.
    pub namespace: String,
    /// Its service account, also the first part of the pod's name.
    pub account: String,
    /// Labels of the pod.
    pub labels: Value,
    /// Worker threads of Envoy.
    pub workers: u32,
    /// Hosts whose registry speaks plain HTTP.
    pub insecure_registries: String,
}

/// A running agent; it and its Envoy end when it is dropped.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    /// The address of the pod, on loopback, no other pod's.
    pub ip: Ipv4Addr,
    admin: SocketAddr,
}

impl Agent {
    /// Makes the pod and its account, and starts the agent. The listeners come later, with resources.
    pub async fn start(cluster: &Cluster, workload: &Workload) -> Result<Self> {
        static NUMBER: AtomicU16 = AtomicU16::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let ip = Ipv4Addr::from(0x7f00_0100 + u32::from(number));
        let Workload { namespace, account, .. } = workload;
        let pod = format!("{account}-{number}");
        cluster.kubectl.apply(&resources(workload, &pod)).await?;
        let folder = cluster.state.join(&pod);
        let secrets = folder.join("var/run/secrets");
        for part in ["var/run/secrets/istio", "var/run/secrets/tokens", "etc/istio/proxy"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let token = ["create", "token", account, "-n", namespace, "--audience", "istio-ca"];
        let bound = ["--bound-object-kind", "Pod", "--bound-object-name", &pod];
        let token = cluster.kubectl.run(&[&token[..], &bound].concat()).await?;
        fs::write(secrets.join("tokens/istio-token"), token.trim())?;
        let root = until("istiod's root certificate", READY, async || {
            let get = ["get", "configmap", "istio-ca-root-cert", "-n", namespace];
            let path = ["--ignore-not-found", "-o", r"jsonpath={.data.root-cert\.pem}"];
            let root = cluster.kubectl.run(&[&get[..], &path].concat()).await?;
            Ok((!root.is_empty()).then_some(root))
        });
        fs::write(secrets.join("istio/root-cert.pem"), root.await?)?;
        let admin = SocketAddr::from(([127, 0, 0, 1], 15900 + number));
        let role = match workload.role {
            Role::Router => "router",
            Role::Sidecar => "sidecar",
        };
        let mut config = mesh_defaults()?;
        for (name, value) in [
            ("discoveryAddress", json!(ISTIOD_TLS)),
            ("binaryPath", json!(cluster.tools.envoy)),
            ("configPath", json!("./etc/istio/proxy")),
            ("concurrency", json!(workload.workers)),
            ("proxyAdminPort", json!(admin.port())),
            ("statusPort", json!(16100 + number)),
        ] {
            config.insert(name.to_owned(), value);
        }
        let mut command = Command::new(cluster.tools.istio("pilot-agent"));
        command
            .current_dir(&folder)
            .args(["proxy", role, "--domain", &format!("{namespace}.svc.cluster.local")])
            .env("ISTIO_BOOTSTRAP", cluster.tools.istio("envoy_bootstrap.json"))
            .env("PROXY_CONFIG", json!(config).to_string())
            .env("INSTANCE_IP", ip.to_string())
            .env("POD_NAME", &pod)
            .env("POD_NAMESPACE", namespace)
            .env("SERVICE_ACCOUNT", account)
            .env("ISTIO_META_WORKLOAD_NAME", account)
            .env("ISTIO_METAJSON_LABELS", workload.labels.to_string())
            .env("WASM_INSECURE_REGISTRIES", &workload.insecure_registries)
            .env("ENVOY_PROMETHEUS_PORT", (16300 + number).to_string())
            .env("ENVOY_STATUS_PORT", (16500 + number).to_string())
            .envs([
                // Without CA_ADDR, for which this name would not be asked for.
                ("ISTIOD_SAN", "istiod.istio-system.svc"),
                ("PILOT_CERT_PROVIDER", "istiod"),
                ("ISTIO_META_CLUSTER_ID", "Kubernetes"),
                // No iptables here.
                ("ISTIO_META_INTERCEPTION_MODE", "NONE"),
                // One for all agents would be one for the first of them.
                ("PROXY_XDS_DEBUG_VIA_AGENT", "false"),
            ]);
        let mut process = Process::start(command, &cluster.tools.log(&pod))?;
        until("the proxy to be ready", READY, async || {
            process.check_running()?;
            let answer = Request::get("/ready").send(admin).await;
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
        .await?;
        Ok(Self { process, ip, admin })
    }

    /// The port of Envoy's admin interface, on loopback.
    pub fn admin_port(&self) -> u16 {
        self.admin.port()
    }

    /// What agent and proxy logged so far.
    pub fn log(&self) -> Result<String> {
        self.process.log()
    }

    /// Waits until agent or proxy has logged `text`.
    pub async fn logs(&self, text: &str) -> Result<()> {
        until(&format!("the proxy to log {text:?}"), IN_FORCE, async || {
            Ok(self.log()?.contains(text).then_some(()))
        })
        .await
    }

    /// Waits until the access log has a line in which these fields have these values, and returns it. Envoy writes
    /// its lines ten seconds late, or when there are many.
    pub async fn access_logged(&self, fields: &Value) -> Result<Value> {
        let wanted = fields.as_object().context("no fields")?;
        until(&format!("a line of the access log with {fields}"), IN_FORCE, async || {
            let log = self.log()?;
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Ok(lines.find(|line| wanted.iter().all(|(name, value)| line.get(name) == Some(value))))
        })
        .await
    }

    /// A page of Envoy's admin interface.
    pub async fn admin(&self, path: &str) -> Result<String> {
        Ok(Request::get(path).send(self.admin).await?.text())
    }

    /// Every metric.
    pub async fn stats(&self) -> Result<Stats> {
        Ok(Stats::parse(&self.admin("/stats/prometheus").await?))
    }

    /// Waits until the sum of these samples is `value`: the module flushes its counters once a second.
    pub async fn counted(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Result<Stats> {
        let mut last = 0.0;
        let waited = until("counters", IN_FORCE, async || {
            let stats = self.stats().await?;
            last = stats.sum(name, labels);
            Ok((last == value).then_some(stats))
        });
        let waited = waited.await;
        waited.with_context(|| format!("{name}{labels:?} is not {value} but {last}"))
    }

    /// The module has neither failed nor panicked.
    pub async fn check_healthy(&self) -> Result<()> {
        let failures = self.wasm_failures().await?;
        ensure!(failures.is_empty(), "the module failed: {failures:?}");
        ensure!(!self.log()?.contains("panic at"), "the module panicked");
        Ok(())
    }

    /// Counters of modules that failed or were reloaded, those that are not 0.
    async fn wasm_failures(&self) -> Result<BTreeMap<String, u64>> {
        let page = self.admin("/stats?filter=wasm").await?;
        let pairs = page.lines().filter_map(|line| line.rsplit_once(": "));
        let counters = pairs.filter_map(|(n, v)| Some((n.to_owned(), v.parse::<u64>().ok()?)));
        Ok(counters
            // The module's own counters may speak of failures of others, and those of config discovery, which
            // end with the plugin's name, of the connection to istiod.
            .filter(|(n, v)| {
                *v > 0
                    && !n.contains("modelgate_")
                    && !n.starts_with("extension_config_discovery.")
                    && (n.contains("fail") || n.contains("vm_reload"))
            })
            .collect())
    }
}

/// `meshConfig.defaultConfig` of the shipped values.
fn mesh_defaults() -> Result<serde_json::Map<String, Value>> {
    let values = shipped::read(MESH)?;
    let defaults = values.first().and_then(|v| v.pointer("/meshConfig/defaultConfig"));
    defaults.and_then(Value::as_object).cloned().context("no meshConfig.defaultConfig")
}

fn resources(workload: &Workload, pod: &str) -> Vec<Value> {
    let Workload { namespace, account, labels, .. } = workload;
    let metadata = |name: &str| json!({"name": name, "namespace": namespace});
    let mut resources = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(account)}),
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod, "namespace": namespace, "labels": labels},
            "spec": {
                "serviceAccountName": account,
                "containers": [{"name": "istio-proxy", "image": "auto"}],
            },
        }),
    ];
    if workload.role == Role::Router {
        // What Istio's chart of a gateway gives it. Before the agent connects: istiod remembers a refusal.
        resources.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata(account),
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}],
        }));
        resources.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata(account),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        }));
    }
    resources
}
