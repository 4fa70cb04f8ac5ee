//! MLServer as a model of Seldon Core v2, Open Inference Protocol.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::gateway::{Cluster, Gateway, Running};
use testbed::iris::Iris;
use testbed::model_servers::{Model, ModelServer, Weights};
use testbed::tokens::Issuer;
use testbed::wasmplugin::WasmPlugin;

use crate::support::{FLOWER, assert_close, open_inference, outcomes, settled};

/// The live model.
pub const INFER: &str = "/v2/models/iris/infer";

const SHADOW: &str = "outbound|80||iris-v2.seldon-mesh.svc.cluster.local";

/// A gateway in front of `live` that copies every question to `shadow`.
pub async fn gateway(live: &ModelServer, shadow: &ModelServer, compare: Value) -> Result<Running> {
    let config = json!({
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "authorization": {"defaultAction": "ALLOW", "policies": [{
            "name": "known-callers",
            "models": ["seldon-mesh/iris"],
            "rules": [{
                "from": [{"source": {"requestPrincipals": ["*"]}}],
                "to": [{"operation": {"operations": ["predict", "metadata"]}}],
            }],
        }]},
        "targets": {"families": ["seldon-v2"]},
        "shadows": [{
            "name": "iris-v2",
            "models": ["seldon-mesh/iris"],
            "cluster": SHADOW,
            "timeout": "10s",
            "compare": compare,
        }],
    });
    Gateway::new()
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .cluster(Cluster::http1(
            "outbound|80||seldon-mesh.seldon-mesh.svc.cluster.local",
            live.http,
        ))
        .cluster(Cluster::http1(SHADOW, shadow.http))
        .prefix("/v2", "outbound|80||seldon-mesh.seldon-mesh.svc.cluster.local")
        .start()
        .await
}

#[tokio::test]
async fn inference_passes_and_the_repository_stays_closed() -> Result<()> {
    let live = ModelServer::mlserver(Weights::Main).await?;
    let gateway = gateway(&live, &live, json!({})).await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    let question = || Request::post_json(INFER, &open_inference()).header("seldon-model", "iris");
    assert_eq!(gateway.send(question()).await?.status, 403);
    let answer = gateway.send(question().bearer(&token)).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json()?;
    assert_close(answer.pointer("/outputs/0/data"), &Iris::main()?.predict(&FLOWER)?)?;
    for path in ["/v2/repository/index", "/v2/repository/models/iris/unload"] {
        let admin = Request::post_json(path, &json!({})).bearer(&token);
        assert_eq!(gateway.send(admin).await?.status, 403, "{path}");
    }
    let other = Request::post_json(INFER, &open_inference()).header("seldon-model", "fraud");
    assert_eq!(gateway.send(other.bearer(&token)).await?.status, 400);
    let metadata = Request::get("/v2/models/iris").header("seldon-model", "iris").bearer(&token);
    assert_eq!(gateway.send(metadata).await?.json()?["name"], "iris");
    assert_eq!(outcomes(&settled(&gateway, 1.0).await?, "matched"), 1.0);
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn two_servers_are_compared() -> Result<()> {
    let live = ModelServer::mlserver(Weights::Main).await?;
    let retrained = ModelServer::mlserver(Weights::Shadow).await?;
    let gateway = gateway(&live, &retrained, json!({})).await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    for _ in 0..3 {
        let question = Request::post_json(INFER, &open_inference()).header("seldon-model", "iris");
        let answer = gateway.send(question.bearer(&token)).await?.json()?;
        assert_close(answer.pointer("/outputs/0/data"), &Iris::main()?.predict(&FLOWER)?)?;
    }
    assert_eq!(outcomes(&settled(&gateway, 3.0).await?, "mismatched"), 3.0);
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

/// The header decides which model is authorized, and the path which one the server unloads.
#[tokio::test]
async fn who_administers_one_model_cannot_unload_another() -> Result<()> {
    let fraud = Model { name: "fraud", version: "v1", weights: Weights::Main };
    let server = ModelServer::mlserver_with(&[Model::iris(Weights::Main), fraud]).await?;
    let config = json!({
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "authorization": {"defaultAction": "DENY", "policies": [
            {
                "name": "predictions",
                "rules": [{"to": [{"operation": {"operations": ["predict"]}}]}],
            },
            {
                "name": "admins-of-fraud",
                "models": ["seldon-mesh/fraud"],
                "rules": [{
                    "from": [{"source": {"requestPrincipals": ["*"]}}],
                    "to": [{"operation": {"operations": ["admin"]}}],
                }],
            },
        ]},
        "targets": {"families": ["seldon-v2"]},
    });
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .cluster(Cluster::http1("mesh", server.http))
        .prefix("/v2", "mesh")
        .start()
        .await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    let unload = |path: &str, model: &str| {
        let path = format!("/v2/repository/models/{path}/unload");
        Request::post_json(path, &json!({})).header("seldon-model", model).bearer(&token)
    };
    let infer = |model: &str| {
        let path = format!("/v2/models/{model}/infer");
        Request::post_json(path, &open_inference()).header("seldon-model", model)
    };

    for path in ["iris", "ir%69s", "iris/", "fraud/../iris", "fraud/%2e%2e/iris"] {
        let answer = gateway.send(unload(path, "fraud")).await?;
        // Envoy takes dots out before anybody looks, so they are no way around either.
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
    assert_eq!(gateway.send(unload("iris", "iris")).await?.status, 403);
    let answer = gateway.send(infer("iris")).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());

    // The server itself would have done it: it unloads the model that the caller may administer.
    assert_eq!(gateway.send(infer("fraud")).await?.status, 200);
    let answer = gateway.send(unload("fraud", "fraud")).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(gateway.send(infer("fraud")).await?.status, 404);
    assert_eq!(gateway.send(infer("iris")).await?.status, 200);
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}
