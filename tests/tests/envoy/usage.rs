//! What answers have cost, as their server says it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::completions::Completions;
use testbed::gateway::{Cluster, Gateway, Running, route_to};
use testbed::stats::Stats;
use testbed::tokens::{Algorithm, Issuer, with};
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const TOKENS: &str = "modelgate_gen_ai_token_usage_total";
const ANSWERS: &str = "modelgate_gen_ai_answers_total";
const FIRST: &str = "modelgate_gen_ai_time_to_first_token_milliseconds";
const EACH: &str = "modelgate_gen_ai_time_per_output_token_milliseconds";

const CHAT: &str = "/v1/chat/completions";
const HOST: &str = "models.example.com";

struct Site {
    server: Completions,
    gateway: Running,
}

fn settings(usage: &Value) -> Result<Value> {
    Ok(json!({
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "targets": {"families": ["openai"], "openai": [{"namespace": "llm", "hosts": [HOST]}]},
        "authorization": {"policies": [{"name": "all", "models": ["llm/*"], "rules": [{}]}]},
        "telemetry": {"accessLog": true},
        "usage": usage,
    }))
}

impl Site {
    async fn start(usage: Value) -> Result<Self> {
        let server = Completions::start().await?;
        let gateway = Gateway::new()
            .extension(&WasmPlugin::with_config(settings(&usage)?)?.under_test()?)
            .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
            .cluster(Cluster::http1("live", server.address()))
            .start()
            .await?;
        Ok(Self { server, gateway })
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Response> {
        let request = Request::post_json(path, body).authority(Some(HOST));
        self.gateway.send(request).await
    }

    /// Waits until so many answers are counted, and all that is counted with them.
    async fn answers(&self, count: f64) -> Result<Stats> {
        until(&format!("{count} answers"), Duration::from_secs(15), async || {
            let stats = self.gateway.envoy.stats().await?;
            if stats.sum(ANSWERS, &[]) != count {
                return Ok(None);
            }
            // A worker hands its counts over one by one, and histograms are merged every few seconds.
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(Some(self.gateway.envoy.stats().await?))
        })
        .await
    }
}

fn sums(stats: &Stats) -> BTreeMap<(String, String), u64> {
    let mut sums = BTreeMap::new();
    for sample in stats.select(TOKENS, &[]) {
        let label = |name: &str| sample.labels.get(name).cloned().unwrap_or_default();
        *sums.entry((label("model"), label("token_type"))).or_default() += sample.value as u64;
    }
    sums
}

/// Of every protocol, streamed or not, of two models, by callers of three teams and none.
fn question(n: usize) -> (&'static str, Value) {
    let paths = [CHAT, "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages"];
    let path = paths.get(n % paths.len()).copied().unwrap_or(CHAT);
    let stream = (n / 5).is_multiple_of(2) && path != "/v1/embeddings";
    let body = json!({
        "model": if n.is_multiple_of(3) { "small" } else { "meta-llama/Large" },
        "stream": stream,
        "stream_options": {"include_usage": true},
        "max_tokens": n * 7 % 23,
        "prompt_tokens": 50 + n % 200,
        "cached_tokens": n % 40,
        "reasoning_tokens": n % 4,
        "pause": 0,
    });
    (path, body)
}

#[tokio::test]
async fn a_thousand_answers_are_counted_to_the_token() -> Result<()> {
    const COUNT: usize = 1_000;
    let usage =
        json!({"models": ["llm/small", "llm/*"], "claim": "team", "claimLabels": {"max": 2}});
    let site = Site::start(usage).await?;
    let issuer = Issuer::shared()?;
    let bearers: Vec<Option<String>> = ["fraud", "ops", "late"]
        .iter()
        .map(|team| {
            let claims = with(issuer.claims(team), "team", json!(team));
            issuer.mint(Algorithm::Es256, &claims).map(Some)
        })
        .chain([Ok(None)])
        .collect::<Result<_>>()?;
    let mut clients = JoinSet::new();
    for client in 0..4 {
        let (address, bearer) = (site.gateway.address, bearers.get(client).cloned().flatten());
        clients.spawn(async move {
            // The labels go to those who come first.
            tokio::time::sleep(Duration::from_millis(200 * client as u64)).await;
            for n in (client..COUNT).step_by(4) {
                let (path, body) = question(n);
                let mut request = Request::post_json(path, &body).authority(Some(HOST));
                if let Some(bearer) = &bearer {
                    request = request.bearer(bearer);
                }
                let answer = request.send(address).await?;
                ensure!(answer.status == 200, "{answer:?} to {n}");
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let stats = site.answers(COUNT as f64).await?;
    assert_eq!(stats.sum(ANSWERS, &[("result", "read")]), COUNT as f64);
    let counted = sums(&stats);
    let mut said = BTreeMap::new();
    for ((model, token_type), count) in site.server.accounts() {
        // Names of the configuration have a label from the start; another model earns one.
        let model = if model == "small" { "llm/small" } else { "llm/meta-llama/Large" };
        *said.entry((model.to_owned(), token_type.to_owned())).or_insert(0) += count;
    }
    let of =
        |sums: &BTreeMap<(String, String), u64>, model: &dyn Fn(&str) -> bool, of: &str| -> u64 {
            sums.iter().filter(|((m, t), _)| model(m) && t == of).map(|(_, count)| count).sum()
        };
    for token_type in ["input", "output", "cached", "reasoning"] {
        for small in [true, false] {
            let is = move |model: &str| (model == "llm/small") == small;
            let (counted, said) = (of(&counted, &is, token_type), of(&said, &is, token_type));
            assert!(said > 0);
            assert_eq!(counted, said, "{token_type}, {small}: {counted:?}");
        }
    }
    let claims: Vec<_> = ["fraud", "ops", "other", "none"]
        .map(|claim| stats.sum(TOKENS, &[("claim", claim)]))
        .into();
    assert!(claims.iter().all(|sum| *sum > 0.0), "{claims:?}");
    assert_eq!(claims.iter().sum::<f64>(), stats.sum(TOKENS, &[]));
    assert!(site.gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_passes_unchanged() -> Result<()> {
    let site = Site::start(json!({"models": ["llm/a"]})).await?;
    let ask =
        |more: Value| merged(json!({"model": "a", "max_tokens": 5, "prompt_tokens": 9}), more);
    let stream =
        |options: bool| json!({"stream": true, "stream_options": {"include_usage": options}});
    for (body, result) in [
        (ask(json!({})), "read"),
        (ask(stream(true)), "read"),
        (ask(stream(false)), "no_usage"),
        (ask(json!({"content_encoding": "br"})), "compressed"),
    ] {
        let (through, direct) = (
            site.ask(CHAT, &body).await?,
            Request::post_json(CHAT, &body).send(site.server.address()).await?,
        );
        assert_eq!((through.status, &through.body), (200, &direct.body), "{result}");
    }
    // The server breaks off, and so does a client.
    let _ = site.ask(CHAT, &merged(ask(stream(true)), json!({"breaks_off": true}))).await;
    hang_up(&site, &merged(ask(stream(true)), json!({"pause": 100}))).await?;
    // Another model's, and an answer that is no success, are not read.
    site.ask(CHAT, &ask(json!({"model": "b"}))).await?;
    assert_eq!(site.ask("/v1/models/a:predict", &ask(json!({}))).await?.status, 400);
    let stats = site.answers(6.0).await?;
    for (result, count) in
        [("read", 2.0), ("no_usage", 1.0), ("compressed", 1.0), ("broken_off", 2.0)]
    {
        let labels = [("model", "llm/a"), ("result", result)];
        assert_eq!(stats.sum(ANSWERS, &labels), count, "{result}");
    }
    // What the broken stream had said before it broke is counted: five, as of the two that were read.
    assert_eq!(stats.sum(TOKENS, &[("model", "llm/a"), ("token_type", "output")]), 15.0);
    assert!(site.gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

fn merged(mut body: Value, more: Value) -> Value {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

/// A client that has enough after the first bytes.
async fn hang_up(site: &Site, body: &Value) -> Result<()> {
    let mut stream = TcpStream::connect(site.gateway.address).await?;
    let body = body.to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    ensure!(stream.read(&mut [0; 64]).await? > 0, "no answer");
    Ok(())
}

#[tokio::test]
async fn a_stream_has_its_times_and_its_line_in_the_log() -> Result<()> {
    let site = Site::start(json!({"models": ["llm/*", "llm/a"]})).await?;
    let body = json!({
        "model": "a", "stream": true, "stream_options": {"include_usage": true},
        "max_tokens": 6, "prompt_tokens": 30, "cached_tokens": 20, "reasoning_tokens": 2, "pause": 60,
    });
    ensure!(site.ask(CHAT, &body).await?.status == 200);
    let line = site.gateway.envoy.access_log_of(1).await?.pop().context("no line")?;
    for (name, value) in [("input", "30"), ("output", "6"), ("cached", "20"), ("reasoning", "2")] {
        assert_eq!(line[format!("modelgate.{name}_tokens")], value, "{line}");
    }
    let first = line["modelgate.time_to_first_token"].as_str().context("no time")?;
    // Before the first word there is an event without one.
    let first: u64 = first.parse()?;
    assert!((55..5_000).contains(&first), "{first} ms");
    let stats = until("the times", Duration::from_secs(15), async || {
        let stats = site.gateway.envoy.stats().await?;
        let count = stats.sum(&format!("{EACH}_count"), &[("model", "llm/a")]);
        Ok((count == 1.0).then_some(stats))
    })
    .await?;
    let each = stats.sum(&format!("{EACH}_sum"), &[]);
    assert!((50.0..1_000.0).contains(&each), "{each} ms from one event to the next");
    assert!(stats.sum(&format!("{FIRST}_sum"), &[("model", "llm/a")]) >= 50.0);
    Ok(())
}

#[tokio::test]
async fn without_the_setting_nothing_is_read() -> Result<()> {
    let site = Site::start(json!({})).await?;
    let (path, body) = question(0);
    ensure!(site.ask(path, &body).await?.status == 200);
    let line = site.gateway.envoy.access_log_of(1).await?.pop().context("no line")?;
    assert!(line["modelgate.input_tokens"].is_null(), "{line}");
    until("the request", Duration::from_secs(10), async || {
        let stats = site.gateway.envoy.stats().await?;
        Ok((stats.sum("modelgate_requests_total", &[]) == 1.0).then_some(()))
    })
    .await?;
    let stats = site.gateway.envoy.stats().await?;
    assert_eq!(stats.starting_with("modelgate_gen_ai").count(), 0);
    Ok(())
}
