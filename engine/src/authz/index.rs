//! Finds the few policies, splits or shadows that may concern a request, so that those of other models cost nothing.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::models::Models;
use crate::words;

/// Positions in a list, by the models that what stands there is for.
#[derive(Debug, Default)]
pub struct ModelMap {
    /// Of what may concern any request.
    everywhere: Vec<usize>,
    /// By `namespace/name`, and by `namespace/` for prefixes within a namespace.
    by_key: HashMap<Box<[u8]>, Vec<usize>, BuildHasherDefault<OfKeys>>,
}

impl ModelMap {
    /// Adds what stands at a position, which is not before those that were added: for these lists of models; `None`:
    /// for any request. Where it is found is only ever too wide, never too narrow: whether its models fit is
    /// still to be asked.
    pub fn add<'m>(
        &mut self,
        position: usize,
        models: Option<impl IntoIterator<Item = &'m Models>>,
    ) {
        let keys = models.and_then(|models| {
            let mut keys = Vec::new();
            models.into_iter().try_for_each(|models| models.keys(&mut keys)).map(|()| keys)
        });
        self.add_keys(position, keys);
    }

    fn add_keys(&mut self, position: usize, keys: Option<Vec<&[u8]>>) {
        let Some(keys) = keys else { return self.everywhere.push(position) };
        for key in keys {
            let found = self.by_key.entry(key.into()).or_default();
            if found.last() != Some(&position) {
                found.push(position);
            }
        }
    }

    /// The most that may concern one request, or more.
    pub fn most(&self) -> usize {
        let longest = self.by_key.values().map(Vec::len).max().unwrap_or_default();
        self.everywhere.len() + 2 * longest
    }

    /// Positions of what may concern a model, or a request without one, in order.
    pub fn candidates(&self, model: Option<&str>) -> Candidates<'_> {
        let find = |key: Option<&[u8]>| key.and_then(|key| self.by_key.get(key));
        let id = model.map(str::as_bytes);
        let namespace = id.and_then(|id| {
            let slash = id.iter().position(|c| *c == b'/')?;
            id.get(..=slash)
        });
        Candidates {
            lists: [
                &self.everywhere,
                find(id).map_or(&[], Vec::as_slice),
                find(namespace).map_or(&[], Vec::as_slice),
            ],
        }
    }
}

/// Needs no secret: all keys are an operator's, and what a request asks for is only looked up.
#[derive(Debug, Clone, Copy, Default)]
struct OfKeys(u64);

impl Hasher for OfKeys {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = words::hash(bytes);
    }

    /// The length of a slice, which the hash of its bytes holds.
    fn write_usize(&mut self, _: usize) {}
}

/// Merges sorted lists without repeating what stands in several.
#[derive(Debug, Clone)]
pub struct Candidates<'i> {
    lists: [&'i [usize]; 3],
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let next = self.lists.iter().filter_map(|list| list.first()).min().copied()?;
        for list in &mut self.lists {
            if let Some((_, rest)) = list.split_first().filter(|(first, _)| **first == next) {
                *list = rest;
            }
        }
        Some(next)
    }
}
