//! A baseline copies to the live model itself: no answer to a caller changes, or breaks, by that.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use testbed::client::Request;
use testbed::gateway::{Cluster, Gateway};
use testbed::model_servers::{ModelServer, Weights};
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;
use tokio::try_join;

use super::CLASS_CHANGES;
const HOST: &str = "iris.example.com";

#[tokio::test]
async fn a_baseline_changes_no_answer_of_the_live_model() -> Result<()> {
    let (live, retrained) =
        try_join!(ModelServer::litserve(Weights::Main), ModelServer::litserve(Weights::Shadow))?;
    let config = json!({
        "authorization": {"defaultAction": "ALLOW"},
        "targets": {"families": [], "fixed": [{"hosts": [HOST], "model": "prod/iris"}]},
        "shadows": [{
            "name": "retrained",
            "models": ["prod/iris"],
            "cluster": "retrained",
            "timeout": "20s",
            "compare": {"baselineCluster": "live"},
        }],
    });
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .cluster(Cluster::http1("live", live.http))
        .cluster(Cluster::http1("retrained", retrained.http))
        .host(HOST, "live")
        .start()
        .await?;
    let words = CLASS_CHANGES.map(|number| number.to_string()).join(" ");
    let chat = |stream: bool| {
        let question = json!({
            "model": "lit",
            "stream": stream,
            "messages": [{"role": "user", "content": words}],
        });
        Request::post_json("/v1/chat/completions", &question).authority(Some(HOST))
    };
    for _ in 0..6 {
        let streamed = gateway.send(chat(true)).await?;
        let text = streamed.text();
        assert_eq!(streamed.status, 200, "{text}");
        assert!(text.contains("virginica") && text.trim_end().ends_with("data: [DONE]"), "{text}");
        let whole = gateway.send(chat(false)).await?;
        let said = whole.json()?;
        assert_eq!(
            said.pointer("/choices/0/message/content"),
            Some(&json!("It is virginica")),
            "{said}"
        );
    }
    // A stream may be left out; a whole answer is always compared, whatever the baseline says.
    let stats = until("the copies to be compared", Duration::from_secs(60), async || {
        let stats = gateway.envoy.stats().await?;
        let selected = stats.sum("modelgate_shadow_selected_total", &[]);
        let ended = stats.sum("modelgate_shadow_outcomes_total", &[]);
        Ok((selected >= 6.0 && selected == ended).then_some(stats))
    })
    .await
    .with_context(|| super::said(&gateway).unwrap_or_default())?;
    let verdict = super::verdict(&stats, super::RETRAINED);
    let said = super::said(&gateway)?;
    assert_eq!(verdict.get("matched"), None, "{verdict:?}\n{said}");
    // The whole answers, each about another flower.
    assert_eq!(verdict.get("mismatched"), Some(&6), "{verdict:?}\n{said}");
    assert_eq!(verdict.get("live_failed"), None, "no answer broke off: {verdict:?}\n{said}");
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}
