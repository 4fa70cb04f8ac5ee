//! When a proxy's timer ticks next: one schedule for everything that waits for a time.
//!
//! Whoever drives it asks each part when it is due. Requests that come while the timer runs may want a tick
//! before ([`TickSchedule::want`]); with every tick all parts have done what was due, and the schedule is made
//! anew ([`TickSchedule::ticked`]). The timer repeats its period until it is given another one.

use std::cell::Cell;

use crate::time::{MILLISECOND, SECOND};

/// The shortest period, in nanoseconds: timers count milliseconds, and 0 stops them.
const SHORTEST: u64 = MILLISECOND;

/// The longest period, in nanoseconds. A part that wants none still has what is looked at about once a second.
const LONGEST: u64 = SECOND;

/// The period of the timer, and when it will have passed. Times are in nanoseconds of one clock.
#[derive(Debug)]
pub struct TickSchedule {
    period: Cell<u32>,
    next: Cell<u64>,
}

impl Default for TickSchedule {
    /// The timer does not run.
    fn default() -> Self {
        Self { period: Cell::new(0), next: Cell::new(u64::MAX) }
    }
}

impl TickSchedule {
    /// Something is due at this time. Returns the period to set, in milliseconds, where no tick is expected
    /// until then.
    ///
    /// To set a period starts the timer anew. Were it set whenever somebody wants a tick soon, requests that
    /// come faster than it runs would put it off for ever; it is only ever set to tick sooner.
    pub fn want(&self, due: u64, now: u64) -> Option<u32> {
        (due.max(now.saturating_add(SHORTEST)) < self.next.get()).then(|| self.set(due, now))
    }

    /// A tick has done what was due; this is due next. Returns the period to set, in milliseconds, if it is
    /// another one than the timer repeats by itself.
    pub fn ticked(&self, due: u64, now: u64) -> Option<u32> {
        let before = self.period.get();
        Some(self.set(due, now)).filter(|period| *period != before)
    }

    fn set(&self, due: u64, now: u64) -> u32 {
        let wait = due.saturating_sub(now).clamp(SHORTEST, LONGEST);
        // Rounded up: a tick that comes before its time would be in vain.
        let period = wait.div_ceil(MILLISECOND);
        self.next.set(now.saturating_add(period.saturating_mul(MILLISECOND)));
        let period = u32::try_from(period).unwrap_or(u32::MAX);
        self.period.set(period);
        period
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_795_795_088 * SECOND;

    #[test]
    fn each_tick_comes_when_something_is_due() {
        let ticks = TickSchedule::default();
        for (due, period) in [
            (NOW, Some(1)),
            (0, None),
            (NOW + 1, None),
            (NOW + MILLISECOND + 1, Some(2)),
            (NOW + 300 * MILLISECOND, Some(300)),
            (NOW + SECOND, Some(1000)),
            (u64::MAX, None),
        ] {
            assert_eq!(ticks.ticked(due, NOW), period, "{due}");
        }
    }

    #[test]
    fn a_tick_is_only_ever_brought_forward() {
        let ticks = TickSchedule::default();
        assert_eq!(ticks.ticked(u64::MAX, NOW), Some(1000));
        assert_eq!(ticks.want(NOW + SECOND, NOW), None);
        assert_eq!(ticks.want(NOW + 500 * MILLISECOND, NOW), Some(500));
        assert_eq!(ticks.want(NOW, NOW), Some(1));
        // Requests come every tenth of a millisecond, and each wants a tick soon.
        for tenth in 1..=10 {
            let now = NOW + tenth * MILLISECOND / 10;
            assert_eq!(ticks.want(now, now), None, "{tenth}");
        }
        assert_eq!(ticks.ticked(NOW + SECOND, NOW + MILLISECOND), Some(999));
    }

    #[test]
    fn a_clock_that_is_set_back_puts_no_tick_off() {
        let ticks = TickSchedule::default();
        assert_eq!(ticks.ticked(u64::MAX, NOW), Some(1000));
        assert_eq!(ticks.want(NOW - SECOND * 3600, NOW - SECOND * 3600), Some(1));
    }

    proptest! {
        /// A timer, and wishes at any time: none waits longer than it has to.
        #[test]
        fn no_wish_waits(wishes in proptest::collection::vec((0..2_000_000_000u64, 0..3_000_000_000u64), 1..50)) {
            let ticks = TickSchedule::default();
            let mut fires = ticks.ticked(u64::MAX, NOW).map(|p| NOW + u64::from(p) * MILLISECOND).unwrap();
            let mut now = NOW;
            let mut wanted = u64::MAX;
            for (pause, due_in) in wishes {
                now += pause;
                while fires <= now {
                    // What is due at a tick is done by it; the timer repeats its period, or has another one.
                    if wanted <= fires {
                        wanted = u64::MAX;
                    }
                    let period = u64::from(ticks.ticked(wanted, fires).unwrap_or(ticks.period.get()));
                    fires += period * MILLISECOND;
                }
                wanted = wanted.min(now + due_in);
                if let Some(period) = ticks.want(now + due_in, now) {
                    fires = now + u64::from(period) * MILLISECOND;
                }
                let longest = (now + SECOND).min(wanted.max(now) + 2 * MILLISECOND);
                prop_assert!(fires <= longest, "{fires} {longest}");
            }
        }
    }
}
