//! Which counters exist, what they are called, and how many label values there may be.

use std::collections::BTreeMap;

use crate::authn::TokenResult;
use crate::authn::remote::FetchResult;
use crate::authz::Effect;
use crate::config::read::words;
use crate::few::FewMap;
use crate::shadow::Outcome;
use crate::shadow::compare::Kind;
use crate::target::Operation;

words! {
    /// What became of a request: the `decision` of `modelgate_requests_total`.
    pub enum Verdict {
        /// Let through.
        Allowed = "allowed",
        /// Let through by a bypass rule.
        Bypassed = "bypassed",
        /// Another application's host.
        Excluded = "excluded",
        /// 401, or 403 of authentication.
        Unauthenticated = "unauthenticated",
        /// 403 of authorization.
        Denied = "denied",
        /// 400: an address that no server may see.
        Refused = "refused",
        /// The filter has no configuration, or failed.
        Error = "error",
    }
}

/// The label of models that have none of their own.
pub const OTHER: &str = "other";
/// The label of requests that reach no model.
pub const NONE: &str = "none";

/// A metric's name with its tags, as Istio's bootstrap takes them out again for every tag in
/// `extraStatTags`: `model=.=prod/iris;.;modelgate_requests_total`.
pub fn metric_name(metric: &str, tags: &[(&str, &str)]) -> String {
    let mut name = String::new();
    for (tag, value) in tags {
        name.push_str(tag);
        name.push_str("=.=");
        // The separator inside a value would end it early and start a tag of the value's choosing.
        name.push_str(&value.replace(";.;", "_"));
        name.push_str(";.;");
    }
    name.push_str(metric);
    name
}

/// The models that have a label of their own. Bounded, so that strangers cannot use the labels up:
/// only names of the configuration and names that an upstream answered for are added.
#[derive(Debug)]
pub struct ModelLabels {
    max: usize,
    known: BTreeMap<Box<str>, u32>,
    names: Vec<Box<str>>,
}

/// A model's label: an index into [`ModelLabels`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelLabel(u32);

impl ModelLabel {
    /// No model.
    pub const NONE: Self = Self(0);
    /// A model without a label of its own.
    pub const OTHER: Self = Self(1);
}

impl ModelLabels {
    /// Room for `max` models, of which these are known from the start.
    pub fn new<'a>(max: u32, literal: impl Iterator<Item = &'a str>) -> Self {
        let mut labels = Self {
            max: usize::try_from(max).unwrap_or(usize::MAX).saturating_add(2),
            known: BTreeMap::new(),
            names: vec![NONE.into(), OTHER.into()],
        };
        for id in literal {
            labels.learn(id);
        }
        labels
    }

    /// The label of a model, `None` while it has none of its own and could get one.
    pub fn of(&self, id: &str) -> Option<ModelLabel> {
        match self.known.get(id) {
            Some(label) => Some(ModelLabel(*label)),
            None if self.names.len() >= self.max => Some(ModelLabel::OTHER),
            None => None,
        }
    }

    /// Gives a model a label if there is room.
    pub fn learn(&mut self, id: &str) -> ModelLabel {
        if let Some(label) = self.of(id) {
            return label;
        }
        let label = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(id.into());
        self.known.insert(id.into(), label);
        ModelLabel(label)
    }

    fn name(&self, label: ModelLabel) -> &str {
        let index = usize::try_from(label.0).unwrap_or(usize::MAX);
        self.names.get(index).map_or(OTHER, |name| name)
    }
}

/// Something to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    /// A request.
    Request(ModelLabel, Option<Operation>, Verdict),
    /// An effect of the policy with this label.
    Policy(u32, Effect),
    /// A token or API key.
    Token(TokenResult),
    /// A fetch of the remote key set with this index.
    JwksFetch(u32, FetchResult),
    /// A request chosen for the shadow with this index.
    ShadowSelected(u32),
    /// The end of a chosen request.
    ShadowOutcome(u32, Outcome),
    /// A kind of mismatch.
    ShadowDifference(u32, Kind),
}

