//! What a rewrite reaches, writes and takes off, and what it may not write.

use super::*;

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

/// A service's metrics and administration are what they are by every way to it, and its predictions too.
#[test]
fn an_llm_services_operations_are_read_behind_its_address() {
    for (path, target, headers) in [
        ("/prod/llama/{rest}", false, json!({})),
        ("/publishers/prod/models/llama/{rest}", false, json!({})),
        ("/{rest}", false, json!({"x-gateway-model-name": "publishers/prod/models/llama"})),
        ("/{rest}", true, json!({"x-gateway-model-name": "publishers/prod/models/llama"})),
    ] {
        let mut rewrite = json!({
            "name": "chat", "match": {"path": "/chat/{rest=**}"}, "path": path, "setHeaders": headers,
        });
        if target {
            rewrite["target"] = json!({"namespace": "prod", "model": "llama"});
        }
        let plan = plan(json!({
            "targets": {"families": ["llmisvc"], "llmisvc": ["team", "prod"]},
            "rewrites": [rewrite],
            "authorization": {"policies": [
                {"name": "a", "models": ["prod/llama"], "rules": [{"to": [{"operation": {"operations": ["predict", "other"]}}]}]},
            ]},
        }));
        for (request, operation, status) in [
            ("POST /chat/v1/chat/completions", Operation::Predict, None),
            ("GET /chat/metrics", Operation::Metrics, Some(403)),
            ("POST /chat/v1/load_lora_adapter", Operation::Admin, Some(403)),
            ("POST /chat/sleep", Operation::Admin, Some(403)),
            ("GET /chat/unheard/of", Operation::Other, None),
        ] {
            let decision = decide(&plan, request, &[]);
            assert_eq!(
                (decision.facts.operation, code(&decision)),
                (Some(operation), status),
                "{request} by {path} {decision:?}"
            );
        }
    }
}

/// What a client's own address captures may be such an address as well.
#[test]
fn an_llm_services_metrics_are_no_other_address_by_what_is_captured() {
    let plan = plan(json!({
        "targets": {
            "families": ["seldon-v1", "kserve", "llmisvc"], "llmisvc": ["prod"],
            "kserve": {"hostTemplate": "{name}-{namespace}.k.com", "namespaces": ["prod"]},
        },
        "rewrites": [{"name": "strip", "match": {"path": "/seldon/{namespace}/{model}/{rest=**}"}, "path": "/{rest}"}],
        "authorization": {"policies": [
            {"name": "a", "models": ["prod/llama"], "rules": [{"to": [{"operation": {"operations": ["predict", "other"]}}]}]},
        ]},
    }));
    for (request, host, status) in [
        ("GET /seldon/prod/llama/prod/llama/metrics", "a.example.com", Some(403)),
        ("POST /seldon/prod/llama/publishers/prod/models/llama/sleep", "a.example.com", Some(403)),
        ("GET /prod/llama/metrics", "llama-prod.k.com", Some(403)),
        ("POST /prod/llama/v1/chat/completions", "llama-prod.k.com", None),
        ("POST /seldon/prod/llama/prod/llama/v1/chat/completions", "a.example.com", None),
        ("POST /seldon/prod/llama/prod/other/v1/chat/completions", "a.example.com", Some(400)),
    ] {
        assert_eq!(
            code(&decide(&plan, request, &[(":authority", host)])),
            status,
            "{request} {host}"
        );
    }
}
