//! The mark of a copy: what tells it from a request that merely says it is one.
//!
//! A copy that comes back to a gateway must not be copied again, and no client may say that its
//! requests are copies: those would be missing in the verdict. So the mark carries a seal that all
//! workers of a configuration make alike and that clients cannot: a code of the time, by a key that is
//! made of the configuration's text. The same key decides which request ids are sampled. Nothing but the comparison
//! depends on it.

use std::cell::RefCell;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::place::Scale;

/// How long, in nanoseconds, a seal is made; it holds for as long again. The longest timeout of a
/// shadow.
const PERIOD: u64 = 600_000_000_000;

/// Digits of a seal: 128 bits.
const DIGITS: usize = 32;

/// Makes and knows the seals of one configuration.
#[derive(Default)]
pub struct Seal {
    key: [u8; 32],
    /// The one in use, and the number of its period.
    current: RefCell<Option<(u64, Box<[u8]>)>>,
}

impl std::fmt::Debug for Seal {
    /// Never shows the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    /// The seal of the configuration with this text.
    pub fn of(configuration: &[u8]) -> Self {
        Self { key: Sha256::digest(configuration).into(), current: RefCell::default() }
    }

    /// The mark of a copy for this shadow: its name and a seal.
    pub fn mark(&self, shadow: &str, now: u64) -> Vec<u8> {
        let period = now / PERIOD;
        let mut current = self.current.borrow_mut();
        let seal = match current.take() {
            Some((of, seal)) if of == period => seal,
            _ => self.seal(period),
        };
        let mark = [shadow.as_bytes(), b";", &seal].concat();
        *current = Some((period, seal));
        mark
    }

    /// Whether this configuration has made the mark, a short while ago at most.
    pub fn is_mark(&self, mark: &[u8], now: u64) -> bool {
        let Some(at) = mark.iter().rposition(|c| *c == b';') else { return false };
        let seal = mark.get(at..).and_then(|seal| seal.get(1..)).unwrap_or_default();
        let period = now / PERIOD;
        [period, period.saturating_sub(1)].iter().any(|period| *self.seal(*period) == *seal)
    }

    /// The scale on which clients do not know where a key of theirs falls: the configuration says.
    pub fn salt(&self, scale: Scale) -> Scale {
        let [a, b, c, d, e, f, g, h, ..] = self.key;
        scale.salted(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    fn seal(&self, period: u64) -> Box<[u8]> {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            // A key may have any length (RFC 2104 §2).
            return Box::default();
        };
        mac.update(&period.to_be_bytes());
        let code = mac.finalize().into_bytes();
        let nibbles = code.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        nibbles.filter_map(|n| HEX.get(usize::from(n)).copied()).take(DIGITS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_configurations_marks_of_late_hold() {
        let (seal, same, other) = (Seal::of(b"{}"), Seal::of(b"{}"), Seal::of(b"{ }"));
        let now = 7 * PERIOD + 3;
        let mark = seal.mark("iris-v2", now);
        let text = String::from_utf8(mark.clone()).unwrap();
        assert!(text.starts_with("iris-v2;") && text.len() == 8 + DIGITS, "{text}");
        assert_eq!(seal.mark("iris-v2", now), mark, "the one that is kept");
        for at in [now, now + PERIOD, 8 * PERIOD] {
            assert!(seal.is_mark(&mark, at) && same.is_mark(&mark, at), "{at}");
        }
        assert!(!seal.is_mark(&mark, now + 2 * PERIOD) && !seal.is_mark(&mark, now - PERIOD));
        assert!(!other.is_mark(&mark, now));
        assert!(seal.is_mark(&seal.mark("b/baseline", now + PERIOD), now + PERIOD));
        let cut = text.get(..39).unwrap();
        for forged in
            ["", ";", "x", "iris-v2", "iris-v2;", "iris-v2;0", cut, text.get(8..).unwrap()]
        {
            assert!(!seal.is_mark(forged.as_bytes(), now), "{forged}");
        }
    }
}
