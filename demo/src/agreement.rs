//! What the gateway's metrics say about a shadow, as `modelgate report` shows it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use modelgate_cli::report::counts::{Counts, count};
use modelgate_cli::report::figures::Figures;
use modelgate_cli::report::interval::Confidence;
use modelgate_cli::report::{samples, text};
use testbed::envoy::Envoy;
use testbed::wait::until;

/// The shadow of the shipped resource.
const SHADOW: &str = "iris-v2";

/// The module counts once a second, and Envoy merges histograms each five seconds.
const COUNTED: Duration = Duration::from_secs(20);

/// As soon as every copy has its outcome and its latencies, and at least `selected` are chosen.
pub async fn settled(envoy: &Envoy, selected: f64) -> Result<Counts> {
    until("every copy to have its outcome in the metrics", COUNTED, async || {
        let now = read(&envoy.admin("/stats/prometheus").await?)?;
        let measured = now.shadow.count().min(now.live.count()) >= now.compared();
        let ended = now.ended() >= now.selected;
        Ok((now.selected >= selected && ended && measured).then_some(now))
    })
    .await
}

fn read(page: &str) -> Result<Counts> {
    let samples = samples::parse(page).context("the gateway's metrics")?;
    Ok(count(&[samples])?.remove(SHADOW).unwrap_or_default().shadow)
}

/// The report's table.
pub fn table(counts: &Counts) -> Vec<String> {
    let confidence = Confidence::Ninety5;
    text::table(&Figures::new(counts.clone(), confidence), confidence)
}
