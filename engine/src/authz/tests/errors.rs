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
