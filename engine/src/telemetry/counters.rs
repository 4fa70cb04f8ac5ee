//! Which counters there are, and what was added to each since it was last handed to the proxy.

use super::metric::{SHADOW_DIFFERENCES, SHADOW_OUTCOMES, SHADOW_SELECTED};
use super::{
    CallerLabel, CallerLabels, ModelLabel, ModelLabels, NONE, QuotaResult, Verdict, metric_name,
};
use crate::authn::TokenResult;
use crate::authn::remote::FetchResult;
use crate::authz::Effect;
use crate::few::FewMap;
use crate::routing::Operation;
use crate::shadow::Outcome;
use crate::shadow::compare::Kind;
use crate::split::VariantId;
use crate::usage::{AnswerResult, TokenType};

/// After OpenTelemetry's `gen_ai.client.token.usage`.
const GEN_AI_TOKENS: &str = "modelgate_gen_ai_token_usage_total";

const SPLIT_REQUESTS: &str = "modelgate_split_requests_total";

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
    /// A request that goes to a variant.
    Variant(VariantId),
    /// Tokens that an answer has cost, by model and caller.
    GenAiTokens(ModelLabel, CallerLabel, TokenType),
    /// An answer of which the tokens are to be known.
    GenAiAnswer(ModelLabel, AnswerResult),
    /// A request that a quota counts.
    Quota(u32, QuotaResult),
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
            // There are far fewer than 2^24 labels of either kind.
            Self::GenAiTokens(model, caller, token_type) => {
                let labels = u64::from(model.index()) << 32 | u64::from(caller.index()) << 8;
                8 << 56 | labels | token_type as u64
            }
            Self::GenAiAnswer(model, result) => of(9, model.index(), result as u64),
            // No configuration has 2^16 variants of one split.
            Self::Quota(quota, result) => of(11, quota, result as u64),
            Self::Variant(id) => of(10, id.split, id.variant.into()),
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
    /// The quota with this index.
    fn quota(&self, index: u32) -> &str;
    /// A split and its variant.
    fn variant(&self, id: VariantId) -> (&str, &str);
}

/// Counts added up in the guest, so that a request costs no host call for them.
#[derive(Debug, Default)]
pub struct Counters {
    /// By [`Count::key`].
    index: FewMap<u64, usize>,
    entries: Vec<Entry>,
    dirty: Vec<usize>,
}

/// The labels that a [`Count`] refers to.
#[derive(Debug)]
pub struct Labels {
    /// Of models.
    pub models: ModelLabels,
    /// Of callers.
    pub callers: CallerLabels,
}

#[derive(Debug)]
struct Entry {
    count: Count,
    pending: u64,
    /// Whether it is among those that are handed over next.
    is_queued: bool,
    /// The host's id of the metric, once it is defined.
    metric: Option<u32>,
}

impl Counters {
    /// All that can be counted of tokens, and of so many remote key sets, shadows, quotas and variants, at 0. What Prometheus sees
    /// of a counter begins with its first value: one that came with the first mismatches would hide them.
    pub fn starting(
        remotes: usize,
        shadows: usize,
        quotas: usize,
        variants: impl Iterator<Item = VariantId>,
    ) -> Self {
        let mut counters = Self::default();
        for &verdict in Verdict::ALL {
            counters.add(Count::Request(ModelLabel::NONE, None, verdict), 0);
        }
        counters.add(Count::UnwritableClaim, 0);
        for &result in TokenResult::ALL {
            counters.add(Count::Token(result), 0);
        }
        for remote in (0..).take(remotes) {
            for &result in FetchResult::ALL {
                counters.add(Count::JwksFetch(remote, result), 0);
            }
        }
        for quota in (0..).take(quotas) {
            for &result in QuotaResult::ALL {
                counters.add(Count::Quota(quota, result), 0);
            }
        }
        variants.for_each(|id| counters.add(Count::Variant(id), 0));
        for shadow in (0..).take(shadows) {
            counters.add(Count::ShadowSelected(shadow), 0);
            for &outcome in Outcome::ALL {
                counters.add(Count::ShadowOutcome(shadow, outcome), 0);
            }
            for &kind in Kind::ALL {
                counters.add(Count::ShadowDifference(shadow, kind), 0);
            }
        }
        counters
    }

    /// Adds so many.
    pub fn add(&mut self, count: Count, times: u32) {
        let entries = &mut self.entries;
        let at = self.index.entry(count.key(), || {
            entries.push(Entry { count, pending: 0, is_queued: false, metric: None });
            entries.len().saturating_sub(1)
        });
        let Some(at) = at.map(|at| *at) else { return };
        if let Some(entry) = entries.get_mut(at) {
            // Many add 0: servers say of most answers that nothing came from a cache.
            if !std::mem::replace(&mut entry.is_queued, true) {
                self.dirty.push(at);
            }
            entry.pending = entry.pending.saturating_add(times.into());
        }
    }

