//! Copies on their way: handed out, sent, given up.

use super::{Call, CopyState, Exchange, ExchangeId, Mirror, Outcome, ShadowId, ShadowObserver};
use crate::time::{MILLISECOND, SECOND, nanos};

/// Nanoseconds after its timeout at which a copy in flight is given up without an answer.
const GRACE: u64 = 5_000_000_000;

/// How long a request may take to arrive, in nanoseconds, where the shadow's timeout is not longer.
const ARRIVAL: u64 = 10_000_000_000;

/// How often it is looked for such copies, in nanoseconds. For each copy that leaves would be work
/// that grows with the square of those in flight.
const SWEEP_INTERVAL: u64 = SECOND;

/// How long exchanges wait whose turn to be compared has not come, in nanoseconds: some have it then, all in
/// one tick.
const TURN: u64 = 100 * MILLISECOND;

impl Mirror {
    /// The time, as far as it was told.
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// When [`Mirror::next`] and [`Mirror::catch_up`] are to be called again, after the time that was last told.
    pub fn due(&self) -> u64 {
        let wait = match () {
            () if self.needs_tick() => 0,
            () if self.work.is_due() => TURN,
            () if self.exchanges.is_empty() => u64::MAX,
            // A copy whose answer got lost is given up.
            () => SWEEP_INTERVAL,
        };
        self.clock.saturating_add(wait)
    }

    /// Whether there is a copy to hand out, or an exchange to compare.
    pub(super) fn needs_tick(&self) -> bool {
        !self.queue.is_empty() || self.work.is_ready(self.clock)
    }

    /// Hands out the next copy, which is then in flight.
    pub fn next(&mut self, now: u64, observer: &mut dyn ShadowObserver) -> Option<ExchangeId> {
        if let Some(forgotten) = self.handed.take() {
            self.done(forgotten, false, now);
            self.settle(forgotten, Outcome::ShadowFailed, observer);
        }
        self.clock = now;
        if now.abs_diff(self.last_sweep) >= SWEEP_INTERVAL {
            self.last_sweep = now;
            self.give_up(now, observer);
        }
        while let Some(id) = self.queue.pop_front() {
            let Some(exchange) = self.exchanges.get_mut(id) else { continue };
            let Some(state) = self.states.get_mut(exchange.shadow.index()) else { continue };
            state.queued = state.queued.saturating_sub(1);
            if state.breaker.admits(now) && exchange.copy.hand_out(now) {
                state.in_flight = state.in_flight.saturating_add(1);
                state.breaker.sent(id);
                self.handed = Some(id);
                return Some(id);
            }
            exchange.copy = CopyState::Done;
            self.settle(id, Outcome::BreakerOpen, observer);
        }
        None
    }

    /// The copy that was handed out.
    pub fn call(&self, id: ExchangeId) -> Option<Call<'_>> {
        let exchange = self.exchanges.get(id).filter(|_| self.handed == Some(id))?;
        let CopyState::HandedOut(copy, _) = &exchange.copy else { return None };
        let shadow = self.shadows.get(exchange.shadow)?;
        Some(Call {
            cluster: &shadow.cluster,
            head: &copy.head,
            body: copy.body.bytes(),
            timeout: shadow.timeout,
        })
    }

    /// The copy was sent; its answer will come with this token.
    pub fn dispatched(&mut self, id: ExchangeId, token: u32) {
        if self.handed.take_if(|handed| *handed == id).is_some() {
            self.tokens.insert(token, id);
            if let Some(exchange) = self.exchanges.get_mut(id) {
                exchange.copy.send();
            }
        }
    }

    /// The copy could not be sent.
    pub fn dispatch_failed(&mut self, id: ExchangeId, now: u64, observer: &mut dyn ShadowObserver) {
        if self.handed.take_if(|handed| *handed == id).is_none() {
            return;
        }
        let shadow = self.done(id, false, now);
        self.settle(id, Outcome::ShadowFailed, observer);
        self.warn_once(
            shadow,
            |warned| &mut warned.unreachable,
            now,
            observer,
            "cannot be sent copies: its cluster is not known to this proxy, or refuses at once; \
             Istio's gateways may hold only clusters that some route uses",
        );
    }

    /// A copy is no longer in flight. The exchange stays, for [`Mirror::settle`].
    pub(super) fn done(&mut self, id: ExchangeId, well: bool, now: u64) -> Option<ShadowId> {
        let exchange = self.exchanges.get_mut(id)?;
        exchange.copy = CopyState::Done;
        let (state, rules) =
            (self.states.get_mut(exchange.shadow.index())?, self.shadows.get(exchange.shadow)?);
        state.in_flight = state.in_flight.saturating_sub(1);
        state.breaker.answered(id, well, now, rules.breaker);
        Some(exchange.shadow)
    }

    /// Gives up copies whose answers got lost on the way, requests that do not come to an end, and exchanges
    /// for which there was no time.
    pub(super) fn give_up(&mut self, now: u64, observer: &mut dyn ShadowObserver) {
        let overdue = |id: &ExchangeId| {
            let exchange = self.exchanges.get(*id)?;
            let timeout = nanos(self.shadows.get(exchange.shadow)?.timeout);
            Some(now > exchange.copy.sent().saturating_add(timeout).saturating_add(GRACE))
        };
        let lost: Vec<(u32, ExchangeId)> = self
            .tokens
            .iter()
            .filter(|(_, id)| overdue(id).unwrap_or(true))
            .map(|(token, id)| (*token, *id))
            .collect();
        for (token, id) in lost {
            self.tokens.remove(&token);
            self.done(id, false, now);
            self.settle(id, Outcome::Timeout, observer);
        }
        let idle = |(id, exchange): (ExchangeId, &Exchange)| {
            let timeout = nanos(self.shadows.get(exchange.shadow)?.timeout).max(ARRIVAL);
            let due = exchange.open.as_ref().and_then(|open| open.due_since);
            let (since, outcome) = match due {
                Some(due) => (due, Outcome::OverBudget),
                None if exchange.receiving().is_some() => (exchange.began, Outcome::Orphaned),
                None => return None,
            };
            (now.abs_diff(since) > timeout).then_some((id, outcome))
        };
        let idle: Vec<(ExchangeId, Outcome)> = self.exchanges.iter().filter_map(idle).collect();
        for (id, outcome) in idle {
            self.settle(id, outcome, observer);
        }
    }
}
