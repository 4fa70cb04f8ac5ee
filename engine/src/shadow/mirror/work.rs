//! How much of its time a worker compares, and when: the requests of others wait meanwhile.
//!
//! An exchange is compared in a tick, or in the callback that brings the last answer it waited for, and never
//! in a callback of a live stream, whose bytes would wait for it.

use std::collections::VecDeque;

use super::super::compare::Whole;
use super::super::exchange::Stored;
use super::{Exchange, ExchangeId, Mirror, Outcome, ShadowId, ShadowObserver};
use crate::encoding::Encoding;
use crate::time::SECOND;
use crate::words::same;

/// Steps that may be saved up.
const MOST: i64 = 1 << 18;

/// Steps of a comparison for which twice its steps are paid, and for twice as many five times them: 270
/// microseconds. Others notice what is longer. Of small answers hardly any is.
const NOTICED: u64 = 1 << 13;

/// How many times its steps are paid at most for the notice that others take of it: a worker then spends one
/// thousandth of its time in such comparisons, and the slowest of a hundred requests is seldom one that waited.
const SELDOM: u64 = 40;

/// Steps for which as many times its steps are paid as there are of these in it. What others wait for it,
/// all together, grows with the square of its length, and so does the price in the end.
const LONG: u64 = 1 << 15;

/// Nanoseconds after which an account is full, whatever was owed.
const MEMORY: u64 = 80 * SECOND;

/// How many times as long as a compressed answer its text usually is.
const PACKED: usize = 8;

/// Bytes of a request that are looked at in a step.
const REQUEST_BYTES: usize = 32;

/// Steps after which a tick compares nothing more: half a millisecond.
const SLICE: usize = 1 << 14;

/// What a comparison takes of a tick before its first step.
const EACH: usize = 1 << 8;

/// Steps that a worker may owe for answers of one size: eight seconds. An exchange waits ten at least.
const OWED: i64 = 8 * (1 << 20);

/// Steps that a shadow may owe: a minute, the price of a comparison that takes as long as one may.
const OWED_BY_ONE: i64 = 1 << 26;

/// How large the answers of a pair are. Those of one size have an account of their own: they are compared
/// however much a larger one owes, and whoever has a model answer with a large one keeps no smaller one from
/// being compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// 16 KiB together at most.
    Small,
    /// 64 KiB together at most.
    Medium,
    /// 256 KiB together at most.
    Large,
    /// More.
    Huge,
}

impl Size {
    fn of(bytes: usize) -> Self {
        match bytes {
            0..=0x4000 => Self::Small,
            0x4001..=0x1_0000 => Self::Medium,
            0x1_0001..=0x4_0000 => Self::Large,
            _ => Self::Huge,
        }
    }

    pub fn of_pair(a: &Whole<'_>, b: &Whole<'_>) -> Self {
        Self::of(unpacked(a).saturating_add(unpacked(b)))
    }

    /// Steps in a second: a seventh of a worker for small answers, which it leaves most of its time however
    /// many steps they turn out to take, and three or four hundredths for others, as long as nobody notices the
    /// comparisons.
    fn rate(self) -> u64 {
        match self {
            Self::Small => 1 << 22,
            Self::Medium | Self::Large | Self::Huge => 1 << 20,
        }
    }

    /// What is paid for a comparison, in steps.
    fn price(self, steps: u32) -> u64 {
        let steps = u64::from(steps);
        let noticed = (steps / NOTICED).saturating_pow(2).min(SELDOM);
        let noticed = if self == Self::Small { 0 } else { noticed };
        steps.saturating_add(steps.saturating_mul(noticed.max(steps / LONG)))
    }
}

/// Bytes of an answer: of a compressed one, what they usually are when they are unpacked.
fn unpacked(answer: &Whole<'_>) -> usize {
    let is_plain = [answer.head.encoding, answer.head.message_encoding] == [Encoding::Identity; 2];
    answer.body.len().saturating_mul(if is_plain { 1 } else { PACKED })
}

/// What is compared at a steady rate.
#[derive(Debug)]
struct Account {
    size: Size,
    most_owed: i64,
    left: i64,
    /// Until when steps were added, in nanoseconds.
    until: u64,
}

