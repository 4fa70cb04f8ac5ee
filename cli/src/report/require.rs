//! The verdict: requirements as `agreement>=0.99`, and whether a shadow meets them.

use std::fmt;
use std::str::FromStr;

use super::figures::Figures;
use super::interval::{Confidence, Estimate};
use super::words::short;

/// What a requirement can be about, its name and what it means.
pub const QUANTITIES: [(Quantity, &str, &str); 10] = [
    (Quantity::Agreement, "agreement", "share of the compared answers that agree"),
    (Quantity::AgreementLower, "agreement-lower", "lower end of its interval"),
    (Quantity::ClassChanges, "class-changes", "share of the compared answers with another class"),
    (Quantity::Ratio(0), "p50-ratio", "median latency, shadow by live"),
    (Quantity::Ratio(1), "p95-ratio", "the same of the 95th percentiles"),
    (Quantity::Ratio(2), "p99-ratio", "the same of the 99th percentiles"),
    (Quantity::ScoreP99, "score-p99", "99th percentile of how far scores moved"),
    (Quantity::Failures, "failures", "share of copies that the shadow did not answer"),
    (Quantity::Drops, "drops", "share of copies neither compared nor failures"),
    (Quantity::Compared, "compared", "number of compared answers"),
];

/// What a requirement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Share of the compared answers that agree.
    Agreement,
    /// The lower end of its interval.
    AgreementLower,
    /// Share of the compared answers with another class.
    ClassChanges,
    /// Latency, shadow by live, of the quantile with this place in the list of quantiles.
    Ratio(usize),
    /// How far scores moved.
    ScoreP99,
    /// Share of copies that the shadow did not answer.
    Failures,
    /// Share of copies that were neither compared nor failures.
    Drops,
    /// Number of compared answers.
    Compared,
}

impl Quantity {
    /// Its value, if there is anything to know it from.
    fn of(self, figures: &Figures, confidence: Confidence) -> Option<Found> {
        let found = |e: Estimate| Found { value: e.value, most: (!e.at_least).then_some(e.value) };
        let exactly = |value: f64| Found { value, most: Some(value) };
        match self {
            Self::Agreement => figures.agreement.estimate(confidence).map(found),
            Self::AgreementLower => {
                figures.agreement.estimate(confidence).map(|e| exactly(e.lower))
            }
            Self::ClassChanges => {
                let share = figures.class_changes;
                let value = share.estimate(confidence)?.value;
                Some(Found { value, most: share.most() })
            }
            Self::Ratio(at) => figures.ratio.get(at).copied().flatten().map(found),
            Self::ScoreP99 => figures.moved.last().copied().flatten().map(found),
            Self::Failures => figures.failures.estimate(confidence).map(found),
            Self::Drops => figures.drops.estimate(confidence).map(found),
            Self::Compared => Some(exactly(figures.agreement.of)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// Longer ones first: `>` begins `>=`.
const OPERATORS: [(Operator, &str); 4] = [
    (Operator::AtLeast, ">="),
    (Operator::AtMost, "<="),
    (Operator::Above, ">"),
    (Operator::Below, "<"),
];

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    quantity: Quantity,
    operator: Operator,
    limit: f64,
    text: String,
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = OPERATORS.iter().find_map(|(operator, sign)| {
            text.split_once(sign).map(|(name, limit)| (name.trim(), *operator, *sign, limit.trim()))
        });
        let Some((name, operator, sign, limit)) = found else {
            return Err("a condition is a quantity, one of >=, <=, >, < and a number".to_owned());
        };
        let known = QUANTITIES.iter().find(|(_, known, _)| *known == name);
        let Some((quantity, _, _)) = known else {
            let names = QUANTITIES.map(|(_, name, _)| name).join(", ");
            return Err(format!("{name} is not a quantity: one of {names}"));
        };
        match limit.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Self {
                quantity: *quantity,
                operator,
                limit: number,
                text: format!("{name}{sign}{limit}"),
            }),
            _ => Err(format!("{limit} is not a number: shares are written as 0.99")),
        }
    }
}

/// One or more, with commas between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirements(pub Vec<Requirement>);

impl FromStr for Requirements {
    type Err = String;

    /// A part that is empty is an error: an unset variable of a pipeline is not "no conditions".
    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The value of a quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// It is this, or at least this.
    pub value: f64,
    /// It is at most this, if anything says so.
    pub most: Option<f64>,
}

