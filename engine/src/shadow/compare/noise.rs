//! Where two answers of the live model itself differ: what differs there says nothing of a shadow.

use super::hash::PathHash;
use super::kind::Kind;
use super::number::FAR;
use crate::order;

/// Places that are kept of one pair: more than that is no model to compare with.
const MAX_PLACES: usize = 4096;

/// How two values differ at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// Two numbers, by so much. `NaN` where only one of them is one.
    By(f64),
    /// Two rows, whose scores differ by so much at most, with this score as the second one's highest.
    Row(f64, usize),
    /// Anything else: the digest of the other value, where there is one.
    Other(u64),
    /// Nothing can be said of it.
    Unsettled,
}

/// What noise says of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excuse {
    /// The live model differs from itself in the same way.
    Full,
    /// The live model differs from itself, but not as this shadow does: there is no saying.
    Unknown,
    /// None: it is a difference.
    None,
}

/// The distance between two answers of a model is one sample of how far it is from itself. Of two such
/// samples the one is seldom more than three times the other, and a hundred times almost never: among
/// normal ones in 20 % and in 0.6 % of all cases.
const NEAR: f64 = 3.0;

/// Differences that are noise.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Noise {
    /// In the order of places and kinds once it is [`ordered`](Self::ordered), each once: the first.
    places: Vec<((PathHash, Kind), Seen)>,
    overflown: bool,
}

impl Noise {
    /// Takes note of a difference, also of one that is tolerated.
    pub fn add(&mut self, place: PathHash, kind: Kind, seen: Seen) {
        if self.places.len() < MAX_PLACES {
            self.places.push(((place, kind), seen));
        } else {
            self.overflown = true;
        }
    }

    /// In order, so that it can be asked.
    #[must_use]
    pub fn ordered(mut self) -> Self {
        self.places = order::stable_by(self.places, |(a, _), (b, _)| a.cmp(b));
        self.places.dedup_by_key(|(at, _)| *at);
        self
    }

    /// What is known of a place, from this kind on.
    fn from(
        &self,
        place: PathHash,
        first: Kind,
    ) -> impl Iterator<Item = &((PathHash, Kind), Seen)> {
        let at = self.places.partition_point(|(at, _)| *at < (place, first));
        let rest = self.places.get(at..).unwrap_or_default().iter();
        rest.take_while(move |((at, _), _)| *at == place)
    }

    /// Whether a difference of this kind is noise there. Where even the decision is noise, so are
    /// the scores.
    pub fn excuse(&self, place: PathHash, kind: Kind, seen: Seen) -> Excuse {
        let at = |kind| {
            let first = self.from(place, kind).next();
            first.filter(|((_, of), _)| *of == kind).map(|(_, seen)| seen)
        };
        let known = at(kind).or_else(|| at(Kind::Class).filter(|_| kind == Kind::Score));
        let Some(known) = known else { return Excuse::None };
        let size = |seen| match seen {
            Seen::By(by) | Seen::Row(by, _) => Some(by),
            Seen::Other(_) | Seen::Unsettled => None,
        };
        // An infinity is as far from one number as from any other: it is no size.
        let endless = size(*known).is_some_and(|by| !by.is_finite());
        match (*known, seen) {
            _ if endless => Excuse::Unknown,
            (a, b) if size(a).zip(size(b)).is_some_and(|(a, b)| b / FAR > a) => Excuse::None,
            // Another decision than both of the live model's.
            (Seen::Row(_, a), Seen::Row(_, b)) if a != b => Excuse::Unknown,
            (a, b) if size(a).zip(size(b)).is_some_and(|(a, b)| b / NEAR <= a) => Excuse::Full,
            (Seen::Other(known), Seen::Other(other)) if known == other => Excuse::Full,
            _ => Excuse::Unknown,
        }
    }

    /// Whether nothing at this place, or below it, says anything of a shadow: where the live model
    /// answers with another status, bytes or number of values each time, or with nothing, what else
    /// would differ there was never seen.
    pub fn hides(&self, place: PathHash) -> bool {
        self.from(place, Kind::Status).any(|((_, kind), _)| {
            let whole = matches!(
                kind,
                Kind::Status | Kind::ContentType | Kind::Bytes | Kind::Shape | Kind::Missing
            );
            whole || place == PathHash::WHOLE
        })
    }

