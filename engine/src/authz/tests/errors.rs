//! What is refused at load, where, and what only earns a warning.

use super::*;

fn policy(fields: Value) -> Value {
    let mut policy = json!({"name": "p"});
    policy.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"authorization": {"policies": [policy]}})
}

fn source(fields: Value) -> Value {
    policy(json!({"rules": [{"from": [{"source": fields}]}]}))
}

fn operation(fields: Value) -> Value {
    policy(json!({"rules": [{"to": [{"operation": fields}]}]}))
}

fn when(key: &str, values: Value) -> Value {
    policy(json!({"rules": [{"when": [{"key": key, "values": values}]}]}))
}

fn bypass(fields: Value) -> Value {
    let mut rule = json!({"name": "b", "to": [{"operation": {"paths": ["/p"]}}]});
    rule.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"bypass": [rule]})
}

#[test]
fn mistakes_are_refused_at_their_path() {
    const P: &str = "authorization.policies[0].";
    const S: &str = "authorization.policies[0].rules[0].from[0].source";
    const O: &str = "authorization.policies[0].rules[0].to[0].operation";
    const W: &str = "authorization.policies[0].rules[0].when[0]";
    let at = |place: &str, rest: &str| format!("{place}{rest}");
    let long = format!("n/{}", "x".repeat(320));
    let rows = [
        // Policies.
        (policy(json!({"name": ""})), at(P, "name: is not a name")),
        (policy(json!({"name": "a;.;b"})), at(P, "name: is not a name")),
        (policy(json!({"name": "a/b"})), at(P, "name: is not a name")),
        (policy(json!({"namespace": "a.b"})), at(P, "namespace: is not a namespace (a.b)")),
        (
            policy(json!({"action": "CUSTOM", "rules": [{}]})),
            at(P, "action: asks an external authorizer"),
        ),
        (policy(json!({"action": "deny"})), at(P, "action: is unknown (deny)")),
        (policy(json!({"action": "DENY"})), at(P, "rules: is empty")),
        (policy(json!({"action": "AUDIT", "rules": []})), at(P, "rules: is empty")),
        (
            policy(json!({"action": "AUDIT", "dryRun": true, "rules": [{}]})),
            at(P, "dryRun: has no meaning"),
        ),
        (policy(json!({"models": ["iris"]})), at(P, "models[0]: is not a model (iris)")),
        (policy(json!({"models": [""]})), at(P, "models[0]: is not a model ()")),
        (policy(json!({"models": ["*", "prod/*/x"]})), at(P, "models[1]: has * elsewhere")),
        (policy(json!({"models": ["*/*"]})), at(P, "models[0]: has * elsewhere")),
        (policy(json!({"models": ["/iris"]})), at(P, "models[0]: has an empty")),
        // Sources.
        (source(json!({})), at(S, ": names nobody")),
        (source(json!({"principals": []})), at(S, ": names nobody")),
        (source(json!({"principals": ["a", ""]})), at(S, ".principals[1]: is empty")),
        (
            source(json!({"principals": ["spiffe://a"]})),
            at(S, ".principals[0]: begins with its scheme"),
        ),
        (source(json!({"notNamespaces": [""]})), at(S, ".notNamespaces[0]: is empty")),
        (source(json!({"requestPrincipals": [""]})), at(S, ".requestPrincipals[0]: is empty")),
        (
            source(json!({"serviceAccounts": ["sa"]})),
            at(S, ".serviceAccounts[0]: has no namespace (sa)"),
        ),
        (source(json!({"serviceAccounts": ["n/*"]})), at(S, ".serviceAccounts[0]: has a *")),
        (
            source(json!({"serviceAccounts": ["a/b/c"]})),
            at(S, ".serviceAccounts[0]: is not a service account"),
        ),
        (
            source(json!({"serviceAccounts": ["/b"]})),
            at(S, ".serviceAccounts[0]: is not a service account"),
        ),
        (
            source(json!({"serviceAccounts": ["a/"]})),
            at(S, ".serviceAccounts[0]: is not a service account"),
        ),
        (source(json!({"serviceAccounts": [long]})), at(S, ".serviceAccounts[0]: is too long")),
        (
            source(json!({"serviceAccounts": vec!["n/s"; 17]})),
            at(S, ".serviceAccounts: has too many values (17)"),
        ),
        (
            source(json!({"serviceAccounts": ["n/s"], "principals": ["a"]})),
            at(S, ".principals: stands beside"),
        ),
        (
            source(json!({"notServiceAccounts": ["n/s"], "namespaces": ["n"]})),
            at(S, ".namespaces: stands beside"),
        ),
        (
            source(json!({"ipBlocks": ["10.0.0.0/33"]})),
            at(S, ".ipBlocks[0]: is no IP block (10.0.0.0/33)"),
        ),
        (source(json!({"notIpBlocks": ["example.com"]})), at(S, ".notIpBlocks[0]: is no IP block")),
        (
            source(json!({"remoteIpBlocks": ["::1", "1.2.3"]})),
            at(S, ".remoteIpBlocks[1]: is no IP block"),
        ),
        (
            source(json!({"trustDomains": ["td/ns"]})),
            at(S, ".trustDomains[0]: is not a trust domain"),
        ),
        (source(json!({"trustDomains": [""]})), at(S, ".trustDomains[0]: is empty")),
        (source(json!({"notTrustDomains": ["*d*"]})), at(S, ".notTrustDomains[0]: is not a trust")),
        // Operations.
        (operation(json!({})), at(O, ": names nothing")),
        (operation(json!({"ports": ["http"]})), at(O, ".ports[0]: is not a port number (http)")),
        (operation(json!({"ports": ["65536"]})), at(O, ".ports[0]: is not a port number")),
        (operation(json!({"notPorts": ["+80"]})), at(O, ".notPorts[0]: is not a port number")),
        (operation(json!({"ports": [""]})), at(O, ".ports[0]: is empty")),
        (
            operation(json!({"operations": ["infer"]})),
            at(O, ".operations[0]: is not an operation (infer)"),
        ),
        (
            operation(json!({"notOperations": ["pred*"]})),
            at(O, ".notOperations[0]: is not an operation"),
        ),
        (operation(json!({"operations": [""]})), at(O, ".operations[0]: is not an operation")),
        (operation(json!({"models": ["Prod/iris"]})), at(O, ".models[0]: has a character")),
        (operation(json!({"notModels": ["a/b/c"]})), at(O, ".notModels[0]: has more than one /")),
        (operation(json!({"hosts": [""]})), at(O, ".hosts[0]: is empty")),
        (operation(json!({"methods": [""]})), at(O, ".methods[0]: is empty")),
        (operation(json!({"paths": [""]})), at(O, ".paths[0]: is empty")),
        (operation(json!({"paths": ["/a{b}"]})), at(O, ".paths[0]: has a { or }")),
        (operation(json!({"paths": ["/{*}/{b}"]})), at(O, ".paths[0]: has {, } or *")),
        (
            operation(json!({"paths": ["/{**}/{*}"]})),
            at(O, ".paths[0]: has an operator behind {**}"),
        ),
        (operation(json!({"notPaths": ["/{*}/b*"]})), at(O, ".notPaths[0]: has {, } or *")),
        // Conditions.
        (
            policy(json!({"rules": [{"when": [{"key": "remote.ip"}]}]})),
            at(W, ": has neither values"),
        ),
        (policy(json!({"rules": [{"when": [{"values": ["a"]}]}]})), at(W, ".key: is missing")),
        (when("", json!(["a"])), at(W, ".key: is not a key ()")),
        (when("source.port", json!(["a"])), at(W, ".key: is not a key (source.port)")),
        (when("Source.ip", json!(["10.0.0.1"])), at(W, ".key: is not a key")),
        (when("request.headers", json!(["a"])), at(W, ".key: names no header")),
        (when("request.headers[]", json!(["a"])), at(W, ".key: names no header")),
        (when("request.headers[a b]", json!(["a"])), at(W, ".key: names no header")),
        (when("request.headers[a]x", json!(["a"])), at(W, ".key: names no header")),
        (when("request.auth.claims", json!(["a"])), at(W, ".key: names no claim")),
        (when("request.auth.claims[a][]", json!(["a"])), at(W, ".key: names no claim")),
        (when("request.auth.claimsx[a]", json!(["a"])), at(W, ".key: names no claim")),
        (
            when("experimental.envoy.filters.x[k]", json!(["a"])),
            at(W, ".key: asks for what other filters said"),
        ),
        (
            when("source.trustDomain", json!(["t*d"])),
            at(W, ".values[0]: is not a trust domain (t*d)"),
        ),
        (
            when("destination.labels[app]", json!(["a"])),
            at(W, ".key: is no longer a key of Istio's"),
        ),
        (when("destination.namespace", json!(["a"])), at(W, ".key: is no longer a key of Istio's")),
        (when("source.ip", json!(["a"])), at(W, ".values[0]: is no IP block (a)")),
        (when("destination.port", json!(["a"])), at(W, ".values[0]: is not a port number (a)")),
        (when("request.headers[a]", json!([""])), at(W, ".values[0]: is empty")),
        (when("request.auth.claims[a]", json!(["a", ""])), at(W, ".values[1]: is empty")),
        (when("connection.sni", json!([""])), at(W, ".values[0]: is empty")),
        // Bypass.
        (bypass(json!({"name": ""})), "bypass[0].name: is not a name".to_owned()),
        (
            bypass(json!({"to": []})),
            "bypass[0].to: is empty, which would open everything".to_owned(),
        ),
        (
            bypass(json!({"to": [{"operation": {"methods": ["GET"]}}]})),
            "bypass[0].to[0].operation: has neither".to_owned(),
        ),
        (
            bypass(json!({"to": [{"operation": {"notPaths": ["/x"]}}]})),
            "bypass[0].to[0].operation: has neither".to_owned(),
        ),
        (
            bypass(json!({"to": [{"operation": {}}]})),
            "bypass[0].to[0].operation: names nothing".to_owned(),
        ),
        (
            bypass(json!({"from": [{"source": {"requestPrincipals": ["*"]}}]})),
            "bypass[0].from[0].source.requestPrincipals: asks for a token".to_owned(),
        ),
        (
            bypass(json!({"from": [{"source": {"notRequestPrincipals": ["*"]}}]})),
            "bypass[0].from[0].source.notRequestPrincipals: asks for a token".to_owned(),
        ),
        (
            bypass(json!({"from": [{"source": {"serviceAccounts": ["sa"]}}]})),
            "bypass[0].from[0].source.serviceAccounts[0]: has no namespace".to_owned(),
        ),
        (bypass(json!({"when": []})), "bypass[0].when: is not a field here".to_owned()),
    ];
    for (config, wanted) in rows {
        let (_, errors) = compile(config.clone());
        let text = errors.to_string();
        assert!(text.starts_with(&wanted), "{config}\nwanted {wanted}\nfound  {text}");
        assert_eq!(errors.errors().len(), 1, "{text}");
    }
}

