//! What differs, for people and for programs. The shape for programs is documented in docs/diff.md; fields are only ever
//! added.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::requests::{Count, Group, OTHERS, Traffic, Way};
use super::words::{Change, Kind};

/// Everything that was found.
#[derive(Debug)]
pub struct Found<'a> {
    /// The names of both configurations.
    pub names: [&'a str; 2],
    /// What changed in the settings.
    pub changes: &'a [Change],
    /// What the log says, where there is one.
    pub traffic: Option<&'a Traffic>,
    /// What was assumed of callers.
    pub assumed: &'a [String],
}

/// Callers of a group that are shown.
const CALLERS: usize = 5;

/// Who called where a line does not say.
const NOBODY: &str = "nobody that the line names";

/// For people.
pub fn text(found: &Found<'_>, most: usize, is_colored: bool) -> String {
    let mut out = format!("--- {}\n+++ {}\n", found.names[0], found.names[1]);
    let color = |code: &str, line: &str| match is_colored {
        true => format!("\u{1b}[{code}m{line}\u{1b}[0m\n"),
        false => format!("{line}\n"),
    };
    if found.changes.is_empty() {
        out.push_str("The configurations say the same.\n");
    }
    for change in found.changes {
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        out.push_str(&match change.kind {
            Kind::Added => color("32", &format!("+ {}: {new}", change.path)),
            Kind::Removed => color("31", &format!("- {}: {old}", change.path)),
            Kind::Changed if old == new => color("33", &format!("~ {}: {old}", change.path)),
            Kind::Changed => color("33", &format!("~ {}: {old} -> {new}", change.path)),
        });
    }
    if let Some(traffic) = found.traffic {
        requests(&mut out, found, traffic, most);
    }
    out
}

fn requests(out: &mut String, found: &Found<'_>, traffic: &Traffic, most: usize) {
    let Traffic { read, same, differ, .. } = traffic;
    let unjudged = traffic.not_judged();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "\nOf {read} requests {differ} would be decided, routed or copied otherwise, {same} as before; {unjudged} cannot be judged."
    );
    for assumption in found.assumed {
        let _ = writeln!(out, "Assumed: {assumption}");
    }
    for way in [Way::Decided, Way::Routed, Way::Copied] {
        let groups = ordered(traffic, way);
        if groups.is_empty() {
            continue;
        }
        let all: u64 = groups.iter().map(|(_, count)| count.count).sum();
        let _ = writeln!(out, "\n{} otherwise: {all}", way.as_str());
        for (group, count) in groups.iter().take(most) {
            one(out, group, count);
        }
        let rest = groups.len().saturating_sub(most);
        if rest > 0 {
            let counts = groups.iter().skip(most).map(|(_, count)| count.count);
            let _ = writeln!(
                out,
                "  and {rest} smaller groups, {} requests: --groups shows more",
                counts.sum::<u64>()
            );
        }
    }
    if unjudged > 0 {
        let _ = writeln!(out, "\ncannot be judged: {unjudged}");
        for (why, count) in &traffic.unjudged {
            let _ = writeln!(out, "  {:>9}  {why}", count.count);
            examples(out, count);
        }
    }
}

fn ordered(traffic: &Traffic, way: Way) -> Vec<(&Group, &Count)> {
    let mut groups: Vec<_> = traffic.groups.iter().filter(|(group, _)| group.way == way).collect();
    groups.sort_by_key(|(_, count)| std::cmp::Reverse(count.count));
    groups
}

fn one(out: &mut String, group: &Group, count: &Count) {
    let of = [group.model.as_str(), group.operation.as_str()].join(" ");
    let of = if of.trim().is_empty() { "no model" } else { of.trim() };
    let by = |policy: &str| match policy {
        "" => String::new(),
        policy => format!(" by {policy}"),
    };
    let [old, new] = &group.outcomes;
    let [before, after] = &group.policies;
    let _ = writeln!(out, "  {:>9}  {of}: {old}{} -> {new}{}", count.count, by(before), by(after));
    let _ = writeln!(out, "             by {}", callers(count));
    if !count.hangs_on.is_empty() {
        let keys: Vec<&str> = count.hangs_on.iter().map(String::as_str).take(8).collect();
        let _ = writeln!(
            out,
            "             may hang on what the line does not hold: {}",
            keys.join(", ")
        );
    }
    examples(out, count);
}

/// The busiest of those that are told apart, with their counts, and the requests of everybody else.
fn callers(count: &Count) -> String {
    let mut callers: Vec<(&str, u64)> =
        count.callers.iter().map(|(caller, times)| (caller.as_str(), *times)).collect();
    callers.sort_by_key(|(caller, times)| (*caller == OTHERS, std::cmp::Reverse(*times)));
    let named = callers.iter().filter(|(caller, _)| *caller != OTHERS).take(CALLERS);
    let rest = named.clone().fold(count.count, |rest, (_, times)| rest.saturating_sub(*times));
    let shown = named.map(|(caller, times)| {
        format!("{} ({times})", if caller.is_empty() { NOBODY } else { caller })
    });
    let more = if rest > 0 { format!(", others ({rest})") } else { String::new() };
    format!("{}{more}", shown.collect::<Vec<_>>().join(", "))
}

fn examples(out: &mut String, count: &Count) {
    for (line, what) in &count.examples {
        let _ = writeln!(out, "             line {line}: {what}");
    }
}

/// For programs.
pub fn json(found: &Found<'_>) -> Value {
    let changes = found.changes.iter().map(|change| {
        json!({"path": change.path, "kind": change.kind.as_str(), "old": change.old, "new": change.new})
    });
    json!({
        "version": 1,
        "old": found.names[0],
        "new": found.names[1],
        "changes": changes.collect::<Vec<_>>(),
        "requests": found.traffic.map(|traffic| traffic_json(traffic, found.assumed)),
    })
}

fn traffic_json(traffic: &Traffic, assumed: &[String]) -> Value {
    let examples = |count: &Count| -> Vec<Value> {
        count.examples.iter().map(|(line, what)| json!({"line": line, "request": what})).collect()
    };
    let ways = [Way::Decided, Way::Routed, Way::Copied];
    let groups = ways.into_iter().flat_map(|way| ordered(traffic, way)).map(|(group, count)| {
        json!({
            "otherwise": group.way.as_str(),
            "count": count.count,
            "model": group.model,
            "operation": group.operation,
            "callers": count.callers,
            "old": {"outcome": group.outcomes[0], "policy": group.policies[0]},
            "new": {"outcome": group.outcomes[1], "policy": group.policies[1]},
            "hangsOn": count.hangs_on,
            "examples": examples(count),
        })
    });
    let unjudged = traffic
        .unjudged
        .iter()
        .map(|(why, count)| json!({"why": why, "count": count.count, "examples": examples(count)}));
    json!({
        "read": traffic.read,
        "same": traffic.same,
        "differ": traffic.differ,
        "notJudged": traffic.not_judged(),
        "assumed": assumed,
        "groups": groups.collect::<Vec<_>>(),
        "unjudged": unjudged.collect::<Vec<_>>(),
    })
}
