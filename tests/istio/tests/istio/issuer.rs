//! The issuer's keys, fetched over TLS through the cluster that a shipped resource defines.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use cluster::agent::IN_FORCE;
use cluster::isolation::ISSUER;
use cluster::kubectl::patch;
use cluster::tls::{Authority, Terminator};
use cluster::{Cluster, shipped};
use serde_json::json;
use testbed::tokens::Issuer;
use testbed::upstream::{Answer, Upstream};
use testbed::wait::until;

use cluster::site::{DENIED, Site, local_module, predict, scientist};

/// What Envoy says while an issuer's keys cannot be had.
const NO_KEYS: &str = "Jwks remote fetch is failed";

pub async fn keys_are_believed_only_with_the_right_certificate(
    cluster: &mut Cluster,
) -> Result<()> {
    let (host, address) = ISSUER;
    let keys = Issuer::shared()?.jwks();
    let server =
        Upstream::start(move |_| Answer::new(200, "application/json", keys.clone())).await?;
    let authority = Authority::new("the issuer's authority")?;
    let stranger = Authority::new("somebody else's authority")?;
    let forged = stranger.sign(host)?;
    let issuer = Terminator::listen(SocketAddr::from((address, 443)), &forged, server.address());
    let issuer = issuer.await?;

    let kubectl = &cluster.kubectl;
    let ca = cluster.state("ca.pem");
    std::fs::write(&ca, &authority.certificate)?;
    let file = format!("--from-file=ca.crt={}", ca.display());
    kubectl.run(&["create", "secret", "generic", "issuer-ca", "-n", "istio-system", &file]).await?;
    shipped::apply(kubectl, "deploy/issuer.yaml").await?;
    // The shipped plugin as it is; only the module comes from elsewhere.
    let module = patch("WasmPlugin", &[("/spec/url", json!(local_module(cluster)))]);
    shipped::apply_kustomization(kubectl, "wasmplugin/overlays/gateway", &[module]).await?;
    let Site { gateway, models: _models } = Site::without_plugin(cluster).await?;

    // Its name, by an authority that nobody trusts; then the right authority, and another name.
    let asked = predict().bearer(&scientist()?);
    gateway.becomes(&asked, 401, NO_KEYS).await?;
    refused_again(&issuer).await?;
    issuer.present(&authority.sign("elsewhere.example.com")?)?;
    refused_again(&issuer).await?;
    gateway.expect(asked.clone(), 401, NO_KEYS).await?;
    let received = server.received();
    ensure!(received.is_empty(), "asked in spite of the certificate: {received:?}");

    issuer.present(&authority.sign(host)?)?;
    gateway.becomes(&asked, 200, "ndarray").await?;
    gateway.expect(predict(), 403, DENIED).await?;
    let received = server.received();
    ensure!(received.iter().all(|r| r.path == "/jwks.json" && r.authority == host), "{received:?}");
    let fetches =
        |result| [("issuer", Issuer::shared().map_or("", Issuer::name)), ("result", result)];
    let stats = gateway.stats().await?;
    let count = |result| stats.sum("modelgate_jwks_fetches_total", &fetches(result));
    ensure!(count("failed") >= 2.0, "failed fetches: {}", count("failed"));
    gateway.check_healthy().await
}

/// Waits until the gateway has once more refused what it was shown.
async fn refused_again(issuer: &Terminator) -> Result<()> {
    let before = issuer.refused();
    until("a refused certificate", IN_FORCE, async || {
        // Each of the gateway's threads asks for itself.
        Ok((issuer.refused() > before + 1).then_some(()))
    })
    .await
}
