//! JUnit's XML, as pipelines read it: a suite for each file, a case for each expectation.

use std::fmt::Write as _;

use super::Ran;
use super::coverage::Summary;

/// The document about all files.
pub fn page(all: &[Ran], coverage: &[(&str, Summary)]) -> String {
    let count =
        |ran: &Ran| (ran.outcomes.len(), ran.outcomes.iter().filter(|o| !o.is_met()).count());
    let (tests, failures) = all
        .iter()
        .map(count)
        .fold((0_usize, 0_usize), |(a, b), (c, d)| (a.saturating_add(c), b.saturating_add(d)));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"modelgate\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n"
    );
    for (i, ran) in (1_usize..).zip(all) {
        let (tests, failures) = count(ran);
        let name = escaped(&ran.name);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">"
        );
        for outcome in &ran.outcomes {
            let _ = write!(
                out,
                "    <testcase classname=\"{name}\" name=\"{}\"",
                escaped(&outcome.name)
            );
            if outcome.is_met() {
                out.push_str("/>\n");
                continue;
            }
            let [reasons, _] = &outcome.reasons;
            let _ = writeln!(
                out,
                ">\n      <failure message=\"{}\">{}\n\n{}</failure>\n    </testcase>",
                escaped(&outcome.wrong.join("; ")),
                escaped(&outcome.wrong.join("\n")),
                escaped(reasons)
            );
        }
        // All files together have met it: it stands behind the last.
        for (name, summary) in coverage.iter().filter(|_| i == all.len()) {
            let missing = summary.missing.join("\n");
            let said = escaped(&format!("{name}: met {summary}\n{missing}"));
            let _ = writeln!(out, "    <system-out>{said}</system-out>");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// Text as XML 1.0 has it: control characters cannot stand in it at all.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
