//! What the tests of a tier came to, read from what test runners print.

use std::time::Duration;

use modelgate_local::sh::seconds;

/// Numbers of single tests, and the names of those that failed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Tests that ran and passed.
    pub passed: usize,
    /// Tests that ran and failed.
    pub failed: usize,
    /// The names of failed tests.
    pub names: Vec<String>,
}

impl Totals {
    /// Takes in one line of a runner's output, from libtest or wasm-bindgen-test.
    pub fn line(&mut self, line: &str) {
        if let Some((passed, failed)) = result_line(line) {
            self.passed = self.passed.saturating_add(passed);
            self.failed = self.failed.saturating_add(failed);
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... FAIL"))
            .map(|(n, _)| n)
        {
            self.names.push(name.to_owned());
        }
    }

    /// How many tests ran.
    pub fn ran(&self) -> usize {
        self.passed.saturating_add(self.failed)
    }
}

/// How a tier ended.
#[derive(Debug)]
pub struct Outcome {
    /// The tier.
    pub tier: &'static str,
    /// Its tests.
    pub totals: Totals,
    /// Why it failed, beyond single tests; or why it could not run, with the remedy.
    pub trouble: Option<String>,
    /// How long it took.
    pub time: Duration,
    /// The log, as one would type it.
    pub log: String,
}

impl Outcome {
    /// Failed tests; a tier that failed as a whole counts as one.
    pub fn failed(&self) -> usize {
        self.totals.failed.max(usize::from(self.trouble.is_some()))
    }
}

/// The table, and as the last line `N passed, N failed`.
pub fn summary(outcomes: &[Outcome]) -> String {
    let mut text = String::from("\ntier          passed  failed       time\n");
    for o in outcomes {
        text += &format!(
            "{:<12}  {:>6}  {:>6}  {:>9}\n",
            o.tier,
            o.totals.passed,
            o.failed(),
            seconds(o.time)
        );
        for name in &o.totals.names {
            text += &format!("              failed: {name}\n");
        }
        if let Some(trouble) = &o.trouble {
            text += &format!(
                "              {}\n",
                trouble.trim_end().replace('\n', "\n              ")
            );
        }
        if o.failed() > 0 {
            text += &format!("              log: {}\n", o.log);
        }
    }
    let passed: usize = outcomes.iter().map(|o| o.totals.passed).sum();
    let failed: usize = outcomes.iter().map(Outcome::failed).sum();
    text + &format!("\n{passed} passed, {failed} failed\n")
}

/// `test result: ok. 3 passed; 0 failed; ...`
fn result_line(line: &str) -> Option<(usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        let mut parts = counts.split("; ").filter_map(|part| part.split_once(' '));
        parts.find(|(_, w)| *w == word)?.0.parse().ok()
    };
    Some((count("passed")?, count("failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read() {
        for (line, result) in [
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s",
                Some((3, 0)),
            ),
            ("test result: FAILED. 30 passed; 12 failed; 0 ignored; 0 measured", Some((30, 12))),
            ("test result: ok. 2 passed; 0 failed; 0 ignored; 0 filtered out", Some((2, 0))),
            ("a test result: ok. 3 passed; 0 failed", None),
            ("test result: odd", None),
            ("test result: ok. x passed; 0 failed", None),
            ("", None),
        ] {
            assert_eq!(result_line(line), result, "{line}");
        }
    }

    #[test]
    fn totals_add_up_and_keep_names() {
        let mut totals = Totals::default();
        for line in [
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test wasm::d ... FAIL",
            "test e ... ignored",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored",
            "test result: FAILED. 0 passed; 1 failed",
        ] {
            totals.line(line);
        }
        let names = vec!["a::c".to_owned(), "wasm::d".to_owned()];
        assert_eq!(totals, Totals { passed: 1, failed: 2, names });
        assert_eq!(totals.ran(), 3);
    }

    #[test]
    fn the_last_line_counts_a_broken_tier_as_one_failure() {
        let outcome = |totals, trouble: Option<&str>| Outcome {
            tier: "unit",
            totals,
            trouble: trouble.map(str::to_owned),
            time: Duration::from_millis(1234),
            log: "target/test-logs/unit.log".into(),
        };
        let good = outcome(Totals { passed: 5, ..Totals::default() }, None);
        let broken = outcome(Totals::default(), Some("no Python: install it"));
        let bad =
            outcome(Totals { passed: 1, failed: 2, names: vec!["x".into()] }, Some("exit 101"));
        let text = summary(&[good, broken, bad]);
        assert_eq!(text.lines().last(), Some("6 passed, 3 failed"));
        for part in ["install it", "failed: x", "log: target/test-logs/unit.log", "1.2 s"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
