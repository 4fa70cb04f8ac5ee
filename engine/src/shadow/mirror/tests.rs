//! One outcome for each selected request, whatever the order of events.

mod any_order;
mod baseline;
mod failures;
mod fair;
mod life;
mod states;
mod turns;

use super::super::compare::Kind;
use super::super::settings::tests::shadows;
use super::*;
use crate::routing::Model;
use proptest::prelude::*;

const MS: u64 = 1_000_000;

#[derive(Default)]
struct Seen {
    selected: usize,
    outcomes: Vec<Outcome>,
    kinds: Vec<Kind>,
    latencies: Vec<(u64, u64)>,
    moved: Vec<u64>,
    lines: Vec<String>,
}

impl ShadowObserver for Seen {
    fn selected(&mut self, _: ShadowId) {
        self.selected += 1;
    }
    fn outcome(&mut self, _: ShadowId, outcome: Outcome) {
        self.outcomes.push(outcome);
    }
    fn difference(&mut self, _: ShadowId, kind: Kind) {
        self.kinds.push(kind);
    }
    fn latencies(&mut self, _: ShadowId, live: u64, shadow: u64) {
        self.latencies.push((live, shadow));
    }
    fn score_difference(&mut self, _: ShadowId, millionths: u64) {
        self.moved.push(millionths);
    }
    fn log(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }
}

const SETTINGS: &str = r#"[
  {"name": "a", "models": ["*"], "cluster": "ca", "timeout": "100ms",
   "limits": {"requestBytes": "16B", "responseBytes": "64B", "inFlight": 2, "bufferedBytes": "4KiB"},
   "breaker": {"failures": 3, "retryAfter": "1s"}},
  {"name": "b", "models": ["*"], "cluster": "cb", "timeout": "100ms",
   "limits": {"requestBytes": "1KiB", "responseBytes": "1KiB", "inFlight": 3, "bufferedBytes": "3KiB"}}]"#;

struct Bench {
    mirror: Mirror,
    seen: Seen,
    now: u64,
    token: u32,
}

impl Bench {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: &str) -> Self {
        let mirror = Mirror::new(Rc::new(shadows(settings)));
        Self { mirror, seen: Seen::default(), now: 0, token: 0 }
    }

    fn begin(&mut self, shadow: usize, extra: &[Header<'_>]) -> Option<ExchangeId> {
        let mut lines: Vec<Header<'_>> =
            vec![(b":method", b"POST"), (b":path", b"/p"), (b"x-request-id", b"r\n")];
        lines.extend(extra);
        let model = Model { id: "prod/iris".into(), predictor: None };
        let head =
            self.mirror.shadows.prepare_copy(ShadowId::new(shadow), &lines, &model, 0).unwrap();
        self.mirror.begin(ShadowId::new(shadow), Ok(head), self.now, &mut self.seen)
    }

    /// A request with a complete body, not yet answered.
    fn request(&mut self) -> ExchangeId {
        let id = self.begin(0, &[]).unwrap();
        self.mirror.request_chunk(id, b"body", self.now, &mut self.seen);
        self.mirror.request_complete(&[id], None, self.now, &mut self.seen);
        id
    }

    fn dispatch(&mut self) -> Option<u32> {
        let id = self.mirror.next(self.now, &mut self.seen)?;
        let call = self.mirror.call(id).unwrap();
        assert!(call.cluster.starts_with('c'));
        self.token += 1;
        self.mirror.dispatched(id, self.token);
        Some(self.token)
    }

    fn live(&mut self, id: ExchangeId, status: &str, body: &[u8]) {
        self.live_only(id, status, body);
        self.tick();
    }

    fn live_only(&mut self, id: ExchangeId, status: &str, body: &[u8]) {
        let head = Head::of(&[(b":status", status.as_bytes()), JSON]);
        self.mirror.live_head(id, &head, self.now, &mut self.seen);
        self.mirror.live_chunk(id, body, &mut self.seen);
        self.mirror.live_complete(id, self.now, &mut self.seen);
        self.mirror.closed(id, &mut self.seen);
    }

    fn answer(&mut self, token: u32, headers: &[Header<'_>], body: &[u8]) {
        self.answer_only(token, headers, body);
        self.tick();
    }

    fn answer_only(&mut self, token: u32, headers: &[Header<'_>], body: &[u8]) {
        assert!(self.mirror.wanted(token) <= 1 << 20);
        let answer = Answer { headers, trailers: &[], body, body_len: body.len() };
        self.mirror.answer(token, &answer, self.now, &mut self.seen);
    }

    fn tick(&mut self) {
        self.mirror.catch_up(self.now, &mut self.seen);
    }

    fn is_at_rest(&self) -> bool {
        (0..2)
            .filter_map(|i| self.mirror.gauges(ShadowId::new(i)))
            .all(|gauges| (gauges.in_flight, gauges.buffered_bytes) == (0, 0))
            && self.mirror.exchanges.iter().next().is_none()
            && self.mirror.queue.is_empty()
            && !self.mirror.work.is_due()
            && self.mirror.tokens.is_empty()
            && self.mirror.states.iter().all(|s| (s.receiving, s.queued) == (0, 0))
    }
}

const JSON: Header<'static> = (b"content-type", b"application/json");

const TIME: Header<'static> = (b"x-envoy-upstream-service-time", b"1");

fn status(status: &'static str) -> [Header<'static>; 3] {
    [(b":status", status.as_bytes()), JSON, TIME]
}

const WITH_BASELINE: &str = r#"[{"name": "a", "models": ["*"], "cluster": "ca",
  "limits": {"responseBytes": "1KiB"}, "compare": {"baselineCluster": "outbound|80||live"}}]"#;

