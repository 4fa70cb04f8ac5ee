//! One Envoy with four listeners for each rule: Envoy's own filters and the module, each with the keys given and
//! with the keys fetched.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::envoy::Envoy;
use testbed::native;
use testbed::upstream::Upstream;
use testbed::wasmplugin::WasmPlugin;

/// The beginning of the names of the issuers' clusters.
const CLUSTER: &str = "outbound|443||issuer";

/// How much of what is wrong is shown.
const SHOWN: usize = 20;

/// The refusal of a policy.
const DENIED: Expected = Expected::Refused(403, "RBAC: access denied");

/// A rule, the keys of its issuer, policies, and tokens.
pub struct Case {
    /// In the words of `jwtRules`, without keys.
    pub rule: Value,
    /// The set, as the issuer serves it.
    pub jwks: String,
    pub fetched: Fetched,
    /// Each by a name, which is also its path: a `source`, or a condition.
    pub policies: Vec<(&'static str, Who)>,
    pub tokens: Vec<Token>,
}

/// Where the set is fetched.
pub struct Fetched {
    pub uri: String,
    pub from: SocketAddr,
    /// Envoy's `UpstreamTlsContext`, if the issuer speaks TLS.
    pub tls: Option<Value>,
}

/// Whom a policy allows.
pub enum Who {
    Principal(String),
    /// The key of a condition, and a value.
    When(&'static str, &'static str),
}

/// A token and what comes of it.
pub struct Token {
    pub name: &'static str,
    /// The header that carries it, and its whole value.
    pub header: (&'static str, String),
    pub native: Expected,
    pub modelgate: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It is good, or none at all; and these policies let it through.
    Passes(&'static [&'static str]),
    /// The status and the text, on every path.
    Refused(u16, &'static str),
}

impl Token {
    /// A token as `Bearer`, with the same answer on both sides.
    pub fn bearer(name: &'static str, text: &str, expected: Expected) -> Self {
        Self::carried(name, ("authorization", format!("Bearer {text}")), expected)
    }

    /// The same in this header.
    pub fn carried(name: &'static str, header: (&'static str, String), expected: Expected) -> Self {
        Self { name, header, native: expected, modelgate: expected }
    }

