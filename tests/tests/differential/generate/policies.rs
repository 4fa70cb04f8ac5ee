//! `policies`.

use serde_json::{Map, Value, json};

use super::rules::OUTPUTS;
use testbed::dice::Dice;

const METHODS: &[&str] = &["GET", "POST", "PUT", "P*", "*T", "*", "OPTIONS", "get"];
const HOSTS: &[&str] = &[
    "models.example.com",
    "Models.Example.com",
    "models.example.com:8443",
    "*.example.com",
    "*example.com:8443",
    "models.*",
    "*",
    "example.com",
    "*.EXAMPLE.COM",
];
pub const PATHS: &[&str] = &[
    "/",
    "/v1/models/iris",
    "/v1/models/*",
    "/v1/models*",
    "*/predict",
    "*",
    "/admin",
    "/admin*",
    "*iris",
    "/v1/{*}/iris",
    "/v1/{**}",
    "/v1/models/{*}/predict",
    "/{**}/predict",
    "/{*}",
    "/admin/{**}",
    "/v1/models/{**}/",
    "/health",
    "/v1/models%2Firis",
    "//admin",
    "/V1*",
];
const BLOCKS: &[&str] = &[
    "127.0.0.1",
    "127.77.0.1",
    "127.77.0.2/31",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "10.1.2.3",
    "192.0.2.0/24",
    "::/0",
    "0.0.0.0/0",
    "::ffff:10.1.2.3/128",
];
const DESTINATIONS: &[&str] = &["127.0.0.0/8", "127.1.0.0/16", "10.0.0.0/8", "::1", "0.0.0.0/0"];
const PORTS: &[&str] = &["{port}", "8080", "0", "65535"];
const REQUEST_PRINCIPALS: &[&str] = &[
    "*",
    "https://a.example.com/*",
    "https://a.example.com/alice",
    "https://b.example.com//*",
    "https://b.example.com/*",
    "me/*",
    "me/alice",
    "me",
    "me/al*",
    "*/alice",
    "*alice",
    "*example.com/bob",
    "m*",
    "https://a.example.com/team/alice",
    "*/al*",
    "https://a*",
];
const PRINCIPALS: &[&str] = &[
    "*",
    "cluster.local/ns/prod/sa/web",
    "cluster.local/ns/prod/*",
    "*/sa/web",
    "*/sa/w.b",
    "other.domain/*",
    "cluster.local/ns/prod/sa/we",
];
const NAMESPACES: &[&str] = &["prod", "dev", "pr*", "*d", "p*d", "*", "pr.d"];
const ACCOUNTS: &[&str] =
    &["web", "prod/web", "prod/batch-job", "dev/web", "prod/batch", "batch-job"];
const TRUST_DOMAINS: &[&str] =
    &["cluster.local", "*", "cluster*", "*.domain", "*local", "cluster.loca", "other.domain", "o*"];
const SNI: &[&str] =
    &["models.example.com", "*.example.com", "models.*", "*", "Models.example.com"];
const GROUPS: &[&str] =
    &["ds", "ops", "d*", "*s", "*", "7", "read", "admin", "user", "true", "write"];
const CLAIMS: &[&str] = &[
    "[groups]",
    "[scope]",
    "[realm][role]",
    "[realm][roles]",
    "[foo.com/name]",
    "[level]",
    "[roles]",
    "[permission]",
    "[iss]",
    "[realm]",
];
const HEADERS: &[(&str, &[&str])] = &[
    ("x-team", &["red", "blue", "r*", "*e", "*", "red,blue", "read write"]),
    ("X-Team", &["red", "*"]),
    ("user-agent", &["curl*", "*", "*x"]),
    ("authorization", &["*", "Bearer*", "Basic*", "*x"]),
    ("x-token", &["*", "Token*"]),
    ("cookie", &["*", "session*", "a=b"]),
    (":path", &["*token*", "/v1*", "*x=1", "/"]),
    (":method", &["GET", "P*"]),
    ("host", &["models.example.com", "*.com", "*"]),
    (":authority", &["models.example.com", "*8443"]),
    ("x-sub", &["alice", "*", "eve", "team*"]),
    ("x-payload", &["*", "forged"]),
    ("x-level", &["3", "*", "3.500000"]),
    ("x-forwarded-for", &["10.1.2.3*", "*", "*127.77.0.1"]),
    ("content-type", &["application/grpc*", "*"]),
    ("accept", &["*", "text/plain", "text/plain,*"]),
];

pub fn policies(dice: &mut Dice, tls: bool, rules: &[Value]) -> Vec<Value> {
    let count = dice.pick(&[0, 1, 1, 2, 2, 3, 4]);
    (0..count).map(|i| policy(dice, i, tls, !rules.is_empty())).collect()
}

