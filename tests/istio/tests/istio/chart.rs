//! The Helm chart, by the real helm: equal to the overlays, clear about mistakes, and installed.
//!
//! What may differ from the overlays: the labels that Helm's releases carry, and the PodMonitor's name, which is the release's.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use cluster::site::{DENIED, Site, local_module, own_rules, predict, scientist};
use cluster::tools::repository;
use cluster::{Cluster, shipped};
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::manifests::istioctl;

const CHART: &str = "deploy/chart";

/// Every resource of the chart, with what the overlays have as values.
pub async fn it_renders_what_the_overlays_are(cluster: &mut Cluster) -> Result<()> {
    let overlay = |name: &str| format!("wasmplugin/overlays/{name}");
    let (gateway, sidecars) = (json!({}), json!({"accessLog": {"enabled": false}}));
    let extension = json!({"kind": "TrafficExtension"});
    for (name, namespace, more) in [
        ("gateway", "istio-system", &gateway),
        ("gateway-report", "istio-system", &gateway),
        ("gateway-api", "istio-system", &gateway),
        ("traffic-extension", "istio-system", &extension),
        ("sidecar-prometheus", "prod", &sidecars),
    ] {
        let wanted = kustomized(cluster, &overlay(name)).await?;
        let values = values_of(&wanted, more)?;
        let release = if namespace == "prod" { "modelgate-prometheus" } else { "modelgate" };
        let rendered = accepted(cluster, release, namespace, &values).await?;
        equal(rendered, wanted).with_context(|| name.to_owned())?;
    }
    let issuer =
        json!([{"host": "idp.example.com", "name": "issuer", "credentialName": "issuer-ca"}]);
    let on = json!({"enabled": true});
    let values = json!({
        "url": "oci://registry.example.com/modelgate:0.1.0",
        "pluginConfig": {"mode": "REPORT"},
        "accessLog": {"enabled": false},
        "issuers": issuer,
        "monitoring": {"rules": on, "podMonitor": on, "dashboard": on},
    });
    let mut rendered = accepted(cluster, "modelgate", "istio-system", &values).await?;
    rendered.retain(|resource| resource.get("kind") != Some(&json!("WasmPlugin")));
    for resource in &mut rendered {
        if resource.get("kind") == Some(&json!("PodMonitor")) {
            ensure!(resource["metadata"]["name"] == "modelgate", "{resource}");
            resource["metadata"]["name"] = json!("istio-ingressgateway");
        }
    }
    let mut wanted = kustomized(cluster, "deploy/monitoring").await?;
    wanted.extend(shipped::documents(&repository().join("deploy/issuer.yaml"))?);
    equal(rendered, wanted)
}

/// A Gateway by its name, and what else the overlays do not have.
pub async fn a_gateway_is_named_and_issuers_are_public(cluster: &mut Cluster) -> Result<()> {
    let values = json!({
        "url": "oci://registry.example.com/modelgate:0.1.0",
        "sha256": "0".repeat(64),
        "imagePullSecret": "registry",
        "targetRefs": [{"kind": "Gateway", "name": "models"}],
        "priority": 0,
        // Larger than what Go writes without an exponent by itself.
        "pluginConfig": {"mode": "ENFORCE", "telemetry": {"modelLabels": {"max": 1_000_000}}},
        "issuers": [{"host": "login.example.com", "port": 8443, "endpoints": [{"address": "10.0.0.1"}]}],
        "monitoring": {"podMonitor": {"enabled": true}},
    });
    let rendered = accepted(cluster, "iris", "prod", &values).await?;
    let get = |kind: &str, path: &str| {
        let resource = rendered.iter().find(|r| r.get("kind") == Some(&json!(kind)));
        resource.and_then(|resource| resource.pointer(path)).cloned().unwrap_or_default()
    };
    let gateway =
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "models"}]);
    let pods = json!({"gateway.networking.k8s.io/gateway-name": "models"});
    for (kind, path, value) in [
        ("WasmPlugin", "/metadata/name", json!("iris-modelgate")),
        ("WasmPlugin", "/spec/targetRefs", gateway.clone()),
        ("WasmPlugin", "/spec/selector", Value::Null),
        ("WasmPlugin", "/spec/sha256", json!("0".repeat(64))),
        ("WasmPlugin", "/spec/imagePullSecret", json!("registry")),
        ("WasmPlugin", "/spec/priority", json!(0)),
        (
            "WasmPlugin",
            "/spec/pluginConfig/telemetry",
            json!({"accessLog": true, "modelLabels": {"max": 1_000_000}}),
        ),
        ("WasmPlugin", "/spec/pluginConfig/authorization", json!({"defaultAction": "DENY"})),
        ("Telemetry", "/spec/targetRefs", gateway),
        ("ServiceEntry", "/spec/ports/0/number", json!(8443)),
        ("ServiceEntry", "/spec/endpoints", json!([{"address": "10.0.0.1"}])),
        ("DestinationRule", "/spec/workloadSelector/matchLabels", pods.clone()),
        ("DestinationRule", "/spec/trafficPolicy/tls/caCertificates", json!("system")),
        (
            "DestinationRule",
            "/spec/trafficPolicy/tls/subjectAltNames/0",
            json!("login.example.com"),
        ),
        ("PodMonitor", "/spec/selector/matchLabels", pods),
    ] {
        let found = get(kind, path);
        ensure!(found == value, "{kind} {path}: {found} is not {value}");
    }
    Ok(())
}

