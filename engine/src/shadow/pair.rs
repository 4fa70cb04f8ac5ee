//! A pair in the making: the copy, the live answer, the shadow's answer.

use std::rc::Rc;

use super::budget::{Budget, Full, Share};
use super::capture::Capture;
use super::compare::{Message, Noise, Whole};
use super::copy::CopyHead;
use super::head::Head;
use super::settings::Shadow;
use super::slab::Id;

/// One selected request.
#[derive(Debug)]
pub struct Pair {
    /// Index in the configuration.
    pub shadow: usize,
    /// How far the copy is.
    pub stage: Stage,
    /// When the request began, in nanoseconds.
    pub began: u64,
    /// When the last byte of the request came, or its end, before the live answer began, in
    /// nanoseconds: since then the live model has had it.
    pub received: u64,
    /// When the copy was handed out, in nanoseconds.
    pub sent: u64,
    /// The bytes of the copy, which the proxy holds from its dispatch until the shadow is done.
    pub carried: Option<[Share; 2]>,
    /// The pair that waits to hear what is noise, where this is the baseline's.
    pub serves: Option<Id>,
    /// What is collected; absent once there is an outcome. A copy that is still with the shadow
    /// then only keeps its place among those in flight.
    pub open: Option<Open>,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The request is not complete.
    Receiving,
    /// The request is complete, and the live answer has to be before the copy leaves.
    Complete,
    /// It waits to be handed out.
    Queued,
    /// It was handed out.
    InFlight,
    /// The shadow is done with it.
    Answered,
}

/// What is collected for a pair.
#[derive(Debug)]
pub struct Open {
    /// Names the request in the log.
    pub about: String,
    /// What a gRPC answer holds.
    pub message: Option<Message>,
    /// Until it was sent.
    pub copy: Option<Copied>,
    /// As soon as it is known.
    pub live_head: Option<Head>,
    /// When the live answer began, in nanoseconds.
    pub live_since: u64,
    /// So far.
    pub live_body: Capture,
    /// How long the complete live answer took, in nanoseconds.
    pub live_took: Option<u64>,
    /// What differs between two answers of the live model.
    pub noise: Heard,
    /// The complete answer of the shadow, while the live one or the baseline's is not, or it is not
    /// the pair's turn to be compared.
    pub answer: Option<Stored>,
    /// Since when it waits for its turn, in nanoseconds.
    pub due_since: Option<u64>,
    _share: Share,
}

/// What a pair has heard from its baseline.
#[derive(Debug)]
pub enum Heard {
    /// It has none.
    NotAsked,
    /// Nothing so far.
    Waiting,
    /// That there is no telling.
    Nothing,
    /// What is noise.
    Noise { noise: Rc<Noise>, _share: Share },
}

/// A copy that was not sent yet.
#[derive(Debug)]
pub struct Copied {
    /// Its head.
    pub head: CopyHead,
    /// Its body so far.
    pub body: Capture,
    share: Share,
}

impl Copied {
    /// Frees the copy and keeps the account of its bytes, for the proxy that holds them now.
    pub fn hand_over(self) -> [Share; 2] {
        [self.share, self.body.hand_over()]
    }
}

/// A shadow's answer.
#[derive(Debug)]
pub struct Stored {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Capture,
    /// How long it took, in nanoseconds.
    pub took: u64,
}

impl Stored {
    /// What is compared.
    pub fn whole(&self) -> Whole<'_> {
        Whole { head: &self.head, body: self.body.bytes() }
    }
}

impl Pair {
    /// More of the request came, or its end.
    pub fn receives(&mut self, now: u64) {
        if self.open.as_ref().is_some_and(|open| open.live_head.is_none()) {
            self.received = now;
        }
    }

    /// Since when, in nanoseconds, there is nothing to wait for but that a client sends its request,
    /// or takes an answer that has begun, or that there is time to compare.
    pub fn gives_way_since(&self) -> Option<u64> {
        let open = self.open.as_ref()?;
        if open.due_since.is_some() {
            return open.due_since;
        }
        if self.stage == Stage::Receiving {
            return Some(self.began);
        }
        let flows = open.live_head.is_some() && open.live_took.is_none();
        flows.then_some(open.live_since)
    }
}

impl Open {
    /// Whether there is something to compare, since it is known what is noise.
    pub fn may_agree(&self) -> bool {
        !matches!(self.noise, Heard::Nothing)
    }

    /// Whether the baseline has still to say what is noise.
    pub fn waits_for_noise(&self) -> bool {
        matches!(self.noise, Heard::Waiting)
    }

    /// The bytes that a pair takes before its bodies: its own, and those of the copy's head.
    pub fn reserve(head: &CopyHead, budget: &Rc<Budget>) -> Result<[Share; 2], Full> {
        let (mut own, mut share) = (Share::new(budget), Share::new(budget));
        own.take(size_of::<Pair>())?;
        share.take(head.bytes())?;
        Ok([own, share])
    }

    /// Begins to collect.
    pub fn new(
        mut head: CopyHead,
        [own, share]: [Share; 2],
        shadow: &Shadow,
        budget: &Rc<Budget>,
    ) -> Self {
        Self {
            about: std::mem::take(&mut head.about),
            message: head.message,
            copy: Some(Copied { head, body: Capture::new(budget, shadow.request_bytes), share }),
            live_head: None,
            live_since: 0,
            live_body: Capture::new(budget, shadow.response_bytes),
            live_took: None,
            noise: Heard::NotAsked,
            answer: None,
            due_since: None,
            _share: own,
        }
    }
}
