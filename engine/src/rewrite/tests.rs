//! Rules and what they make of requests.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::read::Read;
use crate::path::escape::decode_strict;
use crate::path::rewritten::{CONTROL, DOTS, MALFORMED, SLASHES};
use crate::path::segments::has_dot_segment;
use crate::request::{Attributes, NoHost};
use crate::routing::{Address, CAPTURED};

struct Gate {
    rewrites: Rewrites,
    targets: Targets,
}

fn compile(rules: Value, targets: Value) -> Result<Gate, String> {
    let mut errors = Errors::default();
    let settings = types::Targets::read(&targets.into(), &Path::ROOT, &mut errors).unwrap();
    let rules = Vec::<types::Rewrite>::read(&rules.into(), &Path::ROOT, &mut errors).unwrap();
    let at = Path::ROOT.field("rewrites");
    let targets = Targets::compile(&settings, &Path::ROOT, &mut errors);
    let rewrites = Rewrites::compile(&rules, targets.as_ref(), &at, &mut errors);
    rewrites
        .zip(targets)
        .map(|(rewrites, targets)| Gate { rewrites, targets })
        .ok_or_else(|| errors.to_string())
}

fn gate(rules: Value) -> Gate {
    compile(rules, json!({})).unwrap()
}

impl Gate {
    fn with<T>(&self, lines: &[Header<'_>], then: impl FnOnce(&Request<'_>) -> T) -> T {
        let attributes = Attributes::new(&NoHost);
        then(&Request::new(lines, &attributes))
    }

    fn reached<'r>(
        &self,
        rewritten: &'r Rewritten,
        request: &Request<'r>,
        host: &Host<'r>,
    ) -> Result<Option<Address>, Refusal> {
        self.targets.resolve_rewritten(&rewritten.new_address(request, host)?, request, host)
    }

    /// New path, and what is reached; `-` where no rule matches, the reason of a refusal.
    fn go(&self, method: &str, path: &str, more: &[(&str, &str)]) -> String {
        let mut lines: Vec<Header<'_>> =
            vec![(b":method", method.as_bytes()), (b":path", path.as_bytes())];
        lines.extend(more.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
        self.with(&lines, |request| {
            let host = match Host::new(request.authority) {
                Ok(host) => host,
                Err(refusal) => return refusal.reason.to_owned(),
            };
            let rewritten = match self.rewrites.choose(request, &host) {
                Ok(Some(rewritten)) => rewritten,
                Ok(None) => return "-".to_owned(),
                Err(refusal) => return refusal.reason.to_owned(),
            };
            let with_query = |path: &Vec<u8>| [path, request.path_rest()].concat();
            let path = rewritten.path.as_ref().map_or_else(|| b"same".to_vec(), with_query);
            let path = String::from_utf8_lossy(&path).into_owned();
            match self.reached(&rewritten, request, &host) {
                Ok(None) => format!("{path} outside"),
                Ok(Some(address)) => {
                    let id = address.model.as_ref().map_or("-", |m| &m.id);
                    format!("{path} {id} {}", address.operation.as_str())
                }
                Err(refusal) => refusal.reason.to_owned(),
            }
        })
    }
}

fn friendly() -> Value {
    json!({"name": "friendly", "path": "/seldon/{namespace}/{model}/api/v1.0/predictions",
        "match": {"path": "/models/{namespace}/{model}:predict", "methods": ["POST"]}})
}

fn strip() -> Value {
    json!({"name": "strip", "match": {"path": "/seldon/{namespace}/{model}/{rest=**}"},
        "path": "/{rest}", "setHeaders": {"seldon": "{model}", "namespace": "{namespace}"}})
}

/// Proxies refuse such paths, and what is caught in one goes into headers as it came.
#[test]
fn a_written_header_holds_no_control_character() {
    let gate = gate(json!([
        {"name": "said", "match": {"path": "/said/{who}"}, "setHeaders": {"x-who": "{who}"}}]));
    for (path, expected) in [
        ("/said/me", "same outside"),
        ("/said/m%0ae", "same outside"),
        ("/said/m\0e", CONTROL.reason),
        ("/said/m\te", CONTROL.reason),
        ("/said/m\r\nx: y", CONTROL.reason),
        ("/said/m\u{7f}e", CONTROL.reason),
    ] {
        assert_eq!(gate.go("GET", path, &[]), expected, "{path:?}");
    }
}

