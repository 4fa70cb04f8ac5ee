//! In which order policies decide, for which requests they exist, and what is counted.

use super::*;

const ANY: fn() -> Value = || json!([{}]);

fn table(authorizer: &Authorizer, rows: &[(&Scene, bool, &[&str], &str)]) {
    for (scene, allowed, counted, details) in rows {
        let decision = scene.decide(authorizer);
        assert_eq!(decision.allowed, *allowed, "{scene:?}");
        assert_eq!(effects(authorizer, &decision), *counted, "{scene:?}");
        let wanted = format!("rbac_access_denied_matched_policy[{details}]");
        assert_eq!(authorizer.details(&decision), wanted, "{scene:?}");
    }
}

fn paths(list: &[&str]) -> Value {
    json!([{"to": [{"operation": {"paths": list}}]}])
}

#[test]
fn audit_then_deny_then_allow() {
    let authorizer = policies(json!([
        {"name": "allow", "namespace": "prod", "rules": paths(&["/a", "/both"])},
        {"name": "deny", "action": "DENY", "rules": [
            {"to": [{"operation": {"paths": ["/x"]}}]}, {"to": [{"operation": {"paths": ["/both"]}}]}]},
        {"name": "audit", "action": "AUDIT", "rules": paths(&["/a", "/both", "/none"])},
        {"name": "late", "rules": ANY()},
    ]));
    table(
        &authorizer,
        &[
            (
                &Scene::get("/a"),
                true,
                &["audit audited", "prod/allow allowed"],
                "ns[prod]-policy[allow]-rule[0]",
            ),
            (
                &Scene::get("/both"),
                false,
                &["audit audited", "deny denied"],
                "ns[]-policy[deny]-rule[1]",
            ),
            (&Scene::get("/x"), false, &["deny denied"], "ns[]-policy[deny]-rule[0]"),
            (
                &Scene::get("/none"),
                true,
                &["audit audited", "late allowed"],
                "ns[]-policy[late]-rule[0]",
            ),
        ],
    );
}

#[test]
fn an_allow_policy_that_applies_demands_a_match() {
    let authorizer = policies(json!([{"rules": paths(&["/a"])}]));
    table(
        &authorizer,
        &[
            (&Scene::get("/a"), true, &["p0 allowed"], "ns[]-policy[p0]-rule[0]"),
            (&Scene::get("/b"), false, &[], "none"),
        ],
    );
    // Without rules it applies and never matches.
    assert!(!Scene::get("/a").decide(&policies(json!([{}]))).allowed);
    // DENY and AUDIT policies demand nothing.
    let others = policies(json!([
        {"action": "DENY", "rules": paths(&["/x"])}, {"action": "AUDIT", "rules": paths(&["/x"])}]));
    assert!(Scene::get("/a").decide(&others).allowed);
}

#[test]
fn the_default_action_answers_where_no_allow_policy_applies() {
    for (action, allowed) in [("ALLOW", true), ("DENY", false)] {
        let (authorizer, _) = compile(json!({"authorization": {"defaultAction": action}}));
        let decision = Scene::get("/").decide(&authorizer.unwrap());
        assert_eq!((decision.allowed, decision.policy), (allowed, None));
    }
    let (authorizer, _) = compile(json!({}));
    assert!(Scene::get("/").decide(&authorizer.unwrap()).allowed);
}

#[test]
fn a_policy_with_models_exists_only_for_them() {
    let iris = &Scene::get("/").address(Some("prod/iris"), Operation::Predict);
    let fraud = &Scene::get("/").address(Some("prod/fraud"), Operation::Predict);
    let server = &Scene::get("/").address(None, Operation::Status);
    let outside = &Scene::get("/");
    for models in [json!(["prod/iris"]), json!(["*/iris"]), json!(["prod/ir*"])] {
        let authorizer = policies(json!([{"models": models, "rules": paths(&["/no"])}]));
        for (scene, allowed) in [(iris, false), (fraud, true), (server, true), (outside, true)] {
            assert_eq!(scene.decide(&authorizer).allowed, allowed, "{models} {scene:?}");
        }
        let authorizer = policies(json!([{"action": "DENY", "models": models, "rules": ANY()}]));
        for (scene, allowed) in [(iris, false), (fraud, true), (server, true), (outside, true)] {
            assert_eq!(scene.decide(&authorizer).allowed, allowed, "DENY {models} {scene:?}");
        }
    }
    let any = policies(json!([{"models": ["*"], "rules": []}]));
    for (scene, allowed) in [(iris, false), (fraud, false), (server, true), (outside, true)] {
        assert_eq!(scene.decide(&any).allowed, allowed, "* {scene:?}");
    }
}

