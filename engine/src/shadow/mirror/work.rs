//! How much of its time a worker compares, and when: the requests of others wait meanwhile.
//!
//! An exchange is compared in a tick, or in the callback that brings the last answer it waited for, and never
//! in a callback of a live stream, whose bytes would wait for it.

use std::collections::VecDeque;

use super::super::coding::Encoding;
use super::super::compare::Whole;
use super::super::exchange::Stored;
use super::{ExchangeId, Mirror, Outcome, ShadowObserver};
use crate::time::SECOND;

/// Steps in a second: three or four hundredths of a worker, as long as comparisons are short.
const RATE: u64 = 1 << 20;

/// Steps in a second for small answers, a seventh of a worker: large ones do not keep them from being
/// compared, and however many steps they turn out to take, they leave it most of its time.
const SMALL_RATE: u64 = 1 << 22;

/// Steps that may be saved up.
const MOST: i64 = 1 << 18;

/// Steps that may be owed: eight seconds, also for the largest answers.
const DEBT: i64 = -(1 << 23);

/// Steps of a comparison for which twice its steps are paid. What others wait for it, all together,
/// grows with the square of its length, and so does the price: of the largest, one in some seconds.
const LONG: u64 = 1 << 16;

/// Bytes of two answers that are small.
const SMALL: usize = 16 << 10;

/// Bytes of a request that are looked at in a step.
const REQUEST_BYTES: usize = 32;

/// Steps after which a tick compares nothing more: half a millisecond.
const SLICE: usize = 1 << 14;

/// What a comparison takes of a tick before its first step.
const EACH: usize = 1 << 8;

/// What is compared at a steady rate.
#[derive(Debug)]
struct Account {
    rate: u64,
    left: i64,
    /// Until when steps were added, in nanoseconds.
    until: u64,
}

impl Account {
    fn new(rate: u64) -> Self {
        Self { rate, left: MOST, until: 0 }
    }

    fn gained(&self, now: u64) -> i64 {
        let passed = now.saturating_sub(self.until).min(10_000_000_000);
        i64::try_from(passed.saturating_mul(self.rate) / SECOND).unwrap_or(MOST)
    }

    /// Whether something may be compared now.
    fn has(&self, now: u64) -> bool {
        self.left.saturating_add(self.gained(now)) > 0
    }

    /// Adds what time has brought.
    fn fill(&mut self, now: u64) {
        let gained = self.gained(now);
        if gained > 0 || now < self.until {
            self.left = self.left.saturating_add(gained).min(MOST);
            self.until = now;
        }
    }

    /// Pays for a comparison, which is known to cost so much when it is over.
    fn pay(&mut self, steps: u32) {
        let steps = u64::from(steps);
        let price = steps.saturating_add(steps.saturating_mul(steps) / LONG);
        self.left = self.left.saturating_sub_unsigned(price).max(DEBT);
    }
}

/// Pairs whose answers are there and that wait to be compared, the first first.
#[derive(Debug)]
struct Line {
    account: Account,
    due: VecDeque<ExchangeId>,
}

impl Line {
    fn new(rate: u64) -> Self {
        Self { account: Account::new(rate), due: VecDeque::new() }
    }

    fn is_ready(&self, now: u64) -> bool {
        !self.due.is_empty() && self.account.has(now)
    }
}

/// What a worker compares.
#[derive(Debug)]
pub(super) struct Work {
    small: Line,
    large: Line,
}

impl Default for Work {
    fn default() -> Self {
        Self { small: Line::new(SMALL_RATE), large: Line::new(RATE) }
    }
}

impl Work {
    fn line(&mut self, is_small: bool) -> &mut Line {
        if is_small { &mut self.small } else { &mut self.large }
    }

    /// Whether an exchange waits.
    pub fn is_due(&self) -> bool {
        !(self.small.due.is_empty() && self.large.due.is_empty())
    }

    /// Whether an exchange waits that may be compared now.
    pub fn is_ready(&self, now: u64) -> bool {
        self.small.is_ready(now) || self.large.is_ready(now)
    }

    /// Whether an exchange that comes now is the next, and may be compared at once.
    fn admits(&mut self, is_small: bool, now: u64) -> bool {
        let line = self.line(is_small);
        line.account.fill(now);
        line.due.is_empty() && line.account.has(now)
    }

    fn next(&mut self, now: u64) -> Option<ExchangeId> {
        [&mut self.small, &mut self.large].into_iter().find_map(|line| {
            line.account.fill(now);
            if line.account.has(now) { line.due.pop_front() } else { None }
        })
    }

    /// Pays for a comparison.
    pub fn pay(&mut self, is_small: bool, steps: u32) {
        self.line(is_small).account.pay(steps);
    }

