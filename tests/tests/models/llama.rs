//! OpenAI's own client before llama.cpp's server: what it may ask, and what that has cost.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::gateway::{Cluster, Gateway, Running, route_to};
use testbed::model_clients;
use testbed::model_servers::{Completes, ModelServer};
use testbed::tokens::Issuer;
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;

const ANSWERS: &str = "modelgate_gen_ai_answers_total";
const TOKENS: &str = "modelgate_gen_ai_token_usage_total";

struct Site {
    _servers: [ModelServer; 2],
    gateway: Running,
}

/// Members of the group `ds` may ask two models; everybody with a token may list what there is.
fn config() -> Result<Value> {
    let ds = json!([{"key": "request.auth.claims[groups]", "values": ["ds"]}]);
    let anybody = json!([{"source": {"requestPrincipals": ["*"]}}]);
    Ok(json!({
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "targets": {"families": ["openai"], "openai": [{"namespace": "llm", "hosts": ["*"]}]},
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "ds", "models": ["llm/tiny/*"], "rules": [{"when": ds}]},
            {"name": "list", "rules": [{"from": anybody, "to": [{"operation": {"operations": ["metadata"]}}]}]},
        ]},
        "usage": {"models": ["llm/tiny/llama", "llm/tiny/embed"]},
    }))
}

impl Site {
    async fn start() -> Result<Self> {
        let (chat, embed) = tokio::try_join!(
            ModelServer::llama("tiny/llama", Completes::Text),
            ModelServer::llama("tiny/embed", Completes::Nothing),
        )?;
        let of = |path: &str, cluster: &str| {
            route_to(json!({"prefix": path}), &[(cluster.to_owned(), 100)])
        };
        let gateway = Gateway::new()
            .extension(&WasmPlugin::with_config(config()?)?.under_test()?)
            .route(of("/v1/embeddings", "embed"))
            .route(of("/", "chat"))
            // The server closes the connection behind a streamed answer (docs/bodies.md).
            .cluster(Cluster::http1("chat", chat.http).one_request_each())
            .cluster(Cluster::http1("embed", embed.http))
            .start()
            .await?;
        Ok(Self { _servers: [chat, embed], gateway })
    }
}

fn of_kind<'a>(answers: &'a [Value], kind: &str) -> Result<&'a Value> {
    answers.iter().find(|answer| answer["kind"] == kind).with_context(|| format!("no {kind}"))
}

#[tokio::test]
async fn openais_client_asks_llama_cpp() -> Result<()> {
    let site = Site::start().await?;
    let issuer = Issuer::shared()?;

    let answers =
        model_clients::openai(site.gateway.address, &issuer.token("a", &["ds"])?, None).await?;
    for kind in ["chat", "tools"] {
        let answer = of_kind(&answers, kind)?;
        assert_eq!(
            (&answer["role"], &answer["output"]),
            (&json!("assistant"), &json!(8)),
            "{answer}"
        );
    }
    // Each token in an event of its own.
    let streamed = of_kind(&answers, "streamed")?;
    assert_eq!(streamed["output"], 8, "{streamed}");
    assert!(streamed["pieces"].as_u64() >= Some(8), "{streamed}");
    assert_eq!(of_kind(&answers, "completions")?["output"], 3);
    assert_eq!(of_kind(&answers, "embeddings")?["vectors"], 2);
    assert_eq!(of_kind(&answers, "list")?["models"], json!(["tiny/llama"]));
    // The server answers to any name; the gateway does not. Its own errors come through.
    assert_eq!(of_kind(&answers, "other")?["error"], "PermissionDeniedError", "{answers:?}");
    let long = of_kind(&answers, "long")?;
    assert_eq!(long["error"], "BadRequestError", "{long}");
    assert_eq!(long["body"]["type"], "exceed_context_size_error", "{long}");

    // Who is not in the group may list, and a stranger may not.
    let answers =
        model_clients::openai(site.gateway.address, &issuer.token("b", &[])?, None).await?;
    for answer in &answers {
        match answer["kind"].as_str() {
            Some("list") => assert_eq!(answer["models"], json!(["tiny/llama"])),
            _ => assert_eq!(answer["error"], "PermissionDeniedError", "{answer}"),
        }
    }
    let stranger = Issuer::stranger()?.token("c", &["ds"])?;
    let answers = model_clients::openai(site.gateway.address, &stranger, None).await?;
    assert_eq!(answers.len(), 8);
    for answer in &answers {
        assert_eq!(answer["error"], "AuthenticationError", "{answer}");
    }
    assert!(site.gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_is_counted_is_what_llama_cpp_says() -> Result<()> {
    const COUNT: usize = 1_000;
    let site = Site::start().await?;
    let token = Issuer::shared()?.token("a", &["ds"])?;
    let said = model_clients::openai(site.gateway.address, &token, Some(COUNT)).await?;
    assert_eq!(said.len(), 2, "{said:?}");
    let stats = until("all answers", Duration::from_secs(15), async || {
        let stats = site.gateway.envoy.stats().await?;
        if stats.sum(ANSWERS, &[]) != COUNT as f64 {
            return Ok(None);
        }
        // A worker hands its counts over one by one.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(Some(site.gateway.envoy.stats().await?))
    })
    .await?;
    assert_eq!(stats.sum(ANSWERS, &[("result", "read")]), COUNT as f64);
    for answer in &said {
        let model = format!("llm/{}", answer["model"].as_str().context("no model")?);
        for kind in ["input", "output", "cached"] {
            let counted = stats.sum(TOKENS, &[("model", &*model), ("token_type", kind)]);
            assert_eq!(Some(counted as u64), answer[kind].as_u64(), "{kind} of {model}: {answer}");
        }
    }
    assert!(said.iter().any(|answer| answer["cached"].as_u64() > Some(0)), "{said:?}");
    assert!(site.gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}
