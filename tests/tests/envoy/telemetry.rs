//! Counters with their labels, and fields for access logs.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use testbed::client::Request;
use testbed::tokens::{Algorithm, Issuer, with};
use testbed::wait::until;

use crate::site::{FRIENDLY, PREDICTIONS, Site, anybody, config, flower, open, predict};

const REQUESTS: &str = "modelgate_requests_total";

#[tokio::test]
async fn every_request_is_counted_once_with_its_decision() -> Result<()> {
    let site = Site::start(config(json!({
        "exclude": {"hosts": ["shop.example.com"]},
        "bypass": [{"name": "ready", "to": [{"operation": {"paths": ["/seldon/prod/iris/ready"]}}]}],
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "predictions", "namespace": "prod", "models": ["prod/iris"], "rules": [
                {"to": [{"operation": {"operations": ["predict"]}}]},
            ]},
            {"name": "no-feedback", "namespace": "prod", "action": "DENY", "models": ["prod/iris"], "rules": [
                {"to": [{"operation": {"operations": ["feedback"]}}]},
            ]},
        ]},
    }))?)
    .await?;
    let issuer = Issuer::shared()?;
    let feedback = Request::post_json("/seldon/prod/iris/api/v1.0/feedback", &json!({}));
    for (request, status) in [
        (predict(), 200),
        (predict().bearer(&issuer.token("alice", &[])?), 200),
        (Request::get("/seldon/prod/iris/ready"), 200),
        (Request::get("/").authority(Some("shop.example.com")), 200),
        (predict().bearer(&issuer.expired("alice")?), 401),
        (predict().bearer(&issuer.wrong_audience("alice")?), 403),
        (feedback, 403),
        (Request::get("/"), 403),
        (Request::get("/seldon/prod//iris"), 400),
    ] {
        site.expect(request, status, "").await?;
    }
    let stats = site.counted(REQUESTS, &[], 9.0).await?;
    let iris = ("model", "prod/iris");
    for (labels, count) in [
        (vec![iris, ("operation", "predict"), ("decision", "allowed")], 2.0),
        (vec![iris, ("operation", "status"), ("decision", "bypassed")], 1.0),
        (vec![("decision", "excluded")], 1.0),
        (vec![iris, ("operation", "predict"), ("decision", "unauthenticated")], 2.0),
        (vec![iris, ("operation", "feedback"), ("decision", "denied")], 1.0),
        (vec![("model", "none"), ("decision", "denied")], 1.0),
        (vec![("decision", "refused")], 1.0),
    ] {
        assert_eq!(stats.sum(REQUESTS, &labels), count, "{labels:?}");
    }
    let policy = "modelgate_policy_total";
    site.counted(policy, &[("policy", "prod/predictions"), ("effect", "allowed")], 2.0).await?;
    site.counted(policy, &[("policy", "prod/no-feedback"), ("effect", "denied")], 1.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn the_version_and_all_that_alerts_watch_are_there_before_any_request() -> Result<()> {
    let rule = json!({
        "issuer": "https://idp.example.com",
        "jwksUri": "https://idp.example.com/jwks.json",
        "jwksCluster": "outbound|443||nobody",
    });
    let site = Site::start(open(json!({"authentication": {"jwtRules": [rule]}}))?).await?;
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    let stats = site.counted("modelgate_build_info", &version, 1.0).await?;
    assert_eq!(stats.select("modelgate_build_info", &[]).count(), 1);
    let ok = [("issuer", "https://idp.example.com"), ("result", "ok")];
    let unavailable = [("result", "keys_unavailable")];
    for (name, labels) in [
        (REQUESTS, &[("decision", "error")][..]),
        ("modelgate_tokens_total", &unavailable[..]),
        ("modelgate_jwks_fetches_total", &ok[..]),
        ("modelgate_unwritable_claims_total", &[]),
    ] {
        until(&format!("{name} to be there"), Duration::from_secs(10), async || {
            let stats = site.gateway.envoy.stats().await?;
            let values: Vec<f64> = stats.select(name, labels).map(|sample| sample.value).collect();
            Ok((values == [0.0]).then_some(()))
        })
        .await?;
    }
    // A settings update keeps it at 1.
    site.update(open(json!({}))?).await?;
    site.counted("modelgate_build_info", &version, 1.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn requests_of_variants_are_counted_where_they_go_on() -> Result<()> {
    let split = json!([{
        "name": "iris", "models": ["prod/iris"],
        "variants": [{"name": "main", "weight": 0}, {"name": "canary", "weight": 1}],
    }]);
    let denied = json!([{"name": "no-feedback", "action": "DENY", "rules": [
        {"to": [{"operation": {"operations": ["feedback"]}}]},
    ]}]);
    let settings = json!({"splits": split, "authorization": {"policies": denied}});
    let site = Site::start(open(settings)?).await?;
    let counter = "modelgate_split_requests_total";
    let canary = [("split", "iris"), ("variant", "canary")];
    let stats = site.counted(counter, &canary, 0.0).await?;
    assert_eq!(stats.select(counter, &[]).count(), stats.select(counter, &canary).count());
    for _ in 0..3 {
        site.expect(predict(), 200, "").await?;
    }
    let feedback = Request::post_json("/seldon/prod/iris/api/v1.0/feedback", &json!({}));
    site.expect(feedback, 403, "").await?;
    let stats = site.counted(REQUESTS, &[], 4.0).await?;
    assert_eq!(stats.sum(counter, &[]), 3.0);
    assert_eq!(stats.sum(counter, &canary), 3.0);
    site.update(open(json!({"mode": "REPORT", "splits": split}))?).await?;
    site.expect(Request::post_json(PREDICTIONS, &flower()), 200, "").await?;
    let stats = site.counted(REQUESTS, &[], 5.0).await?;
    assert_eq!(stats.sum(counter, &[]), 3.0, "in REPORT mode no variant is chosen");
    site.check_healthy().await
}

#[tokio::test]
async fn tokens_are_counted_by_result() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    let issuer = Issuer::shared()?;
    let token = issuer.token("alice", &[])?;
    for _ in 0..3 {
        site.expect(predict().bearer(&token), 200, "").await?;
    }
    site.expect(predict().bearer(&issuer.expired("alice")?), 401, "").await?;
    let tokens = "modelgate_tokens_total";
    site.counted(tokens, &[], 4.0).await?;
    site.counted(tokens, &[("result", "verified")], 1.0).await?;
    site.counted(tokens, &[("result", "cached")], 2.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn claims_that_no_header_may_hold_are_left_out_and_counted() -> Result<()> {
    let issuer = Issuer::shared()?;
    let outputs =
        json!([{"header": "x-note", "claim": "note"}, {"header": "x-team", "claim": "team"}]);
    let rule = with(issuer.rule(), "outputClaimToHeaders", outputs);
    let site = Site::start(open(json!({"authentication": {"jwtRules": [rule]}}))?).await?;
    let claims = with(issuer.claims("alice"), "note", json!("two\nlines"));
    let token = issuer.mint(Algorithm::Es256, &with(claims, "team", json!("ml")))?;
    for _ in 0..2 {
        site.expect(predict().bearer(&token), 200, "").await?;
    }
    site.counted("modelgate_unwritable_claims_total", &[], 2.0).await?;
    let received = site.live.received();
    let last = received.last().context("nothing came")?;
    assert_eq!((last.header("x-team").as_deref(), last.header("x-note")), (Some("ml"), None));
    site.check_healthy().await
}

#[tokio::test]
async fn fetches_of_keys_are_counted() -> Result<()> {
    let rule = json!({
        "issuer": "https://idp.example.com",
        "jwksUri": "https://idp.example.com/jwks.json",
        "jwksCluster": "outbound|443||idp.example.com",
    });
    let site = Site::start(open(json!({"authentication": {"jwtRules": [rule]}}))?).await?;
    site.expect(predict().bearer(&Issuer::shared()?.token("alice", &[])?), 200, "").await?;
    let labels = [("issuer", "https://idp.example.com"), ("result", "ok")];
    until("a fetch to be counted", Duration::from_secs(10), async || {
        let stats = site.gateway.envoy.stats().await?;
        Ok((stats.sum("modelgate_jwks_fetches_total", &labels) >= 1.0).then_some(()))
    })
    .await?;
    site.check_healthy().await
}

#[tokio::test]
async fn strangers_cannot_use_the_labels_up() -> Result<()> {
    let site = Site::start(config(json!({
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "iris", "models": ["prod/iris"], "rules": anybody()},
        ]},
    }))?)
    .await?;
    for number in 0..20 {
        let path = format!("/seldon/prod/made-up-{number}/api/v1.0/predictions");
        site.expect(Request::post_json(path, &flower()), 403, "").await?;
    }
    site.expect(predict(), 200, "").await?;
    let stats = site.counted(REQUESTS, &[], 21.0).await?;
    assert_eq!(stats.sum(REQUESTS, &[("model", "other")]), 20.0);
    assert_eq!(stats.sum(REQUESTS, &[("model", "prod/iris")]), 1.0);
    site.check_healthy().await
}

/// gRPC is answered with 200 whatever becomes of it.
#[tokio::test]
async fn strangers_who_speak_grpc_cannot_use_the_labels_up() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    for number in 0..20 {
        let request = Request::new("POST", "/inference.GRPCInferenceService/ModelInfer")
            .header("content-type", "application/grpc")
            .header("seldon-model", format!("made-up-{number}"));
        site.expect(request, 200, "").await?;
    }
    let stats = site.counted(REQUESTS, &[], 20.0).await?;
    assert_eq!(stats.sum(REQUESTS, &[("model", "other")]), 20.0);
    site.check_healthy().await
}

