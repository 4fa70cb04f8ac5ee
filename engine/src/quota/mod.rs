//! Quotas: how many requests and tokens callers have in a window of time. All workers of a gateway count together.
//!
//! | module | what it does |
//! |---|---|
//! | `settings` | what an operator writes, compiled |
//! | [`counts`] | the counts that workers share, and how they are changed |
//! | [`explain`] | which quotas count a request, for people |

use serde_json::Value;

use crate::authn::Identity;
use crate::authn::algorithm::Hash;
use crate::authz::{Conditions, Models, Subject};
use crate::routing::Operation;

mod counts;
mod explain;
mod settings;
#[cfg(test)]
mod tests;

pub use counts::SharedData;
pub use explain::{LimitView, QuotaView};
pub use settings::{MOST, MOST_NAMES};

/// Every quota.
#[derive(Debug, Default)]
pub struct Quotas(Vec<Quota>);

#[derive(Debug)]
struct Quota {
    name: Box<str>,
    models: Models,
    operations: Vec<Operation>,
    when: Conditions,
    by: By,
    per_model: bool,
    /// At most so many requests in a window.
    requests: Option<u32>,
    /// No more requests once so many tokens are used up.
    tokens: Option<u32>,
    /// In nanoseconds, not 0.
    window: u64,
}

/// What has a count of its own.
#[derive(Debug)]
enum By {
    All,
    Principal,
    /// Names from the outermost object on.
    Claim(Vec<String>),
    /// In lower case.
    Header(Vec<u8>),
}

/// The count of a quota to which a request belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountId {
    /// The quota.
    pub quota: u32,
    /// What stands for whom it is of. Nobody finds two callers with one of these.
    key: [u8; 16],
    /// Whether it is charged with tokens.
    pub has_tokens: bool,
}

/// A quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Which one.
    pub quota: u32,
    /// How long until the next window begins, in seconds, at least 1.
    pub retry_after: u32,
}

impl Quotas {
    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether any counts tokens.
    pub fn has_tokens(&self) -> bool {
        self.0.iter().any(|quota| quota.tokens.is_some())
    }

    /// A quota's name.
    pub fn name(&self, quota: u32) -> &str {
        self.get(quota).map_or("", |quota| &quota.name)
    }

    fn get(&self, index: u32) -> Option<&Quota> {
        self.0.get(usize::try_from(index).ok()?)
    }

    /// The counts of a request that is allowed.
    #[inline(never)]
    pub(crate) fn of(&self, subject: &Subject<'_>) -> Vec<CountId> {
        let counts = (0..).zip(&self.0).filter(|(_, quota)| quota.applies(subject));
        let counts = counts.map(|(index, quota)| CountId {
            quota: index,
            key: quota.key(subject),
            has_tokens: quota.tokens.is_some(),
        });
        counts.collect()
    }
}

impl Quota {
    fn applies(&self, subject: &Subject<'_>) -> bool {
        self.is_for(subject) && self.when.matches(subject)
    }

    fn is_for(&self, subject: &Subject<'_>) -> bool {
        let Some(address) = subject.address else { return false };
        self.operations.contains(&address.operation)
            && address.model.as_ref().is_some_and(|model| self.models.matches(&model.id))
    }

    /// The model, where each has counts of its own.
    fn model<'s>(&self, subject: &Subject<'s>) -> Option<&'s str> {
        let model = subject.address?.model.as_ref()?;
        self.per_model.then_some(&*model.id)
    }

    fn key(&self, subject: &Subject<'_>) -> [u8; 16] {
        let model = self.model(subject).map(|model| model.as_bytes().to_vec());
        let mut text = Vec::new();
        for value in [model, self.by.value(subject)] {
            // With its length and whether it is there, so that no two pairs of values are one text.
            let length = value.as_ref().map_or(0, |value| value.len().saturating_add(1));
            text.extend_from_slice(&length.to_le_bytes());
            text.extend_from_slice(&value.unwrap_or_default());
        }
        Hash::Sha256.of(&text).first_chunk().copied().unwrap_or_default()
    }
}

impl By {
    /// Its value for a request, if it has one. Requests that have none share a count.
    fn value(&self, subject: &Subject<'_>) -> Option<Vec<u8>> {
        match self {
            Self::All => None,
            Self::Principal => {
                subject.identity.and_then(Identity::principal).map(String::into_bytes)
            }
            Self::Claim(path) => match subject.identity?.claim(path)? {
                Value::String(text) => Some(text.as_bytes().to_vec()),
                // Whoever signs tokens says a tenant as a number or as a text: it is the same.
                Value::Number(number) => Some(number.to_string().into_bytes()),
                _ => None,
            },
            Self::Header(name) => {
                let lines: Vec<&[u8]> = subject.edits.lines(subject.request, name).collect();
                (!lines.is_empty()).then(|| lines.join(&b","[..]))
            }
        }
    }
}
