//! The shipped rewrites, in front of the routes of Seldon's operator.

use anyhow::{Context as _, Result, ensure};
use cluster::Cluster;
use cluster::models::{seldon_routes, service};
use cluster::site::{DENIED, Site, application, apply_with_own_values, flower, predict, scientist};
use serde_json::json;
use testbed::client::Request;
use testbed::tokens::Issuer;
use testbed::upstream::Upstream;

/// The path of the last request that it received.
fn last_path(upstream: &Upstream) -> Result<String> {
    Ok(upstream.received().last().context("nothing received")?.path.clone())
}

pub async fn friendly_urls_reach_the_operators_routes(cluster: &mut Cluster) -> Result<()> {
    apply_with_own_values(cluster, "deploy/friendly-urls.yaml").await?;
    let Site { models, gateway } = Site::without_plugin(cluster).await?;
    let application = application()?;
    let post = |path| Request::post_json(path, &flower());
    gateway.becomes(&post("/models/prod/fraud:predict"), 403, DENIED).await?;
    for (request, reached) in [
        (post("/models/prod/fraud:predict"), "/api/v1.0/predictions"),
        (post("/models/prod/fraud:predict?trace=1"), "/api/v1.0/predictions?trace=1"),
        (post("/models/prod/fraud:feedback"), "/api/v1.0/feedback"),
        (Request::get("/models/prod/fraud"), "/api/v1.0/metadata"),
        (post("/seldon/prod/fraud/api/v1.0/predictions"), "/api/v1.0/predictions"),
    ] {
        gateway.becomes(&request.bearer(&application), 200, "fraud").await?;
        let path = last_path(&models.fraud)?;
        ensure!(path == reached, "{path} instead of {reached}");
    }
    gateway.becomes(&predict().bearer(&application), 200, "ndarray").await?;
    // Somebody else, a model of another namespace, and what no rule names.
    models.fraud.forget();
    for (request, token, status) in [
        (post("/models/prod/fraud:predict"), scientist()?, 403),
        (post("/models/staging/fraud:predict"), application.clone(), 403),
        (post("/models/prod/fraud:explain"), application.clone(), 403),
        (Request::get("/models/prod/fraud:predict"), application, 400),
    ] {
        gateway.expect(request.bearer(&token), status, "").await?;
    }
    ensure!(models.fraud.received().is_empty(), "{:?}", models.fraud.received());
    gateway.check_healthy().await
}

pub async fn several_versions_share_a_host(cluster: &mut Cluster) -> Result<()> {
    let next = Upstream::echo("next").await?;
    let seldon_2 = Upstream::echo("Seldon 2").await?;
    let mut mesh = service("seldon-mesh", "", seldon_2.address());
    *mesh.pointer_mut("/spec/ports/0/number").context("no port")? = json!(80);
    let services = [service("iris-next-default", "default", next.address()), mesh];
    cluster.kubectl.apply(&services).await?;
    cluster.kubectl.apply(&seldon_routes("iris-next")).await?;
    apply_with_own_values(cluster, "deploy/seldon-versions.yaml").await?;
    let Site { models, gateway } = Site::without_plugin(cluster).await?;
    let application = application()?;
    let beta = Issuer::shared()?.token("early", &["applications", "beta"])?;
    let post = |path| Request::post_json(path, &flower());

    // An address of 0.x.
    let old = post("/seldon/prod/iris/api/v0.1/predictions");
    gateway.becomes(&old, 403, DENIED).await?;
    gateway.becomes(&old.bearer(&application), 200, "ndarray").await?;
    let received = models.iris.received();
    let path = received.last().map(|received| received.path.as_str());
    ensure!(path == Some("/api/v1.0/predictions"), "{path:?}");

    // One address in front of two deployments; authorized is the one that is reached.
    let stable = post("/models/iris:predict");
    let ask_for_next = stable.clone().header("x-release", "next");
    gateway.becomes(&stable.clone().bearer(&beta), 200, "ndarray").await?;
    gateway.becomes(&ask_for_next.clone().bearer(&beta), 200, "next").await?;
    let path = last_path(&next)?;
    ensure!(path == "/api/v1.0/predictions", "{path}");
    gateway.expect(stable.bearer(&application), 200, "ndarray").await?;
    gateway.expect(ask_for_next.bearer(&application), 403, DENIED).await?;

    // Seldon Core 2, where a header beats the path.
    let wine = || post("/v2/models/wine/infer").bearer(&application);
    gateway.becomes(&wine(), 200, "Seldon 2").await?;
    ensure!(last_path(&seldon_2)? == "/v2/models/wine/infer", "rewritten");
    gateway.expect(post("/v2/models/beer/infer").bearer(&application), 403, DENIED).await?;
    gateway.expect(wine().header("seldon-model", "beer"), 400, "").await?;
    gateway.check_healthy().await
}

pub async fn a_plain_server_does_not_see_the_prefix(cluster: &mut Cluster) -> Result<()> {
    const HOST: &str = "servers.example.com";
    let wine = Upstream::echo("wine").await?;
    let service = service("wine", "", wine.address());
    cluster.kubectl.apply(&[service]).await?;
    apply_with_own_values(cluster, "deploy/plain-server.yaml").await?;
    let Site { models: _models, gateway } = Site::without_plugin(cluster).await?;
    let post = |path| Request::post_json(path, &flower()).authority(Some(HOST));
    let infer = || post("/seldon/prod/wine/v2/models/wine/infer?trace=1");
    let application = application()?;
    gateway.becomes(&infer(), 403, DENIED).await?;
    gateway.becomes(&infer().bearer(&application), 200, "wine").await?;
    let received = wine.received();
    let last = received.last().context("nothing received")?;
    ensure!(last.path == "/v2/models/wine/infer?trace=1", "{last:?}");
    ensure!(last.header("x-model").as_deref() == Some("prod/wine"), "{last:?}");

    // Around the rule, and to another model by a header of one's own.
    wine.forget();
    for (path, status) in
        [("/v2/models/wine/infer", 403), ("/seldon/prod/fraud/v2/models/wine/infer", 403)]
    {
        let forged = post(path).bearer(&application).header("x-model", "prod/wine");
        gateway.expect(forged, status, "").await?;
    }
    ensure!(wine.received().is_empty(), "{:?}", wine.received());
    gateway.check_healthy().await
}