impl Account {
    fn new(size: Size, most_owed: i64) -> Self {
        Self { size, most_owed, left: MOST, until: 0 }
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

    /// Pays this price, which is known when a comparison is over.
    fn pay(&mut self, price: u64) {
        self.left = self.left.saturating_sub_unsigned(price).max(-self.most_owed);
    }
}

/// The exchanges of one shadow that wait to be compared, the first first.
#[derive(Debug)]
struct Waiting {
    shadow: ShadowId,
    due: VecDeque<ExchangeId>,
}

/// What one shadow has taken of a line.
#[derive(Debug)]
struct Taken {
    account: Account,
    /// All prices that it paid, but at least those that everybody else who waited then had paid.
    paid: u64,
}

/// What waits to be compared of one size. Who has paid least has the next turn (start-time fair queueing), so that a
/// shadow with many or with long comparisons takes its own time, not that of the others.
#[derive(Debug)]
struct Line {
    /// Of all together.
    account: Account,
    /// What who had the last turn had paid before.
    paid: u64,
    /// Of each shadow, in the order of their ids.
    taken: Vec<Taken>,
    /// None of which is empty.
    waiting: Vec<Waiting>,
}

impl Line {
    fn new(size: Size, shadows: usize) -> Self {
        let taken = || Taken { account: Account::new(size, OWED_BY_ONE), paid: 0 };
        let taken = std::iter::repeat_with(taken).take(shadows).collect();
        Self { account: Account::new(size, OWED), paid: 0, taken, waiting: Vec::new() }
    }

    /// What a shadow has paid, if one of its exchanges may be compared now.
    fn paid(&self, shadow: ShadowId, now: u64) -> Option<u64> {
        let taken = self.taken.get(shadow.index())?;
        (self.account.has(now) && taken.account.has(now)).then_some(taken.paid)
    }

    fn is_ready(&self, now: u64) -> bool {
        self.waiting.iter().any(|waiting| self.paid(waiting.shadow, now).is_some())
    }

    /// Whether an exchange that comes now is the next.
    fn admits(&mut self, shadow: ShadowId, now: u64) -> bool {
        self.fill(shadow, now);
        self.waiting.is_empty() && self.paid(shadow, now).is_some()
    }

    fn push(&mut self, shadow: ShadowId, id: ExchangeId) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.shadow == shadow) {
            return waiting.due.push_back(id);
        }
        self.waiting.push(Waiting { shadow, due: VecDeque::from([id]) });
        // Who did not wait has saved nothing.
        if let Some(taken) = self.taken.get_mut(shadow.index()) {
            taken.paid = taken.paid.max(self.paid);
        }
    }

    /// Adds what time has brought.
    fn fill(&mut self, shadow: ShadowId, now: u64) {
        self.account.fill(now);
        if let Some(taken) = self.taken.get_mut(shadow.index()) {
            taken.account.fill(now);
        }
    }

    fn next(&mut self, now: u64) -> Option<ExchangeId> {
        for index in 0..self.waiting.len() {
            let shadow = self.waiting.get(index)?.shadow;
            self.fill(shadow, now);
        }
        let paid =
            |(index, waiting): (usize, &Waiting)| Some((self.paid(waiting.shadow, now)?, index));
        let (paid, index) = self.waiting.iter().enumerate().filter_map(paid).min()?;
        self.paid = paid;
        let waiting = self.waiting.get_mut(index)?;
        let id = waiting.due.pop_front();
        if waiting.due.is_empty() {
            self.waiting.remove(index);
        }
        id
    }

    fn pay(&mut self, shadow: ShadowId, steps: u32, now: u64) {
        self.account.fill(now);
        self.account.pay(self.account.size.price(steps));
        self.pay_alone(shadow, steps, now);
    }

    /// Counts against this shadow, and takes nobody else's time.
    fn pay_alone(&mut self, shadow: ShadowId, steps: u32, now: u64) {
        let Some(taken) = self.taken.get_mut(shadow.index()) else { return };
        let price = taken.account.size.price(steps);
        taken.account.fill(now);
        taken.account.pay(price);
        taken.paid = taken.paid.max(self.paid).saturating_add(price);
    }

    fn withdraw(&mut self, id: ExchangeId) {
        self.waiting.retain_mut(|waiting| {
            waiting.due.retain(|due| *due != id);
            !waiting.due.is_empty()
        });
    }
}

/// What a worker compares.
#[derive(Debug)]
pub(super) struct Work {
    /// Of which nobody has looked whether they are the same bytes.
    fresh: VecDeque<ExchangeId>,
    /// In the order of [`Size`].
    lines: [Line; 4],
}

