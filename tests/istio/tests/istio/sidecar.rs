//! Mutual TLS from the gateway to sidecars, and inside the mesh.

use anyhow::{Context as _, Result, ensure};
use cluster::agent::IN_FORCE;
use cluster::kubectl::patch;
use cluster::sidecar::Pod;
use cluster::{Cluster, Gateway, Sidecar, shipped};
use serde_json::json;
use testbed::client::Request;
use testbed::model::Model;
use testbed::upstream::Upstream;
use testbed::wait::until;

use cluster::site::{DENIED, flower, local_module, own_values, predict, scientist};

const IRIS: Pod<'static> = Pod { namespace: "prod", app: "iris" };
/// The executor, a container's metrics, and a container's own port.
const PORTS: [u16; 3] = [8000, 6000, 9000];

pub async fn strict_mtls_and_prometheus_at_the_sidecar(cluster: &mut Cluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let model = Model::live().await?;
    let labels = json!({"app": "iris", "app.kubernetes.io/managed-by": "seldon-core"});
    let sidecar = Sidecar::start(cluster, "prod", "iris", labels).await?;
    sidecar.inbound(cluster, &IRIS, &PORTS, model.address()).await?;
    kubectl.apply(&[IRIS.service("iris-default", "default", "iris", &PORTS, sidecar.ip)]).await?;
    shipped::apply(kubectl, "deploy/strict-mtls.yaml").await?;
    shipped::apply(kubectl, "deploy/seldon/model.yaml").await?;
    shipped::apply(kubectl, "deploy/gateway-http.yaml").await?;
    let module = patch("WasmPlugin", &[("/spec/url", json!(local_module(cluster)))]);
    shipped::apply_kustomization(kubectl, "wasmplugin/overlays/sidecar-prometheus", &[module])
        .await?;
    let own = own_values(&local_module(cluster))?;
    shipped::apply_kustomization(kubectl, "wasmplugin/overlays/gateway", &[own]).await?;

    // From the gateway, whose certificate the sidecar's policy names.
    let gateway = Gateway::start(cluster).await?;
    gateway.becomes(&predict().bearer(&scientist()?), 200, "ndarray").await?;
    let live = model.received().last().cloned().context("nothing received")?;
    let certificate = live.header("x-forwarded-client-cert").unwrap_or_default();
    ensure!(certificate.contains("sa/istio-ingressgateway"), "not by its certificate: {live:?}");
    let metrics = Request::get("/seldon/prod/iris/prometheus").bearer(&scientist()?);
    gateway.expect(metrics, 403, DENIED).await?;

    // Without a certificate.
    for port in PORTS {
        let plain = Request::get("/prometheus").send(sidecar.port(port)).await;
        ensure!(plain.is_err(), "plain text reached port {port}: {plain:?}");
    }

    // Prometheus by its certificate, and somebody else.
    if kubectl.run(&["get", "namespace", "monitoring"]).await.is_err() {
        kubectl.run(&["create", "namespace", "monitoring"]).await?;
    }
    let host = |port: u16| format!("iris-default.prod.svc.cluster.local:{port}");
    for (account, expected) in [("prometheus", 200), ("grafana", 403)] {
        let pod = Pod { namespace: "monitoring", app: account };
        let client =
            Sidecar::start(cluster, "monitoring", account, json!({"app": account})).await?;
        client.outbound(cluster, &pod, &PORTS).await?;
        let send = async |port: u16, request: &Request| {
            request.clone().authority(Some(&host(port))).send(client.port(port)).await
        };
        let scrape = || Request::get("/prometheus");
        until("the scrape's answer", IN_FORCE, async || {
            let answer = send(6000, &scrape()).await;
            Ok(answer.is_ok_and(|a| a.status == expected).then_some(()))
        })
        .await
        .context(account)?;
        let predict = Request::post_json("/api/v1.0/predictions", &flower());
        for (port, request, status) in [
            (8000, scrape(), expected),
            (9000, scrape(), 403),
            (6000, Request::get("/ready"), 403),
            (6000, Request::get("/prometheus/"), 403),
            (6000, Request::post_json("/prometheus", &flower()), 403),
            (8000, predict, 403),
        ] {
            let answer = send(port, &request).await?;
            ensure!(
                answer.status == status,
                "{account} at {port}: not {status} for {request:?} but {answer:?}"
            );
        }
    }
    sidecar.check_healthy().await?;
    gateway.check_healthy().await
}

pub async fn clients_in_the_mesh_call_a_canary(cluster: &mut Cluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let mut upstreams = Vec::new();
    for (name, predictor) in [("meshed-svc", "main"), ("meshed-canary", "canary")] {
        let upstream = Upstream::echo(name).await?;
        kubectl.apply(&[cluster::models::service(name, predictor, upstream.address())]).await?;
        upstreams.push(upstream);
    }
    shipped::apply(kubectl, "deploy/seldon/mesh.yaml").await?;
    let client = Sidecar::start(cluster, "prod", "client", json!({"app": "client"})).await?;
    let pod = Pod { namespace: "prod", app: "client" };
    client.outbound(cluster, &pod, &[8000]).await?;
    let outbound = client.port(8000);
    let path = "/seldon/prod/meshed/api/v1.0/predictions";
    let request = Request::post_json(path, &flower()).authority(Some("meshed-svc"));
    until("both predictors to be reached inside the mesh", IN_FORCE, async || {
        let answer = request.send(outbound).await;
        let reached = upstreams.iter().all(|upstream| !upstream.received().is_empty());
        Ok((reached && answer.is_ok_and(|answer| answer.status == 200)).then_some(()))
    })
    .await?;
    upstreams.iter().for_each(Upstream::forget);
    let mut connection = request.connect(outbound).await?;
    for _ in 0..400 {
        let answer = connection.send(&request).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    let main = upstreams.first().map_or(0, |upstream| upstream.received().len());
    // Five standard deviations around 300.
    ensure!((256..=344).contains(&main), "75/25: {main} of 400");
    Ok(())
}
