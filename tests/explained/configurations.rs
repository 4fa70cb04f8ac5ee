//! Configurations of every part: the site of the deputy's tests with policies, tokens, bypasses, splits and shadows.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::dice::Dice;

const SECRET: &[u8] = b"nobody else's secret, of 32 bytes or more";

const MODELS: &[&str] = &[
    "prod/iris",
    "prod/fraud",
    "prod/*",
    "dev/*",
    "*/iris",
    "seldon-mesh/*",
    "seldon-mesh/iris",
    "prod/flower",
    "prod/llama",
    "prod/chat",
    "*",
];
const OPERATIONS: &[&str] = &[
    "predict", "predict", "explain", "feedback", "metadata", "status", "metrics", "admin", "other",
    "*",
];

/// A token that is good at a time, in seconds since the Unix epoch, or nearly.
pub fn token(dice: &mut Dice, now: u64) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut claims = json!({
        "iss": dice.pick(&["a", "a", "a", "b", "stranger"]),
        "sub": dice.pick(&["alice", "bob", "team/carol"]),
        "groups": dice.pick(&[&["ds"][..], &["ops", "ds"], &[]]),
        "scope": dice.pick(&["read", "read write"]),
        "exp": now + 3600,
    });
    if dice.once_in(8) {
        claims["exp"] = (now - 3600).into();
    }
    if dice.once_in(12) {
        claims["sub"] = 7.into();
    }
    let signed = format!("{}.{}", encode(&json!({"alg": "HS256"})), encode(&claims));
    let secret: &[u8] = if dice.once_in(12) { b"another secret" } else { SECRET };
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).unwrap();
    mac.update(signed.as_bytes());
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
    if dice.once_in(20) { token.replacen('.', "", 1) } else { token }
}

