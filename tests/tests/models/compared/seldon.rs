//! Seldon's wrapper, also as the operator starts it: then every answer says which image gave it.

use anyhow::{Context as _, Result};
use proto::seldon::seldon_client::SeldonClient;
use proto::seldon::{DefaultData, SeldonMessage, Tensor, default_data, seldon_message};
use serde_json::json;
use testbed::client::Request;
use testbed::model_servers::{ModelServer, Weights};
use tokio::try_join;

use super::{FLOWERS, Servers, Site, agrees_with_itself_only, assert_live};
use crate::grpc::{channel, request};

fn site() -> Site {
    Site {
        targets: json!({"families": ["seldon-v1"]}),
        model: "prod/iris",
        same_path: Some("/api/v1.0/predictions"),
        retrained_path: Some("/api/v1.0/predictions"),
    }
}

async fn compared(live: ModelServer, same: ModelServer, retrained: ModelServer) -> Result<()> {
    let http =
        Servers { live: live.http, same: same.http, retrained: retrained.http, http2: false };
    let gateway = site().gateway(&http).await?;
    let mut answers = Vec::new();
    for flower in FLOWERS {
        let question = json!({"data": {"ndarray": [flower]}});
        // The route takes the prefix off.
        let path = "/seldon/prod/iris/api/v1.0/predictions";
        let answer = gateway.send(Request::post_json(path, &question)).await?.json()?;
        answers.push(answer.pointer("/data/ndarray/0").cloned().context("no data")?);
    }
    assert_live(&answers)?;
    agrees_with_itself_only(&gateway, 1).await?;

    let http2 =
        Servers { live: live.grpc, same: same.grpc, retrained: retrained.grpc, http2: true };
    let site = Site { same_path: None, retrained_path: None, ..site() };
    let gateway = site.gateway(&http2).await?;
    let mut client = SeldonClient::new(channel(gateway.address).await?);
    for flower in FLOWERS {
        let tensor = Tensor { shape: vec![1, 4], values: flower.to_vec() };
        let data = DefaultData {
            data_oneof: Some(default_data::DataOneof::Tensor(tensor)),
            ..DefaultData::default()
        };
        let question = SeldonMessage {
            data_oneof: Some(seldon_message::DataOneof::Data(data)),
            ..SeldonMessage::default()
        };
        client.predict(request(question, &[("seldon", "iris"), ("namespace", "prod")])?).await?;
    }
    agrees_with_itself_only(&gateway, 1).await
}

#[tokio::test]
async fn the_wrapper_agrees_with_itself_and_not_with_a_retrained_model() -> Result<()> {
    let (live, same, retrained) = try_join!(
        ModelServer::seldon(Weights::Main),
        ModelServer::seldon(Weights::Main),
        ModelServer::seldon(Weights::Shadow),
    )?;
    compared(live, same, retrained).await
}

#[tokio::test]
async fn another_image_of_the_same_model_agrees() -> Result<()> {
    let (live, same, retrained) = try_join!(
        ModelServer::seldon_of_image(Weights::Main, "registry.example.com/iris:1.0"),
        ModelServer::seldon_of_image(Weights::Main, "registry.example.com/iris:1.1"),
        ModelServer::seldon_of_image(Weights::Shadow, "registry.example.com/iris:2.0"),
    )?;
    let asked =
        Request::post_json("/api/v1.0/predictions", &json!({"data": {"ndarray": [FLOWERS[0]]}}));
    let answer = asked.send(same.http).await?.json()?;
    // What differs between the images, and between any two answers.
    assert_eq!(
        answer.pointer("/meta/requestPath/classifier"),
        Some(&json!("registry.example.com/iris:1.1"))
    );
    assert_eq!(answer.pointer("/meta/tags/image"), Some(&json!("registry.example.com/iris:1.1")));
    assert_eq!(answer.pointer("/meta/metrics/0/value"), Some(&json!(1)), "{answer}");
    compared(live, same, retrained).await
}
