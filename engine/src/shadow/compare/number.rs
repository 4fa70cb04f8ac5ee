//! Numbers within a tolerance, and rows of scores.

use std::fmt;

/// A number as an answer writes it: the text of JSON, or what a protobuf message holds.
#[derive(Debug, Clone, Copy)]
pub enum Number<'a> {
    /// Of JSON, or one of the `NaN`, `Infinity` and `-Infinity` that Python writes; see [`Number::text`].
    Text {
        /// As it was written.
        text: &'a str,
        /// Read once.
        value: f64,
    },
    /// What stands where a number should: some servers write `NaN` and the infinities as `null`.
    Null,
    /// A whole number.
    Signed(i64),
    /// A whole number of a field that has no negative ones.
    Unsigned(u64),
    /// Any other.
    Float(f64),
}

impl<'a> Number<'a> {
    /// A number of JSON. All of them, `NaN` and `Infinity` are numbers of Rust; too large ones are
    /// infinite.
    pub fn text(text: &'a str) -> Self {
        let value = match shortened(text) {
            Some(short) => short.parse(),
            None => text.parse(),
        };
        Self::Text { text, value: value.unwrap_or(f64::NAN) }
    }

    /// `None` for a fraction, and for what 128 bits do not hold.
    pub fn whole(self) -> Option<i128> {
        match self {
            Self::Text { text, .. } if self.is_whole() => text.parse().ok(),
            Self::Signed(n) => Some(n.into()),
            Self::Unsigned(n) => Some(n.into()),
            Self::Text { .. } | Self::Float(_) | Self::Null => None,
        }
    }

    /// The whole number that it is, however it is written; `None` for a fraction, and for what 128 bits do not hold.
    pub fn exact(self) -> Option<i128> {
        match (self.whole(), self.digits()) {
            (Some(whole), _) => Some(whole),
            (None, Some(digits)) => digits.parse().ok(),
            // Written as a double is: shorter than its digits.
            (None, None) => {
                let value = self.value();
                (value.fract() == 0.0 && value.abs() < 1e38).then_some(value as i128)
            }
        }
    }

    /// The digits of a whole number that is written with no fraction but 0, and with no exponent but 0.
    pub fn digits(self) -> Option<&'a str> {
        let Self::Text { text, .. } = self else { return None };
        let (text, exponent) = text.split_once(['e', 'E']).unwrap_or((text, ""));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_whole = whole.bytes().all(|c| c.is_ascii_digit() || c == b'-');
        let is_nothing = |text: &str| text.bytes().all(|c| matches!(c, b'0' | b'+' | b'-'));
        (is_whole && is_nothing(fraction) && is_nothing(exponent)).then_some(whole)
    }

    /// Whether it is written without a fraction and without an exponent.
    pub fn is_whole(self) -> bool {
        match self {
            Self::Text { text, .. } => text.bytes().all(|c| c.is_ascii_digit() || c == b'-'),
            Self::Signed(_) | Self::Unsigned(_) => true,
            Self::Float(_) | Self::Null => false,
        }
    }

    /// Whether the two are whole numbers, and one of them is written as such: a server may write the same
    /// number as `2`, as `2.0` and as `2e0`.
    pub fn are_whole(self, other: Self) -> bool {
        let is_even = |n: Self| n.is_whole() || n.value().fract() == 0.0;
        (self.is_whole() || other.is_whole()) && is_even(self) && is_even(other)
    }

    /// As a double, the nearest one.
    pub fn value(self) -> f64 {
        match self {
            Self::Text { value, .. } => value,
            Self::Null => f64::NAN,
            Self::Signed(n) => n as f64,
            Self::Unsigned(n) => n as f64,
            Self::Float(n) => n,
        }
    }

    /// How many bytes are looked at to read it.
    pub fn len(self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            _ => 8,
        }
    }

    /// As a length or a dimension.
    pub fn size(self) -> Option<usize> {
        usize::try_from(self.whole()?).ok()
    }

    /// A number with a fraction or an exponent, in the text of a string: no name of a class.
    pub fn fraction(text: &'a [u8]) -> Option<Self> {
        let is_all = after_number(text)?.is_empty();
        let number = Self::text(std::str::from_utf8(text).ok().filter(|_| is_all)?);
        (!number.is_whole()).then_some(number)
    }
}

/// As they are written: `1.0` is another number than `1`.
impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Text { text: a, .. }, Self::Text { text: b, .. }) => a == b,
            (Self::Null, Self::Null) => true,
            (Self::Signed(a), Self::Signed(b)) => a == b,
            (Self::Unsigned(a), Self::Unsigned(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, .. } => f.write_str(text),
            Self::Null => f.write_str("null"),
            Self::Signed(n) => n.fmt(f),
            Self::Unsigned(n) => n.fmt(f),
            Self::Float(n) => n.fmt(f),
        }
    }
}