impl Work {
    /// Of so many shadows.
    pub fn new(shadows: usize) -> Self {
        let lines = [Size::Small, Size::Medium, Size::Large, Size::Huge]
            .map(|size| Line::new(size, shadows));
        Self { fresh: VecDeque::new(), lines }
    }

    fn line(&mut self, size: Size) -> &mut Line {
        let [small, medium, large, huge] = &mut self.lines;
        match size {
            Size::Small => small,
            Size::Medium => medium,
            Size::Large => large,
            Size::Huge => huge,
        }
    }

    /// Whether an exchange waits.
    pub fn is_due(&self) -> bool {
        !self.fresh.is_empty() || self.lines.iter().any(|line| !line.waiting.is_empty())
    }

    /// Whether an exchange waits that may be compared now.
    pub fn is_ready(&self, now: u64) -> bool {
        !self.fresh.is_empty() || self.lines.iter().any(|line| line.is_ready(now))
    }

    /// Whether an exchange that comes now is the next, and may be compared at once.
    fn admits(&mut self, size: Size, shadow: ShadowId, now: u64) -> bool {
        self.line(size).admits(shadow, now)
    }

    fn next(&mut self, now: u64) -> Option<ExchangeId> {
        self.lines.iter_mut().find_map(|line| line.next(now))
    }

    /// Pays for a comparison.
    pub fn pay(&mut self, size: Size, shadow: ShadowId, steps: u32, now: u64) {
        self.line(size).pay(shadow, steps, now);
    }

    /// Pays for a look at a request of so many bytes. It waits for no turn: whether there is a copy
    /// depends on it. So it counts against the shadow alone, and takes nobody else's time.
    pub fn pay_for_request(&mut self, shadow: ShadowId, bytes: usize, now: u64) {
        let steps = u32::try_from(bytes / REQUEST_BYTES).unwrap_or(u32::MAX);
        self.line(Size::of(bytes)).pay_alone(shadow, steps, now);
    }

    /// An exchange has its outcome otherwise.
    pub fn withdraw(&mut self, id: ExchangeId) {
        self.fresh.retain(|fresh| *fresh != id);
        self.lines.iter_mut().for_each(|line| line.withdraw(id));
    }

    /// No exchange waits.
    pub fn clear(&mut self) {
        self.fresh.clear();
        self.lines.iter_mut().for_each(|line| line.waiting.clear());
    }
}

impl Mirror {
    /// Whether an exchange that waits for nothing else may be compared with this answer at once.
    pub(super) fn may_compare(&mut self, id: ExchangeId, answer: Whole<'_>, now: u64) -> bool {
        let Some(Exchange { shadow, open: Some(open), .. }) = self.exchanges.get(id) else {
            return true;
        };
        let Some(head) = open.live_head.as_ref().filter(|_| open.may_agree()) else { return true };
        let live = Whole { head, body: open.live_body.bytes() };
        same(live.body, answer.body)
            || self.work.admits(Size::of_pair(&live, &answer), *shadow, now)
    }

    /// Both answers are there, and what is noise is known if it ever will be: the exchange waits for its
    /// turn.
    pub(super) fn ready(&mut self, id: ExchangeId, now: u64, observer: &mut dyn ShadowObserver) {
        let Some(open) = self.open(id) else { return };
        if open.live_took.is_none() || open.waits_for_noise() || open.answer.is_none() {
            return;
        }
        if !open.may_agree() {
            return self.settle(id, Outcome::Uncomparable, observer);
        }
        open.due_since = Some(now);
        self.work.fresh.push_back(id);
    }

    /// Compares exchanges that wait for their turn, as far as it has come and for a moment at most: others
    /// have theirs in between. Those of the same bytes wait for none.
    pub fn catch_up(&mut self, now: u64, observer: &mut dyn ShadowObserver) {
        self.clock = now;
        let mut slice = SLICE;
        while slice > 0 {
            let next = match self.work.fresh.pop_front() {
                Some(id) => self.wait_for_turn(id).is_none().then_some(id),
                None => match self.work.next(now) {
                    Some(id) => Some(id),
                    None => return,
                },
            };
            let took = next.map_or(0, |id| self.take_turn(id, now, observer));
            slice = slice.saturating_sub(took.saturating_add(EACH));
        }
    }

