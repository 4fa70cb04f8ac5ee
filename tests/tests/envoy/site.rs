//! What most tests stand on: a gateway with the module, two models, a shadow and a web site.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::envoy::Taken;
use testbed::gateway::{Cluster, Gateway, Running};
use testbed::iris::Iris;
use testbed::model::Model;
use testbed::seldon::Deployment;
use testbed::stats::Stats;
use testbed::tokens::Issuer;
use testbed::upstream::{Answer, Upstream};
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;
use tokio::time::sleep;

/// Seldon's address of prod/iris.
pub const PREDICTIONS: &str = "/seldon/prod/iris/api/v1.0/predictions";

/// The friendly one.
pub const FRIENDLY: &str = "/models/prod/iris:predict";

/// A virtual host of its own, all of which prod/fraud answers.
pub const CHAT: &str = "chat.example.com";

/// The module flushes its counters once a second.
const COUNTED: Duration = Duration::from_secs(10);

/// How long a worker may take to hand over its counts.
const HANDED_OVER: Duration = Duration::from_millis(50);

/// Envoy's text for 403 of authorization.
pub const DENIED: &str = "RBAC: access denied";

/// A gateway with the module, and what stands behind it.
pub struct Site {
    /// prod/iris.
    pub live: Model,
    /// The cluster that [`shadow`] copies to; reached by no route.
    pub retrained: Model,
    /// prod/fraud, answers `fraud`.
    pub fraud: Upstream,
    /// Everything that is no model, answers `website`.
    pub website: Upstream,
    /// Serves the key set of [`Issuer::shared`], cluster `outbound|443||idp.example.com`.
    pub idp: Upstream,
    pub gateway: Running,
}

impl Site {
    /// A site with this `pluginConfig` and the retrained model as shadow.
    pub async fn start(config: Value) -> Result<Self> {
        Self::with_plugin(&WasmPlugin::with_config(config)?, Model::retrained().await?).await
    }

    /// A site whose shadow runs the live model's weights.
    pub async fn with_same_shadow(config: Value) -> Result<Self> {
        let same = Model::start("iris-v2", "default", Iris::main()?).await?;
        Self::with_plugin(&WasmPlugin::with_config(config)?, same).await
    }

    /// A site whose issuer is this one.
    pub async fn with_idp(config: Value, idp: Upstream) -> Result<Self> {
        Self::build(&WasmPlugin::with_config(config)?, Model::retrained().await?, idp).await
    }

    pub async fn with_plugin(plugin: &WasmPlugin, retrained: Model) -> Result<Self> {
        let jwks = Issuer::shared()?.jwks();
        let idp =
            Upstream::start(move |_| Answer::new(200, "application/json", jwks.clone())).await?;
        Self::build(plugin, retrained, idp).await
    }

    async fn build(plugin: &WasmPlugin, retrained: Model, idp: Upstream) -> Result<Self> {
        let live = Model::live().await?;
        let fraud = Upstream::echo("fraud").await?;
        let website = Upstream::echo("website").await?;
        let gateway = Gateway::new()
            .extension(&plugin.under_test()?)
            .deployment(&Deployment::single("prod", "iris", live.address()))
            .deployment(&Deployment::single("prod", "fraud", fraud.address()))
            .deployment(
                &Deployment::new("prod", "iris-v2").unrouted("default", retrained.address()),
            )
            .cluster(Cluster::http1("outbound|443||idp.example.com", idp.address()))
            .cluster(Cluster::http1("website", website.address()))
            .prefix("/", "website")
            .host(CHAT, "outbound|8000||fraud-default.prod.svc.cluster.local")
            .start()
            .await?;
        Ok(Self { live, retrained, fraud, website, idp, gateway })
    }

    pub async fn send(&self, request: Request) -> Result<Response> {
        self.gateway.send(request).await
    }

    /// Asserts that a request is answered with this status, and with a body that contains `text`.
    pub async fn expect(&self, request: Request, status: u16, text: &str) -> Result<Response> {
        let shown = format!("{request:?}");
        let answer = self.send(request).await?;
        ensure!(
            answer.status == status && answer.text().contains(text),
            "not {status} {text:?} but {} {:?} for {shown}",
            answer.status,
            answer.text()
        );
        Ok(answer)
    }

