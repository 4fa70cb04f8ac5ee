//! Which counters exist, what they are called, and how many label values there may be.

use crate::authn::TokenResult;
use crate::authn::remote::FetchResult;
use crate::authz::Effect;
use crate::config::declare::words;
use crate::few::FewMap;
use crate::routing::Operation;
use crate::shadow::Outcome;
use crate::shadow::compare::Kind;
use crate::time::SECOND;

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

/// The models that have a label of their own. Bounded, so that strangers cannot use the labels up: names
/// of the configuration have theirs for good; others earn one by several answers with 2xx over some time,
/// and when there is no room the least used of these makes room.
///
/// A label that went stays as it is in the proxy, which forgets no metric: its model counts as `other`
/// from then on, and goes on where it stopped if it gets its label back.
#[derive(Debug)]
pub struct ModelLabels {
    max: usize,
    /// Sorted by their names.
    known: Vec<Known>,
    names: Vec<Box<str>>,
    candidates: Vec<Candidate>,
    /// Chooses which answers for models without a label are looked at while there is no room.
    dice: u64,
    /// Whether there is a label that could make room.
    has_learned: bool,
    /// When a label last made room, and when uses were last halved.
    replaced: Option<u64>,
    aged: u64,
}

#[derive(Debug)]
struct Known {
    id: Box<str>,
    label: u32,
    /// Requests lately; of no interest for names of the configuration.
    used: u64,
    learned: bool,
}

/// A model that may earn a label.
#[derive(Debug)]
struct Candidate {
    id: Box<str>,
    /// Never less than the answers for it: it inherits the weight of whom it replaced, so that a name
    /// that comes often is never replaced for long by names that come once.
    weight: u64,
    /// Answers since it is here.
    answers: u64,
    /// Answers at least a second apart, and the time of the last one.
    strikes: u8,
    last: u64,
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

/// Answers that earn a label, each at least a second after the one before.
const STRIKES: u8 = 3;
/// Models that may earn one at a time.
const CANDIDATES: usize = 64;
/// Which part of the answers is looked at while there is no room.
const SAMPLED: u64 = 16;
/// Least time from one replacement to the next: each makes metrics that the proxy keeps.
const REPLACES: u64 = 600 * SECOND;
/// After so long a use counts half.
const AGES: u64 = 60 * SECOND;

impl ModelLabels {
    /// Room for `max` models, of which these are known from the start.
    pub fn new<'a>(max: u32, literal: impl Iterator<Item = &'a str>) -> Self {
        let mut labels = Self {
            max: usize::try_from(max).unwrap_or(usize::MAX),
            known: Vec::new(),
            names: vec![NONE.into(), OTHER.into()],
            candidates: Vec::new(),
            dice: 0,
            has_learned: false,
            replaced: None,
            aged: 0,
        };
        for id in literal {
            if labels.known.len() < labels.max {
                labels.add(id, false, 0);
            }
        }
        labels
    }

