//! Where the pairs of one worker are kept, from the selection to the outcome.
//!
//! Whoever drives it calls, for each pair, in any order that a proxy brings about:
//!
//! - [`Desk::request_chunk`] and [`Desk::request_complete`];
//! - [`Desk::live_head`], [`Desk::live_chunk`], [`Desk::live_trailers`] and [`Desk::live_complete`], or
//!   [`Desk::live_failed`] for a local reply; and [`Desk::closed`] when the stream is over, always;
//! - from a context that outlives the stream: [`Desk::next`] until it has nothing more, with
//!   [`Desk::call`] and then [`Desk::dispatched`] or [`Desk::dispatch_failed`]; and [`Desk::answer`].
//!
//! Calls about a pair that has its outcome do nothing. Times are in nanoseconds of one clock.

mod live;
mod reply;

pub use reply::Answer;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::breaker::Breaker;
use super::budget::{Budget, Share};
use super::capture::Capture;
use super::compare::{About, Comparison, Noise, Verdict, Whole};
use super::copy::CopyHead;
use super::event::{Outcome, Sink};
use super::head::Head;
use super::lines::Allowance;
use super::pair::{Heard, Open, Pair, Stage, Stored};
use super::settings::{Shadow, Shadows, nanos};
use super::slab::{Id, Slab};
use crate::request::Header;

/// Nanoseconds after its timeout at which a copy in flight is given up without an answer.
const GRACE: u64 = 5_000_000_000;

/// How often it is looked for such copies, in nanoseconds. For each copy that leaves would be work
/// that grows with the square of those in flight.
const LOOK: u64 = 1_000_000_000;

/// The pairs of one worker.
#[derive(Debug)]
pub struct Desk {
    shadows: Rc<Shadows>,
    states: Vec<State>,
    pairs: Slab<Pair>,
    queue: VecDeque<Id>,
    /// Handed out, but neither dispatched nor failed.
    handed: Option<Id>,
    tokens: BTreeMap<u32, Id>,
    /// When it was last looked for lost answers.
    looked: u64,
    lines: Allowance,
}

#[derive(Debug)]
struct State {
    budget: Rc<Budget>,
    breaker: Breaker,
    queued: usize,
    in_flight: usize,
    told_refused: bool,
    told_unreachable: bool,
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

impl Desk {
    /// An empty desk.
    pub fn new(shadows: Rc<Shadows>) -> Self {
        let all = Budget::new(shadows.buffered_bytes());
        let state = |shadow: &Shadow| State {
            budget: Budget::part_of(&all, shadow.buffered_bytes),
            breaker: Breaker::Closed(0),
            queued: 0,
            in_flight: 0,
            told_refused: false,
            told_unreachable: false,
        };
        Self {
            states: shadows.iter().map(state).collect(),
            shadows,
            pairs: Slab::default(),
            queue: VecDeque::new(),
            handed: None,
            tokens: BTreeMap::new(),
            looked: 0,
            lines: Allowance::default(),
        }
    }

    /// Whether a copy for a shadow could be sent now.
    ///
    /// # Errors
    /// What becomes of the request otherwise: the breaker is open, or too many copies are under way.
    pub fn admits(&self, shadow: usize, now: u64) -> Result<(), Outcome> {
        match (self.states.get(shadow), self.shadows.get(shadow)) {
            (Some(state), _) if !state.breaker.admits(now) => Err(Outcome::BreakerOpen),
            (Some(state), Some(rules)) if state.is_full(rules) => Err(Outcome::OverBudget),
            _ => Ok(()),
        }
    }

