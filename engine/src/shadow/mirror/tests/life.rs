//! What becomes of an exchange, whatever happens to its request, its answers and its copy.

use super::*;

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
    type Fail = fn(&mut Bench, ExchangeId);
    let cases: [(Fail, Outcome); 6] = [
        (|b, id| b.mirror.live_failed(id, &mut b.seen), Outcome::LiveFailed),
        (|b, id| b.live(id, "503", b""), Outcome::LiveFailed),
        (|b, id| b.mirror.live_complete(id, 0, &mut b.seen), Outcome::LiveFailed),
        (|b, id| b.mirror.closed(id, &mut b.seen), Outcome::Orphaned),
        (|b, id| b.live(id, "200", &[b'x'; 65]), Outcome::TooLarge),
        (
            |b, id| {
                let head = Head::of(&[(b":status", b"200"), (b"content-length", b"65")]);
                b.mirror.live_head(id, &head, 0, &mut b.seen);
            },
            Outcome::TooLarge,
        ),
    ];
    for (fail, outcome) in cases {
        let mut bench = Bench::new();
        let id = bench.request();
        assert!(bench.mirror.needs_tick());
        fail(&mut bench, id);
        assert_eq!(bench.seen.outcomes, [outcome]);
        assert!(!bench.mirror.needs_tick() && bench.dispatch().is_none() && bench.is_at_rest());

        // Too late to withdraw: it keeps its place until the shadow is done with it.
        let mut bench = Bench::new();
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        fail(&mut bench, id);
        assert_eq!(bench.seen.outcomes, [outcome]);
        let held = bench.mirror.gauges(ShadowId::new(0)).unwrap();
        assert_eq!(held.in_flight, 1);
        assert!(held.buffered_bytes >= b"body".len(), "the proxy holds the copy");
        assert_eq!(bench.mirror.wanted(token), 0);
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
    bench.mirror.live_head(id, &head, 0, &mut bench.seen);
    bench.mirror.live_complete(id, 1, &mut bench.seen);
    bench.mirror.request_complete(&[id], None, bench.now, &mut bench.seen);
    bench.mirror.closed(id, &mut bench.seen);
    let token = bench.dispatch().unwrap();
    bench.answer(token, &status("200"), b"");
    assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
}

#[test]
fn a_request_is_complete_with_all_announced_bytes() {
    let mut bench = Bench::new();
    let id = bench.begin(0, &[(b"content-length", b"4")]).unwrap();
    bench.mirror.request_chunk(id, b"bo", bench.now, &mut bench.seen);
    assert!(!bench.mirror.is_whole(id));
    bench.mirror.request_chunk(id, b"dy", bench.now, &mut bench.seen);
    assert!(bench.mirror.is_whole(id));
    bench.mirror.request_complete(&[id], None, bench.now, &mut bench.seen);
    bench.live(id, "200", b"[1]");
    let token = bench.dispatch().unwrap();
    // An end that comes later after all says nothing new.
    bench.mirror.request_complete(&[id], None, bench.now, &mut bench.seen);
    assert_eq!(bench.dispatch(), None);
    bench.answer(token, &status("200"), b"[1]");
    assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
    assert!(bench.is_at_rest());
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
    bench.mirror.request_chunk(id, &[0; 16], bench.now, &mut bench.seen);
    bench.mirror.request_chunk(id, &[0; 1], bench.now, &mut bench.seen);
    assert_eq!(bench.seen.outcomes, [Outcome::TooLarge, Outcome::TooLarge]);

    bench.request();
    let late = bench.begin(0, &[]).unwrap();
    bench.request();
    assert_eq!(bench.begin(0, &[]), None, "two are under way");
    bench.mirror.request_complete(&[late], None, bench.now, &mut bench.seen);
    assert_eq!(bench.seen.outcomes[2..], [Outcome::OverBudget, Outcome::OverBudget]);
    let token = bench.dispatch().unwrap();
    let (body, body_len) = (&[b'x'; 64][..], 65);
    let answer = Answer { headers: &status("200"), trailers: &[], body, body_len };
    bench.mirror.answer(token, &answer, 0, &mut bench.seen);
    assert_eq!(bench.seen.outcomes[4..], [Outcome::TooLarge]);

    let id = bench.begin(1, &[]).unwrap();
    bench.mirror.request_chunk(id, &[0; 1000], bench.now, &mut bench.seen);
    let other = bench.begin(1, &[]).unwrap();
    bench.mirror.request_chunk(other, &[0; 1000], bench.now, &mut bench.seen);
    assert_eq!(bench.seen.outcomes[5..], [Outcome::OverBudget]);
    bench.mirror.drain(&mut bench.seen);
    assert_eq!(bench.seen.outcomes.len(), bench.seen.selected);
    assert!(bench.is_at_rest());
}