#[test]
fn friendly_addresses_name_what_they_reach() {
    let gate = gate(json!([friendly()]));
    for (method, path, expected) in [
        (
            "POST",
            "/models/prod/iris:predict?a=b",
            "/seldon/prod/iris/api/v1.0/predictions?a=b prod/iris predict",
        ),
        (
            "POST",
            "/models/prod/iris:predict#f",
            "/seldon/prod/iris/api/v1.0/predictions#f prod/iris predict",
        ),
        (
            "POST",
            "/models/prod/iris%3Apredict",
            "/seldon/prod/iris/api/v1.0/predictions prod/iris predict",
        ),
        (
            "POST",
            "/mod%65ls/prod/iris%3apre%64ict",
            "/seldon/prod/iris/api/v1.0/predictions prod/iris predict",
        ),
        ("POST", "/models/prod/%3Apredict", "-"),
        ("POST", "/models/prod/iris%253Apredict", "-"),
        ("POST", "/models/prod/iris%3predict", "-"),
        ("POST", "/models/prod%2Firis%3Apredict", "-"),
        ("GET", "/models/prod/iris:predict", "-"),
        ("POST", "/models/prod/iris", "-"),
        ("POST", "/models/prod/:predict", "-"),
        ("POST", "/models//iris:predict", "-"),
        ("POST", "/models/prod/iris:predict/", "-"),
        ("POST", "/x/models/prod/iris:predict", "-"),
        ("POST", "/models/prod/a/iris:predict", "-"),
        (
            "POST",
            "/models/prod/%69ris:predict",
            "a namespace, model or predictor in the address is not a DNS-1123 subdomain",
        ),
        ("POST", "/models/../iris:predict", DOTS.reason),
        ("POST", "/models/%2e./iris:predict", DOTS.reason),
        ("POST", "/models/..;a/iris:predict", DOTS.reason),
        ("POST", "/models/prod/a%0ab:predict", CONTROL.reason),
        ("POST", "/models/prod/a\tb:predict", CONTROL.reason),
        ("POST", "/models/prod/a%zz:predict", MALFORMED.reason),
    ] {
        assert_eq!(gate.go(method, path, &[]), expected, "{method} {path}");
    }
}

#[test]
fn a_rule_that_strips_leaves_the_model_and_reads_the_operation_anew() {
    let status = json!({"name": "status", "path": "/{rest}",
        "match": {"path": "/seldon/{ns}/{m}/health/{rest=**}"}});
    let gate = gate(json!([status, strip()]));
    for (method, path, expected) in [
        (
            "POST",
            "/seldon/prod/iris/api/v1.0/predictions?x",
            "/api/v1.0/predictions?x prod/iris predict",
        ),
        // Seldon v2's routes would take it to a model that nobody authorized.
        ("POST", "/seldon/prod/iris/v2/models/a/infer", CAPTURED.reason),
        ("GET", "/seldon/prod/iris/", "/ prod/iris other"),
        ("GET", "/seldon/prod/iris", "-"),
        // What the server sees is what counts.
        ("GET", "/seldon/prod/iris/health/metrics", "/metrics prod/iris metrics"),
        (
            "POST",
            "/seldon/prod/m-explainer/a/api/v1.0/explain",
            "/a/api/v1.0/explain prod/m explain",
        ),
        ("GET", "/seldon/prod/iris//x", SLASHES.reason),
        ("GET", "/seldon/prod/iris/x//y", "the path holds an empty segment"),
        ("GET", "/seldon/prod/iris/seldon/prod/fraud/predict", CAPTURED.reason),
    ] {
        assert_eq!(gate.go(method, path, &[]), expected, "{method} {path}");
    }
    let headers = [(":method", "GET"), (":path", "/seldon/prod/iris/ready"), ("seldon", "fraud")];
    let headers = headers.map(|(n, v)| (n.as_bytes(), v.as_bytes()));
    gate.with(&headers, |request| {
        let rewritten = gate.rewrites.choose(request, &Host::default()).unwrap().unwrap();
        let headers: Vec<_> =
            rewritten.headers(request).filter(|h| !h.0.starts_with(b":")).collect();
        let expected: Vec<Header<'_>> = vec![(b"namespace", b"prod"), (b"seldon", b"iris")];
        assert_eq!(headers, expected);
    });
}