#[test]
fn models_in_a_rule_do_not_limit_the_scope() {
    let rules = json!([{"to": [{"operation": {"models": ["prod/iris"]}}]}]);
    let authorizer = policies(json!([{"rules": rules}]));
    for (scene, allowed) in [
        (Scene::get("/").address(Some("prod/iris"), Operation::Predict), true),
        (Scene::get("/").address(Some("prod/fraud"), Operation::Predict), false),
        (Scene::get("/"), false),
    ] {
        assert_eq!(scene.decide(&authorizer).allowed, allowed, "{scene:?}");
    }
}

#[test]
fn dry_run_policies_are_only_counted() {
    let authorizer = policies(json!([
        {"name": "dry-allow", "dryRun": true, "rules": paths(&["/a", "/d"])},
        {"name": "dry-deny", "action": "DENY", "dryRun": true, "rules": ANY()},
        {"name": "deny", "action": "DENY", "rules": paths(&["/d"])},
    ]));
    table(
        &authorizer,
        &[
            (
                &Scene::get("/a"),
                true,
                &["dry-deny dry_run_denied", "dry-allow dry_run_allowed"],
                "none",
            ),
            // A dry-run ALLOW demands nothing.
            (&Scene::get("/b"), true, &["dry-deny dry_run_denied"], "none"),
            // What a DENY refuses, no ALLOW is asked about.
            (
                &Scene::get("/d"),
                false,
                &["dry-deny dry_run_denied", "deny denied"],
                "ns[]-policy[deny]-rule[0]",
            ),
        ],
    );
    // An enforced ALLOW that matches does not hide one that is tried out.
    let authorizer = policies(json!([
        {"name": "old", "rules": ANY()}, {"name": "new", "dryRun": true, "rules": ANY()}]));
    let decision = Scene::get("/").decide(&authorizer);
    assert_eq!(effects(&authorizer, &decision), ["new dry_run_allowed", "old allowed"]);
}

#[test]
fn closed_operations_are_opened_by_name_only() {
    const CLOSED: [&str; 3] = ["metrics", "admin", "other"];
    let open = |to: Value| policies(json!([{"rules": [{"to": to}]}]));
    let named = |list: &[&str]| open(json!([{"operation": {"operations": list}}]));
    let (default_allow, _) = compile(json!({"authorization": {"defaultAction": "ALLOW"}}));
    let rows = [
        (default_allow.unwrap(), false),
        (policies(json!([{"rules": ANY()}])), false),
        (open(json!([{"operation": {"paths": ["*"]}}])), false),
        (open(json!([{"operation": {"notOperations": ["predict"]}}])), false),
        (open(json!([{"operation": {"models": ["*"]}}])), false),
        (named(&["predict"]), false),
        (named(&["*"]), false),
        (named(&["*", "predict"]), false),
        (named(&["metrics", "admin", "other"]), true),
        (named(&["*", "metrics", "admin", "other"]), true),
        // The element that names the operation must be the one that matches.
        (
            open(json!([{"operation": {"paths": ["/"]}},
            {"operation": {"operations": CLOSED, "methods": ["POST"]}}])),
            false,
        ),
        (
            open(json!([{"operation": {"operations": CLOSED, "methods": ["POST"]}},
            {"operation": {"operations": CLOSED, "methods": ["GET"]}}])),
            true,
        ),
        // A rule that does not name it hides no later one that does.
        (policies(json!([{"rules": [{}, {"to": [{"operation": {"operations": CLOSED}}]}]}])), true),
        (
            policies(
                json!([{"rules": [{"to": [{"operation": {"operations": ["*"]}}]}, {"to": [{"operation": {"operations": CLOSED}}]}]}]),
            ),
            true,
        ),
        (
            policies(
                json!([{"dryRun": true, "rules": [{"to": [{"operation": {"operations": CLOSED}}]}]}]),
            ),
            false,
        ),
    ];
    for (i, (authorizer, opened)) in rows.iter().enumerate() {
        for operation in [Operation::Metrics, Operation::Admin, Operation::Other] {
            for model in [Some("prod/iris"), None] {
                let scene = Scene::get("/").address(model, operation);
                let decision = scene.decide(authorizer);
                assert_eq!(decision.allowed, *opened, "{i} {scene:?}");
                assert!(scene.ask(|s| authorizer.decide(s, true)).allowed, "{i} bypassed");
            }
        }
    }
    // Others need nothing but what Istio needs.
    for operation in [Operation::Predict, Operation::Status, Operation::Docs] {
        let scene = Scene::get("/").address(Some("prod/iris"), operation);
        assert!(scene.decide(&policies(json!([{"rules": ANY()}]))).allowed);
    }
    // What refuses means every operation by `*`, and so does a negation.
    for to in [json!({"operations": ["*"]}), json!({"notOperations": ["predict"]})] {
        let scene = Scene::get("/").address(Some("prod/iris"), Operation::Admin);
        let deny = json!([{"action": "DENY", "rules": [{"to": [{"operation": to}]}]}]);
        let decision = scene.decide(&policies(deny));
        assert!(decision.policy.is_some(), "{to}");
    }
    let not = json!([{"rules": [{"to": [{"operation": {"operations": ["admin"]}},
        {"operation": {"operations": ["admin"], "notOperations": ["*"]}}]}]}]);
    assert!(Scene::get("/").address(None, Operation::Admin).decide(&policies(not)).allowed);
    let (bypass, _) =
        compile(json!({"bypass": [{"name": "all", "to": [{"operation": {"operations": ["*"]}}]}]}));
    let bypass = bypass.unwrap();
    for (word, operation) in Operation::WORDS.iter().map(|w| (w, Operation::from_word(w).unwrap()))
    {
        let scene = Scene::get("/").address(Some("prod/iris"), operation);
        let open = scene.ask(|subject| bypass.bypass(subject).is_some());
        assert_eq!(open, !operation.is_closed(), "{word}");
    }
    // A DENY that matches is why, not the closed operation.
    let denied = Scene::get("/")
        .address(None, Operation::Metrics)
        .decide(&policies(json!([{"action": "DENY", "rules": ANY()}])));
    assert_eq!((denied.allowed, denied.policy.is_some()), (false, true));
}

