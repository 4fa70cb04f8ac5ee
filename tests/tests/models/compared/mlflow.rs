//! MLflow's scoring server, whose only address for predictions is `/invocations`.

use anyhow::{Context as _, Result};
use serde_json::json;
use testbed::client::Request;
use testbed::model_servers::{ModelServer, Weights};
use tokio::try_join;

use super::{FLOWERS, Servers, Site, agrees_with_itself_only, assert_live};

const HOST: &str = "iris.example.com";

#[tokio::test]
async fn mlflow_agrees_with_itself_and_not_with_a_retrained_model() -> Result<()> {
    let (live, same, retrained) = try_join!(
        ModelServer::mlflow(Weights::Main),
        ModelServer::mlflow(Weights::Main),
        ModelServer::mlflow(Weights::Shadow),
    )?;
    let site = Site {
        targets: json!({"families": [], "fixed": [{"hosts": [HOST], "model": "prod/iris"}]}),
        model: "prod/iris",
        same_path: None,
        retrained_path: None,
    };
    let http =
        Servers { live: live.http, same: same.http, retrained: retrained.http, http2: false };
    let gateway = site.gateway(&http).await?;
    let mut answers = Vec::new();
    for flower in FLOWERS {
        let question = Request::post_json("/invocations", &json!({"inputs": [flower]}));
        let answer = gateway.send(question.authority(Some(HOST))).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answers.push(answer.json()?.pointer("/predictions/0").cloned().context("no data")?);
    }
    assert_live(&answers)?;
    agrees_with_itself_only(&gateway, 1).await
}
