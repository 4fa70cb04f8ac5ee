//! The clients that come with the model servers, through the gateway.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::gateway::{Cluster, Gateway};
use testbed::iris::Iris;
use testbed::model_clients;
use testbed::model_servers::{ModelServer, Weights};
use testbed::seldon::Deployment;
use testbed::tokens::Issuer;
use testbed::wasmplugin::WasmPlugin;

use crate::support::{FLOWER, assert_close, open_inference};

/// Members of the group `ds` may ask this model.
fn config(model: &str, family: &str) -> Result<Value> {
    Ok(json!({
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "authorization": {"defaultAction": "DENY", "policies": [{
            "name": "data-science",
            "models": [model],
            "rules": [{
                "to": [{"operation": {"operations": ["predict"]}}],
                "when": [{"key": "request.auth.claims[groups]", "values": ["ds"]}],
            }],
        }]},
        "targets": {"families": [family]},
    }))
}

#[tokio::test]
async fn seldons_python_client_asks_seldons_wrapper() -> Result<()> {
    let model = ModelServer::seldon(Weights::Main).await?;
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(config("prod/iris", "seldon-v1")?)?.under_test()?)
        .deployment(&Deployment::single("prod", "iris", model.http).grpc(model.grpc))
        .start()
        .await?;
    let issuer = Issuer::shared()?;

    let answers =
        model_clients::seldon(gateway.address, Some(&issuer.token("a", &["ds"])?)).await?;
    let (feedback, predictions) = answers.split_last().context("nothing printed")?;
    let expected = Iris::main()?.predict(&FLOWER)?;
    assert_eq!(predictions.len(), 4);
    for answer in predictions {
        assert_eq!(answer["success"], true, "{answer}");
        let values = match answer["form"].as_str() {
            Some("tensor") => answer.pointer("/response/data/tensor/values"),
            _ => answer.pointer("/response/data/ndarray/0"),
        };
        assert_close(values, &expected)?;
    }
    // This client sends feedback without headers: no token, and no permission either.
    assert_eq!(
        (&feedback["feedback"], &feedback["message"]),
        (&json!(false), &json!("403:Forbidden"))
    );

    let (other, stranger) = (issuer.token("b", &[])?, Issuer::stranger()?.token("c", &["ds"])?);
    for (token, http, grpc, text) in [
        (None, "403:Forbidden", "PERMISSION_DENIED", "RBAC: access denied"),
        (Some(other), "403:Forbidden", "PERMISSION_DENIED", "RBAC: access denied"),
        (Some(stranger), "401:Unauthorized", "UNAUTHENTICATED", "Jwt verification fails"),
    ] {
        let answers = model_clients::seldon(gateway.address, token.as_deref()).await?;
        for answer in answers.iter().take(4) {
            assert_eq!(answer["success"], false, "{answer}");
            let message = answer["message"].as_str().context("no message")?;
            match answer["transport"].as_str() {
                Some("rest") => assert_eq!(message, http),
                _ => assert!(message.contains(grpc) && message.contains(text), "{message}"),
            }
        }
    }
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn mlserver_infer_asks_mlserver() -> Result<()> {
    const CLUSTER: &str = "outbound|80||seldon-mesh.seldon-mesh.svc.cluster.local";
    let model = ModelServer::mlserver(Weights::Main).await?;
    let plugin = WasmPlugin::with_config(config("seldon-mesh/iris", "seldon-v2")?)?;
    let gateway = Gateway::new()
        .extension(&plugin.under_test()?)
        .cluster(Cluster::http1(CLUSTER, model.http))
        .prefix("/v2", CLUSTER)
        .start()
        .await?;
    let issuer = Issuer::shared()?;
    let requests = [open_inference(), open_inference(), open_inference()];
    let ask = async |token: Option<String>| {
        let mut headers = vec![("seldon-model", "iris")];
        let authorization = token.map(|token| format!("Bearer {token}"));
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        model_clients::mlserver(gateway.address, &headers, &requests).await
    };

    let answers = ask(Some(issuer.token("a", &["ds"])?)).await?;
    assert_eq!(answers.len(), requests.len());
    for answer in &answers {
        assert_close(answer.pointer("/outputs/0/data"), &Iris::main()?.predict(&FLOWER)?)?;
    }
    for answer in ask(None).await? {
        assert!(answer.get("error").is_some() && answer.get("outputs").is_none(), "{answer}");
    }
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}
