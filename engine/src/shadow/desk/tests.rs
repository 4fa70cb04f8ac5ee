//! One outcome for each selected request, whatever the order of events.

use super::super::compare::Kind;
use super::super::settings::tests::shadows;
use super::*;
use crate::target::Model;
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

impl Sink for Seen {
    fn selected(&mut self, _: usize) {
        self.selected += 1;
    }
    fn outcome(&mut self, _: usize, outcome: Outcome) {
        self.outcomes.push(outcome);
    }
    fn difference(&mut self, _: usize, kind: Kind) {
        self.kinds.push(kind);
    }
    fn latencies(&mut self, _: usize, live: u64, shadow: u64) {
        self.latencies.push((live, shadow));
    }
    fn score_difference(&mut self, _: usize, millionths: u64) {
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
    desk: Desk,
    seen: Seen,
    now: u64,
    token: u32,
}

impl Bench {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: &str) -> Self {
        let desk = Desk::new(Rc::new(shadows(settings)));
        Self { desk, seen: Seen::default(), now: 0, token: 0 }
    }

    fn begin(&mut self, shadow: usize, extra: &[Header<'_>]) -> Option<Id> {
        let mut lines: Vec<Header<'_>> =
            vec![(b":method", b"POST"), (b":path", b"/p"), (b"x-request-id", b"r\n")];
        lines.extend(extra);
        let model = Model { id: "prod/iris".into(), predictor: None };
        let head = self.desk.shadows.copy(shadow, &lines, &model, 0).unwrap();
        self.desk.begin(shadow, Ok(head), self.now, &mut self.seen)
    }

    /// A request with a complete body, not yet answered.
    fn request(&mut self) -> Id {
        let id = self.begin(0, &[]).unwrap();
        self.desk.request_chunk(id, b"body", self.now, &mut self.seen);
        self.desk.request_complete(&[id], None, self.now, &mut self.seen);
        id
    }

    fn dispatch(&mut self) -> Option<u32> {
        let id = self.desk.next(self.now, &mut self.seen)?;
        let call = self.desk.call(id).unwrap();
        assert!(call.cluster.starts_with('c'));
        self.token += 1;
        self.desk.dispatched(id, self.token);
        Some(self.token)
    }

    fn live(&mut self, id: Id, status: &str, body: &[u8]) {
        self.live_only(id, status, body);
        self.tick();
    }

    fn live_only(&mut self, id: Id, status: &str, body: &[u8]) {
        let head = Head::of(&[(b":status", status.as_bytes()), JSON]);
        self.desk.live_head(id, &head, self.now, &mut self.seen);
        self.desk.live_chunk(id, body, &mut self.seen);
        self.desk.live_complete(id, self.now, &mut self.seen);
        self.desk.closed(id, &mut self.seen);
    }

    fn answer(&mut self, token: u32, headers: &[Header<'_>], body: &[u8]) {
        self.answer_only(token, headers, body);
        self.tick();
    }

    fn answer_only(&mut self, token: u32, headers: &[Header<'_>], body: &[u8]) {
        assert!(self.desk.wanted(token) <= 1 << 20);
        let answer = Answer { headers, trailers: &[], body, body_len: body.len() };
        self.desk.answer(token, &answer, self.now, &mut self.seen);
    }

    fn tick(&mut self) {
        self.desk.catch_up(self.now, &mut self.seen);
    }

    fn is_at_rest(&self) -> bool {
        (0..2)
            .filter_map(|i| self.desk.gauges(i))
            .all(|gauges| (gauges.in_flight, gauges.buffered_bytes) == (0, 0))
            && self.desk.pairs.ids().next().is_none()
            && self.desk.queue.is_empty()
            && !self.desk.is_behind()
            && self.desk.tokens.is_empty()
            && self.desk.states.iter().all(|s| (s.receiving, s.queued) == (0, 0))
    }
}

const JSON: Header<'static> = (b"content-type", b"application/json");
const TIME: Header<'static> = (b"x-envoy-upstream-service-time", b"1");

fn status(status: &'static str) -> [Header<'static>; 3] {
    [(b":status", status.as_bytes()), JSON, TIME]
}

#[test]
fn answers_are_compared_in_either_order() {
    for live_first in [true, false] {
        for (shadow, outcome) in [(&b"[1.0]"[..], Outcome::Matched), (b"[2]", Outcome::Mismatched)]
        {
            let mut bench = Bench::new();
            let id = bench.request();
            if live_first {
                bench.now = 7 * MS;
                bench.live(id, "200", b"[1]");
            }
            bench.now = 10 * MS;
            let token = bench.dispatch().unwrap();
            bench.now = 15 * MS;
            bench.answer(token, &status("200"), shadow);
            if !live_first {
                bench.live(id, "200", b"[1]");
            }
            assert_eq!(bench.seen.outcomes, [outcome]);
            assert_eq!(bench.seen.latencies, [(if live_first { 7 } else { 15 }, 5)]);
            if outcome == Outcome::Mismatched {
                assert_eq!(bench.seen.kinds, [Kind::Class]);
                assert_eq!(
                    bench.seen.lines,
                    ["shadow a differs from the live model (model prod/iris, request \"r\\n\"): \
                      class at /0 by 1"]
                );
            }
            assert!(bench.is_at_rest());
        }
    }
}

#[test]
fn live_failures_withdraw_the_copy() {
    type Fail = fn(&mut Bench, Id);
    let cases: [(Fail, Outcome); 6] = [
        (|b, id| b.desk.live_failed(id, &mut b.seen), Outcome::LiveFailed),
        (|b, id| b.live(id, "503", b""), Outcome::LiveFailed),
        (|b, id| b.desk.live_complete(id, 0, &mut b.seen), Outcome::LiveFailed),
        (|b, id| b.desk.closed(id, &mut b.seen), Outcome::Orphaned),
        (|b, id| b.live(id, "200", &[b'x'; 65]), Outcome::TooLarge),
        (
            |b, id| {
                let head = Head::of(&[(b":status", b"200"), (b"content-length", b"65")]);
                b.desk.live_head(id, &head, 0, &mut b.seen);
            },
            Outcome::TooLarge,
        ),
    ];
    for (fail, outcome) in cases {
        let mut bench = Bench::new();
        let id = bench.request();
        assert!(bench.desk.needs_tick());
        fail(&mut bench, id);
        assert_eq!(bench.seen.outcomes, [outcome]);
        assert!(!bench.desk.needs_tick() && bench.dispatch().is_none() && bench.is_at_rest());

        // Too late to withdraw: it keeps its place until the shadow is done with it.
        let mut bench = Bench::new();
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        fail(&mut bench, id);
        assert_eq!(bench.seen.outcomes, [outcome]);
        let held = bench.desk.gauges(0).unwrap();
        assert_eq!(held.in_flight, 1);
        assert!(held.buffered_bytes >= b"body".len(), "the proxy holds the copy");
        assert_eq!(bench.desk.wanted(token), 0);
        bench.answer(token, &status("200"), b"");
        assert_eq!(bench.seen.outcomes, [outcome]);
        assert!(bench.is_at_rest());
    }
}

#[test]
fn a_live_answer_before_the_end_of_the_request_is_kept() {
    let mut bench = Bench::new();
    let id = bench.begin(0, &[]).unwrap();
    let head = Head::of(&status("200"));
    bench.desk.live_head(id, &head, 0, &mut bench.seen);
    bench.desk.live_complete(id, 1, &mut bench.seen);
    bench.desk.request_complete(&[id], None, bench.now, &mut bench.seen);
    bench.desk.closed(id, &mut bench.seen);
    let token = bench.dispatch().unwrap();
    bench.answer(token, &status("200"), b"");
    assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
}

#[test]
fn a_request_is_complete_with_all_announced_bytes() {
    let mut bench = Bench::new();
    let id = bench.begin(0, &[(b"content-length", b"4")]).unwrap();
    bench.desk.request_chunk(id, b"bo", bench.now, &mut bench.seen);
    assert!(!bench.desk.is_whole(id));
    bench.desk.request_chunk(id, b"dy", bench.now, &mut bench.seen);
    assert!(bench.desk.is_whole(id));
    bench.desk.request_complete(&[id], None, bench.now, &mut bench.seen);
    bench.live(id, "200", b"[1]");
    let token = bench.dispatch().unwrap();
    // An end that comes later after all says nothing new.
    bench.desk.request_complete(&[id], None, bench.now, &mut bench.seen);
    assert_eq!(bench.dispatch(), None);
    bench.answer(token, &status("200"), b"[1]");
    assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
    assert!(bench.is_at_rest());
}

#[test]
fn shadows_fail_in_many_ways() {
    let own: fn(&'static str) -> Vec<Header<'static>> = |s| vec![(b":status", s.as_bytes())];
    let theirs: fn(&'static str) -> Vec<Header<'static>> = |s| status(s).to_vec();
    let grpc = vec![(&b":status"[..], &b"200"[..]), (b"grpc-status", b"14")];
    for (after, headers, outcome) in [
        (1, vec![], Outcome::ShadowFailed),
        (100, vec![], Outcome::Timeout),
        (100, own("504"), Outcome::Timeout),
        (99, own("504"), Outcome::Timeout),
        (5, own("503"), Outcome::ShadowFailed),
        (5, grpc.clone(), Outcome::ShadowFailed),
        (100, grpc, Outcome::Timeout),
        (5, theirs("503"), Outcome::Mismatched),
        (5, theirs("504"), Outcome::Mismatched),
        (5, theirs("401"), Outcome::ShadowFailed),
        (5, theirs("403"), Outcome::ShadowFailed),
        (5, theirs("404"), Outcome::Mismatched),
    ] {
        let mut bench = Bench::new();
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        bench.live(id, "200", b"[1]");
        bench.now = after * MS;
        bench.answer(token, &headers, b"");
        assert_eq!(bench.seen.outcomes, [outcome], "{headers:?} after {after} ms");
        assert!(bench.is_at_rest());
    }
}

#[test]
fn the_remedy_is_told_once() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        bench.live(id, "200", b"[1]");
        bench.answer(token, &status("403"), b"");
    }
    assert_eq!(bench.seen.lines.len(), 1);
    assert!(bench.seen.lines[0].contains("allow the gateway's principal"));
}

#[test]
fn a_remedy_is_not_lost_among_other_lines() {
    let mut bench = Bench::new();
    let refused = |bench: &mut Bench, answers: &[&'static str]| {
        for answer in answers {
            let id = bench.request();
            let token = bench.dispatch().unwrap();
            bench.live(id, "200", b"[1]");
            bench.answer(token, &status(answer), b"[2]");
        }
        bench.seen.lines.iter().filter(|line| line.contains("allow the gateway's")).count()
    };
    assert_eq!(refused(&mut bench, &["200"; 10]), 0);
    assert_eq!(refused(&mut bench, &["403"]), 0, "ten lines a second are all");
    bench.now = 1000 * MS;
    assert_eq!(refused(&mut bench, &["403", "403"]), 1);
}

#[test]
fn limits_hold() {
    let mut bench = Bench::new();
    assert_eq!(bench.begin(0, &[(b"content-length", b"17")]), None);
    let id = bench.begin(0, &[(b"content-length", b"16")]).unwrap();
    bench.desk.request_chunk(id, &[0; 16], bench.now, &mut bench.seen);
    bench.desk.request_chunk(id, &[0; 1], bench.now, &mut bench.seen);
    assert_eq!(bench.seen.outcomes, [Outcome::TooLarge, Outcome::TooLarge]);

    bench.request();
    let late = bench.begin(0, &[]).unwrap();
    bench.request();
    assert_eq!(bench.begin(0, &[]), None, "two are under way");
    bench.desk.request_complete(&[late], None, bench.now, &mut bench.seen);
    assert_eq!(bench.seen.outcomes[2..], [Outcome::OverBudget, Outcome::OverBudget]);
    let token = bench.dispatch().unwrap();
    let (body, body_len) = (&[b'x'; 64][..], 65);
    let answer = Answer { headers: &status("200"), trailers: &[], body, body_len };
    bench.desk.answer(token, &answer, 0, &mut bench.seen);
    assert_eq!(bench.seen.outcomes[4..], [Outcome::TooLarge]);

    let id = bench.begin(1, &[]).unwrap();
    bench.desk.request_chunk(id, &[0; 1000], bench.now, &mut bench.seen);
    let other = bench.begin(1, &[]).unwrap();
    bench.desk.request_chunk(other, &[0; 1000], bench.now, &mut bench.seen);
    assert_eq!(bench.seen.outcomes[5..], [Outcome::OverBudget]);
    bench.desk.drain(&mut bench.seen);
    assert_eq!(bench.seen.outcomes.len(), bench.seen.selected);
    assert!(bench.is_at_rest());
}

#[test]
fn the_breaker_leaves_a_dead_shadow_alone() {
    let mut bench = Bench::new();
    let fail = |bench: &mut Bench| {
        bench.request();
        let id = bench.desk.next(bench.now, &mut bench.seen).unwrap();
        bench.desk.dispatch_failed(id, bench.now, &mut bench.seen);
    };
    (0..3).for_each(|_| fail(&mut bench));
    assert_eq!(bench.seen.outcomes, [Outcome::ShadowFailed; 3]);
    assert_eq!(bench.seen.lines.len(), 1);
    assert_eq!(bench.begin(0, &[]), None);
    bench.now = 1000 * MS;
    let (probe, _other) = (bench.request(), bench.request());
    let token = bench.dispatch().unwrap();
    assert_eq!(bench.dispatch(), None, "one probe");
    assert_eq!(bench.seen.outcomes[3..], [Outcome::BreakerOpen; 2]);
    bench.answer(token, &status("200"), b"[1]");
    bench.live(probe, "200", b"[1]");
    bench.request();
    assert!(bench.dispatch().is_some());
    assert_eq!(bench.seen.outcomes[5..], [Outcome::Matched]);
}

#[test]
fn lost_answers_are_given_up() {
    let mut bench = Bench::new();
    let id = bench.request();
    let token = bench.dispatch().unwrap();
    bench.live(id, "200", b"[1]");
    bench.request();
    bench.desk.next(0, &mut bench.seen).unwrap();
    bench.now = 5_101 * MS;
    assert_eq!(bench.dispatch(), None);
    assert_eq!(bench.seen.outcomes, [Outcome::ShadowFailed, Outcome::Timeout]);
    bench.answer(token, &status("200"), b"[1]");
    assert_eq!(bench.seen.outcomes.len(), 2);
    assert!(bench.is_at_rest());
}

const WITH_BASELINE: &str = r#"[{"name": "a", "models": ["*"], "cluster": "ca",
  "limits": {"responseBytes": "1KiB"}, "compare": {"baselineCluster": "outbound|80||live"}}]"#;

/// A request with a shadow and its baseline, complete; the shadow's copy is sent, with token 1.
fn with_baseline() -> (Bench, Vec<Id>) {
    let desk = Desk::new(Rc::new(shadows(WITH_BASELINE)));
    let mut bench = Bench { desk, seen: Seen::default(), now: 0, token: 0 };
    let lines: [Header<'_>; 2] = [(b":method", b"POST"), (b":path", b"/p")];
    let model = Model { id: "prod/iris".into(), predictor: None };
    let copies = [0, 1].map(|shadow| {
        (shadow, bench.desk.shadows.copy(shadow, &lines, &model, 0).ok_or(Outcome::Orphaned))
    });
    let ids = bench.desk.begin_all(copies.into(), 0, &mut bench.seen);
    for id in &ids {
        bench.desk.request_complete(&[*id], None, bench.now, &mut bench.seen);
    }
    let first = bench.desk.next(0, &mut bench.seen).unwrap();
    assert_eq!(bench.desk.call(first).unwrap().cluster, "ca");
    bench.desk.dispatched(first, OF_SHADOW);
    assert_eq!(bench.desk.next(0, &mut bench.seen), None, "the live answer is not there");
    (bench, ids)
}

const OF_SHADOW: u32 = 1;
const OF_BASELINE: u32 = 2;

impl Bench {
    /// The live answer, after which the baseline's copy leaves.
    fn live_and_baseline(&mut self, ids: &[Id], body: &[u8]) {
        ids.iter().for_each(|id| self.live(*id, "200", body));
        let second = self.desk.next(self.now, &mut self.seen).unwrap();
        let call = self.desk.call(second).unwrap();
        assert_eq!(call.cluster, "outbound|80||live");
        let authority = call.head.lines().find(|(name, _)| *name == b":authority");
        assert_eq!(authority, Some((&b":authority"[..], &b"live"[..])));
        self.desk.dispatched(second, OF_BASELINE);
    }
}

#[test]
fn what_the_live_model_differs_in_itself_is_noise() {
    const LIVE: &[u8] = br#"{"id":"a","predictions":[[0.25,0.75]]}"#;
    let moved: &[u8] = br#"{"id":"b","predictions":[[0.5,0.75]]}"#;
    let decided: &[u8] = br#"{"id":"b","predictions":[[0.75,0.25]]}"#;
    let other_id: &[u8] = br#"{"id":"c","predictions":[[0.25,0.75]]}"#;
    use Outcome::{Matched, Mismatched};
    for (baseline, shadow, outcomes, kinds) in [
        (LIVE, LIVE, [Matched, Matched], &[][..]),
        (LIVE, other_id, [Matched, Mismatched], &[Kind::Value]),
        (other_id, other_id, [Mismatched, Matched], &[Kind::Value]),
        (other_id, moved, [Mismatched, Mismatched], &[Kind::Value, Kind::Score]),
        (moved, moved, [Mismatched, Matched], &[Kind::Value, Kind::Score]),
        // Scores that move by themselves do not excuse another decision, the reverse they do.
        (moved, decided, [Mismatched, Mismatched], &[Kind::Value, Kind::Score, Kind::Class]),
        (decided, moved, [Mismatched, Matched], &[Kind::Value, Kind::Class]),
    ] {
        // The baseline's answer is never the first: its question waits for the live one.
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2]] {
            let (mut bench, ids) = with_baseline();
            for step in order {
                match step {
                    0 => bench.live_and_baseline(&ids, LIVE),
                    1 => bench.answer(OF_SHADOW, &status("200"), shadow),
                    _ => bench.answer(OF_BASELINE, &status("200"), baseline),
                }
            }
            assert_eq!(bench.seen.outcomes, outcomes, "{order:?}");
            assert_eq!(bench.seen.kinds, kinds, "{order:?}");
            assert_eq!((bench.seen.selected, bench.is_at_rest()), (2, true));
        }
    }
}

