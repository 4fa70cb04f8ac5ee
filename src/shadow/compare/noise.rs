//! Where two answers of the live model itself differ: what differs there says nothing of a shadow.

use std::collections::BTreeSet;

use super::pointer::Step;
use super::report::Kind;

/// Places that are kept of one pair: more than that is no model to compare with.
const MAX_PLACES: usize = 4096;

/// A place in an answer, as the FNV-1a hash of the steps to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

impl Place {
    /// The answer as a whole.
    pub const WHOLE: Self = Self(0xcbf2_9ce4_8422_2325);

    /// The place one step further down.
    pub fn step(self, step: Step<'_>) -> Self {
        match step {
            Step::Name(name) => self.bytes(b"/").bytes(name),
            Step::Index(index) => self.bytes(b"#").bytes(&index.to_le_bytes()),
        }
    }

    /// As a number.
    pub fn bits(self) -> u64 {
        self.0
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        Self(bytes.iter().fold(self.0, |h, byte| (h ^ u64::from(*byte)).wrapping_mul(PRIME)))
    }
}

/// Differences that are noise.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Noise {
    places: BTreeSet<(Place, Kind)>,
    overflown: bool,
}

impl Noise {
    /// Takes note of a difference.
    pub fn add(&mut self, place: Place, kind: Kind) {
        if self.places.len() < MAX_PLACES {
            self.places.insert((place, kind));
        } else {
            self.overflown = true;
        }
    }

    /// Whether a difference of this kind is noise there. Where even the decision is noise, so are
    /// the scores.
    pub fn covers(&self, place: Place, kind: Kind) -> bool {
        let has = |kind| self.places.contains(&(place, kind));
        has(kind) || (kind == Kind::Score && has(Kind::Class))
    }

    /// Whether nothing at this place, or below it, says anything of a shadow: where the live model
    /// answers with another status, bytes or number of values each time, what else would differ there
    /// was never seen.
    pub fn hides(&self, place: Place) -> bool {
        let at = (place, Kind::Status)..=(place, Kind::Bytes);
        self.places.range(at).any(|(_, kind)| {
            let whole =
                matches!(kind, Kind::Status | Kind::ContentType | Kind::Bytes | Kind::Shape);
            whole || place == Place::WHOLE
        })
    }

    /// Whether every difference could be kept.
    pub fn is_complete(&self) -> bool {
        !self.overflown
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.places.len().saturating_mul(2 * size_of::<(Place, Kind)>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(steps: &[Step<'_>]) -> Place {
        steps.iter().fold(Place::WHOLE, |place, step| place.step(*step))
    }

    #[test]
    fn what_the_live_model_does_not_know_itself_hides_all_below() {
        let place = of(&[Step::Name(b"predictions")]);
        for (kind, hides) in [(Kind::Shape, true), (Kind::Score, false), (Kind::Extra, false)] {
            let mut noise = Noise::default();
            noise.add(place, kind);
            assert_eq!((noise.hides(place), noise.hides(Place::WHOLE)), (hides, false), "{kind:?}");
            noise.add(Place::WHOLE, kind);
            assert!(noise.hides(Place::WHOLE), "{kind:?}");
        }
    }

    #[test]
    fn a_changed_decision_is_not_covered_by_a_moved_score() {
        let place = of(&[Step::Name(b"predictions"), Step::Index(0)]);
        let mut noise = Noise::default();
        noise.add(place, Kind::Score);
        assert!(noise.covers(place, Kind::Score) && !noise.covers(place, Kind::Class));
        assert!(!noise.covers(Place::WHOLE, Kind::Score));
        noise.add(Place::WHOLE, Kind::Class);
        assert!(noise.covers(Place::WHOLE, Kind::Score));
    }

    #[test]
    fn places_are_told_apart() {
        let (name, index) = (Step::Name, Step::Index);
        let places = [
            of(&[]),
            of(&[name(b"a")]),
            of(&[name(b"a"), name(b"b")]),
            of(&[name(b"ab")]),
            of(&[index(0)]),
            of(&[index(1)]),
            of(&[name(b"0")]),
        ];
        assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), places.len());
    }

    #[test]
    fn is_bounded() {
        let mut noise = Noise::default();
        for i in 0..=MAX_PLACES {
            assert!(noise.is_complete());
            noise.add(of(&[Step::Index(i)]), Kind::Value);
        }
        assert!(!noise.is_complete());
    }
}
