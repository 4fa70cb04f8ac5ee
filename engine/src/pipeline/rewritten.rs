//! What a rewrite writes of its own is authorized as it goes upstream.

use serde_json::{Value, json};

use super::tests::{code, decide, plan};

/// A caller may use one model of this configuration.
fn only(model: &str, targets: Value, rewrite: Value) -> super::Plan {
    plan(json!({
        "targets": targets,
        "rewrites": [rewrite],
        "authorization": {"defaultAction": "DENY", "policies": [{"name": "a", "models": [model], "rules": [{}]}]},
    }))
}

#[test]
fn an_authority_that_is_seldon_v2s_has_its_routes() {
    const HERE: &str = "models.example.com";
    for (host, status) in [(HERE, Some(400)), ("servers.example.com", None)] {
        let v2 = json!([{"namespace": "seldon-mesh", "hosts": [HERE]}]);
        let families = |families: &[&str]| json!({"families": families, "seldonV2": v2});
        let rule = |path: &str| json!({"name": "r", "match": {"path": path}, "path": "/{rest}", "authority": host});

        let strip = rule("/seldon/{namespace}/{model}/{rest=**}");
        let plan = only("prod/iris", families(&["seldon-v1", "seldon-v2"]), strip);
        let decision = decide(&plan, "POST /seldon/prod/iris/v2/models/fraud/infer", &[]);
        assert_eq!(code(&decision), status, "Seldon v1's address, {host}");
        let decision = decide(&plan, "POST /seldon/prod/iris/api/v1.0/predictions", &[]);
        assert_eq!(code(&decision), None, "{host}");

        let mut named = rule("/chat/{rest=**}");
        named["target"] = json!({"namespace": "seldon-mesh", "model": "chat"});
        let plan = only("seldon-mesh/chat", families(&["seldon-v2"]), named);
        let decision = decide(&plan, "POST /chat/v2/models/fraud/infer", &[]);
        assert_eq!(code(&decision), status, "a target of the rule's, {host}");

        let mut fixed = families(&["seldon-v2"]);
        fixed["fixed"] = json!([{"hosts": ["chat.example.com"], "model": "prod/chat"}]);
        let mut of_host = rule("/{rest=**}");
        of_host["match"]["hosts"] = json!(["chat.example.com"]);
        let plan = only("prod/chat", fixed, of_host);
        let chat = [(":authority", "chat.example.com")];
        let decision = decide(&plan, "POST /v2/models/fraud/infer", &chat);
        assert_eq!(code(&decision), status, "a fixed route, {host}");

        let mut bare = rule("/api/{rest=**}");
        bare["removeHeaders"] = json!(["seldon-model"]);
        let plan = only("seldon-mesh/iris", families(&["seldon-v2"]), bare);
        let iris = [("seldon-model", "iris")];
        let decision = decide(&plan, "POST /api/v2/models/fraud/infer", &iris);
        assert!(code(&decision).is_some_and(|code| code >= 400) || status.is_none(), "{host}");
    }
}

/// Other readings of a path than the one that is written may meet another route.
#[test]
fn no_rule_hides_a_fixed_route_or_an_llminferenceservice() {
    let targets = json!({"families": ["seldon-v1", "llmisvc"], "llmisvc": ["dev"],
        "fixed": [{"pathPrefix": "/serve/fraud", "model": "prod/fraud"}]});
    let rule = json!({"name": "r", "match": {"path": "/{rest=**}"}, "target": {"namespace": "prod", "model": "iris"}});
    let plan = only("prod/iris", targets, rule);
    for (path, status) in [
        ("/serve/fraud/v1/models", Some(400)),
        ("/s%65rve/fraud/v1/models/m:predict", Some(400)),
        ("/serve//fraud/v1/models/m:predict", Some(400)),
        ("/publishers/dev/models/m/v1/completions", Some(400)),
        ("/pu%62lishers/dev/models/m/v1/completions", Some(400)),
        ("/dev/%6d/v1/completions", Some(400)),
        ("/d%65v/m/v1/completions", Some(400)),
        ("/v1/models/m:predict", None),
        ("/v1/mod%65ls/m:predict", None),
    ] {
        let decision = decide(&plan, &format!("POST {path}"), &[]);
        assert_eq!(code(&decision), status, "{path}");
    }
}

