//! Numbers within a tolerance, and rows of scores.

use std::fmt;

use super::json::Json;

/// A number as an answer writes it: the text of JSON, or what a protobuf message holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number<'a> {
    /// Of JSON, or one of the `NaN`, `Infinity` and `-Infinity` that Python writes.
    Text(&'a str),
    /// A whole number.
    Signed(i64),
    /// A whole number of a field that has no negative ones.
    Unsigned(u64),
    /// Any other.
    Float(f64),
}

impl Number<'_> {
    /// `None` for a fraction, and for what 128 bits do not hold.
    fn whole(self) -> Option<i128> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Signed(n) => Some(n.into()),
            Self::Unsigned(n) => Some(n.into()),
            Self::Float(_) => None,
        }
    }

    /// Numbers of JSON, `NaN` and `Infinity` are all numbers of Rust; too large ones are infinite.
    fn value(self) -> f64 {
        match self {
            Self::Text(text) => text.parse().unwrap_or(f64::NAN),
            Self::Signed(n) => n as f64,
            Self::Unsigned(n) => n as f64,
            Self::Float(n) => n,
        }
    }

    /// As a length or a dimension.
    pub fn size(self) -> Option<usize> {
        usize::try_from(self.whole()?).ok()
    }

    /// A number with a fraction or an exponent, in the text of a string: no name of a class.
    pub fn fraction(text: &[u8]) -> Option<Number<'_>> {
        let is_whole = text.iter().all(|c| c.is_ascii_digit() || *c == b'-');
        match super::json::read(text).ok().filter(|_| !is_whole)? {
            Json::Number(number) => Some(number),
            _ => None,
        }
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Signed(n) => n.fmt(f),
            Self::Unsigned(n) => n.fmt(f),
            Self::Float(n) => n.fmt(f),
        }
    }
}

/// How far two numbers may be apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Relative to the larger of the two.
    pub relative: f64,
    /// In the unit of the numbers.
    pub absolute: f64,
}

/// How far two numbers are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Apart {
    /// Their distance. `NaN` where only one of them is a number.
    pub by: f64,
    /// Whether that is more than is tolerated.
    pub differ: bool,
}

impl Tolerance {
    /// Compares two numbers. `NaN` equals `NaN`, and an infinity itself. Whole numbers are told
    /// apart beyond what a double holds.
    pub fn compare(self, live: Number<'_>, shadow: Number<'_>) -> Apart {
        if let (Some(a), Some(b)) = (live.whole(), shadow.whole()) {
            let by = a.abs_diff(b) as f64;
            return Apart { by, differ: by > self.margin(a as f64, b as f64) };
        }
        let (a, b) = (live.value(), shadow.value());
        if a == b || (a.is_nan() && b.is_nan()) {
            return Apart { by: 0.0, differ: false };
        }
        let by = (a - b).abs();
        // An infinity is within any relative margin of everything.
        Apart { by, differ: !(by.is_finite() && by <= self.margin(a, b)) }
    }

    fn margin(self, a: f64, b: f64) -> f64 {
        self.absolute.max(self.relative * a.abs().max(b.abs()))
    }

    /// Compares two rows of as many scores.
    pub fn row(self, live: &[Json<'_>], shadow: &[Json<'_>]) -> Row {
        let mut row =
            Row { decides_otherwise: false, differ: false, index: 0, by: 0.0, moved: 0.0 };
        for (i, (a, b)) in live.iter().zip(shadow).enumerate() {
            let Apart { by, differ } = self.compare(number(a), number(b));
            row.differ |= differ;
            if by.is_finite() {
                row.moved = row.moved.max(by);
            }
            // NaN is the worst of all.
            if by.is_nan() || by > row.by {
                (row.index, row.by) = (i, by);
            }
        }
        row.decides_otherwise = decide_otherwise(live, shadow);
        row
    }
}

