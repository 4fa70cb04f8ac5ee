//! The routes of Seldon's operator, behind the shipped overlay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};
use cluster::agent::IN_FORCE;
use cluster::models::service;
use cluster::{Cluster, shipped};
use testbed::client::Request;
use testbed::upstream::{Answer, Upstream};
use testbed::wait::until;

use cluster::site::{Site, application, flower, predict_by};

/// Applies a shipped file of routes, with an echo for each of its services.
pub async fn deploy(cluster: &Cluster, file: &str, services: &[&str]) -> Result<Vec<Upstream>> {
    let mut upstreams = Vec::new();
    for name in services {
        let upstream = Upstream::echo(name).await?;
        let predictor = name.rsplit('-').next().unwrap_or_default();
        cluster.kubectl.apply(&[service(name, predictor, upstream.address())]).await?;
        upstreams.push(upstream);
    }
    shipped::apply(&cluster.kubectl, file).await?;
    Ok(upstreams)
}

/// How many of `count` predictions of a model reached each upstream; the first `reached` of them get some.
async fn shares(
    site: &Site,
    model: &str,
    count: usize,
    upstreams: &[Upstream],
    reached: usize,
) -> Result<Vec<usize>> {
    let request = predict_by(model).bearer(&application()?);
    site.gateway.becomes(&request, 200, "").await?;
    // A route may come before the last of its clusters.
    until(&format!("every part of {model} to be reached"), IN_FORCE, async || {
        site.gateway.send(&request).await?;
        let all = upstreams.iter().take(reached).all(|upstream| !upstream.received().is_empty());
        Ok(all.then_some(()))
    })
    .await?;
    upstreams.iter().for_each(Upstream::forget);
    let mut connection = request.connect(site.gateway.address()).await?;
    for _ in 0..count {
        let answer = connection.send(&request).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    Ok(upstreams.iter().map(|upstream| upstream.received().len()).collect())
}

pub async fn every_kind_of_deployment_is_routed(cluster: &mut Cluster) -> Result<()> {
    let site = Site::start(cluster).await?;
    let canary = ["canary-main", "canary-canary"];
    let canary = deploy(cluster, "deploy/seldon/canary.yaml", &canary).await?;
    let colours = ["blue-green-blue", "blue-green-green"];
    let colours = deploy(cluster, "deploy/seldon/blue-green.yaml", &colours).await?;
    let ab = deploy(cluster, "deploy/seldon/ab.yaml", &["ab-a", "ab-b"]).await?;
    let shadowed = ["shadowed-default", "shadowed-shadow"];
    let shadowed = deploy(cluster, "deploy/seldon/shadow.yaml", &shadowed).await?;

    // Five standard deviations of a binomial with 400 draws around 75 and 50 per cent.
    let main = shares(&site, "canary", 400, &canary, 2).await?;
    ensure!(main.first().is_some_and(|n| (256..=344).contains(n)), "75/25: {main:?}");
    let even = shares(&site, "ab", 400, &ab, 2).await?;
    ensure!(even.first().is_some_and(|n| (150..=250).contains(n)), "50/50: {even:?}");
    let blue = shares(&site, "blue-green", 20, &colours, 1).await?;
    ensure!(blue == [20, 0], "all to blue: {blue:?}");
    let both = shares(&site, "shadowed", 20, &shadowed, 2).await?;
    ensure!(both.first() == Some(&20), "{both:?}");
    if let Some(shadow) = shadowed.last() {
        shadow.wait_for(20, IN_FORCE).await?;
    }
    // gRPC takes the second route, by its headers.
    let call = Request::new("POST", "/seldon.protos.Seldon/Predict")
        .header("content-type", "application/grpc")
        .header("seldon", "canary")
        .header("namespace", "prod")
        .bearer(&application()?);
    canary.iter().for_each(Upstream::forget);
    call.send_http2(site.gateway.address()).await?;
    let calls: Vec<_> = canary.iter().flat_map(Upstream::received).collect();
    ensure!(calls.len() == 1, "{calls:?}");
    site.gateway.check_healthy().await
}

pub async fn annotations_choose_gateway_host_and_retries(cluster: &mut Cluster) -> Result<()> {
    let site = Site::start(cluster).await?;
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let upstream = Upstream::start(move |_| {
        let last = count.fetch_add(1, Ordering::Relaxed) >= 2;
        Answer::new(if last { 200 } else { 503 }, "text/plain", "annotated")
    })
    .await?;
    let service = service("annotated-default", "default", upstream.address());
    cluster.kubectl.apply(&[service]).await?;
    shipped::apply(&cluster.kubectl, "deploy/seldon/annotated.yaml").await?;
    let path = "/seldon/prod/annotated/api/v1.0/predictions";
    let request = Request::post_json(path, &flower()).bearer(&application()?);
    // Before route and cluster are there nothing is asked.
    until("the route", IN_FORCE, async || {
        let answer = site.gateway.send(&request).await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await?;
    ensure!(asked.load(Ordering::Relaxed) == 3, "not tried three times: {asked:?}");
    // Under its own host only.
    let elsewhere = request.authority(Some("elsewhere.example.com"));
    site.gateway.expect(elsewhere, 404, "").await?;
    site.gateway.check_healthy().await
}
