//! Where the exchanges of one worker are kept, from the selection to the outcome.
//!
//! Whoever drives it calls, for each exchange, in any order that a proxy brings about:
//!
//! - [`Mirror::request_chunk`] and, as soon as [`Mirror::is_whole`] says so or the stream ends,
//!   [`Mirror::request_complete`], for all exchanges of the request at once;
//! - [`Mirror::live_head`], [`Mirror::live_chunk`], [`Mirror::live_trailers`] and [`Mirror::live_complete`], or
//!   [`Mirror::live_failed`] for a local reply; and [`Mirror::closed`] when the stream is over, always;
//! - from a context that outlives the stream: [`Mirror::next`] until it has nothing more, with
//!   [`Mirror::call`] and then [`Mirror::dispatched`] or [`Mirror::dispatch_failed`]; [`Mirror::answer`]; and
//!   [`Mirror::catch_up`] with every tick, at the latest when [`Mirror::due`] says. Only the last two compare
//!   answers.
//!
//! Where its copy is, and what moves it on ([`CopyState`]); `=` is nothing. An outcome ends an exchange at once, but
//! for the place and the bytes of a copy that the shadow still has. `Done` has a shadow's answer that waits for
//! the live one, and `Held` is the copy of a live model's own shadow, or of a baseline.
//!
//! | what happens | `Receiving` | `Held` | `Queued` | `HandedOut` | `InFlight` | `Done` |
//! |---|---|---|---|---|---|---|
//! | the request is complete | `Queued` | = | = | = | = | = |
//! | the live answer is complete | = | `Queued` | = | = | = | `matched` |
//! | the live model fails | `live_failed` | `live_failed` | `live_failed` | `HandedOut`, `live_failed` | `InFlight`, `live_failed` | `live_failed` |
//! | the client goes away | `orphaned` | `orphaned` | `orphaned` | `HandedOut`, `orphaned` | `InFlight`, `orphaned` | `orphaned` |
//! | it may leave | = | = | `HandedOut` | `shadow_failed` | = | = |
//! | it is sent | = | = | = | `InFlight` | = | = |
//! | it cannot be sent | = | = | = | `shadow_failed` | = | = |
//! | the shadow answers | = | = | = | = | `Done` | = |
//! | a minute passes | `orphaned` | = | `HandedOut` | `shadow_failed` | `timeout` | = |
//!
//! Calls about an exchange that has its outcome do nothing. Times are in nanoseconds of one clock.

mod live;
mod reply;
mod request;
mod room;
mod send;
mod verdict;
mod work;

pub use reply::Answer;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use slotmap::SlotMap;

use super::breaker::Breaker;
use super::copy::CopyHead;
use super::event::{Outcome, ShadowObserver};
use super::exchange::{CopyState, Exchange, NoiseBaseline, Open};
use super::head::Head;
use super::id::{ExchangeId, ShadowId};
use super::log_limit::LogLimit;
use super::quota::MemoryQuota;
use super::settings::{Shadow, Shadows};
use crate::few::FewMap;
use crate::request::Header;
use crate::time::nanos;
use work::Work;

/// Answers in a row, each 4xx where the live model's is 2xx, after which the remedy is told. A model
/// refuses a request now and then; one that is not reached rightly refuses them all.
const REFUSALS: u32 = 10;

/// The exchanges of one worker.
#[derive(Debug)]
pub struct Mirror {
    shadows: Rc<Shadows>,
    states: Vec<State>,
    exchanges: SlotMap<ExchangeId, Exchange>,
    queue: VecDeque<ExchangeId>,
    work: Work,
    /// Handed out, but neither dispatched nor failed.
    handed: Option<ExchangeId>,
    tokens: FewMap<u32, ExchangeId>,
    /// The time, in nanoseconds, as far as it was told.
    clock: u64,
    /// When it was last looked for lost answers.
    last_sweep: u64,
    log_limit: LogLimit,
}

#[derive(Debug)]
struct State {
    quota: Rc<MemoryQuota>,
    breaker: Breaker,
    receiving: usize,
    queued: usize,
    in_flight: usize,
    /// Answers of 4xx in a row to what the live model answered with 2xx.
    refusals: u32,
    warned: Warned,
}

/// What the log says once.
#[derive(Debug, Default)]
struct Warned {
    refused: bool,
    unreachable: bool,
    stream: bool,
    elsewhere: bool,
    itself: bool,
}

/// A copy, as it is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The Envoy cluster.
    pub cluster: &'a str,
    /// The header lines.
    pub head: &'a CopyHead,
    /// The body.
    pub body: &'a [u8],
    /// At least a millisecond.
    pub timeout: Duration,
}

/// What a shadow holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// Copies that were sent and not answered.
    pub in_flight: usize,
    /// Bytes of copies and answers.
    pub buffered_bytes: usize,
}