/// What the page has a reader write is taken by Helm, by Istio, and by the filter.
pub async fn the_pages_values_are_taken(cluster: &mut Cluster) -> Result<()> {
    let page = std::fs::read_to_string(repository().join("docs/helm.md"))?;
    let block = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let values = serde_saphyr::from_str(block.context("no values")?)?;
    let rendered = accepted(cluster, "modelgate", "istio-system", &values).await?;
    let kinds: Vec<&str> =
        rendered.iter().filter_map(|r| r.get("kind").and_then(Value::as_str)).collect();
    for kind in [
        "PrometheusRule",
        "PodMonitor",
        "ConfigMap",
        "Telemetry",
        "ServiceEntry",
        "DestinationRule",
    ] {
        ensure!(kinds.contains(&kind), "no {kind}: {kinds:?}");
    }
    let plugin = rendered.iter().find(|r| r.get("kind") == Some(&json!("WasmPlugin")));
    let config = plugin.and_then(|plugin| plugin.pointer("/spec/pluginConfig"));
    let mut errors = Errors::default();
    Plan::read(config.context("no plugin")?.to_string().as_bytes(), &mut errors);
    ensure!(errors.is_empty() && errors.warnings().is_empty(), "{errors}{:?}", errors.warnings());
    Ok(())
}

pub async fn mistakes_in_values_are_said(cluster: &mut Cluster) -> Result<()> {
    // Without values there is nothing to install, and nothing to complain about.
    helm(cluster, &["lint", "--strict", CHART], None).await?;
    let template = ["template", "modelgate", CHART];
    let good =
        json!({"url": "oci://registry.example.com/modelgate", "pluginConfig": {"mode": "ENFORCE"}});
    helm(cluster, &template, Some(&good)).await?;
    let two = json!([{"kind": "Gateway", "name": "a"}, {"kind": "Gateway", "name": "b"}]);
    let signed = json!([{"host": "idp.example.com", "credentialName": "issuer-ca"}]);
    let twice =
        json!([{"host": "idp.example.com", "credentialName": "a", "caCertificates": "system"}]);
    for (name, value, said) in [
        ("url", json!(""), "url is missing: the module's image"),
        ("pluginConfig", json!({}), "pluginConfig.mode is missing: REPORT decides"),
        ("pluginConfig", json!({"mode": "DENY"}), "at '/pluginConfig/mode'"),
        ("pluginConfig", json!({"shadow": []}), "additional properties 'shadow' not allowed"),
        ("failStrategy", json!("FAIL_OPEN"), "at '/failStrategy'"),
        ("image", json!("modelgate"), "additional properties 'image' not allowed"),
        ("issuers", twice, "idp.example.com has credentialName and caCertificates"),
    ] {
        let mut values = good.clone();
        values[name] = value;
        refused(cluster, &values, said).await?;
    }
    let targets = json!({"targetRefs": two, "issuers": signed});
    refused(cluster, &merged(&good, &targets), "credentialName of idp.example.com needs pods")
        .await?;
    let both = json!({"targetRefs": two, "selector": {"istio": "ingress"}});
    refused(cluster, &merged(&good, &both), "selector and targetRefs: one of the two").await
}

