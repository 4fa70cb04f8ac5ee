//! The report of a retrained model, against what comparing the two models directly says.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::iris::{Agreement, flowers};
use testbed::model_servers::{ModelServer, Weights};
use testbed::report::report;
use testbed::tokens::Issuer;

use crate::mlserver::{INFER, gateway};
use crate::support::{open_inference_about, settled};

const COUNT: u32 = 300;

const TOLERANCE: f64 = 0.1;

/// Probabilities of the classes, as a server answers without a gateway.
async fn ask(server: &ModelServer, flower: [f64; 4]) -> Result<Vec<f64>> {
    let question = Request::post_json(INFER, &open_inference_about(flower));
    scores(&question.send(server.http).await?.json()?)
}

fn scores(answer: &Value) -> Result<Vec<f64>> {
    let data = answer.pointer("/outputs/0/data").and_then(Value::as_array);
    let data = data.with_context(|| format!("no data in {answer}"))?;
    data.iter().map(|score| score.as_f64().context("no number")).collect()
}

#[tokio::test]
async fn the_report_agrees_with_a_direct_comparison_to_the_last_request() -> Result<()> {
    let live = ModelServer::mlserver(Weights::Main).await?;
    let retrained = ModelServer::mlserver(Weights::Shadow).await?;
    let compare = json!({"relativeTolerance": 0, "absoluteTolerance": TOLERANCE});
    let gateway = gateway(&live, &retrained, compare).await?;
    let token = Issuer::shared()?.token("alice", &[])?;

    let mut direct = Agreement::default();
    for flower in flowers(COUNT) {
        let (expected, other) = (ask(&live, flower).await?, ask(&retrained, flower).await?);
        direct.add(&expected, &other, TOLERANCE)?;
        let question = Request::post_json(INFER, &open_inference_about(flower));
        let question = question.header("seldon-model", "iris").bearer(&token);
        let answer = gateway.send(question).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(scores(&answer.json()?)?, expected, "the live model answers, whoever listens");
    }
    // Otherwise the comparison could be right for the wrong reason.
    assert!(direct.matched > 0 && direct.score > 0 && direct.class > 0, "{direct:?}");

    settled(&gateway, f64::from(COUNT)).await?;
    let admin = format!("http://{}", gateway.envoy.admin_address());
    let reported = report(&[&admin, "--format=json"])?;
    let shadow = reported.shadow("iris-v2")?;
    let count = |pointer: &str| shadow.pointer(pointer).and_then(Value::as_u64).context("a count");
    assert_eq!(count("/selected")?, u64::from(COUNT));
    assert_eq!(count("/compared")?, u64::from(COUNT));
    assert_eq!(count("/inFlight")?, 0);
    assert_eq!(count("/agreement/count")?, direct.matched);
    assert_eq!(count("/outcomes/mismatched")?, direct.score + direct.class);
    assert_eq!(count("/classChanges/count")?, direct.class);
    assert_eq!(count("/differences/score")?, direct.score);
    let share = shadow.pointer("/agreement/share/value").and_then(Value::as_f64);
    assert_eq!(share, Some(direct.matched as f64 / f64::from(COUNT)));

    let exactly = direct.matched as f64 / f64::from(COUNT);
    for (requirement, status) in
        [(format!("agreement>={exactly}"), 0), (format!("agreement>{exactly}"), 1)]
    {
        assert_eq!(report(&[&admin, "--require", &requirement])?.status, status, "{requirement}");
    }
    println!("{COUNT} requests: {direct:?}, as reported");
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}
