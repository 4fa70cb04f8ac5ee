//! What to do about what a report shows.

use modelgate_engine::shadow::Outcome;
use modelgate_engine::shadow::compare::Kind;

use super::figures::Figures;
use super::require::{Quantity, Requirement};

/// The share of copies without a compared answer of which conditions should say something.
const MANY: f64 = 0.05;

/// Sentences, the most pressing first.
pub fn advice(figures: &Figures, baseline: Option<&Figures>) -> Vec<String> {
    let counts = &figures.counts;
    let mut lines = Vec::new();
    if counts.selected <= 0.0 {
        lines.push(
            "No request was chosen for a copy: do `models`, `operations`, `when` and `percent` fit \
             what clients send?"
                .to_owned(),
        );
    } else if figures.agreement.of <= 0.0 && figures.in_flight < counts.selected {
        lines.push("No answer was compared yet: there is no verdict about the model.".to_owned());
    }
    for word in Outcome::WORDS {
        let remedy = Outcome::from_word(word).and_then(remedy);
        let count = counts.outcomes.get(*word).copied().unwrap_or_default();
        if let Some(remedy) = remedy.filter(|_| count > 0.0) {
            lines.push(format!("{word} ({count:.0}): {remedy}"));
        }
    }
    if figures.class_changes.of <= 0.0 && figures.agreement.of > 0.0 {
        lines.push(
            "There are more mismatches than kinds of them, so class changes are not known: is the tag `kind` \
             in the gateway's meshConfig.defaultConfig.extraStatTags?"
                .to_owned(),
        );
    }
    let unclassed = figures.class_changes.unknown;
    if unclassed > 0.0 && figures.class_changes.of > 0.0 {
        lines.push(format!(
            "In {unclassed:.0} mismatches classes may not have been compared (another status, shape or field): they \
             may all be class changes, and conditions on those take them for such."
        ));
    }
    lines.extend(noise(figures, baseline));
    if figures.in_flight >= 0.5 {
        lines.push(format!(
            "In flight ({:.0}): selected is more than the sum of the outcomes. Ask again when these \
             copies have ended.",
            figures.in_flight
        ));
    }
    lines
}

/// What conditions on agreement pass over: copies that were not compared may be those in which the
/// models differ.
pub fn passed_over<'r>(
    figures: &Figures,
    conditions: impl Iterator<Item = &'r Requirement> + Clone,
) -> Vec<String> {
    if !conditions.clone().any(Requirement::is_about_answers) {
        return Vec::new();
    }
    let shares = [
        (Quantity::Failures, "failures", figures.failures),
        (Quantity::Drops, "drops", figures.drops),
    ];
    let mut lines = Vec::new();
    for (quantity, name, share) in shares {
        let is_limited = conditions.clone().any(|condition| condition.limits(quantity));
        if share.count > MANY * share.of && !is_limited {
            lines.push(format!(
                "No condition limits {name}, and {:.0} of {:.0} copies are {name}: agreement is only of \
                 the others. Add `{name}<={MANY}` to --require.",
                share.count, share.of
            ));
        }
    }
    lines
}

/// What an outcome asks for.
fn remedy(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Matched | Outcome::Mismatched => None,
        Outcome::Uncomparable => Some(
            "the answers say nothing of each other: streams, answers compressed beyond limits.responseBytes, a \
             baseline without an answer, or a live model whose two answers differ as a whole; or the shadow was \
             not asked: by HEAD, OPTIONS or with `upgrade`, or by GET whose query copies do not carry (query.keep). \
             The gateway's log says `cannot be compared` or `is not asked for`, and why.",
        ),
        Outcome::LiveFailed => Some(
            "the live model answered 5xx, or the gateway itself did: a policy behind the filter, no \
             healthy pod, a route's timeout. There is nothing to agree with; look at the live model.",
        ),
        Outcome::ShadowFailed => Some(
            "no answer, or 401 or 403. If the gateway's log says `refuses its copies`, allow the \
             gateway's principal in the shadow's AuthorizationPolicy: copies never carry the \
             caller's credentials. If it says `cannot be sent copies`, the gateway does not know the \
             `cluster`. Otherwise look at the shadow's pods.",
        ),
        Outcome::Timeout => Some(
            "the shadow is slower than its `timeout`. Give it more time or more CPU, or lower `percent`.",
        ),
        Outcome::TooLarge => Some(
            "a request or an answer is larger than limits.requestBytes or limits.responseBytes. \
             Raise them, and limits.bufferedBytes with them.",
        ),
        Outcome::OverBudget => Some(
            "too many copies or bytes at once in a worker; copies under way count until they are \
             answered. Raise limits.inFlight, limits.bufferedBytes or shadowLimits.bufferedBytes, or \
             lower `percent`. Or answers of more than some kilobytes that there was no time to \
             compare, of which a worker takes little: lower `percent` there.",
        ),
        Outcome::BreakerOpen => Some(
            "the shadow failed breaker.failures times in a row and was left alone for \
             breaker.retryAfter: it counts as failures. Those are the cause; requests were not harmed.",
        ),
        Outcome::Orphaned => Some(
            "the client hung up before the live answer, or did not come to an end with its request, or \
             the filter was replaced by a new configuration. A few are normal.",
        ),
    }
}

