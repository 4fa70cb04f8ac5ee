//! What happens to a gateway in its life: many policies, neighbours, restarts, another kind of resource.

use anyhow::{Context as _, Result, ensure};
use cluster::kubectl::patch;
use cluster::load::Load;
use cluster::{Cluster, Gateway, shipped};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::tokens::Issuer;
use testbed::upstream::Upstream;

use cluster::site::{
    DENIED, PLUGIN, Site, local_module, own_rules, predict, predict_by, scientist,
};

/// The largest resource that etcd takes by default is 1.5 MiB.
const MOST_BYTES: usize = 1_258_291;

pub async fn ten_thousand_policies_are_enforced(cluster: &mut Cluster) -> Result<()> {
    let site = Site::start(cluster).await?;
    let kubectl = &cluster.kubectl;
    let get = ["get", "wasmplugin", PLUGIN, "-n", "istio-system", "-o", "json"];
    let mut plugin: Value = serde_json::from_str(&kubectl.run(&get).await?)?;
    plugin["metadata"] = json!({"name": PLUGIN, "namespace": "istio-system"});
    let policies = |last: &str| -> Value {
        let policy = |number: usize| {
            let model = if number == 9_999 { last.to_owned() } else { format!("prod/m{number}") };
            json!({
                "name": format!("p{number}"),
                "models": [model],
                "rules": [{"from": [{"source": {"requestPrincipals": ["*/alice"]}}]}],
            })
        };
        (0..10_000).map(policy).collect()
    };
    plugin["spec"]["pluginConfig"]["authorization"]["policies"] = policies("prod/iris");
    let size = plugin["spec"]["pluginConfig"].to_string().len();
    ensure!(size <= MOST_BYTES, "{size} bytes");
    kubectl.apply(&[plugin.clone()]).await?;
    let issuer = Issuer::shared()?;
    let (alice, bob) = (issuer.token("alice", &[])?, issuer.token("bob", &["data-science"])?);
    site.gateway.becomes(&predict().bearer(&alice), 200, "ndarray").await?;
    site.gateway.expect(predict().bearer(&bob), 403, DENIED).await?;
    site.gateway.expect(predict_by("fraud").bearer(&alice), 403, DENIED).await?;
    plugin["spec"]["pluginConfig"]["authorization"]["policies"] = policies("prod/fraud");
    kubectl.apply(&[plugin]).await?;
    site.gateway.becomes(&predict().bearer(&alice), 403, DENIED).await?;
    site.gateway.expect(predict_by("fraud").bearer(&alice), 200, "fraud").await?;
    eprintln!("  {size} bytes of configuration");
    site.gateway.check_healthy().await
}

pub async fn another_application_shares_the_gateway(cluster: &mut Cluster) -> Result<()> {
    const HOST: &str = "app.example.com";
    let site = Site::start(cluster).await?;
    let kubectl = &cluster.kubectl;
    let app = Upstream::echo("the application").await?;
    let service = cluster::models::service("app", "default", app.address());
    let routes = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "app", "namespace": "prod"},
        "spec": {
            "gateways": ["istio-system/seldon-gateway"],
            "hosts": [HOST],
            "http": [{"route": [{"destination": {"host": "app.prod.svc.cluster.local", "port": {"number": 8000}}}]}],
        },
    });
    kubectl.apply(&[service, routes]).await?;
    let at = |path: &str| Request::get(path).authority(Some(HOST)).header("x-user", "theirs");
    site.gateway.becomes(&at("/"), 403, DENIED).await?;
    let exclude = ("/spec/pluginConfig/exclude", json!({"hosts": [HOST]}));
    kubectl.patch_plugin(PLUGIN, &[exclude]).await?;
    site.gateway.becomes(&at("/"), 200, "the application").await?;
    // A token that modelgate would refuse, and does not look at.
    let token = Issuer::stranger()?.token("alice", &[])?;
    site.gateway.expect(at("/home").bearer(&token), 200, "the application").await?;
    let received = app.received().last().cloned().context("nothing received")?;
    ensure!(received.header("authorization") == Some(format!("Bearer {token}")), "{received:?}");
    // The models stay closed, whatever host is said.
    for path in [
        "/seldon/prod/iris/api/v1.0/predictions",
        "/seldon/prod/iris/prometheus",
        "/models/prod/iris:predict",
    ] {
        let request = Request::post_json(path, &cluster::site::flower()).authority(Some(HOST));
        let answer = site.gateway.send(&request).await?;
        let reached = answer.status == 200 && answer.text() != "the application";
        ensure!(!reached, "{request:?} reached a model: {answer:?}");
    }
    ensure!(site.models.iris.received().iter().all(|r| r.authority != HOST), "a model was reached");
    site.gateway.expect(predict(), 403, DENIED).await?;
    site.gateway.expect(predict().bearer(&scientist()?), 200, "ndarray").await?;
    site.gateway.check_healthy().await
}

