//! Mutual TLS from the gateway to sidecars, and inside the mesh.

use anyhow::{Context as _, Result, ensure};
use cluster::agent::IN_FORCE;
use cluster::kubectl::patch;
use cluster::sidecar::Pod;
use cluster::{Cluster, Gateway, Sidecar, shipped};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::model::Model;
use testbed::upstream::{Answer, Received, Upstream};
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

pub async fn a_prometheus_outside_the_mesh_reaches_excluded_ports_only(
    cluster: &mut Cluster,
) -> Result<()> {
    let file = "deploy/prometheus-outside-the-mesh.yaml";
    let documents = shipped::read(file)?;
    let template = documents.first().and_then(|d| d.pointer("/spec/template/metadata"));
    let annotations = template.and_then(|t| t.get("annotations")).context("no annotations")?;
    let excluded = annotations.get("traffic.sidecar.istio.io/excludeInboundPorts");
    let excluded = excluded.and_then(Value::as_str).context("no port is excluded")?;
    shipped::apply(&cluster.kubectl, file).await?;

    // What the pod's init container makes of it. The rules themselves would need the machine's iptables.
    let rules = interception(cluster, excluded).await?;
    let left_out = |port: u16| {
        let rule = format!("-p tcp --dport {port} -j RETURN");
        rules.lines().any(|line| line.contains("ISTIO_INBOUND") && line.contains(&rule))
    };
    ensure!(left_out(6000) && left_out(6001), "not left out:\n{rules}");
    ensure!(!left_out(8000) && !left_out(9000), "left out:\n{rules}");

    // A pod as those rules make it: what is left out arrives at the workload itself.
    let kubectl = &cluster.kubectl;
    let model = Model::live().await?;
    let labels = json!({"app": "iris", "app.kubernetes.io/managed-by": "seldon-core"});
    let sidecar = Sidecar::start(cluster, "prod", "iris", labels).await?;
    let guarded: Vec<u16> = PORTS.into_iter().filter(|port| !left_out(*port)).collect();
    sidecar.inbound(cluster, &IRIS, &guarded, model.address()).await?;
    kubectl.apply(&[IRIS.service("iris-default", "default", "iris", &guarded, sidecar.ip)]).await?;
    shipped::apply(kubectl, "deploy/strict-mtls.yaml").await?;
    let page = |_: &Received| Answer::new(200, "text/plain", "predictions_total 1\n");
    let metrics = Upstream::start_at(sidecar.port(6000), page).await?;
    let scrape = Request::get("/prometheus");
    let answer = scrape.send(sidecar.port(6000)).await?;
    ensure!(answer.status == 200 && metrics.received().len() == 1, "{answer:?}");
    // Until mutual TLS is in force, the other ports let the scrapes of this loop through as well.
    for port in &guarded {
        until("the port to ask for a certificate", IN_FORCE, async || {
            let open = tokio::net::TcpStream::connect(sidecar.port(*port)).await.is_ok();
            Ok((open && scrape.send(sidecar.port(*port)).await.is_err()).then_some(()))
        })
        .await?;
    }
    let before = model.received().len();
    for port in guarded {
        let plain = scrape.send(sidecar.port(port)).await;
        ensure!(plain.is_err(), "plain text reached port {port}: {plain:?}");
    }
    ensure!(model.received().len() == before, "a scrape without a certificate came through");
    let answer = scrape.send(sidecar.port(6000)).await?;
    ensure!(answer.status == 200, "left out no longer: {answer:?}");
    sidecar.check_healthy().await
}

/// The rules of iptables that Istio's init container writes for a pod that leaves out these ports beside the agent's.
async fn interception(cluster: &Cluster, excluded: &str) -> Result<String> {
    let output = tokio::process::Command::new(cluster.tools.istio("pilot-agent"))
        .args(["istio-iptables", "--dry-run", "-p", "15001", "-z", "15006", "-u", "1337"])
        .args(["-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*"])
        .args(["-d", &format!("15090,15021,15020,{excluded}")])
        .current_dir(cluster.state(""))
        .kill_on_drop(true)
        .output()
        .await?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "pilot-agent istio-iptables: {said}");
    Ok(said)
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
