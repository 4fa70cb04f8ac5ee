//! What `modelgate convert` makes of Istio's own policies decides as they do: the originals by the filters that istiod gives
//! to a gateway, the conversion by the module, with requests made of what the policies name.

#[path = "../../../../../cli/tests/support/cases.rs"]
mod cases;
mod pods;
mod requests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cases::Case;
use cluster::control_plane::ISTIO_SYSTEM;
use cluster::site::local_module;
use cluster::tools::repository;
use cluster::{Cluster, plain, shipped};
use modelgate_cli::convert;
use requests::Issuers;
use serde_json::{Value, json};
use testbed::client::{Connection, Request};
use testbed::envoy::Envoy;
use testbed::tokens::Issuer;
use testbed::upstream::Upstream;
use testbed::wait::until;

/// The port of the first case, at both gateways.
const FIRST_PORT: u16 = 20_000;

/// Where the originals decide, and the conversions.
const ORIGINALS: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);
const CONVERSIONS: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 2);

/// The label of the gateway with all conversions.
const CONVERTED: &str = "converted";

/// How names of originals begin.
const CASE: &str = "case-";

/// Gateways of originals that run at once.
const AT_ONCE: usize = 8;

/// How long what istiod pushes may take to decide.
const IN_FORCE: Duration = Duration::from_secs(15);

/// Addresses below which an ALLOW policy opens more in Istio than the filter does.
const OF_MODELS: [&str; 4] = ["/seldon/", "/v2", "/inference.", "/seldon.protos."];

/// Cases in which nothing is allowed, or nothing refused.
const ONE_SIDED: [&str; 3] = [
    "requests/nothing_is_allowed",
    "refused/what_other_filters_said_in_allow",
    "refused/some_of_a_models_pods",
];

/// A case, ready.
struct Trial {
    case: Case,
    number: u16,
    /// As they were written.
    originals: Vec<Value>,
    /// The setting that decides the same.
    plugin: Value,
    asks: Vec<Request>,
}

pub use pods::the_policies_of_pods_decide_alike;

pub async fn the_gateways_policies_decide_alike(cluster: &mut Cluster) -> Result<()> {
    let other = Issuer::new("https://other.example.com")?;
    let issuers =
        Issuers { shared: Issuer::shared()?, stranger: Issuer::stranger()?, other: &other };
    let trials = trials(&issuers)?;
    ensure!(trials.len() >= 40, "only {} cases", trials.len());
    let upstream = Upstream::echo("served").await?;
    let mut resources = vec![
        cluster::models::service("echo", "default", upstream.address()),
        plain_services(ISTIO_SYSTEM),
    ];
    resources.extend(gateways(&trials));
    for trial in &trials {
        resources.extend(trial.natives());
        resources.push(trial.extension(&local_module(cluster))?);
    }
    cluster.kubectl.apply(&resources).await?;

    let converted = plain::gateway(ISTIO_SYSTEM, CONVERTED, &json!({"istio": CONVERTED})).await?;
    let mut seen = BTreeMap::new();
    let mut wrong = Vec::new();
    for trials in trials.chunks(AT_ONCE) {
        let mut envoys: Vec<Envoy> = Vec::new();
        for trial in trials {
            envoys
                .push(plain::gateway(ISTIO_SYSTEM, &trial.label(), &json!(trial.labels())).await?);
        }
        for (trial, envoy) in trials.iter().zip(&envoys) {
            until("the originals to be in force", IN_FORCE, async || {
                let natives = trial.natives();
                let here: Vec<&Value> = natives.iter().collect();
                Ok(in_force(&envoy.admin("/config_dump").await?, &here).then_some(()))
            })
            .await
            .with_context(|| trial.case.name.clone())?;
            let at = SocketAddr::from((ORIGINALS, trial.port()));
            let compared = trial.compare(at, Trial::agree, &mut seen).await;
            wrong.extend(compared.with_context(|| trial.case.name.clone())?);
        }
        upstream.forget();
    }
    let total: usize = seen.values().sum();
    eprintln!("  {} cases, {total} requests, by status of the originals: {seen:?}", trials.len());
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    for status in [200, 401, 403] {
        let met = seen.get(&status).copied().unwrap_or_default();
        ensure!(met * 20 > total, "too little variety: {seen:?}");
    }
    let failures = converted.wasm_failures().await?;
    ensure!(failures.is_empty(), "the module failed: {failures:?}");
    Ok(())
}

/// Every case that is converted.
fn converted_cases() -> Result<Vec<Case>> {
    let mut cases = cases::read(&repository().join("cli/tests/convert"))?;
    cases.retain(|case| case.verdict != "refused");
    Ok(cases)
}

