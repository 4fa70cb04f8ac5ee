//! TAP version 14 (testanything.org): a test point for each expectation, and the reasons in a YAML block.

use std::fmt::Write as _;

use serde_json::json;

use super::Ran;
use super::coverage::Summary;

/// The document about all files.
pub fn page(all: &[Ran], coverage: &[(&str, Summary)]) -> String {
    let count: usize = all.iter().map(|ran| ran.outcomes.len()).sum();
    let mut out = format!("TAP version 14\n1..{count}\n");
    let outcomes =
        all.iter().flat_map(|ran| ran.outcomes.iter().map(move |outcome| (ran, outcome)));
    for (i, (ran, outcome)) in (1_usize..).zip(outcomes) {
        let not = if outcome.is_met() { "" } else { "not " };
        let name = escaped(&format!("{}: {}", ran.name, outcome.name));
        let _ = writeln!(out, "{not}ok {i} - {name}");
        if outcome.is_met() {
            continue;
        }
        out.push_str("  ---\n");
        let _ = writeln!(out, "  message: {}", json!(outcome.wrong.join("; ")));
        let [reasons, _] = &outcome.reasons;
        out.push_str("  reasons: |\n");
        reasons.lines().for_each(|line| {
            let _ = writeln!(out, "    {line}");
        });
        out.push_str("  ...\n");
    }
    for (name, summary) in coverage {
        let _ = writeln!(out, "# {}: met {summary}", escaped(name));
        for missing in &summary.missing {
            let _ = writeln!(out, "#   {missing}");
        }
    }
    out
}

/// A `#` begins a directive, and a line is a line.
fn escaped(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    plain.replace('\\', "\\\\").replace('#', "\\#")
}
