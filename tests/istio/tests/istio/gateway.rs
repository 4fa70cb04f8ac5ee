//! The shipped resources in the ingress gateway.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use cluster::kubectl::patch;
use cluster::models::seldon_routes;
use cluster::{Cluster, Gateway, Models, shipped};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::tokens::Issuer;

/// A question to the iris model.
pub fn flower() -> Value {
    json!({"data": {"ndarray": [[6.0, 2.7, 4.2, 1.3]]}})
}

/// The question at its friendly address.
pub fn predict() -> Request {
    Request::post_json("/models/prod/iris:predict", &flower())
}

/// A user's own values in a shipped gateway plugin: the issuer's keys, and where the module comes from.
pub fn own_values(cluster: &Cluster) -> Result<Value> {
    let mut rule = Issuer::shared()?.rule();
    rule["outputClaimToHeaders"] = json!([{"header": "x-user", "claim": "sub"}]);
    Ok(patch(
        "WasmPlugin",
        &[
            ("/spec/url", json!(format!("file://{}", cluster.tools.module.display()))),
            ("/spec/pluginConfig/authentication/jwtRules", json!([rule])),
        ],
    ))
}

pub async fn the_shipped_overlay_guards_the_models(cluster: &mut Cluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let models = Models::start(cluster).await?;
    shipped::apply(kubectl, "deploy/gateway-http.yaml").await?;
    shipped::apply(kubectl, "deploy/seldon/model.yaml").await?;
    kubectl.apply(&seldon_routes("fraud")).await?;
    let own = own_values(cluster)?;
    shipped::apply_kustomization(kubectl, "wasmplugin/overlays/gateway", &[own]).await?;
    let gateway = Gateway::start(cluster).await?;

    let issuer = Issuer::shared()?;
    let scientist = issuer.token("alice", &["data-science"])?;
    gateway.becomes(&predict().bearer(&scientist), 200, "ndarray").await?;
    let received = models.iris.received();
    let live = received.last().context("nothing received")?;
    assert_eq!(live.path, "/api/v1.0/predictions", "the operator's route has cut the prefix");
    assert_eq!(live.header("x-user").as_deref(), Some("alice"));
    assert_eq!(live.header("authorization"), None, "the token stays at the gateway");

    gateway.expect(predict(), 403, "RBAC: access denied").await?;
    gateway.expect(predict().bearer(&issuer.expired("alice")?), 401, "Jwt is expired").await?;
    let fraud = || Request::post_json("/models/prod/fraud:predict", &flower());
    gateway.expect(fraud().bearer(&scientist), 403, "RBAC: access denied").await?;
    let application = issuer.token("shop", &["applications"])?;
    gateway.expect(fraud().bearer(&application), 200, "fraud").await?;
    let suspended = issuer.token("mallory", &["data-science", "suspended"])?;
    gateway.expect(predict().bearer(&suspended), 403, "RBAC: access denied").await?;
    let metrics = Request::get("/seldon/prod/iris/prometheus").bearer(&scientist);
    gateway.expect(metrics, 403, "RBAC: access denied").await?;

    // Each tenth prediction is copied to a cluster that istiod made of a ServiceEntry.
    let counted = [("model", "prod/iris"), ("decision", "allowed")];
    let before = models.iris.received().len();
    let mut connection = predict().connect(gateway.address()).await?;
    for _ in 0..100 {
        let answer = connection.send(&predict().bearer(&scientist)).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    let copies = models.retrained.wait_for(1, Duration::from_secs(10)).await?;
    assert_eq!(copies.first().map(|copy| copy.path.as_str()), Some("/api/v1.0/predictions"));
    assert!(copies.iter().all(|copy| copy.header("authorization").is_none()));
    // With labels, which the mesh settings let Envoy cut out of the names.
    gateway.counted("modelgate_requests_total", &counted, (before + 100) as f64).await?;
    gateway.check_healthy().await
}
