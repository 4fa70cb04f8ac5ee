//! The token cache: tokens that were verified before, judged by the clock each time. It is set-associative, with LRU in a
//! set, and bounded in bytes: `put` evicts, first in its set, then around the table while there is too much.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::Value;

use super::Identity;
use super::claims::Validity;
use super::failure::Rejection;
use super::outputs::Lines;
use super::refused::{Refused, Under};
use super::work::Wrong;
use crate::config::types;
use crate::words::{self, same};

/// Entries in a set. Tokens that fall into one set only push each other out.
const WAYS: usize = 4;

/// What a slot is expected to hold, in bytes; decides how many there are.
const TYPICAL_ENTRY: usize = 2048;

/// The least that is of use, in bytes.
pub const SMALLEST: usize = WAYS * TYPICAL_ENTRY;

/// Verified tokens of one worker and one configuration. A new configuration needs a new cache.
pub struct TokenCache {
    /// `WAYS` for each set; the number of sets is a power of two.
    slots: Vec<Option<Rc<Entry>>>,
    /// In bytes, the table included.
    limit: usize,
    used: usize,
    /// Counts look-ups and entries; orders these by last use.
    uses: u64,
    /// Where the next search for something to throw out begins.
    hand: usize,
    #[cfg(test)]
    evicted: u64,
    refused: Refused,
    /// What tokens with a wrong signature cost.
    pub(super) wrong: Wrong,
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCache")
            .field("limit", &self.limit)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// What a token gives a request.
#[derive(Debug)]
pub struct Verified {
    /// Who it is.
    pub identity: Rc<Identity>,
    /// The rule's output headers.
    pub lines: Lines,
    /// When the token is valid.
    pub validity: Validity,
}

impl Verified {
    fn is_valid(&self, now: u64) -> bool {
        self.validity.check(now).is_ok()
    }
}

/// A token in a request: what an entry is found by.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// The token.
    pub token: &'a [u8],
    /// Its [`hash`].
    pub hash: u64,
    /// The rule that found it.
    pub rule: usize,
    /// The place where it was.
    pub place: usize,
    /// Which of the rule's key sets verifies it: a removed key verifies nothing from then on.
    pub generation: u64,
}

impl std::fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("rule", &self.rule)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl<'a> Key<'a> {
    /// A token that this rule found at this place, to be verified with this generation of its keys.
    #[cfg(test)]
    pub fn new(token: &'a [u8], rule: usize, place: usize, generation: u64) -> Self {
        Self { token, hash: hash(token), rule, place, generation }
    }

    fn under(&self) -> Under {
        Under { hash: self.hash, rule: self.rule, generation: self.generation }
    }
}

struct Entry {
    token: Box<[u8]>,
    hash: u64,
    rule: usize,
    place: usize,
    generation: u64,
    verified: Rc<Verified>,
    size: usize,
    last_used: Cell<u64>,
}

/// The entries of one token: it is compared once in a request, whatever the number of rules.
#[derive(Default)]
pub struct Known([Option<Rc<Entry>>; WAYS]);

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

impl Known {
    /// Whether a rule verified the token, and it is for another issuer than `issuer`: then there is no
    /// need to read it. (Which issuer it names is in its bytes, and these were compared.)
    pub fn is_of_another_issuer(&self, issuer: &str) -> bool {
        let mut entries = self.0.iter().flatten();
        entries.next().is_some_and(|e| e.verified.identity.issuer.as_deref() != Some(issuer))
    }
}

impl Entry {
    fn holds(&self, key: &Key<'_>) -> bool {
        self.hash == key.hash && same(&self.token, key.token)
    }

    fn is_of_token(&self, key: &Key<'_>) -> bool {
        self.rule == key.rule && self.place == key.place && self.holds(key)
    }
}

impl TokenCache {
    /// An empty cache; off with less than [`SMALLEST`] bytes.
    pub fn new(settings: &types::TokenCache) -> Self {
        let limit = settings.bytes.0;
        // The largest power of two; none if there is not room for a single set.
        let sets = (limit / SMALLEST).checked_ilog2().map_or(0, |bits| 1usize << bits);
        let count = sets.saturating_mul(WAYS);
        let mut slots = Vec::with_capacity(count);
        slots.resize_with(count, || None);
        let used = count.saturating_mul(size_of::<Option<Rc<Entry>>>());
        Self {
            slots,
            limit,
            used,
            uses: 0,
            hand: 0,
            #[cfg(test)]
            evicted: 0,
            refused: Refused::default(),
            wrong: Wrong::default(),
        }
    }

    /// How many valid entries were thrown out to make room, since the beginning.
    #[cfg(test)]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many bytes are held, the table included; an estimate that errs upwards.
    pub fn used(&self) -> usize {
        self.used
    }