#[test]
fn without_its_baseline_a_pair_is_uncomparable() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2]] {
        let (mut bench, ids) = with_baseline();
        for step in order {
            match step {
                0 => bench.live_and_baseline(&ids, b"[1]"),
                1 => bench.answer(OF_SHADOW, &status("200"), b"[1]"),
                _ => bench.answer(OF_BASELINE, &status("403"), b""),
            }
        }
        let mut outcomes = bench.seen.outcomes.clone();
        outcomes.sort_by_key(|outcome| outcome.as_str());
        assert_eq!(outcomes, [Outcome::ShadowFailed, Outcome::Uncomparable], "{order:?}");
        assert!(bench.is_at_rest());
    }
}

#[test]
fn a_baseline_is_no_copy_without_its_shadow() {
    let (mut bench, ids) = with_baseline();
    bench.desk.live_failed(ids[0], &mut bench.seen);
    bench.desk.live_failed(ids[1], &mut bench.seen);
    assert!(!bench.desk.needs_tick(), "the baseline's copy is withdrawn");
    bench.answer(OF_SHADOW, &status("200"), b"[1]");
    assert_eq!(bench.seen.outcomes, [Outcome::LiveFailed; 2]);
    assert!(bench.is_at_rest());
    let lines: [Header<'_>; 3] =
        [(b":method", b"POST"), (b":path", b"/p"), (b"content-length", b"99999999")];
    let model = Model { id: "prod/iris".into(), predictor: None };
    let copies = [0, 1].map(|shadow| {
        (shadow, bench.desk.shadows.copy(shadow, &lines, &model, 0).ok_or(Outcome::Orphaned))
    });
    assert_eq!(bench.desk.begin_all(copies.into(), 0, &mut bench.seen), []);
    assert_eq!((bench.seen.selected, bench.seen.outcomes.len()), (3, 3));
}

#[test]
fn copies_under_way_are_held() {
    // 16 copies of 512 bytes are too many for 3 KiB, whoever holds them.
    let mut bench = Bench::new();
    let mut tokens = Vec::new();
    for _ in 0..16 {
        let Some(id) = bench.begin(1, &[]) else { continue };
        bench.desk.request_chunk(id, &[0; 512], bench.now, &mut bench.seen);
        bench.desk.request_complete(&[id], None, bench.now, &mut bench.seen);
        tokens.extend(bench.dispatch());
    }
    let held = bench.desk.gauges(1).unwrap();
    assert!((512 * tokens.len()..=3 << 10).contains(&held.buffered_bytes), "{held:?}");
    assert!(tokens.len() < 3, "{} were sent", tokens.len());
    assert_eq!(bench.seen.outcomes, vec![Outcome::OverBudget; 16 - tokens.len()]);
    for token in tokens.drain(..) {
        bench.answer(token, &[], b"");
    }
    let answered = bench.desk.gauges(1).unwrap();
    assert_eq!(answered.buffered_bytes, 0);
    assert_eq!(bench.seen.outcomes.len(), bench.seen.selected);
    assert!(bench.is_at_rest());
}

#[test]
fn the_bytes_of_a_lost_answer_come_back() {
    let mut bench = Bench::new();
    bench.request();
    bench.dispatch().unwrap();
    assert!(bench.desk.gauges(0).unwrap().buffered_bytes > 0);
    bench.now = 5_101 * MS;
    assert_eq!(bench.dispatch(), None);
    assert!(bench.is_at_rest());
}

#[test]
fn clients_that_wait_make_room() {
    // A little and then nothing: the first few hold what the shadow may hold.
    let mut bench = Bench::new();
    let idle = |bench: &mut Bench| {
        let id = bench.begin(1, &[])?;
        bench.desk.request_chunk(id, &[0; 200], bench.now, &mut bench.seen);
        bench.desk.is_open(id).then_some(id)
    };
    let first: Vec<Id> = (0..8).filter_map(|_| idle(&mut bench)).collect();
    let dropped = bench.seen.outcomes.len();
    assert!((2..8).contains(&first.len()) && dropped == 8 - first.len(), "none is slow yet");
    bench.now = 1001 * MS;
    let id = idle(&mut bench).unwrap();
    assert!(!bench.desk.is_open(first[0]), "the one that waited longest");
    assert!(first[1..].iter().all(|id| bench.desk.is_open(*id)), "and no more than needed");
    bench.desk.request_complete(&[id], None, bench.now, &mut bench.seen);
    let token = bench.dispatch().unwrap();
    bench.live(id, "200", b"[1]");
    bench.answer(token, &status("200"), b"[1]");
    assert_eq!(bench.seen.outcomes.last(), Some(&Outcome::Matched));
    assert!(
        bench.seen.outcomes[..bench.seen.outcomes.len() - 1]
            .iter()
            .all(|o| *o == Outcome::OverBudget)
    );
}

#[test]
fn clients_that_do_not_read_make_room() {
    let mut bench = Bench::new();
    let head = Head::of(&[(b":status", b"200"), JSON]);
    let ids: Vec<Id> = (0..2)
        .map(|_| {
            let id = bench.begin(1, &[]).unwrap();
            bench.desk.request_complete(&[id], None, bench.now, &mut bench.seen);
            let token = bench.dispatch().unwrap();
            bench.answer(token, &status("200"), &[b' '; 600]);
            bench.desk.live_head(id, &head, 0, &mut bench.seen);
            bench.desk.live_chunk(id, &[b' '; 10], &mut bench.seen);
            id
        })
        .collect();
    bench.now = 1001 * MS;
    let id = bench.begin(1, &[]).unwrap();
    bench.desk.request_chunk(id, &[0; 900], bench.now, &mut bench.seen);
    assert!(bench.desk.is_open(id) && !bench.desk.is_open(ids[0]));
    bench.desk.drain(&mut bench.seen);
    assert_eq!(bench.seen.outcomes.len(), bench.seen.selected);
}

#[test]
fn requests_that_arrive_are_bounded_and_given_up() {
    let mut bench = Bench::new();
    let arriving = |bench: &mut Bench| (0..20).filter_map(|_| bench.begin(0, &[])).count();
    let places = 4 * 2;
    let bytes = 4096 / size_of::<Pair>();
    assert!(arriving(&mut bench) <= places.min(bytes));
    assert!(bench.seen.outcomes.iter().all(|outcome| *outcome == Outcome::OverBudget));
    // They make room for others, and in the end they go by themselves.
    bench.now = 1001 * MS;
    assert!(bench.begin(0, &[]).is_some());
    let before = bench.seen.outcomes.len();
    bench.now = 9_000 * MS;
    bench.dispatch();
    assert_eq!(bench.seen.outcomes.len(), before);
    bench.now = 12_000 * MS;
    bench.dispatch();
    assert!(bench.seen.outcomes[before..].iter().all(|outcome| *outcome == Outcome::Orphaned));
    assert_eq!(bench.seen.outcomes.len(), bench.seen.selected);
    assert!(bench.is_at_rest());
}

#[test]
fn a_copy_for_the_cluster_of_the_live_model_waits_for_its_answer() {
    for (live, waits) in [(Some(&b"ca"[..]), true), (Some(b"cb"), false), (None, false)] {
        let mut bench = Bench::new();
        let id = bench.begin(0, &[]).unwrap();
        bench.desk.request_complete(&[id], live, bench.now, &mut bench.seen);
        assert_eq!(bench.desk.needs_tick(), !waits, "{live:?}");
        bench.live(id, "200", b"[1]");
        let token = bench.dispatch().unwrap();
        bench.answer(token, &status("200"), b"[1]");
        assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
        assert!(bench.is_at_rest());
    }
    // Withdrawn with the live answer, and never sent for a client that went away.
    let mut bench = Bench::new();
    for outcome in [Outcome::LiveFailed, Outcome::Orphaned] {
        let id = bench.begin(0, &[]).unwrap();
        bench.desk.request_complete(&[id], Some(b"ca"), bench.now, &mut bench.seen);
        match outcome {
            Outcome::LiveFailed => bench.live(id, "503", b""),
            _ => bench.desk.closed(id, &mut bench.seen),
        }
        assert_eq!(bench.dispatch(), None);
        assert_eq!(bench.seen.outcomes.last(), Some(&outcome));
    }
    assert!(bench.is_at_rest());
}

#[test]
fn what_a_client_takes_to_send_its_request_is_not_the_live_models_time() {
    // When the rest of the body comes, when the request ends, when the answer begins and ends; and
    // what the live model took.
    for (rest, end, begins, ends, took) in [
        (2000, 2000, 2003, 2007, 7),
        // The end of a stream in a frame of its own, and late.
        (0, 2000, 2003, 2007, 7),
        // An answer that does not wait for the whole request.
        (2000, 3000, 1500, 3500, 3500),
    ] {
        let mut bench = Bench::new();
        let id = bench.begin(0, &[]).unwrap();
        let head = Head::of(&[(b":status", b"200"), JSON]);
        let mut events = [(rest, 0), (end, 1), (begins, 2), (ends, 3)];
        events.sort_by_key(|(at, _)| *at);
        bench.desk.request_chunk(id, b"bo", 0, &mut bench.seen);
        for (at, event) in events {
            bench.now = at * MS;
            match event {
                0 => bench.desk.request_chunk(id, b"dy", bench.now, &mut bench.seen),
                1 => bench.desk.request_complete(&[id], None, bench.now, &mut bench.seen),
                2 => bench.desk.live_head(id, &head, bench.now, &mut bench.seen),
                _ => bench.desk.live_complete(id, bench.now, &mut bench.seen),
            }
        }
        let token = bench.dispatch().unwrap();
        bench.now += 5 * MS;
        bench.answer(token, &status("200"), b"");
        assert_eq!(bench.seen.latencies, [(took, 5)]);
    }
}

#[test]
fn all_copies_of_a_request_hear_at_once_that_it_asks_for_a_stream() {
    let mut bench = Bench::new();
    let ids = [0, 1, 1].map(|shadow| bench.begin(shadow, &[]).unwrap());
    // One of them has lost its body before: the others have it.
    bench.desk.request_chunk(ids[0], &[b' '; 17], bench.now, &mut bench.seen);
    for id in &ids[1..] {
        bench.desk.request_chunk(*id, br#"{"stream": true}"#, bench.now, &mut bench.seen);
    }
    bench.desk.request_complete(&ids, None, bench.now, &mut bench.seen);
    let expected = [Outcome::TooLarge, Outcome::Uncomparable, Outcome::Uncomparable];
    assert_eq!(bench.seen.outcomes, expected);
    // Who only says so in `accept` is told of likewise.
    let head = Err(Outcome::Uncomparable);
    assert_eq!(bench.desk.begin(0, head, bench.now, &mut bench.seen), None);
    assert_eq!(bench.seen.outcomes.last(), Some(&Outcome::Uncomparable));
    assert_eq!(bench.seen.lines.len(), 2, "once for each shadow: {:?}", bench.seen.lines);
    assert!(bench.is_at_rest());
}

#[test]
fn streams_are_not_asked_for_twice() {
    let mut bench = Bench::new();
    let asks = bench.begin(1, &[]).unwrap();
    bench.desk.request_chunk(asks, br#"{"stream": true}"#, bench.now, &mut bench.seen);
    bench.desk.request_complete(&[asks], None, bench.now, &mut bench.seen);
    // An answer that turns out to be a stream: its copy is withdrawn if that is still possible.
    let events = Head::of(&[(b":status", b"200"), (b"content-type", b"text/event-stream; x=y")]);
    let answered = bench.begin(1, &[]).unwrap();
    bench.desk.request_complete(&[answered], None, bench.now, &mut bench.seen);
    bench.desk.live_head(answered, &events, 0, &mut bench.seen);
    assert_eq!(bench.dispatch(), None);
    assert_eq!(bench.seen.outcomes, [Outcome::Uncomparable; 2]);
    assert_eq!(bench.seen.lines.len(), 1, "said once: {:?}", bench.seen.lines);
    assert!(bench.is_at_rest());

    let (mut bench, ids) = with_baseline();
    ids.iter().for_each(|id| bench.desk.live_head(*id, &events, 0, &mut bench.seen));
    assert_eq!(bench.seen.outcomes, [Outcome::Uncomparable; 2]);
    assert!(!bench.desk.needs_tick(), "the live model is not asked again");
}

const LARGE: &str = r#"[{"name": "a", "models": ["*"], "cluster": "ca", "timeout": "100ms",
    "limits": {"requestBytes": "200KiB", "responseBytes": "64KiB", "inFlight": 9, "bufferedBytes": "256KiB"}}]"#;

/// A list that is not small.
fn large() -> Vec<u8> {
    digits(10_000)
}

fn digits(numbers: usize) -> Vec<u8> {
    [b"[".as_slice(), "1,".repeat(numbers).as_bytes(), b"1]"].concat()
}

/// Two lists of numbers of ten bytes that agree. White space is no difference, but has to be read.
fn numbers(count: usize) -> (Vec<u8>, Vec<u8>) {
    let list = [b"[".as_slice(), "0.1234567,".repeat(count).as_bytes(), b"1]"].concat();
    let spaced = [list.as_slice(), b" "].concat();
    (list, spaced)
}

impl Bench {
    /// A pair of which both answers come, the live one first or last.
    fn pair(&mut self, live_first: bool, live: &[u8], answer: &[u8]) {
        let id = self.request();
        let token = self.dispatch().unwrap();
        if live_first {
            self.live(id, "200", live);
        }
        self.answer(token, &status("200"), answer);
        if !live_first {
            self.live(id, "200", live);
        }
    }
}

#[test]
fn nothing_is_compared_while_a_live_stream_waits() {
    for shadow in [b"[2]".to_vec(), large(), b"[1]".to_vec()] {
        let mut bench = Bench::with(LARGE);
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        bench.answer(token, &status("200"), &shadow);
        bench.live_only(id, "200", b"[1]");
        assert_eq!(bench.seen.outcomes, [], "{} bytes", shadow.len());
        assert!(bench.desk.needs_tick(), "it has its turn soon");
        bench.tick();
        assert_eq!((bench.seen.outcomes.len(), bench.desk.needs_tick()), (1, false));
        // The shadow's own callback makes nobody wait.
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        bench.live_only(id, "200", b"[1]");
        bench.answer_only(token, &status("200"), &shadow);
        assert_eq!(bench.seen.outcomes.len(), 2);
        assert!(bench.is_at_rest());
    }
    // A baseline's callback is for one pair of the two.
    let (mut bench, ids) = with_baseline();
    bench.answer(OF_SHADOW, &status("200"), b"[2]");
    bench.live_and_baseline(&ids, b"[1]");
    bench.answer_only(OF_BASELINE, &status("200"), b"[1]");
    assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
    assert!(bench.desk.needs_tick());
    bench.tick();
    assert_eq!(bench.seen.outcomes[1..], [Outcome::Mismatched]);
    // Where there is nothing to compare with, nothing is left to wait for.
    let (mut bench, ids) = with_baseline();
    bench.answer(OF_SHADOW, &status("200"), b"[2]");
    bench.live_and_baseline(&ids, b"[1]");
    bench.answer_only(OF_BASELINE, &status("403"), b"");
    assert_eq!(bench.seen.outcomes, [Outcome::ShadowFailed, Outcome::Uncomparable]);
    assert!(bench.is_at_rest());
}

#[test]
fn large_answers_wait_for_their_turn_and_small_ones_do_not() {
    let mut bench = Bench::with(LARGE);
    bench.pair(true, b"[1]", &large());
    assert_eq!(bench.seen.outcomes, [Outcome::Mismatched], "with time to spare, at once");
    bench.desk.work.pay(false, u32::MAX);
    bench.pair(true, b"[1]", &large());
    bench.pair(false, b"[1]", &large());
    bench.pair(true, b"[1]", b"[1]");
    bench.pair(false, b"[1]", b"[1]");
    let small = [Outcome::Mismatched, Outcome::Matched, Outcome::Matched];
    assert_eq!(bench.seen.outcomes, small);
    assert!(bench.desk.is_behind() && !bench.desk.needs_tick(), "not yet");
    bench.now = 9_000 * MS;
    bench.tick();
    assert_eq!(bench.seen.outcomes[3..], [Outcome::Mismatched; 2]);
    assert!(bench.is_at_rest());
}

/// Whether a request asks for a stream is known by its bytes, all of which are looked at.
#[test]
fn a_look_at_a_request_counts_as_well() {
    for (bytes, requests) in [(200_000, 60), (16_000, 2000)] {
        let mut bench = Bench::with(LARGE);
        let body = [b"{".as_slice(), &vec![b' '; bytes]].concat();
        for _ in 0..requests {
            let id = bench.begin(0, &[]).unwrap();
            bench.desk.request_chunk(id, &body, bench.now, &mut bench.seen);
            bench.desk.request_complete(&[id], None, bench.now, &mut bench.seen);
            bench.desk.live_failed(id, &mut bench.seen);
        }
        bench.seen.outcomes.clear();
        let is_large = bytes > 16_384;
        bench.pair(true, b"[1]", &if is_large { large() } else { b"[2]".to_vec() });
        assert_eq!(bench.seen.outcomes, [], "there was no time left");
        bench.now = 9_000 * MS;
        bench.tick();
        assert_eq!(bench.seen.outcomes, [Outcome::Mismatched]);
    }
}

#[test]
fn small_answers_that_take_long_count_against_the_next() {
    let mut bench = Bench::with(LARGE);
    // Of as many bytes as are small, and as many values as they can have.
    let (live, shadow) = (digits(4000), [&digits(4000)[..], b" "].concat());
    for _ in 0..1000 {
        bench.now += MS;
        bench.pair(false, &live, &shadow);
    }
    let compared = bench.seen.outcomes.iter().filter(|o| **o == Outcome::Matched).count();
    assert!((100..700).contains(&compared), "{compared} in a second");
    assert!(bench.desk.is_behind() && !bench.desk.needs_tick());
    // They do not use up what is for large ones.
    bench.now += 100 * MS;
    let behind = bench.seen.outcomes.len();
    bench.tick();
    assert!(bench.seen.outcomes.len() > behind, "and they are compared in the end");
    bench.desk.work.pay(true, u32::MAX);
    bench.pair(true, b"[1]", &large());
    assert_eq!(bench.seen.outcomes.last(), Some(&Outcome::Mismatched));
}

#[test]
fn a_tick_compares_some_pairs_and_not_all() {
    let mut bench = Bench::with(
        r#"[{"name": "a", "models": ["*"], "cluster": "ca", "timeout": "100ms",
           "limits": {"responseBytes": "64KiB", "inFlight": 999, "bufferedBytes": "32MiB"}}]"#,
    );
    bench.desk.work.pay(false, 1 << 18);
    let (live, shadow) = numbers(1000);
    for _ in 0..100 {
        bench.pair(true, &live, &shadow);
    }
    assert_eq!(bench.seen.outcomes, []);
    bench.now = 9_000 * MS;
    let mut ticks = 0;
    bench.tick();
    while bench.desk.needs_tick() {
        ticks += 1;
        assert_eq!(bench.seen.outcomes.len(), 3 * ticks, "after {ticks} ticks");
        bench.tick();
    }
    assert!(ticks > 5 && bench.seen.outcomes.len() < 100, "until it is in debt");
    // The same bytes are no steps, and take time to be found so.
    let mut bench = Bench::with(LARGE);
    bench.desk.work.pay(false, 1 << 18);
    for _ in 0..4 {
        bench.pair(true, &vec![b' '; 60_000], &vec![b' '; 60_000]);
    }
    bench.now = 9_000 * MS;
    bench.tick();
    assert_eq!(bench.seen.outcomes.len(), 4);
}

