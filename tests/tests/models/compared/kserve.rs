//! KServe's Python SDK, asked by its own clients: V1, V2 in JSON and binary, gRPC, and a stream.

use anyhow::Result;
use serde_json::json;
use testbed::client::Request;
use testbed::model_clients;
use testbed::model_servers::{Model, ModelServer, Weights};
use tokio::try_join;

use super::{
    CLASS_CHANGES, FLOWERS, Servers, Site, agrees_with_itself_only, assert_live, said, verdicts,
};

const HOST: &str = "iris-prod.example.com";

fn site(paths: Option<[&'static str; 2]>) -> Site {
    Site {
        targets: json!({
            "families": ["kserve"],
            "kserve": {"hostTemplate": "{name}-{namespace}.example.com", "namespaces": ["prod"]},
        }),
        model: "prod/iris",
        same_path: paths.map(|[same, _]| same),
        retrained_path: paths.map(|[_, retrained]| retrained),
    }
}

const V1: [&str; 2] = ["/v1/models/iris-v2:predict", "/v1/models/iris-v3:predict"];
const V2: [&str; 2] = ["/v2/models/iris-v2/infer", "/v2/models/iris-v3/infer"];

async fn servers() -> Result<[ModelServer; 3]> {
    let model = |name, weights| Model { name, version: "", weights };
    let live = [model("iris", Weights::Main)];
    let same = [model("iris", Weights::Main), model("iris-v2", Weights::Main)];
    let retrained = [model("iris", Weights::Shadow), model("iris-v3", Weights::Shadow)];
    let (live, same, retrained) = try_join!(
        ModelServer::kserve(&live),
        ModelServer::kserve(&same),
        ModelServer::kserve(&retrained),
    )?;
    Ok([live, same, retrained])
}

#[tokio::test]
async fn kserve_agrees_with_itself_and_not_with_a_retrained_model() -> Result<()> {
    let [live, same, retrained] = servers().await?;
    let http =
        Servers { live: live.http, same: same.http, retrained: retrained.http, http2: false };
    let http2 =
        Servers { live: live.grpc, same: same.grpc, retrained: retrained.grpc, http2: true };
    for (form, paths, servers) in [
        ("v1", Some(V1), &http),
        ("v2", Some(V2), &http),
        ("binary", Some(V2), &http),
        // The message names the model, so the shadows have its name here.
        ("grpc", None, &http2),
    ] {
        let gateway = site(paths).gateway(servers).await?;
        let answers = model_clients::kserve(gateway.address, HOST, form, &FLOWERS).await?;
        assert_live(&answers)?;
        println!("{form}");
        agrees_with_itself_only(&gateway, 1).await?;
    }

    // Labels alone: whole numbers in V1, names in V2.
    let questions = [
        (
            "/v1/models/iris:predict",
            V1,
            json!({"instances": [CLASS_CHANGES], "signature_name": "predict"}),
        ),
        (
            "/v2/models/iris/infer",
            V2,
            json!({
                "inputs": [{"name": "flower", "shape": [1, 4], "datatype": "FP64", "data": CLASS_CHANGES}],
                "outputs": [{"name": "label"}],
            }),
        ),
    ];
    for (path, paths, question) in questions {
        let gateway = site(Some(paths)).gateway(&http).await?;
        let asked = Request::post_json(path, &question).authority(Some(HOST));
        let answer = gateway.send(asked).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let [same, retrained] = verdicts(&gateway, 1).await?;
        assert_eq!(same.get("matched"), Some(&1), "{path}: {}", said(&gateway)?);
        assert_eq!(retrained.get("class"), Some(&1), "{path}: {}", said(&gateway)?);
    }

    // A generator's answer has no content type, and comes in pieces: the same model is never accused,
    // the retrained one never acquitted.
    let gateway = site(Some(V1)).gateway(&http).await?;
    let question = json!({"instances": [CLASS_CHANGES], "signature_name": "stream"});
    let asked = Request::post_json("/v1/models/iris:predict", &question).authority(Some(HOST));
    let answer = gateway.send(asked).await?;
    assert_eq!((answer.status, answer.header("content-type")), (200, None), "{}", answer.text());
    assert_eq!(answer.text().lines().count(), 3);
    let [same, retrained] = verdicts(&gateway, 1).await?;
    assert_eq!(same.get("mismatched"), None, "{}", said(&gateway)?);
    assert_eq!(retrained.get("matched"), None, "{}", said(&gateway)?);
    Ok(())
}