    /// Opens a pair for each copy of one request; those that have their outcome already are only
    /// counted. A baseline follows its shadow, and is left out with it.
    pub fn begin_all(
        &mut self,
        copies: Vec<(usize, Result<CopyHead, Outcome>)>,
        now: u64,
        sink: &mut dyn Sink,
    ) -> Vec<Id> {
        let mut begun: Vec<Id> = Vec::new();
        for (shadow, head) in copies {
            let Some(of) = self.shadows.get(shadow).and_then(|shadow| shadow.baseline_of) else {
                begun.extend(self.begin(shadow, head, now, sink));
                continue;
            };
            let served = |id: &&Id| self.pairs.get(**id).is_some_and(|pair| pair.shadow == of);
            let Some(served) = begun.iter().find(served).copied() else { continue };
            let baseline = self.begin(shadow, head, now, sink);
            if let Some(open) = self.open(served) {
                open.noise = if baseline.is_some() { Heard::Waiting } else { Heard::Nothing };
            }
            if let Some(pair) = baseline.and_then(|id| self.pairs.get_mut(id)) {
                pair.serves = Some(served);
            }
            begun.extend(baseline);
        }
        begun
    }

    /// Opens a pair for a selected request. `None` where it has its outcome already: it is not
    /// admitted, the announced length is too large, or no bytes are left.
    fn begin(
        &mut self,
        shadow: usize,
        head: Result<CopyHead, Outcome>,
        now: u64,
        sink: &mut dyn Sink,
    ) -> Option<Id> {
        let rules = self.shadows.get(shadow)?;
        let state = self.states.get(shadow)?;
        sink.selected(shadow);
        let opened = self.admits(shadow, now).and(head).and_then(|head| {
            if head.length.is_some_and(|len| len > rules.request_bytes) {
                return Err(Outcome::TooLarge);
            }
            Open::new(head, rules, &state.budget).ok_or(Outcome::OverBudget)
        });
        let stage = Stage::Receiving;
        let pair =
            |open| Pair { shadow, stage, began: now, sent: 0, serves: None, open: Some(open) };
        let inserted =
            opened.and_then(|open| self.pairs.insert(pair(open)).ok_or(Outcome::OverBudget));
        inserted.map_err(|outcome| sink.outcome(shadow, outcome)).ok()
    }

    /// Whether the pair still collects: what streams by need not be read otherwise.
    pub fn is_open(&self, id: Id) -> bool {
        self.pairs.get(id).is_some_and(|pair| pair.open.is_some())
    }

    /// More of the request's body. With all bytes that were announced it is complete: the end of an
    /// HTTP/2 stream may come in a frame of its own, after the live answer.
    pub fn request_chunk(&mut self, id: Id, chunk: &[u8], sink: &mut dyn Sink) {
        let Some(copy) = self.open(id).and_then(|open| open.copy.as_mut()) else { return };
        match copy.body.append(chunk) {
            Err(outcome) => self.settle(id, outcome, sink),
            Ok(()) if copy.head.length == Some(copy.body.bytes().len()) => {
                self.request_complete(id, sink);
            }
            Ok(()) => {}
        }
    }

    /// The request is complete: the copy is queued, if there is room.
    pub fn request_complete(&mut self, id: Id, sink: &mut dyn Sink) {
        let Some(pair) = self.pairs.get_mut(id).filter(|p| p.stage == Stage::Receiving) else {
            return;
        };
        let (Some(state), Some(rules)) =
            (self.states.get_mut(pair.shadow), self.shadows.get(pair.shadow))
        else {
            return;
        };
        if state.is_full(rules) {
            return self.settle(id, Outcome::OverBudget, sink);
        }
        pair.stage = Stage::Queued;
        state.queued = state.queued.saturating_add(1);
        self.queue.push_back(id);
    }

