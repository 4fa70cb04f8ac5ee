//! A picture of the dashboard, drawn from what Prometheus answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use crate::dashboard::place;
use crate::documents::text;

/// Pixels of the grid.
const COLUMN: f64 = 50.0;
const ROW: f64 = 26.0;
const GAP: f64 = 6.0;

/// Lines that a legend has room for.
const NAMED: usize = 4;

const COLORS: [&str; 10] = [
    "#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d",
    "#ffa6b0", "#c0d8ff",
];

/// A series over time, by seconds.
pub struct Line {
    name: String,
    values: Vec<(f64, f64)>,
}

impl Line {
    /// What Prometheus answered, named as Grafana names it.
    pub fn of(series: &Value, legend: &str) -> Self {
        let mut name = legend.to_owned();
        let metric = series.get("metric").and_then(Value::as_object);
        for (label, value) in metric.into_iter().flatten() {
            name = name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default());
        }
        // Labels that a series does not have.
        while let Some((before, after)) = name.split_once("{{") {
            name = format!("{before}{}", after.split_once("}}").map_or("", |(_, after)| after));
        }
        let pairs = series.get("values").and_then(Value::as_array).into_iter().flatten();
        let values = pairs.filter_map(|pair| {
            let at = pair.get(0).and_then(Value::as_f64)?;
            Some((at, pair.get(1).and_then(Value::as_str)?.parse().ok()?))
        });
        Self { name, values: values.collect() }
    }

    /// Whether there is anything to see.
    pub fn has_numbers(&self) -> bool {
        self.values.iter().any(|(_, value)| value.is_finite())
    }

    fn last(&self) -> f64 {
        self.finite().last().map_or(0.0, |(_, value)| value)
    }

    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        self.values.iter().copied().filter(|(_, value)| value.is_finite())
    }
}

/// A panel of the dashboard.
pub struct Panel {
    title: String,
    kind: String,
    unit: String,
    is_stacked: bool,
    place: [u64; 4],
    lines: Vec<Line>,
}