impl Mirror {
    /// An empty mirror.
    pub fn new(shadows: Rc<Shadows>) -> Self {
        let all = MemoryQuota::new(shadows.buffered_bytes());
        let state = |shadow: &Shadow| State {
            quota: MemoryQuota::part_of(&all, shadow.buffered_bytes),
            breaker: Breaker::Closed(0),
            receiving: 0,
            queued: 0,
            in_flight: 0,
            refusals: 0,
            warned: Warned::default(),
        };
        let states: Vec<State> = shadows.iter().map(state).collect();
        Self {
            work: Work::new(states.len()),
            states,
            shadows,
            exchanges: SlotMap::new(),
            queue: VecDeque::new(),
            handed: None,
            tokens: FewMap::default(),
            clock: 0,
            last_sweep: 0,
            log_limit: LogLimit::default(),
        }
    }

    /// Whether a copy for a shadow could be sent now.
    ///
    /// # Errors
    /// What becomes of the request otherwise: the breaker is open, or too many copies are under way.
    pub fn admits(&self, shadow: ShadowId, now: u64) -> Result<(), Outcome> {
        match (self.states.get(shadow.index()), self.shadows.get(shadow)) {
            (Some(state), _) if !state.breaker.admits(now) => Err(Outcome::BreakerOpen),
            (Some(state), Some(rules)) if state.is_full(rules) => Err(Outcome::OverBudget),
            _ => Ok(()),
        }
    }

    /// Opens an exchange for each copy of one request; those that have their outcome already are only
    /// counted. A baseline follows its shadow, and is left out with it.
    pub fn begin_all(
        &mut self,
        copies: Vec<(ShadowId, Result<CopyHead, Outcome>)>,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) -> Vec<ExchangeId> {
        let mut begun: Vec<ExchangeId> = Vec::new();
        for (shadow, head) in copies {
            let Some(of) = self.shadows.get(shadow).and_then(|shadow| shadow.baseline_of) else {
                begun.extend(self.begin(shadow, head, now, observer));
                continue;
            };
            let served = |id: &&ExchangeId| {
                self.exchanges.get(**id).is_some_and(|exchange| exchange.shadow == of)
            };
            let Some(served) = begun.iter().find(served).copied() else { continue };
            let baseline = self.begin(shadow, head, now, observer);
            if let Some(open) = self.open(served) {
                open.noise = if baseline.is_some() {
                    NoiseBaseline::Pending
                } else {
                    NoiseBaseline::Unavailable
                };
            }
            if let Some(exchange) = baseline.and_then(|id| self.exchanges.get_mut(id)) {
                exchange.serves = Some(served);
            }
            begun.extend(baseline);
        }
        begun
    }

    /// Opens an exchange for a selected request. `None` where it has its outcome already: it is not
    /// admitted, the announced length is too large, or no bytes are left.
    fn begin(
        &mut self,
        shadow: ShadowId,
        head: Result<CopyHead, Outcome>,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) -> Option<ExchangeId> {
        self.clock = now;
        let shadows = Rc::clone(&self.shadows);
        let rules = shadows.get(shadow)?;
        let quota = self.quota(shadow)?;
        observer.selected(shadow);
        let opened = self.admits(shadow, now).and(head).and_then(|head| {
            if head.length.is_some_and(|len| len > rules.request_bytes) {
                return Err(Outcome::TooLarge);
            }
            if !self.has_place(shadow, observer) {
                return Err(Outcome::OverBudget);
            }
            let reserve = |_: &mut Self| Ok(Open::reserve(&head, &quota)?);
            let reserved = self.with_room(shadow, None, observer, reserve)?;
            Ok(Exchange::new(shadow, head, reserved, rules, &quota, now))
        });
        // There is room for 2^32, far more than the bytes that each takes let in.
        let inserted = opened.map(|exchange| self.exchanges.insert(exchange));
        if let (Ok(_), Some(state)) = (&inserted, self.states.get_mut(shadow.index())) {
            state.receiving = state.receiving.saturating_add(1);
        }
        if matches!(inserted, Err(Outcome::Uncomparable)) {
            self.warn_of_stream(shadow, observer);
        }
        inserted.map_err(|outcome| observer.outcome(shadow, outcome)).ok()
    }

    /// Whether the exchange still collects: what streams by need not be read otherwise.
    pub fn is_open(&self, id: ExchangeId) -> bool {
        self.exchanges.get(id).is_some_and(|exchange| exchange.open.is_some())
    }

    /// How many bytes of the body of an answer are of use.
    pub fn wanted(&self, token: u32) -> usize {
        let exchange = self.tokens.get(&token).and_then(|id| self.exchanges.get(*id));
        let shadow = exchange.filter(|p| p.open.is_some()).and_then(|p| self.shadows.get(p.shadow));
        shadow.map_or(0, |shadow| shadow.response_bytes)
    }

