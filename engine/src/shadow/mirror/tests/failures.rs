//! Answers that are none: of a shadow, and of the live model.

use super::*;

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
        // The proxy's timer ends before the timeout has passed on this clock.
        (99, vec![], Outcome::Timeout),
        (99, grpc.clone(), Outcome::Timeout),
        (88, own("503"), Outcome::Timeout),
        (87, own("503"), Outcome::ShadowFailed),
        (99, theirs("503"), Outcome::Mismatched),
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
fn a_call_of_grpc_without_a_status_has_failed() {
    const GRPC: Header<'_> = (b"content-type", b"application/grpc");
    let ok: Header<'_> = (b"grpc-status", b"0");
    let refused: Header<'_> = (b"grpc-status", b"3");
    let text: Header<'_> = (b"content-type", b"application/grpc-web-text");
    for (head, trailers, outcome) in [
        (vec![GRPC], vec![], Outcome::LiveFailed),
        (vec![GRPC], vec![(&b"x-other"[..], &b"1"[..])], Outcome::LiveFailed),
        (vec![GRPC], vec![(b"grpc-status", b"13")], Outcome::LiveFailed),
        (vec![GRPC], vec![ok], Outcome::Matched),
        (vec![GRPC], vec![refused], Outcome::Mismatched),
        (vec![GRPC, ok], vec![], Outcome::Matched),
        // Of these the body tells.
        (vec![text], vec![], Outcome::Mismatched),
    ] {
        let mut bench = Bench::new();
        let id = bench.request();
        let token = bench.dispatch().unwrap();
        let lines: Vec<_> = [(&b":status"[..], &b"200"[..])].into_iter().chain(head).collect();
        bench.mirror.live_head(id, &Head::of(&lines), bench.now, &mut bench.seen);
        bench.mirror.live_trailers(id, &trailers);
        bench.mirror.live_complete(id, bench.now, &mut bench.seen);
        bench.mirror.closed(id, &mut bench.seen);
        bench.answer(token, &[(b":status", b"200"), GRPC, ok], b"");
        assert_eq!(bench.seen.outcomes, [outcome], "{lines:?} {trailers:?}");
        assert!(bench.is_at_rest());
    }
}
