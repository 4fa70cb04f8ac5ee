//! Quotas: as many as they say, over all workers of a proxy, and after a reload.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::completions::Completions;
use testbed::gateway::{Cluster, Gateway, Running, route_to};
use testbed::tokens::{Algorithm, Issuer, with};
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;
use tokio::task::JoinSet;

const REQUESTS: &str = "modelgate_requests_total";
const CHAT: &str = "/v1/chat/completions";
const HOST: &str = "models.example.com";
const WORKERS: u32 = 2;

struct Site {
    /// Answers as long as the gateway may ask.
    _server: Completions,
    gateway: Running,
}

/// `window` is long enough that none ends while a test runs: see [`far_from_the_end`].
fn settings(mode: &str, quotas: &Value) -> Result<Value> {
    Ok(json!({
        "mode": mode,
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "targets": {"families": ["openai"], "openai": [{"namespace": "llm", "hosts": [HOST]}]},
        "authorization": {"policies": [{"name": "all", "models": ["llm/*"], "rules": [{}]}]},
        "telemetry": {"accessLog": true},
        "quotas": quotas,
    }))
}

async fn start(mode: &str, quotas: &Value) -> Result<Site> {
    far_from_the_end(3600).await;
    let server = Completions::start().await?;
    let gateway = Gateway::new()
        .workers(WORKERS)
        .extension(&WasmPlugin::with_config(settings(mode, quotas)?)?.under_test()?)
        .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
        .cluster(Cluster::http1("live", server.address()))
        .start()
        .await?;
    Ok(Site { _server: server, gateway })
}

/// Waits where a window of so many seconds is about to end.
async fn far_from_the_end(window: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let left = window - now % window;
    if left < 120 {
        tokio::time::sleep(Duration::from_secs(left + 1)).await;
    }
}

fn bearer(team: &str, subject: &str) -> Result<String> {
    let issuer = Issuer::shared()?;
    issuer.mint(Algorithm::Es256, &with(issuer.claims(subject), "team", json!(team)))
}

fn question(model: &str, more: &Value) -> Value {
    let mut body = json!({"model": model, "max_tokens": 5, "prompt_tokens": 20, "pause": 0});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

impl Site {
    async fn ask(&self, bearer: &str, model: &str, more: &Value) -> Result<Response> {
        let request = Request::post_json(CHAT, &question(model, more)).authority(Some(HOST));
        self.gateway.send(request.bearer(bearer)).await
    }

    /// What 240 requests of eight connections at once get: how many 200 and 429.
    async fn flood(&self, bearer: &str, model: &'static str) -> Result<(usize, usize)> {
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let (address, bearer) = (self.gateway.address, bearer.to_owned());
            clients.spawn(async move {
                let mut seen = (0, 0);
                for _ in 0..30 {
                    let body = question(model, &json!({}));
                    let request = Request::post_json(CHAT, &body).authority(Some(HOST));
                    match request.bearer(&bearer).send(address).await?.status {
                        200 => seen.0 += 1,
                        429 => seen.1 += 1,
                        other => anyhow::bail!("{other}"),
                    }
                }
                Ok(seen)
            });
        }
        let mut sum = (0, 0);
        while let Some(seen) = clients.join_next().await {
            let (served, refused) = seen??;
            sum = (sum.0 + served, sum.1 + refused);
        }
        Ok(sum)
    }

    async fn decisions(&self, decision: &str, count: f64) -> Result<()> {
        until(&format!("{count} {decision}"), Duration::from_secs(15), async || {
            let stats = self.gateway.envoy.stats().await?;
            Ok((stats.sum(REQUESTS, &[("decision", decision)]) == count).then_some(()))
        })
        .await
    }
}

fn hourly(limit: u32) -> Value {
    json!([{"name": "hourly", "models": ["llm/*"], "requests": limit, "window": "1h",
        "by": "claim:team", "perModel": true}])
}

#[tokio::test]
async fn two_workers_together_serve_exactly_the_limit() -> Result<()> {
    let site = start("ENFORCE", &hourly(100)).await?;
    let (fraud, other) = (bearer("fraud", "a")?, bearer("fraud", "b")?);
    assert_eq!(site.flood(&fraud, "small").await?, (100, 140));
    // Another subject of the team has the same count; another model, and another team, have their own.
    assert_eq!(site.ask(&other, "small", &json!({})).await?.status, 429);
    assert_eq!(site.flood(&fraud, "large").await?, (100, 140));
    assert_eq!(site.ask(&bearer("ops", "a")?, "small", &json!({})).await?.status, 200);
    site.decisions("limited", 281.0).await?;
    site.decisions("allowed", 201.0).await?;
    let stats = site.gateway.envoy.stats().await?;
    for (result, count) in [("allowed", 201.0), ("limited", 281.0)] {
        let labels = [("quota", "hourly"), ("result", result)];
        assert_eq!(stats.sum("modelgate_quota_total", &labels), count);
    }
    let stats = site.gateway.envoy.stats().await?;
    let busy = stats.select("envoy_listener_worker_downstream_cx_total", &[]);
    let busy = busy.filter(|worker| worker.value > 0.0).count();
    ensure!(busy == WORKERS as usize, "{busy} of {WORKERS} workers had something to do");
    Ok(())
}

