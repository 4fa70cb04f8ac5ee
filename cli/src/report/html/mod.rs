//! A report as one page that needs nothing else: no script, no font, no picture from elsewhere.
//!
//! Each figure is a `data` element with its exact `value` and its name as `data-figure`, below an
//! `article` with the shadow's name as `data-shadow`: what a reader sees, a program can read.

mod plot;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::plot::{Interval, Series, bars, columns, intervals};
use super::figures::{Figures, QUANTILES, Quantiles};
use super::histogram::{Bucket, Histogram};
use super::interval::{Confidence, Share};
use super::require::{Found, Judgement};
use super::text::number;
use super::words::short;
use super::{Report, Shadow, Since};

const STYLE: &str = include_str!("style.css");

/// Nothing may be loaded, whatever a name in the metrics says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole page.
pub fn report(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "Shadow report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "Shadow report" }
                    p.faint {
                        "From " (report.sources.join(", "))
                        @match &report.since {
                            Some(Since::Window(window)) => { ", the last " (window) }
                            Some(Since::Pages(pages)) => { ", since " (pages.join(", ")) }
                            None => {}
                        }
                        ". Intervals hold with " (report.confidence.percent()) " % confidence."
                    }
                    (verdict(report))
                    @if report.shadows.is_empty() {
                        p { "The metrics hold no shadow." }
                    }
                    @for shadow in &report.shadows { (article(shadow, report.confidence)) }
                }
            }
        }
    };
    page.into_string()
}

fn verdict(report: &Report) -> Markup {
    let row = |judgement: &Judgement| {
        html! {
            tr {
                td { (judgement.shadow.as_deref().unwrap_or("no shadow")) }
                td { (judgement.requirement) }
                td { (Found::shown(judgement.found)) }
                td class=(met(judgement.met).0) { (met(judgement.met).1) }
            }
        }
    };
    html! {
        @if !report.verdict.is_empty() {
            section data-met=(report.is_met().map_or("unknown".to_owned(), |met| met.to_string())) {
                @match report.is_met() {
                    Some(is) => h2 class=(met(is).0) { "Requirements " (met(is).1) },
                    None => {
                        h2 class=(met(false).0) { "Requirements: not known" }
                        p { (super::text::UNKNOWN) }
                        ul { @for warning in &report.warnings { li { (warning) } } }
                    }
                }
                table {
                    thead { tr {
                        th scope="col" { "shadow" } th scope="col" { "requirement" }
                        th scope="col" { "found" } th scope="col" { "verdict" }
                    } }
                    tbody { @for judgement in &report.verdict { (row(judgement)) } }
                }
            }
        }
    }
}

fn met(met: bool) -> (&'static str, &'static str) {
    if met { ("met", "met") } else { ("unmet", "not met") }
}

fn article(shadow: &Shadow, confidence: Confidence) -> Markup {
    let figures = &shadow.figures;
    html! {
        article data-shadow=(shadow.name) {
            h2 { "Shadow " (shadow.name) }
            p {
                (figure("selected", figures.counts.selected)) " requests chosen, "
                (figure("compared", figures.agreement.of)) " answers compared, "
                (figure("in-flight", figures.in_flight)) " in flight."
            }
            @if !shadow.advice.is_empty() {
                h3 { "What to do" }
                ul { @for advice in &shadow.advice { li { (advice) } } }
            }
            (agreement(shadow, confidence))
            (outcomes(figures))
            (differences(figures))
            (latency(figures))
            (scores(figures))
            @if let Some(baseline) = &shadow.baseline { (self::baseline(baseline, confidence)) }
        }
    }
}

/// A number that a program can read.
fn figure(name: &str, value: f64) -> Markup {
    html! { data data-figure=(name) value=(value) { (number(value)) } }
}

fn agreement(shadow: &Shadow, confidence: Confidence) -> Markup {
    let figures = &shadow.figures;
    let mut rows = vec![("shadow", "shadow", figures.agreement)];
    if let Some(baseline) = &shadow.baseline {
        rows.push(("baseline", "live", baseline.agreement));
    }
    let rows = rows.into_iter().filter_map(|(name, class, share)| {
        Some(Interval { name, class, estimate: share.estimate(confidence)? })
    });
    html! {
        h3 { "Agreement" }
        (intervals("Share of compared answers that agree", &rows.collect::<Vec<_>>()))
        (shares("Shares", figures, confidence))
    }
}