    /// What there is of a token.
    pub fn known(&self, key: &Key<'_>) -> Known {
        let mut known = Known::default();
        let set = self.slots.get(self.set_range(key.hash)).unwrap_or_default();
        let entries = set.iter().flatten().filter(|entry| entry.holds(key));
        for (slot, entry) in known.0.iter_mut().zip(entries) {
            *slot = Some(Rc::clone(entry));
        }
        known
    }

    /// A verified token, if it is valid at `now` (seconds), of what is known of it.
    pub fn get(&mut self, known: &Known, key: &Key<'_>, now: u64) -> Option<Rc<Verified>> {
        self.uses = self.uses.wrapping_add(1);
        let under = |e: &Entry| (e.rule, e.place, e.generation);
        let mut entries = known.0.iter().flatten();
        let entry = entries.find(|e| under(e) == (key.rule, key.place, key.generation))?;
        if !entry.verified.is_valid(now) {
            return None;
        }
        entry.last_used.set(self.uses);
        Some(Rc::clone(&entry.verified))
    }

    /// Why these keys refused the token before: its signature is wrong, at whatever time.
    pub fn refused(&self, key: &Key<'_>) -> Option<Rejection> {
        self.refused.get(key.token, key.under())
    }

    /// Remembers a token whose signature is wrong.
    pub fn refuse(&mut self, key: &Key<'_>, why: Rejection) {
        let is_for_ever = matches!(why, Rejection::BadSignature | Rejection::Ed25519Length);
        if is_for_ever && !self.slots.is_empty() {
            self.refused.put(key.token, key.under(), why);
        }
    }

    /// Keeps a token that was verified at `now` (seconds).
    pub fn put(&mut self, key: &Key<'_>, verified: &Rc<Verified>, now: u64) {
        let size = size_of_entry(key.token, verified);
        // One token may not push all others out.
        if size > self.limit / 4 {
            return;
        }
        let Some(at) = self.slot_for(key, now) else { return };
        self.clear(at, now, key);
        // Once around at most: then the cache is empty.
        for _ in 0..self.slots.len() {
            if self.used.saturating_add(size) <= self.limit {
                break;
            }
            self.clear(self.hand, now, key);
            self.hand = self.hand.saturating_add(1) % self.slots.len().max(1);
        }
        self.uses = self.uses.wrapping_add(1);
        let entry = Entry {
            token: key.token.into(),
            hash: key.hash,
            rule: key.rule,
            place: key.place,
            generation: key.generation,
            verified: Rc::clone(verified),
            size,
            last_used: Cell::new(self.uses),
        };
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(Rc::new(entry));
            self.used = self.used.saturating_add(size);
        }
    }

    /// Where in its set an entry goes: its own slot, else one that is empty or stale, else the one
    /// that was not used for longest.
    fn slot_for(&self, key: &Key<'_>, now: u64) -> Option<usize> {
        let range = self.set_range(key.hash);
        let slots = self.slots.get(range.clone())?;
        let rank = |slot: &Option<Rc<Entry>>| match slot {
            Some(entry) if entry.is_of_token(key) => (0, 0),
            Some(entry) if entry.verified.is_valid(now) => (2, entry.last_used.get()),
            _ => (1, 0),
        };
        range.zip(slots).min_by_key(|(_, slot)| rank(slot)).map(|(at, _)| at)
    }

    /// Empties a slot; an entry that `key` does not replace and that was still valid was evicted.
    #[cfg_attr(not(test), expect(unused_variables, reason = "only tests count what was evicted"))]
    fn clear(&mut self, at: usize, now: u64, key: &Key<'_>) {
        if let Some(entry) = self.slots.get_mut(at).and_then(Option::take) {
            self.used = self.used.saturating_sub(entry.size);
            #[cfg(test)]
            if entry.verified.is_valid(now) && !entry.is_of_token(key) {
                self.evicted = self.evicted.saturating_add(1);
            }
        }
    }

    fn set_range(&self, hash: u64) -> std::ops::Range<usize> {
        let sets = self.slots.len() / WAYS;
        // The number of sets is a power of two.
        let start = (hash as usize & sets.saturating_sub(1)).saturating_mul(WAYS);
        start..start.saturating_add(WAYS).min(self.slots.len())
    }
}

/// A hash to find entries by, of the end of a token: what was verified ends with a signature. Whoever makes
/// two tokens collide only pushes one of them out.
pub fn hash(token: &[u8]) -> u64 {
    let end = token.len().saturating_sub(16);
    words::hash(token.get(end..).unwrap_or_default())
}

