//! How much of its time a worker compares: the requests of others wait meanwhile.

use super::super::compare::{Encoding, Whole};
use super::super::pair::Stored;
use super::{Desk, Id, Sink};

/// Units of work in a second: three or four hundredths of a worker, as long as comparisons are short.
const RATE: u64 = 1 << 20;

/// Units that may be saved up.
const MOST: i64 = 1 << 18;

/// Units that may be owed: eight seconds, also for the largest answers.
const DEBT: i64 = -(1 << 23);

/// Steps of a comparison for which twice its steps are paid. What others wait for it, all together,
/// grows with the square of its length, and so does the price: of the largest, one in some seconds.
const LONG: u64 = 1 << 16;

/// Bytes of two answers that are compared at once, whatever is owed: what that takes is of the order of
/// what the requests take, and large answers do not keep small ones from being compared.
const SMALL: usize = 16 << 10;

/// The account of a worker.
#[derive(Debug)]
pub(super) struct Work {
    left: i64,
    /// Until when units were added, in nanoseconds.
    until: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self { left: MOST, until: 0 }
    }
}

impl Work {
    /// Whether something may be compared now.
    fn has(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.until).min(10_000_000_000);
        let gained = i64::try_from(passed.saturating_mul(RATE) / 1_000_000_000).unwrap_or(MOST);
        if gained > 0 || now < self.until {
            self.left = self.left.saturating_add(gained).min(MOST);
            self.until = now;
        }
        self.left > 0
    }

    /// Pays for a comparison.
    pub fn pay(&mut self, steps: u32) {
        let steps = u64::from(steps);
        let price = steps.saturating_add(steps.saturating_mul(steps) / LONG);
        self.left = self.left.saturating_sub_unsigned(price).max(DEBT);
    }
}

fn is_small(a: &Whole<'_>, b: &Whole<'_>) -> bool {
    let is_plain = |answer: &Whole<'_>| {
        [answer.head.encoding, answer.head.message_encoding] == [Encoding::Identity; 2]
    };
    is_plain(a) && is_plain(b) && a.body.len().saturating_add(b.body.len()) <= SMALL
}

impl Desk {
    /// Whether a pair whose live answer is complete may be compared with this one now: it is small, or
    /// its turn.
    pub(super) fn may_compare(&mut self, id: Id, answer: Whole<'_>, now: u64) -> bool {
        let has = self.due.is_empty() && self.work.has(now);
        let open = self.pairs.get(id).and_then(|pair| pair.open.as_ref());
        has || open.is_none_or(|open| {
            let live = open.live_head.as_ref();
            !open.may_agree()
                || live.is_none_or(|head| {
                    is_small(&Whole { head, body: open.live_body.bytes() }, &answer)
                })
        })
    }

    /// Both answers are there, and what is noise is known if it ever will be: they are compared, or wait
    /// for their turn.
    pub(super) fn ready(&mut self, id: Id, now: u64, sink: &mut dyn Sink) {
        let Some(open) = self.open(id) else { return };
        if open.live_took.is_none() || open.waits_for_noise() {
            return;
        }
        let Some(answer) = open.answer.take() else { return };
        if self.may_compare(id, answer.whole(), now) {
            self.compare(id, answer.whole(), answer.took, now, sink);
        } else if let Some(open) = self.open(id) {
            open.answer = Some(answer);
            open.due_since = Some(now);
            self.due.push_back(id);
        }
    }

    /// Compares the next pair that waits for its turn, if it is. One at a time: others have theirs in between.
    pub fn catch_up(&mut self, now: u64, sink: &mut dyn Sink) {
        while self.work.has(now)
            && let Some(id) = self.due.pop_front()
        {
            if let Some(Stored { head, body, took, .. }) =
                self.open(id).and_then(|open| open.answer.take())
            {
                let answer = Whole { head: &head, body: body.bytes() };
                return self.compare(id, answer, took, now, sink);
            }
        }
    }

    /// Whether pairs wait for their turn: [`Desk::catch_up`] is to be called some times a second.
    pub fn is_behind(&self) -> bool {
        !self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// The share of its time that a worker compares, of a step of 33 ns, and the longest wait.
    fn share(steps: u32) -> f64 {
        let mut work = Work::default();
        let mut compared = 0u64;
        for millis in 0..60_000u64 {
            if work.has(millis * 1_000_000) {
                work.pay(steps);
                compared += 1;
            }
        }
        (compared * u64::from(steps)) as f64 * 33e-9 / 60.0
    }

    #[test]
    fn the_longer_comparisons_are_the_less_they_may_take() {
        for (steps, most, least) in [
            (1 << 10, 0.036, 0.03),
            (1 << 14, 0.036, 0.02),
            (1 << 16, 0.02, 0.01),
            (1 << 18, 0.01, 0.005),
            (1 << 20, 0.01, 0.002),
            (1 << 21, 0.01, 0.005),
        ] {
            let share = share(steps);
            assert!((least..most).contains(&share), "{share} for {steps} steps");
        }
    }

    #[test]
    fn debts_end_and_savings_do_too() {
        let mut work = Work::default();
        assert!(work.has(0));
        work.pay(u32::MAX);
        assert!(!work.has(0) && !work.has(7 * SECOND));
        assert!(work.has(9 * SECOND));
        // After a clock that was set back, too.
        work.pay(1 << 20);
        assert!(!work.has(0) && !work.has(7 * SECOND) && work.has(9 * SECOND));
        assert!(work.has(1000 * SECOND));
        work.pay(1 << 18);
        assert!(!work.has(1000 * SECOND), "a night without requests is not an hour of work");
    }
}
