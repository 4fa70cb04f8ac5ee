//! What the gateway's metrics say about a shadow, as a table.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use testbed::envoy::Envoy;
use testbed::stats::Stats;
use testbed::wait::until;

/// The shadow of the shipped resource.
const SHADOW: [(&str, &str); 1] = [("shadow", "iris-v2")];

/// The module counts once a second, and Envoy merges histograms each five seconds.
const COUNTED: Duration = Duration::from_secs(20);

/// Counters and histograms of the shadow at one time, or between two.
#[derive(Debug, Default, Clone)]
pub struct Counted {
    selected: f64,
    outcomes: BTreeMap<String, f64>,
    differences: BTreeMap<String, f64>,
    live: Latencies,
    shadow: Latencies,
}

impl Counted {
    /// As soon as every copy has its outcome and its latencies, and at least `selected` are chosen.
    pub async fn settled(envoy: &Envoy, selected: f64) -> Result<Self> {
        until("every copy to have its outcome in the metrics", COUNTED, async || {
            let now = Self::read(&envoy.stats().await?);
            let ended: f64 = now.outcomes.values().sum();
            let measured = now.shadow.count >= now.compared() && now.live.count >= now.compared();
            Ok((now.selected >= selected && ended >= now.selected && measured).then_some(now))
        })
        .await
    }

    fn read(stats: &Stats) -> Self {
        let by = |metric: &str, label: &str| {
            let mut counts = BTreeMap::new();
            for sample in stats.select(metric, &SHADOW) {
                let value = sample.labels.get(label).cloned().unwrap_or_default();
                *counts.entry(value).or_default() += sample.value;
            }
            counts
        };
        Self {
            selected: stats.sum("modelgate_shadow_selected_total", &SHADOW),
            outcomes: by("modelgate_shadow_outcomes_total", "outcome"),
            differences: by("modelgate_shadow_differences_total", "kind"),
            live: Latencies::read(stats, "modelgate_shadow_live_milliseconds"),
            shadow: Latencies::read(stats, "modelgate_shadow_milliseconds"),
        }
    }

    /// What was counted since.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            selected: self.selected - before.selected,
            outcomes: minus(&self.outcomes, &before.outcomes),
            differences: minus(&self.differences, &before.differences),
            live: self.live.since(&before.live),
            shadow: self.shadow.since(&before.shadow),
        }
    }

    /// Requests that were chosen for a copy.
    pub fn selected(&self) -> f64 {
        self.selected
    }

    /// Copies with this outcome.
    pub fn outcome(&self, name: &str) -> f64 {
        self.outcomes.get(name).copied().unwrap_or_default()
    }

    /// Mismatches of this kind.
    pub fn kind(&self, name: &str) -> f64 {
        self.differences.get(name).copied().unwrap_or_default()
    }

    /// Copies whose answer was compared.
    fn compared(&self) -> f64 {
        self.outcome("matched") + self.outcome("mismatched")
    }

    /// Outcomes, kinds of mismatches, latencies.
    pub fn table(&self) -> Vec<String> {
        let mut lines = vec![format!("{:<24}{:>6.0}", "copied", self.selected)];
        for (outcome, count) in self.outcomes.iter().filter(|(_, count)| **count > 0.0) {
            let share = count / self.selected.max(1.0);
            let bar = "█".repeat((share * 40.0).round() as usize);
            lines.push(format!("{outcome:<24}{count:>6.0}  {:>5.1} %  {bar}", share * 100.0));
            if outcome == "mismatched" {
                for (kind, count) in self.differences.iter().filter(|(_, count)| **count > 0.0) {
                    lines.push(format!("  {kind:<22}{count:>6.0}           {}", meaning(kind)));
                }
            }
        }
        lines.push(String::new());
        lines.push(format!("{:<24}{:>6}{:>8}{:>8}", "milliseconds", "mean", "p50", "p95"));
        for (name, latencies) in [("live", &self.live), ("shadow", &self.shadow)] {
            let mean = milliseconds(latencies.sum / latencies.count.max(1.0));
            let [p50, p95] = [0.5, 0.95].map(|q| milliseconds(latencies.quantile(q)));
            lines.push(format!("{name:<24}{mean:>6}{p50:>8}{p95:>8}"));
        }
        lines
    }
}