/// Answers of 10 kB, 60 of them a second, are far from what a worker may compare: those that waited
/// for a large pair are made up for.
#[test]
fn after_a_large_pair_those_that_waited_are_made_up_for() {
    let mut bench = Bench::with(
        r#"[{"name": "a", "models": ["*"], "cluster": "ca", "timeout": "100ms",
           "limits": {"responseBytes": "1MiB", "inFlight": 999, "bufferedBytes": "32MiB"}}]"#,
    );
    let (live, shadow) = numbers(1000);
    bench.pair(true, &digits(250_000), &[&digits(250_000)[..], b" "].concat());
    assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
    let mut looked = 0;
    let mut asked = 1;
    let mut behind = 0;
    for millis in 0..20_000 {
        bench.now = millis * MS;
        if millis % 17 == 0 {
            let id = bench.request();
            let token = bench.dispatch().unwrap();
            bench.answer_only(token, &status("200"), &shadow);
            bench.live_only(id, "200", &live);
            asked += 1;
        }
        // As ticks come: soon if there is something to do, else some times a second.
        if bench.desk.needs_tick() || millis - looked >= 100 {
            looked = millis;
            bench.desk.next(bench.now, &mut bench.seen);
            bench.tick();
        }
        behind = asked - bench.seen.outcomes.len();
    }
    assert!(behind <= 2, "{behind} wait");
    assert_eq!(bench.seen.outcomes, vec![Outcome::Matched; asked - behind]);
}