/// From an archive, as registries of charts hold it.
pub async fn a_release_guards_the_models(cluster: &mut Cluster) -> Result<()> {
    let archives = cluster.state("charts");
    let folder = archives.to_str().context("a path that is no text")?;
    helm(cluster, &["package", CHART, "--destination", folder], None).await?;
    let chart = format!("{folder}/modelgate-{}.tgz", env!("CARGO_PKG_VERSION"));
    let site = Site::without_plugin(cluster).await?;
    let overlay = kustomized(cluster, "wasmplugin/overlays/gateway").await?;
    let mut values = values_of(&overlay, &json!({}))?;
    values["url"] = json!(local_module(cluster));
    values["pluginConfig"]["authentication"]["jwtRules"] = own_rules()?;
    let on = json!({"enabled": true});
    values["monitoring"] = json!({"rules": on, "dashboard": on});
    let upgrade = ["upgrade", "--install", "modelgate", &chart, "-n", "istio-system"];
    let notes = helm(cluster, &upgrade, Some(&values)).await?;
    ensure!(notes.contains("Its mode is ENFORCE"), "{notes}");
    ensure!(!notes.contains("which is not in `issuers`"), "{notes}");
    let gateway = &site.gateway;
    gateway.becomes(&predict().bearer(&scientist()?), 200, "ndarray").await?;
    gateway.expect(predict(), 403, DENIED).await?;
    gateway.access_logged(&json!({"status": 403, "decision": "denied"})).await?;
    // What the archive holds of the links.
    let dashboard = ["get", "configmap", "modelgate-dashboard", "-n", "istio-system", "-o", "json"];
    let dashboard: Value = serde_json::from_str(&cluster.kubectl.run(&dashboard).await?)?;
    let text = dashboard.pointer("/data/modelgate-dashboard.json").and_then(Value::as_str);
    let file = repository().join("deploy/monitoring/modelgate-dashboard.json");
    ensure!(text == Some(&std::fs::read_to_string(file)?), "another dashboard");

    let report = ["--reuse-values", "--set", "pluginConfig.mode=REPORT"];
    let notes = helm(cluster, &[&upgrade[..], &report].concat(), None).await?;
    ensure!(notes.contains("REFUSES NOTHING"), "{notes}");
    let operators = || {
        testbed::client::Request::post_json(
            "/seldon/prod/iris/api/v1.0/predictions",
            &cluster::site::flower(),
        )
    };
    gateway.becomes(&operators(), 200, "ndarray").await?;
    helm(cluster, &["rollback", "modelgate", "1", "-n", "istio-system"], None).await?;
    gateway.becomes(&operators(), 403, DENIED).await?;
    helm(cluster, &["uninstall", "modelgate", "-n", "istio-system"], None).await?;
    gateway.becomes(&operators(), 200, "ndarray").await?;
    gateway.check_healthy().await
}

async fn refused(cluster: &Cluster, values: &Value, said: &str) -> Result<()> {
    let rendered = helm(cluster, &["template", "modelgate", CHART], Some(values)).await;
    let error = rendered.err().with_context(|| format!("helm takes {values}"))?.to_string();
    ensure!(error.contains(said), "not {said:?} but {error}");
    Ok(())
}

