//! The shipped overlay in the ingress gateway.

use anyhow::{Context as _, Result, ensure};
use cluster::Cluster;
use cluster::agent::IN_FORCE;
use serde_json::json;
use testbed::client::Request;
use testbed::tokens::{ISSUER, Issuer};
use testbed::wait::until;

use cluster::site::{DENIED, Site, application, predict, predict_by, scientist};

pub async fn the_shipped_overlay_guards_the_models(cluster: &mut Cluster) -> Result<()> {
    let Site { models, gateway } = Site::start(cluster).await?;
    let issuer = Issuer::shared()?;
    let scientist = scientist()?;
    let received = models.iris.received();
    let live = received.last().context("nothing received")?;
    assert_eq!(live.path, "/api/v1.0/predictions", "the operator's route has cut the prefix");
    assert_eq!(live.header("x-user").as_deref(), Some("alice"));
    assert_eq!(live.header("authorization"), None, "the token stays at the gateway");

    gateway.expect(predict(), 403, DENIED).await?;
    gateway.expect(predict().bearer(&issuer.expired("alice")?), 401, "Jwt is expired").await?;
    let fraud = || predict_by("fraud");
    gateway.expect(fraud().bearer(&scientist), 403, DENIED).await?;
    let application = application()?;
    gateway.expect(fraud().bearer(&application), 200, "fraud").await?;
    let suspended = issuer.token("mallory", &["data-science", "suspended"])?;
    gateway.expect(predict().bearer(&suspended), 403, DENIED).await?;
    let metrics = Request::get("/seldon/prod/iris/prometheus").bearer(&scientist);
    gateway.expect(metrics, 403, DENIED).await?;

    // Each tenth prediction is copied to a cluster that istiod made of a ServiceEntry.
    let counted = [("model", "prod/iris"), ("decision", "allowed")];
    let before = models.iris.received().len();
    let mut connection = predict().connect(gateway.address()).await?;
    for _ in 0..100 {
        let answer = connection.send(&predict().bearer(&scientist)).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    let copies = models.retrained.wait_for(1, IN_FORCE).await?;
    assert_eq!(copies.first().map(|copy| copy.path.as_str()), Some("/api/v1.0/predictions"));
    assert!(copies.iter().all(|copy| copy.header("authorization").is_none()));
    // With labels, which the mesh settings let Envoy cut out of the names.
    gateway.counted("modelgate_requests_total", &counted, (before + 100) as f64).await?;
    for (name, labels) in [
        ("modelgate_requests_total", [("operation", "metrics"), ("decision", "denied")]),
        ("modelgate_policy_total", [("policy", "prod/suspended"), ("effect", "denied")]),
        ("modelgate_tokens_total", [("result", "verified"), ("result", "verified")]),
        ("modelgate_shadow_outcomes_total", [("shadow", "iris-v2"), ("outcome", "matched")]),
    ] {
        until(&format!("{name}{labels:?} to be counted"), IN_FORCE, async || {
            Ok((gateway.stats().await?.sum(name, &labels) > 0.0).then_some(()))
        })
        .await?;
    }
    let stats = gateway.stats().await?;
    let unparsed: Vec<_> =
        stats.starting_with("").filter(|sample| sample.name.contains("___modelgate_")).collect();
    ensure!(unparsed.is_empty(), "labels that are still part of the name: {unparsed:?}");

    // Why each was refused, and what the others were taken for.
    let path = "/models/prod/iris:predict";
    let alice = format!("{ISSUER}/alice");
    for line in [
        // The address that the route saw: the friendly one as it was rewritten.
        json!({"path": "/seldon/prod/iris/api/v1.0/predictions", "status": 200, "details": "via_upstream", "decision": "allowed",
            "model": "prod/iris", "operation": "predict", "policy": "prod/data-science",
            "principal": alice, "shadow": "iris-v2"}),
        json!({"path": path, "status": 403, "decision": "denied",
            "details": "rbac_access_denied_matched_policy[none]"}),
        json!({"path": path, "status": 403, "decision": "denied", "policy": "prod/suspended",
            "details": "rbac_access_denied_matched_policy[ns[prod]-policy[suspended]-rule[0]]"}),
        json!({"path": path, "status": 401, "decision": "unauthenticated"}),
        json!({"path": "/seldon/prod/iris/prometheus", "status": 403, "operation": "metrics"}),
    ] {
        gateway.access_logged(&line).await?;
    }
    gateway.check_healthy().await
}