/// The gateway measures in whole milliseconds.
fn milliseconds(value: f64) -> String {
    if value < 1.0 { "< 1".to_owned() } else { format!("{value:.0}") }
}

/// What a kind of mismatch means.
fn meaning(kind: &str) -> &'static str {
    match kind {
        "class" => "another decision",
        "score" => "the same decision, with another score",
        "status" => "another status",
        "shape" => "another number of values",
        "missing" | "extra" => "a field that only one of them has",
        _ => "",
    }
}

/// A histogram.
#[derive(Debug, Default, Clone)]
struct Latencies {
    /// Upper bounds and how many were at most that, in order.
    buckets: Vec<(f64, f64)>,
    sum: f64,
    count: f64,
}

impl Latencies {
    fn read(stats: &Stats, name: &str) -> Self {
        let mut buckets: Vec<(f64, f64)> = stats
            .select(&format!("{name}_bucket"), &SHADOW)
            .filter_map(|sample| {
                let bound = match sample.labels.get("le")?.as_str() {
                    "+Inf" => f64::INFINITY,
                    bound => bound.parse().ok()?,
                };
                Some((bound, sample.value))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self {
            buckets,
            sum: stats.sum(&format!("{name}_sum"), &SHADOW),
            count: stats.sum(&format!("{name}_count"), &SHADOW),
        }
    }

    fn since(&self, before: &Self) -> Self {
        let earlier = |bound: f64| {
            before.buckets.iter().find(|(b, _)| *b == bound).map_or(0.0, |(_, count)| *count)
        };
        Self {
            buckets: self.buckets.iter().map(|(b, count)| (*b, count - earlier(*b))).collect(),
            sum: self.sum - before.sum,
            count: self.count - before.count,
        }
    }

    /// Within the bucket that holds it, as Prometheus's `histogram_quantile` does.
    fn quantile(&self, quantile: f64) -> f64 {
        let rank = quantile * self.count;
        let (mut lower, mut below) = (0.0, 0.0);
        for &(upper, count) in &self.buckets {
            if count >= rank && count > below {
                if upper.is_infinite() {
                    break;
                }
                return lower + (upper - lower) * (rank - below) / (count - below);
            }
            (lower, below) = (upper, count);
        }
        lower
    }
}

fn minus(now: &BTreeMap<String, f64>, before: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let earlier = |name: &String| before.get(name).copied().unwrap_or_default();
    now.iter().map(|(name, value)| (name.clone(), value - earlier(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"
modelgate_shadow_selected_total{shadow="iris-v2"} 10
modelgate_shadow_outcomes_total{shadow="iris-v2",outcome="matched"} 8
modelgate_shadow_outcomes_total{shadow="iris-v2",outcome="mismatched"} 2
modelgate_shadow_differences_total{shadow="iris-v2",kind="class"} 2
modelgate_shadow_milliseconds_bucket{shadow="iris-v2",le="10"} 0
modelgate_shadow_milliseconds_bucket{shadow="iris-v2",le="20"} 5
modelgate_shadow_milliseconds_bucket{shadow="iris-v2",le="+Inf"} 10
modelgate_shadow_milliseconds_sum{shadow="iris-v2"} 250
modelgate_shadow_milliseconds_count{shadow="iris-v2"} 10
"#;

    #[test]
    fn reads_the_metrics() {
        let counted = Counted::read(&Stats::parse(PAGE));
        assert_eq!((counted.selected(), counted.outcome("matched")), (10.0, 8.0));
        assert_eq!((counted.kind("class"), counted.compared()), (2.0, 10.0));
        assert_eq!(counted.shadow.quantile(0.5), 20.0);
        assert_eq!(counted.shadow.quantile(0.25), 15.0);
        assert_eq!(counted.shadow.quantile(0.9), 20.0);
        assert_eq!(counted.since(&counted).selected(), 0.0);
        let table = counted.table().join("\n");
        assert!(table.contains("matched") && table.contains("80.0 %"), "{table}");
    }
}
