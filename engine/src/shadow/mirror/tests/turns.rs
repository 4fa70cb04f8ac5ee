//! When exchanges are compared: at once, in their turn, or never.

use super::super::work::Size;
use super::*;

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
    /// As if the first shadow had been compared for so many steps.
    fn pay(&mut self, size: Size, steps: u32) {
        self.mirror.work.pay(size, ShadowId::new(0), steps, self.now);
    }

    /// An exchange of which both answers come, the live one first or last.
    fn exchange(&mut self, live_first: bool, live: &[u8], answer: &[u8]) {
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
        assert!(bench.mirror.needs_tick(), "it has its turn soon");
        bench.tick();
        assert_eq!((bench.seen.outcomes.len(), bench.mirror.needs_tick()), (1, false));
        // The shadow's own callback makes nobody wait.
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        bench.live_only(id, "200", b"[1]");
        bench.answer_only(token, &status("200"), &shadow);
        assert_eq!(bench.seen.outcomes.len(), 2);
        assert!(bench.is_at_rest());
    }
    // A baseline's callback is for one exchange of the two.
    let (mut bench, ids) = with_baseline();
    bench.answer(OF_SHADOW, &status("200"), b"[2]");
    bench.live_and_baseline(&ids, b"[1]");
    bench.answer_only(OF_BASELINE, &status("200"), b"[1]");
    assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
    assert!(bench.mirror.needs_tick());
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
    bench.exchange(true, b"[1]", &large());
    assert_eq!(bench.seen.outcomes, [Outcome::Mismatched], "with time to spare, at once");
    bench.pay(Size::Medium, 1 << 17);
    bench.exchange(true, b"[1]", &large());
    bench.exchange(false, b"[1]", &large());
    bench.exchange(true, b"[1]", b"[1]");
    bench.exchange(false, b"[1]", b"[1]");
    let small = [Outcome::Mismatched, Outcome::Matched, Outcome::Matched];
    assert_eq!(bench.seen.outcomes, small);
    assert!(bench.mirror.work.is_due() && !bench.mirror.needs_tick(), "not yet");
    bench.now = 9_000 * MS;
    bench.tick();
    assert_eq!(bench.seen.outcomes[3..], [Outcome::Mismatched; 2]);
    assert!(bench.is_at_rest());
}

/// Whether a request asks for a stream is known by its bytes, all of which are looked at.
#[test]
fn a_look_at_a_request_counts_as_well() {
    for (bytes, requests) in [(60_000, 200), (16_000, 2000)] {
        let mut bench = Bench::with(LARGE);
        let body = [b"{".as_slice(), &vec![b' '; bytes]].concat();
        for _ in 0..requests {
            let id = bench.begin(0, &[]).unwrap();
            bench.mirror.request_chunk(id, &body, bench.now, &mut bench.seen);
            bench.mirror.request_complete(&[id], None, bench.now, &mut bench.seen);
            bench.mirror.live_failed(id, &mut bench.seen);
        }
        bench.seen.outcomes.clear();
        let is_large = bytes > 16_384;
        bench.exchange(true, b"[1]", &if is_large { large() } else { b"[2]".to_vec() });
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
        bench.exchange(false, &live, &shadow);
    }
    let compared = bench.seen.outcomes.iter().filter(|o| **o == Outcome::Matched).count();
    assert!((100..700).contains(&compared), "{compared} in a second");
    assert!(bench.mirror.work.is_due() && !bench.mirror.needs_tick());
    // They do not use up what is for large ones.
    bench.now += 100 * MS;
    let behind = bench.seen.outcomes.len();
    bench.tick();
    assert!(bench.seen.outcomes.len() > behind, "and they are compared in the end");
    bench.pay(Size::Small, u32::MAX);
    bench.exchange(true, b"[1]", &large());
    assert_eq!(bench.seen.outcomes.last(), Some(&Outcome::Mismatched));
}