fn shares(caption: &str, figures: &Figures, confidence: Confidence) -> Markup {
    let row = |title: &str, name: &str, share: Share| {
        html! {
            tr {
                th scope="row" { (title) }
                @match share.estimate(confidence) {
                    None => { td { "unknown" } td {} }
                    Some(estimate) => {
                        td { data data-figure=(name) value=(estimate.value) {
                            (percent(estimate.value))
                        } }
                        td {
                            data data-figure={ (name) "-lower" } value=(estimate.lower) {
                                (percent(estimate.lower))
                            }
                            " – " (percent(estimate.upper.unwrap_or(1.0)))
                        }
                    }
                }
                td { (number(share.count)) " of " (number(share.of)) }
            }
        }
    };
    html! {
        table {
            caption { (caption) }
            thead { tr {
                th scope="col" {} th scope="col" { "share" } th scope="col" { "interval" }
                th scope="col" { "counted" }
            } }
            tbody {
                (row("agreement", "agreement", figures.agreement))
                (row("class changes", "class-changes", figures.class_changes))
                (row("failures", "failures", figures.failures))
                (row("drops", "drops", figures.drops))
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn outcomes(figures: &Figures) -> Markup {
    html! {
        h3 { "Outcomes" }
        (bars(
            "What became of the copies",
            "outcome",
            &figures.counts.by_outcome(),
            figures.counts.ended(),
        ))
    }
}

fn differences(figures: &Figures) -> Markup {
    let mut kinds = figures.counts.by_kind();
    kinds.retain(|(_, count)| *count > 0.0);
    html! {
        @if !kinds.is_empty() {
            h3 { "Kinds of differences" }
            (bars(
                "Answers that differ in this way, of those compared; one can differ in several",
                "difference",
                &kinds,
                figures.agreement.of,
            ))
        }
    }
}

fn latency(figures: &Figures) -> Markup {
    let counts = &figures.counts;
    let whole = |bound: f64| bound;
    html! {
        @if counts.live.count() > 0.0 || counts.shadow.count() > 0.0 {
            h3 { "Latency" }
            (columns("Share of the answers by milliseconds", &[
                Series { name: "live", class: "live", columns: shares_by_bucket(&counts.live, whole) },
                Series { name: "shadow", class: "shadow", columns: shares_by_bucket(&counts.shadow, whole) },
            ]))
            (quantiles("Milliseconds, interpolated within the bucket", &[
                ("live", "live", &figures.live),
                ("shadow", "shadow", &figures.shadow),
                ("shadow / live", "ratio", &figures.ratio),
            ]))
        }
    }
}

fn scores(figures: &Figures) -> Markup {
    let moved = &figures.counts.moved;
    let unit = |bound: f64| bound / 1e6;
    html! {
        @if moved.count() > 0.0 {
            h3 { "Score differences" }
            (columns("Share of the answers by the largest difference of two scores", &[
                Series { name: "shadow", class: "shadow", columns: shares_by_bucket(moved, unit) },
            ]))
            (quantiles("How far scores moved, interpolated within the bucket", &[
                ("moved by", "score", &figures.moved),
            ]))
        }
    }
}

/// By bounds in the unit of the plot.
fn shares_by_bucket(histogram: &Histogram, unit: impl Fn(f64) -> f64) -> Vec<Bucket> {
    let all = histogram.count().max(1.0);
    let share =
        |b: Bucket| Bucket { lower: unit(b.lower), upper: unit(b.upper), count: b.count / all };
    histogram.buckets().map(share).collect()
}

fn quantiles(caption: &str, rows: &[(&str, &str, &Quantiles)]) -> Markup {
    let cell = |name: &str, at: &str, quantile: Option<super::interval::Estimate>| {
        html! {
            td {
                @if let Some(quantile) = quantile {
                    data data-figure={ (name) "-" (at) } value=(quantile.value)
                        data-at-least[quantile.at_least] {
                        @if quantile.at_least { "> " }
                        (short((quantile.value * 1e4).round() / 1e4))
                    }
                    span.faint {
                        " (" (short(quantile.lower))
                        @match quantile.upper {
                            Some(upper) => { " – " (short(upper)) ")" }
                            None => { " or more)" }
                        }
                    }
                } @else { "unknown" }
            }
        }
    };
    html! {
        table {
            caption { (caption) }
            thead { tr {
                th scope="col" {}
                @for (name, _) in QUANTILES { th scope="col" { (name) } }
            } }
            tbody {
                @for (title, name, row) in rows {
                    tr {
                        th scope="row" { (title) }
                        @for ((at, _), quantile) in QUANTILES.iter().zip(*row) {
                            (cell(name, at, *quantile))
                        }
                    }
                }
            }
        }
    }
}

/// Its figures are those of another comparison: a section without `data` of the shadow's names.
fn baseline(figures: &Figures, confidence: Confidence) -> Markup {
    html! {
        h3 { "Baseline: the live model against itself" }
        p {
            (number(figures.counts.selected)) " requests chosen, " (number(figures.agreement.of))
            " answers compared."
        }
        table {
            caption { "Shares" }
            tbody {
                @for (title, share) in [
                    ("agreement", figures.agreement),
                    ("class changes", figures.class_changes),
                    ("failures", figures.failures),
                    ("drops", figures.drops),
                ] {
                    tr {
                        th scope="row" { (title) }
                        td { (share.estimate(confidence).map_or("unknown".to_owned(), |e| percent(e.value))) }
                        td { (number(share.count)) " of " (number(share.of)) }
                    }
                }
            }
        }
    }
}