/// Cases of the gateway's own policies, and the shipped ones.
fn trials(issuers: &Issuers<'_>) -> Result<Vec<Trial>> {
    let mut cases = converted_cases()?;
    let is_gateways = |case: &Case| {
        !case.text.contains("namespace: prod") && !case.text.contains("namespace: shop")
    };
    cases.retain(is_gateways);
    let mut shipped_ones = Vec::new();
    for file in ["deploy/native/authentication.yaml", "deploy/native/authorization.yaml"] {
        shipped_ones.extend(shipped::read(file)?);
    }
    for rule in shipped_ones.iter_mut().filter_map(|one| one.pointer_mut("/spec/jwtRules/0/jwks")) {
        *rule = json!(issuers.shared.jwks());
    }
    cases.push(Case {
        name: "deploy/native".to_owned(),
        verdict: "exact".to_owned(),
        arguments: Vec::new(),
        told: Vec::new(),
        text: json!({"apiVersion": "v1", "kind": "List", "items": shipped_ones}).to_string(),
    });
    let numbered = cases.into_iter().zip(0u16..);
    numbered.map(|(case, number)| Trial::new(case, number, issuers)).collect()
}

impl Trial {
    fn new(case: Case, number: u16, issuers: &Issuers<'_>) -> Result<Self> {
        let port = FIRST_PORT + number;
        let text = case
            .text
            .replace("$JWKS", &format!("'{}'", issuers.shared.jwks()))
            .replace("$OTHER", &format!("'{}'", issuers.other.jwks()))
            .replace("$PORT", &port.to_string());
        let page = convert::page(text.clone(), &case.arguments).context(case.name.clone())?;
        ensure!(
            page.get("verdict") == Some(&json!(case.verdict)),
            "{}, {:?}: {page:#}",
            case.name,
            case.told
        );
        let plugin = page.pointer("/resources/0").cloned().context("nothing was made")?;
        let read: Vec<Value> = match serde_json::from_str::<Value>(&text) {
            Ok(list) => list.get("items").and_then(Value::as_array).cloned().unwrap_or_default(),
            Err(_) => serde_saphyr::from_multiple(&text)?,
        };
        // What stays with Istio, or is of another mesh, is not compared.
        let is_compared = |one: &Value| {
            let version = one.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
            version.starts_with("security.istio.io/")
                && one.pointer("/spec/action") != Some(&json!("CUSTOM"))
        };
        let originals: Vec<Value> = read.into_iter().filter(is_compared).collect();
        let known = originals.iter().chain([&plugin]).cloned().collect::<Vec<_>>();
        let asks = requests::make(&known, issuers, u64::from(number))?;
        Ok(Self { case, number, originals, plugin, asks })
    }

    fn port(&self) -> u16 {
        FIRST_PORT + self.number
    }

    fn label(&self) -> String {
        format!("original-{}", self.number)
    }

    fn labels(&self) -> Value {
        json!({"istio": self.label(), "gateway.networking.k8s.io/gateway-name": self.label()})
    }

    /// The originals by names that no other case has.
    fn renamed(&self) -> Vec<Value> {
        let mut renamed = self.originals.clone();
        for one in &mut renamed {
            let name = one.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            one["metadata"]["name"] = json!(format!("{CASE}{}-{name}", self.number));
        }
        renamed
    }

    /// The originals for a gateway of their own: also those that have no selector, as another would have them too.
    fn natives(&self) -> Vec<Value> {
        let mut natives = self.renamed();
        for native in &mut natives {
            let spec = &mut native["spec"];
            match spec.pointer_mut("/targetRefs/0/name") {
                Some(target) => *target = json!(self.label()),
                None => spec["selector"] = json!({"matchLabels": {"istio": self.label()}}),
            }
        }
        natives
    }

    /// The conversion at its port of the gateway of all conversions.
    fn extension(&self, module: &str) -> Result<Value> {
        let mut plugin = self.plugin.clone();
        plugin["metadata"]["name"] = json!(format!("case-{}", self.number));
        let spec = plugin["spec"].as_object_mut().context("no spec")?;
        spec.remove("targetRefs");
        spec.insert("selector".to_owned(), json!({"matchLabels": {"istio": CONVERTED}}));
        spec.insert("url".to_owned(), json!(module));
        spec.insert("match".to_owned(), json!([{"ports": [{"number": self.port()}]}]));
        Ok(plugin)
    }

