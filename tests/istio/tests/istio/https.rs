//! The gateway over HTTPS.

use anyhow::{Result, ensure};
use cluster::agent::IN_FORCE;
use cluster::models::seldon_routes;
use cluster::tls::{Certificate, Tunnel};
use cluster::{Cluster, Gateway, Models, shipped};
use testbed::client::Request;
use testbed::wait::until;

use cluster::site::{DENIED, application, local_module, own_values, predict, scientist};

const HOST: &str = "models.example.com";

pub async fn a_self_signed_certificate_serves_http1_http2_and_grpc(
    cluster: &mut Cluster,
) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let certificate = Certificate::self_signed(HOST)?;
    let (crt, key) = (cluster.state("tls.crt"), cluster.state("tls.key"));
    std::fs::write(&crt, &certificate.certificate)?;
    std::fs::write(&key, &certificate.key)?;
    let files = [format!("--cert={}", crt.display()), format!("--key={}", key.display())];
    let create = ["create", "secret", "tls", "seldon-gateway-tls", "-n", "istio-system"];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    kubectl.run(&[&create[..], &files].concat()).await?;

    let models = Models::start(cluster).await?;
    shipped::apply(kubectl, "deploy/gateway-https.yaml").await?;
    shipped::apply(kubectl, "deploy/seldon/model.yaml").await?;
    kubectl.apply(&seldon_routes("fraud")).await?;
    let own = own_values(&local_module(cluster))?;
    shipped::apply_kustomization(kubectl, "wasmplugin/overlays/gateway", &[own]).await?;
    let gateway = Gateway::start(cluster).await?;

    let scientist = scientist()?;
    let http1 = Tunnel::open(gateway.port(443), HOST, &certificate, "http/1.1").await?;
    until("an answer over HTTPS", IN_FORCE, async || {
        let answer = predict().bearer(&scientist).send(http1.address()).await;
        Ok(answer.is_ok_and(|a| a.status == 200 && a.text().contains("ndarray")).then_some(()))
    })
    .await?;
    let answer = predict().send(http1.address()).await?;
    ensure!(answer.status == 403 && answer.text() == DENIED, "{answer:?}");
    let http2 = Tunnel::open(gateway.port(443), HOST, &certificate, "h2").await?;
    let answer = predict().bearer(&scientist).send_http2(http2.address()).await?;
    ensure!(answer.status == 200 && answer.text().contains("ndarray"), "{answer:?}");
    let call = || {
        Request::new("POST", "/seldon.protos.Seldon/Predict")
            .header("content-type", "application/grpc")
            .header("seldon", "fraud")
            .header("namespace", "prod")
    };
    let answer = call().send_http2(http2.address()).await?;
    ensure!(answer.header("grpc-status") == Some("7"), "{answer:?}");
    call().bearer(&application()?).send_http2(http2.address()).await?;
    let received = models.fraud.received();
    ensure!(received.len() == 1, "{received:?}");
    // Not the certificate that the client trusts.
    let stranger = Certificate::self_signed(HOST)?;
    let tunnel = Tunnel::open(gateway.port(443), HOST, &stranger, "http/1.1").await?;
    ensure!(predict().send(tunnel.address()).await.is_err(), "the certificate is not checked");
    ensure!(gateway.send(&predict()).await.is_err(), "plain HTTP is served");
    gateway.check_healthy().await
}
