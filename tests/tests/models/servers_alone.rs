//! The model servers without a gateway: they answer what the built-in model answers.

use anyhow::Result;
use serde_json::json;
use testbed::client::Request;
use testbed::iris::Iris;
use testbed::model_servers::{Model, ModelServer, Weights};

use crate::support::{FLOWER, assert_close, open_inference, seldon};

#[tokio::test]
async fn seldon_wrapper_predicts() -> Result<()> {
    let server = ModelServer::seldon(Weights::Main).await?;
    let question = Request::post_json("/api/v1.0/predictions", &seldon());
    let answer = question.send(server.http).await?.json()?;
    assert_close(answer.pointer("/data/ndarray/0"), &Iris::main()?.predict(&FLOWER)?)?;
    assert_eq!(answer["data"]["names"], json!(Iris::classes()?));
    assert_eq!(Request::get("/prometheus").send(server.metrics).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn mlserver_predicts() -> Result<()> {
    let server = ModelServer::mlserver(Weights::Shadow).await?;
    let answer = Request::post_json("/v2/models/iris/infer", &open_inference());
    let answer = answer.send(server.http).await?.json()?;
    assert_close(answer.pointer("/outputs/0/data"), &Iris::shadow()?.predict(&FLOWER)?)?;
    assert_eq!(Request::get("/prometheus").send(server.metrics).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn kserve_mlflow_and_litserve_predict() -> Result<()> {
    let expected = Iris::shadow()?.predict(&FLOWER)?;
    let kserve = ModelServer::kserve(&[Model::iris(Weights::Shadow)]).await?;
    let question = Request::post_json("/v1/models/iris:predict", &json!({"instances": [FLOWER]}));
    let answer = question.send(kserve.http).await?.json()?;
    assert_close(answer.pointer("/predictions/0"), &expected)?;
    drop(kserve);

    let mlflow = ModelServer::mlflow(Weights::Shadow).await?;
    let question = Request::post_json("/invocations", &json!({"inputs": [FLOWER]}));
    let answer = question.send(mlflow.http).await?.json()?;
    assert_close(answer.pointer("/predictions/0"), &expected)?;
    drop(mlflow);

    let litserve = ModelServer::litserve(Weights::Shadow).await?;
    let question = Request::post_json("/predict", &json!({"instances": [FLOWER]}));
    let answer = question.send(litserve.http).await?.json()?;
    assert_close(answer.pointer("/predictions/0"), &expected)
}
