//! The header of a split: when it is written, and by nobody else.

use super::*;

const VARIANT: &str = "x-modelgate-variant";

fn with_split(more: Value) -> Plan {
    let mut settings = json!({
        "authorization": {"policies": [
            {"name": "no-fraud", "action": "DENY", "models": ["prod/fraud"], "rules": [{}]}]},
        "rewrites": [{"name": "friendly", "match": {"path": "/m/{model}"},
            "path": "/seldon/prod/{model}/api/v1.0/predictions",
            "setHeaders": {"X-Variant": "by-the-rewrite"}}],
        "splits": [{"name": "s", "models": ["prod/*"], "header": "X-Variant",
            "stickyBy": "cookie:variant", "variants": [{"name": "green", "weight": 1}]}],
    });
    let (Some(all), Value::Object(more)) = (settings.as_object_mut(), more) else { panic!() };
    all.extend(more);
    plan(settings)
}

#[test]
fn a_split_writes_its_header_last_and_for_allowed_requests_only() {
    let plan = with_split(json!({}));
    let forged = [("x-variant", "blue"), ("x_variant", "blue"), (VARIANT, "blue")];
    let decision = decide(&plan, "POST /m/iris", &forged);
    let mut lines = forward(&decision).edits.added().filter(|(name, _)| *name == b"x-variant");
    assert_eq!(lines.next().map(|(_, value)| value), Some(&b"green"[..]));
    assert_eq!(lines.next(), None);
    assert_eq!(removed(&decision), [":path", VARIANT, "x-variant", "x_variant"]);
    assert!(forward(&decision).set_cookie.is_some());
    let refused = decide(&plan, "POST /m/fraud", &forged);
    assert_eq!((refused.facts.verdict, code(&refused)), (Verdict::Denied, Some(403)));
    assert_eq!(added(&refused, "x-variant"), None);
}

#[test]
fn copies_of_a_splits_header_go_on_every_way_through() {
    let bypass = json!([{"name": "scrape", "to": [{"operation": {"paths": ["/prometheus"]}}]}]);
    let plan = with_split(json!({"bypass": bypass, "exclude": {"hosts": ["shop.example.com"]}}));
    let forged = [("x-variant", "blue"), ("x_variant", "blue")];
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    for (request, more, verdict) in [
        ("GET /prometheus", &[][..], Verdict::Bypassed),
        ("GET /cart", &[(":authority", "shop.example.com")], Verdict::Excluded),
        ("OPTIONS /elsewhere", &preflight, Verdict::Allowed),
        ("GET /elsewhere", &[], Verdict::Allowed),
        ("GET /seldon/test/iris/api/v1.0/metadata", &[], Verdict::Allowed),
    ] {
        let decision = decide(&plan, request, &[&forged[..], more].concat());
        assert_eq!(decision.facts.verdict, verdict, "{request}");
        assert_eq!(removed(&decision), ["x-variant", "x_variant"], "{request}");
        assert_eq!(added(&decision, "x-variant"), None, "{request}");
        assert_eq!(forward(&decision).set_cookie, None, "{request}");
    }
}

#[test]
fn report_mode_splits_nothing() {
    let plan = with_split(json!({"mode": "REPORT"}));
    let decision = decide(&plan, "POST /m/iris", &[("x-variant", "blue")]);
    let forward = forward(&decision);
    assert!(forward.edits.is_empty() && forward.set_cookie.is_none());
}

#[test]
fn a_caller_keeps_the_variant_of_its_principal() {
    let variants = json!([{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]);
    let split = json!([{"name": "s", "models": ["*"], "stickyBy": "principal",
        "variants": variants}]);
    let plan = with_keys(json!({"splits": split}));
    let variant = |id: &str| {
        let decision = decide(&plan, PREDICT, &[("x-api-key", "abc"), ("x-request-id", id)]);
        added(&decision, VARIANT).unwrap().to_owned()
    };
    let first = variant("0");
    assert!((1..32).all(|n| variant(&n.to_string()) == first));
}