#[test]
fn names_are_unique() {
    let named = |list: Value| compile(json!({"authorization": {"policies": list}})).1.to_string();
    let twice = named(json!([{"name": "a", "namespace": "n"}, {"name": "a", "namespace": "n"}]));
    assert_eq!(
        twice,
        "authorization.policies[1].name: is given twice (n/a): a name of its own, or another namespace"
    );
    assert_eq!(named(json!([{"name": "a", "namespace": "n"}, {"name": "a"}, {"name": "b"}])), "");
    let rule = json!({"name": "b", "to": [{"operation": {"paths": ["/p"]}}]});
    let (_, errors) = compile(json!({"bypass": [rule, rule]}));
    assert_eq!(errors.to_string(), "bypass[1].name: is given twice (b): a name of its own");
}

#[test]
fn every_mistake_is_reported_at_once() {
    let (_, errors) = compile(json!({
        "authorization": {"policies": [
            {"name": "A", "action": "CUSTOM", "models": ["x"], "rules": [
                {"from": [{"source": {"ipBlocks": ["x", "y"], "principals": [""]}}, {"source": {}}],
                 "to": [{"operation": {"ports": ["x"], "paths": ["{"]}}],
                 "when": [{"key": "x", "values": [""]}, {"key": "source.ip"}]}]},
            {"name": "b", "action": "DENY"},
        ]},
        "bypass": [{"name": "c", "to": []}],
    }));
    let paths: Vec<&str> = errors.errors().iter().map(|e| e.path.as_str()).collect();
    let rule = "authorization.policies[0].rules[0]";
    assert_eq!(
        paths,
        [
            "authorization.policies[0].name".to_owned(),
            "authorization.policies[0].action".to_owned(),
            "authorization.policies[0].models[0]".to_owned(),
            format!("{rule}.from[0].source.principals[0]"),
            format!("{rule}.from[0].source.ipBlocks[0]"),
            format!("{rule}.from[0].source.ipBlocks[1]"),
            format!("{rule}.from[1].source"),
            format!("{rule}.to[0].operation.paths[0]"),
            format!("{rule}.to[0].operation.ports[0]"),
            format!("{rule}.when[0].key"),
            format!("{rule}.when[1]"),
            "authorization.policies[1].rules".to_owned(),
            "bypass[0].to".to_owned(),
        ]
    );
}