    /// The label of a model that has just been asked for. `answered` is asked only for one that has none
    /// and could earn it: the time in nanoseconds if an upstream has answered with 2xx.
    pub fn of(&mut self, id: &str, answered: impl FnOnce() -> Option<u64>) -> ModelLabel {
        if let Some(known) = self.place(id).ok().and_then(|at| self.known.get_mut(at)) {
            known.used = known.used.saturating_add(1);
            return ModelLabel(known.label);
        }
        let weight = if self.known.len() < self.max {
            1
        } else {
            // Knuth's MMIX generator: what comes regularly must not be missed regularly.
            self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005);
            self.dice = self.dice.wrapping_add(1_442_695_040_888_963_407);
            if !(self.dice >> 32).is_multiple_of(SAMPLED) || !self.has_learned {
                return ModelLabel::OTHER;
            }
            SAMPLED
        };
        let earned = answered().and_then(|now| self.earn(id, weight, now));
        earned.unwrap_or(ModelLabel::OTHER)
    }

    fn earn(&mut self, id: &str, weight: u64, now: u64) -> Option<ModelLabel> {
        let at = self.candidate(id);
        let candidate = self.candidates.get_mut(at)?;
        candidate.weight = candidate.weight.saturating_add(weight);
        candidate.answers = candidate.answers.saturating_add(weight);
        if candidate.strikes == 0 || now >= candidate.last.saturating_add(SECOND) {
            candidate.strikes = candidate.strikes.saturating_add(1);
            candidate.last = now;
        }
        if candidate.strikes < STRIKES {
            return None;
        }
        let answers = candidate.answers;
        if self.known.len() >= self.max && !self.make_room(answers, now) {
            return None;
        }
        self.candidates.swap_remove(at);
        self.has_learned = true;
        Some(self.add(id, true, answers))
    }

    /// The place of a model among the candidates, where it may take that of the lightest.
    fn candidate(&mut self, id: &str) -> usize {
        if let Some(at) = self.candidates.iter().position(|c| *c.id == *id) {
            return at;
        }
        let new = |weight| Candidate { id: id.into(), weight, answers: 0, strikes: 0, last: 0 };
        if self.candidates.len() < CANDIDATES {
            self.candidates.push(new(0));
            return self.candidates.len().saturating_sub(1);
        }
        let lightest = self.candidates.iter_mut().enumerate().min_by_key(|(_, c)| c.weight);
        lightest.map_or(0, |(at, candidate)| {
            *candidate = new(candidate.weight);
            at
        })
    }

    /// Takes the label of the learned model that is used least, if less than this.
    fn make_room(&mut self, answers: u64, now: u64) -> bool {
        if self.replaced.is_some_and(|last| now < last.saturating_add(REPLACES)) {
            return false;
        }
        if now >= self.aged.saturating_add(AGES) {
            self.aged = now;
            self.known.iter_mut().for_each(|known| known.used /= 2);
        }
        let learned = self.known.iter().enumerate().filter(|(_, known)| known.learned);
        let least = learned.min_by_key(|(_, known)| known.used);
        let Some((at, _)) = least.filter(|(_, known)| known.used < answers) else { return false };
        self.known.remove(at);
        self.replaced = Some(now);
        true
    }

    fn add(&mut self, id: &str, learned: bool, used: u64) -> ModelLabel {
        let label = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(id.into());
        let (Ok(at) | Err(at)) = self.place(id);
        self.known.insert(at, Known { id: id.into(), label, used, learned });
        ModelLabel(label)
    }

    fn place(&self, id: &str) -> Result<usize, usize> {
        self.known.binary_search_by(|known| (*known.id).cmp(id))
    }

    fn name(&self, label: ModelLabel) -> &str {
        let index = usize::try_from(label.0).unwrap_or(usize::MAX);
        self.names.get(index).map_or(OTHER, |name| name)
    }
}

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
            Self::Request(ModelLabel(model), operation, verdict) => {
                let operation = operation.map_or(0, |operation| operation as u64 + 1);
                of(0, model, operation << 8 | verdict as u64)
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

    /// A label's name after answers at these seconds.
    fn asked(labels: &mut ModelLabels, id: &str, seconds: impl IntoIterator<Item = u64>) -> String {
        let mut label = ModelLabel::NONE;
        for second in seconds {
            label = labels.of(id, || Some(second * SECOND));
        }
        labels.name(label).to_owned()
    }

    #[test]
    fn labels_are_earned_by_answers_over_some_time() {
        let mut labels = ModelLabels::new(3, ["prod/iris"].into_iter());
        assert_eq!(labels.of("prod/iris", || panic!("it is known")), ModelLabel(2));
        assert_eq!(asked(&mut labels, "prod/fraud", [5; 100]), OTHER, "within a second");
        assert_eq!(asked(&mut labels, "prod/fraud", [6]), OTHER, "twice");
        assert_eq!(labels.of("prod/fraud", || None), ModelLabel::OTHER, "without an answer");
        assert_eq!(asked(&mut labels, "prod/fraud", [7]), "prod/fraud");
        assert_eq!(labels.of("prod/fraud", || panic!("it is known")), ModelLabel(3));
    }

    #[test]
    fn strangers_do_not_keep_a_used_model_from_its_label() {
        let mut labels = ModelLabels::new(50, ["prod/named"].into_iter());
        let mut now = 0;
        for i in 0..300 {
            now += 3;
            asked(&mut labels, &format!("prod/m{i}"), now..now + 3);
        }
        assert_eq!(labels.known.len(), 50);
        // Nine in ten requests are still for names that nobody asks for twice.
        let mut own = None;
        for second in 0..2_000 {
            for i in 0..9 {
                asked(&mut labels, &format!("prod/once-{second}-{i}"), [now + second]);
            }
            if asked(&mut labels, "prod/iris", [now + second]) == "prod/iris" {
                own.get_or_insert(second);
            }
        }
        assert!(own.is_some_and(|second| second <= 1_300), "{own:?}");
        assert_eq!(
            asked(&mut labels, "prod/named", [now]),
            "prod/named",
            "named in the configuration"
        );
        assert_eq!(labels.known.len(), 50);
        assert!(labels.candidates.len() <= CANDIDATES);
        // What is used stays: uses are halved, and the least used goes.
        assert_eq!(asked(&mut labels, "prod/iris", [now + 2_000]), "prod/iris");
        // A label has its own number, so that what is pending is counted for whom it was.
        assert!(labels.names.len() <= 2 + 50 + 5, "{}", labels.names.len());
    }

    #[test]
    fn only_learned_labels_make_room() {
        let mut labels = ModelLabels::new(1, ["prod/named"].into_iter());
        for second in 0..1_000 {
            assert_eq!(labels.of("prod/x", || panic!("no room at {second}")), ModelLabel::OTHER);
        }
        let mut labels = ModelLabels::new(0, ["prod/named"].into_iter());
        assert_eq!(asked(&mut labels, "prod/named", [1, 2, 3, 4]), OTHER);
    }

    #[test]
    fn a_label_that_went_comes_back_under_its_name() {
        let mut labels = ModelLabels::new(1, std::iter::empty());
        assert_eq!(asked(&mut labels, "prod/a", 0..4), "prod/a");
        assert_eq!(asked(&mut labels, "prod/b", 10..200), "prod/b");
        assert_eq!(asked(&mut labels, "prod/a", 200..600), OTHER, "one replacement in ten minutes");
        assert_eq!(asked(&mut labels, "prod/a", 600..1_000), "prod/a");
        assert_eq!(asked(&mut labels, "prod/b", [1_000]), OTHER);
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
            for times in 1..3 {
                let predict = Some(Operation::Predict);
                counters.add(Count::Request(ModelLabel(2), predict, Verdict::Allowed), times);
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
}
