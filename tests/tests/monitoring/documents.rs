//! The files under test, and what the documentation promises of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

pub const RULES: &str = "deploy/monitoring/modelgate-rules.yaml";
pub const DASHBOARD: &str = "deploy/monitoring/modelgate-dashboard.json";
pub const PAGE: &str = "docs/monitoring.md";
pub const PICTURE: &str = "docs/monitoring.svg";

/// A file of this repository.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Its text.
pub fn read(name: &str) -> Result<String> {
    std::fs::read_to_string(file(name)).with_context(|| name.to_owned())
}

/// A YAML file with one document.
pub fn yaml(name: &str) -> Result<Value> {
    serde_saphyr::from_str(&read(name)?).with_context(|| name.to_owned())
}

/// The elements of a list.
pub fn list<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// A text field.
pub fn text<'v>(value: &'v Value, field: &str) -> Result<&'v str> {
    value.get(field).and_then(Value::as_str).with_context(|| format!("no {field} in {value}"))
}

/// All rules of all groups.
pub fn rules() -> Result<Vec<Value>> {
    let file = yaml(RULES)?;
    let rules: Vec<Value> =
        list(&file, "groups").flat_map(|group| list(group, "rules")).cloned().collect();
    ensure!(!rules.is_empty(), "{RULES} has no rules");
    Ok(rules)
}

/// The alerts by name.
pub fn alerts() -> Result<BTreeMap<String, Value>> {
    let rules = rules()?;
    let alerts = rules.iter().filter(|rule| rule.get("alert").is_some());
    alerts.map(|rule| Ok((text(rule, "alert")?.to_owned(), rule.clone()))).collect()
}

/// Within how many minutes each alert fires, by the table of the page: `| [ModelgateAbsent](#...) | critical | 5m | ...`.
pub fn promises() -> Result<BTreeMap<String, (String, u64)>> {
    let page = read(PAGE)?;
    let rows = page.lines().filter(|line| line.starts_with("| [Modelgate"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [link, severity, within, ..] = cells[..] else {
            anyhow::bail!("{row}");
        };
        let name = link.trim_start_matches('[').split(']').next().unwrap_or_default();
        let minutes = within.strip_suffix('m').context(row.to_owned())?.parse()?;
        Ok((name.to_owned(), (severity.to_owned(), minutes)))
    })
    .collect()
}

/// A minute of the rules lasts a second here: every duration in them is divided by 60, and nothing else is changed.
pub const MINUTE: Duration = Duration::from_secs(1);

/// The rules with every `5m` and `1h` as `5s` and `60s`.
pub fn scaled(rules: &str) -> String {
    let mut out = String::new();
    for line in rules.lines() {
        let is_text = ["summary:", "description:", "runbook_url:", "- record:", "#"];
        let kept = is_text.iter().any(|start| line.trim_start().starts_with(start));
        out.push_str(&if kept { line.to_owned() } else { scaled_line(line) });
        out.push('\n');
    }
    out
}

/// Durations stand after `[`, `offset ` and `for: `.
pub fn scaled_line(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    let starts = ["[", "offset ", "for: "];
    while let Some((at, start)) =
        starts.iter().filter_map(|start| Some((rest.find(start)?, *start))).min()
    {
        let (before, after) = rest.split_at(at + start.len());
        out.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = after.split_at(digits);
        let seconds = match (number.parse::<u64>(), unit.chars().next()) {
            (Ok(minutes), Some('m')) => Some(minutes),
            (Ok(hours), Some('h')) => Some(hours * 60),
            _ => None,
        };
        match seconds {
            Some(seconds) => {
                out.push_str(&format!("{seconds}s"));
                rest = unit.split_at(1).1;
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}

#[test]
fn only_durations_are_scaled() {
    for (line, want) in [
        (
            "    expr: rate(a_total[5m]) > 0 unless b offset 1h",
            "    expr: rate(a_total[5s]) > 0 unless b offset 60s",
        ),
        ("    for: 10m", "    for: 10s"),
        ("  - record: a:b:rate5m", "  - record: a:b:rate5m"),
        ("      sum by (a) (a:b:rate5m) > 0.5", "      sum by (a) (a:b:rate5m) > 0.5"),
        ("      description: within [5m]", "      description: within [5m]"),
    ] {
        assert_eq!(scaled(line), format!("{want}\n"));
    }
}