#[tokio::test]
async fn access_logs_can_name_model_and_decision() -> Result<()> {
    let bypass = json!([{"name": "ready", "to": [{"operation": {"paths": ["/ready"]}}]}]);
    let settings = json!({"telemetry": {"accessLog": true}, "bypass": bypass});
    let site = Site::start(open(settings)?).await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    site.expect(predict().bearer(&token), 200, "").await?;
    site.expect(predict().bearer("nonsense"), 401, "").await?;
    site.send(Request::get("/ready")).await?;
    let lines = until("the access log", Duration::from_secs(10), async || {
        let lines = site.gateway.envoy.access_log()?;
        Ok((lines.len() >= 3).then_some(lines))
    })
    .await?;
    let served = lines.first().context("no line")?;
    assert_eq!(served["modelgate.model"], "prod/iris");
    assert_eq!(served["modelgate.operation"], "predict");
    assert_eq!(served["modelgate.decision"], "allowed");
    assert_eq!(served["modelgate.principal"], "https://idp.example.com/alice");
    assert_eq!(lines[1]["modelgate.decision"], "unauthenticated");
    assert_eq!(lines[1]["path"], FRIENDLY);
    let bypassed = (&lines[2]["modelgate.decision"], &lines[2]["modelgate.policy"]);
    assert_eq!(bypassed, (&json!("bypassed"), &json!("ready")));
    site.check_healthy().await
}