#[test]
fn captured_text_never_selects_a_family() {
    let gate = gate(json!([
        {"name": "open", "match": {"path": "/open/{rest=**}"}, "path": "/{rest}"},
        {"name": "chat", "match": {"path": "/chat/{rest=**}"}, "path": "/{rest}",
         "authority": "chat.internal", "target": {"namespace": "prod", "model": "chat"}},
        {"name": "own", "match": {"path": "/own/{ns}/{m}/predict"}, "path": "/api/v1.0/predictions",
         "target": {"namespace": "{ns}", "model": "{m}"}},
        {"name": "plain", "match": {"path": "/plain"}, "path": "/index.html"},
    ]));
    for (path, expected) in [
        ("/open/x", "/x outside"),
        ("/open/seldon/prod/iris/predict", CAPTURED.reason),
        ("/open/v2/models/iris/infer", CAPTURED.reason),
        ("/open/%73eldon/prod/iris/predict", CAPTURED.reason),
        ("/open/inference.GRPCInferenceService/ModelInfer", CAPTURED.reason),
        ("/chat/v2/models/iris/infer", "/v2/models/iris/infer prod/chat predict"),
        ("/chat/metrics", "/metrics prod/chat metrics"),
        ("/chat/seldon/prod/iris/predict", CAPTURED.reason),
        ("/chat/%73eldon/prod/iris/predict", CAPTURED.reason),
        ("/chat/seldon", CAPTURED.reason),
        ("/own/prod/iris/predict", "/api/v1.0/predictions prod/iris predict"),
        ("/own/Prod/iris/predict", names::NOT_A_NAME.reason),
        ("/plain?q", "/index.html?q outside"),
    ] {
        assert_eq!(gate.go("POST", path, &[]), expected, "{path}");
    }
}

#[test]
fn headers_of_the_client_do_not_select_another_model() {
    let gate = gate(json!([
        {"name": "chat", "match": {"path": "/chat/{rest=**}"}, "path": "/{rest}",
         "target": {"namespace": "prod", "model": "chat"}},
        strip(),
    ]));
    let contradiction = "the host, the path and the headers select different models";
    let repeated = "a routing header (seldon, namespace, seldon-model, x-seldon-route, x-gateway-...) is empty or repeated";
    let v1 = |name| vec![("seldon", name), ("namespace", "prod")];
    for (path, headers, expected) in [
        ("/chat/predict", vec![("seldon-model", "fraud")], contradiction),
        ("/chat/inference.GRPCInferenceService/ModelInfer", v1("fraud"), contradiction),
        (
            "/chat/inference.GRPCInferenceService/ModelInfer",
            v1("chat"),
            "/inference.GRPCInferenceService/ModelInfer prod/chat predict",
        ),
        ("/chat/predict", v1("fraud"), "/predict prod/chat predict"),
        ("/chat/predict", vec![("seldon", "a"), ("seldon", "b")], repeated),
        ("/seldon/prod/iris/v2/models/a/infer", vec![("seldon-model", "fraud")], contradiction),
        ("/seldon/prod/iris/predict", v1("fraud"), "/predict prod/iris predict"),
    ] {
        assert_eq!(gate.go("POST", path, &headers), expected, "{path} {headers:?}");
    }
}

