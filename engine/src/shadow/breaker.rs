//! The circuit breaker: leaves a shadow alone that fails again and again, and probes it later with one copy.

use super::id::ExchangeId;

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Consecutive failures that open it.
    pub failures: u32,
    /// Nanoseconds until a probe.
    pub retry_after: u64,
}

/// The state for one shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Copies go out; so many failed in a row.
    Closed(u32),
    /// No copies between these times, in nanoseconds.
    Open { since: u64, until: u64 },
    /// One copy is out that decides.
    Probing(ExchangeId),
}

impl Breaker {
    /// Whether a copy could go out now.
    pub fn admits(&self, now: u64) -> bool {
        match self {
            Self::Closed(_) => true,
            // A clock that was set back would keep it open for as long.
            Self::Open { since, until } => !(*since..*until).contains(&now),
            Self::Probing(_) => false,
        }
    }

    /// A copy goes out: where the breaker was open, as its probe.
    pub fn sent(&mut self, id: ExchangeId) {
        if let Self::Open { .. } = self {
            *self = Self::Probing(id);
        }
    }

    /// A copy came back. While a probe is out, or the breaker open, older copies decide nothing.
    pub fn answered(&mut self, id: ExchangeId, well: bool, now: u64, rules: Rules) {
        let open = Self::Open { since: now, until: now.saturating_add(rules.retry_after) };
        *self = match *self {
            Self::Closed(_) if well => Self::Closed(0),
            Self::Closed(failed) if failed.saturating_add(1) >= rules.failures => open,
            Self::Closed(failed) => Self::Closed(failed.saturating_add(1)),
            Self::Probing(probe) if probe != id => return,
            Self::Probing(_) if well => Self::Closed(0),
            Self::Probing(_) => open,
            Self::Open { .. } => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let id = SlotMap::new().insert(());
        let mut breaker = Breaker::Closed(0);
        breaker.answered(id, false, 1000, Rules { failures: 1, retry_after: 10 });
        assert!(!breaker.admits(1000) && !breaker.admits(1009));
        assert!(breaker.admits(1010) && breaker.admits(999));
    }

    #[test]
    fn opens_probes_and_closes() {
        let mut ids = SlotMap::new();
        let (a, b) = (ids.insert(()), ids.insert(()));
        let rules = Rules { failures: 2, retry_after: 10 };
        let mut breaker = Breaker::Closed(0);
        breaker.answered(a, false, 0, rules);
        breaker.answered(a, true, 0, rules);
        breaker.answered(a, false, 0, rules);
        assert!(breaker.admits(0), "only consecutive failures count");
        breaker.answered(a, false, 0, rules);
        assert!(!breaker.admits(9));
        breaker.answered(b, true, 5, rules);
        assert!(!breaker.admits(9), "sent before it opened");
        assert!(breaker.admits(10));
        breaker.sent(a);
        assert!(!breaker.admits(99), "one probe at a time");
        breaker.answered(b, true, 12, rules);
        assert!(!breaker.admits(99), "not the probe");
        breaker.answered(a, false, 12, rules);
        assert!(!breaker.admits(21) && breaker.admits(22));
        breaker.sent(b);
        breaker.answered(b, true, 23, rules);
        assert_eq!(breaker, Breaker::Closed(0));
    }
}