/// A request with a shadow and its baseline, complete; the shadow's copy is sent, with token 1.
fn with_baseline() -> (Bench, Vec<ExchangeId>) {
    let mirror = Mirror::new(Rc::new(shadows(WITH_BASELINE)));
    let mut bench = Bench { mirror, seen: Seen::default(), now: 0, token: 0 };
    let ids = bench.begin_both();
    for id in &ids {
        bench.mirror.request_complete(&[*id], None, bench.now, &mut bench.seen);
    }
    let first = bench.mirror.next(0, &mut bench.seen).unwrap();
    assert_eq!(bench.mirror.call(first).unwrap().cluster, "ca");
    bench.mirror.dispatched(first, OF_SHADOW);
    assert_eq!(bench.mirror.next(0, &mut bench.seen), None, "the live answer is not there");
    (bench, ids)
}

const OF_SHADOW: u32 = 1;

const OF_BASELINE: u32 = 2;

impl Bench {
    /// A request with a shadow and its baseline.
    fn begin_both(&mut self) -> Vec<ExchangeId> {
        let lines: [Header<'_>; 2] = [(b":method", b"POST"), (b":path", b"/p")];
        let model = Model { id: "prod/iris".into(), predictor: None };
        let copies = [0, 1].map(ShadowId::new).map(|shadow| {
            let copy = self.mirror.shadows.prepare_copy(shadow, &lines, &model, 0);
            (shadow, copy.ok_or(Outcome::Orphaned))
        });
        self.mirror.begin_all(copies.into(), 0, &mut self.seen)
    }

    /// The live answer, after which the baseline's copy leaves.
    fn live_and_baseline(&mut self, ids: &[ExchangeId], body: &[u8]) {
        ids.iter().for_each(|id| self.live(*id, "200", body));
        let second = self.mirror.next(self.now, &mut self.seen).unwrap();
        let call = self.mirror.call(second).unwrap();
        assert_eq!(call.cluster, "outbound|80||live");
        let authority = call.head.lines().find(|(name, _)| *name == b":authority");
        assert_eq!(authority, Some((&b":authority"[..], &b"live"[..])));
        self.mirror.dispatched(second, OF_BASELINE);
    }
}
