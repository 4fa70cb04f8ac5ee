//! Which counters there are, and what was added to each since it was last handed to the proxy.

use super::metric::{SHADOW_DIFFERENCES, SHADOW_OUTCOMES, SHADOW_SELECTED};
use super::{ModelLabel, ModelLabels, NONE, Verdict, metric_name};
use crate::authn::TokenResult;
use crate::authn::remote::FetchResult;
use crate::authz::Effect;
use crate::few::FewMap;
use crate::routing::Operation;
use crate::shadow::Outcome;
use crate::shadow::compare::Kind;

/// Something to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// A request.
    Request(ModelLabel, Option<Operation>, Verdict),
    /// An effect of the policy with this label.
    Policy(u32, Effect),
    /// A token or API key.
    Token(TokenResult),
    /// A claim that has an output header, and cannot stand in one.
    UnwritableClaim,
    /// A fetch of the remote key set with this index.
    JwksFetch(u32, FetchResult),
    /// A request chosen for the shadow with this index.
    ShadowSelected(u32),
    /// The end of a chosen request.
    ShadowOutcome(u32, Outcome),
    /// A kind of mismatch.
    ShadowDifference(u32, Kind),
}

impl Count {
    /// The same for the same only: compared in one step.
    fn key(self) -> u64 {
        let of = |kind: u64, of: u32, what: u64| kind << 56 | u64::from(of) << 16 | what;
        match self {
            Self::Request(model, operation, verdict) => {
                let operation = operation.map_or(0, |operation| operation as u64 + 1);
                of(0, model.index(), operation << 8 | verdict as u64)
            }
            Self::Policy(label, effect) => of(1, label, effect as u64),
            Self::Token(result) => of(2, 0, result as u64),
            Self::JwksFetch(remote, result) => of(3, remote, result as u64),
            Self::ShadowSelected(shadow) => of(4, shadow, 0),
            Self::ShadowOutcome(shadow, outcome) => of(5, shadow, outcome as u64),
            Self::ShadowDifference(shadow, kind) => of(6, shadow, kind as u64),
            Self::UnwritableClaim => of(7, 0, 0),
        }
    }
}

/// Names that a [`Count`] refers to by index.
pub trait Names {
    /// The policy with this label.
    fn policy(&self, label: u32) -> &str;
    /// The shadow with this index.
    fn shadow(&self, index: u32) -> &str;
    /// The issuer of the remote key set with this index.
    fn issuer(&self, remote: u32) -> &str;
}

/// Counts added up in the guest, so that a request costs no host call for them.
#[derive(Debug, Default)]
pub struct Counters {
    /// By [`Count::key`].
    index: FewMap<u64, usize>,
    entries: Vec<Entry>,
    dirty: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    count: Count,
    pending: u64,
    /// The host's id of the metric, once it is defined.
    metric: Option<u32>,
}

impl Counters {
    /// All that is counted of so many shadows, at 0. What Prometheus sees of a counter begins with its first value: one
    /// that came with the first mismatches would hide them.
    pub fn of_shadows(shadows: usize) -> Self {
        let mut counters = Self::default();
        for shadow in (0..).take(shadows) {
            counters.add(Count::ShadowSelected(shadow), 0);
            for outcome in Outcome::WORDS.iter().filter_map(|word| Outcome::from_word(word)) {
                counters.add(Count::ShadowOutcome(shadow, outcome), 0);
            }
            for kind in Kind::WORDS.iter().filter_map(|word| Kind::from_word(word)) {
                counters.add(Count::ShadowDifference(shadow, kind), 0);
            }
        }
        counters
    }

    /// Adds so many.
    pub fn add(&mut self, count: Count, times: u32) {
        let entries = &mut self.entries;
        let at = self.index.entry(count.key(), || {
            entries.push(Entry { count, pending: 0, metric: None });
            entries.len().saturating_sub(1)
        });
        let Some(at) = at.map(|at| *at) else { return };
        if let Some(entry) = entries.get_mut(at) {
            if entry.pending == 0 {
                self.dirty.push(at);
            }
            entry.pending = entry.pending.saturating_add(times.into());
        }
    }

    /// Hands every pending count to the host: `define` gives a metric's id, `increment` adds.
    pub fn flush(
        &mut self,
        models: &ModelLabels,
        names: &dyn Names,
        mut define: impl FnMut(&str) -> Option<u32>,
        mut increment: impl FnMut(u32, u64),
    ) {
        for at in self.dirty.drain(..) {
            let Some(entry) = self.entries.get_mut(at) else { continue };
            if entry.metric.is_none() {
                entry.metric = define(&name(entry.count, models, names));
            }
            if let Some(metric) = entry.metric {
                increment(metric, entry.pending);
            }
            entry.pending = 0;
        }
    }
}

