//! LitServe, by its own API and by OpenAI's, streamed and whole.

use anyhow::Result;
use serde_json::json;
use testbed::client::Request;
use testbed::gateway::Running;
use testbed::model_servers::{ModelServer, Weights};
use tokio::try_join;

use super::{CLASS_CHANGES, HOST, Servers, Site, said, verdicts};

/// A question in words about the flower of which the retrained model thinks differently.
async fn chat(gateway: &Running, stream: bool) -> Result<String> {
    let words = CLASS_CHANGES.map(|number| number.to_string()).join(" ");
    let question = json!({
        "model": "lit",
        "stream": stream,
        "messages": [{"role": "user", "content": words}],
    });
    let question = Request::post_json("/v1/chat/completions", &question).authority(Some(HOST));
    // As OpenAI's client asks, for a stream too.
    let answer = gateway.send(question.header("accept", "application/json")).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Ok(answer.text())
}

#[tokio::test]
async fn litserve_agrees_with_itself_and_not_with_a_retrained_model() -> Result<()> {
    let (live, same, retrained) = try_join!(
        ModelServer::litserve(Weights::Main),
        ModelServer::litserve(Weights::Main),
        ModelServer::litserve(Weights::Shadow),
    )?;
    let (site, http) = (Site::alone(), Servers::of([&live, &same, &retrained]));
    site.agrees(&http, "/predict", "instances").await?;

    // Whole answers differ in `id` and `created`, and the retrained model names another flower.
    let gateway = site.gateway(&http).await?;
    let answer = chat(&gateway, false).await?;
    assert!(answer.contains("virginica") && answer.contains("\"id\""), "{answer}");
    let [same, retrained] = verdicts(&gateway, 1).await?;
    assert_eq!(same.get("matched"), Some(&1), "{}", said(&gateway)?);
    assert_eq!(retrained.get("mismatched"), Some(&1), "{}", said(&gateway)?);

    // Every piece of a stream has an id of its own.
    let gateway = site.gateway(&http).await?;
    let answer = chat(&gateway, true).await?;
    assert!(answer.contains("virginica") && answer.contains("data: [DONE]"), "{answer}");
    let stats = gateway.envoy.stats().await?;
    if stats.sum("modelgate_shadow_selected_total", &[]) > 0.0 {
        let [same, retrained] = verdicts(&gateway, 1).await?;
        assert_eq!(same.get("mismatched"), None, "{}", said(&gateway)?);
        assert_eq!(retrained.get("matched"), None, "{}", said(&gateway)?);
    }
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}