/// Its route's prefix is text, so that a header which the rule sets chooses the model there.
#[test]
fn what_begins_with_the_text_of_seldon_v2s_prefix_is_its_routes() {
    let targets = json!({
        "families": ["seldon-v1", "seldon-v2"],
        "seldonV2": [{"namespace": "seldon-mesh", "hosts": ["models.example.com"]}],
    });
    let rule = json!({
        "name": "r", "match": {"path": "/{rest=**}"}, "setHeaders": {"seldon-model": "iris"},
        "target": {"namespace": "prod", "model": "iris"},
    });
    let plan = only("prod/iris", targets, rule);
    for (path, status) in [
        ("/v2models/iris.pipeline/infer", Some(400)),
        ("/v2", Some(400)),
        ("/v2x", Some(400)),
        ("/v2/models/iris/infer", Some(400)),
        ("//v2models/x", Some(400)),
        ("/%76%32models/x", Some(400)),
        ("/v1/models/iris:predict", None),
        ("/x/v2models", Some(403)),
    ] {
        let decision = decide(&plan, &format!("POST {path}"), &[]);
        assert_eq!(code(&decision), status, "{path}");
    }
}

#[test]
fn a_routing_header_that_a_rewrite_takes_off_selects_nothing() {
    const INFER: &str = "POST /inference.GRPCInferenceService/ModelInfer";
    let iris = [("seldon-model", "iris")];
    for edit in [
        json!({"removeHeaders": ["seldon-model"]}),
        json!({"removeHeaders": ["seldon_model"]}),
        json!({"setHeaders": {"seldon_model": "iris"}}),
        json!({"removeHeaders": ["x-other"]}),
    ] {
        let mut rule = json!({"name": "r", "match": {"path": "/{rest=**}"}});
        let (Some(rule_fields), Value::Object(edit_fields)) = (rule.as_object_mut(), edit.clone())
        else {
            panic!("{edit}")
        };
        rule_fields.extend(edit_fields);
        let plan = only("seldon-mesh/iris", json!({"families": ["seldon-v2"]}), rule);
        let stays = edit == json!({"removeHeaders": ["x-other"]});
        let answered = code(&decide(&plan, INFER, &iris));
        assert_eq!(answered.is_none(), stays, "{edit}: {answered:?}");
    }
}

/// The operator's routes choose by what a rewrite writes: whoever comes without the rewrite writes nothing there.
#[test]
fn a_routing_header_that_a_rewrite_sets_is_no_clients_where_no_family_reads_it() {
    const GRPC: &str = "POST /seldon.protos.Seldon/Predict";
    let v1 = json!({"families": ["seldon-v1"]});
    let set = json!({"seldon": "{model}", "Namespace": "{namespace}", "seldon-model": "{model}"});
    let rule = |path: &str| json!({"name": path, "match": {"path": path}, "path": "/{rest}"});
    let mut sets = rule("/seldon/{namespace}/{model}/{rest=**}");
    sets["setHeaders"] = set;
    let other = rule("/other/{rest=**}");
    let plan = plan(json!({"targets": v1, "rewrites": [sets, other], "authorization": {}}));
    let sent = [("seldon", "fraud"), ("namespace", "prod"), ("seldon-model", "fraud")];
    for (line, left) in [
        ("POST /api/v1.0/predictions", &[][..]),
        ("POST /other/api/v1.0/predictions", &[]),
        ("POST /other/seldon.protos.Seldon/Predict", &["seldon", "namespace"]),
        (GRPC, &["seldon", "namespace"]),
        ("POST /seldon/prod/iris/api/v1.0/predictions", &["seldon", "namespace", "seldon-model"]),
    ] {
        let decision = decide(&plan, line, &sent);
        let edits = &decision.forward().unwrap().edits;
        let written = |name: &str| edits.added().any(|(added, _)| added == name.as_bytes());
        for (name, value) in sent {
            let stays = !edits.removes(name.as_bytes()) || written(name);
            assert_eq!(stays, left.contains(&name), "{line}: {name}");
            let is_other = |(n, v): (&[u8], &[u8])| n == name.as_bytes() && v == value.as_bytes();
            assert!(name == "namespace" || !edits.added().any(is_other), "{line}: {name}");
        }
    }
    // Without such a rewrite they stay: nobody routes by them.
    let plan = super::tests::plan(
        json!({"targets": {"families": []}, "authorization": {"defaultAction": "ALLOW"}}),
    );
    let decision = decide(&plan, "POST /api/v1.0/predictions", &sent);
    assert!(decision.forward().unwrap().edits.is_empty());
}

