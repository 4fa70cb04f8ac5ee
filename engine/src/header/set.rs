//! Sets of names that answer fast.

/// A set of names, however they are spelled, that may say yes to a name that is not in it: most
/// questions are about names that are not, and a question costs a few instructions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NameSet([u64; 4]);

impl NameSet {
    /// Those of a list.
    pub const fn of(mut names: &[&[u8]]) -> Self {
        let mut set = Self([0; 4]);
        while let [name, rest @ ..] = names {
            let (word, bit) = place(name);
            if let Some((_, [at, ..])) = set.0.split_at_mut_checked(word) {
                *at |= bit;
            }
            names = rest;
        }
        set
    }

    /// Adds one.
    pub fn add(&mut self, name: &[u8]) {
        let (word, bit) = place(name);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    /// Whether one that is in the other set may be there.
    pub fn may_share(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    /// Whether it may be there. Of a name that is known when this is compiled, its place is, too.
    #[inline]
    pub fn may_have(&self, name: &[u8]) -> bool {
        let (word, bit) = place(name);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// The word and the bit of a name, the same for every spelling: of its length, its first byte and its
/// last. The factor tells apart the names that are usual from those that are asked for.
#[inline]
const fn place(name: &[u8]) -> (usize, u64) {
    // The bits in which neither the cases of a letter differ, nor `_` and `-`.
    const ALIKE: usize = 0b0_1101;
    let place = match name {
        [first, .., last] => (*first as usize & ALIKE) + (*last as usize & ALIKE),
        [only] => *only as usize & ALIKE,
        [] => 0,
    };
    let place = place.wrapping_add(name.len().wrapping_mul(17));
    ((place >> 6) & 3, 1 << (place & 63))
}

#[cfg(test)]
mod tests {
    use super::super::is_same;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_are_usual_are_told_apart() {
        let usual = [
            ":authority",
            ":path",
            ":method",
            ":scheme",
            "user-agent",
            "accept",
            "content-type",
            "content-length",
            "authorization",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-envoy-internal",
            "x-request-id",
            "accept-encoding",
            "traceparent",
            "cookie",
        ];
        let mut names = NameSet::default();
        usual.iter().for_each(|name| names.add(name.as_bytes()));
        let absent = [
            "seldon",
            "namespace",
            "seldon-model",
            "x-seldon-route",
            "seldon-puid",
            "x-user",
            "x-api-key",
            "seldon-internal-model",
            "seldon-logging",
            "seldon-core-user",
            "origin",
        ];
        let taken = absent.iter().filter(|name| names.may_have(name.as_bytes()));
        assert_eq!(taken.count(), 0);
    }

    proptest! {
        #[test]
        fn a_name_is_found_in_every_spelling(
            names in proptest::collection::vec("[-_a-zA-Z0-9:]{0,20}", 0..20),
            flips in proptest::collection::vec(any::<bool>(), 20),
        ) {
            let mut set = NameSet::default();
            for name in &names {
                set.add(name.as_bytes());
            }
            for name in &names {
                let other: Vec<u8> = name.bytes().zip(&flips).map(|(byte, flip)| match byte {
                    b'_' if *flip => b'-',
                    b'-' if *flip => b'_',
                    _ if *flip => byte.to_ascii_uppercase(),
                    _ => byte.to_ascii_lowercase(),
                }).collect();
                prop_assert!(set.may_have(&other), "{name} {other:?}");
                prop_assert!(is_same(name.as_bytes(), &other));
            }
        }
    }
}
