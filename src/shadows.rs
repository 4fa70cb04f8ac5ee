//! Carries out what the mirror decides: callouts to shadows from the root context, counts, log lines.

use modelgate_engine::shadow::compare::Kind;
use modelgate_engine::shadow::{
    Answer, CopyHead, ExchangeId, Head, Mirror, Outcome, ShadowId, ShadowObserver,
};
use modelgate_engine::telemetry::{Count, Histogram};
use proxy_wasm::types::MapType;

use crate::header_map::fields;
use crate::host::{self, now};
use crate::hostcalls;
use crate::worker::WorkerState;

/// Counts what the mirror reports.
struct Counting<'a>(&'a WorkerState);

impl Counting<'_> {
    fn count(&self, shadow: ShadowId, count: impl FnOnce(u32) -> Count) {
        let shadow = u32::try_from(shadow.index()).unwrap_or(u32::MAX);
        self.0.metrics.borrow_mut().count(count(shadow));
    }

    fn observe(&self, shadow: ShadowId, histogram: Histogram, value: u64) {
        let Self(worker) = self;
        worker.metrics.borrow_mut().observe(&worker.plan, shadow.index(), histogram, value);
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
        self.observe(shadow, Histogram::Live, live_millis);
        self.observe(shadow, Histogram::Shadow, shadow_millis);
    }

    fn score_difference(&mut self, shadow: ShadowId, millionths: u64) {
        self.observe(shadow, Histogram::ScoreDifference, millionths);
    }

    fn log(&mut self, line: &str) {
        log::warn!("modelgate: {line}");
    }
}

impl WorkerState {
    /// Opens an exchange for each copy; those that already have their outcome are only counted.
    pub fn begin_exchanges(
        &self,
        copies: Vec<(ShadowId, Result<CopyHead, Outcome>)>,
        now: u64,
    ) -> Vec<ExchangeId> {
        self.mirror.borrow_mut().begin_all(copies, now, &mut Counting(self))
    }

    /// Lets the mirror hear of the exchanges of a stream. A copy that is complete now leaves with a tick, and
    /// so does not die with the stream.
    pub fn notify_mirror(&self, event: impl FnOnce(&mut Mirror, &mut dyn ShadowObserver)) {
        let mut mirror = self.mirror.borrow_mut();
        event(&mut mirror, &mut Counting(self));
        self.want_tick(mirror.due(), mirror.clock());
    }

    /// Sends the copies that are queued, and compares what waits for it.
    pub fn send_copies(&self, now: u64) {
        let mut observer = Counting(self);
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
    }

    /// A shadow answered, with so many trailers, or will not.
    pub fn take_shadow_response(&self, token: u32, body_len: usize, trailers: usize) {
        let headers = hostcalls::header_map(MapType::HttpCallResponseHeaders).unwrap_or_default();
        let trailers = match trailers {
            0 => None,
            _ => hostcalls::header_map(MapType::HttpCallResponseTrailers).ok(),
        };
        // Only as much as can be compared: the host copies what is asked for.
        let wanted = self.mirror.borrow().wanted(token).min(body_len);
        let body = host::callout_body(wanted);
        let answer = Answer {
            headers: &fields(&headers),
            trailers: &trailers.as_deref().map(fields).unwrap_or_default(),
            body: &body,
            body_len,
        };
        let now = now();
        self.notify_mirror(|mirror, observer| mirror.answer(token, &answer, now, observer));
    }

    /// What the shadows hold now, for the gauges.
    pub fn report_gauges(&self) {
        let mirror = self.mirror.borrow();
        let mut metrics = self.metrics.borrow_mut();
        for shadow in 0.. {
            let Some(gauges) = mirror.gauges(ShadowId::new(shadow)) else { break };
            metrics.gauge(&self.plan, shadow, gauges);
        }
    }

    /// Everything under way is orphaned.
    pub fn drain_exchanges(&self) {
        self.mirror.borrow_mut().drain(&mut Counting(self));
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
