//! A Gateway of the Gateway API beside the classic one: the same plugin, by the Gateway's name, decides the same.
//! istiod deploys it as it does in a cluster; what a kubelet would run of that Deployment is started here.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use cluster::agent::IN_FORCE;
use cluster::kubectl::patch;
use cluster::models::kubernetes_service;
use cluster::site::{
    DENIED, PLUGIN, Site, application, flower, local_module, own_rules, own_values, predict,
    predict_by, scientist,
};
use cluster::{Cluster, Gateway, Models, shipped};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::tokens::Issuer;
use testbed::upstream::Upstream;
use testbed::wait::until;

/// Where the Gateway's pods listen: the classic one has port 80.
const PORT: u16 = 8085;

pub async fn both_gateways_guard_the_models(cluster: &mut Cluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let own = own_values(&local_module(cluster))?;
    shipped::apply_kustomization(kubectl, "wasmplugin/overlays/gateway", &[own]).await?;
    let site = Site::in_front_of(cluster, Models::behind_services(cluster).await?).await?;
    guards(&site.gateway, &site.models).await?;

    // In its place the overlay for the other, whose name it has.
    let models = start(cluster).await?;
    kubectl.run(&["delete", "wasmplugin", PLUGIN, "-n", "istio-system"]).await?;
    let own = own_values(&local_module(cluster))?;
    shipped::apply_kustomization(kubectl, "wasmplugin/overlays/gateway-api", &[own]).await?;
    models.becomes(&predict().bearer(&scientist()?), 200, "ndarray").await?;
    guards(&models, &site.models).await?;
    // It is in the one that was named, and in no other.
    let operators = Request::post_json("/seldon/prod/iris/api/v1.0/predictions", &flower());
    site.gateway.becomes(&operators, 200, "ndarray").await?;
    models.expect(operators, 403, DENIED).await?;
    let line = json!({"status": 403, "decision": "denied", "path": "/models/prod/iris:predict"});
    models.access_logged(&line).await?;
    models.check_healthy().await
}

