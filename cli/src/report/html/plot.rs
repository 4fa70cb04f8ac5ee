//! Plots as SVG within the page. Each says in words what it shows, and its numbers are text.

use maud::{Markup, html};

use crate::report::histogram::Bucket;
use crate::report::interval::Estimate;
use crate::report::text::number;
use crate::report::words::short;

const WIDTH: f64 = 800.0;
/// Of a row of bars or intervals.
const ROW: f64 = 28.0;
/// Where bars begin, after their names.
const LEFT: f64 = 140.0;
/// Where they end, before their numbers.
const RIGHT: f64 = 680.0;

/// An interval and the value in it.
#[derive(Debug)]
pub struct Interval<'a> {
    pub name: &'a str,
    pub class: &'a str,
    pub estimate: Estimate,
}

/// A distribution.
#[derive(Debug)]
pub struct Series<'a> {
    pub name: &'a str,
    pub class: &'a str,
    /// With shares as counts.
    pub columns: Vec<Bucket>,
}

fn figure(caption: &str, height: f64, drawing: &Markup) -> Markup {
    html! {
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(caption) { (drawing) }
            figcaption { (caption) }
        }
    }
}

/// A bar for each count, with its share of them all.
pub fn bars(caption: &str, kind: &str, counts: &[(&str, f64)], of: f64) -> Markup {
    let most = counts.iter().map(|(_, count)| *count).fold(1.0, f64::max);
    let drawing = html! {
        @for (row, (name, count)) in counts.iter().enumerate() {
            @let y = row as f64 * ROW;
            g data-figure={ (kind) "-" (name) } data-value=(count) {
                text x="0" y=(y + 18.0) { (name) }
                rect.bar.shadow x=(LEFT) y=(y + 5.0) height="17"
                    width=(round((RIGHT - LEFT) * count / most)) {}
                text x=(RIGHT + 8.0) y=(y + 18.0) {
                    (number(*count)) " (" (short((count / of.max(1.0) * 1000.0).round() / 10.0)) " %)"
                }
            }
        }
    };
    figure(caption, counts.len() as f64 * ROW, &drawing)
}

/// Shares with their intervals, on an axis that ends at 1 and begins where there is something to see.
pub fn intervals(caption: &str, rows: &[Interval<'_>]) -> Markup {
    let least = rows.iter().map(|row| row.estimate.lower).fold(1.0, f64::min);
    let start = ((least - 0.01) * 20.0).floor().clamp(0.0, 19.0) / 20.0;
    let x = |share: f64| round(LEFT + (RIGHT - LEFT) * (share - start) / (1.0 - start));
    let height = rows.len() as f64 * ROW;
    let drawing = html! {
        @for (row, Interval { name, class, estimate }) in rows.iter().enumerate() {
            @let y = row as f64 * ROW + 14.0;
            text x="0" y=(y + 4.0) { (name) }
            line class=(class) x1=(x(estimate.lower)) x2=(x(estimate.upper.unwrap_or(1.0))) y1=(y) y2=(y)
                stroke-width="3" {}
            circle class=(class) cx=(x(estimate.value)) cy=(y) r="6" {}
            text x=(RIGHT + 12.0) y=(y + 4.0) { (short((estimate.value * 1e4).round() / 1e4)) }
        }
        line.axis x1=(LEFT) x2=(RIGHT) y1=(height + 4.0) y2=(height + 4.0) {}
        @for step in 0..=5 {
            @let share = start + (1.0 - start) * f64::from(step) / 5.0;
            text.faint x=(x(share)) y=(height + 22.0) text-anchor="middle" { (short(share)) }
        }
    };
    figure(caption, height + 30.0, &drawing)
}

/// Columns side by side, one group for each bucket between the first and the last that holds any.
pub fn columns(caption: &str, series: &[Series<'_>]) -> Markup {
    const HEIGHT: f64 = 200.0;
    const TOP: f64 = 24.0;
    let filled = |at: &usize| {
        series.iter().any(|s| s.columns.get(*at).is_some_and(|bucket| bucket.count > 0.0))
    };
    let all = series.iter().map(|s| s.columns.len()).max().unwrap_or(0);
    let first = (0..all).find(filled).unwrap_or(0);
    let shown = (0..all).rfind(filled).map_or(0, |last| last + 1 - first);
    let most = series.iter().flat_map(|s| &s.columns).map(|b| b.count).fold(0.01, f64::max);
    let group = WIDTH / shown.max(1) as f64;
    // A few buckets are not drawn as walls.
    let width = (group * 0.8 / series.len().max(1) as f64).min(60.0);
    let drawing = html! {
        @for (nth, s) in series.iter().enumerate() {
            @let x = nth as f64 * 110.0;
            rect class={ "bar " (s.class) } x=(x) y="2" width="12" height="12" {}
            text x=(x + 18.0) y="13" { (s.name) }
            @for (at, bucket) in s.columns.iter().skip(first).take(shown).enumerate() {
                @let height = round((HEIGHT - TOP) * bucket.count / most);
                @let middle = (at as f64 + 0.5) * group;
                @let x = middle + (nth as f64 - series.len() as f64 / 2.0) * width;
                rect class={ "bar " (s.class) } x=(round(x)) y=(HEIGHT - height) width=(round(width - 1.0))
                    height=(height) {
                    title { (s.name) ", " (range(bucket)) ": " (short((bucket.count * 1000.0).round() / 10.0)) " %" }
                }
            }
        }
        line.axis x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
        @if let Some(s) = series.iter().max_by_key(|s| s.columns.len()) {
            @for (at, bucket) in s.columns.iter().skip(first).take(shown).enumerate() {
                text.faint x=(round((at as f64 + 0.5) * group)) y=(HEIGHT + 18.0) text-anchor="middle" {
                    (range(bucket))
                }
            }
        }
    };
    figure(caption, HEIGHT + 26.0, &drawing)
}

fn range(bucket: &Bucket) -> String {
    if bucket.upper.is_infinite() {
        format!("> {}", short(bucket.lower))
    } else {
        format!("≤ {}", short(bucket.upper))
    }
}

/// A tenth of a pixel is fine enough.
fn round(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}
