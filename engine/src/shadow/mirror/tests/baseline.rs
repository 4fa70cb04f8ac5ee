//! Copies for the live model itself, and what they say of a shadow.

use super::*;

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
    bench.mirror.live_failed(ids[0], &mut bench.seen);
    bench.mirror.live_failed(ids[1], &mut bench.seen);
    assert!(!bench.mirror.needs_tick(), "the baseline's copy is withdrawn");
    bench.answer(OF_SHADOW, &status("200"), b"[1]");
    assert_eq!(bench.seen.outcomes, [Outcome::LiveFailed; 2]);
    assert!(bench.is_at_rest());
    let lines: [Header<'_>; 3] =
        [(b":method", b"POST"), (b":path", b"/p"), (b"content-length", b"99999999")];
    let model = Model { id: "prod/iris".into(), predictor: None };
    let copies = [0, 1].map(ShadowId::new).map(|shadow| {
        (
            shadow,
            bench.mirror.shadows.prepare_copy(shadow, &lines, &model, 0).ok_or(Outcome::Orphaned),
        )
    });
    assert_eq!(bench.mirror.begin_all(copies.into(), 0, &mut bench.seen), []);
    assert_eq!((bench.seen.selected, bench.seen.outcomes.len()), (3, 3));
}

/// The pods of another subset are other ones; those of another host may be the same, reached another way.
#[test]
fn what_another_subset_answers_is_no_noise() {
    for (live, is_asked) in [
        (Some("outbound|80|v1|iris"), true),
        (Some("outbound|8080|v1|iris"), true),
        (Some("outbound|80||iris"), true),
        (Some("outbound|80|v2|iris"), false),
        (Some("outbound|80|v2|router"), true),
        (Some("inbound|8080||"), true),
        (None, true),
    ] {
        let settings = r#"[{"name": "a", "models": ["*"], "cluster": "ca",
            "compare": {"baselineCluster": "outbound|80|v1|iris"}}]"#;
        let mirror = Mirror::new(Rc::new(shadows(settings)));
        let mut bench = Bench { mirror, seen: Seen::default(), now: 0, token: 0 };
        let ids = bench.begin_both();
        let live = live.map(str::as_bytes);
        bench.mirror.request_complete(&ids, live, bench.now, &mut bench.seen);
        let first = bench.mirror.next(0, &mut bench.seen).unwrap();
        bench.mirror.dispatched(first, OF_SHADOW);
        for id in &ids {
            bench.live(*id, "200", b"[1]");
        }
        bench.answer(OF_SHADOW, &status("200"), b"[1]");
        if is_asked {
            let second = bench.mirror.next(0, &mut bench.seen).unwrap();
            bench.mirror.dispatched(second, OF_BASELINE);
            bench.answer(OF_BASELINE, &status("200"), b"[1]");
        }
        let expected = if is_asked { Outcome::Matched } else { Outcome::Uncomparable };
        assert_eq!(bench.seen.outcomes, [expected; 2], "{live:?}");
        assert_eq!(bench.seen.lines.iter().any(|l| l.contains("another subset")), !is_asked);
        assert!(bench.is_at_rest());
    }
}

#[test]
fn a_copy_for_the_cluster_of_the_live_model_waits_for_its_answer() {
    // Another model in the same server.
    const OTHER: &str = r#"[{"name": "a", "models": ["*"], "cluster": "ca", "path": "/other"}]"#;
    for (live, waits) in [(Some(&b"ca"[..]), true), (Some(b"cb"), false), (None, false)] {
        let mut bench = Bench::with(OTHER);
        let id = bench.begin(0, &[]).unwrap();
        bench.mirror.request_complete(&[id], live, bench.now, &mut bench.seen);
        assert_eq!(bench.mirror.needs_tick(), !waits, "{live:?}");
        bench.live(id, "200", b"[1]");
        let token = bench.dispatch().unwrap();
        bench.answer(token, &status("200"), b"[1]");
        assert_eq!(bench.seen.outcomes, [Outcome::Matched]);
        assert!(bench.is_at_rest());
    }
    // Withdrawn with the live answer, and never sent for a client that went away.
    let mut bench = Bench::with(OTHER);
    for outcome in [Outcome::LiveFailed, Outcome::Orphaned] {
        let id = bench.begin(0, &[]).unwrap();
        bench.mirror.request_complete(&[id], Some(b"ca"), bench.now, &mut bench.seen);
        match outcome {
            Outcome::LiveFailed => bench.live(id, "503", b""),
            _ => bench.mirror.closed(id, &mut bench.seen),
        }
        assert_eq!(bench.dispatch(), None);
        assert_eq!(bench.seen.outcomes.last(), Some(&outcome));
    }
    assert!(bench.is_at_rest());
}

/// Where a split, say, sends some requests to the shadow's own pods.
#[test]
fn the_live_model_is_not_its_own_shadow() {
    const V2: &str = "outbound|80|v2|iris";
    let no_more = "{}";
    for (more, cluster, live, is_itself) in [
        (no_more, V2, Some(V2), true),
        (no_more, "iris", Some("iris"), true),
        (no_more, V2, Some("outbound|80|v1|iris"), false),
        (no_more, V2, Some("outbound|80||iris"), false),
        (no_more, V2, Some("outbound|8080|v2|iris"), false),
        (no_more, V2, None, false),
        (r#"{"path": "/p"}"#, V2, Some(V2), true),
        (r#"{"path": "/p?model=v2"}"#, V2, Some(V2), false),
        (r#"{"path": "/{model}"}"#, V2, Some(V2), false),
        (r#"{"authority": "iris"}"#, V2, Some(V2), true),
        (r#"{"authority": "models.example.com"}"#, V2, Some(V2), true),
        (r#"{"authority": "iris-v2.example.com"}"#, V2, Some(V2), false),
        (r#"{"headers": {"set": {"seldon-model": "iris-v2"}}}"#, V2, Some(V2), false),
    ] {
        let mut setting: serde_json::Value = serde_json::from_str(more).unwrap();
        for (name, value) in
            [("name", "a".into()), ("models", vec!["*"].into()), ("cluster", cluster.into())]
        {
            setting[name] = value;
        }
        let mut bench = Bench::with(&serde_json::json!([setting]).to_string());
        for _ in 0..2 {
            let id = bench.begin(0, &[(b":authority", b"models.example.com")]).unwrap();
            let live = live.map(str::as_bytes);
            bench.mirror.request_complete(&[id], live, bench.now, &mut bench.seen);
            bench.live(id, "200", b"[1]");
            if let Some(copy) = bench.mirror.next(bench.now, &mut bench.seen) {
                bench.mirror.dispatched(copy, 7);
                bench.answer(7, &status("200"), b"[1]");
            }
        }
        let outcome = if is_itself { Outcome::Uncomparable } else { Outcome::Matched };
        assert_eq!(bench.seen.outcomes, [outcome; 2], "{more} {cluster} {live:?}");
        let said = bench.seen.lines.iter().filter(|line| line.contains("the live model itself"));
        assert_eq!(said.count(), usize::from(is_itself), "{more} {cluster} {live:?}");
        assert!(bench.is_at_rest());
    }
}
