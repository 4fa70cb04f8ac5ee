//! The dashboard: its form, and that a real Prometheus answers all that it asks.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::documents::{DASHBOARD, PAGE, PICTURE, file, list, read, scaled_line, text};
use crate::picture;
use crate::prometheus::Prometheus;

const ROWS: [&str; 6] =
    ["Gateway", "Authentication and issuers", "Policies", "Shadows", "Splits", "Usage"];
const VARIABLES: [&str; 4] = ["datasource", "namespace", "gateway", "pod"];

/// Of the whole run, which lasts longer.
const SHOWN_SECONDS: f64 = 90.0;
const STEPS: f64 = 90.0;

pub fn dashboard() -> Result<Value> {
    serde_json::from_str(&read(DASHBOARD)?).context(DASHBOARD)
}

/// A panel's place: left, top, width, height.
pub fn place(panel: &Value) -> Result<[u64; 4]> {
    let of = |field: &str| {
        let at = panel.pointer(&format!("/gridPos/{field}")).and_then(Value::as_u64);
        at.with_context(|| format!("no {field} in {panel}"))
    };
    Ok([of("x")?, of("y")?, of("w")?, of("h")?])
}

fn overlap(a: [u64; 4], b: [u64; 4]) -> bool {
    let [ax, ay, aw, ah] = a;
    let [bx, by, bw, bh] = b;
    ax < bx + bw && bx < ax + aw && ay < by + bh && by < ay + ah
}

#[test]
fn the_dashboard_is_in_order() -> Result<()> {
    let dashboard = dashboard()?;
    let panels: Vec<&Value> = list(&dashboard, "panels").collect();
    let ids: BTreeSet<u64> =
        panels.iter().filter_map(|panel| panel.get("id").and_then(Value::as_u64)).collect();
    ensure!(ids.len() == panels.len(), "ids: {ids:?} of {} panels", panels.len());
    let places = panels.iter().map(|panel| place(panel)).collect::<Result<Vec<_>>>()?;
    for (i, a) in places.iter().enumerate() {
        ensure!(a[0] + a[2] <= 24, "{a:?} is wider than the grid");
        let other = places.iter().skip(i + 1).find(|b| overlap(*a, **b));
        ensure!(other.is_none(), "{a:?} and {other:?} overlap");
    }
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    let rows = rows.map(|row| text(row, "title")).collect::<Result<Vec<_>>>()?;
    ensure!(rows == ROWS, "{rows:?}");
    let variables: Vec<&str> = list(&dashboard["templating"], "list")
        .map(|variable| text(variable, "name"))
        .collect::<Result<_>>()?;
    ensure!(variables == VARIABLES, "{variables:?}");
    for field in ["uid", "title", "schemaVersion", "time", "refresh"] {
        ensure!(dashboard.get(field).is_some(), "no {field}");
    }
    panels
        .iter()
        .filter(|panel| panel["type"] != "row")
        .try_for_each(|panel| panel_is_in_order(panel))
}

fn panel_is_in_order(panel: &Value) -> Result<()> {
    let title = text(panel, "title")?;
    ensure!(text(panel, "description")?.len() > 20, "{title} is not described");
    let unit = panel.pointer("/fieldConfig/defaults/unit").and_then(Value::as_str);
    ensure!(unit.is_some(), "{title} has no unit");
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let targets: Vec<&Value> = list(panel, "targets").collect();
    ensure!(!targets.is_empty(), "{title} shows nothing");
    let mut refs = BTreeSet::new();
    for target in targets.iter().chain([&panel]) {
        ensure!(target.get("datasource") == Some(&source), "{title} has a data source of its own");
    }
    for target in targets {
        ensure!(refs.insert(text(target, "refId")?), "{title} has a refId twice");
        ensure!(!text(target, "legendFormat")?.is_empty(), "{title} has no legend");
        let expression = text(target, "expr")?;
        let has_variables = ["$namespace", "$gateway"].iter().all(|v| expression.contains(v));
        ensure!(has_variables, "{title} shows other gateways than those chosen");
    }
    Ok(())
}

/// The expressions of a panel with their legends, as Grafana asks for all gateways.
pub fn asked(panel: &Value) -> Result<Vec<(String, String)>> {
    let asked = list(panel, "targets").map(|target| {
        let mut expression = text(target, "expr")?.replace("$__rate_interval", "5m");
        for variable in VARIABLES {
            expression = expression.replace(&format!("${variable}"), ".*");
        }
        Ok((scaled_line(&expression), text(target, "legendFormat")?.to_owned()))
    });
    asked.collect()
}

/// Every metric that an expression names exists. Those that rules match by a part of their name have a case of their own.
pub async fn each_metric_exists(prometheus: &Prometheus, rules: &[&str]) -> Result<()> {
    let known = prometheus.names().await?;
    let mut expressions: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
    for panel in list(&dashboard()?, "panels") {
        expressions.extend(asked(panel)?.into_iter().map(|(expression, _)| expression));
    }
    let mut named = BTreeSet::new();
    for expression in &expressions {
        named.extend(prometheus.metrics_of(expression).await?);
    }
    named.remove("");
    ensure!(named.len() > 30, "only {named:?}");
    let unknown: Vec<&String> = named.difference(&known).collect();
    ensure!(unknown.is_empty(), "nobody has {unknown:?}");
    Ok(())
}

/// The documentation has the metrics that a gateway has, and no others.
pub async fn the_page_lists_each_metric(prometheus: &Prometheus) -> Result<()> {
    let page = read(PAGE)?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `modelgate_"));
    let listed: BTreeSet<String> =
        rows.filter_map(|row| Some(format!("modelgate_{}", row.split('`').next()?))).collect();
    let known = prometheus.names().await?;
    let seen = known.iter().filter(|name| name.starts_with("modelgate_")).map(|name| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name).to_owned()
    });
    let seen: BTreeSet<String> = seen.collect();
    let odd: Vec<&String> = seen.symmetric_difference(&listed).collect();
    ensure!(odd.is_empty(), "on one side only, {PAGE} or a gateway: {odd:?}");
    Ok(())
}

/// Every expression gives numbers. With `MODELGATE_WRITE_DOCS` they are drawn.
pub async fn each_panel_has_data(prometheus: &Prometheus) -> Result<()> {
    let dashboard = dashboard()?;
    let mut drawn = Vec::new();
    for panel in list(&dashboard, "panels") {
        let mut lines = Vec::new();
        for (expression, legend) in asked(panel)? {
            let series = prometheus.range(&expression, SHOWN_SECONDS, STEPS).await?;
            let found = series.iter().map(|series| picture::Line::of(series, &legend));
            let found: Vec<picture::Line> = found.filter(|line| line.has_numbers()).collect();
            ensure!(!found.is_empty(), "{}: no data for {expression}", panel["title"]);
            lines.extend(found);
        }
        drawn.push(picture::Panel::of(panel, lines)?);
    }
    if std::env::var_os("MODELGATE_WRITE_DOCS").is_some() {
        std::fs::write(file(PICTURE), picture::svg(&drawn, STEPS))?;
    }
    Ok(())
}

#[test]
fn the_picture_shows_the_dashboard() -> Result<()> {
    let picture = read(PICTURE)?;
    for panel in list(&dashboard()?, "panels") {
        let title = picture::escaped(text(panel, "title")?);
        let again = "MODELGATE_WRITE_DOCS=1 cargo xtask test monitoring";
        ensure!(picture.contains(&format!(">{title}</text>")), "{PICTURE} has no {title}: {again}");
    }
    Ok(())
}