#[test]
fn what_is_never_compared_makes_room_and_goes_in_the_end() {
    let mut bench = Bench::with(LARGE);
    bench.desk.work.pay(false, u32::MAX);
    for _ in 0..3 {
        bench.pair(true, b"[1]", &large());
    }
    let held = bench.desk.gauges(0).unwrap().buffered_bytes;
    assert!((60_000..120_000).contains(&held), "{held}");
    // The first one makes room for a body that would not fit.
    bench.now = 1001 * MS;
    let id = bench.begin(0, &[]).unwrap();
    bench.desk.request_chunk(id, &vec![b' '; 204_000], bench.now, &mut bench.seen);
    assert!(bench.desk.is_open(id));
    assert!(!bench.seen.outcomes.is_empty() && bench.seen.outcomes.len() < 3);
    bench.desk.closed(id, &mut bench.seen);
    bench.now = 11_000 * MS;
    // There is time again, but nobody calls: the others are given up.
    assert_eq!(bench.desk.next(bench.now, &mut bench.seen), None);
    let over = bench.seen.outcomes.iter().filter(|o| **o == Outcome::OverBudget).count();
    assert_eq!((over, bench.seen.outcomes.len()), (3, 4));
    assert!(bench.is_at_rest());
}

#[test]
fn coded_answers_are_never_small() {
    let mut bench = Bench::with(LARGE);
    bench.desk.work.pay(false, u32::MAX);
    let id = bench.request();
    let token = bench.dispatch().unwrap();
    bench.live(id, "200", b"[1]");
    let gzip = (&b"content-encoding"[..], &b"gzip"[..]);
    bench.answer(token, &[status("200").as_slice(), &[gzip]].concat(), b"small");
    assert!(bench.desk.is_behind() && bench.seen.outcomes.is_empty());
}