#[test]
fn what_a_rule_writes_does_not_lead_to_another_model_either() {
    let own = |name: &str, more: Value| {
        let mut rule = json!({"name": name, "match": {"path": format!("/{name}/{{a}}/{{rest=**}}")},
            "path": "/{rest}", "target": {"namespace": "prod", "model": "chat"}});
        for (key, value) in more.as_object().unwrap() {
            rule[key] = value.clone();
        }
        rule
    };
    let rules = json!([
        own("v1", json!({"setHeaders": {"seldon": "{a}", "namespace": "prod"}})),
        own("v2", json!({"setHeaders": {"seldon-model": "{a}"}})),
        own("v2-host", json!({"setHeaders": {"seldon-model": "{a}"}, "authority": "own.org"})),
        own("host", json!({"authority": "{a}.example.com"})),
    ]);
    let targets = json!({"families": ["seldon-v1", "seldon-v2", "kserve"], "kserve":
        {"hostTemplate": "{name}-{namespace}.example.com", "namespaces": ["prod"]}});
    let gate = compile(rules, targets).unwrap();
    let contradiction = "the host, the path and the headers select different models";
    let grpc = "inference.GRPCInferenceService/ModelInfer";
    let reached = format!("/{grpc} prod/chat predict");
    for (path, expected) in [
        (format!("/v1/chat/{grpc}"), reached.as_str()),
        (format!("/v1/fraud/{grpc}"), contradiction),
        ("/v1/fraud/predict".to_owned(), "/predict prod/chat predict"),
        (format!("/v2/fraud/{grpc}"), contradiction),
        ("/v2/fraud/inference%2eGRPCInferenceService/ModelInfer".to_owned(), contradiction),
        ("/v2/fraud/predict".to_owned(), "/predict prod/chat predict"),
        (format!("/v2-host/fraud/{grpc}"), &reached),
        ("/host/chat-prod/predict".to_owned(), "/predict prod/chat predict"),
        ("/host/fraud-prod/predict".to_owned(), contradiction),
        ("/host/models/v2/models/fraud/infer".to_owned(), CAPTURED.reason),
    ] {
        assert_eq!(gate.go("POST", &path, &[]), expected, "{path}");
    }
}

#[test]
fn a_stripped_path_that_seldon_v2_could_take_is_warned_of() {
    for (rule, targets, warnings) in [
        (strip(), json!({}), 1),
        (strip(), json!({"families": ["seldon-v1"]}), 0),
        (friendly(), json!({}), 0),
    ] {
        let mut errors = Errors::default();
        let targets = types::Targets::read(&targets.into(), &Path::ROOT, &mut errors).unwrap();
        let rules = [types::Rewrite::read(&rule.into(), &Path::ROOT, &mut errors).unwrap()];
        let targets = Targets::compile(&targets, &Path::ROOT, &mut errors);
        Rewrites::compile(&rules, targets.as_ref(), &Path::ROOT, &mut errors).unwrap();
        assert_eq!(errors.warnings().len(), warnings, "{rules:?}");
    }
}

#[test]
fn headers_and_authority_of_a_rule_count_for_what_is_reached() {
    let targets = json!({"families": ["seldon-v1", "seldon-v2", "kserve"],
        "kserve": {"hostTemplate": "{name}.{namespace}.ks.org"},
        "fixed": [{"hosts": ["llm.org"], "model": "prod/llm"}, {"pathPrefix": "/own/secret", "model": "prod/secret"}]});
    let rules = json!([
        {"name": "v2", "match": {"path": "/chat"}, "path": "/v2/models/chat/infer",
         "setHeaders": {"Seldon-Model": "chat"}},
        {"name": "header", "match": {"path": "/h/{m}"}, "path": "/any", "setHeaders": {"seldon-model": "{m}"}},
        {"name": "unset", "match": {"path": "/v2/{rest=**}"}, "removeHeaders": ["Seldon-Model"]},
        {"name": "ks", "match": {"path": "/ks/{m}"}, "path": "/v1/models/{m}:predict",
         "authority": "{m}.prod.ks.org"},
        {"name": "llm", "match": {"path": "/llm/{rest=**}"}, "path": "/{rest}", "authority": "llm.org"},
        {"name": "own", "match": {"path": "/own/{rest=**}"}, "target": {"namespace": "prod", "model": "iris"}},
        {"name": "grpc", "match": {"path": "/g/{m}/{method}"},
         "path": "/inference.GRPCInferenceService/{method}",
         "setHeaders": {"seldon": "{m}", "namespace": "prod"}},
    ]);
    let gate = compile(rules, targets).unwrap();
    for (path, headers, expected) in [
        ("/chat", vec![], "/v2/models/chat/infer seldon-mesh/chat predict"),
        (
            "/chat",
            vec![("seldon-model", "fraud")],
            "/v2/models/chat/infer seldon-mesh/chat predict",
        ),
        ("/h/iris", vec![], "/any seldon-mesh/iris other"),
        ("/v2/models/a/infer", vec![("seldon-model", "b")], "same seldon-mesh/a predict"),
        ("/ks/iris", vec![], "/v1/models/iris:predict prod/iris predict"),
        ("/ks/i@ris", vec![], AUTHORITY.reason),
        ("/ks/fraud.prod.ks.org:", vec![], AUTHORITY.reason),
        ("/ks/fraud.prod.ks.org:80", vec![], AUTHORITY.reason),
        ("/ks/[", vec![], AUTHORITY.reason),
        ("/llm/v2/models/a/infer", vec![], "/v2/models/a/infer prod/llm predict"),
        ("/own/x", vec![], "same prod/iris other"),
        ("/own/secret/x", vec![], CAPTURED.reason),
        (
            "/g/iris/ModelInfer",
            vec![],
            "/inference.GRPCInferenceService/ModelInfer prod/iris predict",
        ),
    ] {
        assert_eq!(gate.go("POST", path, &headers), expected, "{path} {headers:?}");
    }
}

