//! Every shipped resource, judged by the API server and by istioctl.

use anyhow::{Context as _, Result, ensure};
use cluster::shipped::{self, documents, files};
use cluster::{Cluster, tools::repository};
use serde_json::Value;
use tokio::process::Command;

/// Messages of `istioctl analyze` that are true of resources without the rest of a cluster.
const KNOWN: [&str; 2] = [
    // A Gateway's selector without a pod, and a VirtualService's host without its service.
    "IST0101", "IST0104",
];

pub async fn the_api_server_and_istioctl_accept_all_of_them(cluster: &mut Cluster) -> Result<()> {
    let mut resources = Vec::new();
    for file in files()? {
        let kinds = documents(&file)?;
        // Not kustomizations, which are judged by being applied, nor values of a chart.
        if kinds.iter().all(|d| d.get("metadata").is_some_and(Value::is_object)) {
            resources.push(file.to_str().context("a path that is no text")?.to_owned());
        }
        let text = std::fs::read_to_string(&file)?;
        ensure!(text.starts_with("# "), "{} does not say what it shows", file.display());
    }
    ensure!(resources.len() > 8, "{resources:?}");
    for file in &resources {
        let dry = ["apply", "--dry-run=server", "-f", file];
        cluster.kubectl.run(&dry).await?;
        let validated = istioctl(cluster, &["validate", "-f", file]).await?;
        ensure!(validated.0, "istioctl validate {file}: {}", validated.1);
    }
    let analyze = ["analyze", "--use-kube=false", "--failure-threshold=Error", "-A"];
    let files: Vec<&str> = resources.iter().map(String::as_str).collect();
    let (_, said) = istioctl(cluster, &[&analyze[..], &files].concat()).await?;
    let unknown: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("[IST"))
        .filter(|line| !KNOWN.iter().any(|code| line.contains(code)))
        .collect();
    ensure!(unknown.is_empty(), "istioctl analyze:\n{}", unknown.join("\n"));
    Ok(())
}

pub async fn the_prometheus_operator_gets_rules_scrapes_and_dashboard(
    cluster: &mut Cluster,
) -> Result<()> {
    let kubectl = &cluster.kubectl;
    shipped::apply_kustomization(kubectl, "deploy/monitoring", &[]).await?;
    let get = async |what: &str| -> Result<Value> {
        let said = kubectl.run(&["get", what, "-n", "istio-system", "-o", "json"]).await?;
        Ok(serde_json::from_str(&said)?)
    };
    let plain = shipped::read("deploy/monitoring/modelgate-rules.yaml")?;
    let groups = plain.first().and_then(|plain| plain.get("groups"));
    let rule = get("prometheusrule/modelgate").await?;
    ensure!(groups.is_some() && rule.pointer("/spec/groups") == groups, "other rules: {rule}");
    let monitor = get("podmonitor/istio-ingressgateway").await?;
    let path = monitor.pointer("/spec/podMetricsEndpoints/0/path");
    ensure!(path.is_some_and(|path| path == "/stats/prometheus"), "{monitor}");
    let dashboard = get("configmap/modelgate-dashboard").await?;
    let label = dashboard.pointer("/metadata/labels/grafana_dashboard");
    ensure!(label.is_some_and(|label| label == "1"), "{label:?}");
    let text = dashboard.pointer("/data/modelgate-dashboard.json").and_then(Value::as_str);
    let file = repository().join("deploy/monitoring/modelgate-dashboard.json");
    ensure!(text == Some(&std::fs::read_to_string(file)?), "another dashboard");
    Ok(())
}

/// Whether it succeeded, and what it said.
pub async fn istioctl(cluster: &Cluster, args: &[&str]) -> Result<(bool, String)> {
    let program = cluster.tools.istio("istioctl");
    let output = Command::new(program)
        .args(args)
        .current_dir(repository())
        .env("KUBECONFIG", cluster.kubectl.config())
        .env("HOME", cluster.state(""))
        .kill_on_drop(true)
        .output()
        .await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