    /// The same, but refused by modelgate. `row` begins the row of docs/istio.md that says so.
    pub fn refused_by_modelgate(self, status: u16, text: &'static str, row: &str) -> Result<Self> {
        let page = include_str!("../../../docs/istio.md");
        let documented = page.lines().any(|line| line.starts_with(&format!("| {row} |")));
        ensure!(documented, "docs/istio.md has no row {row}");
        ensure!(self.native != Expected::Refused(status, text), "{} does not differ", self.name);
        Ok(Self { modelgate: Expected::Refused(status, text), ..self })
    }
}

impl Who {
    fn policy(&self, name: &str) -> Value {
        let to = json!([{"operation": {"paths": [format!("/{name}")]}}]);
        let rule = match self {
            Self::Principal(principal) => {
                json!({"to": to, "from": [{"source": {"requestPrincipals": [principal]}}]})
            }
            Self::When(key, value) => json!({"to": to, "when": [{"key": key, "values": [value]}]}),
        };
        json!({"name": name, "namespace": "prod", "action": "ALLOW", "rules": [rule]})
    }
}

/// The names of the listeners, each with whether the module decides and whether the keys are fetched.
const LISTENERS: [(&str, bool, bool); 4] = [
    ("native, keys given", false, false),
    ("native, keys fetched", false, true),
    ("modelgate, keys given", true, false),
    ("modelgate, keys fetched", true, true),
];

/// Sends every token to every path of its rule, on both sides and both ways.
pub async fn compare(cases: &[Case]) -> Result<()> {
    let upstream = Upstream::echo("the model").await?;
    let envoy = Envoy::start(&bootstrap(cases, upstream.address())?, &[], 1).await?;
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (i, case) in cases.iter().enumerate() {
        for token in &case.tokens {
            let paths = std::iter::once("any").chain(case.policies.iter().map(|(name, _)| *name));
            for path in paths {
                let mut answers = Vec::new();
                for (listener, module, _) in LISTENERS {
                    let expected = if module { token.modelgate } else { token.native };
                    let request =
                        Request::get(format!("/{path}")).header(token.header.0, &token.header.1);
                    let answer = request.send(envoy.listener(&format!("{i}: {listener}"))?).await?;
                    let what = format!("{listener}: {}: /{path}", token.name);
                    if !expected.fits(path, &answer) {
                        wrong.push(format!("{what}: not {expected:?} but {answer:?}"));
                    }
                    answers.push((what, told(&answer)));
                    compared += 1;
                }
                if token.native == token.modelgate
                    && let [(_, first), rest @ ..] = answers.as_slice()
                {
                    let other = rest.iter().filter(|(_, told)| told != first);
                    wrong.extend(
                        other.map(|(what, told)| format!("{what}: {told:?}, not {first:?}")),
                    );
                }
            }
        }
    }
    ensure!(compared > 0, "nothing was compared");
    if !wrong.is_empty() {
        let log = envoy.log()?;
        let said: Vec<&str> = log.lines().filter(|line| line.contains("modelgate")).collect();
        let count = wrong.len();
        wrong.truncate(SHOWN);
        bail!("{count} answers are wrong:\n{}\n{}", wrong.join("\n"), said.join("\n"));
    }
    Ok(())
}

/// What a client learns: the challenge, too.
fn told(answer: &Response) -> (u16, String, Option<String>) {
    (answer.status, answer.text(), answer.header("www-authenticate").map(challenge))
}

/// The challenge without the listener's address.
fn challenge(text: &str) -> String {
    text.split_once("\", ").map_or(text, |(_, rest)| rest).to_owned()
}

impl Expected {
    fn fits(self, path: &str, answer: &Response) -> bool {
        match self {
            Self::Refused(status, text) => answer.status == status && answer.text() == text,
            Self::Passes(policies) if path == "any" || policies.contains(&path) => {
                answer.status == 200
            }
            Self::Passes(_) => DENIED.fits(path, answer),
        }
    }
}

fn bootstrap(cases: &[Case], upstream: SocketAddr) -> Result<Value> {
    let mut listeners = Vec::new();
    let mut clusters = vec![cluster("upstream", upstream, None)];
    for (i, case) in cases.iter().enumerate() {
        let from = format!("{CLUSTER}{i}");
        clusters.push(cluster(&from, case.fetched.from, case.fetched.tls.as_ref()));
        let any = json!({"name": "any", "namespace": "prod", "action": "ALLOW",
            "rules": [{"to": [{"operation": {"paths": ["/any"]}}]}]});
        let policies = case.policies.iter().map(|(name, who)| who.policy(name));
        let policies: Vec<Value> = std::iter::once(any).chain(policies).collect();
        for (name, module, fetched) in LISTENERS {
            let mut rule = case.rule.clone();
            let fields = rule.as_object_mut().context("a rule is an object")?;
            if fetched {
                fields.insert("jwksUri".into(), json!(case.fetched.uri));
                fields.insert("jwksCluster".into(), json!(from));
            } else {
                fields.insert("jwks".into(), json!(case.jwks));
            }
            let filters = if module {
                let config = json!({
                    "authentication": {"jwtRules": [rule]},
                    "authorization": {"policies": policies},
                    // There are no models: a path is a path, as for Istio.
                    "targets": {"families": []},
                });
                let extension = WasmPlugin::with_config(config)?.under_test()?;
                vec![json!({
                    "name": "envoy.filters.http.wasm",
                    "typed_config": extension.typed_config,
                })]
            } else {
                native::filters(&[rule], &policies)?
            };
            listeners.push(listener(&format!("{i}: {name}"), filters));
        }
    }
    Ok(json!({
        "node": {
            "id": "router~127.0.0.1~gateway.istio-system~istio-system.svc.cluster.local",
            "cluster": "gateway",
        },
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }))
}

fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

fn cluster(name: &str, at: SocketAddr, tls: Option<&Value>) -> Value {
    let endpoint = json!({"endpoint": {"address": address(at)}});
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    });
    if let (Some(tls), Some(cluster)) = (tls, cluster.as_object_mut()) {
        let socket = json!({"name": "envoy.transport_sockets.tls", "typed_config": tls});
        cluster.insert("transport_socket".into(), socket);
    }
    cluster
}

fn listener(name: &str, mut filters: Vec<Value>) -> Value {
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }));
    json!({
        "name": name,
        "address": address(SocketAddr::from(([127, 0, 0, 1], 0))),
        "traffic_direction": "OUTBOUND",
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "gateway",
                "use_remote_address": true,
                "normalize_path": true,
                "http_filters": filters,
                "route_config": {"virtual_hosts": [{
                    "name": "*:80",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                }]},
            },
        }]}],
    })
}