    /// Whether [`Desk::next`] would hand out a copy. Call it about once a second even if not, so
    /// that a copy whose answer got lost is given up.
    pub fn needs_tick(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Hands out the next copy, which is then in flight.
    pub fn next(&mut self, now: u64, sink: &mut dyn Sink) -> Option<Id> {
        if let Some(forgotten) = self.handed.take() {
            self.done(forgotten, false, now);
            self.settle(forgotten, Outcome::ShadowFailed, sink);
        }
        if now.abs_diff(self.looked) >= LOOK {
            self.looked = now;
            self.give_up(now, sink);
        }
        while let Some(id) = self.queue.pop_front() {
            let Some(pair) = self.pairs.get_mut(id) else { continue };
            let Some(state) = self.states.get_mut(pair.shadow) else { continue };
            state.queued = state.queued.saturating_sub(1);
            state.in_flight = state.in_flight.saturating_add(1);
            pair.stage = Stage::InFlight;
            pair.sent = now;
            if state.breaker.admits(now) {
                state.breaker.sent(id);
                self.handed = Some(id);
                return Some(id);
            }
            state.in_flight = state.in_flight.saturating_sub(1);
            pair.stage = Stage::Answered;
            self.settle(id, Outcome::BreakerOpen, sink);
        }
        None
    }

    /// The copy that was handed out.
    pub fn call(&self, id: Id) -> Option<Call<'_>> {
        let pair = self.pairs.get(id).filter(|_| self.handed == Some(id))?;
        let copy = pair.open.as_ref()?.copy.as_ref()?;
        let shadow = self.shadows.get(pair.shadow)?;
        Some(Call {
            cluster: &shadow.cluster,
            head: &copy.head,
            body: copy.body.bytes(),
            timeout: shadow.timeout,
        })
    }

    /// The copy was sent; its answer will come with this token.
    pub fn dispatched(&mut self, id: Id, token: u32) {
        if self.handed.take_if(|handed| *handed == id).is_some() {
            self.tokens.insert(token, id);
            if let Some(open) = self.open(id) {
                open.copy = None;
            }
        }
    }

    /// The copy could not be sent.
    pub fn dispatch_failed(&mut self, id: Id, now: u64, sink: &mut dyn Sink) {
        if self.handed.take_if(|handed| *handed == id).is_none() {
            return;
        }
        let shadow = self.done(id, false, now);
        self.settle(id, Outcome::ShadowFailed, sink);
        self.tell_once(
            shadow,
            |state| &mut state.told_unreachable,
            now,
            sink,
            "cannot be sent copies: its cluster is not known to this proxy, or refuses at once; \
             Istio's gateways may hold only clusters that some route uses",
        );
    }

    /// How many bytes of the body of an answer are of use.
    pub fn wanted(&self, token: u32) -> usize {
        let pair = self.tokens.get(&token).and_then(|id| self.pairs.get(*id));
        let shadow = pair.filter(|p| p.open.is_some()).and_then(|p| self.shadows.get(p.shadow));
        shadow.map_or(0, |shadow| shadow.response_bytes)
    }

    /// The shadow's answer, or the news that there is none.
    pub fn answer(&mut self, token: u32, answer: &Answer<'_>, now: u64, sink: &mut dyn Sink) {
        let Some(id) = self.tokens.remove(&token) else { return };
        let Some(pair) = self.pairs.get(id) else { return };
        let Some(rules) = self.shadows.get(pair.shadow) else { return };
        let took = now.saturating_sub(pair.sent);
        let limit = rules.response_bytes;
        let late = took >= nanos(rules.timeout);
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
            self.tell_once(shadow, |state| &mut state.told_refused, now, sink, &text);
        }
        if let Some(outcome) = failed {
            self.settle(id, outcome, sink);
        } else if answer.body_len > limit {
            self.settle(id, Outcome::TooLarge, sink);
        } else {
            self.answered(id, head, answer.body, took, now, sink);
        }
    }

