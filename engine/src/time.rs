//! Times and durations in nanoseconds, as the host's clock is read. Clocks are set back now and then: what
//! waits for a time must not wait for as long again.

use std::time::Duration;

/// A millisecond.
pub const MILLISECOND: u64 = 1_000_000;

/// A second.
pub const SECOND: u64 = 1_000_000_000;

/// A duration in nanoseconds.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// When `span` will have passed since a time. A clock that was set back says nothing of how much did:
/// then it is due now, or a time that lay far ahead would stop everything until it comes.
pub fn due(since: u64, span: u64, now: u64) -> u64 {
    if now < since { now } else { since.saturating_add(span) }
}

/// Whether `span` has passed since a time.
pub fn has_passed(now: u64, since: u64, span: u64) -> bool {
    due(since, span, now) <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_waiting() {
        assert_eq!((due(100, 10, 100), due(100, 10, 150), due(100, 10, 99)), (110, 110, 99));
        assert!(!has_passed(109, 100, 10) && has_passed(110, 100, 10) && has_passed(99, 100, 10));
        assert_eq!(due(100, u64::MAX, 100), u64::MAX);
    }
}
