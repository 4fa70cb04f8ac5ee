//! REPORT mode: everything decided and counted, nothing changed.

use anyhow::{Context as _, Result, ensure};
use cluster::{Cluster, shipped};
use testbed::client::Request;
use testbed::upstream::Received;

use cluster::site::{Site, flower, local_module, own_values, predict, scientist};

/// What differs from one request to the next: ids of requests.
const CHANGING: [&str; 1] = ["x-request-id"];

fn seen(received: &Received) -> (String, String, Vec<(String, Vec<u8>)>, Vec<u8>) {
    let mut headers = received.headers.clone();
    headers.retain(|(name, _)| !CHANGING.contains(&name.as_str()));
    (received.path.clone(), received.authority.clone(), headers, received.body.to_vec())
}

pub async fn the_upstream_sees_what_it_saw_without_the_plugin(cluster: &mut Cluster) -> Result<()> {
    let site = Site::without_plugin(cluster).await?;
    let predictions = "/seldon/prod/iris/api/v1.0/predictions";
    let forged = || {
        Request::post_json(predictions, &flower())
            .header("x-user", "root")
            .header("seldon-internal-model", "other")
            .header("x-modelgate-shadow", "1")
    };
    let requests = [forged(), forged().bearer(&scientist()?), forged().bearer("nonsense")];
    site.gateway.becomes(&forged(), 200, "ndarray").await?;
    site.models.iris.forget();
    for request in &requests {
        site.gateway.expect(request.clone(), 200, "ndarray").await?;
    }
    let before: Vec<_> = site.models.iris.received().iter().map(seen).collect();

    let own = own_values(&local_module(cluster))?;
    shipped::apply_kustomization(&cluster.kubectl, "wasmplugin/overlays/gateway-report", &[own])
        .await?;
    testbed::wait::until("the plugin to count", cluster::agent::IN_FORCE, async || {
        site.gateway.send(&Request::get("/nothing")).await?;
        let counted = site.gateway.stats().await?.sum("modelgate_requests_total", &[]);
        Ok((counted > 0.0).then_some(()))
    })
    .await?;
    site.models.iris.forget();
    for request in &requests {
        site.gateway.expect(request.clone(), 200, "ndarray").await?;
    }
    let after: Vec<_> = site.models.iris.received().iter().map(seen).collect();
    ensure!(before == after, "it was changed:\n{before:?}\n{after:?}");
    // Not rewritten: Seldon has no such route.
    site.gateway.expect(predict().bearer(&scientist()?), 404, "").await?;
    let iris = |decision| [("model", "prod/iris"), ("decision", decision)];
    site.gateway.counted("modelgate_requests_total", &iris("allowed"), 2.0).await?;
    let stats = site.gateway.stats().await?;
    let page: Vec<_> = stats.starting_with("modelgate_requests_total").collect();
    stats
        .select("modelgate_requests_total", &iris("denied"))
        .next()
        .with_context(|| format!("{page:?}"))?;
    ensure!(site.models.retrained.received().is_empty(), "a shadow got a copy");
    site.gateway.check_healthy().await
}