/// A configuration that the engine takes.
pub fn configuration(dice: &mut Dice) -> Value {
    let mut settings: Value = serde_json::from_str(include_str!("../deputy/site.json")).unwrap();
    let families = &mut settings["targets"]["families"];
    families.as_array_mut().unwrap().push("openai".into());
    settings["targets"]["openai"] =
        json!([{"namespace": "llm", "hosts": ["chat2.example.com"], "pathPrefix": "/openai"}]);
    if dice.once_in(2) {
        settings["targets"]["bodyModels"] = json!(["prod/llama", "dev/*"]);
    }
    let jwks = json!({"keys": [{"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET)}]}).to_string();
    let rule = |issuer: &str| json!({"issuer": issuer, "jwks": jwks});
    let mut first = rule("a");
    if dice.once_in(2) {
        first["outputClaimToHeaders"] = json!([{"header": "x-user", "claim": "sub"}]);
    }
    first["forwardOriginalToken"] = dice.once_in(4).into();
    let rules = if dice.once_in(3) { json!([first]) } else { json!([first, rule("b")]) };
    // The SHA-256 of "abc" (FIPS 180-4, appendix B.1).
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    settings["authentication"] = json!({
        "jwtRules": rules,
        "tokenCache": {"bytes": "8KiB"},
        "apiKeys": {"keys": [{"name": "batch", "sha256": abc, "claims": {"groups": ["ds"]}}]},
    });
    let count = 1 + dice.below(5);
    let policies: Vec<Value> = (0..count).map(|i| policy(dice, i)).collect();
    settings["authorization"] = json!({
        "defaultAction": dice.pick(&["ALLOW", "DENY"]),
        "policies": policies,
    });
    if dice.once_in(2) {
        settings["bypass"] = json!([
            {"name": "docs", "to": [{"operation": {"operations": dice.some(&["docs", "status", "metrics"])}}]},
            {"name": "inside", "from": [{"source": {"remoteIpBlocks": ["10.0.0.0/8"]}}],
             "to": [{"operation": {"paths": ["*/predictions", "*/infer"]}}]},
        ]);
    }
    settings["splits"] = (0..dice.below(3)).map(|i| split(dice, i)).collect();
    settings["shadows"] = (0..dice.below(4)).map(|i| shadow(dice, i)).collect();
    if dice.once_in(10) {
        settings["mode"] = "ENFORCE".into();
    }
    settings
}

fn policy(dice: &mut Dice, index: usize) -> Value {
    let action = dice.pick(&["ALLOW", "ALLOW", "ALLOW", "DENY", "AUDIT"]);
    let rules: Vec<Value> = (0..1 + dice.below(3)).map(|_| rule(dice)).collect();
    let mut policy = json!({
        "name": format!("p{index}"),
        "namespace": dice.pick(&["", "prod"]),
        "action": action,
        "dryRun": action != "AUDIT" && dice.once_in(8),
        "rules": rules,
    });
    if dice.once_in(2) {
        policy["models"] = dice.some(MODELS).into();
    }
    policy
}

fn rule(dice: &mut Dice) -> Value {
    let mut rule = Map::new();
    if dice.once_in(2) {
        let from: Vec<Value> =
            (0..1 + dice.below(2)).map(|_| json!({"source": source(dice)})).collect();
        rule.insert("from".into(), from.into());
    }
    if !dice.once_in(4) {
        let to: Vec<Value> =
            (0..1 + dice.below(2)).map(|_| json!({"operation": operation(dice)})).collect();
        rule.insert("to".into(), to.into());
    }
    if dice.once_in(2) {
        let when: Vec<Value> = (0..1 + dice.below(2)).map(|_| condition(dice)).collect();
        rule.insert("when".into(), when.into());
    }
    rule.into()
}

/// One or two fields, some of them negated.
fn fields(dice: &mut Dice, choices: &[(&str, &str, &[&str])]) -> Value {
    let mut fields = Map::new();
    for _ in 0..1 + dice.below(2) {
        let (name, negated, values) = dice.pick(choices);
        let name = if dice.once_in(4) { negated } else { name };
        fields.insert(name.to_owned(), dice.some(values).into());
    }
    fields.into()
}

fn source(dice: &mut Dice) -> Value {
    fields(
        dice,
        &[
            (
                "requestPrincipals",
                "notRequestPrincipals",
                &["*", "a/*", "a/alice", "*/bob", "apikey/batch"],
            ),
            ("requestPrincipals", "notRequestPrincipals", &["*", "b/*"]),
            ("ipBlocks", "notIpBlocks", &["10.0.0.0/8", "192.0.2.1"]),
            ("remoteIpBlocks", "notRemoteIpBlocks", &["10.1.2.3", "0.0.0.0/0"]),
            ("principals", "notPrincipals", &["cluster.local/ns/prod/sa/web", "*"]),
            ("namespaces", "notNamespaces", &["prod", "pr*"]),
        ],
    )
}

fn operation(dice: &mut Dice) -> Value {
    fields(
        dice,
        &[
            ("operations", "notOperations", OPERATIONS),
            ("operations", "notOperations", OPERATIONS),
            ("models", "notModels", MODELS),
            ("methods", "notMethods", &["GET", "POST", "P*"]),
            (
                "paths",
                "notPaths",
                &["/seldon/*", "*/predictions", "/v2/{**}", "/seldon/{*}/{*}/api/{**}"],
            ),
            ("hosts", "notHosts", &["models.example.com", "*.example.com", "*"]),
        ],
    )
}

fn condition(dice: &mut Dice) -> Value {
    let (key, values): (&str, &[&str]) = dice.pick(&[
        ("request.auth.claims[groups]", &["ds", "o*", "*"][..]),
        ("request.auth.claims[scope]", &["read", "write"]),
        ("request.auth.principal", &["a/alice", "*"]),
        ("request.headers[x-team]", &["red", "b*", "*"]),
        ("request.headers[:path]", &["*x=1*", "/seldon*"]),
        ("request.headers[authorization]", &["Bearer*", "*"]),
        ("request.headers[x-user]", &["alice", "*"]),
        ("remote.ip", &["10.0.0.0/8"]),
        ("destination.port", &["8443"]),
        ("connection.sni", &["models.example.com"]),
    ]);
    let mut condition = json!({"key": key});
    let field = if dice.once_in(4) { "notValues" } else { "values" };
    condition[field] = dice.some(values).into();
    condition
}

fn split(dice: &mut Dice, index: usize) -> Value {
    let mut split = json!({
        "name": format!("v{index}"),
        "models": dice.some(MODELS),
        "stickyBy": dice.pick(&["principal", "header:x-team", "cookie:variant", "none"]),
        "variants": [{"name": "main", "weight": 75}, {"name": "canary", "weight": 25}],
    });
    if dice.once_in(3) {
        split["when"] = json!([condition(dice)]);
    }
    split
}

fn shadow(dice: &mut Dice, index: usize) -> Value {
    let mut shadow = json!({
        "name": format!("s{index}"),
        "models": dice.some(MODELS),
        "operations": dice.some(&["predict", "explain", "status"]),
        "percent": dice.pick(&[100, 100, 50, 0]),
        "sampleBy": dice.pick(&["request", "principal"]),
        "cluster": format!("outbound|8000||s{index}.prod.svc.cluster.local"),
    });
    if dice.once_in(3) {
        shadow["when"] = json!([condition(dice)]);
    }
    if dice.once_in(4) {
        shadow["path"] = "/{namespace}/{model}/{predictor}".into();
    }
    if dice.once_in(4) {
        shadow["compare"] =
            json!({"baselineCluster": "outbound|8000||iris.prod.svc.cluster.local"});
    }
    shadow
}
