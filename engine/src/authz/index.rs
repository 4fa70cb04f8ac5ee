//! Finds the few policies that may concern a request, so that those of other models cost nothing.

use std::collections::HashMap;

use super::policy::Policy;
use super::values::Values;
use crate::matcher::StringMatch;

/// Positions of policies, by the model that they concern.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Policies that may concern any request.
    everywhere: Vec<usize>,
    /// By `namespace/name`, and by `namespace/` for prefixes within a namespace.
    by_key: HashMap<Box<[u8]>, Vec<usize>>,
}

impl Index {
    /// An index of these policies. Where a policy is found is only ever too wide, never too narrow:
    /// its scope and rules are still tested.
    pub(super) fn new(policies: &[Policy]) -> Self {
        let mut index = Self::default();
        for (position, policy) in policies.iter().enumerate() {
            match keys(policy) {
                None => index.everywhere.push(position),
                Some(keys) => {
                    for key in keys {
                        let found = index.by_key.entry(key.into()).or_default();
                        if found.last() != Some(&position) {
                            found.push(position);
                        }
                    }
                }
            }
        }
        index
    }

    /// Positions of the policies that may concern a model, or a request without one, in order.
    pub(super) fn candidates(&self, model: Option<&str>) -> Candidates<'_> {
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

/// The keys under which a policy is found; `None` if it may concern any request.
fn keys(policy: &Policy) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    if let Some(scope) = &policy.scope {
        add_keys(scope, &mut found)?;
        return Some(found);
    }
    for rule in &policy.rules {
        for models in rule.models()? {
            add_keys(models, &mut found)?;
        }
    }
    Some(found)
}

fn add_keys<'v>(models: &'v Values, found: &mut Vec<&'v [u8]>) -> Option<()> {
    if models.has_any() {
        return None;
    }
    found.extend(models.exact());
    for pattern in models.patterns() {
        let StringMatch::Prefix(prefix) = pattern else { return None };
        let slash = prefix.iter().position(|c| *c == b'/')?;
        found.push(prefix.get(..=slash)?);
    }
    Some(())
}

/// Merges sorted lists without repeating what stands in several.
#[derive(Debug, Clone)]
pub(super) struct Candidates<'i> {
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
