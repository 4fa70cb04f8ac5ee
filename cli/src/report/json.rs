//! A report for programs.

use serde_json::{Map, Value, json};

use super::figures::{Figures, QUANTILES, Quantiles};
use super::histogram::Histogram;
use super::interval::{Confidence, Estimate, Share};
use super::{Report, Since};

/// The whole report. What is not known is null.
pub fn report(report: &Report) -> Value {
    let shadows = report.shadows.iter().map(|shadow| {
        let mut value = figures(&shadow.figures, report.confidence);
        value.insert("name".to_owned(), json!(shadow.name));
        let baseline = shadow.baseline.as_ref().map(|b| figures(b, report.confidence));
        value.insert("baseline".to_owned(), json!(baseline));
        value.insert("advice".to_owned(), json!(shadow.advice));
        Value::Object(value)
    });
    let requirements = report.verdict.iter().map(|judgement| {
        let mut value = json!({
            "shadow": judgement.shadow,
            "requirement": judgement.requirement,
            "value": judgement.found.map(|found| found.value),
            "met": judgement.met,
        });
        if let Some(most) = judgement.found.and_then(|f| f.most.filter(|most| *most > f.value))
            && let Value::Object(map) = &mut value
        {
            map.insert("atMost".to_owned(), json!(most));
        }
        open(value, judgement.found.is_some_and(|found| found.most.is_none()))
    });
    json!({
        "sources": report.sources,
        "since": report.since.as_ref().map(|since| match since {
            Since::Window(window) => json!(window.to_string()),
            Since::Pages(pages) => json!(pages),
        }),
        "confidence": f64::from(report.confidence.percent()) / 100.0,
        "shadows": shadows.collect::<Vec<_>>(),
        "warnings": report.warnings,
        "verdict": {"met": report.is_met(), "requirements": requirements.collect::<Vec<_>>()},
    })
}

fn figures(figures: &Figures, confidence: Confidence) -> Map<String, Value> {
    let counts = &figures.counts;
    let share = |share: Share| {
        let estimate = share.estimate(confidence);
        let mut value = json!({"count": number(share.count), "of": number(share.of), "share": estimate.map(self::estimate)});
        if share.unknown > 0.0
            && let Value::Object(map) = &mut value
        {
            map.insert("unknown".to_owned(), number(share.unknown));
        }
        value
    };
    let by_name = |counts: &std::collections::BTreeMap<String, f64>| {
        counts.iter().map(|(name, count)| (name.clone(), number(*count))).collect::<Map<_, _>>()
    };
    let distribution = |quantiles: &Quantiles, histogram: &Histogram, unit: f64| {
        let mut value = self::quantiles(quantiles);
        value.insert("count".to_owned(), number(histogram.count()));
        value.insert("buckets".to_owned(), buckets(histogram, unit));
        value
    };
    let value = json!({
        "selected": number(counts.selected),
        "inFlight": number(figures.in_flight),
        "compared": number(figures.agreement.of),
        "outcomes": by_name(&counts.outcomes),
        "differences": by_name(&counts.differences),
        "agreement": share(figures.agreement),
        "classChanges": share(figures.class_changes),
        "failures": share(figures.failures),
        "drops": share(figures.drops),
        "milliseconds": {
            "live": distribution(&figures.live, &counts.live, 1.0),
            "shadow": distribution(&figures.shadow, &counts.shadow, 1.0),
            "ratio": quantiles(&figures.ratio),
        },
        "scoreDifference": distribution(&figures.moved, &counts.moved, 1e6),
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn quantiles(quantiles: &Quantiles) -> Map<String, Value> {
    let named = QUANTILES.iter().zip(quantiles);
    named.map(|((name, _), q)| ((*name).to_owned(), json!(q.map(estimate)))).collect()
}

fn estimate(estimate: Estimate) -> Value {
    let Estimate { value, lower, upper, at_least } = estimate;
    open(json!({"value": value, "lower": lower, "upper": upper}), at_least)
}

/// `atLeast` where the value is that and nothing says how much more.
fn open(mut value: Value, at_least: bool) -> Value {
    if at_least && let Value::Object(map) = &mut value {
        map.insert("atLeast".to_owned(), json!(true));
    }
    value
}

/// Observations by the bucket's upper bound, null for the last, of those that hold any.
fn buckets(histogram: &Histogram, unit: f64) -> Value {
    let filled = histogram.buckets().filter(|bucket| bucket.count > 0.0);
    filled.map(|b| json!({"upTo": b.upper / unit, "count": number(b.count)})).collect()
}

/// Whole where it is whole: a count of 3 is `3`, not `3.0`.
fn number(count: f64) -> Value {
    if count.fract() == 0.0 && count.abs() < 9e15 { json!(count as i64) } else { json!(count) }
}
