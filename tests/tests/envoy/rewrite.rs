//! Friendly addresses, stripped prefixes, and headers.

use anyhow::Result;
use serde_json::json;
use testbed::client::Request;

use crate::site::{DENIED, PREDICTIONS, Site, anybody, config, flower, open};

#[tokio::test]
async fn friendly_addresses_keep_query_and_body() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    let question = flower();
    let request = Request::post_json("/models/prod/iris:predict?trace=1", &question);
    site.expect(request, 200, "ndarray").await?;
    let received = &site.live.received()[0];
    assert_eq!(received.path, "/api/v1.0/predictions?trace=1");
    assert_eq!(received.body, question.to_string());
    // Only POST is rewritten.
    site.expect(Request::get("/models/prod/iris:predict"), 200, "website").await?;
    // A model that is not there: no route, and no other model's.
    site.expect(Request::post_json("/models/prod/none:predict", &question), 200, "website").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn captures_never_leave_their_segment() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    for path in [
        "/models/prod/iris%2Fx:predict",
        "/models/prod%2F..%2Ftest/iris:predict",
        "/models/prod/..%2Ffraud:predict",
        "/models/prod/%2e%2e%2ffraud:predict",
    ] {
        let answer = site.send(Request::post_json(path, &flower())).await?;
        assert!(matches!(answer.status, 400 | 403) || answer.text() == "website", "{path}");
    }
    assert!(site.live.received().is_empty() && site.fraud.received().is_empty());
    site.check_healthy().await
}

#[tokio::test]
async fn the_first_rule_that_matches_is_the_only_one() -> Result<()> {
    let site = Site::start(config(json!({
        "authorization": {"defaultAction": "ALLOW", "policies": [
            {"name": "no-fraud", "action": "DENY", "models": ["prod/fraud"], "rules": anybody()},
        ]},
        "rewrites": [
            {
                "name": "by-host",
                "match": {"path": "/{rest=**}", "hosts": ["fraud.example.com"]},
                "path": "/seldon/prod/fraud/{rest}",
            },
            {
                "name": "by-header",
                "match": {"path": "/predict", "headers": [{"name": "x-model", "value": "iris*"}]},
                "path": PREDICTIONS,
                "setHeaders": {"x-rewritten": "by-header"},
                "removeHeaders": ["x-model"],
            },
            {"name": "second", "match": {"path": "/predict"}, "path": "/seldon/prod/fraud/predict"},
        ],
    }))?)
    .await?;
    let ask = || Request::post_json("/predict", &flower());
    site.expect(ask().header("x-model", "iris-1"), 200, "ndarray").await?;
    let received = &site.live.received()[0];
    assert_eq!(received.header("x-rewritten").as_deref(), Some("by-header"));
    assert_eq!(received.header("x-model"), None);
    // What is authorized is what is reached.
    site.expect(ask(), 403, DENIED).await?;
    let by_host = Request::get("/ready").authority(Some("fraud.example.com"));
    site.expect(by_host, 403, DENIED).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn a_stripped_prefix_leaves_the_model_that_the_address_names() -> Result<()> {
    let site = Site::start(config(json!({
        "authorization": {"defaultAction": "ALLOW", "policies": [
            {"name": "no-fraud", "action": "DENY", "models": ["prod/fraud"], "rules": anybody()},
        ]},
        "rewrites": [{
            "name": "strip",
            "match": {"path": "/seldon/{namespace}/{model}/{rest=**}"},
            "path": "/{rest}",
            "setHeaders": {"seldon": "{model}", "namespace": "{namespace}"},
        }],
    }))?)
    .await?;
    site.expect(Request::post_json(PREDICTIONS, &flower()), 200, "website").await?;
    let received = &site.website.received()[0];
    assert_eq!(received.path, "/api/v1.0/predictions");
    assert_eq!(received.header("seldon").as_deref(), Some("iris"));
    assert_eq!(received.header("namespace").as_deref(), Some("prod"));
    let fraud = Request::post_json("/seldon/prod/fraud/api/v1.0/predictions", &flower());
    site.expect(fraud, 403, DENIED).await?;
    site.check_healthy().await
}