/// What the shipped plugin does before a model, whichever gateway it is in.
async fn guards(gateway: &Gateway, models: &Models) -> Result<()> {
    let issuer = Issuer::shared()?;
    let (scientist, application) = (scientist()?, application()?);
    gateway.becomes(&predict().bearer(&scientist), 200, "ndarray").await?;
    gateway.becomes(&predict_by("fraud").bearer(&application), 200, "fraud").await?;
    let received = models.iris.received();
    let live = received.last().context("nothing received")?;
    ensure!(live.path == "/api/v1.0/predictions", "the prefix is still there: {}", live.path);
    ensure!(live.header("x-user").as_deref() == Some("alice"), "{live:?}");
    ensure!(live.header("authorization").is_none(), "the token has reached the model");
    let metrics = Request::get("/seldon/prod/iris/prometheus").bearer(&scientist);
    let suspended = issuer.token("mallory", &["data-science", "suspended"])?;
    for (request, status, text) in [
        (predict(), 403, DENIED),
        (predict().bearer(&issuer.expired("alice")?), 401, "Jwt is expired"),
        (predict_by("fraud").bearer(&scientist), 403, DENIED),
        (predict().bearer(&suspended), 403, DENIED),
        (metrics, 403, DENIED),
        (Request::get("/seldon/prod/iris%2Fx").bearer(&scientist), 400, ""),
    ] {
        gateway.expect(request, status, text).await?;
    }
    // gRPC is routed by its headers.
    let call = Request::new("POST", "/seldon.protos.Seldon/Predict")
        .header("content-type", "application/grpc")
        .header("seldon", "fraud")
        .header("namespace", "prod");
    models.fraud.forget();
    call.bearer(&application).send_http2(gateway.address()).await?;
    let calls = models.fraud.received();
    ensure!(calls.len() == 1, "not routed by its headers: {calls:?}");
    // Each tenth prediction is copied.
    let copied = models.retrained.received().len();
    let mut connection = predict().connect(gateway.address()).await?;
    for _ in 0..100 {
        let answer = connection.send(&predict().bearer(&scientist)).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    models.retrained.wait_for(copied + 1, IN_FORCE).await?;
    for (name, labels) in [
        ("modelgate_requests_total", [("operation", "metrics"), ("decision", "denied")]),
        ("modelgate_policy_total", [("policy", "prod/suspended"), ("effect", "denied")]),
        ("modelgate_shadow_outcomes_total", [("shadow", "iris-v2"), ("outcome", "matched")]),
    ] {
        until(&format!("{name}{labels:?} to be counted"), IN_FORCE, async || {
            Ok((gateway.stats().await?.sum(name, &labels) > 0.0).then_some(()))
        })
        .await?;
    }
    gateway.check_healthy().await
}

pub async fn splits_and_services_of_kserve_are_routed(cluster: &mut Cluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let names = ["canary-main", "canary-canary"];
    let mut predictors = Vec::new();
    for name in names {
        let predictor = Upstream::echo(name).await?;
        kubectl.apply(&kubernetes_service(name, "default", predictor.address())).await?;
        predictors.push(predictor);
    }
    let flowers = Upstream::echo("flowers").await?;
    let [mut service, pod] = kubernetes_service("flowers-predictor", "default", flowers.address());
    service["spec"]["ports"] = json!([{"name": "http", "port": 80, "appProtocol": "http"}]);
    kubectl.apply(&[service, pod]).await?;
    shipped::apply(kubectl, "deploy/gateway-api/split.yaml").await?;
    shipped::apply(kubectl, "deploy/gateway-api/kserve.yaml").await?;
    let variants = json!([{"name": "main", "weight": 50}, {"name": "canary", "weight": 50}]);
    let splits = json!([
        {"name": "canary", "models": ["prod/canary"], "stickyBy": "principal", "variants": variants}
    ]);
    let targets = json!({
        "families": ["seldon-v1", "kserve"],
        "kserve": {"hostTemplate": "{name}-{namespace}.example.com", "namespaces": ["prod"]},
    });
    let own = patch(
        "WasmPlugin",
        &[
            ("/spec/url", json!(local_module(cluster))),
            ("/spec/pluginConfig/authentication/jwtRules", own_rules()?),
            ("/spec/pluginConfig/splits", splits),
            ("/spec/pluginConfig/targets", targets),
        ],
    );
    shipped::apply_kustomization(kubectl, "wasmplugin/overlays/gateway-api", &[own]).await?;
    let gateway = start(cluster).await?;
    let issuer = Issuer::shared()?;
    let user = |number: usize| issuer.token(&format!("user-{number}"), &["applications"]);
    gateway.becomes(&predict_by("canary").bearer(&user(0)?), 200, "canary-").await?;
    let mut reached = BTreeMap::new();
    for number in 0..40 {
        let token = user(number)?;
        let first =
            gateway.expect(predict_by("canary").bearer(&token), 200, "canary-").await?.text();
        let other = if first == names[0] { "canary" } else { "main" };
        // A client that asks for the other one itself.
        let forged = predict_by("canary").bearer(&token).header("x-modelgate-variant", other);
        gateway.expect(forged, 200, &first).await?;
        *reached.entry(first).or_insert(0_usize) += 1;
    }
    ensure!(reached.values().all(|count| *count >= 8) && reached.len() == 2, "50/50: {reached:?}");
    gateway.expect(predict_by("canary"), 403, DENIED).await?;

    let host = Some("flowers-prod.example.com");
    let flower = || Request::post_json("/v1/models/flowers:predict", &flower()).authority(host);
    gateway.becomes(&flower().bearer(&user(0)?), 200, "flowers").await?;
    gateway.expect(flower(), 403, DENIED).await?;
    let metrics = Request::get("/metrics").authority(host).bearer(&user(0)?);
    gateway.expect(metrics, 403, DENIED).await?;
    gateway.check_healthy().await
}

/// The shipped Gateway and its routes, and the pod of the Deployment that istiod makes of it.
async fn start(cluster: &Cluster) -> Result<Gateway> {
    let kubectl = &cluster.kubectl;
    let mut gateway = shipped::read("deploy/gateway-api/gateway.yaml")?;
    let gateway = gateway.first_mut().context("no Gateway")?;
    gateway["spec"]["listeners"][0]["port"] = json!(PORT);
    kubectl.apply(&[gateway.clone()]).await?;
    shipped::apply(kubectl, "deploy/gateway-api/seldon.yaml").await?;
    let fraud = json!(shipped::read("deploy/gateway-api/seldon.yaml")?).to_string();
    let fraud: Vec<Value> = serde_json::from_str(&fraud.replace("iris", "fraud"))?;
    kubectl.apply(&fraud).await?;
    let deployed = until("istiod to deploy the Gateway", IN_FORCE, async || {
        let get = ["get", "deployment,service", "models-istio", "-n", "istio-system"];
        let found = kubectl.run(&[&get[..], &["-o", "json"]].concat()).await.ok();
        Ok(found.map(|found| serde_json::from_str::<Value>(&found)).transpose()?)
    })
    .await?;
    let template = deployed.pointer("/items/0/spec/template").context("no pods")?;
    let account = template["spec"]["serviceAccountName"].as_str().context("no account")?;
    let labels = template["metadata"]["labels"].clone();
    Gateway::labelled(cluster, account, labels, 1, PORT).await
}