    /// Sends every request to both, and again what differs until everything must be in force.
    async fn compare(
        &self,
        at: SocketAddr,
        agree: fn(&Self, usize, u16, u16) -> bool,
        seen: &mut BTreeMap<u16, usize>,
    ) -> Result<Vec<String>> {
        let start = Instant::now();
        let mut left: Vec<usize> = (0..self.asks.len()).collect();
        let mut decided: BTreeMap<usize, (u16, u16)> = BTreeMap::new();
        loop {
            let asks: Vec<Request> =
                left.iter().filter_map(|i| self.asks.get(*i)).cloned().collect();
            let (originals, conversions) = tokio::join!(
                statuses(at, &asks),
                statuses(SocketAddr::from((CONVERSIONS, self.port())), &asks),
            );
            if let (Ok(originals), Ok(conversions)) = (&originals, &conversions) {
                let pairs = originals.iter().copied().zip(conversions.iter().copied());
                decided.extend(left.iter().copied().zip(pairs));
                left.retain(|i| decided.get(i).is_none_or(|(a, b)| !agree(self, *i, *a, *b)));
            }
            if left.is_empty() || start.elapsed() > IN_FORCE {
                originals.context("the originals")?;
                conversions.context("the conversion")?;
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut own: BTreeMap<bool, usize> = BTreeMap::new();
        for (original, _) in decided.values() {
            *seen.entry(*original).or_default() += 1;
            *own.entry(*original == 200).or_default() += 1;
        }
        let both = own.len() == 2 || ONE_SIDED.contains(&self.case.name.as_str());
        let mut wrong = Vec::new();
        if !both {
            wrong.push(format!("{}: all requests are answered alike: {own:?}", self.case.name));
        }
        let shown = |i: &usize| {
            let (a, b) = decided.get(i)?;
            Some(format!(
                "{}: originals {a}, conversion {b}: {:?}",
                self.case.name,
                self.asks.get(*i)?
            ))
        };
        wrong.extend(left.iter().filter_map(shown).take(5));
        Ok(wrong)
    }

    /// Whether both decide the same; where a remark says so, the conversion may be stricter about models.
    fn agree(&self, i: usize, original: u16, conversion: u16) -> bool {
        let path = self.asks.get(i).map(|ask| format!("{ask:?}")).unwrap_or_default();
        let is_models = OF_MODELS.iter().any(|start| path.contains(&format!(" {start}")));
        let stricter =
            self.case.verdict == "remarks" && is_models && original == 200 && conversion == 403;
        original == conversion || stricter
    }
}

/// A gateway for each original, one for the conversions, and a route from all of them.
fn gateways(trials: &[Trial]) -> Vec<Value> {
    let server = |port: u16, at: Ipv4Addr| json!({"port": {"number": port, "name": format!("http-{port}"), "protocol": "HTTP"}, "hosts": ["*"], "bind": at.to_string()});
    let gateway = |name: &str, servers: Value| {
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": name, "namespace": "istio-system"},
            "spec": {"selector": {"istio": name}, "servers": servers},
        })
    };
    let ours: Value = trials.iter().map(|trial| server(trial.port(), CONVERSIONS)).collect();
    let mut made = vec![gateway(CONVERTED, ours)];
    made.extend(trials.iter().map(|t| gateway(&t.label(), json!([server(t.port(), ORIGINALS)]))));
    let names: Vec<String> = made
        .iter()
        .filter_map(|gateway| gateway.pointer("/metadata/name").and_then(Value::as_str))
        .map(str::to_owned)
        .collect();
    made.push(json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "echo", "namespace": "istio-system"},
        "spec": {
            "gateways": names,
            "hosts": ["*"],
            "http": [{"route": [{"destination": {"host": "echo.prod.svc.cluster.local", "port": {"number": 8000}}}]}],
        },
    }));
    made
}

/// Whether a proxy's configuration has these policies, and no other case's.
fn in_force(dump: &str, here: &[&Value]) -> bool {
    let text = |one: &Value, at: &str| {
        one.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let of = |kind: &'static str| here.iter().copied().filter(move |one| one["kind"] == kind);
    let has_rules = |one: &&Value| {
        one.pointer("/spec/rules").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty())
    };
    let name = |one: &Value| format!("policy[{}]", text(one, "/metadata/name"));
    let names: Vec<String> = of("AuthorizationPolicy").filter(has_rules).map(name).collect();
    let own: Vec<String> = of("AuthorizationPolicy").map(name).collect();
    let authenticates = of("RequestAuthentication").next().is_some();
    let others = dump.match_indices(&format!("policy[{CASE}")).any(|(at, _)| {
        let rest = dump.get(at..).unwrap_or_default();
        !own.iter().any(|name| rest.starts_with(name))
    });
    let tokens = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
    names.iter().all(|name| dump.contains(name))
        && !others
        && dump.contains(tokens) == authenticates
}

/// To all services gateways of this namespace speak plain text. Else istiod has them offer mutual TLS, to the API server
/// too, and they have no certificates.
fn plain_services(namespace: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "plain", "namespace": namespace},
        "spec": {
            "host": "*.svc.cluster.local",
            "exportTo": ["."],
            "trafficPolicy": {"tls": {"mode": "DISABLE"}},
        },
    })
}

/// The status of the answer to each request.
async fn statuses(to: SocketAddr, asks: &[Request]) -> Result<Vec<u16>> {
    let mut connections: BTreeMap<Option<IpAddr>, Connection> = BTreeMap::new();
    let mut statuses = Vec::new();
    for ask in asks {
        let from = ask.source();
        let kept = match connections.get_mut(&from) {
            Some(connection) => connection.send(ask).await.ok(),
            None => None,
        };
        let answer = match kept {
            Some(answer) => answer,
            None => {
                let mut connection = ask.connect(to).await?;
                let answer = connection.send(ask).await?;
                connections.insert(from, connection);
                answer
            }
        };
        if answer.header("connection") == Some("close") {
            connections.remove(&from);
        }
        statuses.push(answer.status);
    }
    Ok(statuses)
}