#[test]
fn every_policy_fit_for_istio_is_taken() {
    for config in [
        policy(json!({})),
        policy(json!({"rules": [{}]})),
        policy(
            json!({"name": "a.b-c", "namespace": "istio-system", "action": "AUDIT", "rules": [{}]}),
        ),
        source(json!({"principals": ["*"], "namespaces": ["a", "b*"]})),
        source(json!({"serviceAccounts": ["n/s"], "ipBlocks": ["10.0.0.0/8"]})),
        operation(json!({"hosts": ["*"], "notPaths": ["/a*"], "ports": ["0", "65535"]})),
        when("request.headers[:authority]", json!(["a"])),
        when("request.auth.claims[a][b]", json!(["*"])),
        bypass(json!({"from": [{"source": {"principals": ["a"], "remoteIpBlocks": ["::/0"]}}]})),
        bypass(json!({"to": [{"operation": {"operations": ["metrics"]}}]})),
    ] {
        let (_, errors) = compile(config.clone());
        assert!(errors.is_empty() && errors.warnings().is_empty(), "{config} {errors:?}");
    }
}

#[test]
fn what_may_surprise_earns_a_warning() {
    const S: &str = "authorization.policies[0].rules[0].from[0].source.";
    let deny = |source: Value| {
        policy(json!({"action": "DENY", "rules": [{"from": [{"source": source}]}]}))
    };
    for (config, path) in [
        (deny(json!({"principals": ["a"]})), format!("{S}principals")),
        (deny(json!({"namespaces": ["a"]})), format!("{S}namespaces")),
        (deny(json!({"serviceAccounts": ["a/b"]})), format!("{S}serviceAccounts")),
        (source(json!({"notPrincipals": ["a"]})), format!("{S}notPrincipals")),
        (
            source(json!({"requestPrincipals": ["https://idp*"]})),
            format!("{S}requestPrincipals[0]"),
        ),
        (
            operation(json!({"paths": ["admin"]})),
            "authorization.policies[0].rules[0].to[0].operation.paths[0]".to_owned(),
        ),
        (
            operation(json!({"notPaths": ["/a", "/a?b*"]})),
            "authorization.policies[0].rules[0].to[0].operation.notPaths[1]".to_owned(),
        ),
        (
            when("connection.sni", json!(["A"])),
            "authorization.policies[0].rules[0].when[0].values[0]".to_owned(),
        ),
    ] {
        let (_, errors) = compile(config.clone());
        let found: Vec<&str> = errors.warnings().iter().map(|w| w.path.as_str()).collect();
        assert_eq!(found, [path], "{config}");
    }
    let (_, errors) = compile(deny(json!({"notPrincipals": ["a"]})));
    assert!(errors.warnings().is_empty());
}

#[test]
fn a_warning_for_every_policy_would_be_noise() {
    let one = |i: usize| {
        json!({"name": format!("p{i}"), "action": "DENY",
        "rules": [{"from": [{"source": {"principals": ["a"]}}]}]})
    };
    let list: Vec<Value> = (0..100).map(one).collect();
    let (_, errors) = compile(json!({"authorization": {"policies": list}}));
    assert_eq!(errors.warnings().len(), 1);
}
