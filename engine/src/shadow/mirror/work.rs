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

/// Steps that may be saved up.
const MOST: i64 = 1 << 18;

/// Steps of a comparison for which twice its steps are paid. What others wait for it, all together,
/// grows with the square of its length, and so does the price.
const LONG: u64 = 1 << 15;

/// Nanoseconds after which an account is full, whatever was owed.
const MEMORY: u64 = 80 * SECOND;

/// Bytes of a request that are looked at in a step.
const REQUEST_BYTES: usize = 32;

/// Steps after which a tick compares nothing more: half a millisecond.
const SLICE: usize = 1 << 14;

/// What a comparison takes of a tick before its first step.
const EACH: usize = 1 << 8;

/// How large the answers of a pair are. Those of one size have an account of their own: they are compared
/// however much a larger one owes, and whoever has a model answer with a large one keeps nobody else from
/// being compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// 16 KiB together at most.
    Small,
    /// 256 KiB together at most.
    Large,
    /// More, or compressed: nobody knows yet how large they are.
    Huge,
}

impl Size {
    fn of(bytes: usize) -> Self {
        match bytes {
            0..=0x4000 => Self::Small,
            0x4001..=0x4_0000 => Self::Large,
            _ => Self::Huge,
        }
    }

    pub fn of_pair(a: &Whole<'_>, b: &Whole<'_>) -> Self {
        let is_plain = |answer: &Whole<'_>| {
            [answer.head.encoding, answer.head.message_encoding] == [Encoding::Identity; 2]
        };
        if is_plain(a) && is_plain(b) {
            Self::of(a.body.len().saturating_add(b.body.len()))
        } else {
            Self::Huge
        }
    }

    /// Steps in a second: a seventh of a worker for small answers, which it leaves most of its time however
    /// many steps they turn out to take, and three or four hundredths for others, as long as comparisons are
    /// short.
    fn rate(self) -> u64 {
        match self {
            Self::Small => 1 << 22,
            Self::Large | Self::Huge => 1 << 20,
        }
    }

    /// Steps that may be owed: eight seconds, since an exchange waits ten at most, and a minute for huge ones, the
    /// price of a comparison that takes as long as one may.
    fn most_owed(self) -> i64 {
        match self {
            Self::Small | Self::Large => 1 << 23,
            Self::Huge => 1 << 26,
        }
    }
}

/// What is compared at a steady rate.
#[derive(Debug)]
struct Account {
    size: Size,
    left: i64,
    /// Until when steps were added, in nanoseconds.
    until: u64,
}

impl Account {
    fn new(size: Size) -> Self {
        Self { size, left: MOST, until: 0 }
    }

    fn gained(&self, now: u64) -> i64 {
        let passed = now.saturating_sub(self.until).min(MEMORY);
        i64::try_from(passed.saturating_mul(self.size.rate()) / SECOND).unwrap_or(MOST)
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
        self.left = self.left.saturating_sub_unsigned(price).max(-self.size.most_owed());
    }
}

/// Pairs whose answers are there and that wait to be compared, the first first.
#[derive(Debug)]
struct Line {
    account: Account,
    due: VecDeque<ExchangeId>,
}

impl Line {
    fn new(size: Size) -> Self {
        Self { account: Account::new(size), due: VecDeque::new() }
    }

    fn is_ready(&self, now: u64) -> bool {
        !self.due.is_empty() && self.account.has(now)
    }
}

/// What a worker compares.
#[derive(Debug)]
pub(super) struct Work {
    /// In the order of [`Size`].
    lines: [Line; 3],
}

impl Default for Work {
    fn default() -> Self {
        Self { lines: [Size::Small, Size::Large, Size::Huge].map(Line::new) }
    }
}

impl Work {
    fn line(&mut self, size: Size) -> &mut Line {
        let [small, large, huge] = &mut self.lines;
        match size {
            Size::Small => small,
            Size::Large => large,
            Size::Huge => huge,
        }
    }

    /// Whether an exchange waits.
    pub fn is_due(&self) -> bool {
        self.lines.iter().any(|line| !line.due.is_empty())
    }

    /// Whether an exchange waits that may be compared now.
    pub fn is_ready(&self, now: u64) -> bool {
        self.lines.iter().any(|line| line.is_ready(now))
    }

    /// Whether an exchange that comes now is the next, and may be compared at once.
    fn admits(&mut self, size: Size, now: u64) -> bool {
        let line = self.line(size);
        line.account.fill(now);
        line.due.is_empty() && line.account.has(now)
    }

