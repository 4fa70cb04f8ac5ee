//! An exchange in the making: the copy, the live answer, the shadow's answer.

use std::rc::Rc;

use super::body_buffer::BodyBuffer;
use super::compare::{Message, Noise, Whole};
use super::copy::CopyHead;
use super::head::Head;
use super::id::{ExchangeId, ShadowId};
use super::quota::{Full, MemoryQuota, Reservation};
use super::settings::Shadow;

/// One selected request.
#[derive(Debug)]
pub struct Exchange {
    /// Index in the configuration.
    pub shadow: ShadowId,
    /// Where the copy is.
    pub copy: CopyState,
    /// When the request began, in nanoseconds.
    pub began: u64,
    /// When the last byte of the request came, or its end, before the live answer began, in
    /// nanoseconds: since then the live model has had it.
    pub received: u64,
    /// The exchange that waits to hear what is noise, where this is the baseline's.
    pub serves: Option<ExchangeId>,
    /// What is collected; absent once there is an outcome. A copy that is still with the shadow
    /// then only keeps its place among those in flight.
    pub open: Option<Open>,
}

/// Where a copy is, and what there is of it. [`super::mirror`] has the table of what moves it on.
#[derive(Debug)]
pub enum CopyState {
    /// The request is not complete.
    Receiving(Copied),
    /// The request is complete, and the live answer has to be before the copy leaves.
    Held(Copied),
    /// It waits to be handed out.
    Queued(Copied),
    /// It was handed out to be sent, at this time in nanoseconds.
    HandedOut(Copied, u64),
    /// The shadow has it.
    InFlight {
        /// When it was handed out, in nanoseconds.
        sent: u64,
        /// Its bytes, which the proxy holds until the shadow is done with them.
        _reservations: [Reservation; 2],
    },
    /// The shadow is done with it, or never gets it.
    Done,
}

impl CopyState {
    /// The request is complete. `false` where that was known, or does not matter any more.
    pub fn hold(&mut self) -> bool {
        self.moved_on(|copy| match copy {
            Self::Receiving(copied) => (Self::Held(copied), true),
            other => (other, false),
        })
    }

    /// It may leave, if it was held.
    pub fn queue(&mut self) -> bool {
        self.moved_on(|copy| match copy {
            Self::Held(copied) => (Self::Queued(copied), true),
            other => (other, false),
        })
    }

    /// It is handed out, if it was queued.
    pub fn hand_out(&mut self, now: u64) -> bool {
        self.moved_on(|copy| match copy {
            Self::Queued(copied) => (Self::HandedOut(copied, now), true),
            other => (other, false),
        })
    }

    /// It is sent, if it was handed out. What is left of it is the account of its bytes.
    pub fn send(&mut self) -> bool {
        self.moved_on(|copy| match copy {
            Self::HandedOut(copied, sent) => {
                (Self::InFlight { sent, _reservations: copied.hand_over() }, true)
            }
            other => (other, false),
        })
    }

    fn moved_on(&mut self, next: impl FnOnce(Self) -> (Self, bool)) -> bool {
        let (copy, has_moved) = next(std::mem::replace(self, Self::Done));
        *self = copy;
        has_moved
    }

    /// Whether it counts among those in flight.
    pub fn is_in_flight(&self) -> bool {
        matches!(self, Self::HandedOut(..) | Self::InFlight { .. })
    }

    /// When it was handed out, in nanoseconds; the shadow has its time from then on.
    pub fn sent(&self) -> u64 {
        match self {
            Self::HandedOut(_, sent) | Self::InFlight { sent, .. } => *sent,
            Self::Receiving(_) | Self::Held(_) | Self::Queued(_) | Self::Done => 0,
        }
    }
}