fn name(count: Count, models: &ModelLabels, names: &dyn Names) -> String {
    match count {
        Count::Request(model, operation, verdict) => metric_name(
            "modelgate_requests_total",
            &[
                ("model", models.name(model)),
                ("operation", operation.map_or(NONE, Operation::as_str)),
                ("decision", verdict.as_str()),
            ],
        ),
        Count::Policy(label, effect) => metric_name(
            "modelgate_policy_total",
            &[("policy", names.policy(label)), ("effect", effect.as_str())],
        ),
        Count::Token(result) => {
            metric_name("modelgate_tokens_total", &[("result", result.as_str())])
        }
        Count::UnwritableClaim => metric_name("modelgate_unwritable_claims_total", &[]),
        Count::JwksFetch(remote, result) => metric_name(
            "modelgate_jwks_fetches_total",
            &[("issuer", names.issuer(remote)), ("result", result.as_str())],
        ),
        Count::ShadowSelected(shadow) => {
            metric_name(SHADOW_SELECTED, &[("shadow", names.shadow(shadow))])
        }
        Count::ShadowOutcome(shadow, outcome) => metric_name(
            SHADOW_OUTCOMES,
            &[("shadow", names.shadow(shadow)), ("outcome", outcome.as_str())],
        ),
        Count::ShadowDifference(shadow, kind) => metric_name(
            SHADOW_DIFFERENCES,
            &[("shadow", names.shadow(shadow)), ("kind", kind.as_str())],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoNames;
    impl Names for NoNames {
        fn policy(&self, _: u32) -> &str {
            "p"
        }
        fn shadow(&self, _: u32) -> &str {
            "s"
        }
        fn issuer(&self, _: u32) -> &str {
            "https://idp"
        }
    }

    #[test]
    fn fetches_carry_issuer_and_result() {
        let labels = ModelLabels::new(0, std::iter::empty());
        let count = Count::JwksFetch(0, FetchResult::TooLarge);
        assert_eq!(
            name(count, &labels, &NoNames),
            "issuer=.=https://idp;.;result=.=too_large;.;modelgate_jwks_fetches_total"
        );
    }

    #[test]
    fn counts_are_flushed_once_and_metrics_defined_once() {
        let mut labels = ModelLabels::new(2, ["prod/iris"].into_iter());
        let mut counters = Counters::default();
        let mut defined = Vec::new();
        let mut added = Vec::new();
        for _ in 0..2 {
            for times in 1..3 {
                let predict = Some(Operation::Predict);
                counters.add(
                    Count::Request(labels.of("prod/iris", || None), predict, Verdict::Allowed),
                    times,
                );
            }
            counters.add(Count::Request(ModelLabel::NONE, None, Verdict::Denied), 1);
            counters.add(Count::UnwritableClaim, 2);
            counters.flush(
                &labels,
                &NoNames,
                |name| {
                    defined.push(name.to_owned());
                    u32::try_from(defined.len()).ok()
                },
                |metric, n| added.push((metric, n)),
            );
        }
        assert_eq!(
            defined,
            [
                "model=.=prod/iris;.;operation=.=predict;.;decision=.=allowed;.;modelgate_requests_total",
                "model=.=none;.;operation=.=none;.;decision=.=denied;.;modelgate_requests_total",
                "modelgate_unwritable_claims_total",
            ]
        );
        assert_eq!(added, [(1, 3), (2, 1), (3, 2), (1, 3), (2, 1), (3, 2)]);
    }

    #[test]
    fn all_of_a_shadow_is_there_from_the_start() {
        let labels = ModelLabels::new(0, std::iter::empty());
        let mut counters = Counters::of_shadows(2);
        counters.add(Count::ShadowSelected(1), 3);
        let mut counts = Vec::new();
        for _ in 0..2 {
            let mut defined = Vec::new();
            counters.flush(
                &labels,
                &NoNames,
                |name| {
                    defined.push(name.to_owned());
                    u32::try_from(defined.len()).ok()
                },
                |_, n| counts.push(n),
            );
            let each = 1 + Outcome::WORDS.len() + Kind::WORDS.len();
            assert!(defined.is_empty() || defined.len() == 2 * each, "{defined:?}");
        }
        assert_eq!(counts.iter().sum::<u64>(), 3);
    }
}