fn policy(dice: &mut Dice, index: usize, tls: bool, tokens: bool) -> Value {
    let action = dice.pick(&["ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "AUDIT"]);
    let least = usize::from(action != "ALLOW" || dice.percent(95));
    let count = (least + dice.below(3)).min(3);
    let rules: Vec<Value> = (0..count).map(|_| rule(dice, tls, tokens)).collect();
    json!({
        "name": format!("p{index}"),
        "namespace": "prod",
        "action": action,
        "dryRun": action != "AUDIT" && dice.percent(8),
        "rules": rules,
    })
}

fn rule(dice: &mut Dice, tls: bool, tokens: bool) -> Value {
    let mut rule = Map::new();
    if dice.percent(55) {
        let count = dice.pick(&[1, 1, 2]);
        let from: Vec<Value> =
            (0..count).map(|_| json!({"source": source(dice, tls, tokens)})).collect();
        rule.insert("from".into(), from.into());
    }
    if dice.percent(55) {
        let count = dice.pick(&[1, 1, 2]);
        let to: Vec<Value> = (0..count).map(|_| json!({"operation": operation(dice)})).collect();
        rule.insert("to".into(), to.into());
    }
    if dice.percent(40) {
        let count = dice.pick(&[1, 1, 2]);
        let when: Vec<Value> = (0..count).map(|_| condition(dice, tls)).collect();
        rule.insert("when".into(), when.into());
    }
    rule.into()
}

/// One or two fields, some of them negated.
fn fields(dice: &mut Dice, choices: &[(&str, &str, &[&str])]) -> Value {
    let mut fields = Map::new();
    for _ in 0..dice.pick(&[1, 1, 2]) {
        let Some((name, negated, values)) = choices.get(dice.below(choices.len())) else {
            continue;
        };
        let name = if dice.percent(25) { negated } else { name };
        fields.insert((*name).to_owned(), json!(dice.some(values, 1, 3)));
    }
    fields.into()
}

fn source(dice: &mut Dice, tls: bool, tokens: bool) -> Value {
    let mut choices: Vec<(&str, &str, &[&str])> =
        vec![("ipBlocks", "notIpBlocks", BLOCKS), ("remoteIpBlocks", "notRemoteIpBlocks", BLOCKS)];
    for _ in 0..if tokens { 3 } else { 1 } {
        choices.push(("requestPrincipals", "notRequestPrincipals", REQUEST_PRINCIPALS));
    }
    if tls && dice.percent(40) {
        choices.insert(0, ("trustDomains", "notTrustDomains", TRUST_DOMAINS));
        choices.truncate(1);
    }
    // Service accounts do not stand beside the others, in Istio neither.
    if dice.percent(70) {
        choices.push(("principals", "notPrincipals", PRINCIPALS));
        choices.push(("namespaces", "notNamespaces", NAMESPACES));
    } else {
        choices.push(("serviceAccounts", "notServiceAccounts", ACCOUNTS));
    }
    let choices =
        if tls && dice.percent(70) { choices.split_off(choices.len() - 2) } else { choices };
    let choices: Vec<_> = if choices.iter().any(|(name, ..)| *name == "serviceAccounts") {
        choices.into_iter().filter(|(name, ..)| *name != "principals").collect()
    } else {
        choices
    };
    fields(dice, &choices)
}

fn operation(dice: &mut Dice) -> Value {
    let choices: [(&str, &str, &[&str]); 6] = [
        ("paths", "notPaths", PATHS),
        ("paths", "notPaths", PATHS),
        ("paths", "notPaths", PATHS),
        ("methods", "notMethods", METHODS),
        ("hosts", "notHosts", HOSTS),
        ("ports", "notPorts", PORTS),
    ];
    fields(dice, &choices)
}

fn condition(dice: &mut Dice, tls: bool) -> Value {
    let tls_keys = if tls { 5 } else { 1 };
    let (key, values): (String, &[&str]) = match dice.below(14 + tls_keys) {
        0 => ("source.ip".into(), BLOCKS),
        1 => ("remote.ip".into(), BLOCKS),
        2 => ("destination.ip".into(), DESTINATIONS),
        3 => ("destination.port".into(), PORTS),
        4 => ("request.auth.principal".into(), REQUEST_PRINCIPALS),
        5 => ("request.auth.audiences".into(), &["models", "https://models/", "mod*", "*"]),
        6 => ("request.auth.presenter".into(), &["web", "*", "w*"]),
        7 | 8 => (format!("request.auth.claims{}", dice.pick(CLAIMS)), GROUPS),
        9..=12 => match HEADERS.get(dice.below(HEADERS.len())) {
            Some((name, values)) => (format!("request.headers[{name}]"), values),
            None => (format!("request.headers[{}]", OUTPUTS[0]), &["*"]),
        },
        13 => ("source.principal".into(), PRINCIPALS),
        14 => ("connection.sni".into(), SNI),
        15 => ("source.namespace".into(), NAMESPACES),
        16 => ("source.serviceAccount".into(), ACCOUNTS),
        17 => ("source.trustDomain".into(), TRUST_DOMAINS),
        _ => ("source.principal".into(), PRINCIPALS),
    };
    let mut condition = json!({"key": key});
    if let Some(fields) = condition.as_object_mut() {
        let negated = dice.percent(30);
        if !negated || dice.percent(15) {
            fields.insert("values".into(), json!(dice.some(values, 1, 3)));
        }
        if negated {
            fields.insert("notValues".into(), json!(dice.some(values, 1, 2)));
        }
    }
    condition
}
