//! A caller who may use one model, and ten thousand spellings of requests, at the routes of the
//! operators in a real Envoy: no other model's backend ever answers.
#![cfg(test)]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::{Connection, Request};
use testbed::envoy::Taken;
use testbed::gateway::{Cluster, Gateway, Running, route_to};
use testbed::seldon::Deployment;
use testbed::upstream::{Answer, Received, Upstream};
use testbed::wasmplugin::WasmPlugin;

use models::{DEPLOYMENTS, EXPLAINERS, FIXED_HOST, LLM_SERVICES, MESH_MODELS, SERVICES};
use spellings::{Spelling, Spellings};

#[path = "../../deputy/models.rs"]
mod models;
#[path = "../../deputy/spellings.rs"]
mod spellings;

/// Each kind of model, as the only one that a caller may use.
const CALLERS: [&str; 5] =
    ["prod/iris", "seldon-mesh/iris", "prod/flower", "prod/chat", "prod/llama"];
/// For each caller, and once more for a gateway that lets everything through.
const SPELLINGS: usize = 2_000;
const CONNECTIONS: usize = 16;
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn ten_thousand_spellings_reach_no_other_model() -> Result<()> {
    let seed = std::env::var("MODELGATE_SEED").ok();
    let seed = seed.map_or(Ok(1), |seed| seed.parse())?;
    println!("seed {seed}");
    let site = Site::start().await?;
    let mut spellings = Spellings::new(seed);
    for own in CALLERS {
        site.update(&json!([
            {"name": "own", "models": [own], "rules": [{"to": [{"operation": {"operations": ["*", "metrics", "admin", "other"]}}]}]},
            {"name": "no-model", "rules": [{"to": [{"operation": {"notModels": ["*"]}}]}]},
        ]))
        .await?;
        let answers = site.send(spellings.by_ref().take(SPELLINGS).collect()).await?;
        let of = |who: &str| answers.iter().filter(|(_, answer)| answer == who).count();
        let others = answers.iter().filter(|(_, a)| site.names.contains(a) && a != own);
        let others: Vec<_> = others.collect();
        ensure!(others.is_empty(), "seed {seed}: for a caller of {own} answered\n{others:#?}");
        println!("{own}: {} times, the web site {} times", of(own), of("website"));
        ensure!(
            of(own) > SPELLINGS / 200 && of("website") > SPELLINGS / 200,
            "{own} answers nobody"
        );
    }
    // The same spellings do reach other models where the gateway lets them.
    site.update(
        &json!([{"name": "all", "rules": [{"to": [{"operation": {"operations": ["*", "metrics", "admin", "other"]}}]}]}]),
    )
    .await?;
    let answers = site.send(Spellings::new(seed).take(SPELLINGS).collect()).await?;
    for name in &site.names {
        ensure!(answers.iter().any(|(_, answer)| answer == name), "{name} is out of reach");
    }
    let failures = site.gateway.envoy.wasm_failures().await?;
    ensure!(failures.is_empty(), "the module failed: {failures:?}");
    Ok(())
}

/// The gateway, with a backend for each model that answers with its name.
struct Site {
    names: Vec<String>,
    gateway: Running,
    _backends: Vec<Upstream>,
}

