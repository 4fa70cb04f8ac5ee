//! What the counts of a shadow say.

use modelgate_engine::shadow::Outcome;
use modelgate_engine::shadow::compare::Kind;

use super::counts::{Counts, HAIR};
use super::histogram::Histogram;
use super::interval::{Confidence, Estimate, Share};

/// The quantiles that are shown, with their names.
pub const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// What a shadow's copies ended as, if its answer was neither compared nor failed to come.
const DROPS: [Outcome; 5] = [
    Outcome::Uncomparable,
    Outcome::LiveFailed,
    Outcome::TooLarge,
    Outcome::OverBudget,
    Outcome::Orphaned,
];

/// What they ended as where the shadow gave no answer of use, or was not asked because it gave none.
const FAILURES: [Outcome; 3] = [Outcome::ShadowFailed, Outcome::Timeout, Outcome::BreakerOpen];

/// Shares and quantiles of one shadow.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// What they are drawn from.
    pub counts: Counts,
    /// Copies that have no outcome yet.
    pub in_flight: f64,
    /// Answers that agree, of those compared.
    pub agreement: Share,
    /// Answers with another class, of those compared; of none, where there are mismatches of no kind. Unknown are
    /// mismatches in which classes may not have been compared: of any kind but another score.
    pub class_changes: Share,
    /// Copies that the shadow left without an answer of use (`shadow_failed`, `timeout`), or that were
    /// not sent because it had done so (`breaker_open`), of those that have an outcome.
    pub failures: Share,
    /// Copies that were neither compared nor failures, of those that have an outcome.
    pub drops: Share,
    /// Milliseconds.
    pub live: Quantiles,
    /// Milliseconds.
    pub shadow: Quantiles,
    /// Shadow by live.
    pub ratio: Quantiles,
    /// The largest difference of two scores of a pair, in the scores' own unit.
    pub moved: Quantiles,
}

/// One estimate for each of [`QUANTILES`]; none without observations.
pub type Quantiles = [Option<Estimate>; QUANTILES.len()];

impl Figures {
    /// Of these counts, with intervals of this confidence.
    pub fn new(counts: Counts, confidence: Confidence) -> Self {
        let (ended, compared) = (counts.ended(), counts.compared());
        let share = |count, of| Share { count, of, unknown: 0.0 };
        let sum = |outcomes: &[Outcome]| outcomes.iter().map(|o| counts.outcome(*o)).sum::<f64>();
        let failed = sum(&FAILURES);
        let unknown: f64 = counts
            .outcomes
            .iter()
            .filter(|(name, _)| Outcome::from_word(name).is_none())
            .map(|(_, count)| count)
            .sum();
        let dropped = sum(&DROPS) + unknown;
        let live = quantiles(&counts.live, confidence);
        let shadow = quantiles(&counts.shadow, confidence);
        let moved = moved(&counts, confidence);
        // Each mismatch is of one kind at least: with fewer, class changes may be among those without.
        let kinds: f64 = counts.differences.values().sum();
        let are_kinds_known = kinds >= counts.outcome(Outcome::Mismatched) * (1.0 - HAIR);
        let classes = counts.kind(Kind::Class);
        let unclassed = (kinds - classes - counts.kind(Kind::Score))
            .min(counts.outcome(Outcome::Mismatched) - classes)
            .max(0.0);
        let mut ratio = live;
        for (live, shadow) in ratio.iter_mut().zip(&shadow) {
            *live = live.zip(*shadow).and_then(|(live, shadow)| quotient(shadow, live));
        }
        Self {
            in_flight: (counts.selected - ended).max(0.0),
            agreement: share(counts.outcome(Outcome::Matched), compared),
            class_changes: Share {
                count: classes,
                of: if are_kinds_known { compared } else { 0.0 },
                unknown: unclassed,
            },
            failures: share(failed, ended),
            drops: share(dropped, ended),
            live,
            shadow,
            ratio,
            moved,
            counts,
        }
    }
}

fn quantiles(histogram: &Histogram, confidence: Confidence) -> Quantiles {
    QUANTILES.map(|(_, q)| histogram.quantile(q, confidence))
}

/// How far scores moved. Nothing is known of it where so many mismatches came without scores (other shapes, another
/// status) that a quantile may lie among them. Pairs that agree have none where models answer with labels only.
fn moved(counts: &Counts, confidence: Confidence) -> Quantiles {
    let scored = counts.moved.count();
    let unscored = (counts.compared() - scored).clamp(0.0, counts.outcome(Outcome::Mismatched));
    let all = counts.moved.with_beyond(unscored);
    QUANTILES.map(|(_, q)| {
        let is_known = q * all.count() <= scored;
        let found = all.quantile(q, confidence).filter(|_| is_known);
        found.map(from_millionths)
    })
}

/// The gateway counts scores in millionths.
fn from_millionths(estimate: Estimate) -> Estimate {
    let Estimate { value, lower, upper, at_least } = estimate;
    let upper = upper.map(|upper| upper / 1e6);
    Estimate { value: value / 1e6, lower: lower / 1e6, upper, at_least }
}