fn merged(left: &Value, right: &Value) -> Value {
    let members = [left, right].into_iter().filter_map(Value::as_object).flatten();
    members.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The values with which the chart has to make the plugin of an overlay.
fn values_of(overlay: &[Value], more: &Value) -> Result<Value> {
    let plugin =
        overlay.iter().find(|r| r.pointer("/spec/phase").is_some()).context("no plugin")?;
    let spec = plugin.get("spec").context("no spec")?;
    let module = spec.get("wasm").unwrap_or(spec);
    let mut config = module.get("pluginConfig").context("no pluginConfig")?.clone();
    // The chart's own work, where it makes an access log.
    config.as_object_mut().context("no object")?.remove("telemetry");
    // Explicit, as the chart asks for it.
    let mode = config.get("mode").cloned().unwrap_or_else(|| json!("ENFORCE"));
    config["mode"] = mode;
    let mut values = json!({"url": module["url"], "pluginConfig": config});
    if let Some(gateways) = spec.get("targetRefs") {
        values["targetRefs"] = gateways.clone();
    } else if spec["selector"]["matchLabels"]["istio"] != "ingressgateway" {
        values["selector"] = spec["selector"]["matchLabels"].clone();
    }
    if let Some(traffic) = spec.get("match") {
        values["match"] = traffic.clone();
    }
    Ok(merged(&values, more))
}

async fn kustomized(cluster: &Cluster, folder: &str) -> Result<Vec<Value>> {
    let folder = repository().join(folder);
    let folder = folder.to_str().context("a path that is no text")?;
    Ok(serde_saphyr::from_multiple(&cluster.kubectl.run(&["kustomize", folder]).await?)?)
}

/// What helm renders, once lint, the API server and istioctl have taken it.
async fn accepted(
    cluster: &Cluster,
    release: &str,
    namespace: &str,
    values: &Value,
) -> Result<Vec<Value>> {
    helm(cluster, &["lint", "--strict", "-n", namespace, CHART], Some(values)).await?;
    let template = ["template", release, CHART, "-n", namespace];
    let rendered = helm(cluster, &template, Some(values)).await?;
    let file = cluster.state("rendered.yaml");
    std::fs::write(&file, &rendered)?;
    let file = file.to_str().context("a path that is no text")?;
    cluster.kubectl.run(&["apply", "--server-side", "--dry-run=server", "-f", file]).await?;
    let (valid, said) = istioctl(cluster, &["validate", "-f", file]).await?;
    ensure!(valid, "istioctl validate: {said}");
    Ok(serde_saphyr::from_multiple(&rendered)?)
}

/// The same resources, but for the labels of a release.
fn equal(rendered: Vec<Value>, wanted: Vec<Value>) -> Result<()> {
    let [rendered, wanted] = [rendered, wanted].map(|mut resources| {
        for resource in &mut resources {
            let metadata = resource.get_mut("metadata").and_then(Value::as_object_mut);
            let Some(metadata) = metadata else { continue };
            if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
                labels.retain(|name, _| {
                    !name.starts_with("app.kubernetes.io/") && name != "helm.sh/chart"
                });
                if labels.is_empty() {
                    metadata.remove("labels");
                }
            }
            // The chart says it; without, it is what a plugin without it has.
            if let Some(config) =
                resource.pointer_mut("/spec/pluginConfig").and_then(Value::as_object_mut)
            {
                config.entry("mode").or_insert_with(|| json!("ENFORCE"));
            }
        }
        resources.sort_by_key(|resource| {
            (resource["kind"].to_string(), resource["metadata"].to_string())
        });
        resources
    });
    ensure!(
        !wanted.is_empty() && rendered == wanted,
        "{}\nis not\n{}",
        json!(rendered),
        json!(wanted)
    );
    Ok(())
}

/// Runs helm in the repository, and returns what it prints.
async fn helm(cluster: &Cluster, args: &[&str], values: Option<&Value>) -> Result<String> {
    let program =
        std::env::var_os("HELM").context("HELM is not set (`cargo xtask test istio` sets it)")?;
    let home = cluster.state("helm");
    std::fs::create_dir_all(&home)?;
    let mut command = Command::new(PathBuf::from(program));
    command.args(args);
    if let Some(values) = values {
        let file = home.join("values.yaml");
        std::fs::write(&file, values.to_string())?;
        command.arg("--values").arg(file);
    }
    let output = command
        .current_dir(repository())
        .env("KUBECONFIG", cluster.kubectl.config())
        .env("HOME", &home)
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "helm {}: {said}{}",
        args.join(" "),
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(String::from_utf8(output.stdout)?)
}