    /// Hands every pending count to the host: `define` gives a metric's id, `increment` adds.
    pub fn flush(
        &mut self,
        labels: &Labels,
        names: &dyn Names,
        mut define: impl FnMut(&str) -> Option<u32>,
        mut increment: impl FnMut(u32, u64),
    ) {
        for at in self.dirty.drain(..) {
            let Some(entry) = self.entries.get_mut(at) else { continue };
            if entry.metric.is_none() {
                entry.metric = define(&name(entry.count, labels, names));
            }
            if let Some(metric) = entry.metric {
                increment(metric, entry.pending);
            }
            (entry.pending, entry.is_queued) = (0, false);
        }
    }
}

fn name(count: Count, labels: &Labels, names: &dyn Names) -> String {
    let models = &labels.models;
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
        Count::Quota(quota, result) => metric_name(
            "modelgate_quota_total",
            &[("quota", names.quota(quota)), ("result", result.as_str())],
        ),
        Count::Variant(id) => {
            let (split, variant) = names.variant(id);
            metric_name(SPLIT_REQUESTS, &[("split", split), ("variant", variant)])
        }
        Count::GenAiTokens(model, caller, token_type) => {
            let claim = labels.callers.name(caller);
            let known = [("model", models.name(model)), ("token_type", token_type.as_str())];
            let [model, token_type] = known;
            match claim {
                None => metric_name(GEN_AI_TOKENS, &known),
                Some(claim) => metric_name(GEN_AI_TOKENS, &[model, token_type, ("claim", claim)]),
            }
        }
        Count::GenAiAnswer(model, result) => metric_name(
            "modelgate_gen_ai_answers_total",
            &[("model", models.name(model)), ("result", result.as_str())],
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
        fn quota(&self, _: u32) -> &str {
            "q"
        }
        fn variant(&self, _: VariantId) -> (&str, &str) {
            ("iris", "canary")
        }
    }

    fn labels<'a>(max: u32, literal: impl Iterator<Item = &'a str>) -> Labels {
        Labels { models: ModelLabels::new(max, literal), callers: CallerLabels::new(1) }
    }

    #[test]
    fn what_is_counted_is_handed_over_once_however_often() {
        let labels = labels(1, ["llm/a"].into_iter());
        let mut counters = Counters::default();
        for (times, each) in [(10, 0), (10, 3), (1, 0)] {
            let count = Count::GenAiTokens(ModelLabel::OTHER, CallerLabel::ANY, TokenType::Cached);
            (0..times).for_each(|_| counters.add(count, each));
            let mut handed = Vec::new();
            counters.flush(&labels, &NoNames, |_| Some(7), |id, by| handed.push((id, by)));
            assert_eq!(handed, [(7, u64::from(times * each))], "{times} times {each}");
        }
        counters.flush(&labels, &NoNames, |_| Some(7), |_, _| panic!("nothing was counted"));
    }

    #[test]
    fn tokens_carry_the_claim_where_there_is_one() {
        let mut labels = labels(1, ["llm/a"].into_iter());
        let model = labels.models.of("llm/a", || None);
        let fraud = labels.callers.of(Some("fraud"));
        let mut keys = Vec::new();
        for (caller, token_type, want) in [
            (CallerLabel::ANY, TokenType::Input, "token_type=.=input;.;"),
            (fraud, TokenType::Output, "token_type=.=output;.;claim=.=fraud;.;"),
            (CallerLabel::NONE, TokenType::Cached, "token_type=.=cached;.;claim=.=none;.;"),
            (CallerLabel::OTHER, TokenType::Cached, "token_type=.=cached;.;claim=.=other;.;"),
        ] {
            let count = Count::GenAiTokens(model, caller, token_type);
            let want = format!("model=.=llm/a;.;{want}modelgate_gen_ai_token_usage_total");
            assert_eq!(name(count, &labels, &NoNames), want);
            assert!(!keys.contains(&count.key()));
            keys.push(count.key());
        }
    }

    #[test]
    fn fetches_carry_issuer_and_result() {
        let labels = labels(0, std::iter::empty());
        let count = Count::JwksFetch(0, FetchResult::TooLarge);
        assert_eq!(
            name(count, &labels, &NoNames),
            "issuer=.=https://idp;.;result=.=too_large;.;modelgate_jwks_fetches_total"
        );
    }

    #[test]
    fn counts_are_flushed_once_and_metrics_defined_once() {
        let mut labels = labels(2, ["prod/iris"].into_iter());
        let mut counters = Counters::default();
        let mut defined = Vec::new();
        let mut added = Vec::new();
        for _ in 0..2 {
            for times in 1..3 {
                let predict = Some(Operation::Predict);
                counters.add(
                    Count::Request(
                        labels.models.of("prod/iris", || None),
                        predict,
                        Verdict::Allowed,
                    ),
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
    fn what_alerts_watch_is_there_from_the_start() {
        let labels = labels(0, std::iter::empty());
        let variants = (0..2).map(|variant| VariantId { split: 0, variant });
        let mut counters = Counters::starting(3, 2, 1, variants);
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
            let fetches = 3 * FetchResult::WORDS.len();
            let all = Verdict::WORDS.len() + TokenResult::WORDS.len() + fetches + 5 + 2 * each;
            assert!(defined.is_empty() || defined.len() == all, "{defined:?}");
        }
        assert_eq!(counts.iter().sum::<u64>(), 3);
    }
}
