//! Configurations that are refused, and those that replace each other in a running gateway.

use anyhow::Result;
use serde_json::json;
use testbed::envoy::Taken;

use crate::site::{DENIED, Site, open, policies, predict};

#[tokio::test]
async fn every_error_is_told_and_the_running_configuration_stays() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    let invalid = json!({
        "authorization": {},
        "authentication": {"jwtRules": [{"issuer": "https://idp.example.com"}]},
        "authorization": {"defaultAction": "MAYBE", "policies": [
            {"name": "x", "models": ["iris"], "rules": [{"to": [{"operation": {"operations": ["guess"]}}]}]},
        ]},
        "shadows": [{"name": "s", "models": ["prod/iris"], "cluster": "c", "percent": 200, "timeout": "soon"}],
    });
    assert_eq!(site.update(invalid).await?, Taken::No);
    let log = site.gateway.envoy.logged("shadows[0].timeout").await?;
    for path in [
        "authorization",
        "authentication.jwtRules[0]",
        "authorization.defaultAction",
        "authorization.policies[0].models[0]",
        "authorization.policies[0].rules[0].to[0].operation.operations[0]",
        "shadows[0].percent",
        "shadows[0].timeout",
    ] {
        assert!(log.contains(path), "{path} is not in the log");
    }
    site.expect(predict(), 200, "ndarray").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn a_new_configuration_replaces_the_running_one() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    site.expect(predict(), 200, "ndarray").await?;
    assert_eq!(site.update(policies(json!([]))?).await?, Taken::Yes);
    site.expect(predict(), 403, DENIED).await?;
    assert_eq!(site.update(open(json!({}))?).await?, Taken::Yes);
    site.expect(predict(), 200, "ndarray").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn nothing_is_no_configuration() -> Result<()> {
    let site = Site::start(policies(json!([]))?).await?;
    assert_eq!(site.update(json!({})).await?, Taken::No);
    site.expect(predict(), 403, DENIED).await?;
    site.check_healthy().await
}

/// What Envoy does with a filter that has no configuration yet.
#[tokio::test]
async fn an_invalid_first_configuration_serves_nothing() -> Result<()> {
    let site = Site::start(json!({"authorization": {"defaultAction": "MAYBE"}})).await?;
    site.expect(predict(), 500, "").await?;
    assert!(site.live.received().is_empty());
    assert_eq!(site.update(open(json!({}))?).await?, Taken::Yes);
    site.expect(predict(), 200, "ndarray").await?;
    site.check_healthy().await
}

/// The main thread and each worker read a configuration; its warnings are for people.
#[tokio::test]
async fn warnings_are_logged_once_and_by_name() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    let void = json!({"name": "d", "action": "DENY", "rules": [{"to": [{"operation": {"methods": ["get"]}}]}]});
    let all = json!({"name": "all", "rules": [{}]});
    assert_eq!(site.update(policies(json!([void, all]))?).await?, Taken::Yes);
    site.expect(predict(), 200, "ndarray").await?;
    let log = site.gateway.envoy.logged("[open-to-everybody]").await?;
    for line in [
        "modelgate: authorization.policies[0].rules[0].to[0].operation.methods[0]: never matches: it fits no method \
         (get): methods in upper case, each as a value of its own, as GET and POST [never-matches]",
        "modelgate: authorization.policies[1].rules[0]: allows everything to everybody",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line} in {log}");
    }
    site.check_healthy().await
}

#[tokio::test]
async fn secrets_are_not_in_errors() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    let invalid = json!({"authentication": {
        "apiKeys": {"keys": [{"name": "batch", "sha256": "s3cr3t-instead-of-a-hash"}]},
    }});
    assert_eq!(site.update(invalid).await?, Taken::No);
    let log = site.gateway.envoy.logged("authentication.apiKeys.keys[0].sha256").await?;
    assert!(!log.contains("s3cr3t"), "{log}");
    site.check_healthy().await
}

#[tokio::test]
async fn many_updates_under_traffic_lose_no_request() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    for round in 0..5 {
        let more = json!({"targets": {"metricsPaths": [format!("/prometheus-{round}")]}});
        let update = site.update(open(more)?);
        let traffic = async {
            for _ in 0..20 {
                site.expect(predict(), 200, "ndarray").await?;
            }
            anyhow::Ok(())
        };
        let (taken, served) = tokio::join!(update, traffic);
        assert_eq!(taken?, Taken::Yes);
        served?;
    }
    site.check_healthy().await
}