    /// Every pair is orphaned: the filter goes away.
    pub fn drain(&mut self, sink: &mut dyn Sink) {
        let ids: Vec<Id> = self.pairs.ids().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(pair) = self.pairs.remove(id)
                && pair.open.is_some()
            {
                sink.outcome(pair.shadow, Outcome::Orphaned);
            }
        }
        self.queue.clear();
        self.tokens.clear();
        self.handed = None;
        for state in &mut self.states {
            (state.queued, state.in_flight) = (0, 0);
        }
    }

    /// What a shadow holds now.
    pub fn gauges(&self, shadow: usize) -> Option<Gauges> {
        let state = self.states.get(shadow)?;
        Some(Gauges { in_flight: state.in_flight, buffered_bytes: state.budget.used() })
    }

    fn open(&mut self, id: Id) -> Option<&mut Open> {
        self.pairs.get_mut(id)?.open.as_mut()
    }

    /// Gives a pair its outcome, frees what it holds, and withdraws a copy that was not sent.
    fn settle(&mut self, id: Id, outcome: Outcome, sink: &mut dyn Sink) {
        let Some(pair) = self.pairs.get_mut(id) else { return };
        let mut serves = None;
        if pair.open.take().is_some() {
            sink.outcome(pair.shadow, outcome);
            serves = pair.serves;
        }
        match pair.stage {
            Stage::InFlight => {}
            Stage::Receiving | Stage::Answered => {
                self.pairs.remove(id);
            }
            Stage::Queued => {
                self.queue.retain(|queued| *queued != id);
                if let Some(state) = self.states.get_mut(pair.shadow) {
                    state.queued = state.queued.saturating_sub(1);
                }
                self.pairs.remove(id);
            }
        }
        if let Some(served) = serves {
            self.hear_nothing(served, sink);
        }
    }

    /// A pair hears from its baseline what is noise, and is compared if it only waited for that.
    fn hear(&mut self, id: Id, noise: Noise, now: u64, sink: &mut dyn Sink) {
        let Some(pair) = self.pairs.get_mut(id) else { return };
        let (Some(open), Some(state)) = (&mut pair.open, self.states.get(pair.shadow)) else {
            return;
        };
        let mut share = Share::new(&state.budget);
        if !share.take(noise.bytes()) {
            return self.settle(id, Outcome::OverBudget, sink);
        }
        open.noise = Heard::Noise { noise: Rc::new(noise), _share: share };
        if open.live_took.is_some()
            && let Some(Stored { head, body, took }) = open.answer.take()
        {
            self.compare(id, Whole { head: &head, body: body.bytes() }, took, now, sink);
        }
    }

    /// A pair hears that its baseline cannot tell. It is uncomparable as soon as it could be
    /// compared, also if the answers agree: to count only those would make the shadow better than
    /// it is.
    fn hear_nothing(&mut self, id: Id, sink: &mut dyn Sink) {
        let Some(open) = self.open(id) else { return };
        open.noise = Heard::Nothing;
        if open.live_took.is_some() && open.answer.is_some() {
            self.settle(id, Outcome::Uncomparable, sink);
        }
    }

    /// A copy is no longer in flight. The pair stays, for [`Desk::settle`].
    fn done(&mut self, id: Id, well: bool, now: u64) -> Option<usize> {
        let pair = self.pairs.get_mut(id)?;
        pair.stage = Stage::Answered;
        let (state, rules) = (self.states.get_mut(pair.shadow)?, self.shadows.get(pair.shadow)?);
        state.in_flight = state.in_flight.saturating_sub(1);
        state.breaker.answered(id, well, now, rules.breaker);
        Some(pair.shadow)
    }

    /// Gives up copies whose answers got lost on the way.
    fn give_up(&mut self, now: u64, sink: &mut dyn Sink) {
        let overdue = |id: &Id| {
            let pair = self.pairs.get(*id)?;
            let timeout = nanos(self.shadows.get(pair.shadow)?.timeout);
            Some(now > pair.sent.saturating_add(timeout).saturating_add(GRACE))
        };
        let lost: Vec<(u32, Id)> = self
            .tokens
            .iter()
            .filter(|(_, id)| overdue(id).unwrap_or(true))
            .map(|(token, id)| (*token, *id))
            .collect();
        for (token, id) in lost {
            self.tokens.remove(&token);
            self.done(id, false, now);
            self.settle(id, Outcome::Timeout, sink);
        }
    }

    /// A shadow's complete answer: compared, or kept until the live one is complete.
    fn answered(
        &mut self,
        id: Id,
        head: Head,
        body: &[u8],
        took: u64,
        now: u64,
        sink: &mut dyn Sink,
    ) {
        let Some(pair) = self.pairs.get_mut(id) else { return };
        let (Some(state), Some(rules)) =
            (self.states.get(pair.shadow), self.shadows.get(pair.shadow))
        else {
            return;
        };
        match &mut pair.open {
            None => {
                self.pairs.remove(id);
            }
            Some(open) if open.live_took.is_some() && !open.waits_for_noise() => {
                self.compare(id, Whole { head: &head, body }, took, now, sink);
            }
            Some(open) => {
                let mut kept = Capture::new(&state.budget, rules.response_bytes);
                match kept.append(body) {
                    Ok(()) => open.answer = Some(Stored { head, body: kept, took }),
                    Err(outcome) => self.settle(id, outcome, sink),
                }
            }
        }
    }

    fn compare(&mut self, id: Id, answer: Whole<'_>, took: u64, now: u64, sink: &mut dyn Sink) {
        let Some(Pair { shadow, serves, open, .. }) = self.pairs.remove(id) else { return };
        let (Some(open), Some(rules)) = (open, self.shadows.get(shadow)) else { return };
        if matches!(open.noise, Heard::Nothing) {
            return sink.outcome(shadow, Outcome::Uncomparable);
        }
        let (Some(head), Some(live_took)) = (&open.live_head, open.live_took) else { return };
        let live = Whole { head, body: open.live_body.bytes() };
        let about = About {
            message: open.message,
            noise: match &open.noise {
                Heard::Noise { noise, .. } => Some(Rc::clone(noise)),
                _ => None,
            },
            is_baseline: rules.baseline_of.is_some(),
        };
        let Comparison { verdict, moved, noise } = rules.compare.compare(live, answer, &about);
        sink.latencies(shadow, millis(live_took), millis(took));
        if let Some(moved) = moved {
            sink.score_difference(shadow, millionths(moved));
        }
        match verdict {
            Verdict::Matched => sink.outcome(shadow, Outcome::Matched),
            Verdict::Mismatched(report) => {
                sink.outcome(shadow, Outcome::Mismatched);
                for kind in &report.kinds {
                    sink.difference(shadow, *kind);
                }
                let text = format!("differs from the live model ({}): {report}", open.about);
                self.log(Some(shadow), now, sink, &text);
            }
            Verdict::Uncomparable(reason) => {
                sink.outcome(shadow, Outcome::Uncomparable);
                let text = format!("cannot be compared ({}): {reason}", open.about);
                self.log(Some(shadow), now, sink, &text);
            }
        }
        if let Some(served) = serves {
            match noise.filter(Noise::is_complete) {
                Some(noise) => self.hear(served, noise, now, sink),
                None => self.hear_nothing(served, sink),
            }
        }
    }

    /// Logs a remedy, unless `told` says that it was. One that another shadow's lines left no room
    /// for comes again.
    fn tell_once(
        &mut self,
        shadow: Option<usize>,
        told: fn(&mut State) -> &mut bool,
        now: u64,
        sink: &mut dyn Sink,
        text: &str,
    ) {
        let is_told = shadow.and_then(|i| self.states.get_mut(i)).is_none_or(|state| *told(state));
        if !is_told
            && self.log(shadow, now, sink, text)
            && let Some(state) = shadow.and_then(|i| self.states.get_mut(i))
        {
            *told(state) = true;
        }
    }

    /// Whether there was room for the line.
    fn log(&mut self, shadow: Option<usize>, now: u64, sink: &mut dyn Sink, text: &str) -> bool {
        let shadow = shadow.and_then(|i| self.shadows.get(i));
        let (Some(Shadow { name, .. }), Some(missing)) = (shadow, self.lines.take(now)) else {
            return false;
        };
        match missing {
            0 => sink.log(&format!("shadow {name} {text}")),
            n => sink.log(&format!("shadow {name} {text} ({n} lines were not logged)")),
        }
        true
    }
}

/// Nanoseconds in milliseconds, to the nearest.
fn millis(nanos: u64) -> u64 {
    nanos.saturating_add(500_000) / 1_000_000
}

/// Larger ones would make a sum of them useless.
const MOST_MILLIONTHS: f64 = 1e15;

fn millionths(difference: f64) -> u64 {
    (difference * 1e6).round().min(MOST_MILLIONTHS) as u64
}

impl State {
    fn is_full(&self, rules: &Shadow) -> bool {
        self.queued.saturating_add(self.in_flight) >= rules.in_flight
    }
}

#[cfg(test)]
mod tests;