/// What is collected for an exchange.
#[derive(Debug)]
pub struct Open {
    /// Names the request in the log.
    pub about: String,
    /// What a gRPC answer holds.
    pub message: Option<Message>,
    /// As soon as it is known.
    pub live_head: Option<Head>,
    /// When the live answer began, in nanoseconds.
    pub live_since: u64,
    /// So far.
    pub live_body: BodyBuffer,
    /// How long the complete live answer took, in nanoseconds.
    pub live_took: Option<u64>,
    /// What differs between two answers of the live model.
    pub noise: NoiseBaseline,
    /// The complete answer of the shadow, while the live one or the baseline's is not, or it is not
    /// the exchange's turn to be compared.
    pub answer: Option<Stored>,
    /// Since when it waits for its turn, in nanoseconds.
    pub due_since: Option<u64>,
    _reservation: Reservation,
}

/// What is known of noise from the second answer of the live model.
#[derive(Debug)]
pub enum NoiseBaseline {
    /// There is no baseline.
    NotAsked,
    /// Its answer is not there, or not compared.
    Pending,
    /// There is no telling.
    Unavailable,
    /// This is noise.
    Known { noise: Rc<Noise>, _reservation: Reservation },
}

/// A copy that was not sent yet.
#[derive(Debug)]
pub struct Copied {
    /// Its head.
    pub head: CopyHead,
    /// Its body so far.
    pub body: BodyBuffer,
    reservation: Reservation,
}

impl Copied {
    /// Frees the copy and keeps the account of its bytes, for the proxy that holds them now.
    pub fn hand_over(self) -> [Reservation; 2] {
        [self.reservation, self.body.hand_over()]
    }
}

/// A shadow's answer.
#[derive(Debug)]
pub struct Stored {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: BodyBuffer,
    /// How long it took, in nanoseconds.
    pub took: u64,
}

impl Stored {
    /// What is compared.
    pub fn whole(&self) -> Whole<'_> {
        Whole { head: &self.head, body: self.body.bytes() }
    }
}

impl Exchange {
    /// Begins to collect, for the shadow with this index.
    pub fn new(
        shadow: ShadowId,
        mut head: CopyHead,
        [own, reservation]: [Reservation; 2],
        rules: &Shadow,
        quota: &Rc<MemoryQuota>,
        now: u64,
    ) -> Self {
        let open = Open {
            about: std::mem::take(&mut head.about),
            message: head.message,
            live_head: None,
            live_since: 0,
            live_body: BodyBuffer::new(quota, rules.response_bytes),
            live_took: None,
            noise: NoiseBaseline::NotAsked,
            answer: None,
            due_since: None,
            _reservation: own,
        };
        let body = BodyBuffer::new(quota, rules.request_bytes);
        Self {
            shadow,
            copy: CopyState::Receiving(Copied { head, body, reservation }),
            began: now,
            received: now,
            serves: None,
            open: Some(open),
        }
    }

    /// The copy, while its request is not complete.
    pub fn receiving(&self) -> Option<&Copied> {
        match &self.copy {
            CopyState::Receiving(copy) => Some(copy),
            _ => None,
        }
    }

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
        if matches!(self.copy, CopyState::Receiving(_)) {
            return Some(self.began);
        }
        let flows = open.live_head.is_some() && open.live_took.is_none();
        flows.then_some(open.live_since)
    }
}

impl Open {
    /// Whether there is something to compare, since it is known what is noise.
    pub fn may_agree(&self) -> bool {
        !matches!(self.noise, NoiseBaseline::Unavailable)
    }

    /// Whether the baseline has still to say what is noise.
    pub fn waits_for_noise(&self) -> bool {
        matches!(self.noise, NoiseBaseline::Pending)
    }

    /// The bytes that an exchange takes before its bodies: its own, and those of the copy's head.
    pub fn reserve(head: &CopyHead, quota: &Rc<MemoryQuota>) -> Result<[Reservation; 2], Full> {
        let (mut own, mut reservation) = (Reservation::new(quota), Reservation::new(quota));
        own.reserve(size_of::<Exchange>())?;
        reservation.reserve(head.bytes())?;
        Ok([own, reservation])
    }
}
