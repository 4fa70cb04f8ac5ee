//! Results for people.

use std::fmt::Write as _;

use super::Ran;
use super::coverage::Summary;

/// Everything about all files.
pub fn page(all: &[Ran], coverage: &[(&str, Summary)], is_colored: bool) -> String {
    let mut out = String::new();
    let (mut met, mut failed) = (0_usize, 0_usize);
    let paint = |code: &str, text: &str| match is_colored {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    for ran in all {
        for outcome in &ran.outcomes {
            if outcome.is_met() {
                met += 1;
                continue;
            }
            failed += 1;
            let _ = writeln!(out, "{} {}: {}", paint("31", "\u{2717}"), ran.name, outcome.name);
            for wrong in &outcome.wrong {
                let _ = writeln!(out, "  {}", paint("31", wrong));
            }
            let [plain, colored] = &outcome.reasons;
            for line in (if is_colored { colored } else { plain }).lines() {
                let _ = writeln!(out, "    {line}");
            }
            out.push('\n');
        }
    }
    for (name, summary) in coverage {
        let _ = writeln!(out, "{name}: met {summary}");
        for missing in &summary.missing {
            let _ = writeln!(out, "  {missing}");
        }
    }
    let all = format!("{met} met, {failed} not met");
    let _ = writeln!(out, "{}", paint(if failed == 0 { "32" } else { "31" }, &all));
    out
}
