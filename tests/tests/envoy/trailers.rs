//! Trailers of requests: what was decided about a request, none of its trailers says anew.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::gateway::{Cluster, Gateway, route_to};
use testbed::streams::{Client, Mirror, Post, Protocol};
use testbed::wasmplugin::WasmPlugin;

use crate::site::{PREDICTIONS, open};

/// What a client tries to say behind its request.
const TRIED: [&str; 9] = [
    "x-user",
    "x_user",
    "x-modelgate-variant",
    "seldon-internal-model",
    "seldon-model",
    "namespace",
    "authorization",
    "x-token",
    "cookie",
];

/// Names of the trailers that come through.
async fn left(config: Value, request: Post) -> Result<Vec<String>> {
    let mirror = Mirror::start().await?;
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(open(config)?)?.under_test()?)
        .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
        .cluster(Cluster::http2("live", mirror.address()))
        .start()
        .await?;
    let mut client = Client::connect(Protocol::Http2, gateway.address).await?;
    let request = TRIED.iter().fold(request, |request, name| request.trailer(name, "evil"));
    client.exchange(&request.trailer("x-checksum", "7")).await?;
    let received = mirror.take(1).await?.pop().context("nothing came")?;
    assert_eq!(received.body, b"[42]");
    let mut names: Vec<String> = received.trailers.into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    Ok(names)
}

fn settings(more: &[(&str, Value)]) -> Value {
    let mut settings = json!({"authentication": {"jwtRules": [{
        "issuer": "me",
        "jwks": keys(),
        "fromHeaders": [{"name": "x-token"}],
        "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}],
    }]}});
    if let Some(settings) = settings.as_object_mut() {
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    settings
}

fn keys() -> String {
    json!({"keys": [{"kty": "oct", "alg": "HS256", "k": "A".repeat(43)}]}).to_string()
}

fn post(path: &str) -> Post {
    Post::new(path).header("te", "trailers").piece("[42]")
}

#[tokio::test]
async fn trailers_say_nothing_that_was_decided_about() -> Result<()> {
    let json = post(PREDICTIONS).header("content-type", "application/json");
    assert_eq!(left(settings(&[]), json).await?, ["x-checksum"]);
    let grpc = post("/seldon.protos.Seldon/Predict")
        .header("content-type", "application/grpc")
        .header("mirror-content-type", "application/grpc")
        .header("seldon", "iris")
        .header("namespace", "prod");
    assert_eq!(left(settings(&[]), grpc).await?, ["x-checksum"]);
    Ok(())
}

#[tokio::test]
async fn another_applications_trailers_and_reports_are_left_alone() -> Result<()> {
    let excluded = settings(&[("exclude", json!({"hosts": ["*"]}))]);
    let kept = left(excluded, post("/upload")).await?;
    assert_eq!(
        kept,
        ["authorization", "cookie", "namespace", "seldon-model", "x-checksum", "x-token"]
    );
    let report = settings(&[("mode", json!("REPORT"))]);
    assert_eq!(left(report, post("/upload")).await?.len(), TRIED.len() + 1);
    Ok(())
}
