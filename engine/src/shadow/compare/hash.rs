//! Hashes: of the ways to values, of values, and of values by the way to them. All but the last mix are
//! FNV-1a; none has to withstand anybody, since whoever chose an answer loses by two that are taken for
//! each other.

use super::json::Json;
use super::pointer::Step;
use crate::hash::{FNV_BASIS, fnv};
use crate::steps::Steps;

/// A place in an answer: the steps to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathHash(u64);

impl PathHash {
    /// The answer as a whole.
    pub const WHOLE: Self = Self(FNV_BASIS);

    /// The place one step further down.
    pub fn step(self, step: Step<'_>) -> Self {
        match step {
            Step::Name(name) => self.bytes(b"/").bytes(name),
            Step::Index(index) => self.bytes(b"#").bytes(&index.to_le_bytes()),
        }
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        Self(fnv(self.0, bytes))
    }
}

/// A digest that equal values share. Numbers are equal as they are read, names as they are written.
pub fn digest(value: &Json<'_>, steps: &mut Steps) -> u64 {
    let mut all = PathHash::WHOLE;
    add(&mut all, value, steps);
    all.0
}

fn add(all: &mut PathHash, value: &Json<'_>, steps: &mut Steps) {
    if !steps.take(1) {
        return;
    }
    match value {
        Json::Null => *all = all.bytes(b"n"),
        Json::Bool(set) => *all = all.bytes(if *set { b"t" } else { b"f" }),
        Json::Number(number) => {
            steps.take(number.len() / 32);
            *all = match (number.exact(), number.digits()) {
                (Some(whole), _) => all.bytes(b"i").bytes(&whole.to_le_bytes()),
                // More digits than a word holds: another one makes another number.
                (None, Some(digits)) => all.bytes(b"w").bytes(digits.as_bytes()),
                _ => all.bytes(b"d").bytes(&number.value().to_bits().to_le_bytes()),
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

/// A hash of text.
pub fn text(text: &[u8]) -> u64 {
    fnv(FNV_BASIS, text)
}

/// Two hashes in one, in this order.
pub fn mix(a: u64, b: u64) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (a ^ b.wrapping_mul(PRIME)).wrapping_mul(PRIME);
    mixed ^ (mixed >> 29)
}

/// A number between a half and one.
pub fn weight(seed: u64) -> f64 {
    0.5 + (seed >> 33) as f64 / (1u64 << 32) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn of(steps: &[Step<'_>]) -> PathHash {
        steps.iter().fold(PathHash::WHOLE, |place, step| place.step(*step))
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
            "10000000000000000000000000000000000000000000",
            "10000000000000000000000000000000000000000001",
            "1e43",
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
}
