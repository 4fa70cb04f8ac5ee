//! A running Prometheus, and its promtool.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use modelgate_local::process::{Process, free_ports};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::client::Request;
use testbed::envoy::log_file;
use testbed::wait::until;

/// How often gateways are asked and rules evaluated: half a minute in the rules' time.
const INTERVAL: &str = "500ms";

/// One of the programs in `PROMETHEUS_TOOLS`.
fn program(name: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("PROMETHEUS_TOOLS").context(
        "PROMETHEUS_TOOLS is not set: the folder of prometheus and promtool (`cargo xtask test` sets it)",
    )?;
    Ok(PathBuf::from(folder).join(name))
}

/// Runs promtool.
pub fn promtool(arguments: &[&str], folder: &Path) -> Result<Output> {
    let program = program("promtool")?;
    Command::new(program).args(arguments).current_dir(folder).output().context("promtool")
}

/// A target: the gateway's address, and the labels of its pod.
pub struct Target {
    pub job: String,
    pub pod: String,
    pub address: SocketAddr,
}

/// A Prometheus that scrapes what it is told to; stops when dropped.
pub struct Prometheus {
    process: Mutex<Process>,
    address: SocketAddr,
    folder: TempDir,
}

impl Prometheus {
    /// Starts one with this file of rules, and no target.
    pub async fn start(rules: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("modelgate-prometheus-").tempdir()?;
        let path = folder.path();
        std::fs::write(path.join("rules.yaml"), rules)?;
        std::fs::write(path.join("targets.json"), "[]")?;
        let config = json!({
            "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{
                "job_name": "gateways",
                "metrics_path": "/stats/prometheus",
                "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}],
            }],
        });
        std::fs::write(path.join("prometheus.yaml"), config.to_string())?;
        let [address] = free_ports()?;
        let mut command = Command::new(program("prometheus")?);
        command
            .current_dir(path)
            .args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"));
        let process = Process::start(command, &log_file("prometheus")?)?;
        let prometheus = Self { process: Mutex::new(process), address, folder };
        until("Prometheus to be ready", Duration::from_secs(60), async || {
            prometheus.check_running()?;
            let ready = Request::get("/-/ready").send(address).await;
            Ok(ready.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
        .await?;
        Ok(prometheus)
    }

    fn check_running(&self) -> Result<()> {
        self.process.lock().map_err(|_| anyhow::anyhow!("a test panicked"))?.check_running()
    }

    /// Scrapes these, and no others.
    pub fn scrape(&self, targets: &[Target]) -> Result<()> {
        let groups: Vec<Value> = targets
            .iter()
            .map(|target| {
                let Target { job, pod, address } = target;
                let instance = format!("{pod}:15090");
                json!({"targets": [address.to_string()], "labels": {
                    "namespace": "istio-system", "job": job, "pod": pod, "instance": instance,
                }})
            })
            .collect();
        let beside = self.folder.path().join("new");
        std::fs::write(&beside, json!(groups).to_string())?;
        Ok(std::fs::rename(beside, self.folder.path().join("targets.json"))?)
    }

    async fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let encoded: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        let path = format!("/api/v1/{path}?{}", encoded.join("&"));
        let answer = Request::get(&path).send(self.address).await?;
        let body: Value = serde_json::from_str(&answer.text())
            .with_context(|| format!("{path}: {} {}", answer.status, answer.text()))?;
        ensure!(body.get("status") == Some(&json!("success")), "{parameters:?}: {body}");
        body.get("data").cloned().context("no data")
    }

    /// The series that an expression gives now.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let data = self.api("query", &[("query", expression)]).await?;
        let result = data.get("result").and_then(Value::as_array).cloned();
        result.with_context(|| format!("{expression}: {data}"))
    }

    /// Waits until an expression gives something.
    pub async fn answers(&self, expression: &str) -> Result<()> {
        until(expression, Duration::from_secs(20), async || {
            Ok((!self.query(expression).await?.is_empty()).then_some(()))
        })
        .await
    }

    /// The same over the last so many seconds, in this many steps.
    pub async fn range(&self, expression: &str, seconds: f64, steps: f64) -> Result<Vec<Value>> {
        let end = testbed::tokens::now() as f64;
        let step = format!("{}", seconds / steps);
        let (start, end) = (format!("{}", end - seconds), format!("{end}"));
        let of = [("query", expression), ("start", &start), ("end", &end), ("step", &step)];
        let data = self.api("query_range", &of).await?;
        Ok(data.get("result").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// The names of metrics that an expression asks for.
    pub async fn metrics_of(&self, expression: &str) -> Result<BTreeSet<String>> {
        let tree = self.api("parse_query", &[("query", expression)]).await?;
        let mut names = BTreeSet::new();
        selectors(&tree, &mut names);
        Ok(names)
    }

    /// Every name of a metric that was ever seen.
    pub async fn names(&self) -> Result<BTreeSet<String>> {
        let data = self.api("label/__name__/values", &[]).await?;
        Ok(serde_json::from_value(data)?)
    }

    /// The names of the alerts that fire now, of a scrape job; those without a job are in `""`.
    pub async fn firing(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let alerts = self.api("alerts", &[]).await?;
        let mut firing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for alert in alerts.get("alerts").and_then(Value::as_array).into_iter().flatten() {
            let of = |pointer: &str| {
                alert.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            if of("/state") != "firing" {
                continue;
            }
            for text in ["summary", "description", "runbook_url"] {
                let text = of(&format!("/annotations/{text}"));
                let is_whole =
                    !text.is_empty() && !text.contains("<error") && !text.contains("<no value>");
                ensure!(is_whole, "an annotation of {alert}");
            }
            firing.entry(of("/labels/job")).or_default().insert(of("/labels/alertname"));
        }
        Ok(firing)
    }

    /// The alerts that have ever fired, by job.
    pub async fn ever_fired(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let fired = r#"count by (job, alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))"#;
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for series in self.query(fired).await? {
            let of = |label: &str| {
                let label = series.pointer(&format!("/metric/{label}"));
                label.and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            all.entry(of("job")).or_default().insert(of("alertname"));
        }
        Ok(all)
    }

    /// What went wrong with rules, by Prometheus' own account.
    pub async fn rule_errors(&self) -> Result<Vec<String>> {
        let rules = self.api("rules", &[]).await?;
        let groups = rules.get("groups").and_then(Value::as_array).cloned().unwrap_or_default();
        let rules =
            groups.iter().filter_map(|g| g.get("rules").and_then(Value::as_array)).flatten();
        let errors = rules.filter_map(|rule| {
            let error = rule.get("lastError").and_then(Value::as_str).filter(|e| !e.is_empty())?;
            Some(format!("{}: {error}", rule.get("name")?))
        });
        Ok(errors.collect())
    }
}

fn selectors(tree: &Value, names: &mut BTreeSet<String>) {
    match tree {
        Value::Object(fields) => {
            let is_selector = fields.get("type") == Some(&json!("vectorSelector"))
                || fields.get("type") == Some(&json!("matrixSelector"));
            if let (true, Some(Value::String(name))) = (is_selector, fields.get("name")) {
                names.insert(name.clone());
            }
            fields.values().for_each(|value| selectors(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| selectors(item, names)),
        _ => {}
    }
}
