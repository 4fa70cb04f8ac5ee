//! Carries out what the shadows' mirror decides: callouts from the root context, counts, log lines.

use std::cell::{Cell, RefCell};

use modelgate_engine::pipeline::Plan;
use modelgate_engine::shadow::compare::Kind;
use modelgate_engine::shadow::{
    Answer, CopyHead, ExchangeId, Head, Mirror, Outcome, ShadowId, ShadowObserver,
};
use modelgate_engine::telemetry::{Count, Histogram};
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::types::{BufferType, MapType};

use crate::header_map::fields;
use crate::host::{self, now};
use crate::hostcalls;
use crate::metrics::Metrics;
use crate::root::tick_every;

/// How soon a queued copy is sent and an exchange is compared whose turn it is, in milliseconds.
const SOON: u32 = 1;

/// The exchanges of one worker under one configuration.
#[derive(Debug)]
pub struct Shadows {
    mirror: RefCell<Mirror>,
    /// A tick comes soon. Asking again would start the host's timer anew, and requests that come
    /// faster than it runs would put it off for ever.
    ticking: Cell<bool>,
}

/// Counts what the mirror reports.
struct Counting<'a> {
    plan: &'a Plan,
    metrics: &'a RefCell<Metrics>,
}

impl Counting<'_> {
    fn count(&self, shadow: ShadowId, count: impl FnOnce(u32) -> Count) {
        let shadow = u32::try_from(shadow.index()).unwrap_or(u32::MAX);
        self.metrics.borrow_mut().count(count(shadow));
    }
}

impl ShadowObserver for Counting<'_> {
    fn selected(&mut self, shadow: ShadowId) {
        self.count(shadow, Count::ShadowSelected);
    }

    fn outcome(&mut self, shadow: ShadowId, outcome: Outcome) {
        self.count(shadow, |shadow| Count::ShadowOutcome(shadow, outcome));
    }

    fn difference(&mut self, shadow: ShadowId, kind: Kind) {
        self.count(shadow, |shadow| Count::ShadowDifference(shadow, kind));
    }

    fn latencies(&mut self, shadow: ShadowId, live_millis: u64, shadow_millis: u64) {
        let mut metrics = self.metrics.borrow_mut();
        metrics.observe(self.plan, shadow.index(), Histogram::Live, live_millis);
        metrics.observe(self.plan, shadow.index(), Histogram::Shadow, shadow_millis);
    }

    fn score_difference(&mut self, shadow: ShadowId, millionths: u64) {
        self.metrics.borrow_mut().observe(
            self.plan,
            shadow.index(),
            Histogram::ScoreDifference,
            millionths,
        );
    }

    fn log(&mut self, line: &str) {
        log::warn!("modelgate: {line}");
    }
}

impl Shadows {
    /// Nothing under way.
    pub fn new(plan: &Plan) -> Self {
        let mirror = RefCell::new(Mirror::new(plan.shadows().clone()));
        Self { mirror, ticking: Cell::new(false) }
    }

    /// Whether a copy for a shadow could be sent now, or what becomes of the request otherwise.
    pub fn admits(&self, shadow: ShadowId, now: u64) -> Result<(), Outcome> {
        self.mirror.borrow().admits(shadow, now)
    }

    /// Opens an exchange for each copy; those that already have their outcome are only counted.
    pub fn begin(
        &self,
        plan: &Plan,
        metrics: &RefCell<Metrics>,
        copies: Vec<(ShadowId, Result<CopyHead, Outcome>)>,
        now: u64,
    ) -> Vec<ExchangeId> {
        self.mirror.borrow_mut().begin_all(copies, now, &mut Counting { plan, metrics })
    }

    /// Whether an exchange of the stream still collects what streams by.
    pub fn is_open(&self, exchanges: &[ExchangeId]) -> bool {
        let mirror = self.mirror.borrow();
        exchanges.iter().any(|id| mirror.is_open(*id))
    }

    /// Whether an exchange of the stream has yet to see the live answer whole.
    pub fn awaits_live(&self, exchanges: &[ExchangeId]) -> bool {
        let mirror = self.mirror.borrow();
        exchanges.iter().any(|id| mirror.awaits_live(*id))
    }

    /// Whether an exchange of the stream has all bytes that were announced of the request.
    pub fn is_whole(&self, exchanges: &[ExchangeId]) -> bool {
        let mirror = self.mirror.borrow();
        exchanges.iter().any(|id| mirror.is_whole(*id))
    }