impl Site {
    async fn start() -> Result<Self> {
        let mut names = vec!["prod/chat".to_owned()];
        let chat = Upstream::echo("prod/chat").await?;
        let website = Upstream::echo("website").await?;
        let mesh = Upstream::start(mesh).await?;
        names.extend(MESH_MODELS.iter().map(|model| format!("seldon-mesh/{model}")));
        let mut gateway = Gateway::new()
            .workers(2)
            .extension(&plugin(&json!([]))?.under_test()?)
            .cluster(Cluster::http1("chat", chat.address()))
            .cluster(Cluster::http1("website", website.address()))
            .cluster(Cluster::http1("mesh", mesh.address()))
            .host(FIXED_HOST, "chat");
        let mut backends = vec![chat, website, mesh];
        for (namespace, name) in DEPLOYMENTS {
            let model = format!("{namespace}/{name}");
            let backend = Upstream::echo(&model).await?;
            gateway = gateway.deployment(&Deployment::single(namespace, name, backend.address()));
            names.push(model);
            backends.push(backend);
        }
        for (namespace, name, predictor) in EXPLAINERS {
            let backend = Upstream::echo(&format!("{namespace}/{name}")).await?;
            let cluster = format!("{name}-{predictor}-explainer.{namespace}");
            let prefix = format!("/seldon/{namespace}/{name}-explainer/{predictor}/");
            gateway = gateway
                .cluster(Cluster::http1(&cluster, backend.address()))
                .prefix(&prefix, &cluster);
            backends.push(backend);
        }
        for (namespace, name) in SERVICES {
            let model = format!("{namespace}/{name}");
            let backend = Upstream::echo(&model).await?;
            let cluster = format!("{name}-predictor.{namespace}");
            let path = format!("/serving/{model}");
            gateway = gateway
                .cluster(Cluster::http1(&cluster, backend.address()))
                .host(&format!("{name}-{namespace}.example.com"), &cluster)
                .prefix(&format!("{path}/"), &cluster)
                .route(route_to(json!({"path": path}), &[(cluster.clone(), 100)]));
            names.push(model);
            backends.push(backend);
        }
        for (namespace, name, published) in LLM_SERVICES {
            let model = format!("{namespace}/{name}");
            let backend = Upstream::echo(&model).await?;
            let cluster = format!("{name}-kserve-workload-svc.{namespace}");
            let to = [(cluster.clone(), 100)];
            gateway = gateway.cluster(Cluster::http1(&cluster, backend.address()));
            let own = [model.clone()].into_iter();
            for path in own.chain(published.iter().map(|name| publisher(namespace, name))) {
                let path = json!({"path_separated_prefix": format!("/{path}")});
                gateway = gateway.route(route_to(path, &to));
            }
            names.push(model);
            backends.push(backend);
        }
        for (namespace, name, published) in LLM_SERVICES {
            let to = [(format!("{name}-kserve-workload-svc.{namespace}"), 100)];
            for model in published {
                let value = json!({"exact": publisher(namespace, model)});
                let header = json!({"name": "x-gateway-model-name", "string_match": value});
                let by_header = json!({"prefix": "/", "headers": [header]});
                gateway = gateway.route(route_to(by_header, &to));
            }
        }
        let gateway = gateway
            .prefix("/v2", "mesh")
            .prefix("/inference.GRPCInferenceService", "mesh")
            .prefix("/", "website")
            .start()
            .await?;
        Ok(Self { names, gateway, _backends: backends })
    }

    async fn update(&self, policies: &Value) -> Result<()> {
        let taken = self.gateway.envoy.update(&plugin(policies)?.under_test()?).await?;
        ensure!(taken == Taken::Yes, "not taken: {policies}");
        Ok(())
    }

    /// Each request, and who answered.
    async fn send(&self, spellings: Vec<Spelling>) -> Result<Vec<(Request, String)>> {
        let share = spellings.len().div_ceil(CONNECTIONS);
        let mut tasks = Vec::new();
        for share in spellings.chunks(share) {
            let requests: Vec<Request> = share.iter().map(request).collect();
            tasks.push(tokio::spawn(ask(self.gateway.address, requests)));
        }
        let mut answers = Vec::new();
        for task in tasks {
            answers.extend(tokio::time::timeout(LIMIT, task).await.context("too slow")???);
        }
        Ok(answers)
    }
}

/// Sends these one after the other over one connection, and over a new one where Envoy closed it.
async fn ask(gateway: SocketAddr, requests: Vec<Request>) -> Result<Vec<(Request, String)>> {
    let mut kept: Option<Connection> = None;
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => request.connect(gateway).await?,
        };
        let answer = connection.send(&request).await.with_context(|| format!("{request:?}"))?;
        if answer.header("connection") != Some("close") {
            kept = Some(connection);
        }
        answers.push((request, answer.text()));
    }
    Ok(answers)
}

fn request(spelling: &Spelling) -> Request {
    let request = Request::new(spelling.method, &spelling.path).authority(Some(&spelling.host));
    spelling.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// What KServe's routes look for.
fn publisher(namespace: &str, model: &str) -> String {
    format!("publishers/{namespace}/models/{model}")
}

/// The configuration of the native test, with these policies.
fn plugin(policies: &Value) -> Result<WasmPlugin> {
    let mut config: Value = serde_json::from_str(include_str!("../../deputy/site.json"))?;
    let authorization = config.pointer_mut("/authorization/policies").context("no policies")?;
    *authorization = policies.clone();
    WasmPlugin::with_config(config)
}

/// Seldon v2's own Envoy: the model that `seldon-model` names, or the path where that is not there.
fn mesh(request: &Received) -> Answer {
    let given = |name| request.header(name).filter(|value| !value.is_empty());
    let by_path = || {
        let path = request.path.as_str();
        let first = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
        match (path.strip_prefix("/v2/models/"), path.strip_prefix("/v2/pipelines/")) {
            (Some(rest), _) => Some(first(rest)),
            (_, Some(rest)) => Some(format!("{}.pipeline", first(rest))),
            _ => None,
        }
    };
    let named = given("seldon-model")
        .or_else(|| given("x-seldon-route").is_none().then(by_path).flatten())
        .filter(|model| MESH_MODELS.contains(&model.as_str()));
    match named {
        Some(model) => Answer::new(200, "text/plain", format!("seldon-mesh/{model}")),
        None => Answer::new(404, "text/plain", "no such route"),
    }
}