/// Ends so far apart as both intervals allow. Nothing is known of it where the divisor is 0, or only
/// known to be at least something.
fn quotient(a: Estimate, b: Estimate) -> Option<Estimate> {
    (b.value > 0.0 && !b.at_least).then(|| Estimate {
        value: a.value / b.value,
        lower: b.upper.map_or(0.0, |upper| a.lower / upper),
        upper: a.upper.filter(|_| b.lower > 0.0).map(|upper| upper / b.lower),
        at_least: a.at_least,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        let mut counts = Counts { selected: 110.0, ..Counts::default() };
        for (outcome, count) in [("matched", 72), ("mismatched", 8), ("timeout", 4)] {
            counts.outcomes.insert(outcome.to_owned(), f64::from(count));
        }
        for (outcome, count) in [("breaker_open", 6), ("over_budget", 9), ("of_tomorrow", 1)] {
            counts.outcomes.insert(outcome.to_owned(), f64::from(count));
        }
        counts.differences.insert("class".to_owned(), 2.0);
        counts.differences.insert("score".to_owned(), 6.0);
        counts.live = Histogram::new(vec![(5.0, 80.0), (10.0, 80.0), (f64::INFINITY, 80.0)]);
        counts.shadow = Histogram::new(vec![(5.0, 0.0), (10.0, 80.0), (f64::INFINITY, 80.0)]);
        counts
    }

    #[test]
    fn shares_add_up() {
        let figures = Figures::new(counts(), Confidence::Ninety5);
        assert_eq!(figures.in_flight, 10.0);
        assert_eq!(figures.agreement, Share { count: 72.0, of: 80.0, unknown: 0.0 });
        assert_eq!(figures.class_changes, Share { count: 2.0, of: 80.0, unknown: 0.0 });
        assert_eq!(figures.failures, Share { count: 10.0, of: 100.0, unknown: 0.0 });
        assert_eq!(figures.drops, Share { count: 10.0, of: 100.0, unknown: 0.0 });
    }

    #[test]
    fn every_outcome_is_compared_a_failure_or_a_drop() {
        for outcome in Outcome::WORDS {
            let mut counts = Counts::default();
            counts.outcomes.insert((*outcome).to_owned(), 1.0);
            let figures = Figures::new(counts, Confidence::Ninety5);
            let sum = figures.agreement.of + figures.failures.count + figures.drops.count;
            assert_eq!(sum, 1.0, "{outcome}");
        }
    }

    #[test]
    fn mismatches_of_no_kind_leave_class_changes_unknown() {
        for (kinds, of) in [(8.0, 80.0), (9.0, 80.0), (7.0, 0.0), (0.0, 0.0), (8.0 - 1e-9, 80.0)] {
            let mut counts = counts();
            counts.differences.insert("class".to_owned(), 0.0);
            counts.differences.insert("score".to_owned(), kinds);
            let figures = Figures::new(counts, Confidence::Ninety5);
            let expected = Share { count: 0.0, of, unknown: 0.0 };
            assert_eq!(figures.class_changes, expected, "{kinds}");
        }
    }

    #[test]
    fn classes_that_nobody_compared_are_unknown() {
        for (kinds, count, unknown) in [
            (&[("score", 8.0)][..], 0.0, 0.0),
            (&[("status", 8.0)], 0.0, 8.0),
            (&[("content_type", 8.0)], 0.0, 8.0),
            (&[("shape", 3.0), ("score", 5.0)], 0.0, 3.0),
            (&[("bytes", 8.0)], 0.0, 8.0),
            (&[("missing", 8.0), ("extra", 8.0)], 0.0, 8.0),
            // In a form of the model's own another label is a value.
            (&[("value", 8.0)], 0.0, 8.0),
            (&[("of_tomorrow", 8.0)], 0.0, 8.0),
            (&[("class", 6.0), ("shape", 8.0)], 6.0, 2.0),
            (&[("class", 8.0), ("shape", 8.0)], 8.0, 0.0),
        ] {
            let mut counts = counts();
            counts.differences = kinds.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
            let figures = Figures::new(counts, Confidence::Ninety5);
            assert_eq!(figures.class_changes, Share { count, of: 80.0, unknown }, "{kinds:?}");
        }
    }

    #[test]
    fn scores_are_not_known_where_mismatches_have_none() {
        // Matched, mismatched, with scores; whether the median and the 99th percentile are known.
        for (matched, mismatched, scored, known) in [
            (1000.0, 0.0, 1000.0, [true, true]),
            (600.0, 400.0, 600.0, [true, false]),
            (400.0, 600.0, 400.0, [false, false]),
            (600.0, 400.0, 1000.0, [true, true]),
            (995.0, 5.0, 995.0, [true, true]),
            (980.0, 20.0, 980.0, [true, false]),
            // Of the answers that agree 600 are labels.
            (1000.0, 0.0, 400.0, [true, true]),
            (998.0, 2.0, 398.0, [true, true]),
            (1000.0, 0.0, 0.0, [false, false]),
        ] {
            let mut counts = Counts::default();
            counts.outcomes.insert("matched".to_owned(), matched);
            counts.outcomes.insert("mismatched".to_owned(), mismatched);
            counts.moved = Histogram::new(vec![(10.0, scored), (f64::INFINITY, scored)]);
            let figures = Figures::new(counts, Confidence::Ninety5);
            let [median, _, last] = figures.moved.map(|quantile| quantile.is_some());
            assert_eq!([median, last], known, "{matched} {mismatched} {scored}");
        }
    }

    #[test]
    fn the_ratio_of_quantiles_is_as_unsure_as_both() {
        let figures = Figures::new(counts(), Confidence::Ninety5);
        let [Some(p50), ..] = figures.ratio else { panic!("no ratio") };
        assert_eq!(p50.value, 7.5 / 2.5);
        assert_eq!((p50.lower, p50.upper), (1.0, None), "from 5/5 to 10/0");
        assert_eq!(Figures::new(Counts::default(), Confidence::Ninety5).ratio, [None; 3]);
    }
}