proptest! {
    /// Whatever a client writes, Envoy chooses the virtual host by a name in the operator's domain.
    #[test]
    fn a_host_ends_as_the_operator_wrote_it(service in "[a-zA-Z0-9.:@\\[\\]_~%-]{1,12}") {
        let gate = gate(json!([{"name": "s", "match": {"path": "/s/{service}/{rest=**}"},
            "path": "/{rest}", "authority": "{service}.models.org:80"}]));
        let path = format!("/s/{service}/x");
        let lines: [Header<'_>; 2] = [(b":method", b"POST"), (b":path", path.as_bytes())];
        gate.with(&lines, |request| {
            if let Ok(Some(rewritten)) = gate.rewrites.choose(request, &Host::default()) {
                let host = Host::new(rewritten.authority.as_deref()).unwrap();
                assert!(host.name().ends_with(b".models.org"), "{}", host.name().escape_ascii());
            }
        });
    }
}

#[test]
fn the_first_rule_whose_criteria_all_fit_is_chosen() {
    let gate = gate(json!([
        {"name": "a", "path": "/a", "match": {"path": "/x", "hosts": ["*.Example.com", "one.org"],
            "headers": [{"name": "X-Kind", "value": "beta*"}, {"name": "x-any", "value": "*"}]}},
        {"name": "b", "path": "/b", "match": {"path": "/x", "methods": ["P*"]}},
        {"name": "c", "path": "/c", "match": {"path": "/x"}},
        {"name": "d", "path": "/d", "match": {"path": "/"}},
    ]));
    let host = (":authority", "A.example.COM:443");
    let kind = ("x-kind", "beta-2");
    for (method, path, headers, expected) in [
        ("GET", "/x", vec![host, kind, ("x-any", "")], "/a outside"),
        ("GET", "/x", vec![host, ("x-kind", "alpha"), kind, ("x-any", "1")], "/a outside"),
        ("GET", "/x", vec![host, ("x-kind", "alpha"), ("x-any", "1")], "/c outside"),
        ("GET", "/x", vec![host, kind], "/c outside"),
        ("POST", "/x", vec![(":authority", "two.org"), kind, ("x-any", "1")], "/b outside"),
        ("GET", "/x", vec![], "/c outside"),
        ("GET", "/?x", vec![], "/d?x outside"),
        ("GET", "/y", vec![], "-"),
        ("GET", "*", vec![], "-"),
        ("GET", "", vec![], "-"),
    ] {
        assert_eq!(gate.go(method, path, &headers), expected, "{method} {path} {headers:?}");
    }
}

#[test]
fn every_error_is_reported_at_once() {
    let rules = json!([{"name": "", "match": {"path": "/a/{x}"}, "path": "b", "authority": "{y}"},
        {"name": "q", "match": {"path": "x"}}]);
    let errors = compile(rules, json!({})).err().unwrap();
    assert_eq!(errors.lines().count(), 4, "{errors}");
}

fn words() -> impl Strategy<Value = String> {
    "(/([a-c]{0,2}(\\{[a-z]{1,3}\\})?[:.a]{0,2})){1,4}"
}

proptest! {
    #[test]
    fn templates_round_trip(text in "([a-z/:. -]{0,4}(\\{[a-z_0-9]{1,4}\\})?){0,5}") {
        let mut errors = Errors::default();
        let template = Template::parse(&text, &Path::ROOT, &mut errors).unwrap();
        prop_assert_eq!(template.to_string(), &*text);
        let names: Vec<String> = template.variables().map(|n| format!("{{{n}}}")).collect();
        // Every variable replaced by its own spelling gives the text back.
        let expanded = template.expand(|name| {
            names.iter().find(|n| n.trim_matches(['{', '}']) == name).map(|n| n.as_bytes())
        });
        prop_assert_eq!(expanded, Some(text.into_bytes()));
    }

    #[test]
    fn patterns_round_trip_and_match_what_they_describe(
        text in words(),
        value in "([a-z.~-]|%[0-9a-f]{2}){1,5}",
    ) {
        let mut errors = Errors::default();
        if let Some(pattern) = Pattern::parse(&text, &Path::ROOT, &mut errors) {
            prop_assert_eq!(pattern.to_string(), &*text);
            let template = Template::parse(&text, &Path::ROOT, &mut errors).unwrap();
            let path = template.expand(|_| Some(value.as_bytes())).unwrap();
            let captures = pattern.captures(&path).unwrap();
            prop_assert!(captures.iter().all(|(_, caught)| *caught == value.as_bytes()));
            prop_assert_eq!(captures.len(), template.variables().count());
        }
    }

    #[test]
    fn any_text_is_a_template_or_an_error(text in ".{0,30}") {
        let mut errors = Errors::default();
        let template = Template::parse(&text, &Path::ROOT, &mut errors);
        prop_assert_eq!(template.is_none(), !errors.is_empty());
        let mut errors = Errors::default();
        let pattern = Pattern::parse(&text, &Path::ROOT, &mut errors);
        prop_assert_eq!(pattern.is_none(), !errors.is_empty());
    }

    #[test]
    fn a_rewritten_path_never_gains_dot_segments_or_control_characters(
        tail in prop_oneof![
            "([a-z./;]|%2[eEfF]|%5[cC]|%0[0-9]|\\\\){0,20}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..20),
        ],
    ) {
        let gate = gate(json!([
            {"name": "glue", "match": {"path": "/glue/{a}/{rest=**}"}, "path": "/.{a}/{rest}"},
            {"name": "rest", "match": {"path": "/rest/{rest=**}"}, "path": "/{rest}"}, strip()]));
        for start in [&b"/glue/"[..], b"/rest/", b"/seldon/prod/iris/"] {
            let path = [start, &tail].concat();
            let lines: [Header<'_>; 2] = [(b":method", b"GET"), (b":path", &path)];
            gate.with(&lines, |request| {
                let host = Host::default();
                let Ok(Some(rewritten)) = gate.rewrites.choose(request, &host) else { return };
                let location = rewritten.new_address(request, &host).unwrap().at;
                let decoded = decode_strict(location.path()).unwrap();
                assert!(decoded.starts_with(b"/") && !decoded.starts_with(b"//"));
                assert!(!has_dot_segment(&decoded));
                assert!(!decoded.iter().any(u8::is_ascii_control));
                let _ = gate.reached(&rewritten, request, &host);
            });
        }
    }
}

#[test]
fn the_host_of_an_inference_service_is_not_taken_to_another() {
    let rules = json!([
        {"name": "chat", "match": {"path": "/chat"}, "path": "/openai/v1/chat/completions",
         "target": {"namespace": "prod", "model": "chat"}},
        {"name": "alias", "match": {"path": "/alias"}, "path": "/openai/v1/chat/completions",
         "authority": "chat-2-prod.example.com", "target": {"namespace": "prod", "model": "chat"}},
    ]);
    let targets = json!({"families": ["kserve"], "kserve":
        {"hostTemplate": "{name}-{namespace}.example.com", "namespaces": ["prod"]}});
    let gate = compile(rules, targets).unwrap();
    let go = |path: &str, host: &str| gate.go("POST", path, &[(":authority", host)]);
    let reached = "/openai/v1/chat/completions prod/chat predict";
    for (path, host, result) in [
        ("/chat", "gateway.example.org", reached),
        ("/chat", "chat-prod.example.com", reached),
        (
            "/chat",
            "fraud-prod.example.com",
            "the host, the path and the headers select different models",
        ),
        ("/alias", "fraud-prod.example.com", reached),
    ] {
        assert_eq!(go(path, host), result, "{path} at {host}");
    }
}