impl Found {
    /// For people.
    pub fn shown(found: Option<Self>) -> String {
        match found {
            None => "unknown".to_owned(),
            Some(Self { value, most: None }) => {
                format!("at least {}, with no upper bound", short(value))
            }
            Some(Self { value, most: Some(most) }) if most > value => {
                format!("at least {}, at most {}", short(value), short(most))
            }
            Some(Self { value, .. }) => short(value),
        }
    }
}

/// What became of a requirement.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The shadow; none where the metrics hold none.
    pub shadow: Option<String>,
    /// As it was asked for.
    pub requirement: String,
    /// What was found; none if there is nothing to know it from.
    pub found: Option<Found>,
    /// Whether that is enough. What is not known is not.
    pub met: bool,
}

impl Requirement {
    /// Whether it is about the answers that were compared, of whichever share.
    pub fn is_about_answers(&self) -> bool {
        use Quantity::{Agreement, AgreementLower, ClassChanges};
        matches!(self.quantity, Agreement | AgreementLower | ClassChanges)
    }

    /// Whether it says how large a quantity may be at most.
    pub fn limits(&self, quantity: Quantity) -> bool {
        self.quantity == quantity && matches!(self.operator, Operator::AtMost | Operator::Below)
    }

    /// Of this shadow, or of none at all.
    pub fn judge(&self, shadow: Option<(&str, &Figures)>, confidence: Confidence) -> Judgement {
        let found = shadow.and_then(|(_, figures)| self.quantity.of(figures, confidence));
        let met = found.is_some_and(|Found { value, most }| match self.operator {
            Operator::AtLeast => value >= self.limit,
            Operator::AtMost => most.is_some_and(|most| most <= self.limit),
            Operator::Above => value > self.limit,
            Operator::Below => most.is_some_and(|most| most < self.limit),
        });
        let shadow = shadow.map(|(name, _)| name.to_owned());
        Judgement { shadow, requirement: self.to_string(), found, met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::counts::Counts;
    use crate::report::histogram::Histogram;

    fn figures() -> Figures {
        let mut counts = Counts { selected: 100.0, ..Counts::default() };
        for (outcome, count) in [("matched", 72.0), ("mismatched", 8.0), ("timeout", 5.0)] {
            counts.outcomes.insert(outcome.to_owned(), count);
        }
        counts.outcomes.insert("too_large".to_owned(), 15.0);
        counts.differences.insert("class".to_owned(), 4.0);
        counts.differences.insert("score".to_owned(), 4.0);
        let all_between =
            |lower, upper| Histogram::new(vec![(lower, 0.0), (upper, 80.0), (f64::INFINITY, 80.0)]);
        counts.live = all_between(10.0, 20.0);
        counts.shadow = all_between(20.0, 40.0);
        counts.moved = all_between(0.0, 1000.0);
        Figures::new(counts, Confidence::Ninety5)
    }

    fn met(requirement: &str, figures: &Figures) -> bool {
        let requirement: Requirement = requirement.parse().expect(requirement);
        requirement.judge(Some(("iris-v2", figures)), Confidence::Ninety5).met
    }

    #[test]
    fn every_quantity_is_what_its_name_says() {
        let figures = figures();
        for (name, value) in [
            ("agreement", 0.9),
            ("class-changes", 0.05),
            ("p50-ratio", 2.0),
            ("p95-ratio", 2.0),
            ("p99-ratio", 2.0),
            ("score-p99", 0.00099),
            ("failures", 0.05),
            ("drops", 0.15),
            ("compared", 80.0),
        ] {
            for (operator, limit, expected) in [
                (">=", value - 1e-9, true),
                (">=", value + 1e-9, false),
                ("<=", value + 1e-9, true),
                ("<=", value - 1e-9, false),
                (" < ", value + 1e-9, true),
                (" > ", value - 1e-9, true),
            ] {
                let requirement = format!("{name}{operator}{limit}");
                assert_eq!(met(&requirement, &figures), expected, "{requirement}");
            }
        }
        assert!(met("agreement-lower>0.81", &figures) && met("agreement-lower<0.82", &figures));
        assert!(met("compared>=80", &figures) && !met("compared>80", &figures));
        assert!(met("compared<=80", &figures) && !met("compared<80", &figures));
    }

    #[test]
    fn what_has_no_upper_bound_is_below_nothing() {
        let all = |buckets: &[(f64, f64)]| Histogram::new(buckets.to_vec());
        let within = || all(&[(10.0, 0.0), (20.0, 80.0), (f64::INFINITY, 80.0)]);
        let beyond = || all(&[(10.0, 0.0), (20.0, 0.0), (f64::INFINITY, 80.0)]);
        let zero = || all(&[(0.0, 80.0), (20.0, 80.0), (f64::INFINITY, 80.0)]);
        let cut_off = || all(&[(10.0, 0.0), (20.0, 80.0)]);
        let figures = |live, shadow| {
            let counts =
                Counts { live, moved: Histogram::clone(&shadow), shadow, ..Counts::default() };
            Figures::new(counts, Confidence::Ninety5)
        };
        // The median of the live model is 15, or at least 20; a score moved by at least 20 millionths.
        for (live, shadow, requirement, expected) in [
            (within(), beyond(), "score-p99<=5", false),
            (within(), beyond(), "score-p99<5", false),
            (within(), beyond(), "score-p99>=0.00002", true),
            (within(), beyond(), "score-p99>0.00001", true),
            (within(), beyond(), "score-p99>0.00003", false),
            (within(), within(), "score-p99<=5", true),
            (within(), cut_off(), "score-p99<=5", false),
            (within(), cut_off(), "score-p99>=0", false),
            (within(), beyond(), "p50-ratio<=1000", false),
            (within(), beyond(), "p50-ratio>=1.3", true),
            (within(), beyond(), "p50-ratio>=1.4", false),
            (beyond(), within(), "p50-ratio<=1000", false),
            (beyond(), within(), "p50-ratio>=0", false),
            (beyond(), beyond(), "p50-ratio<=1000", false),
            (beyond(), beyond(), "p50-ratio>=0", false),
            (zero(), within(), "p50-ratio>=0", false),
            (zero(), zero(), "p50-ratio<=1", false),
            (within(), zero(), "p50-ratio<=0", true),
        ] {
            let figures = figures(live, shadow);
            assert_eq!(met(requirement, &figures), expected, "{requirement}: {figures:?}");
        }
    }

    #[test]
    fn classes_that_nobody_compared_may_be_other_ones() {
        let mut counts = figures().counts;
        counts.differences.insert("score".to_owned(), 2.0);
        counts.differences.insert("status".to_owned(), 2.0);
        let figures = Figures::new(counts, Confidence::Ninety5);
        for (requirement, expected) in [
            ("class-changes<=0.0749", false),
            ("class-changes<=0.0751", true),
            ("class-changes<0.075", false),
            ("class-changes>=0.0499", true),
            ("class-changes>=0.0501", false),
        ] {
            assert_eq!(met(requirement, &figures), expected, "{requirement}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_met() {
        let nothing = Figures::new(Counts::default(), Confidence::Ninety5);
        for (_, name, _) in QUANTITIES {
            let requirement = format!("{name}<=1000");
            assert_eq!(met(&requirement, &nothing), name == "compared", "{requirement}");
            let requirement: Requirement = requirement.parse().expect(name);
            assert!(!requirement.judge(None, Confidence::Ninety5).met);
        }
    }

    #[test]
    fn a_requirement_that_cannot_be_read_is_told_why() {
        for (text, told) in [
            ("agreement", ">="),
            ("agreement=0.99", ">="),
            ("", ">="),
            ("accuracy>=0.99", "one of agreement, agreement-lower"),
            (">=0.99", "not a quantity"),
            ("agreement>=99%", "not a number"),
            ("agreement>=", "not a number"),
            ("agreement>=NaN", "not a number"),
            ("agreement>=inf", "not a number"),
            ("agreement=>0.9", "not a quantity"),
        ] {
            let error = text.parse::<Requirement>().expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
        assert!("agreement>=0.9,".parse::<Requirements>().is_err());
        let Requirements(two) = "agreement>=0.9, drops<0.1".parse().expect("two");
        assert_eq!(two.len(), 2);
        let read: Requirement = " p95-ratio <= 1.2".parse().expect("a requirement");
        assert_eq!(read.to_string(), "p95-ratio<=1.2");
    }
}