#[test]
fn a_tick_compares_some_pairs_and_not_all() {
    let mut bench = Bench::with(
        r#"[{"name": "a", "models": ["*"], "cluster": "ca", "timeout": "100ms",
           "limits": {"responseBytes": "64KiB", "inFlight": 999, "bufferedBytes": "32MiB"}}]"#,
    );
    bench.pay(Size::Medium, 1 << 17);
    let (live, shadow) = numbers(1000);
    for _ in 0..100 {
        bench.exchange(true, &live, &shadow);
    }
    assert_eq!(bench.seen.outcomes, []);
    bench.now = 9_000 * MS;
    let mut ticks = 0;
    bench.tick();
    while bench.mirror.needs_tick() {
        ticks += 1;
        assert_eq!(bench.seen.outcomes.len(), 3 * ticks, "after {ticks} ticks");
        bench.tick();
    }
    assert!(ticks > 5 && bench.seen.outcomes.len() < 100, "until it is in debt");
    // The same bytes are no steps, and take time to be found so.
    let mut bench = Bench::with(LARGE);
    bench.pay(Size::Medium, 1 << 17);
    for _ in 0..4 {
        bench.exchange(true, &vec![b' '; 60_000], &vec![b' '; 60_000]);
    }
    bench.now = 9_000 * MS;
    bench.tick();
    assert_eq!(bench.seen.outcomes.len(), 4);
}

/// Answers of 10 kB, 60 of them a second, are far from what a worker may compare: those that waited
/// for a large exchange are made up for.
#[test]
fn after_a_large_pair_those_that_waited_are_made_up_for() {
    let mut bench = Bench::with(
        r#"[{"name": "a", "models": ["*"], "cluster": "ca", "timeout": "100ms",
           "limits": {"responseBytes": "1MiB", "inFlight": 999, "bufferedBytes": "32MiB"}}]"#,
    );
    let (live, shadow) = numbers(1000);
    bench.exchange(true, &digits(15_000), &[&digits(15_000)[..], b" "].concat());
    assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
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
        if bench.now >= bench.mirror.due() {
            bench.mirror.next(bench.now, &mut bench.seen);
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
    bench.pay(Size::Medium, u32::MAX);
    for _ in 0..3 {
        bench.exchange(true, b"[1]", &large());
    }
    let held = bench.mirror.gauges(ShadowId::new(0)).unwrap().buffered_bytes;
    assert!((60_000..120_000).contains(&held), "{held}");
    // The first one makes room for a body that would not fit.
    bench.now = 1001 * MS;
    let id = bench.begin(0, &[]).unwrap();
    bench.mirror.request_chunk(id, &vec![b' '; 204_000], bench.now, &mut bench.seen);
    assert!(bench.mirror.is_open(id));
    assert!(!bench.seen.outcomes.is_empty() && bench.seen.outcomes.len() < 3);
    bench.mirror.closed(id, &mut bench.seen);
    bench.now = 11_000 * MS;
    // There is time again, but nobody calls: the others are given up.
    assert_eq!(bench.mirror.next(bench.now, &mut bench.seen), None);
    let over = bench.seen.outcomes.iter().filter(|o| **o == Outcome::OverBudget).count();
    assert_eq!((over, bench.seen.outcomes.len()), (3, 4));
    assert!(bench.is_at_rest());
}

#[test]
fn compressed_answers_count_as_what_they_become() {
    let mut bench = Bench::with(LARGE);
    bench.pay(Size::Medium, u32::MAX);
    for (packed, is_large) in [(1000, false), (2100, true)] {
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        bench.live(id, "200", b"[1]");
        let gzip = (&b"content-encoding"[..], &b"gzip"[..]);
        bench.answer(token, &[status("200").as_slice(), &[gzip]].concat(), &vec![b'z'; packed]);
        assert_eq!(bench.mirror.work.is_due(), is_large);
        assert_eq!(bench.seen.outcomes, [Outcome::Uncomparable]);
    }
}