    /// Lets the mirror hear of the exchanges of a stream.
    pub fn tell(
        &self,
        plan: &Plan,
        metrics: &RefCell<Metrics>,
        event: impl FnOnce(&mut Mirror, &mut dyn ShadowObserver),
    ) {
        let mut mirror = self.mirror.borrow_mut();
        event(&mut mirror, &mut Counting { plan, metrics });
        self.hurry(&mirror);
    }

    fn hurry(&self, mirror: &Mirror) {
        if mirror.needs_tick() && !self.ticking.replace(true) {
            tick_every(SOON);
        }
    }

    /// Sends what is queued, and compares what waits for it. Returns whether the tick was one that
    /// came soon: how soon the next one comes is to be said anew.
    pub fn dispatch(&self, plan: &Plan, metrics: &RefCell<Metrics>, now: u64) -> bool {
        let mut observer = Counting { plan, metrics };
        let mut mirror = self.mirror.borrow_mut();
        while let Some(id) = mirror.next(now, &mut observer) {
            let sent = mirror.call(id).map(|call| {
                let lines: Vec<(&[u8], &[u8])> = call.head.lines().collect();
                let timeout = u32::try_from(call.timeout.as_millis()).unwrap_or(u32::MAX);
                hostcalls::http_call(call.cluster, &lines, call.body, timeout)
            });
            match sent {
                Some(Ok(token)) => mirror.dispatched(id, token),
                Some(Err(_)) | None => mirror.dispatch_failed(id, now, &mut observer),
            }
        }
        mirror.catch_up(now, &mut observer);
        self.ticking.replace(mirror.needs_tick())
    }

    /// Whether the next tick is to come soon: there is more to compare than one tick may.
    pub fn is_hurried(&self) -> bool {
        self.ticking.get()
    }

    /// Whether the next tick is not to be as late as others.
    pub fn is_behind(&self) -> bool {
        self.mirror.borrow().is_behind()
    }

    /// A shadow answered, with so many trailers, or will not.
    pub fn answered(
        &self,
        plan: &Plan,
        metrics: &RefCell<Metrics>,
        token: u32,
        body_len: usize,
        trailers: usize,
    ) {
        let mut observer = Counting { plan, metrics };
        let mut mirror = self.mirror.borrow_mut();
        let headers = hostcalls::header_map(MapType::HttpCallResponseHeaders).unwrap_or_default();
        let trailers = match trailers {
            0 => None,
            _ => hostcalls::header_map(MapType::HttpCallResponseTrailers).ok(),
        };
        // Only as much as can be compared: the host copies what is asked for.
        let wanted = mirror.wanted(token).min(body_len);
        let body = match wanted {
            0 => Vec::new(),
            wanted => {
                let body = sdk::get_buffer(BufferType::HttpCallResponseBody, 0, wanted);
                body.ok().flatten().unwrap_or_default()
            }
        };
        let answer = Answer {
            headers: &fields(&headers),
            trailers: &trailers.as_deref().map(fields).unwrap_or_default(),
            body: &body,
            body_len,
        };
        mirror.answer(token, &answer, now(), &mut observer);
        self.hurry(&mirror);
    }

    /// What the shadows hold now, for the gauges.
    pub fn report(&self, plan: &Plan, metrics: &RefCell<Metrics>) {
        let mirror = self.mirror.borrow();
        let mut metrics = metrics.borrow_mut();
        for shadow in 0.. {
            let Some(gauges) = mirror.gauges(ShadowId::new(shadow)) else { break };
            metrics.gauge(plan, shadow, gauges);
        }
    }

    /// Everything under way is orphaned.
    pub fn drain(&self, plan: &Plan, metrics: &RefCell<Metrics>) {
        self.mirror.borrow_mut().drain(&mut Counting { plan, metrics });
    }
}

/// The head of the live answer at hand; `None` for an answer that the proxy gave itself.
pub fn live_head() -> Option<Head> {
    let details = host::property_bytes("response\0code_details")?;
    let headers = hostcalls::header_map(MapType::HttpResponseHeaders).ok()?;
    (details == b"via_upstream").then(|| Head::of(&fields(&headers)))
}

/// The cluster by which the live model is reached, once the route is chosen.
pub fn live_cluster() -> Option<Vec<u8>> {
    host::property_bytes("xds\0cluster_name")
}