    fn next(&mut self, now: u64) -> Option<ExchangeId> {
        self.lines.iter_mut().find_map(|line| {
            line.account.fill(now);
            if line.account.has(now) { line.due.pop_front() } else { None }
        })
    }

    /// Pays for a comparison.
    pub fn pay(&mut self, size: Size, steps: u32) {
        self.line(size).account.pay(steps);
    }

    /// Pays for a look at a request of so many bytes. It waits for no turn: whether there is a copy
    /// depends on it.
    pub fn pay_for_request(&mut self, bytes: usize) {
        let steps = u32::try_from(bytes / REQUEST_BYTES).unwrap_or(u32::MAX);
        self.pay(Size::of(bytes), steps);
    }

    /// An exchange has its outcome otherwise.
    pub fn withdraw(&mut self, id: ExchangeId) {
        for line in &mut self.lines {
            line.due.retain(|due| *due != id);
        }
    }

    /// No exchange waits.
    pub fn clear(&mut self) {
        for line in &mut self.lines {
            line.due.clear();
        }
    }
}

impl Mirror {
    /// Whether an exchange that waits for nothing else may be compared with this answer at once.
    pub(super) fn may_compare(&mut self, id: ExchangeId, answer: Whole<'_>, now: u64) -> bool {
        let open = self.exchanges.get(id).and_then(|exchange| exchange.open.as_ref());
        let live = open.and_then(|open| Some((open.live_head.as_ref()?, open)));
        live.is_none_or(|(head, open)| {
            let live = Whole { head, body: open.live_body.bytes() };
            !open.may_agree() || self.work.admits(Size::of_pair(&live, &answer), now)
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
        let size = Size::of_pair(&live, &answer.whole());
        open.due_since = Some(now);
        self.work.line(size).due.push_back(id);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of so many seconds that a worker compares, of a step of 33 ns, with so many ticks a second.
    fn share(size: Size, steps: u32, ticks: u64, seconds: u64) -> f64 {
        let mut account = Account::new(size);
        let mut compared = 0u64;
        for tick in 0..seconds * ticks {
            account.fill(tick * SECOND / ticks);
            if account.has(tick * SECOND / ticks) {
                account.pay(steps);
                compared += 1;
            }
        }
        (compared * u64::from(steps)) as f64 * 33e-9 / seconds as f64
    }

    #[test]
    fn the_longer_comparisons_are_the_less_they_may_take() {
        for (steps, most, least) in [
            (1 << 10, 0.036, 0.03),
            (1 << 14, 0.03, 0.02),
            (1 << 16, 0.013, 0.01),
            (1 << 18, 0.005, 0.003),
        ] {
            for size in [Size::Large, Size::Huge] {
                let share = share(size, steps, 1000, 60);
                assert!((least..most).contains(&share), "{share} for {steps} steps, {size:?}");
            }
        }
        for (steps, most, least) in [(1 << 20, 0.0012, 0.0005), (1 << 21, 0.0015, 0.001)] {
            let share = share(Size::Huge, steps, 10, 1000);
            assert!((least..most).contains(&share), "{share} for {steps} steps");
        }
        for steps in [1, 1 << 6, 1 << 13, 1 << 16] {
            assert!(share(Size::Small, steps, 100_000, 60) < 0.145, "{steps} steps of small ones");
        }
    }

    #[test]
    fn debts_end_and_savings_do_too() {
        for (size, most) in [(Size::Large, 8), (Size::Huge, 64)] {
            let mut account = Account::new(size);
            let mut has = |now: u64, steps: u32| {
                account.fill(now * SECOND);
                account.pay(steps);
                account.has(now * SECOND)
            };
            assert!(has(0, 0));
            assert!(!has(0, u32::MAX) && !has(most - 1, 0));
            assert!(has(most + 1, 0));
            // After a clock that was set back, too.
            assert!(!has(most + 1, u32::MAX));
            assert!(!has(0, 0) && !has(most - 1, 0) && has(most + 1, 0));
            assert!(has(1000, 0));
            assert!(!has(1000, 1 << 18), "a night without requests is not an hour of work");
        }
    }

    #[test]
    fn what_a_larger_one_owes_stops_no_smaller_one() {
        let sizes = [Size::Small, Size::Large, Size::Huge];
        for owes in sizes {
            let mut work = Work::default();
            work.pay(owes, u32::MAX);
            assert_eq!(sizes.map(|size| work.admits(size, 0)), sizes.map(|size| size != owes));
        }
        assert_eq!(
            [0, 1 << 14, (1 << 14) + 1, 1 << 18, (1 << 18) + 1].map(Size::of),
            [Size::Small, Size::Small, Size::Large, Size::Large, Size::Huge]
        );
    }
}
