//! Every route that a real server says it has is an operation that `models/routes/` names: nothing
//! that a server offers is open, closed or uncopied unseen.
//!
//! A line there is `METHOD PATH OPERATION`, the path as the server writes it, and a last word for the
//! operation where the address is not one of KServe's, if it is another. Servers made with
//! FastAPI list their routes at `/openapi.json`, Seldon's wrapper in the map of its web server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use modelgate_engine::authn::TokenCache;
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use modelgate_engine::request::{Attributes, Header, Host, Request as Asked};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::model_clients;
use testbed::model_servers::{Model, ModelServer, Weights};

/// Where servers are mounted: host, what comes before their own path, and whether that is KServe's.
const MOUNTS: [(&str, &str, bool); 3] = [
    ("models.example.com", "/seldon/prod/iris", false),
    ("iris-prod.kserve.example.com", "", true),
    ("iris.example.com", "", false),
];

/// A method and a path as the server writes it, and the operations that the table names: on KServe's
/// addresses, and elsewhere.
type Routes = BTreeMap<(String, String), [String; 2]>;

struct Nowhere;

impl Host for Nowhere {
    fn now(&self) -> u64 {
        0
    }
    fn is_inbound(&self) -> bool {
        false
    }
}

/// A gateway that allows whatever needs no permission.
struct Gateway {
    plan: Plan,
    cache: TokenCache,
}

impl Gateway {
    fn new() -> Result<Self> {
        let config = json!({
            "authorization": {"defaultAction": "ALLOW"},
            "targets": {
                "families": ["seldon-v1", "kserve"],
                "kserve": {
                    "hostTemplate": "{name}-{namespace}.kserve.example.com",
                    "namespaces": ["prod"],
                },
                "fixed": [{"hosts": ["iris.example.com"], "model": "prod/iris"}],
            },
        });
        let mut errors = Errors::default();
        let plan = Plan::read(config.to_string().as_bytes(), &mut errors);
        let plan = plan.with_context(|| errors.to_string())?;
        let cache = plan.token_cache();
        Ok(Self { plan, cache })
    }

    /// The operation, and whether somebody without any permission gets through.
    fn ask(&mut self, method: &str, host: &str, path: &str) -> Result<(String, bool)> {
        let lines: [Header<'_>; 3] = [
            (b":method", method.as_bytes()),
            (b":authority", host.as_bytes()),
            (b":path", path.as_bytes()),
        ];
        let attributes = Attributes::new(&Nowhere);
        let request = Asked::new(&lines, &attributes);
        let decision = self.plan.decide(&request, &mut self.cache, |_| Ok(()));
        ensure!(
            decision.facts.model.as_deref() == Some("prod/iris"),
            "{method} {host}{path}: no model"
        );
        let operation = decision.facts.operation.context("no operation")?;
        Ok((operation.as_str().to_owned(), decision.reply().is_none()))
    }
}

fn table(server: &str) -> Result<Routes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/routes/{server}.txt"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut routes = Routes::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (method, path, operations) = match words[..] {
            [method, path, operation] => (method, path, [operation; 2]),
            [method, path, kserve, elsewhere] => (method, path, [kserve, elsewhere]),
            _ => anyhow::bail!("{server}: {line}"),
        };
        let route = (method.to_owned(), path.to_owned());
        let known = routes.insert(route, operations.map(str::to_owned));
        ensure!(known.is_none(), "{server}: {line} twice");
    }
    Ok(routes)
}

/// What the server's own list says, and its pages about it.
async fn listed(server: &ModelServer) -> Result<BTreeSet<(String, String)>> {
    let list = Request::get("/openapi.json").send(server.http).await?.json()?;
    let paths = list.get("paths").and_then(Value::as_object).context("no paths")?;
    let mut routes = BTreeSet::new();
    for (path, methods) in paths {
        for method in methods.as_object().context("no methods")?.keys() {
            routes.insert((method.to_uppercase(), path.clone()));
        }
    }
    // The pages are not in their own list.
    for page in ["/openapi.json", "/docs", "/redoc"] {
        if Request::get(page).send(server.http).await?.status == 200 {
            routes.insert(("GET".to_owned(), page.to_owned()));
        }
    }
    Ok(routes)
}

/// A path of the server's list as a caller writes it.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, variable)) = rest.split_once(['{', '<']) {
        let (name, after) = variable.split_once(['}', '>']).unwrap_or((variable, ""));
        filled.push_str(before);
        filled.push_str(if name.contains("version") { "v1" } else { "iris" });
        rest = after;
    }
    filled + rest
}

fn check(server: &str, listed: &BTreeSet<(String, String)>) -> Result<()> {
    let table = table(server)?;
    let mut gateway = Gateway::new()?;
    let mut wrong = Vec::new();
    for route in listed.iter().filter(|route| !table.contains_key(route)) {
        wrong.push(format!("{} {} is missing in the table", route.0, route.1));
    }
    for ((method, path), [kserve, elsewhere]) in &table {
        if !listed.contains(&(method.clone(), path.clone())) {
            wrong.push(format!("{method} {path}: the server has no such route"));
        }
        for (host, prefix, is_kserve) in MOUNTS {
            let operation = if is_kserve { kserve } else { elsewhere };
            let address = format!("{prefix}{}", filled(path));
            let (found, open) = gateway.ask(method, host, &address)?;
            if found != *operation {
                wrong.push(format!("{method} {host}{address}: {found}, not {operation}"));
            }
            if open == ["admin", "metrics", "other"].contains(&&*found) {
                wrong.push(format!("{method} {host}{address}: {found}, open: {open}"));
            }
        }
        let administers = ["repository", "shutdown"].iter().any(|word| path.contains(word));
        if administers && [kserve, elsewhere] != ["admin"; 2] {
            wrong.push(format!("{method} {path} administers, and is {kserve} and {elsewhere}"));
        }
    }
    assert!(wrong.is_empty(), "{server}:\n{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn every_route_of_mlserver_is_in_the_table() -> Result<()> {
    check("mlserver", &listed(&ModelServer::mlserver(Weights::Main).await?).await?)
}

#[tokio::test]
async fn every_route_of_kserve_is_in_the_table() -> Result<()> {
    let model = Model { name: "iris", version: "", weights: Weights::Main };
    check("kserve", &listed(&ModelServer::kserve(&[model]).await?).await?)
}

#[tokio::test]
async fn every_route_of_mlflow_is_in_the_table() -> Result<()> {
    check("mlflow", &listed(&ModelServer::mlflow(Weights::Main).await?).await?)
}

#[tokio::test]
async fn every_route_of_litserve_is_in_the_table() -> Result<()> {
    check("litserve", &listed(&ModelServer::litserve(Weights::Main).await?).await?)
}

#[tokio::test]
async fn every_route_of_seldons_wrapper_is_in_the_table() -> Result<()> {
    check("seldon", &model_clients::seldon_routes().await?.into_iter().collect())
}

#[test]
fn variables_of_paths_are_filled() {
    for (written, called) in [
        (
            "/v2/models/{model_name}/versions/{model_version}/infer",
            "/v2/models/iris/versions/v1/infer",
        ),
        ("/v1/models/{model_name}:predict", "/v1/models/iris:predict"),
        ("/<path:filename>", "/iris"),
        ("/ping", "/ping"),
    ] {
        assert_eq!(filled(written), called);
    }
}