/// The text after the number of JSON that it begins with (RFC 8259 §6), or the word of Python for one.
pub fn after_number(text: &[u8]) -> Option<&[u8]> {
    for word in [&b"NaN"[..], b"Infinity", b"-Infinity"] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some(rest);
        }
    }
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let mut rest = match rest.strip_prefix(b"0") {
        Some(rest) => rest,
        None => after_digits(rest)?,
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = after_digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let digits = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        rest = after_digits(digits)?;
    }
    Some(rest)
}

/// The text after at least one digit.
fn after_digits(text: &[u8]) -> Option<&[u8]> {
    let len = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
    if len == 0 { None } else { text.get(len..) }
}

/// A number with more digits than any double needs, with as many as one needs: more of them cost up to ten
/// microseconds to read where they lie between two doubles. `None` for the usual ones.
fn shortened(text: &str) -> Option<String> {
    /// The shortest text of a double has 17; so many still fit a word.
    const DIGITS: usize = 19;
    if text.len() <= DIGITS || text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mut digits = String::with_capacity(DIGITS + 24);
    // By how many places the digits that were taken stand too far to the right.
    let (mut shift, mut cut, mut fraction) = (0i64, false, false);
    for c in mantissa.bytes() {
        let is_kept = digits.len() < DIGITS;
        match c {
            b'.' => fraction = true,
            b'0'..=b'9' if is_kept => {
                if c != b'0' || !digits.is_empty() {
                    digits.push(char::from(c));
                }
                shift -= i64::from(fraction);
            }
            b'0'..=b'9' => {
                cut = true;
                shift += i64::from(!fraction);
            }
            _ => {}
        }
    }
    if !cut {
        return None;
    }
    // An exponent that 64 bits do not hold is as good as infinite.
    let limit = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    let exponent = exponent.parse::<i64>().unwrap_or(limit).saturating_add(shift);
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    Some(format!("{sign}{digits}e{exponent}"))
}

/// How far two numbers may be apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Relative to the larger of the two.
    pub relative: f64,
    /// In the unit of the numbers.
    pub absolute: f64,
}

/// How much more than its noise a difference is that no noise explains.
pub const FAR: f64 = 100.0;

/// How far two numbers are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Apart {
    /// Their distance. `NaN` where only one of them is a number.
    pub by: f64,
    /// Whether that is enough to tell how far a model is from itself: more than a hundredth of what is
    /// tolerated.
    pub tells: bool,
    /// Whether that is more than is tolerated.
    pub differ: bool,
    /// Whether they are names: any other number is another thing, however near it is.
    pub is_name: bool,
}

/// What counts between two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Any difference: they are names.
    Exact,
    /// The tolerances; but of whole numbers, one of them written as such, only the absolute one, since a part
    /// of a large number is another number.
    Counted,
    /// The tolerances.
    Measured,
}

impl Tolerance {
    /// Compares two numbers. `NaN` equals `NaN` and `null`, which is how servers write it that keep to
    /// JSON, and an infinity itself. Whole numbers are told
    /// apart beyond what a double holds.
    pub fn compare(self, measure: Measure, live: Number<'_>, shadow: Number<'_>) -> Apart {
        let are_whole = live.are_whole(shadow) && measure != Measure::Measured;
        let is_name = are_whole || measure == Measure::Exact;
        let apart = |by, tells, differ| Apart { by, tells, differ, is_name };
        if are_whole && live == shadow {
            return apart(0.0, false, false);
        }
        let whole = if is_name { Number::exact } else { Number::whole };
        if let (Some(a), Some(b)) = (whole(live), whole(shadow)) {
            let by = a.abs_diff(b) as f64;
            let margin = match measure {
                Measure::Exact => 0.0,
                Measure::Counted => self.absolute,
                Measure::Measured => self.margin(a as f64, b as f64),
            };
            return apart(by, by > margin / FAR, by > margin);
        }
        let (a, b) = (live.value(), shadow.value());
        let by = (a - b).abs();
        // Whole numbers that are too large for a word: any other digit makes another number.
        if is_name && let (Some(a), Some(b)) = (live.digits(), shadow.digits()) {
            return apart(by, a != b, a != b);
        }
        if a == b || (a.is_nan() && b.is_nan()) {
            return apart(0.0, false, false);
        }
        let margin = match measure {
            Measure::Exact => 0.0,
            Measure::Counted if are_whole => self.absolute,
            _ => self.margin(a, b),
        };
        // An infinity is within any relative margin of everything.
        let differ = !(by.is_finite() && by <= margin);
        apart(by, differ || by > margin / FAR, differ)
    }