/// How two rows of scores differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Whether no score is the highest of both rows.
    pub decides_otherwise: bool,
    /// Whether scores differ by more than is tolerated.
    pub differ: bool,
    /// Where the scores differ most.
    pub index: usize,
    /// By how much.
    pub by: f64,
    /// The largest difference of all that are numbers.
    pub moved: f64,
}

/// Whether no place holds the highest score of both rows. No tolerance: a decision that went the
/// other way by a hair went the other way. Where scores of a row are equal any of them may win.
fn decide_otherwise(live: &[Json<'_>], shadow: &[Json<'_>]) -> bool {
    let best = |row: &[Json<'_>]| {
        row.iter().map(|score| number(score).value()).fold(f64::NEG_INFINITY, f64::max)
    };
    let (best_live, best_shadow) = (best(live), best(shadow));
    let mut places = live.iter().zip(shadow);
    let stands = places.any(|(a, b)| {
        let (a, b) = (number(a).value(), number(b).value());
        a == best_live && b == best_shadow
    });
    let none = |row: &[Json<'_>]| row.iter().all(|score| number(score).value().is_nan());
    !(stands || none(live) && none(shadow))
}

/// Whether all values are numbers.
pub fn all_numbers(values: &[Json<'_>]) -> bool {
    values.iter().all(|v| matches!(v, Json::Number(_)))
}

fn number<'a>(value: &Json<'a>) -> Number<'a> {
    match value {
        Json::Number(number) => *number,
        _ => Number::Float(f64::NAN),
    }
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
            let (a, b) = (Number::Text(a), Number::Text(b));
            assert_eq!(!USUAL.compare(a, b).differ, usual, "{a} {b}");
            assert_eq!(!EXACT.compare(a, b).differ, exact, "{a} {b} exactly");
            assert_eq!(!USUAL.compare(b, a).differ, usual, "{b} {a}");
        }
        assert_eq!(USUAL.compare(Number::Text("3"), Number::Signed(5)).by, 2.0);
        assert_eq!(EXACT.compare(Number::Text("0.5"), Number::Float(0.5)).by, 0.0);
        assert!(USUAL.compare(Number::Text("3"), Number::Text("NaN")).by.is_nan());
    }

    #[test]
    fn rows_decide() {
        const SAME: (bool, bool, usize) = (false, false, 0);
        for (live, shadow, expected) in [
            (&["0.1", "0.9"], &["0.1", "0.9"], SAME),
            (&["0.1", "0.9"], &["0.1", "0.9000000001"], (false, false, 1)),
            (&["0.1", "0.9"], &["0.2", "0.8"], (false, true, 0)),
            (&["0.4", "0.6"], &["0.6", "0.4"], (true, true, 0)),
            // By a hair, but the other way.
            (&["0.5", "0.5000000001"], &["0.5000000001", "0.5"], (true, false, 0)),
            (&["0.4", "0.6"], &["0.5", "0.5"], (false, true, 0)),
            (&["0.5", "0.5"], &["0.1", "0.9"], (false, true, 0)),
            (&["0.1", "0.9"], &["0.1", "NaN"], (true, true, 1)),
            (&["NaN", "0.9"], &["0.3", "0.9"], (false, true, 0)),
            (&["NaN", "NaN"], &["NaN", "NaN"], SAME),
            (&["NaN", "NaN"], &["0.3", "NaN"], (true, true, 0)),
        ] {
            let read = |row: &'static [&'static str; 2]| row.map(|n| Json::Number(Number::Text(n)));
            let row = USUAL.row(&read(live), &read(shadow));
            let found = (row.decides_otherwise, row.differ, row.index);
            assert_eq!(found, expected, "{live:?} {shadow:?}");
        }
    }

    #[test]
    fn fractions_in_strings() {
        for text in ["0.5", "-1e-7", "1E5", "NaN", "-Infinity"] {
            assert!(Number::fraction(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["", "7", "-7", "1.2.3", "setosa", "0x1p3", "[0.5]", "1-2"] {
            assert!(Number::fraction(text.as_bytes()).is_none(), "{text}");
        }
    }
}