    /// Pays for a look at a request of so many bytes. It waits for no turn: whether there is a copy
    /// depends on it.
    pub fn pay_for_request(&mut self, bytes: usize) {
        let steps = u32::try_from(bytes / REQUEST_BYTES).unwrap_or(u32::MAX);
        self.pay(bytes <= SMALL, steps);
    }

    /// An exchange has its outcome otherwise.
    pub fn withdraw(&mut self, id: ExchangeId) {
        for line in [&mut self.small, &mut self.large] {
            line.due.retain(|due| *due != id);
        }
    }

    /// No exchange waits.
    pub fn clear(&mut self) {
        self.small.due.clear();
        self.large.due.clear();
    }
}

pub(super) fn is_small(a: &Whole<'_>, b: &Whole<'_>) -> bool {
    let is_plain = |answer: &Whole<'_>| {
        [answer.head.encoding, answer.head.message_encoding] == [Encoding::Identity; 2]
    };
    is_plain(a) && is_plain(b) && bytes(a, b) <= SMALL
}

fn bytes(a: &Whole<'_>, b: &Whole<'_>) -> usize {
    a.body.len().saturating_add(b.body.len())
}

impl Mirror {
    /// Whether an exchange that waits for nothing else may be compared with this answer at once.
    pub(super) fn may_compare(&mut self, id: ExchangeId, answer: Whole<'_>, now: u64) -> bool {
        let open = self.exchanges.get(id).and_then(|exchange| exchange.open.as_ref());
        let live = open.and_then(|open| Some((open.live_head.as_ref()?, open)));
        live.is_none_or(|(head, open)| {
            let live = Whole { head, body: open.live_body.bytes() };
            !open.may_agree() || self.work.admits(is_small(&live, &answer), now)
        })
    }

    /// Both answers are there, and what is noise is known if it ever will be: the exchange waits for its
    /// turn.
    pub(super) fn ready(&mut self, id: ExchangeId, now: u64, observer: &mut dyn ShadowObserver) {
        let Some(open) = self.open(id) else { return };
        if open.live_took.is_none() || open.waits_for_noise() {
            return;
        }
        let (Some(answer), Some(head)) = (&open.answer, &open.live_head) else { return };
        if !open.may_agree() {
            return self.settle(id, Outcome::Uncomparable, observer);
        }
        let live = Whole { head, body: open.live_body.bytes() };
        let is_small = is_small(&live, &answer.whole());
        open.due_since = Some(now);
        self.work.line(is_small).due.push_back(id);
    }

    /// Compares exchanges that wait for their turn, as far as it has come and for a moment at most: others
    /// have theirs in between.
    pub fn catch_up(&mut self, now: u64, observer: &mut dyn ShadowObserver) {
        self.clock = now;
        let mut slice = SLICE;
        while slice > 0
            && let Some(id) = self.work.next(now)
        {
            let Some(open) = self.open(id) else { continue };
            let Some(Stored { head, body, took }) = open.answer.take() else { continue };
            let bytes = open.live_body.bytes().len().saturating_add(body.bytes().len());
            let answer = Whole { head: &head, body: body.bytes() };
            let steps = self.compare(id, answer, took, now, observer) as usize;
            slice = slice.saturating_sub(steps.saturating_add(bytes / 32).saturating_add(EACH));
        }
    }

    /// Whether exchanges wait for their turn: [`Mirror::catch_up`] is to be called some times a second.
    pub fn is_behind(&self) -> bool {
        self.work.is_due()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of its time that a worker compares, of a step of 33 ns, with so many ticks a second.
    fn share(rate: u64, steps: u32, ticks: u64) -> f64 {
        let mut account = Account::new(rate);
        let mut compared = 0u64;
        for tick in 0..60 * ticks {
            account.fill(tick * SECOND / ticks);
            if account.has(tick * SECOND / ticks) {
                account.pay(steps);
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
            let share = share(RATE, steps, 1000);
            assert!((least..most).contains(&share), "{share} for {steps} steps");
        }
        for steps in [1, 1 << 6, 1 << 13, 1 << 16] {
            assert!(share(SMALL_RATE, steps, 100_000) < 0.145, "{steps} steps of small ones");
        }
    }

    #[test]
    fn debts_end_and_savings_do_too() {
        let mut account = Account::new(RATE);
        let mut has = |now: u64, steps: u32| {
            account.fill(now);
            account.pay(steps);
            account.has(now)
        };
        assert!(has(0, 0));
        assert!(!has(0, u32::MAX) && !has(7 * SECOND, 0));
        assert!(has(9 * SECOND, 0));
        // After a clock that was set back, too.
        assert!(!has(9 * SECOND, 1 << 20));
        assert!(!has(0, 0) && !has(7 * SECOND, 0) && has(9 * SECOND, 0));
        assert!(has(1000 * SECOND, 0));
        assert!(!has(1000 * SECOND, 1 << 18), "a night without requests is not an hour of work");
    }
}
