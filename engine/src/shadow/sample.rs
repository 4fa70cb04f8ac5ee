//! Sampling: which share of the requests, by a fixed place on the scale from 0 to 1 for every key.
//!
//! A request is chosen when its place ([`Scale`]) lies below the percentage: the same key is chosen alike on every
//! worker and in every version, and a higher percentage on the same scale only adds requests. The scale of a shadow's
//! callers is always the same; that of request ids, which a client may choose, is another one for each configuration
//! ([`super::seal::Seal::salt`]).

use crate::place::Scale;

/// How many steps of the scale a double tells apart.
const STEPS: u32 = 53;

/// The place of a key, at least 0 and below 1.
fn place(scale: Scale, key: &[u8]) -> f64 {
    let place = scale.place(key);
    (place >> (u64::BITS - STEPS)) as f64 / (1u64 << STEPS) as f64
}

/// Whether the key belongs to these percent, 0 to 100. Without a key only 100 percent is certain.
pub fn chosen(percent: f64, scale: Scale, key: Option<&[u8]>) -> bool {
    percent >= 100.0 || key.is_some_and(|key| place(scale, key) < percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: u32 = 100_000;

    fn scale(shadow: &str) -> Scale {
        Scale::new(&[shadow])
    }

    /// Ids as Envoy makes them, from a counter.
    fn id(n: u32) -> String {
        format!("{n:08x}-7a3b-4c1d-9e2f-{:012x}", u64::from(n) * 7919)
    }

    #[test]
    fn shares_are_within_one_percent_of_the_requests() {
        for percent in [0.0, 0.5, 1.0, 10.0, 25.0, 50.0, 99.0, 100.0] {
            let n = (0..IDS).filter(|n| chosen(percent, scale("iris-v2"), Some(id(*n).as_bytes())));
            let share = n.count() as f64 * 100.0 / f64::from(IDS);
            assert!((share - percent).abs() < 1.0, "{percent} % became {share} %");
        }
    }

    #[test]
    fn raising_the_percentage_only_adds() {
        for n in 0..2_000 {
            let id = id(n);
            let at =
                |percent: u32| chosen(f64::from(percent), scale("iris-v2"), Some(id.as_bytes()));
            assert!((0..100).all(|p| !at(p) || at(p + 1)), "{id}");
        }
    }

    #[test]
    fn two_shadows_choose_independently() {
        let both = |n: &u32| {
            let id = id(*n);
            ["a", "b"].iter().all(|name| chosen(50.0, scale(name), Some(id.as_bytes())))
        };
        let share = f64::from((0..IDS).filter(both).count() as u32) / f64::from(IDS);
        assert!((share - 0.25).abs() < 0.01, "{share}");
    }

    #[test]
    fn places_never_change() {
        // By an implementation of its own.
        assert_eq!(place(scale("iris-v2"), b""), 0.8084596492034042);
        let id = b"7d1f2e1c-0000-4000-8000-000000000001";
        assert_eq!(place(scale("iris-v2"), id), 0.9040429959127267);
    }

    #[test]
    fn without_a_key_nothing_is_certain_but_all() {
        assert!(chosen(100.0, scale("s"), None));
        assert!(!chosen(99.9, scale("s"), None));
        assert!(!chosen(0.0, scale("s"), Some(b"x")));
    }
}
