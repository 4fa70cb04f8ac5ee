//! Where two answers of the live model itself differ: what differs there says nothing of a shadow.

use super::json::Json;
use super::number::FAR;
use super::pointer::Step;
use super::report::Kind;
use super::steps::Steps;
use crate::order;

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
    places: Vec<((Place, Kind), Seen)>,
    overflown: bool,
}

impl Noise {
    /// Takes note of a difference, also of one that is tolerated.
    pub fn add(&mut self, place: Place, kind: Kind, seen: Seen) {
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
    fn from(&self, place: Place, first: Kind) -> impl Iterator<Item = &((Place, Kind), Seen)> {
        let at = self.places.partition_point(|(at, _)| *at < (place, first));
        let rest = self.places.get(at..).unwrap_or_default().iter();
        rest.take_while(move |((at, _), _)| *at == place)
    }

    /// Whether a difference of this kind is noise there. Where even the decision is noise, so are
    /// the scores.
    pub fn excuse(&self, place: Place, kind: Kind, seen: Seen) -> Excuse {
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
        match (*known, seen) {
            (a, b) if size(a).zip(size(b)).is_some_and(|(a, b)| b > a * FAR) => Excuse::None,
            // Another decision than both of the live model's.
            (Seen::Row(_, a), Seen::Row(_, b)) if a != b => Excuse::Unknown,
            (a, b) if size(a).zip(size(b)).is_some_and(|(a, b)| b <= a * NEAR) => Excuse::Full,
            (Seen::Other(known), Seen::Other(other)) if known == other => Excuse::Full,
            _ => Excuse::Unknown,
        }
    }

    /// Whether nothing at this place, or below it, says anything of a shadow: where the live model
    /// answers with another status, bytes or number of values each time, or with nothing, what else
    /// would differ there was never seen.
    pub fn hides(&self, place: Place) -> bool {
        self.from(place, Kind::Status).any(|((_, kind), _)| {
            let whole = matches!(
                kind,
                Kind::Status | Kind::ContentType | Kind::Bytes | Kind::Shape | Kind::Missing
            );
            whole || place == Place::WHOLE
        })
    }

    /// Whether every difference could be kept.
    pub fn is_complete(&self) -> bool {
        !self.overflown
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.places.len().saturating_mul(2 * size_of::<((Place, Kind), Seen)>())
    }
}

/// A digest that equal values share. Numbers are equal as they are read, names as they are written.
pub fn digest(value: &Json<'_>, steps: &mut Steps) -> u64 {
    let mut all = Place::WHOLE;
    add(&mut all, value, steps);
    all.bits()
}

fn add(all: &mut Place, value: &Json<'_>, steps: &mut Steps) {
    if !steps.take(1) {
        return;
    }
    match value {
        Json::Null => *all = all.bytes(b"n"),
        Json::Bool(set) => *all = all.bytes(if *set { b"t" } else { b"f" }),
        Json::Number(number) => {
            *all = match number.whole() {
                Some(whole) => all.bytes(b"i").bytes(&whole.to_le_bytes()),
                None => all.bytes(b"d").bytes(&number.value().to_bits().to_le_bytes()),
            }
        }
        Json::String(text) => {
            steps.take(text.len() / 32);
            *all = all.bytes(b"s").bytes(&text.len().to_le_bytes()).bytes(text);
        }
        Json::Array(items) => {
            *all = all.bytes(b"[");
            for item in items {
                add(all, item, steps);
            }
            *all = all.bytes(b"]");
        }
        Json::Object(members) => {
            *all = all.bytes(b"{");
            for (name, value) in members {
                steps.take(name.len() / 32);
                *all = all.bytes(&name.len().to_le_bytes()).bytes(name);
                add(all, value, steps);
            }
            *all = all.bytes(b"}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn of(steps: &[Step<'_>]) -> Place {
        steps.iter().fold(Place::WHOLE, |place, step| place.step(*step))
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
            assert_eq!((noise.hides(place), noise.hides(Place::WHOLE)), (hides, false), "{kind:?}");
            noise.add(Place::WHOLE, kind, Seen::Unsettled);
            noise = noise.ordered();
            assert!(noise.hides(Place::WHOLE), "{kind:?}");
        }
    }

    #[test]
    fn a_difference_is_excused_by_one_of_its_size() {
        let place = of(&[Step::Name(b"predictions"), Step::Index(0)]);
        let excuse = |(kind, known), (other, seen)| {
            let mut noise = Noise::default();
            noise.add(place, kind, known);
            assert_eq!(noise.excuse(Place::WHOLE, other, seen), Excuse::None);
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
    fn digests_are_of_values() {
        let digest = |text: &str| {
            let mut steps = Steps::default();
            digest(&super::super::json::read(text.as_bytes(), &mut steps).unwrap(), &mut steps)
        };
        assert_eq!(
            digest(r#"{"a":[1,"x",0.50],"b":null}"#),
            digest(r#"{"b":null,"a":[1,"x",0.5]}"#)
        );
        let values = [
            "null",
            "true",
            "false",
            "1",
            "2",
            "1.5",
            "\"1\"",
            "\"\"",
            "[]",
            "{}",
            "[1]",
            "[[1]]",
            "[1,2]",
            "[12]",
            "[\"ab\",\"c\"]",
            "[\"a\",\"bc\"]",
            "{\"a\":1}",
            "{\"b\":1}",
            "{\"a\":[]}",
        ];
        let digests: BTreeSet<u64> = values.into_iter().map(digest).collect();
        assert_eq!(digests.len(), values.len());
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
            noise.add(of(&[Step::Index(i)]), Kind::Value, Seen::By(1.0));
        }
        assert!(!noise.is_complete());
    }
}