/// As many at once as two workers can take: they are in each other's way all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_count_is_lost_where_workers_are_in_each_others_way() -> Result<()> {
    const LIMIT: u32 = 12_000;
    far_from_the_end(3600).await;
    let config = json!({
        "targets": {"families": ["seldon-v1"]},
        "authorization": {"policies": [{"name": "all", "models": ["prod/*"], "rules": [{}]}]},
        "quotas": [{"name": "all", "models": ["prod/iris"], "requests": LIMIT, "window": "1h", "by": "none"}],
    });
    let gateway = Gateway::new()
        .workers(WORKERS)
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .route(json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}}))
        .start()
        .await?;
    // Without a body: Envoy hangs up when it answers before it has read one.
    let predict = Request::new("POST", "/seldon/prod/iris/api/v1.0/predictions");
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (address, predict) = (gateway.address, predict.clone());
        clients.spawn(async move {
            let (mut connection, mut served) = (predict.connect(address).await?, 0);
            for _ in 0..LIMIT / 4 {
                served += usize::from(connection.send(&predict).await?.status == 200);
            }
            anyhow::Ok(served)
        });
    }
    let mut served = 0;
    while let Some(ended) = clients.join_next().await {
        served += ended??;
    }
    assert_eq!(served, LIMIT as usize);
    Ok(())
}

#[tokio::test]
async fn counts_outlast_new_settings_of_the_same_plugin() -> Result<()> {
    let site = start("ENFORCE", &hourly(100)).await?;
    let fraud = bearer("fraud", "a")?;
    assert_eq!(site.flood(&fraud, "small").await?, (100, 140));
    let update =
        |limit| WasmPlugin::with_config(settings("ENFORCE", &hourly(limit))?)?.under_test();
    site.gateway.envoy.update(&update(130)?).await.context("the first update")?;
    assert_eq!(site.flood(&fraud, "small").await?, (30, 210), "30 more, not 130");
    site.gateway.envoy.update(&update(50)?).await.context("the second update")?;
    assert_eq!(site.ask(&fraud, "small", &json!({})).await?.status, 429);
    Ok(())
}

#[tokio::test]
async fn the_answer_says_why_and_when() -> Result<()> {
    let site = start("ENFORCE", &hourly(1)).await?;
    let fraud = bearer("fraud", "a")?;
    assert_eq!(site.ask(&fraud, "small", &json!({})).await?.status, 200);
    let answer = site.ask(&fraud, "small", &json!({})).await?;
    assert_eq!((answer.status, &*answer.text()), (429, "quota exceeded"));
    let after: u64 = answer.header("retry-after").context("no retry-after")?.parse()?;
    assert!((1..=3600).contains(&after), "{after}");
    Ok(())
}

#[tokio::test]
async fn in_report_mode_everybody_is_served_and_counted() -> Result<()> {
    let site = start("REPORT", &hourly(100)).await?;
    assert_eq!(site.flood(&bearer("fraud", "a")?, "small").await?, (240, 0));
    site.decisions("limited", 140.0).await?;
    site.decisions("allowed", 100.0).await
}

#[tokio::test]
async fn tokens_are_charged_when_an_answer_is_over_also_of_streams_that_do_not_say_them()
-> Result<()> {
    let quota = json!([{"name": "tokens", "models": ["llm/*"], "tokens": 100, "window": "1h"}]);
    let site = start("ENFORCE", &quota).await?;
    // 25 of each, until 100 are used up. Or 5 events of each, where the stream does not say more.
    for (caller, more, served) in [
        ("plain", json!({}), 4),
        ("stream", json!({"stream": true, "stream_options": {"include_usage": true}}), 4),
        ("silent", json!({"stream": true}), 20),
    ] {
        let bearer = bearer("fraud", caller)?;
        for n in 0..served {
            assert_eq!(site.ask(&bearer, "small", &more).await?.status, 200, "{caller} {n}");
            // The end of a stream is known to its client first.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(site.ask(&bearer, "small", &more).await?.status, 429, "{caller}");
    }
    Ok(())
}