    /// Whether every difference could be kept.
    pub fn is_complete(&self) -> bool {
        !self.overflown
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.places.len().saturating_mul(2 * size_of::<((PathHash, Kind), Seen)>())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pointer::Step;
    use super::*;

    fn of(steps: &[Step<'_>]) -> PathHash {
        steps.iter().fold(PathHash::WHOLE, |place, step| place.step(*step))
    }

    #[test]
    fn what_the_live_model_does_not_know_itself_hides_all_below() {
        let place = of(&[Step::Name(b"predictions")]);
        let kinds = [
            (Kind::Shape, true),
            (Kind::Missing, true),
            (Kind::Score, false),
            (Kind::Extra, false),
        ];
        for (kind, hides) in kinds {
            let mut noise = Noise::default();
            noise.add(place, kind, Seen::Unsettled);
            noise = noise.ordered();
            assert_eq!(
                (noise.hides(place), noise.hides(PathHash::WHOLE)),
                (hides, false),
                "{kind:?}"
            );
            noise.add(PathHash::WHOLE, kind, Seen::Unsettled);
            noise = noise.ordered();
            assert!(noise.hides(PathHash::WHOLE), "{kind:?}");
        }
    }

    #[test]
    fn a_difference_is_excused_by_one_of_its_size() {
        let place = of(&[Step::Name(b"predictions"), Step::Index(0)]);
        let excuse = |(kind, known), (other, seen)| {
            let mut noise = Noise::default();
            noise.add(place, kind, known);
            assert_eq!(noise.excuse(PathHash::WHOLE, other, seen), Excuse::None);
            noise.excuse(place, other, seen)
        };
        use Kind::{Class, Extra, Score};
        use Seen::{By, Other, Unsettled};
        for (known, seen, expected) in [
            ((Score, By(0.1)), (Score, By(0.01)), Excuse::Full),
            ((Score, By(0.1)), (Score, By(0.3)), Excuse::Full),
            ((Score, By(0.1)), (Score, By(0.4)), Excuse::Unknown),
            ((Score, By(0.1)), (Score, By(11.0)), Excuse::None),
            ((Score, By(f64::NAN)), (Score, By(0.1)), Excuse::Unknown),
            ((Score, By(0.1)), (Score, By(f64::NAN)), Excuse::Unknown),
            ((Score, By(f64::INFINITY)), (Score, By(f64::NAN)), Excuse::Unknown),
            ((Score, By(f64::INFINITY)), (Score, By(5000.0)), Excuse::Unknown),
            ((Score, By(f64::INFINITY)), (Score, By(f64::INFINITY)), Excuse::Unknown),
            ((Score, By(0.1)), (Score, By(f64::INFINITY)), Excuse::None),
            // Three times as much as that is no number, and an infinity not as little.
            ((Score, By(1e308)), (Score, By(f64::INFINITY)), Excuse::None),
            ((Score, By(1e308)), (Score, By(1.5e308)), Excuse::Full),
            ((Class, Seen::Row(f64::INFINITY, 1)), (Class, Seen::Row(0.5, 1)), Excuse::Unknown),
            ((Class, Seen::Row(f64::INFINITY, 1)), (Score, By(0.5)), Excuse::Unknown),
            // A changed decision is not excused by a moved score, the reverse it is.
            ((Score, By(0.1)), (Class, By(0.1)), Excuse::None),
            ((Class, By(0.1)), (Score, By(0.1)), Excuse::Full),
            ((Class, By(0.1)), (Class, By(0.1)), Excuse::Full),
            ((Class, Other(1)), (Class, Other(1)), Excuse::Full),
            ((Class, Other(1)), (Class, Other(2)), Excuse::Unknown),
            ((Class, Other(1)), (Score, By(0.1)), Excuse::Unknown),
            ((Extra, Other(1)), (Extra, Other(2)), Excuse::Unknown),
            ((Extra, Unsettled), (Extra, Unsettled), Excuse::Unknown),
        ] {
            assert_eq!(excuse(known, seen), expected, "{known:?} {seen:?}");
        }
    }

    #[test]
    fn the_first_of_a_place_and_kind_counts() {
        let place = |i| of(&[Step::Index(i)]);
        let mut noise = Noise::default();
        for i in (0..100).rev().chain(0..100) {
            noise.add(place(i), Kind::Score, Seen::By(i as f64 + 1.0));
            noise.add(place(i), Kind::Value, Seen::Other(i as u64));
            noise.add(place(i), Kind::Score, Seen::By(1e9));
        }
        let noise = noise.ordered();
        for i in 0..100 {
            let by = |by| noise.excuse(place(i), Kind::Score, Seen::By(by));
            let near = i as f64 + 1.0;
            assert_eq!((by(near * 3.0), by(near * 4.0)), (Excuse::Full, Excuse::Unknown), "{i}");
            let other = |n| noise.excuse(place(i), Kind::Value, Seen::Other(n));
            assert_eq!((other(i as u64), other(1000)), (Excuse::Full, Excuse::Unknown), "{i}");
            assert_eq!(noise.excuse(place(i), Kind::Shape, Seen::By(1.0)), Excuse::None);
        }
        assert_eq!(noise.excuse(place(100), Kind::Score, Seen::By(1.0)), Excuse::None);
    }

    #[test]
    fn is_bounded() {
        let mut noise = Noise::default();
        for i in 0..=MAX_PLACES {
            assert!(noise.is_complete());
            noise.add(of(&[Step::Index(i)]), Kind::Value, Seen::By(1.0));
        }
        assert!(!noise.is_complete());
    }
}
