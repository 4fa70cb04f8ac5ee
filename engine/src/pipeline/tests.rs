//! The order of things: what is decided before what, and what each way through leaves of a request.

use serde_json::{Value, json};

use super::*;
use crate::config::Errors;
use crate::request::{Attributes, Header, NoHost};
use crate::rewrite::Rewritten;
use crate::routing::Operation;

pub(super) fn plan(settings: Value) -> Plan {
    let mut errors = Errors::default();
    let plan = Plan::read(settings.to_string().as_bytes(), &mut errors);
    plan.unwrap_or_else(|| panic!("{errors}"))
}

fn errors(text: &str) -> String {
    let mut errors = Errors::default();
    assert!(Plan::read(text.as_bytes(), &mut errors).is_none(), "{text} is taken");
    errors.to_string()
}

/// Decides a request of these lines, `:method path` first.
pub(super) fn decide(plan: &Plan, request: &str, more: &[(&str, &str)]) -> Decision {
    let (method, path) = request.split_once(' ').unwrap();
    let pseudo = [(":method", method), (":path", path), (":authority", "models.example.com")];
    let given = more.iter().any(|(name, _)| *name == ":authority");
    let lines: Vec<Header<'_>> = pseudo
        .iter()
        .filter(|(name, _)| !(given && *name == ":authority"))
        .chain(more)
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    let attributes = Attributes::new(&NoHost);
    plan.decide(&Request::new(&lines, &attributes), &mut plan.token_cache(), |_| Ok(()))
}

/// How a request goes on.
fn forward(decision: &Decision) -> &Forward {
    decision.forward().unwrap_or_else(|| panic!("{decision:?}"))
}

/// The code of the answer, if there is one.
pub(super) fn code(decision: &Decision) -> Option<u32> {
    decision.reply().map(|reply| reply.code)
}

fn removed(decision: &Decision) -> Vec<&str> {
    let edits = &forward(decision).edits;
    let mut names: Vec<&str> =
        edits.removed().map(|name| std::str::from_utf8(name).unwrap()).collect();
    names.sort_unstable();
    names
}

fn added<'d>(decision: &'d Decision, name: &str) -> Option<&'d str> {
    let mut lines = decision.forward()?.edits.added().filter(|(n, _)| *n == name.as_bytes());
    lines.next().map(|(_, value)| std::str::from_utf8(value).unwrap())
}

const PREDICT: &str = "POST /seldon/prod/iris/api/v1.0/predictions";

/// The SHA-256 of "abc" (FIPS 180-4, appendix B.1).
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn with_keys(more: Value) -> Plan {
    let mut settings = json!({
        "authentication": {"apiKeys": {"keys": [{"name": "batch", "sha256": ABC}]}},
    });
    let (Some(all), Value::Object(more)) = (settings.as_object_mut(), more) else { panic!() };
    all.extend(more);
    plan(settings)
}

#[test]
fn an_empty_configuration_is_refused() {
    for text in ["", " \n", "{}", "null", "[]", "{"] {
        errors(text);
    }
    assert_eq!(
        errors(""),
        "pluginConfig: is empty: write {authorization: {defaultAction: ALLOW}} if everything shall be open"
    );
}

#[test]
fn every_part_reports_its_errors_in_one_go() {
    let text = errors(
        r#"{
        "mode": "STRICT", "modes": 1, "sourceAddress": 5,
        "exclude": {"hosts": [""]},
        "authentication": {"jwtRules": [{"issuer": "i"}, {"issuer": "j", "timeout": "5"}]},
        "bypass": [{"name": "b", "to": [{"operation": {"methods": ["GET"]}}]}],
        "authorization": {"policies": [{"name": "p", "action": "CUSTOM"}, {"name": "q", "models": ["iris"]}]},
        "trustedPeers": ["cluster.local/ns/x"],
        "targets": {"seldonPrefix": "seldon"},
        "rewrites": [{"name": "r", "match": {"path": "/x/{a}{b}"}}],
        "splits": [{"name": "s", "variants": []}],
        "shadows": [{"name": "s", "models": ["prod/iris"], "cluster": "c", "percent": 101, "when": [{"key": "x"}]}]
        }"#,
    );
    for path in [
        "mode",
        "modes",
        "sourceAddress",
        "exclude.hosts[0]",
        "authentication.jwtRules[0]",
        "authentication.jwtRules[1].timeout",
        "bypass[0]",
        "authorization.policies[0].action",
        "authorization.policies[1].models[0]",
        "trustedPeers[0]",
        "targets.seldonPrefix",
        "rewrites[0].match.path",
        "splits",
        "shadows[0].percent",
        "shadows[0].when[0].key",
    ] {
        let reported = text.lines().any(|line| line.starts_with(path));
        assert!(reported, "nothing about {path} in:\n{text}");
    }
}

