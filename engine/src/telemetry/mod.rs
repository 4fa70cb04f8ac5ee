//! What is counted of requests, models and shadows, and what it is called.

mod callers;
mod counters;
mod labels;
pub mod metric;

pub use callers::{CallerLabel, CallerLabels, MOST_CALLERS};
pub use counters::{Count, Counters, Labels, Names};
pub use labels::{ModelLabel, ModelLabels};
pub use metric::{Gauge, Histogram, build_info, metric_name};

use crate::config::declare::words;

words! {
    /// What became of a request: the `decision` of `modelgate_requests_total`.
    pub enum Verdict {
        /// Let through.
        Allowed = "allowed",
        /// Let through by a bypass rule.
        Bypassed = "bypassed",
        /// Another application's host.
        Excluded = "excluded",
        /// 401, or 403 of authentication.
        Unauthenticated = "unauthenticated",
        /// 403 of authorization.
        Denied = "denied",
        /// 429: a quota is used up.
        Limited = "limited",
        /// 400: an address that no server may see.
        Refused = "refused",
        /// The filter has no configuration, or failed.
        Error = "error",
    }

    /// What a quota made of a request: the `result` of `modelgate_quota_total`.
    pub enum QuotaResult {
        /// It counts, and goes on.
        Allowed = "allowed",
        /// The quota is used up.
        Limited = "limited",
    }
}

/// The label of models that have none of their own.
pub const OTHER: &str = "other";
/// The label of requests that reach no model.
pub const NONE: &str = "none";