#[test]
fn the_breaker_leaves_a_dead_shadow_alone() {
    let mut bench = Bench::new();
    let fail = |bench: &mut Bench| {
        bench.request();
        let id = bench.mirror.next(bench.now, &mut bench.seen).unwrap();
        bench.mirror.dispatch_failed(id, bench.now, &mut bench.seen);
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
    bench.mirror.next(0, &mut bench.seen).unwrap();
    bench.now = 5_101 * MS;
    assert_eq!(bench.dispatch(), None);
    assert_eq!(bench.seen.outcomes, [Outcome::ShadowFailed, Outcome::Timeout]);
    bench.answer(token, &status("200"), b"[1]");
    assert_eq!(bench.seen.outcomes.len(), 2);
    assert!(bench.is_at_rest());
}

#[test]
fn copies_under_way_are_held() {
    // 16 copies of 512 bytes are too many for 3 KiB, whoever holds them.
    let mut bench = Bench::new();
    let mut tokens = Vec::new();
    for _ in 0..16 {
        let Some(id) = bench.begin(1, &[]) else { continue };
        bench.mirror.request_chunk(id, &[0; 512], bench.now, &mut bench.seen);
        bench.mirror.request_complete(&[id], None, bench.now, &mut bench.seen);
        tokens.extend(bench.dispatch());
    }
    let held = bench.mirror.gauges(ShadowId::new(1)).unwrap();
    assert!((512 * tokens.len()..=3 << 10).contains(&held.buffered_bytes), "{held:?}");
    assert!(tokens.len() < 3, "{} were sent", tokens.len());
    assert_eq!(bench.seen.outcomes, vec![Outcome::OverBudget; 16 - tokens.len()]);
    for token in tokens.drain(..) {
        bench.answer(token, &[], b"");
    }
    let answered = bench.mirror.gauges(ShadowId::new(1)).unwrap();
    assert_eq!(answered.buffered_bytes, 0);
    assert_eq!(bench.seen.outcomes.len(), bench.seen.selected);
    assert!(bench.is_at_rest());
}

#[test]
fn the_bytes_of_a_lost_answer_come_back() {
    let mut bench = Bench::new();
    bench.request();
    bench.dispatch().unwrap();
    assert!(bench.mirror.gauges(ShadowId::new(0)).unwrap().buffered_bytes > 0);
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
        bench.mirror.request_chunk(id, &[0; 200], bench.now, &mut bench.seen);
        bench.mirror.is_open(id).then_some(id)
    };
    let first: Vec<ExchangeId> = (0..8).filter_map(|_| idle(&mut bench)).collect();
    let dropped = bench.seen.outcomes.len();
    assert!((2..8).contains(&first.len()) && dropped == 8 - first.len(), "none is slow yet");
    bench.now = 1001 * MS;
    let id = idle(&mut bench).unwrap();
    assert!(!bench.mirror.is_open(first[0]), "the one that waited longest");
    assert!(first[1..].iter().all(|id| bench.mirror.is_open(*id)), "and no more than needed");
    bench.mirror.request_complete(&[id], None, bench.now, &mut bench.seen);
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
    let ids: Vec<ExchangeId> = (0..2)
        .map(|_| {
            let id = bench.begin(1, &[]).unwrap();
            bench.mirror.request_complete(&[id], None, bench.now, &mut bench.seen);
            let token = bench.dispatch().unwrap();
            bench.answer(token, &status("200"), &[b' '; 600]);
            bench.mirror.live_head(id, &head, 0, &mut bench.seen);
            bench.mirror.live_chunk(id, &[b' '; 10], &mut bench.seen);
            id
        })
        .collect();
    bench.now = 1001 * MS;
    let id = bench.begin(1, &[]).unwrap();
    bench.mirror.request_chunk(id, &[0; 900], bench.now, &mut bench.seen);
    assert!(bench.mirror.is_open(id) && !bench.mirror.is_open(ids[0]));
    bench.mirror.drain(&mut bench.seen);
    assert_eq!(bench.seen.outcomes.len(), bench.seen.selected);
}

