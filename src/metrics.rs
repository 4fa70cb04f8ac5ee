//! Metrics, kept in the module and handed to the proxy once a second.

use modelgate_engine::few::FewMap;
use modelgate_engine::pipeline::Plan;
use modelgate_engine::shadow::Gauges;
use modelgate_engine::telemetry::{
    CallerLabel, Count, Counters, Gauge, Histogram, Labels, ModelLabel, Names as _, build_info,
};
use modelgate_engine::time::{self, SECOND};
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use crate::host;

/// The metrics of one worker under one configuration.
#[derive(Debug)]
pub struct Metrics {
    counters: Counters,
    labels: Labels,
    /// By the index of a shadow, or of a model's label.
    histograms: FewMap<(usize, Histogram), Option<u32>>,
    /// A gauge's id, and what this worker has added to it.
    gauges: FewMap<(usize, Gauge), (Option<u32>, i64)>,
    flushed: u64,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(plan: &Plan, now: u64) -> Self {
        if let Ok(id) = hostcalls::define_metric(MetricType::Gauge, &build_info()) {
            let _ = hostcalls::record_metric(id, 1);
        }
        Self {
            counters: Counters::starting(
                plan.remotes().iter().count(),
                plan.shadows().iter().count(),
                plan.quotas(),
                plan.variants(),
            ),
            labels: plan.labels(),
            histograms: FewMap::default(),
            gauges: FewMap::default(),
            flushed: now,
        }
    }

    /// Adds one.
    pub fn count(&mut self, count: Count) {
        self.add(count, 1);
    }

    /// Adds so many.
    pub fn add(&mut self, count: Count, times: u32) {
        self.counters.add(count, times);
    }

    /// The label of a model. `answered` is asked only for a model that could earn one: whether an
    /// upstream has just answered for it with 2xx.
    pub fn model(&mut self, id: &str, answered: impl FnOnce() -> bool) -> ModelLabel {
        self.labels.models.of(id, || answered().then(host::now))
    }

    /// The label of what a claim says of a caller.
    pub fn caller(&mut self, value: Option<&str>) -> CallerLabel {
        self.labels.callers.of(value)
    }

    /// Records an observation of a shadow's pair.
    pub fn observe(&mut self, plan: &Plan, shadow: usize, histogram: Histogram, value: u64) {
        record(&mut self.histograms, (shadow, histogram), name(plan, shadow), value);
    }

    /// Records an observation of a model's answer.
    pub fn observe_model(&mut self, model: ModelLabel, histogram: Histogram, value: u64) {
        let index = usize::try_from(model.index()).unwrap_or(usize::MAX);
        record(&mut self.histograms, (index, histogram), self.labels.models.name(model), value);
    }

    /// Tells what a shadow holds. Workers share a gauge, so each adds its own change.
    pub fn gauge(&mut self, plan: &Plan, shadow: usize, now: Gauges) {
        let values = [(Gauge::InFlight, now.in_flight), (Gauge::BufferedBytes, now.buffered_bytes)];
        for (gauge, value) in values {
            let entry = self.gauges.entry((shadow, gauge), || {
                (
                    hostcalls::define_metric(MetricType::Gauge, &gauge.name(name(plan, shadow)))
                        .ok(),
                    0,
                )
            });
            let Some((metric, told)) = entry else { continue };
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            if let Some(metric) = metric
                && value != *told
            {
                let _ = hostcalls::increment_metric(*metric, value.saturating_sub(*told));
                *told = value;
            }
        }
    }

    /// When counts are handed to the proxy again: each is a host call, and nobody reads them sooner.
    pub fn due(&self, now: u64) -> u64 {
        time::due(self.flushed, SECOND, now)
    }

    /// Hands all pending counts to the proxy.
    pub fn flush(&mut self, plan: &Plan, now: u64) {
        self.flushed = now;
        self.counters.flush(
            &self.labels,
            plan,
            |name| hostcalls::define_metric(MetricType::Counter, name).ok(),
            |id, n| {
                let _ = hostcalls::increment_metric(id, i64::try_from(n).unwrap_or(i64::MAX));
            },
        );
    }
}

fn record(
    histograms: &mut FewMap<(usize, Histogram), Option<u32>>,
    key: (usize, Histogram),
    of: &str,
    value: u64,
) {
    let metric = histograms
        .entry(key, || hostcalls::define_metric(MetricType::Histogram, &key.1.name(of)).ok());
    if let Some(Some(metric)) = metric {
        // A metric that the host has lost is nothing to stop a request for; nor are those below.
        let _ = hostcalls::record_metric(*metric, value);
    }
}

fn name(plan: &Plan, shadow: usize) -> &str {
    plan.shadow(u32::try_from(shadow).unwrap_or(u32::MAX))
}