#[test]
fn what_refuses_all_copies_is_told_with_a_remedy() {
    let mut bench = Bench::new();
    let refused = |bench: &mut Bench, answer: &'static str| {
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        bench.live(id, "200", b"[1]");
        // Each in a second of its own: other lines are not in the way.
        bench.now += 1000 * MS;
        bench.answer(token, &status(answer), b"[1]");
        bench.seen.lines.iter().filter(|line| line.contains("in a row")).count()
    };
    (0..9).for_each(|_| assert_eq!(refused(&mut bench, "400"), 0));
    assert_eq!(refused(&mut bench, "200"), 0, "not in a row");
    (0..9).for_each(|_| assert_eq!(refused(&mut bench, "400"), 0));
    assert_eq!(refused(&mut bench, "404"), 1);
    assert_eq!(refused(&mut bench, "404"), 1, "once");

    let (mut bench, ids) = with_baseline();
    bench.answer(OF_SHADOW, &status("200"), b"[1]");
    bench.live_and_baseline(&ids, b"[1]");
    bench.answer(OF_BASELINE, &status("404"), b"");
    let told = bench.seen.lines.iter().find(|line| line.contains("compare.baselinePath"));
    assert!(
        told.is_some_and(|line| line.starts_with("shadow a/baseline")),
        "{:?}",
        bench.seen.lines
    );
}