    /// Hands over another `pluginConfig`.
    pub async fn update(&self, config: Value) -> Result<Taken> {
        self.gateway.envoy.update(&WasmPlugin::with_config(config)?.under_test()?).await
    }

    /// Waits until the sum of these samples is `value`, and returns a page that holds whatever was counted with them:
    /// a worker hands its counts over one by one, and a page may be read in between.
    pub async fn counted(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Result<Stats> {
        let mut before = None;
        until(&format!("{name}{labels:?} to be {value}"), COUNTED, async || {
            let stats = self.gateway.envoy.stats().await?;
            if stats.sum(name, labels) != value {
                return Ok(None);
            }
            let totals = stats.totals();
            let is_whole = before.as_ref() == Some(&totals);
            if !is_whole {
                before = Some(totals);
                sleep(HANDED_OVER).await;
            }
            Ok(is_whole.then_some(stats))
        })
        .await
    }

    /// Waits until `count` requests were selected for the shadow and each has its outcome.
    pub async fn settled(&self, count: f64) -> Result<Stats> {
        self.counted("modelgate_shadow_selected_total", &[], count).await?;
        let stats = self.counted("modelgate_shadow_outcomes_total", &[], count).await?;
        ensure!(stats.sum("modelgate_shadow_selected_total", &[]) == count, "more were selected");
        self.counted("modelgate_shadow_in_flight", &[], 0.0).await?;
        self.counted("modelgate_shadow_buffered_bytes", &[], 0.0).await?;
        Ok(stats)
    }

    /// Bytes of memory that the gateway has.
    pub fn resident(&self) -> Result<f64> {
        resident_of(self.gateway.envoy.process_id())
    }

    /// The module has not failed, and the next request is served.
    pub async fn check_healthy(&self) -> Result<()> {
        let next = self.send(Request::get("/next")).await?;
        ensure!(matches!(next.status, 200 | 403), "the next request got {}", next.status);
        let failures = self.gateway.envoy.wasm_failures().await?;
        ensure!(failures.is_empty(), "the module failed: {failures:?}");
        let log = self.gateway.envoy.log()?;
        ensure!(!log.contains("panicked"), "the module panicked: {log}");
        Ok(())
    }
}

/// Bytes of memory that a process has.
pub fn resident_of(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line.context("no VmRSS")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0)
}

/// Tokens of [`Issuer::shared`], the friendly address, and these further settings.
pub fn config(more: Value) -> Result<Value> {
    let mut config = json!({
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "rewrites": [{
            "name": "friendly",
            "match": {"path": "/models/{namespace}/{model}:predict", "methods": ["POST"]},
            "path": "/seldon/{namespace}/{model}/api/v1.0/predictions",
        }],
    });
    merge(&mut config, more);
    Ok(config)
}

/// Every request is allowed that no other rule refuses.
pub fn open(more: Value) -> Result<Value> {
    let mut settings = json!({"authorization": {"defaultAction": "ALLOW"}});
    merge(&mut settings, more);
    config(settings)
}

/// Only these policies allow.
pub fn policies(policies: Value) -> Result<Value> {
    config(json!({"authorization": {"defaultAction": "DENY", "policies": policies}}))
}

/// One shadow of prod/iris with these further settings.
pub fn shadow(more: Value) -> Value {
    let mut shadow = json!({
        "name": "iris-v2",
        "models": ["prod/iris"],
        "cluster": "outbound|8000||iris-v2-default.prod.svc.cluster.local",
        // A copy skips the route, and with it the rewrite that strips Seldon's prefix.
        "path": "/api/v1.0/predictions",
    });
    merge(&mut shadow, more);
    json!({"shadows": [shadow]})
}

/// Objects are merged, anything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// A question to the iris model.
pub fn flower() -> Value {
    json!({"data": {"ndarray": [[6.0, 2.7, 4.2, 1.3]]}})
}

/// The question at its friendly address.
pub fn predict() -> Request {
    Request::post_json(FRIENDLY, &flower())
}

/// Any caller.
pub fn anybody() -> Value {
    json!([{}])
}
