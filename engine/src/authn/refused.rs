//! Tokens whose signature was found wrong: who repeats one does not have it checked again.

use super::algorithm::Hash;
use super::failure::Rejection;

/// How many are remembered: 40 KiB, and nothing before the first.
const SLOTS: usize = 512;

/// Refused tokens of one worker and one configuration. A slot for each hash: whoever makes tokens
/// collide only pushes them out.
#[derive(Debug, Default)]
pub struct Refused {
    slots: Vec<Option<Entry>>,
}

/// What a token was refused under. Another set of keys may accept it: a key may have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Under {
    /// A hash that is quickly made.
    pub hash: u64,
    /// The rule.
    pub rule: usize,
    /// Which of the rule's key sets.
    pub generation: u64,
}

#[derive(Debug)]
struct Entry {
    under: Under,
    /// SHA-256 of the token: nobody finds another with it.
    digest: Vec<u8>,
    why: Rejection,
}

impl Refused {
    /// Why the token was refused, if it was.
    pub fn get(&self, token: &[u8], under: Under) -> Option<Rejection> {
        let entry = self.slots.get(slot(under))?.as_ref()?;
        let is_same = entry.under == under && entry.digest == Hash::Sha256.of(token);
        is_same.then_some(entry.why)
    }

    /// Remembers a token whose signature is wrong.
    pub fn put(&mut self, token: &[u8], under: Under, why: Rejection) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        if let Some(slot) = self.slots.get_mut(slot(under)) {
            *slot = Some(Entry { under, digest: Hash::Sha256.of(token), why });
        }
    }
}

fn slot(under: Under) -> usize {
    // Rules that look at one place see the same token.
    (under.hash as usize).wrapping_add(under.rule) % SLOTS
}