    /// The shadow's answer, or the news that there is none.
    pub fn answer(
        &mut self,
        token: u32,
        answer: &Answer<'_>,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) {
        self.clock = now;
        let Some(id) = self.tokens.remove(&token) else { return };
        let Some(exchange) = self.exchanges.get(id) else { return };
        let Some(rules) = self.shadows.get(exchange.shadow) else { return };
        let took = now.saturating_sub(exchange.copy.sent());
        let limit = rules.response_bytes;
        let late = reply::is_late(took, nanos(rules.timeout));
        let mut head = Head::of(answer.headers);
        head.add_trailers(answer.trailers);
        let status = head.effective_status();
        let refused = matches!(status, 401 | 403);
        let failed = reply::failure(&head, late);
        let shadow = self.done(id, failed.is_none() && status < 500, now);
        if refused {
            let text = format!(
                "refuses its copies with {status}: allow the gateway's principal there; the \
                 caller's credentials never reach a shadow"
            );
            self.warn_once(shadow, |warned| &mut warned.refused, now, observer, &text);
        }
        if let Some(outcome) = failed {
            self.settle(id, outcome, observer);
        } else if answer.body_len > limit {
            self.settle(id, Outcome::TooLarge, observer);
        } else {
            let arrived = verdict::Arrived { head, body: answer.body, took };
            self.answered(id, arrived, now, observer);
        }
    }

    /// Every exchange is orphaned: the filter goes away.
    pub fn drain(&mut self, observer: &mut dyn ShadowObserver) {
        let ids: Vec<ExchangeId> = self.exchanges.iter().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(exchange) = self.exchanges.remove(id)
                && exchange.open.is_some()
            {
                observer.outcome(exchange.shadow, Outcome::Orphaned);
            }
        }
        self.queue.clear();
        self.work.clear();
        self.tokens = FewMap::default();
        self.handed = None;
        for state in &mut self.states {
            (state.receiving, state.queued, state.in_flight) = (0, 0, 0);
        }
    }

    /// What a shadow holds now.
    pub fn gauges(&self, shadow: ShadowId) -> Option<Gauges> {
        let state = self.states.get(shadow.index())?;
        Some(Gauges { in_flight: state.in_flight, buffered_bytes: state.quota.used() })
    }

    fn quota(&self, shadow: ShadowId) -> Option<Rc<MemoryQuota>> {
        self.states.get(shadow.index()).map(|state| Rc::clone(&state.quota))
    }

    fn open(&mut self, id: ExchangeId) -> Option<&mut Open> {
        self.exchanges.get_mut(id)?.open.as_mut()
    }

    /// Gives an exchange its outcome, frees what it holds, and withdraws a copy that was not sent.
    fn settle(&mut self, id: ExchangeId, outcome: Outcome, observer: &mut dyn ShadowObserver) {
        let Some(exchange) = self.exchanges.get_mut(id) else { return };
        let mut serves = None;
        if let Some(open) = exchange.open.take() {
            if open.due_since.is_some() {
                self.work.withdraw(id);
            }
            observer.outcome(exchange.shadow, outcome);
            serves = exchange.serves;
        }
        let state = self.states.get_mut(exchange.shadow.index());
        match &exchange.copy {
            CopyState::Receiving(_) => {
                if let Some(state) = state {
                    state.receiving = state.receiving.saturating_sub(1);
                }
            }
            CopyState::Queued(_) => {
                self.queue.retain(|queued| *queued != id);
                if let Some(state) = state {
                    state.queued = state.queued.saturating_sub(1);
                }
            }
            CopyState::Held(_)
            | CopyState::HandedOut(..)
            | CopyState::InFlight { .. }
            | CopyState::Done => {}
        }
        if !exchange.copy.is_in_flight() {
            self.exchanges.remove(id);
        }
        if let Some(served) = serves {
            self.noise_unavailable(served, observer);
        }
    }

    /// Logs a remedy, unless `warned` says that it was. One that another shadow's lines left no room
    /// for comes again.
    fn warn_once(
        &mut self,
        shadow: Option<ShadowId>,
        warned: fn(&mut Warned) -> &mut bool,
        now: u64,
        observer: &mut dyn ShadowObserver,
        text: &str,
    ) {
        let state = shadow.and_then(|i| self.states.get_mut(i.index()));
        let is_warned = state.is_none_or(|state| *warned(&mut state.warned));
        if !is_warned
            && self.log(shadow, now, observer, text)
            && let Some(state) = shadow.and_then(|i| self.states.get_mut(i.index()))
        {
            *warned(&mut state.warned) = true;
        }
    }

    /// Whether there was room for the line.
    fn log(
        &mut self,
        shadow: Option<ShadowId>,
        now: u64,
        observer: &mut dyn ShadowObserver,
        text: &str,
    ) -> bool {
        let shadow = shadow.and_then(|i| self.shadows.get(i));
        let (Some(Shadow { name, .. }), Some(missing)) = (shadow, self.log_limit.take(now)) else {
            return false;
        };
        match missing {
            0 => observer.log(&format!("shadow {name} {text}")),
            n => observer.log(&format!("shadow {name} {text} ({n} lines were not logged)")),
        }
        true
    }
}

impl State {
    fn is_full(&self, rules: &Shadow) -> bool {
        self.queued.saturating_add(self.in_flight) >= rules.in_flight
    }
}

#[cfg(test)]
mod tests;