#[test]
fn no_rewrite_leads_to_an_llminferenceservice_that_was_not_authorized() {
    let targets = json!({"families": ["seldon-v1", "llmisvc"], "llmisvc": ["prod"],
        "fixed": [{"pathPrefix": "/publishers/prod/models/Org/Llama", "model": "prod/llama"}]});
    let rule = |from: &str, to: &str| json!({"name": "r", "match": {"path": from}, "path": to});
    let header = |model: &str| ("x-gateway-model-name", format!("publishers/prod/models/{model}"));
    let check = |model: &str, rule: &Value, request: &str, of: &str, status: Option<u32>| {
        let plan = only(model, targets.clone(), rule.clone());
        let (name, value) = header(of);
        let headers = if of.is_empty() { vec![] } else { vec![(name, value.as_str())] };
        let found = code(&decide(&plan, request, &headers));
        assert_eq!(found, status, "{model}: {rule} {request} {of}");
    };
    // What the incoming address names goes on, and no captured text or header names another.
    let strip = rule("/seldon/{namespace}/{model}/{rest=**}", "/{rest}");
    check("prod/iris", &strip, "POST /seldon/prod/iris/predict", "", None);
    check("prod/iris", &strip, "POST /seldon/prod/iris/prod/llama/v1/completions", "", Some(400));
    let published = "POST /seldon/prod/iris/publishers/prod/models/llama/v1/completions";
    check("prod/iris", &strip, published, "", Some(400));
    check("prod/iris", &strip, &published.replace("llama", "Org/Llama"), "", Some(403));
    check("prod/iris", &strip, "POST /seldon/prod/iris/predict", "llama", Some(400));
    check("prod/iris", &strip, "POST /seldon/prod/iris/predict", "Org/Llama", Some(400));
    check("prod/iris", &strip, "POST /seldon/prod/iris/predict", "iris", None);
    // So with a rule's own target, which a header that the rule writes may lead to.
    let mut own = rule("/chat/{model}/{rest=**}", "/{rest}");
    own["target"] = json!({"namespace": "prod", "model": "{model}"});
    check("prod/llama", &own, "POST /chat/llama/v1/completions", "", None);
    check("prod/llama", &own, "POST /chat/llama/v1/completions", "Org/Llama", None);
    check("prod/llama", &own, "POST /chat/llama/v1/completions", "qwen", Some(400));
    check("prod/llama", &own, "POST /chat/llama/prod/qwen/v1/completions", "", Some(400));
    own["setHeaders"] = json!({"x-gateway-model-name": "publishers/prod/models/{model}"});
    check("prod/llama", &own, "POST /chat/llama/v1/completions", "qwen", None);
    check("prod/qwen", &own, "POST /v1/completions", "qwen", None);
    check("prod/qwen", &own, "POST /prod/qwen/v1/completions", "qwen", None);
    check("prod/llama", &own, "POST /chat/qwen/v1/completions", "llama", Some(403));
    check("prod/llama", &own, "POST /chat/llama/prod/qwen/v1/completions", "", Some(400));
    // Where a rule writes it a client's own stays only where it names the model.
    let plan = only("prod/*", targets.clone(), own);
    for (line, of, stays) in [
        ("POST /v1/completions", "publishers/prod/models/qwen", true),
        ("POST /prod/qwen/v1/completions", "publishers/prod/models/qwen", false),
        ("POST /prod/qwen/v1/completions", "qwen", false),
    ] {
        let decision = decide(&plan, line, &[("x-gateway-model-name", of)]);
        let removed = decision.forward().unwrap().edits.removes(b"x-gateway-model-name");
        assert_eq!(!removed, stays, "{line} {of}");
    }
    // Without one nothing that a client wrote makes a service's address of a path that was none.
    let open = rule("/open/{rest=**}", "/{rest}");
    check("prod/llama", &open, "POST /open/prod/llama/v1/completions", "", Some(400));
    check("prod/llama", &open, "POST /open/v1/completions", "llama", None);
    check("prod/llama", &open, "POST /open/v1/completions", "qwen", Some(403));
}
