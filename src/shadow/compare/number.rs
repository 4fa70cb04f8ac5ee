//! Numbers within a tolerance, and rows of scores.

use super::json::Json;

/// How far two numbers may be apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Relative to the larger of the two.
    pub relative: f64,
    /// In the unit of the numbers.
    pub absolute: f64,
}

impl Tolerance {
    /// By how much two numbers differ; `None` if they are close enough. `NaN` equals `NaN`, and an
    /// infinity itself. Whole numbers are told apart beyond what a double holds.
    pub fn deviation(self, live: &str, shadow: &str) -> Option<f64> {
        if live == shadow {
            return None;
        }
        if let (Ok(a), Ok(b)) = (live.parse::<i128>(), shadow.parse::<i128>()) {
            let by = a.abs_diff(b) as f64;
            return (by > self.margin(a as f64, b as f64)).then_some(by);
        }
        let (a, b) = (value(live), value(shadow));
        (!self.close(a, b)).then(|| (a - b).abs())
    }

    fn close(self, a: f64, b: f64) -> bool {
        if a.is_nan() || b.is_nan() {
            return a.is_nan() && b.is_nan();
        }
        // An infinity is within any relative margin of everything.
        a == b || (a.is_finite() && b.is_finite() && (a - b).abs() <= self.margin(a, b))
    }

    fn margin(self, a: f64, b: f64) -> f64 {
        self.absolute.max(self.relative * a.abs().max(b.abs()))
    }

    /// Compares two rows of as many scores; `None` if they are close enough everywhere.
    pub fn row(self, live: &[Json<'_>], shadow: &[Json<'_>]) -> Option<Row> {
        let mut worst: Option<(usize, f64)> = None;
        for (i, (a, b)) in live.iter().zip(shadow).enumerate() {
            let by = self.deviation(text(a), text(b));
            // NaN is the worst of all.
            if let Some(by) = by.filter(|by| worst.is_none_or(|(_, w)| by.is_nan() || *by > w)) {
                worst = Some((i, by));
            }
        }
        let (index, by) = worst?;
        let (a, b): (Vec<f64>, Vec<f64>) =
            live.iter().zip(shadow).map(|(a, b)| (value(text(a)), value(text(b)))).unzip();
        let (best_a, best_b) = (best(&a), best(&b));
        // Where scores tie, any of them may win: the decision stands if one wins on both sides.
        let stands =
            a.iter().zip(&b).any(|(a, b)| self.close(*a, best_a) && self.close(*b, best_b));
        Some(Row { decides_otherwise: !stands, index, by })
    }
}

/// How two rows of scores differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Whether no score is the highest of both rows.
    pub decides_otherwise: bool,
    /// Where the scores differ most.
    pub index: usize,
    /// By how much.
    pub by: f64,
}

/// Whether all values are numbers.
pub fn all_numbers(values: &[Json<'_>]) -> bool {
    values.iter().all(|v| matches!(v, Json::Number(_)))
}

fn best(row: &[f64]) -> f64 {
    row.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn text<'a>(value: &Json<'a>) -> &'a str {
    match value {
        Json::Number(text) => text,
        _ => "NaN",
    }
}

/// Numbers of JSON, `NaN` and `Infinity` are all numbers of Rust; too large ones are infinite.
fn value(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Tolerance = Tolerance { relative: 1e-6, absolute: 1e-9 };
    const EXACT: Tolerance = Tolerance { relative: 0.0, absolute: 0.0 };

    #[test]
    fn numbers_are_close_or_not() {
        for (a, b, usual, exact) in [
            ("1", "1.0", true, true),
            ("1e2", "100", true, true),
            ("0", "-0.0", true, true),
            ("1000000", "1000000.9", true, false),
            ("1000000", "1000002", false, false),
            ("0", "1e-10", true, false),
            ("0", "1e-8", false, false),
            ("0.1", "-0.1", false, false),
            ("NaN", "NaN", true, true),
            ("NaN", "1", false, false),
            ("Infinity", "1e999", true, true),
            ("Infinity", "1e300", false, false),
            ("Infinity", "-Infinity", false, false),
            ("9007199254740993", "9007199254740992", true, false),
        ] {
            assert_eq!(USUAL.deviation(a, b).is_none(), usual, "{a} {b}");
            assert_eq!(EXACT.deviation(a, b).is_none(), exact, "{a} {b} exactly");
            assert_eq!(USUAL.deviation(b, a).is_none(), usual, "{b} {a}");
        }
        assert_eq!(USUAL.deviation("3", "5"), Some(2.0));
        assert!(USUAL.deviation("3", "NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn rows_decide() {
        for (live, shadow, expected) in [
            (&["0.1", "0.9"], &["0.1", "0.9000000001"], None),
            (&["0.1", "0.9"], &["0.2", "0.8"], Some((false, 0))),
            (&["0.4", "0.6"], &["0.6", "0.4"], Some((true, 0))),
            (&["0.4", "0.6"], &["0.5", "0.5"], Some((false, 0))),
            (&["0.5", "0.5"], &["0.1", "0.9"], Some((false, 0))),
            (&["0.1", "0.9"], &["0.1", "NaN"], Some((true, 1))),
            (&["NaN", "0.9"], &["0.3", "0.9"], Some((false, 0))),
        ] {
            let read = |row: &'static [&'static str; 2]| row.map(Json::Number);
            let row = USUAL.row(&read(live), &read(shadow));
            let found = row.map(|r| (r.decides_otherwise, r.index));
            assert_eq!(found, expected, "{live:?} {shadow:?}");
        }
    }
}