    fn margin(self, a: f64, b: f64) -> f64 {
        self.absolute.max(self.relative * a.abs().max(b.abs()))
    }

    /// The most that a number may be away from this one and still be within the tolerances.
    pub fn reach(self, value: f64) -> f64 {
        self.absolute.max(self.relative / (1.0 - self.relative) * value.abs())
    }

    /// Compares two rows of so many scores. A decision is the highest score of a row, and has no
    /// tolerance: one that went the other way by a hair went the other way. Where scores of a row are
    /// equal any of them may win; but where all of three or more are, none does.
    pub fn row<'a>(self, len: usize, pair: &dyn Fn(usize) -> (Number<'a>, Number<'a>)) -> Row {
        let mut row = Row {
            decides_otherwise: false,
            differ: false,
            tells: false,
            index: 0,
            winner: 0,
            by: 0.0,
            max_score_delta: 0.0,
        };
        let mut best = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let mut least = (f64::INFINITY, f64::INFINITY);
        // Whether there is a number at all.
        let mut any = (false, false);
        for i in 0..len {
            let (a, b) = pair(i);
            let Apart { by, tells, differ, .. } = self.compare(Measure::Measured, a, b);
            row.differ |= differ;
            row.tells |= tells;
            // A score that is one on one side only is as far away as can be.
            row.max_score_delta =
                row.max_score_delta.max(if by.is_nan() { f64::INFINITY } else { by });
            // NaN is the worst of all.
            if by.is_nan() || by > row.by {
                (row.index, row.by) = (i, by);
            }
            let (a, b) = (a.value(), b.value());
            if b > best.1 {
                row.winner = i;
            }
            best = (best.0.max(a), best.1.max(b));
            // What is no number is lower than all.
            let low = |n: f64| if n.is_nan() { f64::NEG_INFINITY } else { n };
            least = (least.0.min(low(a)), least.1.min(low(b)));
            any = (any.0 || !a.is_nan(), any.1 || !b.is_nan());
        }
        let stands = (0..len).map(pair).any(|(a, b)| (a.value(), b.value()) == best);
        // Two scores may be equal; a row of more that are decides nothing.
        let is_flat = (best.0 <= least.0, best.1 <= least.1);
        let is_lost = len > 2 && is_flat.0 != is_flat.1;
        row.decides_otherwise = (!stands || is_lost) && any != (false, false);
        row
    }
}

/// Whether these are the probabilities of one decision: none outside of 0 to 1, and together 1, but
/// for what servers round.
pub fn are_probabilities(values: impl Iterator<Item = f64>) -> bool {
    let mut sum = 0.0;
    for value in values {
        if !(0.0..=1.0).contains(&value) {
            return false;
        }
        sum += value;
    }
    (sum - 1.0f64).abs() <= 0.01
}