/// Whether differences may be noise, or fields that always differ.
fn noise(figures: &Figures, baseline: Option<&Figures>) -> Option<String> {
    let mismatched = figures.counts.outcome(Outcome::Mismatched);
    if mismatched <= 0.0 {
        return None;
    }
    if let Some(baseline) = baseline {
        let differs = baseline.counts.outcome(Outcome::Mismatched);
        return (differs > 0.0).then(|| {
            format!(
                "The live model disagrees with itself in {differs:.0} of {:.0} answers (baseline). What \
                 differs there as well is left out of the shadow's figures.",
                baseline.agreement.of
            )
        });
    }
    let fields = [Kind::Value, Kind::Missing, Kind::Extra];
    let by_field = fields.iter().any(|kind| figures.counts.kind(*kind) > 0.0);
    Some(if by_field {
        "Fields differ that are no scores; the gateway's log has the paths. A field that is new in each \
         answer, such as a time, belongs into compare.ignore. Ids and names of models do not count unless \
         compare.volatile is COMPARE."
            .to_owned()
    } else {
        "Without compare.baselineCluster nobody knows how often the live model disagrees with \
         itself."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::counts::Counts;
    use crate::report::interval::Confidence;

    fn figures(outcomes: &[(&str, f64)], kinds: &[(&str, f64)]) -> Figures {
        let mut counts = Counts::default();
        for (outcome, count) in outcomes {
            counts.selected += count;
            counts.outcomes.insert((*outcome).to_owned(), *count);
        }
        for (kind, count) in kinds {
            counts.differences.insert((*kind).to_owned(), *count);
        }
        Figures::new(counts, Confidence::Ninety5)
    }

    #[test]
    fn each_outcome_that_is_no_comparison_comes_with_a_remedy() {
        for (outcome, remedy) in [
            ("shadow_failed", "allow the gateway's principal"),
            ("timeout", "`timeout`"),
            ("too_large", "limits.requestBytes"),
            ("over_budget", "limits.inFlight"),
            ("breaker_open", "breaker.failures"),
            ("live_failed", "live model"),
            ("orphaned", "hung up"),
            ("uncomparable", "cannot be compared"),
        ] {
            let told = advice(&figures(&[("matched", 5.0), (outcome, 3.0)], &[]), None);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with(&format!("{outcome} (3): ")), "{told:?}");
            assert!(told[0].contains(remedy), "{told:?}");
        }
        assert_eq!(advice(&figures(&[("matched", 5.0)], &[]), None), [""; 0]);
    }

    #[test]
    fn in_flight_and_nothing_at_all_are_told() {
        let mut counts = Counts { selected: 7.0, ..Counts::default() };
        counts.outcomes.insert("matched".to_owned(), 5.0);
        let told = advice(&Figures::new(counts, Confidence::Ninety5), None);
        assert!(told[0].starts_with("In flight (2): "), "{told:?}");
        let told = advice(&figures(&[], &[]), None);
        assert!(told[0].contains("`percent`"), "{told:?}");
        let told = advice(&figures(&[("timeout", 1.0)], &[]), None);
        assert!(told[0].contains("no verdict"), "{told:?}");
    }

    #[test]
    fn differences_are_put_beside_the_noise() {
        let shadow = figures(&[("mismatched", 5.0)], &[("class", 5.0)]);
        assert!(advice(&shadow, None)[0].contains("compare.baselineCluster"));
        let noisy = figures(&[("matched", 3.0), ("mismatched", 2.0)], &[]);
        assert!(advice(&shadow, Some(&noisy))[0].contains("in 2 of 5 answers"));
        assert!(advice(&shadow, Some(&figures(&[("matched", 5.0)], &[]))).is_empty());
        let ids = figures(&[("mismatched", 5.0)], &[("value", 5.0)]);
        let told = advice(&ids, None);
        assert!(told[0].starts_with("In 5 mismatches classes may not"), "{told:?}");
        assert!(told[1].contains("compare.ignore"), "{told:?}");
    }
}
