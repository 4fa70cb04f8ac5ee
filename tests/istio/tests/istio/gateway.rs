//! The shipped overlay in the ingress gateway.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use cluster::Cluster;
use testbed::client::Request;
use testbed::tokens::Issuer;

use crate::site::{DENIED, Site, application, predict, predict_by, scientist};

pub async fn the_shipped_overlay_guards_the_models(cluster: &mut Cluster) -> Result<()> {
    let Site { models, gateway } = Site::start(cluster).await?;
    let issuer = Issuer::shared()?;
    let scientist = scientist()?;
    let received = models.iris.received();
    let live = received.last().context("nothing received")?;
    assert_eq!(live.path, "/api/v1.0/predictions", "the operator's route has cut the prefix");
    assert_eq!(live.header("x-user").as_deref(), Some("alice"));
    assert_eq!(live.header("authorization"), None, "the token stays at the gateway");

    gateway.expect(predict(), 403, DENIED).await?;
    gateway.expect(predict().bearer(&issuer.expired("alice")?), 401, "Jwt is expired").await?;
    let fraud = || predict_by("fraud");
    gateway.expect(fraud().bearer(&scientist), 403, DENIED).await?;
    let application = application()?;
    gateway.expect(fraud().bearer(&application), 200, "fraud").await?;
    let suspended = issuer.token("mallory", &["data-science", "suspended"])?;
    gateway.expect(predict().bearer(&suspended), 403, DENIED).await?;
    let metrics = Request::get("/seldon/prod/iris/prometheus").bearer(&scientist);
    gateway.expect(metrics, 403, DENIED).await?;

    // Each tenth prediction is copied to a cluster that istiod made of a ServiceEntry.
    let counted = [("model", "prod/iris"), ("decision", "allowed")];
    let before = models.iris.received().len();
    let mut connection = predict().connect(gateway.address()).await?;
    for _ in 0..100 {
        let answer = connection.send(&predict().bearer(&scientist)).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    let copies = models.retrained.wait_for(1, Duration::from_secs(10)).await?;
    assert_eq!(copies.first().map(|copy| copy.path.as_str()), Some("/api/v1.0/predictions"));
    assert!(copies.iter().all(|copy| copy.header("authorization").is_none()));
    // With labels, which the mesh settings let Envoy cut out of the names.
    gateway.counted("modelgate_requests_total", &counted, (before + 100) as f64).await?;
    gateway.check_healthy().await
}