#[test]
fn an_impossible_address_is_refused_before_anybody_asks_who_calls() {
    let plan = with_keys(json!({}));
    let decision =
        decide(&plan, "POST /seldon/prod/iris%2Fapi/v1.0/predictions", &[("x-api-key", "wrong")]);
    assert_eq!(decision.facts.verdict, Verdict::Refused);
    let reply = decision.reply().unwrap();
    assert_eq!((reply.code, reply.grpc_status), (400, Some(3)));
    assert!(decision.facts.tokens.iter().next().is_none());
}

#[test]
fn a_bad_credential_is_refused_before_authorization() {
    let plan = with_keys(json!({"authorization": {"defaultAction": "DENY"}}));
    let decision = decide(&plan, PREDICT, &[("x-api-key", "wrong")]);
    assert_eq!(decision.facts.verdict, Verdict::Unauthenticated);
    assert_eq!(code(&decision), Some(401));
    let decision = decide(&plan, PREDICT, &[]);
    assert_eq!((decision.facts.verdict, code(&decision)), (Verdict::Denied, Some(403)));
}

#[test]
fn a_condition_on_the_path_sees_it_without_the_token() {
    let deny = json!({"name": "queries", "action": "DENY", "rules": [{"when": [
        {"key": "request.headers[:path]", "values": ["*token=x"]}]}]});
    let bypass = json!([{"name": "scrape", "to": [{"operation": {"paths": ["/prometheus"]}}]}]);
    let rule = json!({"issuer": "me", "fromParams": ["token"],
        "jwks": json!({"keys": [{"kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}).to_string()});
    let plan = plan(json!({"bypass": bypass, "authentication": {"jwtRules": [rule]},
        "authorization": {"policies": [deny]}}));
    let decision = decide(&plan, "GET /prometheus?a=1&token=x", &[]);
    assert_eq!(decision.facts.verdict, Verdict::Bypassed);
    assert_eq!(plan.decided_by(&decision.facts), "scrape");
    assert_eq!(added(&decision, ":path"), Some("/prometheus?a=1"));
    let denied = decide(&plan, "GET /prometheus?other_token=x", &[]).facts;
    assert_eq!((denied.verdict, plan.decided_by(&denied)), (Verdict::Denied, "queries"));
}

#[test]
fn a_bypass_needs_no_credential_shows_none_and_stays_under_deny() {
    let bypass = json!([{"name": "scrape", "to": [{"operation": {"paths": ["/prometheus"]}}]}]);
    let deny = json!({"name": "no-posts", "action": "DENY",
        "rules": [{"to": [{"operation": {"methods": ["POST"]}}]}]});
    let plan = with_keys(json!({"bypass": bypass,
        "authorization": {"defaultAction": "DENY", "policies": [deny]}}));
    let decision = decide(&plan, "GET /prometheus", &[("x-api-key", "wrong")]);
    assert_eq!((decision.facts.verdict, code(&decision)), (Verdict::Bypassed, None));
    assert_eq!(removed(&decision), ["x-api-key"]);
    assert!(decision.facts.identity.is_none());
    let decision = decide(&plan, "POST /prometheus", &[]);
    assert_eq!((decision.facts.verdict, code(&decision)), (Verdict::Denied, Some(403)));
}

#[test]
fn a_preflight_skips_authentication_and_nothing_else() {
    let preflight = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
        ("x-api-key", "wrong"),
        ("x-modelgate-variant", "forged"),
    ];
    let plan = with_keys(json!({"authorization": {"defaultAction": "DENY"}}));
    let path = "OPTIONS /seldon/prod/iris/api/v1.0/predictions";
    assert_eq!(decide(&plan, path, &preflight).facts.verdict, Verdict::Denied);
    let plan = with_keys(json!({}));
    let decision = decide(&plan, path, &preflight);
    assert_eq!(
        (decision.facts.verdict, removed(&decision)),
        (Verdict::Allowed, vec!["x-api-key", "x-modelgate-variant"])
    );
}

#[test]
fn policies_see_the_credentials_of_a_preflight_and_the_model_does_not() {
    let preflight = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
        ("x-api-key", "wrong"),
    ];
    let deny = json!({"name": "keys", "action": "DENY", "rules": [{"when": [
        {"key": "request.headers[x-api-key]", "values": ["wrong"]}]}]});
    let plan = with_keys(json!({"authorization": {"policies": [deny]}}));
    let path = "OPTIONS /seldon/prod/iris/api/v1.0/predictions";
    assert_eq!(decide(&plan, path, &preflight).facts.verdict, Verdict::Denied);
    assert_eq!(removed(&decide(&with_keys(json!({})), path, &preflight)), ["x-api-key"]);
}

#[test]
fn an_excluded_host_is_cleaned_and_left_alone_unless_it_names_a_model() {
    let plan = with_keys(json!({"exclude": {"hosts": ["shop.example.com"]},
        "authorization": {"defaultAction": "DENY"}}));
    let host = (":authority", "Shop.example.com:443");
    let headers = [host, ("x-api-key", "its own"), ("seldon_internal_model", "x")];
    let decision = decide(&plan, "GET /cart", &headers);
    assert_eq!((decision.facts.verdict, code(&decision)), (Verdict::Excluded, None));
    assert_eq!(removed(&decision), ["seldon_internal_model"]);
    let decision = decide(&plan, PREDICT, &[host]);
    assert_eq!(decision.facts.verdict, Verdict::Denied);
}

#[test]
fn what_a_rewrite_reaches_is_what_is_authorized() {
    let plan = plan(json!({
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "iris", "models": ["prod/iris"], "rules": [{}]}]},
        "rewrites": [{"name": "friendly", "match": {"path": "/models/{ns}/{m}:predict"},
            "path": "/seldon/{ns}/{m}/api/v1.0/predictions", "setHeaders": {"x-from": "{ns}"}}],
    }));
    let decision = decide(&plan, "POST /models/prod/iris:predict?a=1", &[("x-from", "client")]);
    assert_eq!(decision.facts.verdict, Verdict::Allowed);
    assert_eq!(decision.facts.model.as_deref(), Some("prod/iris"));
    assert_eq!(decision.facts.operation, Some(Operation::Predict));
    let path = "/seldon/prod/iris/api/v1.0/predictions?a=1";
    assert_eq!(added(&decision, ":path"), Some(path));
    assert_eq!(added(&decision, "x-from"), Some("prod"));
    let decision = decide(&plan, "POST /models/prod/fraud:predict", &[]);
    assert_eq!(decision.facts.verdict, Verdict::Denied);
    assert!(decision.forward().is_none());
}

#[test]
fn whatever_reaches_a_model_has_an_identifier() {
    let settings = json!({
        "bypass": [{"name": "ready", "to": [{"operation": {"paths": ["*/ready"]}}]}],
        "rewrites": [
            {"name": "friendly", "match": {"path": "/m/{m}"},
             "path": "/seldon/prod/{m}/api/v1.0/predictions"},
            {"name": "own", "match": {"path": "/own/{m}"}, "setHeaders": {"seldon-puid": "{m}"},
             "path": "/seldon/prod/{m}/api/v1.0/predictions"},
        ],
    });
    let id = ("x-request-id", "1-2-3");
    let plan = with_keys(settings.clone());
    let puid = |plan: &Plan, request, headers: &[(&str, &str)]| {
        added(&decide(plan, request, headers), "seldon-puid").map(str::to_owned)
    };
    let grpc = [id, ("seldon", "iris"), ("namespace", "prod")];
    for (request, headers, expected) in [
        (PREDICT, &[id][..], Some("1-2-3")),
        ("GET /seldon/prod/iris/ready", &[id], Some("1-2-3")),
        ("POST /m/iris", &[id], Some("1-2-3")),
        ("POST /v2/models/iris/infer", &[id], Some("1-2-3")),
        ("POST /seldon.protos.Seldon/Predict", &grpc, Some("1-2-3")),
        // What the client, or a rule, has chosen stays.
        (PREDICT, &[id, ("seldon-puid", "mine")], None),
        ("POST /own/iris", &[id], Some("iris")),
        (PREDICT, &[], None),
        // No model.
        ("GET /", &[id], None),
        ("GET /v2/health/live", &[id], None),
        // Refused.
        ("GET /seldon/prod//iris", &[id], None),
        (PREDICT, &[id, ("x-api-key", "wrong")], None),
    ] {
        assert_eq!(puid(&plan, request, headers).as_deref(), expected, "{request} {headers:?}");
    }
    let mut report = settings;
    report["mode"] = "REPORT".into();
    assert_eq!(puid(&with_keys(report), PREDICT, &[id]), None);
}

#[test]
fn report_mode_decides_and_changes_nothing() {
    let settings = json!({"mode": "REPORT", "authorization": {"defaultAction": "DENY"},
        "shadows": [{"name": "s", "models": ["*"], "cluster": "c"}]});
    let decision =
        decide(&with_keys(settings.clone()), PREDICT, &[("x-modelgate-variant", "forged")]);
    assert_eq!(decision.facts.verdict, Verdict::Denied);
    assert!(forward(&decision).edits.is_empty() && forward(&decision).copies.is_empty());
    let decision = decide(&with_keys(settings), "POST /seldon/prod/..%2f/x", &[]);
    assert_eq!((decision.facts.verdict, code(&decision)), (Verdict::Refused, None));
}

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

#[test]
fn a_token_leaves_the_query_of_the_rewritten_path() {
    let rewritten = Rewritten {
        path: Some(b"/new".to_vec()),
        authority: None,
        caught_host: false,
        edits: Edits::default(),
        reaches: crate::routing::Reaches::NewAddress,
    };
    let lines: [Header<'_>; 1] = [(b":path", b"/old?a=1&access_token=x")];
    let attributes = Attributes::new(&NoHost);
    let request = Request::new(&lines, &attributes);
    for (rewritten, without_token, expected) in [
        (Some(&rewritten), Some("/old?a=1"), "/new?a=1"),
        (Some(&rewritten), None, "/new?a=1&access_token=x"),
        (None, Some("/old?a=1"), "/old?a=1"),
    ] {
        let mut edits = Edits::default();
        apply(&request, rewritten, without_token.map(Into::into), &mut edits);
        let path = edits.added().next().unwrap().1;
        assert_eq!(std::str::from_utf8(path).unwrap(), expected);
    }
}

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

#[test]
fn what_a_rewrite_removes_goes_in_every_spelling() {
    let plan = plan(json!({"rewrites": [{
        "name": "plain", "match": {"path": "/plain/{rest=**}"}, "path": "/{rest}",
        "removeHeaders": ["X-Debug-Key"], "setHeaders": {"user-agent": "gate"},
    }]}));
    let lines = [
        ("x_debug_key", "1"),
        ("x-debug_key", "2"),
        ("x-debug-keys", "3"),
        ("user_agent", "4"),
        ("x-debug-key", "5"),
    ];
    // A way is remembered: what came on it before says nothing of what comes now.
    for came in [&[][..], &lines, &lines[..1], &lines] {
        let decision = decide(&plan, "GET /plain/website", came);
        for (name, _) in lines {
            let goes = name != "x-debug-keys" && came.iter().any(|(came, _)| *came == name);
            let goes = goes || name == "x-debug-key";
            assert_eq!(removed(&decision).contains(&name), goes, "{name} of {came:?}");
        }
        assert_eq!(added(&decision, "user-agent"), Some("gate"));
    }
}

#[test]
fn what_a_rewrite_sets_no_client_sets() {
    let plan = plan(json!({
        "authentication": {"apiKeys": {"header": "x-key", "keys": [{"name": "batch", "sha256": ABC}]}},
        "bypass": [{"name": "ready", "to": [{"operation": {"paths": ["/ready"]}}]}],
        "rewrites": [{
            "name": "gold", "match": {"path": "/gold/{rest=**}"}, "path": "/{rest}",
            "setHeaders": {"X-Tier": "gold", "seldon": "iris", "namespace": "prod", "x-key": "k",
                "accept": "application/json", "user-agent": "gate", "content-type": "text/plain"},
        }],
    }));
    let forged = [
        ("x-tier", "gold"),
        ("x_tier", "gold"),
        ("accept", "a"),
        ("user-agent", "b"),
        ("content-type", "c"),
    ];
    for way in ["GET /website", "GET /ready", PREDICT] {
        assert_eq!(removed(&decide(&plan, way, &forged)), ["x-tier", "x_tier"], "{way}");
    }
    let rewritten = decide(&plan, "GET /gold/website", &forged);
    assert_eq!(added(&rewritten, "x-tier"), Some("gold"));
    assert!(removed(&rewritten).contains(&"x_tier"));
}

#[test]
fn no_rewrite_is_chosen_by_what_only_the_gateway_sets() {
    let config = |peers: Value| {
        json!({
            "trustedPeers": peers,
            "rewrites": [{
                "name": "canary", "path": "/canary/{rest}",
                "match": {"path": "/{rest=**}", "headers": [{"name": "X_Modelgate_Variant", "value": "b"}]},
            }],
        })
    };
    let found = errors(&config(json!([])).to_string());
    let place =
        "rewrites[0].match.headers[0].name: is the gateway's to set (X_Modelgate_Variant): ";
    assert!(found.starts_with(place), "{found}");
    // What comes from another gateway is its own.
    plan(config(json!(["spiffe://cluster.local/ns/istio-system/sa/gateway"])));
}

#[test]
fn trailers_carry_nothing_that_was_decided_about() {
    let settings = json!({
        "authentication": {
            "apiKeys": {"header": "x-key", "keys": [{"name": "batch", "sha256": ABC}]},
        },
        "authorization": {"defaultAction": "ALLOW"},
        "splits": [{"name": "s", "models": ["*"], "variants": [{"name": "a", "weight": 1}]}],
    });
    let own =
        ["x-modelgate-variant", "x_modelgate_variant", "seldon-internal-model", "kserve-isvc-name"];
    let others = [
        "x-key",
        "X_Key",
        "seldon-model",
        "seldon",
        "namespace",
        "authorization",
        "cookie",
        "x-envoy-x",
        "forwarded",
        "X_Real_IP",
        "x-forwarded-user",
        "x-http-method-override",
        "x-original-url",
        "content-encoding",
        "proxy-connection",
    ];
    let enforcing = plan(settings.clone());
    let mut reporting = settings;
    reporting["mode"] = json!("REPORT");
    let reporting = plan(reporting);
    for (names, excluded) in [(own.as_slice(), true), (others.as_slice(), false)] {
        for name in names {
            let name = name.as_bytes();
            assert!(enforcing.drops_trailer(name, false), "{}", name.escape_ascii());
            assert_eq!(enforcing.drops_trailer(name, true), excluded, "{}", name.escape_ascii());
            assert!(!reporting.drops_trailer(name, false));
        }
    }
    for name in ["x-checksum", "content-digest", "content-md5", "grpc-status", "seldon-puid"] {
        assert!(!enforcing.drops_trailer(name.as_bytes(), false), "{name}");
    }
}

#[test]
fn no_rewrite_writes_who_calls_or_what_only_the_proxy_says() {
    let config = |field: &str, value: Value| {
        json!({
            "authentication": {
                "apiKeys": {"header": "x-key", "keys": [{"name": "batch", "sha256": ABC}]},
                "jwtRules": [{"issuer": "me", "jwksUri": "https://me.example.com/keys",
                    "jwksCluster": "me", "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}]}],
            },
            "splits": [{"name": "s", "models": ["*"], "header": "x-variant", "variants": [{"name": "a", "weight": 1}]}],
            "rewrites": [{"name": "u", "match": {"path": "/u/{who}/{rest=**}"}, "path": "/{rest}", field: value}],
        })
        .to_string()
    };
    for name in [
        "x-user",
        "X_User",
        "x-modelgate-variant",
        "x-modelgate-shadow",
        "seldon-internal-model",
        "x-forwarded-client-cert",
        "x-forwarded-for",
        "x_envoy_original_path",
        "x-envoy-decorator-operation",
    ] {
        for value in ["{who}", "fixed"] {
            let found = errors(&config("setHeaders", json!({name: value})));
            assert!(found.contains("is not a rewrite's to set"), "{name}: {found}");
        }
    }
    for name in [
        "authorization",
        "x-key",
        "x_key",
        "x-variant",
        "cookie",
        "x-request-id",
        "x-forwarded-host",
        "x-forwarded-user",
        "X_Forwarded_Email",
        "x-real-ip",
        "forwarded",
        "true-client-ip",
        "x-http-method-override",
        "x-original-url",
        "x-seldon-route",
    ] {
        let found = errors(&config("setHeaders", json!({name: "{who}"})));
        assert!(found.contains("may not hold what a client writes"), "{name}: {found}");
        let read = Plan::read(
            config("setHeaders", json!({name: "fixed"})).as_bytes(),
            &mut Errors::default(),
        );
        assert!(read.is_some(), "{name}");
    }
    for name in ["x-user", "x_user", "x-modelgate-variant"] {
        let found = errors(&config("removeHeaders", json!([name])));
        assert!(found.contains("is the gateway's to set"), "{name}: {found}");
    }
    for name in ["seldon", "namespace", "seldon-model", "x-tier", "content-type", "accept"] {
        let read = Plan::read(
            config("setHeaders", json!({name: "{who}"})).as_bytes(),
            &mut Errors::default(),
        );
        assert!(read.is_some(), "{name}");
    }
}