#[derive(Debug, Clone)]
enum Event {
    Begin(usize),
    Chunk(usize, u16),
    Complete(usize),
    LiveHead(usize, &'static str),
    LiveChunk(usize, u16),
    LiveComplete(usize),
    LiveFailed(usize),
    Closed(usize),
    Dispatch,
    Tick,
    DispatchFails,
    Forget,
    Answer(u32, &'static str, u16),
    Wait(u16),
}

fn any_event() -> impl Strategy<Value = Event> {
    let status = || prop::sample::select(vec!["200", "404", "403", "500", "503", ""]);
    let pair = 0..12usize;
    prop_oneof![
        4 => (0..2usize).prop_map(Event::Begin),
        3 => (pair.clone(), 0..40u16).prop_map(|(p, n)| Event::Chunk(p, n)),
        5 => pair.clone().prop_map(Event::Complete),
        4 => (pair.clone(), status()).prop_map(|(p, s)| Event::LiveHead(p, s)),
        3 => (pair.clone(), 0..90u16).prop_map(|(p, n)| Event::LiveChunk(p, n)),
        4 => pair.clone().prop_map(Event::LiveComplete),
        1 => pair.clone().prop_map(Event::LiveFailed),
        2 => pair.prop_map(Event::Closed),
        6 => Just(Event::Dispatch),
        3 => Just(Event::Tick),
        1 => Just(Event::DispatchFails),
        1 => Just(Event::Forget),
        5 => (1..30u32, status(), 0..90u16).prop_map(|(t, s, n)| Event::Answer(t, s, n)),
        2 => (0..3000u16).prop_map(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn every_selected_request_has_one_outcome(events in prop::collection::vec(any_event(), 0..200)) {
        let mut bench = Bench::new();
        let mut ids: Vec<Id> = Vec::new();
        for event in events {
            // Recent pairs are spoken of most.
            let pair = |n: usize| ids.iter().rev().nth(n).copied();
            let (now, seen) = (bench.now, &mut bench.seen);
            match event {
                Event::Begin(shadow) => ids.extend(bench.begin(shadow, &[])),
                Event::Chunk(p, n) => if let Some(id) = pair(p) {
                    bench.desk.request_chunk(id, &vec![b'x'; n.into()], now, seen);
                },
                Event::Complete(p) => if let Some(id) = pair(p) {
                    bench.desk.request_complete(&[id], None, now, seen);
                },
                Event::LiveHead(p, status) => if let Some(id) = pair(p) {
                    let head = Head::of(&[(b":status", status.as_bytes())]);
                    bench.desk.live_head(id, &head, now, seen);
                },
                Event::LiveChunk(p, n) => if let Some(id) = pair(p) {
                    bench.desk.live_chunk(id, &vec![b'x'; n.into()], seen);
                },
                Event::LiveComplete(p) => if let Some(id) = pair(p) {
                    bench.desk.live_complete(id, now, seen);
                },
                Event::LiveFailed(p) => if let Some(id) = pair(p) {
                    bench.desk.live_failed(id, seen);
                },
                Event::Closed(p) => if let Some(id) = pair(p) {
                    bench.desk.closed(id, seen);
                },
                Event::Dispatch => { bench.dispatch(); }
                Event::Tick => bench.tick(),
                Event::DispatchFails => if let Some(id) = bench.desk.next(now, seen) {
                    bench.desk.dispatch_failed(id, now, seen);
                },
                Event::Forget => { bench.desk.next(now, seen); }
                Event::Answer(token, status, n) => {
                    let headers: &[Header<'_>] = &[(b":status", status.as_bytes()), TIME];
                    let headers = if status.is_empty() { &[] } else { headers };
                    bench.answer(token, headers, &vec![b'x'; n.into()]);
                }
                Event::Wait(millis) => bench.now += u64::from(millis) * MS,
            }
            for (i, (in_flight, bytes)) in [(2, 4 << 10), (3, 3 << 10)].into_iter().enumerate() {
                let gauges = bench.desk.gauges(i).unwrap();
                prop_assert!(gauges.in_flight <= in_flight && gauges.buffered_bytes <= bytes);
            }
            prop_assert!(bench.seen.outcomes.len() <= bench.seen.selected);
        }
        bench.desk.drain(&mut bench.seen);
        prop_assert_eq!(bench.seen.outcomes.len(), bench.seen.selected);
        prop_assert!(bench.is_at_rest());
    }
}