impl Panel {
    /// A panel with its series; those with most to show first.
    pub fn of(panel: &Value, mut lines: Vec<Line>) -> Result<Self> {
        let of = |pointer: &str| {
            panel.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let sum = |line: &Line| line.finite().map(|(_, value)| value).sum::<f64>();
        lines.sort_by(|a, b| sum(b).total_cmp(&sum(a)));
        Ok(Self {
            title: text(panel, "title")?.to_owned(),
            kind: text(panel, "type")?.to_owned(),
            unit: of("/fieldConfig/defaults/unit"),
            is_stacked: of("/fieldConfig/defaults/custom/stacking/mode") == "normal",
            place: place(panel)?,
            lines,
        })
    }

    fn draw(&self, out: &mut String, start: f64, span: f64) {
        let [x, y, w, h] = self.place.map(|n| n as f64);
        let (x, y) = (x * COLUMN + GAP, y * ROW + GAP);
        let (w, h) = (w * COLUMN - GAP, h * ROW - GAP);
        let title = escaped(&self.title);
        if self.kind == "row" {
            let _ = writeln!(
                out,
                r##"<text x="{x:.0}" y="{:.0}" fill="#d8d9da" font-size="14" font-weight="bold">{title}</text>"##,
                y + 14.0
            );
            return;
        }
        let _ = writeln!(
            out,
            r##"<rect x="{x:.0}" y="{y:.0}" width="{w:.0}" height="{h:.0}" rx="2" fill="#181b1f" stroke="#2c3235"/>"##
        );
        let _ = writeln!(
            out,
            r##"<text x="{:.0}" y="{:.0}" fill="#d8d9da" font-size="12">{title}</text>"##,
            x + 8.0,
            y + 17.0
        );
        if self.kind == "stat" {
            let shown: Vec<String> = self
                .lines
                .iter()
                .take(2)
                .map(|line| match self.lines.len() {
                    1 => shown(line.last(), &self.unit),
                    _ => format!("{} {}", line.name, shown(line.last(), &self.unit)),
                })
                .collect();
            let size = if shown.len() == 1 { 30 } else { 16 };
            for (i, text) in shown.iter().enumerate() {
                let y = y + h / 2.0 + 16.0 + 20.0 * i as f64;
                let _ = writeln!(
                    out,
                    r##"<text x="{:.0}" y="{y:.0}" fill="#73bf69" font-size="{size}" text-anchor="middle">{}</text>"##,
                    x + w / 2.0,
                    escaped(text)
                );
            }
            return;
        }
        let named = self.lines.len().min(NAMED);
        let plot = (x + 58.0, y + 28.0, w - 68.0, h - 40.0 - 14.0 * named as f64);
        self.plot(out, plot, start, span);
        for (i, line) in self.lines.iter().take(NAMED).enumerate() {
            let at = y + h - 6.0 - 14.0 * (named - 1 - i) as f64;
            let (color, more) = (color(i), self.lines.len().saturating_sub(NAMED));
            let more = if i + 1 == NAMED && more > 0 {
                format!(" (and {more} more)")
            } else {
                String::new()
            };
            let name = escaped(&format!("{}{more}", line.name));
            let _ = writeln!(
                out,
                r##"<rect x="{:.0}" y="{:.0}" width="10" height="3" fill="{color}"/>"##,
                x + 8.0,
                at - 5.0
            );
            let _ = writeln!(
                out,
                r##"<text x="{:.0}" y="{at:.0}" fill="#9fa7b3" font-size="10">{name}</text>"##,
                x + 22.0
            );
            let _ = writeln!(
                out,
                r##"<text x="{:.0}" y="{at:.0}" fill="#9fa7b3" font-size="10" text-anchor="end">{}</text>"##,
                x + w - 8.0,
                shown(line.last(), &self.unit)
            );
        }
    }

    fn plot(&self, out: &mut String, (x, y, w, h): (f64, f64, f64, f64), start: f64, span: f64) {
        // What is stacked on what, by time: from milliseconds, for floats are no keys.
        let mut below: BTreeMap<i64, f64> = BTreeMap::new();
        let mut curves = Vec::new();
        for line in &self.lines {
            let points = line.finite().map(|(at, value)| {
                let base = below.entry((at * 1e3) as i64).or_insert(0.0);
                let top = if self.is_stacked { *base + value } else { value };
                *base = top;
                (at, top)
            });
            curves.push(points.collect::<Vec<_>>());
        }
        let highest = curves.iter().flatten().map(|(_, top)| *top).fold(0.0, f64::max);
        let top = nice(highest);
        for part in 0..=2 {
            let at = y + h - h * f64::from(part) / 2.0;
            let label = shown(top * f64::from(part) / 2.0, &self.unit);
            let _ = writeln!(
                out,
                r##"<path d="M{x:.0} {at:.1}h{w:.0}" stroke="#2c3235"/><text x="{:.0}" y="{:.0}" fill="#9fa7b3" font-size="9" text-anchor="end">{label}</text>"##,
                x - 5.0,
                at + 3.0
            );
        }
        for (i, curve) in curves.iter().enumerate().rev() {
            let mut path = String::new();
            let mut before: Option<f64> = None;
            for (at, value) in curve {
                // A gap is a gap.
                let joins = before.is_some_and(|before| at - before < span / 20.0);
                let (px, py) = (x + (at - start) / span * w, y + h - value / top * h);
                let _ = write!(path, "{}{px:.1} {py:.1}", if joins { 'L' } else { 'M' });
                before = Some(*at);
            }
            let _ = writeln!(
                out,
                r##"<path d="{path}" fill="none" stroke="{}" stroke-width="1.3"/>"##,
                color(i)
            );
        }
    }
}

fn color(index: usize) -> &'static str {
    COLORS.get(index % COLORS.len()).copied().unwrap_or("#fff")
}

/// The whole picture.
pub fn svg(panels: &[Panel], seconds: f64) -> String {
    let times = || panels.iter().flat_map(|p| &p.lines).flat_map(|l| &l.values).map(|(at, _)| *at);
    let end = times().fold(0.0, f64::max);
    let bottom = panels.iter().map(|panel| panel.place[1] + panel.place[3]).max().unwrap_or(0);
    let (width, height) = (24.0 * COLUMN + GAP, bottom as f64 * ROW + 2.0 * GAP);
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="Inter, Helvetica, Arial, sans-serif"><rect width="100%" height="100%" fill="#111217"/>
"##
    );
    for panel in panels {
        panel.draw(&mut out, end - seconds, seconds);
    }
    out.push_str("</svg>\n");
    out
}

/// Text inside of SVG.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// 1, 2 or 5 times a power of ten, as an axis ends.
fn nice(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(highest.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps
        .into_iter()
        .map(|step| step * power)
        .find(|top| *top >= highest * 0.999)
        .unwrap_or(highest)
}

/// A number as Grafana shows it in this unit.
fn shown(value: f64, unit: &str) -> String {
    let short = |value: f64| {
        let (value, suffix) = match value.abs() {
            v if v >= 1e6 => (value / 1e6, "M"),
            v if v >= 1e3 => (value / 1e3, "k"),
            _ => (value, ""),
        };
        let digits = if value.abs() >= 100.0 || value.fract() == 0.0 {
            0
        } else if value.abs() >= 1.0 {
            1
        } else {
            3
        };
        format!("{value:.digits$}{suffix}")
    };
    match unit {
        "percentunit" => format!("{:.0}%", value * 100.0),
        "reqps" => format!("{} req/s", short(value)),
        "ms" => format!("{} ms", short(value)),
        "bytes" if value >= 1048576.0 => format!("{:.0} MiB", value / 1048576.0),
        "bytes" => format!("{:.1} KiB", value / 1024.0),
        _ => short(value),
    }
}