pub async fn gateways_serve_on_without_istiod_and_one_is_restarted(
    cluster: &mut Cluster,
) -> Result<()> {
    let site = Site::start(cluster).await?;
    // The others have the label that the plugin selects by, and must not open port 80 as well.
    let only_the_first = json!({"spec": {"selector": {"app": "istio-ingressgateway"}}}).to_string();
    let gateway = ["gateways.networking.istio.io", "seldon-gateway", "-n", "istio-system"];
    let patch = [&["patch"][..], &gateway, &["--type=merge", "-p", &only_the_first]].concat();
    cluster.kubectl.run(&patch).await?;
    let mut further = Vec::new();
    for (name, port) in [("second", 8083), ("third", 8084)] {
        let mut gateway = shipped::read("deploy/gateway-http.yaml")?;
        let gateway = gateway.first_mut().context("no gateway")?;
        gateway["metadata"]["name"] = json!(name);
        gateway["spec"]["selector"] = json!({"which": name});
        gateway["spec"]["servers"][0]["port"]["number"] = json!(port);
        let mut routes = cluster::models::seldon_routes("iris");
        let routes = routes.first_mut().context("no routes")?;
        routes["metadata"]["name"] = json!(format!("{name}-iris"));
        routes["spec"]["gateways"] = json!([format!("istio-system/{name}")]);
        cluster.kubectl.apply(&[gateway.clone(), routes.clone()]).await?;
        // The plugin's selector fits these as well.
        let labels = json!({"istio": "ingressgateway", "which": name});
        further.push(Gateway::labelled(cluster, name, labels, 2, port).await?);
    }
    let allowed = predict().bearer(&scientist()?);
    for gateway in &further {
        gateway.becomes(&allowed, 200, "ndarray").await?;
    }
    let load = [site.gateway.address()].into_iter().chain(further.first().map(Gateway::address));
    let load: Vec<Load> = load.map(|address| Load::start(&allowed, address)).collect();
    // The third is restarted, and istiod ends, while requests come in at the others.
    drop(further.pop());
    cluster.stop_istiod();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    site.gateway.expect(predict(), 403, DENIED).await?;
    cluster.start_istiod().await?;
    let labels = json!({"istio": "ingressgateway", "which": "third"});
    let third = Gateway::labelled(cluster, "third", labels, 2, 8084).await?;
    third.becomes(&allowed, 200, "ndarray").await?;
    third.expect(predict(), 403, DENIED).await?;
    for load in load {
        let seen = load.stop().await?;
        let failed = seen.iter().flatten().filter(|(_, status)| *status != 200).count();
        ensure!(failed == 0, "{failed} requests failed");
    }
    // What changes now reaches those that were connected to the istiod before.
    let none = ("/spec/pluginConfig/authorization/policies", json!([]));
    cluster.kubectl.patch_plugin(PLUGIN, &[none]).await?;
    site.gateway.becomes(&allowed, 403, DENIED).await?;
    site.gateway.check_healthy().await
}

pub async fn a_traffic_extension_serves_the_same(cluster: &mut Cluster) -> Result<()> {
    let rules = "/spec/wasm/pluginConfig/authentication/jwtRules";
    let operations = [("/spec/wasm/url", json!(local_module(cluster))), (rules, own_rules()?)];
    let own = patch("TrafficExtension", &operations);
    shipped::apply_kustomization(&cluster.kubectl, "wasmplugin/overlays/traffic-extension", &[own])
        .await?;
    let site = Site::without_plugin(cluster).await?;
    site.gateway.becomes(&predict().bearer(&scientist()?), 200, "ndarray").await?;
    site.gateway.expect(predict(), 403, DENIED).await?;
    site.gateway.check_healthy().await
}
