//! MLServer: REST, gRPC with typed and with raw tensors, and its streams.

use anyhow::{Context as _, Result};
use proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use serde_json::json;
use testbed::client::Request;
use testbed::model_clients;
use testbed::model_servers::{Model, ModelServer, Weights};
use tokio::try_join;

use super::{
    CLASS_CHANGES, FLOWERS, Servers, Site, agrees_with_itself_only, assert_live, said, verdicts,
};
use crate::grpc::{channel, flower_of, request};
use crate::support::{FLOWER, open_inference_about};

const MODEL: [(&str, &str); 1] = [("seldon-model", "iris")];

/// By gRPC the name is in the message, which is copied as it is: a shadow must have the model's own.
const REST: Site = Site {
    same_path: Some("/v2/models/iris-v2/infer"),
    retrained_path: Some("/v2/models/iris-v3/infer"),
    ..GRPC
};

/// See [`REST`].
const GRPC: Site = Site {
    targets: serde_json::Value::Null,
    model: "seldon-mesh/iris",
    same_path: None,
    retrained_path: None,
};

fn site(site: Site) -> Site {
    Site { targets: json!({"families": ["seldon-v2"]}), ..site }
}

/// The live model, the same with other names and versions, and the retrained one.
async fn servers() -> Result<[ModelServer; 3]> {
    let model = |name, version, weights| Model { name, version, weights };
    let same = [model("iris", "v2", Weights::Main), model("iris-v2", "v2", Weights::Main)];
    let retrained = [model("iris", "v3", Weights::Shadow), model("iris-v3", "v3", Weights::Shadow)];
    let (live, same, retrained) = try_join!(
        ModelServer::mlserver(Weights::Main),
        ModelServer::mlserver_with(&same),
        ModelServer::mlserver_with(&retrained),
    )?;
    Ok([live, same, retrained])
}

#[tokio::test]
async fn mlserver_agrees_with_itself_and_not_with_a_retrained_model() -> Result<()> {
    let [live, same, retrained] = servers().await?;

    let http =
        Servers { live: live.http, same: same.http, retrained: retrained.http, http2: false };
    let gateway = site(REST).gateway(&http).await?;
    let ask = async |body: &serde_json::Value| {
        let question =
            Request::post_json("/v2/models/iris/infer", body).header("seldon-model", "iris");
        let answer = gateway.send(question).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let mut answers = Vec::new();
    for flower in FLOWERS {
        let answer = ask(&open_inference_about(flower)).await?;
        answers.push(answer.pointer("/outputs/0/data").cloned().context("no data")?);
    }
    assert_live(&answers)?;
    agrees_with_itself_only(&gateway, 1).await?;

    // The label alone, a whole number.
    let mut label = open_inference_about(CLASS_CHANGES);
    label["outputs"] = json!([{"name": "predict"}]);
    let answer = ask(&label).await?;
    assert_eq!(answer.pointer("/outputs/0/datatype"), Some(&json!("INT64")), "{answer}");
    let [same_said, retrained_said] = verdicts(&gateway, 3).await?;
    assert_eq!(same_said.get("matched"), Some(&3), "{}", said(&gateway)?);
    assert_eq!(retrained_said.get("class"), Some(&2), "{}", said(&gateway)?);

    let http2 =
        Servers { live: live.grpc, same: same.grpc, retrained: retrained.grpc, http2: true };
    let gateway = site(GRPC).gateway(&http2).await?;
    let mut typed = GrpcInferenceServiceClient::new(channel(gateway.address).await?);
    for flower in FLOWERS {
        typed.model_infer(request(flower_of(flower), &MODEL)?).await?;
    }
    agrees_with_itself_only(&gateway, 1).await?;
    // Triton's client sends raw tensors, and gets raw ones.
    let raw = model_clients::triton_grpc(gateway.address, &MODEL, &FLOWERS).await?;
    assert_live(&raw)?;
    agrees_with_itself_only(&gateway, 2).await
}

#[tokio::test]
async fn by_grpc_a_shadow_needs_the_models_own_name() -> Result<()> {
    let other = [Model { name: "iris-v2", version: "v2", weights: Weights::Main }];
    let (live, other) =
        try_join!(ModelServer::mlserver(Weights::Main), ModelServer::mlserver_with(&other))?;
    let http2 = Servers { live: live.grpc, same: other.grpc, retrained: other.grpc, http2: true };
    let gateway = site(GRPC).gateway(&http2).await?;
    let mut client = GrpcInferenceServiceClient::new(channel(gateway.address).await?);
    client.model_infer(request(flower_of(FLOWER), &MODEL)?).await?;
    let [verdict, _] = verdicts(&gateway, 1).await?;
    assert_eq!(verdict.get("status"), Some(&1), "{verdict:?}");
    assert!(said(&gateway)?.contains("grpc-status 5"), "{}", said(&gateway)?);
    Ok(())
}

#[tokio::test]
async fn streams_of_mlserver_are_neither_right_nor_wrong() -> Result<()> {
    let [live, same, retrained] = servers().await?;
    let http =
        Servers { live: live.http, same: same.http, retrained: retrained.http, http2: false };
    // Without a path of their own, so that a copy would ask for a stream as well.
    let gateway = site(GRPC).gateway(&http).await?;
    for path in ["infer_stream", "generate_stream"] {
        let question = Request::post_json(
            format!("/v2/models/iris/{path}"),
            &open_inference_about(CLASS_CHANGES),
        );
        let answer = gateway.send(question.header("seldon-model", "iris")).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let kind = answer.header("content-type").context("no content type")?;
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        assert!(answer.text().contains("predict"), "{}", answer.text());
    }
    // A plain question afterwards, so that whatever the streams led to is counted too.
    let plain = Request::post_json("/v2/models/iris/infer", &open_inference_about(FLOWER));
    gateway.send(plain.header("seldon-model", "iris")).await?;
    let [same, retrained] = verdicts(&gateway, 1).await?;
    assert_eq!(same.get("matched"), Some(&1), "{}", said(&gateway)?);
    assert_eq!(retrained.get("mismatched"), Some(&1), "{}", said(&gateway)?);
    let stats = gateway.envoy.stats().await?;
    assert_eq!(stats.sum("modelgate_shadow_selected_total", &[]), 2.0);
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}