/// What an entry takes, rounded up: allocators and tree nodes have a price too.
fn size_of_entry(token: &[u8], verified: &Verified) -> usize {
    const ALLOCATION: usize = 16;
    let identity = &verified.identity;
    let strings = [&identity.issuer, &identity.subject];
    let strings = strings.into_iter().flatten().map(|s| s.len().saturating_add(ALLOCATION));
    let lines = verified.lines.lines.iter().map(|(name, value)| {
        name.len()
            .saturating_add(value.len())
            .saturating_add(2 * (ALLOCATION + size_of::<Box<[u8]>>()))
    });
    let fixed = [
        size_of::<Entry>(),
        size_of::<Verified>(),
        size_of::<Identity>(),
        token.len(),
        size_of_object(&identity.claims),
        8 * ALLOCATION,
    ];
    fixed.into_iter().chain(strings).chain(lines).fold(0, usize::saturating_add)
}

/// The size of what a value points to.
fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len().saturating_add(16),
        Value::Array(list) => list
            .iter()
            .map(size_of_value)
            .fold(list.capacity().saturating_mul(size_of::<Value>()), usize::saturating_add),
        Value::Object(object) => size_of_object(object),
    }
}

/// A node of a B-tree has room for eleven pairs, and one that was just split is half empty.
fn size_of_object(object: &serde_json::Map<String, Value>) -> usize {
    let pair = size_of::<String>().saturating_add(size_of::<Value>());
    let nodes = object.len().div_ceil(5).saturating_mul(pair.saturating_mul(11).saturating_add(32));
    object
        .iter()
        .map(|(name, value)| name.len().saturating_add(16).saturating_add(size_of_value(value)))
        .fold(nodes, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::Size;

    /// Tokens of one length and one hash, which is no secret and only of the end.
    fn colliding(count: u64) -> Vec<Vec<u8>> {
        (0..count).map(|first| [&first.to_le_bytes()[..], b"of the same end."].concat()).collect()
    }

    fn get(cache: &mut TokenCache, key: &Key<'_>) -> Option<Rc<Verified>> {
        let known = cache.known(key);
        cache.get(&known, key, 0)
    }

    fn verified(subject: &str, issuer: &str) -> Rc<Verified> {
        let (issuer, subject) = (Some(issuer.to_owned()), Some(subject.to_owned()));
        let identity = Rc::new(Identity { issuer, subject, claims: serde_json::Map::new() });
        let validity = Validity { not_before: 0, expires: None };
        Rc::new(Verified { identity, lines: Lines::default(), validity })
    }

    #[test]
    fn forged_collisions_only_push_each_other_out() {
        const LIMIT: usize = 1 << 20;
        let mut cache = TokenCache::new(&types::TokenCache { bytes: Size(LIMIT) });
        let tokens = colliding(64);
        assert!(tokens.iter().all(|token| hash(token) == hash(&tokens[0])), "no collisions");
        let place = 0;
        let bystander = Key::new(b"of somebody else", 0, place, 0);
        assert_ne!(cache.set_range(bystander.hash), cache.set_range(hash(&tokens[0])));
        cache.put(&bystander, &verified("bystander", "i"), 0);
        for (i, token) in tokens.iter().enumerate() {
            let key = Key::new(token, 0, place, 0);
            assert!(get(&mut cache, &key).is_none(), "{i} was never put");
            assert!(!cache.known(&key).is_of_another_issuer("of nobody"), "{i} was never put");
            cache.put(&key, &verified(&i.to_string(), &format!("issuer {i}")), 0);
            let mut found = 0;
            for (j, token) in tokens.iter().enumerate() {
                let key = Key::new(token, 0, place, 0);
                assert!(!cache.known(&key).is_of_another_issuer(&format!("issuer {j}")));
                if let Some(held) = get(&mut cache, &key) {
                    assert_eq!(held.identity.subject, Some(j.to_string()));
                    found += 1;
                }
            }
            assert!((1..=WAYS).contains(&found), "{found}");
            assert!(cache.used() <= LIMIT);
        }
        assert_eq!(cache.evicted(), 64 - WAYS as u64);
        assert!(get(&mut cache, &bystander).is_some());
    }

    #[test]
    fn keys_differ_in_each_part() {
        let mut cache = TokenCache::new(&types::TokenCache { bytes: Size(1 << 20) });
        let key = Key::new(b"token", 1, 0, 1);
        cache.put(&key, &verified("s", "i"), 0);
        assert!(get(&mut cache, &key).is_some());
        for other in [
            Key::new(b"token", 0, 0, 1),
            Key::new(b"token", 1, 1, 1),
            Key::new(b"token", 1, 0, 2),
            Key::new(b"tokem", 1, 0, 1),
            Key::new(b"token\0", 1, 0, 1),
            Key::new(b"", 1, 0, 1),
        ] {
            assert!(get(&mut cache, &other).is_none(), "{other:?}");
        }
    }
}