    /// Lines up an exchange, unless its answers are the same bytes.
    fn wait_for_turn(&mut self, id: ExchangeId) -> Option<()> {
        let Exchange { shadow, open: Some(open), .. } = self.exchanges.get(id)? else {
            return None;
        };
        let (answer, head) = (open.answer.as_ref()?.whole(), open.live_head.as_ref()?);
        let live = Whole { head, body: open.live_body.bytes() };
        let size = Size::of_pair(&live, &answer);
        if same(live.body, answer.body) {
            return None;
        }
        self.work.line(size).push(*shadow, id);
        Some(())
    }

    /// Steps of a tick that it took, those of looking at its bytes among them.
    fn take_turn(&mut self, id: ExchangeId, now: u64, observer: &mut dyn ShadowObserver) -> usize {
        let Some(open) = self.open(id) else { return 0 };
        let Some(Stored { head, body, took }) = open.answer.take() else { return 0 };
        let bytes = open.live_body.bytes().len().saturating_add(body.bytes().len());
        let answer = Whole { head: &head, body: body.bytes() };
        let steps = self.compare(id, answer, took, now, observer) as usize;
        steps.saturating_add(bytes / 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of so many seconds that a worker compares, of a step of 33 ns, with so many ticks a second.
    fn share(size: Size, steps: u32, ticks: u64, seconds: u64) -> f64 {
        let mut account = Account::new(size, OWED_BY_ONE);
        let mut compared = 0u64;
        for tick in 0..seconds * ticks {
            account.fill(tick * SECOND / ticks);
            if account.has(tick * SECOND / ticks) {
                account.pay(size.price(steps));
                compared += 1;
            }
        }
        (compared * u64::from(steps)) as f64 * 33e-9 / seconds as f64
    }

    #[test]
    fn the_longer_comparisons_are_the_less_they_may_take() {
        for (steps, most, least) in [
            (1 << 10, 0.036, 0.03),
            (1 << 12, 0.036, 0.03),
            (1 << 14, 0.009, 0.006),
            (1 << 15, 0.0025, 0.0015),
            (1 << 16, 0.0015, 0.0008),
            (1 << 18, 0.0015, 0.0008),
        ] {
            for size in [Size::Medium, Size::Large, Size::Huge] {
                let share = share(size, steps, 1000, 60);
                assert!((least..most).contains(&share), "{share} for {steps} steps, {size:?}");
            }
        }
        for (steps, most, least) in [(1 << 20, 0.0012, 0.0005), (1 << 21, 0.0015, 0.0005)] {
            let share = share(Size::Huge, steps, 10, 1000);
            assert!((least..most).contains(&share), "{share} for {steps} steps");
        }
        for steps in [1, 1 << 6, 1 << 13, 1 << 16] {
            assert!(share(Size::Small, steps, 100_000, 60) < 0.145, "{steps} steps of small ones");
        }
    }

    #[test]
    fn debts_end_and_savings_do_too() {
        for (most_owed, most) in [(OWED, 8), (OWED_BY_ONE, 64)] {
            let mut account = Account::new(Size::Huge, most_owed);
            let mut has = |now: u64, steps: u32| {
                account.fill(now * SECOND);
                account.pay(Size::Huge.price(steps));
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
        let sizes = [Size::Small, Size::Medium, Size::Large, Size::Huge];
        let (one, other) = (ShadowId::new(0), ShadowId::new(1));
        for owes in sizes {
            let mut work = Work::new(2);
            work.pay(owes, one, u32::MAX, 0);
            let admitted = sizes.map(|size| work.admits(size, other, 0));
            assert_eq!(admitted, sizes.map(|size| size != owes));
            // A shadow pays for longer than others wait for it.
            let admitted = [one, other].map(|shadow| work.admits(owes, shadow, 9 * SECOND));
            assert_eq!(admitted, [false, true], "{owes:?}");
            assert!(work.admits(owes, one, 65 * SECOND), "{owes:?}");
        }
        assert_eq!(
            [0, 1 << 14, (1 << 14) + 1, 1 << 16, (1 << 16) + 1, 1 << 18, (1 << 18) + 1]
                .map(Size::of),
            [
                Size::Small,
                Size::Small,
                Size::Medium,
                Size::Medium,
                Size::Large,
                Size::Large,
                Size::Huge
            ]
        );
    }
}