/// How two rows of scores differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Whether no score is the highest of both rows, or only one of them decides anything.
    pub decides_otherwise: bool,
    /// Whether scores differ by more than is tolerated.
    pub differ: bool,
    /// Whether that is enough to tell how far a model is from itself.
    pub tells: bool,
    /// The shadow's highest score.
    pub winner: usize,
    /// Where the scores differ most.
    pub index: usize,
    /// By how much.
    pub by: f64,
    /// The largest difference; infinite where only one of two is a number.
    pub max_score_delta: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Number<'_> {
        if text == "null" { Number::Null } else { Number::text(text) }
    }

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
            ("null", "null", true, true),
            ("null", "NaN", true, true),
            ("null", "0", false, false),
        ] {
            let (a, b) = (text(a), text(b));
            let within =
                |tolerance: Tolerance, a, b| !tolerance.compare(Measure::Measured, a, b).differ;
            assert_eq!(within(USUAL, a, b), usual, "{a} {b}");
            assert_eq!(within(EXACT, a, b), exact, "{a} {b} exactly");
            assert_eq!(within(USUAL, b, a), usual, "{b} {a}");
            assert_eq!(!USUAL.compare(Measure::Exact, a, b).differ, exact, "{a} {b} as names");
        }
        let by = |a, b| USUAL.compare(Measure::Measured, a, b).by;
        assert_eq!(by(text("3"), Number::Signed(5)), 2.0);
        assert_eq!(by(text("0.5"), Number::Float(0.5)), 0.0);
        assert!(by(text("3"), text("NaN")).is_nan());
        let counted = |a, b| USUAL.compare(Measure::Counted, a, b).differ;
        assert!(counted(text("9000000"), Number::Unsigned(9_000_001)));
        assert!(counted(text("9000000"), text("9000001.0")));
        assert!(!counted(text("9000000"), text("9000000.0")));
        assert!(!counted(text("9000000.0"), text("9000001.0")));
        // A double holds neither, and the two are the same one.
        let (large, larger) = ("9007199254740992", "9007199254740993");
        let huge = "12345678901234567890123456789012345678901234";
        let more = "12345678901234567890123456789012345678901235";
        let huge_with_fraction = format!("{huge}.0");
        for (a, b, differ) in [
            (text(larger), text("9007199254740992.0"), true),
            (text(larger), text("9007199254740993.0"), false),
            (text(larger), Number::Float(9_007_199_254_740_992.0), true),
            (text(large), Number::Float(9_007_199_254_740_992.0), false),
            (text(larger), text("9.007199254740992e15"), true),
            (text(large), text("9.007199254740992e15"), false),
            (text(huge), text(&huge_with_fraction), false),
            (text(more), text(&huge_with_fraction), true),
            (text(huge), text(more), true),
        ] {
            assert_eq!((counted(a, b), counted(b, a)), (differ, differ), "{a} {b}");
            let named = |a, b| USUAL.compare(Measure::Exact, a, b).differ;
            assert_eq!((named(a, b), named(b, a)), (differ, differ), "{a} {b} as names");
        }
        let named = |a, b| USUAL.compare(Measure::Exact, text(a), text(b)).differ;
        assert!(named("9007199254740993.0", "9007199254740992.0"), "of an integer type");
        let two = Tolerance { absolute: 2.0, ..USUAL };
        assert!(!two.compare(Measure::Counted, text(larger), text("9007199254740991.0")).differ);
        assert!(!counted(text("9000000"), text("9000001.5")));
    }

    #[test]
    fn whole_numbers_are_known_by_one_of_two() {
        for (a, b, expected) in [
            ("1", "2", true),
            ("1", "2.0", true),
            ("1.234568e6", "1234567", true),
            ("1.0", "2.0", false),
            ("1", "2.5", false),
            ("1", "1e400", false),
            ("1", "NaN", false),
            ("1", "null", false),
        ] {
            assert_eq!(text(a).are_whole(text(b)), expected, "{a} {b}");
            assert_eq!(text(b).are_whole(text(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn what_is_within_the_tolerances_is_within_reach() {
        let tolerance = Tolerance { relative: 0.1, absolute: 0.5 };
        for a in [0.0, 0.4, -3.0, 7.0, -100.0, 1e300] {
            for b in [0.0, 0.9, -3.3, 7.7, -111.0, 1.1e300, 7.8] {
                let apart =
                    tolerance.compare(Measure::Measured, Number::Float(a), Number::Float(b));
                assert!(apart.differ || (a - b).abs() <= tolerance.reach(a), "{a} {b}");
            }
        }
    }

    #[test]
    fn probabilities_are_together_one() {
        for (row, are) in [
            (&[0.1, 0.9][..], true),
            (&[0.333, 0.333, 0.333], true),
            (&[0.0, 1.0], true),
            (&[0.1, 0.8], false),
            (&[-0.1, 1.1], false),
            (&[f64::NAN, 1.0], false),
            (&[101.0, 102.0], false),
            (&[], false),
        ] {
            assert_eq!(are_probabilities(row.iter().copied()), are, "{row:?}");
        }
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
            (&["null", "0.9"], &["0.9", "null"], (true, true, 1)),
            (&["null", "-0.1"], &["null", "-0.3"], (false, true, 1)),
        ] {
            let row = USUAL.row(2, &|i| (text(live[i]), text(shadow[i])));
            let found = (row.decides_otherwise, row.differ, row.index);
            assert_eq!(found, expected, "{live:?} {shadow:?}");
        }
    }

    #[test]
    fn more_digits_than_a_double_has_change_nothing() {
        for (text, cut) in [
            ("0.12345678901234567", false),
            ("-1.2345678901234567e-05", false),
            ("0.00000000000000000000001", false),
            ("1234567890123456789", false),
            ("NaN", false),
            ("-Infinity", false),
            ("1.7976931348623158079e308", true),
            ("24703282292062327208e-343", true),
            ("-12345678901234567890", true),
            ("123456789012345678901234567890.5e-40", true),
            ("0.000123456789012345678901234567890", true),
            ("0.10000000000000000000000000000000", true),
            ("1e99999999999999999999999", false),
            ("12345678901234567890e99999999999999999999999", true),
            ("12345678901234567890e-99999999999999999999999", true),
        ] {
            assert_eq!(shortened(text).is_some(), cut, "{text}");
            let (short, exact) = (Number::text(text).value(), text.parse::<f64>().unwrap());
            let near = short.to_bits().abs_diff(exact.to_bits()) <= 1;
            assert!(near || short.is_nan() && exact.is_nan(), "{text}: {short} {exact}");
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
