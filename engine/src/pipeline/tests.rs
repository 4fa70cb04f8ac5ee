//! The order of things: what is decided before what, and what each way through leaves of a request.

mod bodies;
mod copies;
mod quotas;
mod rewrites;
mod splits;

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
