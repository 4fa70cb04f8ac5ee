//! Seldon's Python wrapper as prod/iris, with and without a shadow.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::gateway::{Gateway, Running};
use testbed::iris::Iris;
use testbed::model_servers::{ModelServer, Weights};
use testbed::seldon::Deployment;
use testbed::tokens::Issuer;
use testbed::wasmplugin::WasmPlugin;

use crate::support::{FLOWER, assert_close, outcomes, seldon, settled};

const PREDICTIONS: &str = "/seldon/prod/iris/api/v1.0/predictions";

async fn gateway(config: Value, live: &ModelServer, shadow: &ModelServer) -> Result<Running> {
    Gateway::new()
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .deployment(&Deployment::single("prod", "iris", live.http))
        .deployment(&Deployment::new("prod", "iris-v2").unrouted("default", shadow.http))
        .start()
        .await
}

fn config(shadow: Value) -> Result<Value> {
    Ok(json!({
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "authorization": {"defaultAction": "DENY", "policies": [{
            "name": "data-science",
            "models": ["prod/iris"],
            "rules": [{
                "to": [{"operation": {"operations": ["predict"]}}],
                "when": [{"key": "request.auth.claims[groups]", "values": ["ds"]}],
            }],
        }]},
        "rewrites": [{
            "name": "friendly",
            "match": {"path": "/models/{namespace}/{model}:predict", "methods": ["POST"]},
            "path": "/seldon/{namespace}/{model}/api/v1.0/predictions",
        }],
        "shadows": [shadow],
    }))
}

fn shadow(compare: Value) -> Value {
    json!({
        "name": "iris-v2",
        "models": ["prod/iris"],
        "cluster": "outbound|8000||iris-v2-default.prod.svc.cluster.local",
        "path": "/api/v1.0/predictions",
        "timeout": "10s",
        "compare": compare,
    })
}

#[tokio::test]
async fn predictions_pass_and_the_rest_stays_closed() -> Result<()> {
    let live = ModelServer::seldon(Weights::Main).await?;
    let gateway = gateway(config(shadow(json!({})))?, &live, &live).await?;
    let token = Issuer::shared()?.token("alice", &["ds"])?;
    for path in [PREDICTIONS, "/models/prod/iris:predict"] {
        let question = Request::post_json(path, &seldon());
        assert_eq!(gateway.send(question.clone()).await?.status, 403);
        let answer = gateway.send(question.bearer(&token)).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json()?;
        assert_close(answer.pointer("/data/ndarray/0"), &Iris::main()?.predict(&FLOWER)?)?;
    }
    let metadata = Request::get("/seldon/prod/iris/metadata").bearer(&token);
    assert_eq!(gateway.send(metadata).await?.status, 403);
    // The live server is its own shadow: it agrees with itself.
    assert_eq!(outcomes(&settled(&gateway, 2.0).await?, "matched"), 2.0);
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn two_servers_are_compared() -> Result<()> {
    let live = ModelServer::seldon(Weights::Main).await?;
    let retrained = ModelServer::seldon(Weights::Shadow).await?;
    let gateway = gateway(config(shadow(json!({})))?, &live, &retrained).await?;
    let token = Issuer::shared()?.token("alice", &["ds"])?;
    for _ in 0..5 {
        let answer =
            gateway.send(Request::post_json(PREDICTIONS, &seldon()).bearer(&token)).await?;
        let answer = answer.json()?;
        assert_close(answer.pointer("/data/ndarray/0"), &Iris::main()?.predict(&FLOWER)?)?;
    }
    assert_eq!(outcomes(&settled(&gateway, 5.0).await?, "mismatched"), 5.0);
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}