#[test]
fn bypassed_requests_are_anonymous_and_only_denied() {
    let authorizer = policies(json!([
        {"name": "allow", "rules": paths(&["/no"])},
        {"name": "dry", "dryRun": true, "rules": ANY()},
        {"name": "audit", "action": "AUDIT", "rules": ANY()},
        {"name": "known", "action": "DENY", "rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}]},
        {"name": "deny", "action": "DENY", "rules": paths(&["/x"])},
    ]));
    let user = Scene::get("/").identity("i", "s", json!({}));
    let decision = user.ask(|s| authorizer.decide(s, true));
    assert_eq!((decision.allowed, decision.policy), (true, None));
    assert_eq!(effects(&authorizer, &decision), ["audit audited"]);
    let decision = Scene::get("/x").ask(|s| authorizer.decide(s, true));
    assert_eq!(
        (decision.allowed, effects(&authorizer, &decision)[1].as_str()),
        (false, "deny denied")
    );
}

#[test]
fn a_bypass_is_found_by_address_and_peer() {
    let (authorizer, errors) = compile(json!({"bypass": [
        {"name": "prometheus", "to": [{"operation": {"methods": ["GET"], "paths": ["/prometheus"], "ports": ["6000"]}}]},
        {"name": "peer", "from": [{"source": {"namespaces": ["monitoring"]}}, {"source": {"ipBlocks": ["10.0.0.0/8"]}}],
            "to": [{"operation": {"operations": ["metrics"]}}]},
    ]}));
    assert!(errors.warnings().is_empty());
    let authorizer = authorizer.unwrap();
    let port = |port| Scene { destination_port: port, ..Scene::get("/prometheus") };
    let metrics = || Scene::get("/m").address(None, Operation::Metrics);
    for (scene, place) in [
        (port(Some(6000)), Some(0)),
        (port(Some(8080)), None),
        (port(None), None),
        (port(Some(6000)).with(":method", "POST"), None),
        (port(Some(6000)).with(":path", "/prometheus/x"), None),
        (metrics(), None),
        (metrics().peer("spiffe://td/ns/monitoring/sa/p"), Some(1)),
        (metrics().header("x-forwarded-for", "10.0.0.1"), Some(1)),
        (Scene { inbound: true, ..metrics().header("x-forwarded-for", "10.0.0.1") }, None),
        (Scene::get("/m").peer("spiffe://td/ns/monitoring/sa/p"), None),
    ] {
        assert_eq!(scene.ask(|s| authorizer.bypass(s)), place, "{scene:?}");
    }
}

#[test]
fn what_cannot_be_had_matches_in_deny_and_not_in_allow() {
    let forwarded = |line: &str| Scene::get("/").header("x-forwarded-for", line);
    // sourceAddress, scene, whether the address can be had
    for (source, scene, had) in [
        ("AUTO", forwarded("10.1.2.3"), true),
        ("AUTO", forwarded("192.0.2.1, 10.1.2.3 "), true),
        ("AUTO", forwarded("192.0.2.1").header("x-forwarded-for", "10.1.2.3"), true),
        ("AUTO", Scene { inbound: true, ..forwarded("10.1.2.3") }, false),
        ("AUTO", Scene::get("/"), false),
        ("AUTO", forwarded("10.1.2.3,"), false),
        ("AUTO", forwarded("10.1.2.3, unknown"), false),
        ("AUTO", forwarded("10.1.2.3").header("x-forwarded-for", ""), false),
        ("LAST_FORWARDED_FOR", Scene { inbound: true, ..forwarded("10.1.2.3") }, true),
        ("LAST_FORWARDED_FOR", Scene::get("/"), false),
        ("UNAVAILABLE", forwarded("10.1.2.3"), false),
    ] {
        for (rule, fits) in [
            (json!({"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]}), true),
            (json!({"from": [{"source": {"notIpBlocks": ["10.0.0.0/8"]}}]}), false),
            (json!({"when": [{"key": "source.ip", "values": ["10.0.0.0/8"]}]}), true),
            (json!({"when": [{"key": "source.ip", "notValues": ["10.0.0.0/8"]}]}), false),
        ] {
            let decide = |action: &str, dry_run: bool| {
                let policy =
                    json!({"name": "p", "action": action, "dryRun": dry_run, "rules": [rule]});
                let (authorizer, errors) = compile(
                    json!({"sourceAddress": source, "authorization": {"policies": [policy]}}),
                );
                assert_eq!(errors.warnings().len(), usize::from(source == "UNAVAILABLE"));
                scene.decide(&authorizer.unwrap())
            };
            let matched = |allow: bool| if had { fits } else { !allow };
            assert_eq!(decide("ALLOW", false).allowed, matched(true), "{source} {rule} {scene:?}");
            assert_eq!(!decide("ALLOW", true).effects.is_empty(), matched(true), "{source} {rule}");
            assert_eq!(decide("DENY", false).allowed, !matched(false), "{source} {rule} {scene:?}");
            assert_eq!(!decide("DENY", true).effects.is_empty(), matched(false), "{source} {rule}");
            assert_eq!(
                !decide("AUDIT", false).effects.is_empty(),
                matched(false),
                "{source} {rule}"
            );
        }
    }
}

#[test]
fn other_addresses_that_cannot_be_had_are_undecided_too() {
    for rule in [
        json!({"from": [{"source": {"remoteIpBlocks": ["0.0.0.0/0"]}}]}),
        json!({"from": [{"source": {"notRemoteIpBlocks": ["0.0.0.0/0"]}}]}),
        json!({"to": [{"operation": {"ports": ["80"]}}]}),
        json!({"to": [{"operation": {"notPorts": ["80"]}}]}),
        json!({"when": [{"key": "destination.ip", "values": ["0.0.0.0/0"]}]}),
        json!({"when": [{"key": "destination.ip", "notValues": ["0.0.0.0/0"]}]}),
    ] {
        for action in ["ALLOW", "DENY"] {
            let authorizer = policies(json!([{"action": action, "rules": [rule]}]));
            assert!(!Scene::get("/").decide(&authorizer).allowed, "{action} {rule}");
        }
    }
}

#[test]
fn conditions_stand_alone() {
    let compile = |conditions: Value| {
        let conditions: Vec<types::Condition> =
            Read::read(&conditions.into(), &Path::ROOT, &mut Errors::default()).unwrap();
        let mut errors = Errors::default();
        let path = Path::ROOT.field("when");
        let compiled = Conditions::compile(&conditions, &path, SourceAddress::Auto, &mut errors);
        (compiled, errors.to_string())
    };
    let scene = Scene::get("/").identity("i", "s", json!({"g": "ds"}));
    for (list, holds) in [
        (json!([]), true),
        (json!([{"key": "request.auth.claims[g]", "values": ["ds"]}]), true),
        (json!([{"key": "request.auth.claims[g]", "notValues": ["ds"]}]), false),
        (
            json!([{"key": "request.auth.claims[g]", "values": ["ds"]},
            {"key": "request.auth.principal", "values": ["i/x"]}]),
            false,
        ),
        (json!([{"key": "source.ip", "values": ["0.0.0.0/0"]}]), false),
        (json!([{"key": "source.ip", "notValues": ["0.0.0.0/0"]}]), false),
    ] {
        let conditions = compile(list.clone()).0.unwrap();
        assert_eq!(scene.ask(|s| conditions.matches(s)), holds, "{list}");
    }
    let (none, errors) = compile(json!([{"key": "source.serviceAccount", "values": ["iris"]}]));
    assert!(none.is_none());
    assert!(errors.starts_with("when[0].values[0]: has no namespace (iris)"), "{errors}");
}

#[test]
fn policies_of_other_models_are_not_looked_at() {
    let many: Vec<Value> = (0..10_000)
        .map(|i| match i % 4 {
            0 => json!({"models": [format!("prod/m{i}")], "rules": ANY()}),
            1 => json!({"models": [format!("ns{i}/*"), format!("prod/m{i}")], "rules": ANY()}),
            2 => json!({"action": "DENY", "rules": [{"to": [{"operation":
                {"models": [format!("prod/m{i}")], "operations": ["admin"]}}]}]}),
            _ => json!({"action": "AUDIT", "models": [format!("ns{i}/x-*")], "rules": ANY()}),
        })
        .collect();
    let authorizer = policies(Value::Array(many));
    for (model, candidates) in [
        (None, 0),
        (Some("prod/m0"), 1),
        (Some("prod/m1"), 1),
        (Some("ns1/anything"), 1),
        (Some("prod/m2"), 1),
        (Some("ns3/x-1"), 1),
        (Some("ns3/y"), 1),
        (Some("dev/m0"), 0),
    ] {
        assert_eq!(authorizer.index.candidates(model).count(), candidates, "{model:?}");
    }
    let decision = Scene::get("/").address(Some("prod/m4"), Operation::Predict).decide(&authorizer);
    assert_eq!(effects(&authorizer, &decision), ["p4 allowed"]);
    // A policy whose scope is found under both keys is evaluated once.
    let twice = policies(json!([{"action": "AUDIT", "models": ["a/b", "a/*"], "rules": ANY()}]));
    let decision = Scene::get("/").address(Some("a/b"), Operation::Predict).decide(&twice);
    assert_eq!(effects(&twice, &decision), ["p0 audited"]);
}

/// A rule that asks for the model neither refuses nor opens before it is known, also where it asks for another one.
#[test]
fn a_model_that_the_body_will_name_decides_nothing_before() {
    let mut scene = Scene::get("/v1/completions").address(None, Operation::Predict);
    if let Some(address) = &mut scene.address {
        address.in_body = Some(crate::routing::InBody::Model("prod".into()));
    }
    for (policy, refuses) in [
        (json!({"rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}), true),
        (json!({"rules": [{"to": [{"operation": {"methods": ["POST"]}}]}]}), false),
        (json!({"rules": [{"to": [{"operation": {"models": ["prod/a"]}}]}]}), false),
        (json!({"rules": [{"to": [{"operation": {"notModels": ["prod/a"]}}]}]}), false),
        (json!({"models": ["prod/*"], "rules": [{}]}), false),
    ] {
        let mut deny = policy;
        deny["action"] = json!("DENY");
        let deny = policies(json!([deny]));
        let refused = scene.ask(|subject| deny.refuses_any_model(subject));
        assert_eq!(refused.is_some(), refuses);
    }
    for (field, opens) in [("models", None), ("notModels", None), ("methods", Some(0))] {
        let value = if field == "methods" { "GET" } else { "prod/a" };
        let operation = json!({"paths": ["/v1/*"], field: [value]});
        let (open, errors) =
            compile(json!({"bypass": [{"name": "open", "to": [{"operation": operation}]}]}));
        let open = open.unwrap_or_else(|| panic!("{errors}"));
        assert_eq!(scene.ask(|subject| open.bypass(subject)), opens, "{field}");
    }
}
