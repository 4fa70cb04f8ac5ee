//! A gateway as the shipped values of the mesh configure it, what stands behind it, and its clients.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::completions::Completions;
use testbed::envoy::Extension;
use testbed::gateway::{Cluster, Gateway, Running};
use testbed::iris::Iris;
use testbed::model::Model;
use testbed::seldon::Deployment;
use testbed::tokens::Issuer;
use testbed::upstream::{Answer, Upstream};
use testbed::wasmplugin::WasmPlugin;

use crate::documents::{list, yaml};
use crate::load::Load;

/// Where tokens are counted.
pub const LLM: &str = "llm.example.com";

const IDP: &str = "outbound|443||idp.example.com";
const SHADOW: &str = "outbound|8000||iris-v2-default.prod.svc.cluster.local";

/// A gateway under load.
pub struct Site {
    _live: Model,
    /// What copies go to.
    pub shadow: Model,
    /// Serves the keys of the issuer, as Istio names such a cluster.
    pub idp: Upstream,
    /// At [`LLM`].
    _completions: Completions,
    pub gateway: Running,
    pub load: Load,
}

/// How a site differs from others.
pub struct Options {
    /// The plugin.
    pub extension: Extension,
    /// What the gateway is not told of.
    pub without_labels: bool,
    /// The shadow answers as the live model does.
    pub same_shadow: bool,
    pub requests: Vec<Request>,
}

impl Options {
    /// The module under test with these settings.
    pub fn new(settings: Value, requests: Vec<Request>) -> Result<Self> {
        let extension = plugin(settings)?.under_test()?;
        Ok(Self { extension, without_labels: false, same_shadow: true, requests })
    }
}

impl Site {
    /// Starts it all.
    pub async fn start(options: Options) -> Result<Self> {
        let jwks = Issuer::shared()?.jwks();
        let idp =
            Upstream::start(move |_| Answer::new(200, "application/json", jwks.clone())).await?;
        let live = Model::live().await?;
        let shadow = match options.same_shadow {
            true => Model::start("iris-v2", "default", Iris::main()?).await?,
            false => Model::retrained().await?,
        };
        let completions = Completions::start().await?;
        let mut gateway = as_shipped()?;
        if options.without_labels {
            gateway = gateway.labels(&[]);
        }
        let gateway = gateway
            .extension(&options.extension)
            .deployment(&Deployment::single("prod", "iris", live.address()))
            .deployment(&Deployment::new("prod", "iris-v2").unrouted("default", shadow.address()))
            .cluster(Cluster::http1(IDP, idp.address()))
            .cluster(Cluster::http1("llm", completions.address()))
            .host(LLM, "llm")
            .start()
            .await?;
        let load = Load::start(gateway.address, options.requests);
        Ok(Self { _live: live, shadow, idp, _completions: completions, gateway, load })
    }
}

/// A gateway that shows what Istio's bootstrap and `wasmplugin/mesh/values.yaml` let it show.
pub fn as_shipped() -> Result<Gateway> {
    let values = yaml("wasmplugin/mesh/values.yaml")?;
    let config = values.pointer("/meshConfig/defaultConfig").context("no defaultConfig")?;
    let texts = |value: &Value, field: &str| -> Vec<String> {
        list(value, field).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let matcher = config.get("proxyStatsMatcher").context("no proxyStatsMatcher")?;
    // What Istio's agent has in every gateway.
    let istio = [
        "reporter=",
        "cluster_manager",
        "listener_manager",
        "server",
        "cluster.xds-grpc",
        "wasm",
        "component",
        "istio",
    ];
    let prefixes = istio.into_iter().map(str::to_owned).chain(texts(matcher, "inclusionPrefixes"));
    let patterns: Vec<Value> = prefixes.map(|prefix| json!({"prefix": prefix})).collect();
    Ok(Gateway::new()
        .labels(&texts(config, "extraStatTags"))
        .stats_matcher(json!({"inclusion_list": {"patterns": patterns}})))
}

/// The shipped plugin with these settings.
pub fn plugin(settings: Value) -> Result<WasmPlugin> {
    WasmPlugin::with_config(settings)
}

/// Everybody may do everything.
pub fn open() -> Result<Value> {
    Ok(json!({
        "authentication": {"jwtRules": [Issuer::shared()?.rule()]},
        "authorization": {"defaultAction": "ALLOW"},
    }))
}

/// The same with this in place of a part.
pub fn open_with(part: &str, value: Value) -> Result<Value> {
    let mut settings = open()?;
    settings.as_object_mut().context("no object")?.insert(part.to_owned(), value);
    Ok(settings)
}

/// The issuer's keys come from where it serves them.
pub fn fetched() -> Result<Value> {
    let mut rule = Issuer::shared()?.rule();
    let fields = rule.as_object_mut().context("no object")?;
    fields.remove("jwks");
    fields.insert("jwksUri".to_owned(), json!("https://idp.example.com/jwks.json"));
    fields.insert("jwksCluster".to_owned(), json!(IDP));
    Ok(rule)
}

/// A shadow of prod/iris.
pub fn shadow() -> Value {
    json!({"name": "iris-v2", "models": ["prod/iris"], "cluster": SHADOW, "path": "/api/v1.0/predictions"})
}

/// A prediction.
pub fn predict() -> Request {
    let flower = json!({"data": {"ndarray": [[6.0, 2.7, 4.2, 1.3]]}});
    Request::post_json("/seldon/prod/iris/api/v1.0/predictions", &flower)
}

/// A chat, streamed, which says what it has cost if it is asked to.
pub fn chat(usage: bool) -> Request {
    let body = json!({
        "model": "chat", "stream": true, "stream_options": {"include_usage": usage},
        "max_tokens": 12, "prompt_tokens": 80, "cached_tokens": 20, "reasoning_tokens": 3, "pause": 8,
    });
    Request::post_json("/v1/chat/completions", &body).authority(Some(LLM))
}