/// A distribution over a shadow's pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Histogram {
    /// How long the live model took, in milliseconds.
    Live,
    /// How long the shadow took, in milliseconds.
    Shadow,
    /// The largest difference of two scores at the same place, in millionths.
    ScoreDifference,
}

impl Histogram {
    /// The metric's name for a shadow.
    pub fn name(self, shadow: &str) -> String {
        let metric = match self {
            Self::Live => "modelgate_shadow_live_milliseconds",
            Self::Shadow => "modelgate_shadow_milliseconds",
            Self::ScoreDifference => "modelgate_shadow_score_difference_millionths",
        };
        metric_name(metric, &[("shadow", shadow)])
    }
}

/// What a shadow holds at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gauge {
    /// Copies that were sent and not answered.
    InFlight,
    /// Bytes of copies and answers.
    BufferedBytes,
}

impl Gauge {
    /// The metric's name for a shadow.
    pub fn name(self, shadow: &str) -> String {
        let metric = match self {
            Self::InFlight => "modelgate_shadow_in_flight",
            Self::BufferedBytes => "modelgate_shadow_buffered_bytes",
        };
        metric_name(metric, &[("shadow", shadow)])
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
    index: FewMap<Count, usize>,
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
    /// Adds one.
    pub fn add(&mut self, count: Count) {
        let entries = &mut self.entries;
        let at = self.index.entry(count, || {
            entries.push(Entry { count, pending: 0, metric: None });
            entries.len().saturating_sub(1)
        });
        let Some(at) = at.map(|at| *at) else { return };
        if let Some(entry) = entries.get_mut(at) {
            if entry.pending == 0 {
                self.dirty.push(at);
            }
            entry.pending = entry.pending.saturating_add(1);
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
        Count::JwksFetch(remote, result) => metric_name(
            "modelgate_jwks_fetches_total",
            &[("issuer", names.issuer(remote)), ("result", result.as_str())],
        ),
        Count::ShadowSelected(shadow) => {
            metric_name("modelgate_shadow_selected_total", &[("shadow", names.shadow(shadow))])
        }
        Count::ShadowOutcome(shadow, outcome) => metric_name(
            "modelgate_shadow_outcomes_total",
            &[("shadow", names.shadow(shadow)), ("outcome", outcome.as_str())],
        ),
        Count::ShadowDifference(shadow, kind) => metric_name(
            "modelgate_shadow_differences_total",
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
    fn a_value_cannot_end_its_tag() {
        assert_eq!(metric_name("m", &[("model", "a;.;b")]), "model=.=a_b;.;m");
    }

    #[test]
    fn labels_are_bounded() {
        let mut labels = ModelLabels::new(2, ["prod/iris"].into_iter());
        assert_eq!(labels.of("prod/iris"), Some(ModelLabel(2)));
        assert_eq!(labels.of("prod/fraud"), None);
        assert_eq!(labels.learn("prod/fraud"), ModelLabel(3));
        assert_eq!(labels.learn("prod/third"), ModelLabel::OTHER);
        assert_eq!(labels.of("prod/third"), Some(ModelLabel::OTHER));
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
        let labels = ModelLabels::new(2, ["prod/iris"].into_iter());
        let mut counters = Counters::default();
        let mut defined = Vec::new();
        let mut added = Vec::new();
        for _ in 0..2 {
            for _ in 0..3 {
                counters.add(Count::Request(
                    ModelLabel(2),
                    Some(Operation::Predict),
                    Verdict::Allowed,
                ));
            }
            counters.add(Count::Request(ModelLabel::NONE, None, Verdict::Denied));
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
            ]
        );
        assert_eq!(added, [(1, 3), (2, 1), (1, 3), (2, 1)]);
    }
}
