//! Counts that all workers of a proxy share: entries of fixed size, in buckets that are read and written as a whole, by
//! compare-and-set.

use super::{CountId, Exceeded, Quota, Quotas};
use crate::time::SECOND;
use crate::usage::Report;

/// What the proxy keeps for all its workers, as proxy-wasm's shared data does.
pub trait SharedData {
    /// The value of a key, and its number for a compare-and-set; `None` where there is none.
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)>;

    /// Sets the value of a key if its number is still this one. A key that has no value takes any number. `false` where it
    /// was not set.
    fn set(&self, key: &str, value: &[u8], number: u32) -> bool;
}

/// The number of a value that is not there: no value has it, for proxies count from 1 on. Where somebody else was first,
/// it is not replaced.
const NEW: u32 = u32::MAX;

/// How often a change is tried again that somebody else was quicker with: each time one of them has got on.
const TRIES: usize = 1000;

/// Entries of one bucket. Whoever comes when it is full shares the count of all who do.
pub(super) const MOST_ENTRIES: usize = 64;

const BYTES: usize = 40;

/// What was used up in the window that is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Entry {
    key: [u8; 16],
    window: u64,
    requests: u64,
    tokens: u64,
}

/// What a change makes of an entry.
type Change<'c> = &'c dyn Fn(&mut Entry) -> Result<(), ()>;

impl Quotas {
    /// Counts a request, in each of its counts or in none.
    pub(crate) fn take(
        &self,
        counts: &[CountId],
        data: &dyn SharedData,
        now: u64,
    ) -> Result<(), Exceeded> {
        for (i, count) in counts.iter().enumerate() {
            let Some(quota) = self.get(count.quota) else { continue };
            let take = |entry: &mut Entry| quota.take(entry);
            if let Err(retry_after) = quota.change(count, data, now, &take) {
                for count in counts.iter().take(i) {
                    self.change(count, data, now, &|entry| {
                        entry.requests = entry.requests.saturating_sub(1);
                        Ok(())
                    });
                }
                return Err(Exceeded { quota: count.quota, retry_after });
            }
        }
        Ok(())
    }

    /// Charges the answer to such a request.
    pub(crate) fn charge(
        &self,
        counts: &[CountId],
        report: &Report,
        data: &dyn SharedData,
        now: u64,
    ) {
        let tokens = report.cost();
        for count in counts.iter().filter(|count| count.has_tokens && tokens > 0) {
            self.change(count, data, now, &|entry| {
                entry.tokens = entry.tokens.saturating_add(tokens);
                Ok(())
            });
        }
    }

    fn change(&self, count: &CountId, data: &dyn SharedData, now: u64, change: Change<'_>) {
        if let Some(quota) = self.get(count.quota) {
            // There is nobody to tell that it could not be counted.
            let _ = quota.change(count, data, now, change);
        }
    }
}

impl Quota {
    fn take(&self, entry: &mut Entry) -> Result<(), ()> {
        let is_over = |limit: Option<u32>, count| limit.is_some_and(|limit| count >= limit.into());
        if is_over(self.requests, entry.requests) || is_over(self.tokens, entry.tokens) {
            return Err(());
        }
        entry.requests = entry.requests.saturating_add(1);
        Ok(())
    }

    /// Changes an entry; or says in how many seconds that may be tried again.
    fn change(
        &self,
        count: &CountId,
        data: &dyn SharedData,
        now: u64,
        change: Change<'_>,
    ) -> Result<(), u32> {
        let [bucket, ..] = count.key;
        let place = format!("{}\0{bucket}", self.name);
        let of_now = now.checked_div(self.window).unwrap_or(0);
        for _ in 0..TRIES {
            let (bytes, number) = data.get(&place).unwrap_or((Vec::new(), NEW));
            let mut entries = read(&bytes);
            // Another worker may be in the next window already. One that lies further ahead is left by a clock that was set
            // back.
            let next = of_now.saturating_add(1);
            let is_next = entries.iter().any(|entry| entry.window == next);
            let window = if is_next { next } else { of_now };
            entries.retain(|entry| entry.window == window);
            let changed = entry(&mut entries, count.key, window).map(change);
            match changed {
                Some(Ok(())) if data.set(&place, &written(&entries), number) => return Ok(()),
                Some(Ok(())) => {}
                _ => {
                    let end = window.saturating_add(1).saturating_mul(self.window);
                    let left = end.saturating_sub(now).div_ceil(SECOND).max(1);
                    return Err(u32::try_from(left).unwrap_or(u32::MAX));
                }
            }
        }
        Err(1)
    }
}

/// The entry of a key, or the one that is shared where there is no room for it.
fn entry(entries: &mut Vec<Entry>, key: [u8; 16], window: u64) -> Option<&mut Entry> {
    let find = |entries: &[Entry], key| entries.iter().position(|entry| entry.key == key);
    let shared = Entry::default().key;
    let key = match find(entries, key) {
        None if entries.len() >= MOST_ENTRIES => shared,
        _ => key,
    };
    if find(entries, key).is_none() {
        entries.push(Entry { key, window, ..Entry::default() });
    }
    entries.iter_mut().find(|entry| entry.key == key)
}

fn read(bytes: &[u8]) -> Vec<Entry> {
    let entries = bytes.chunks_exact(BYTES).filter_map(|entry| {
        let (key, rest) = entry.split_first_chunk()?;
        let (window, rest) = rest.split_first_chunk()?;
        let (requests, rest) = rest.split_first_chunk()?;
        let tokens = rest.first_chunk()?;
        let number = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let (window, requests, tokens) = (number(window), number(requests), number(tokens));
        Some(Entry { key: *key, window, requests, tokens })
    });
    entries.collect()
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len().saturating_mul(BYTES));
    for entry in entries {
        bytes.extend_from_slice(&entry.key);
        for number in [entry.window, entry.requests, entry.tokens] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    bytes
}
