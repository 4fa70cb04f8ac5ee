//! What is counted: outcomes, kinds of differences, latencies, and lines for the log.

use super::compare::Kind;
use super::id::ShadowId;
use crate::config::declare::words;

words! {
    /// What became of a selected request; exactly one for each.
    pub enum Outcome {
        /// Both answered, and the answers agree.
        Matched = "matched",
        /// Both answered, and the answers differ.
        Mismatched = "mismatched",
        /// Both answered, but the answers cannot be read; or a stream of events was asked for, and
        /// the request was not copied.
        Uncomparable = "uncomparable",
        /// The live model gave no answer of its own, or a 5xx.
        LiveFailed = "live_failed",
        /// The shadow gave no answer, or would not let the gateway in.
        ShadowFailed = "shadow_failed",
        /// The shadow's answer was too late.
        Timeout = "timeout",
        /// The request or an answer is larger than the shadow's limits.
        TooLarge = "too_large",
        /// Too many copies or bytes at once, a client that was too slow while others needed them, or no
        /// time to compare answers as large as these.
        OverBudget = "over_budget",
        /// The shadow failed before, and is left alone for a while.
        BreakerOpen = "breaker_open",
        /// The client or the whole filter went away first, or the request came to no end.
        Orphaned = "orphaned",
    }
}

/// Where events go. `shadow` is the index in the configuration's list.
pub trait ShadowObserver {
    /// A request was chosen for a copy.
    fn selected(&mut self, shadow: ShadowId);
    /// What became of it.
    fn outcome(&mut self, shadow: ShadowId, outcome: Outcome);
    /// The answers differ in this way; each kind at most once for an exchange.
    fn difference(&mut self, shadow: ShadowId, kind: Kind);
    /// How long both took, for an exchange that was compared. The live time runs from the last byte of the
    /// request that came before the answer, the shadow's from the dispatch of the copy, each to the
    /// end of the answer.
    fn latencies(&mut self, shadow: ShadowId, live_millis: u64, shadow_millis: u64);
    /// The largest difference of two scores at the same place, in millionths, tolerated or not, for
    /// an exchange whose values were compared.
    fn score_difference(&mut self, shadow: ShadowId, millionths: u64);
    /// A line for the log at warning level, escaped, without secrets.
    fn log(&mut self, line: &str);
}