#[test]
fn requests_that_arrive_are_bounded_and_given_up() {
    let mut bench = Bench::new();
    let arriving = |bench: &mut Bench| (0..20).filter_map(|_| bench.begin(0, &[])).count();
    let places = 4 * 2;
    let bytes = 4096 / size_of::<Exchange>();
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
        bench.mirror.request_chunk(id, b"bo", 0, &mut bench.seen);
        for (at, event) in events {
            bench.now = at * MS;
            match event {
                0 => bench.mirror.request_chunk(id, b"dy", bench.now, &mut bench.seen),
                1 => bench.mirror.request_complete(&[id], None, bench.now, &mut bench.seen),
                2 => bench.mirror.live_head(id, &head, bench.now, &mut bench.seen),
                _ => bench.mirror.live_complete(id, bench.now, &mut bench.seen),
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
    bench.mirror.request_chunk(ids[0], &[b' '; 17], bench.now, &mut bench.seen);
    for id in &ids[1..] {
        bench.mirror.request_chunk(*id, br#"{"stream": true}"#, bench.now, &mut bench.seen);
    }
    bench.mirror.request_complete(&ids, None, bench.now, &mut bench.seen);
    let expected = [Outcome::TooLarge, Outcome::Uncomparable, Outcome::Uncomparable];
    assert_eq!(bench.seen.outcomes, expected);
    // Who only says so in `accept` is told of likewise.
    let head = Err(Outcome::Uncomparable);
    assert_eq!(bench.mirror.begin(ShadowId::new(0), head, bench.now, &mut bench.seen), None);
    assert_eq!(bench.seen.outcomes.last(), Some(&Outcome::Uncomparable));
    assert_eq!(bench.seen.lines.len(), 2, "once for each shadow: {:?}", bench.seen.lines);
    assert!(bench.is_at_rest());
}

#[test]
fn streams_are_not_asked_for_twice() {
    let mut bench = Bench::new();
    let asks = bench.begin(1, &[]).unwrap();
    bench.mirror.request_chunk(asks, br#"{"stream": true}"#, bench.now, &mut bench.seen);
    bench.mirror.request_complete(&[asks], None, bench.now, &mut bench.seen);
    // An answer that turns out to be a stream: its copy is withdrawn if that is still possible.
    let events = Head::of(&[(b":status", b"200"), (b"content-type", b"text/event-stream; x=y")]);
    let answered = bench.begin(1, &[]).unwrap();
    bench.mirror.request_complete(&[answered], None, bench.now, &mut bench.seen);
    bench.mirror.live_head(answered, &events, 0, &mut bench.seen);
    assert_eq!(bench.dispatch(), None);
    assert_eq!(bench.seen.outcomes, [Outcome::Uncomparable; 2]);
    assert_eq!(bench.seen.lines.len(), 1, "said once: {:?}", bench.seen.lines);
    assert!(bench.is_at_rest());

    let (mut bench, ids) = with_baseline();
    ids.iter().for_each(|id| bench.mirror.live_head(*id, &events, 0, &mut bench.seen));
    assert_eq!(bench.seen.outcomes, [Outcome::Uncomparable; 2]);
    assert!(!bench.mirror.needs_tick(), "the live model is not asked again");
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
