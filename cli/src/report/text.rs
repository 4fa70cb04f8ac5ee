//! A report for a terminal.

use super::Report;
use super::figures::{Figures, QUANTILES, Quantiles};
use super::interval::{Confidence, Estimate, Share};
use super::require::{Found, Judgement};
use super::words::{printable, short};

/// What is said of conditions where the figures may be of a part of the gateways only.
pub const UNKNOWN: &str =
    "Whether the requirements are met cannot be told: Prometheus warns of its own answer.";

/// The whole report.
pub fn report(report: &Report) -> String {
    let mut lines = Vec::new();
    for shadow in &report.shadows {
        lines.push(format!("shadow {}", printable(&shadow.name)));
        lines.extend(table(&shadow.figures, report.confidence));
        if let Some(baseline) = &shadow.baseline {
            lines.push(String::new());
            lines.push("baseline: the live model against itself".to_owned());
            lines.extend(table(baseline, report.confidence));
        }
        if !shadow.advice.is_empty() {
            lines.push(String::new());
            lines.push("what to do".to_owned());
            lines.extend(shadow.advice.iter().flat_map(|advice| item(advice)));
        }
        lines.push(String::new());
    }
    if report.shadows.is_empty() {
        lines.push(
            "The metrics hold no shadow: none is configured, or no request was chosen yet.".into(),
        );
        lines.push(String::new());
    }
    if !report.verdict.is_empty() {
        lines.extend(report.verdict.iter().map(judgement));
        lines.push(match report.is_met() {
            Some(true) => "The requirements are met.".to_owned(),
            Some(false) => "The requirements are NOT met.".to_owned(),
            None => UNKNOWN.to_owned(),
        });
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Shares, outcomes, differences, latencies and scores of one shadow.
pub fn table(figures: &Figures, confidence: Confidence) -> Vec<String> {
    let counts = &figures.counts;
    let mut lines = vec![format!(
        "{} chosen, {} compared, {} in flight",
        number(counts.selected),
        number(figures.agreement.of),
        number(figures.in_flight)
    )];
    lines.push(String::new());
    lines.push(format!("{:<18}{:>10}  {} % interval", "", "share", confidence.percent()));
    for (name, share) in [
        ("agreement", figures.agreement),
        ("class changes", figures.class_changes),
        ("failures", figures.failures),
        ("drops", figures.drops),
    ] {
        lines.push(share_line(name, share, confidence));
    }
    lines.extend(bars("outcome", &counts.by_outcome(), counts.ended()));
    lines.extend(bars("difference", &counts.by_kind(), figures.agreement.of));
    let distributions = [
        ("live", &figures.live, 1),
        ("shadow", &figures.shadow, 1),
        ("shadow / live", &figures.ratio, 2),
    ];
    if distributions.iter().any(|(_, quantiles, _)| quantiles.iter().any(Option::is_some)) {
        lines.push(String::new());
        lines.push(quantile_head("milliseconds"));
        lines.extend(distributions.map(|(name, q, digits)| quantile_line(name, q, digits)));
    }
    if figures.moved.iter().any(Option::is_some) {
        lines.push(String::new());
        lines.push(quantile_head("scores"));
        lines.push(quantile_line("moved by", &figures.moved, 4));
    }
    lines
}

fn share_line(name: &str, share: Share, confidence: Confidence) -> String {
    let Some(Estimate { value, lower, upper, .. }) = share.estimate(confidence) else {
        return format!("{name:<18}{:>10}", "-");
    };
    let interval = format!("{:.2} - {:.2} %", lower * 100.0, upper.unwrap_or(1.0) * 100.0);
    format!(
        "{name:<18}{:>8.2} %  {interval:<18}{} of {}",
        value * 100.0,
        number(share.count),
        number(share.of)
    )
}

/// A bar for each count that is not 0.
fn bars(title: &str, counts: &[(&str, f64)], of: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0.0) {
        if lines.is_empty() {
            lines = vec![String::new(), format!("{title:<18}{:>10}", "count")];
        }
        lines.push(bar_line(name, *count, of));
    }
    lines
}

fn bar_line(name: &str, count: f64, of: f64) -> String {
    let share = (count / of.max(1.0)).clamp(0.0, 1.0);
    let bar = "█".repeat((share * 30.0).round() as usize);
    let line =
        format!("{:<18}{:>10}  {:>6.1} %  {bar}", printable(name), number(count), share * 100.0);
    line.trim_end().to_owned()
}

fn quantile_head(unit: &str) -> String {
    let names: String = QUANTILES.iter().map(|(name, _)| format!("  {name:<24}")).collect();
    format!("{unit:<16}{names}").trim_end().to_owned()
}

fn quantile_line(name: &str, quantiles: &Quantiles, digits: usize) -> String {
    let mut line = format!("{name:<16}");
    for quantile in quantiles {
        let shown = quantile.map_or("-".to_owned(), |q| {
            let interval = match q.upper {
                Some(upper) => format!("({} - {})", short(q.lower), short(upper)),
                None => format!("({} or more)", short(q.lower)),
            };
            let above = if q.at_least { "> " } else { "" };
            format!("{above}{} {interval}", rounded(q.value, digits))
        });
        line.push_str(&format!("  {shown:<24}"));
    }
    line.trim_end().to_owned()
}

fn judgement(judgement: &Judgement) -> String {
    let Judgement { shadow, requirement, found, met } = judgement;
    let shadow = printable(shadow.as_deref().unwrap_or("no shadow"));
    let found = Found::shown(*found);
    let mark = if *met { "met" } else { "NOT met" };
    format!("{mark:<9}{shadow}: {requirement} (it is {found})")
}

/// In lines of the width of a terminal, the first after a hyphen.
fn item(text: &str) -> Vec<String> {
    const WIDTH: usize = 96;
    let mut lines = vec!["-".to_owned()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("  {word}")),
        }
    }
    lines
}

/// Counts are whole, except those that Prometheus extrapolates.
pub fn number(count: f64) -> String {
    if count.fract() == 0.0 { format!("{count:.0}") } else { format!("{count:.1}") }
}

/// So many decimals at most, without zeros at the end.
fn rounded(value: f64, digits: usize) -> String {
    let scale = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
    short((value * scale).round() / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        for (value, text) in [(0.0, "0"), (1.0, "1"), (0.25, "0.25"), (1000.0, "1000")] {
            assert_eq!(short(value), text);
        }
        assert_eq!((number(12.0), number(12.345)), ("12".to_owned(), "12.3".to_owned()));
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{fffd}[31mb");
    }

    #[test]
    fn advice_is_wrapped() {
        let lines = item(&"word ".repeat(40));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= 96));
        assert!(lines[0].starts_with("- word") && lines[1].starts_with("  word"), "{lines:?}");
    }
}
