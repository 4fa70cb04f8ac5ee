//! Which share of the requests: a fixed place on the scale from 0 to 1 for every key.
//!
//! The place is FNV-1a (64 bits) over the shadow's name, a zero byte and the key, followed by
//! MurmurHash3's 64-bit finalizer, because FNV alone leaves the high bits of short keys uneven. A
//! request is chosen when its place lies below the percentage: the same key is always chosen alike,
//! on every worker and in every version, and raising the percentage only adds requests. The name
//! is part of it so that two shadows do not load their models with the very same requests, and so
//! that the choice is independent of a split by the same id.

/// How many steps the scale has: those that a double tells apart.
const STEPS: u32 = 53;

/// The place of a key, at least 0 and below 1.
pub fn place(shadow: &str, key: &[u8]) -> f64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = shadow.as_bytes().iter().chain(&[0]).chain(key);
    let mut hash = bytes.fold(BASIS, |h, byte| (h ^ u64::from(*byte)).wrapping_mul(PRIME));
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    (hash >> (u64::BITS - STEPS)) as f64 / (1u64 << STEPS) as f64
}

/// Whether the key belongs to these percent, 0 to 100. Without a key only 100 percent is certain.
pub fn chosen(percent: f64, shadow: &str, key: Option<&[u8]>) -> bool {
    percent >= 100.0 || key.is_some_and(|key| place(shadow, key) < percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: u32 = 100_000;

    /// Ids as Envoy makes them, from a counter.
    fn id(n: u32) -> String {
        format!("{n:08x}-7a3b-4c1d-9e2f-{:012x}", u64::from(n) * 7919)
    }

    #[test]
    fn shares_are_within_one_percent_of_the_requests() {
        for percent in [0.0, 0.5, 1.0, 10.0, 25.0, 50.0, 99.0, 100.0] {
            let n = (0..IDS).filter(|n| chosen(percent, "iris-v2", Some(id(*n).as_bytes())));
            let share = n.count() as f64 * 100.0 / f64::from(IDS);
            assert!((share - percent).abs() < 1.0, "{percent} % became {share} %");
        }
    }

    #[test]
    fn raising_the_percentage_only_adds() {
        for n in 0..2_000 {
            let id = id(n);
            let at = |percent: u32| chosen(f64::from(percent), "iris-v2", Some(id.as_bytes()));
            assert!((0..100).all(|p| !at(p) || at(p + 1)), "{id}");
        }
    }

    #[test]
    fn two_shadows_choose_independently() {
        let both = |n: &u32| {
            let id = id(*n);
            ["a", "b"].iter().all(|name| chosen(50.0, name, Some(id.as_bytes())))
        };
        let share = f64::from((0..IDS).filter(both).count() as u32) / f64::from(IDS);
        assert!((share - 0.25).abs() < 0.01, "{share}");
    }

    #[test]
    fn places_never_change() {
        // By an implementation of its own.
        assert_eq!(place("iris-v2", b""), 0.8084596492034042);
        let id = b"7d1f2e1c-0000-4000-8000-000000000001";
        assert_eq!(place("iris-v2", id), 0.9040429959127267);
    }

    #[test]
    fn without_a_key_nothing_is_certain_but_all() {
        assert!(chosen(100.0, "s", None));
        assert!(!chosen(99.9, "s", None));
        assert!(!chosen(0.0, "s", Some(b"x")));
    }
}
