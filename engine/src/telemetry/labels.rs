//! Which models have a label of their own.

use super::{NONE, OTHER};
use crate::time::SECOND;

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

    /// Different for different labels.
    pub fn index(self) -> u32 {
        self.0
    }
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

    /// What a label is called.
    pub fn name(&self, label: ModelLabel) -> &str {
        let index = usize::try_from(label.0).unwrap_or(usize::MAX);
        self.names.get(index).map_or(OTHER, |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
