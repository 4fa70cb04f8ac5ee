//! Which requests are copied, and what a copy carries.

use super::*;

#[test]
fn a_copy_carries_what_goes_upstream_without_credentials() {
    let plan = with_keys(json!({
        "rewrites": [{"name": "friendly", "match": {"path": "/m/{m}"},
            "path": "/seldon/prod/{m}/api/v1.0/predictions"}],
        "shadows": [{"name": "s", "models": ["prod/iris"], "cluster": "c"},
            {"name": "none", "models": ["prod/iris"], "cluster": "c",
             "when": [{"key": "request.auth.principal", "values": ["nobody/*"]}]}],
    }));
    let headers = [
        ("x-api-key", "abc"),
        ("cookie", "session=1"),
        ("x-request-id", "1-2-3"),
        ("content-type", "application/json"),
    ];
    let decision = decide(&plan, "POST /m/iris", &headers);
    assert_eq!(
        decision.facts.identity.as_ref().unwrap().principal().as_deref(),
        Some("apikey/batch")
    );
    let copies = &forward(&decision).copies;
    let [(shadow, Ok(head))] = copies.as_slice() else { panic!("{copies:?}") };
    assert_eq!(shadow.index(), 0);
    let lines: Vec<(&str, &str)> = head
        .lines()
        .map(|(n, v)| (std::str::from_utf8(n).unwrap(), std::str::from_utf8(v).unwrap()))
        .collect();
    // The route takes the prefix off for the live model, and the shadow is asked the same.
    assert!(lines.contains(&(":path", "/api/v1.0/predictions")), "{lines:?}");
    assert!(lines.contains(&("seldon-puid", "1-2-3")), "{lines:?}");
    let mark = lines.iter().find(|(name, _)| *name == "x-modelgate-shadow").unwrap().1;
    assert!(mark.starts_with("s;"), "{lines:?}");
    // The mark turns copying off, and only the true one, which a client cannot make.
    for (mark, copies) in [(mark, 0), ("s", 1), ("s;0", 1)] {
        let marked = [&headers[..], &[("x-modelgate-shadow", mark)]].concat();
        let decision = decide(&plan, "POST /m/iris", &marked);
        assert_eq!(forward(&decision).copies.len(), copies, "{mark}");
    }
    // Where the rewrite leads to a stream there is none either.
    let plan = with_keys(json!({
        "rewrites": [{"name": "friendly", "match": {"path": "/m/{m}"},
            "path": "/seldon/prod/{m}/v2/models/{m}/infer_stream"}],
        "shadows": [{"name": "s", "models": ["prod/iris"], "cluster": "c"}]}));
    for path in ["POST /m/iris", "POST /m/iris?a", "POST /m/iris#a"] {
        assert_eq!(forward(&decide(&plan, path, &headers)).copies.len(), 0, "{path}");
    }
    assert!(lines.iter().all(|(name, _)| !["x-api-key", "cookie"].contains(name)), "{lines:?}");
}

#[test]
fn who_accepts_a_stream_is_selected_and_gets_no_copy() {
    let plan = with_keys(json!({"shadows": [
        {"name": "s", "models": ["prod/iris"], "cluster": "c",
         "compare": {"baselineCluster": "live"}}]}));
    let outcomes = |accept| {
        let headers = [("x-api-key", "abc"), ("accept", "*/*"), ("accept", accept)];
        let decision = decide(&plan, "POST /seldon/prod/iris/api/v1.0/predictions", &headers);
        let copies = forward(&decision).copies.iter();
        copies.map(|(_, head)| head.as_ref().err().copied()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes("application/json"), [None, None], "the shadow's and its baseline's");
    assert_eq!(outcomes("text/event-stream;q=0"), [None, None]);
    for accept in ["text/event-stream", "application/json, Text/Event-Stream;q=0.5"] {
        assert_eq!(outcomes(accept), [Some(Outcome::Uncomparable)], "{accept}");
    }
}

#[test]
fn what_two_models_answer_alike_or_are_not_asked_alike_is_selected_and_gets_no_copy() {
    let plan = with_keys(json!({"shadows": [
        {"name": "s", "models": ["prod/iris"], "cluster": "c", "query": {"keep": ["a"]},
         "compare": {"baselineCluster": "live"}}]}));
    let outcomes = |line: &str, header| {
        let decision = decide(&plan, line, &[("x-api-key", "abc"), header]);
        let copies = forward(&decision).copies.iter();
        copies.map(|(_, head)| head.as_ref().err().copied()).collect::<Vec<_>>()
    };
    let (plain, upgrade) = (("x-a", "b"), ("upgrade", "websocket"));
    let (compared, not) = (&[None, None][..], &[Some(Outcome::Uncomparable)][..]);
    for (line, header, expected) in [
        ("POST /seldon/prod/iris/predict", plain, compared),
        ("POST /seldon/prod/iris/predict", upgrade, not),
        ("GET /seldon/prod/iris/predict", plain, compared),
        ("GET /seldon/prod/iris/predict?", plain, compared),
        ("GET /seldon/prod/iris/predict?json=%7B%7D", plain, compared),
        ("GET /seldon/prod/iris/predict?json=%7B%7D", upgrade, not),
        ("GET /seldon/prod/iris/predict?a=1", plain, compared),
        ("GET /seldon/prod/iris/predict?b=1", plain, not),
        ("POST /seldon/prod/iris/predict?b=1", plain, compared),
        ("HEAD /seldon/prod/iris/predict", plain, not),
        ("OPTIONS /seldon/prod/iris/predict", plain, not),
    ] {
        assert_eq!(outcomes(line, header), expected, "{line} {header:?}");
    }
}

#[test]
fn a_copy_that_cannot_leave_is_not_made() {
    let plan = with_keys(json!({"shadows": [
        {"name": "s", "models": ["prod/iris"], "cluster": "c",
         "compare": {"baselineCluster": "live"}},
        {"name": "t", "models": ["prod/iris"], "cluster": "c"}]}));
    let baseline = plan.shadows().baseline(ShadowId::new(0)).unwrap().index();
    let copies = |admits: &dyn Fn(ShadowId) -> Result<(), Outcome>| {
        let lines: [Header<'_>; 3] = [
            (b":method", b"POST"),
            (b":path", b"/seldon/prod/iris/api/v1.0/predictions"),
            (b"x-api-key", b"abc"),
        ];
        let attributes = Attributes::new(&NoHost);
        let request = Request::new(&lines, &attributes);
        let decision = plan.decide(&request, &mut plan.token_cache(), admits);
        assert_eq!(decision.facts.verdict, Verdict::Allowed);
        let copies = forward(&decision).copies.iter();
        copies
            .map(|(shadow, head)| (shadow.index(), head.as_ref().err().copied()))
            .collect::<Vec<_>>()
    };
    assert_eq!(copies(&|_| Ok(())), [(0, None), (baseline, None), (1, None)]);
    let open = |refused| {
        move |shadow: ShadowId| {
            if shadow.index() == refused { Err(Outcome::BreakerOpen) } else { Ok(()) }
        }
    };
    let is_open = Some(Outcome::BreakerOpen);
    assert_eq!(copies(&open(0)), [(0, is_open), (1, None)], "no shadow, no baseline");
    assert_eq!(copies(&open(baseline)), [(0, None), (baseline, is_open), (1, None)]);
}
