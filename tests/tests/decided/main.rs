//! `modelgate decide` and a gateway, given the same configurations and requests. Needs `ENVOY` and `MODELGATE_WASM`.
//!
//! `MODELGATE_SEED` and `MODELGATE_PAIRS` choose what is generated and how much; the same seed gives the same pairs.

#![cfg(test)]

mod arena;
#[path = "../../explained/configurations.rs"]
mod configurations;
#[path = "../../explained/dice.rs"]
mod dice;
#[path = "../../deputy/models.rs"]
mod models;
#[path = "../../deputy/spellings.rs"]
mod spellings;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, bail, ensure};
use modelgate_cli::ask::configuration::Configuration;
use modelgate_cli::ask::decided::{Bench, Decided};
use modelgate_cli::ask::keys::Keys;
use modelgate_cli::ask::request::{Asked, Connection, JOINED};
use modelgate_cli::decide::gateway;
use modelgate_engine::authn::Identity;
use serde_json::Value;
use testbed::client::Request;
use testbed::tokens::now;

use arena::{Arena, Told};
use configurations::{configuration, token};
use dice::Dice;
use spellings::Spellings;

/// What is generated unless the environment says otherwise.
const SEED: u64 = 2026;
const PAIRS: usize = 6_000;

/// Configurations that share an Envoy, and requests under each.
const CONFIGURATIONS: usize = 30;
const REQUESTS: usize = 200;

/// A model's own lines that a proxy or a client adds, and nobody decides about.
const UNCOMPARED: [&str; 4] =
    ["x-envoy-expected-rq-timeout-ms", "x-forwarded-proto", "x-forwarded-for", "x-envoy-internal"];

fn from_environment<T: std::str::FromStr>(name: &str, default: T) -> Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decide_and_the_gateway_agree() -> Result<()> {
    let seed = from_environment("MODELGATE_SEED", SEED)?;
    let pairs = from_environment("MODELGATE_PAIRS", PAIRS)?;
    let (mut done, mut decisions) = (0, BTreeMap::<String, usize>::new());
    for batch in 0.. {
        if done >= pairs {
            break;
        }
        let count = (pairs - done).div_ceil(REQUESTS).min(CONFIGURATIONS);
        let mut dice = Dice::new(seed, batch);
        let settings: Vec<Value> = (0..count).map(|_| with_fields(&mut dice)).collect();
        let arena = Arena::start(&settings).await?;
        for (i, settings) in settings.iter().enumerate() {
            let mut spellings = Spellings::new(seed ^ (batch << 32) ^ ((i as u64) << 20));
            let asked: Vec<Asked> = (0..REQUESTS)
                .map(|_| ask(&mut dice, &mut spellings, &arena, i))
                .collect::<Result<_>>()?;
            let name = "generated".to_owned();
            let configuration = Configuration { name, settings: settings.clone(), inbound: false };
            let bench = Bench::new(configuration, Keys::default(), false)?;
            let requests: Vec<Request> = asked.iter().map(request).collect();
            let told = arena.ask(i, &requests).await?;
            for (asked, told) in asked.iter().zip(told) {
                done += 1;
                // A request that Envoy itself closes the connection upon is none for the filter.
                let Some(told) = told.filter(|told| told.details.is_empty() || !is_envoys(told))
                else {
                    *decisions.entry("(Envoy's own)".to_owned()).or_default() += 1;
                    continue;
                };
                let decided = bench.decide(asked)?;
                *decisions
                    .entry(decided.decision.facts.verdict.as_str().to_owned())
                    .or_default() += 1;
                if let Some(wrong) = differ(&bench, asked, &decided, &told)? {
                    bail!(
                        "{wrong}\n{asked:?}\ngateway: {told:?}\ndecide: {:?}\n{settings}",
                        decided.decision
                    );
                }
            }
        }
    }
    writeln!(std::io::stderr(), "seed {seed}: {done} pairs agree: {decisions:?}")?;
    for decision in ["allowed", "denied", "unauthenticated", "refused", "bypassed", "excluded"] {
        let met = decisions.get(decision).copied().unwrap_or_default();
        ensure!(met * 200 >= done, "too little variety: {decisions:?}");
    }
    Ok(())
}

/// `--gateway` finds a gateway of the same configuration alike, and one of another not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_gateway_is_asked_the_same() -> Result<()> {
    let settings = |action: &str| {
        serde_json::json!({
            "authorization": {"defaultAction": action},
            "splits": [{"name": "s", "models": ["*"], "stickyBy": "cookie:v", "variants": [{"name": "main", "weight": 1}]}],
        })
    };
    let all = [settings("ALLOW"), settings("DENY")];
    let arena = Arena::start(&all).await?;
    for path in [
        "/seldon/prod/iris/api/v1.0/predictions",
        "/seldon/prod//iris",
        "/seldon/prod/iris/metrics",
    ] {
        for (ours, settings) in all.iter().enumerate() {
            let configuration =
                Configuration { name: String::new(), settings: settings.clone(), inbound: false };
            let bench = Bench::new(configuration, Keys::default(), false)?;
            for theirs in 0..all.len() {
                let host = "models.example.com".to_owned();
                let body = Some(b"{}".to_vec());
                let asked = Asked {
                    path: path.to_owned(),
                    host,
                    body,
                    at: now() * 1_000_000_000,
                    ..Asked::default()
                };
                let decided = bench.decide(&asked)?;
                let url = format!("http://{}:{}", arena.address, arena::port(theirs)?);
                let beside = tokio::task::block_in_place(|| gateway::ask(&url, &asked, &decided))?;
                let (is_alike, text) = (beside.is_alike(), beside.text(false));
                // Only the first depends on the default.
                let expected = ours == theirs || !path.ends_with("predictions");
                ensure!(is_alike == expected, "{path}, {ours} and {theirs}: {text}");
            }
        }
    }
    Ok(())
}

/// Which headers Envoy makes one line of: `decide` does as it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_joined_as_envoy_joins_them() -> Result<()> {
    const OTHERS: [&str; 24] = [
        "accept-language",
        "cookie",
        "forwarded",
        "from",
        "namespace",
        "proxy-authorization",
        "range",
        "seldon",
        "seldon-model",
        "seldon-puid",
        "traceparent",
        "tracestate",
        "x-api-key",
        "x-b3-traceid",
        "x-custom",
        "x-envoy-original-path",
        "x-forwarded-port",
        "x-forwarded-user",
        "x-gateway-model-name",
        "x-http-method-override",
        "x-ot-span-context",
        "x-real-ip",
        "x-seldon-route",
        "x-token",
    ];
    let settings = serde_json::json!({
        "authorization": {"defaultAction": "ALLOW"},
        "targets": {"families": []},
    });
    let arena = Arena::start(&[settings]).await?;
    let mut wrong = Vec::new();
    for name in JOINED.iter().chain(&OTHERS) {
        let request = Request::get("/x").header(name, "a").header(name, "").header(name, "b");
        let told = arena.ask(0, &[request]).await?;
        let seen = told.into_iter().flatten().find_map(|told| told.seen);
        let had = seen.and_then(|seen| seen.get(*name).cloned()).unwrap_or_default();
        let headers = ["a", "", "b"].map(|value| ((*name).to_owned(), value.to_owned())).into();
        let asked = Asked { path: "/x".to_owned(), headers, ..Asked::default() };
        let lines = asked.lines()?.into_iter().filter(|(other, _)| other == name.as_bytes());
        let ours: Vec<_> = lines.map(|(_, v)| String::from_utf8_lossy(&v).into_owned()).collect();
        // Envoy adds the client's address, and takes what only it may say.
        let own = ["x-forwarded-for", "x-forwarded-port", "x-envoy-original-path"].contains(name);
        if had != ours && !(own && (had.is_empty() || had.iter().all(|v| v.starts_with("a,b")))) {
            wrong.push(format!("{name}: decide takes {ours:?}, Envoy hands on {had:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A configuration that writes its decisions where answers show them.
fn with_fields(dice: &mut Dice) -> Value {
    let mut settings = configuration(dice);
    if let Some(settings) = settings.as_object_mut() {
        settings.insert("telemetry".to_owned(), serde_json::json!({"accessLog": true}));
    }
    settings
}

/// Whether the answer is Envoy's, which no filter has seen the request of.
fn is_envoys(told: &Told) -> bool {
    let own = ["modelgate_", "rbac_", "jwt_authn_", "api_key_", "via_upstream"];
    !own.iter().any(|start| told.details.starts_with(start))
}

/// A request that Envoy hands on as it comes: what it normalizes or refuses is its own affair.
fn ask(dice: &mut Dice, spellings: &mut Spellings, arena: &Arena, at: usize) -> Result<Asked> {
    let plain = |c: &u8| c.is_ascii_alphanumeric() || b"/_.:?=&-~".contains(c);
    let is_plain = |spelling: &spellings::Spelling| {
        let path = &spelling.path;
        path.starts_with(b"/")
            && path.iter().all(plain)
            && !path.windows(2).any(|pair| pair == b"/.")
            && !spelling.host.is_empty()
            && spelling.host.bytes().all(|c| c.is_ascii_alphanumeric() || b".-:".contains(&c))
            && spelling.headers.iter().all(|(name, value)| {
                name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
                    && value.iter().all(|c| (b'!'..=b'~').contains(c))
                    && !["host", "connection", "te", "upgrade"].contains(&name.as_str())
            })
    };
    let mut spelling = spellings.by_ref().find(is_plain).context("endless")?;
    let mut body = None;
    if dice.once_in(10) {
        spelling.method = "POST";
        spelling.host = "chat2.example.com".to_owned();
        spelling.path = b"/openai/v1/chat/completions".to_vec();
    }
    if spelling.method == "POST" {
        body = Some(dice.pick(&[r#"{"model": "llama"}"#, r#"{"model": "sql"}"#, "{}"]));
    }
    let mut headers = Vec::new();
    for (name, value) in spelling.headers {
        headers.push((name, String::from_utf8(value)?));
    }
    let mut add = |name: &str, value: String| {
        if !headers.iter().any(|(other, _): &(String, String)| other.eq_ignore_ascii_case(name)) {
            headers.push((name.to_owned(), value));
        }
    };
    if dice.once_in(2) {
        add("authorization", format!("Bearer {}", token(dice, now())));
    }
    if dice.once_in(12) {
        add("x-api-key", dice.pick(&["abc", "abcd"]).to_owned());
    }
    add("x-request-id", format!("id-{}", dice.below(1_000)));
    for (name, values) in [
        ("x-team", &["red", "blue"][..]),
        ("cookie", &["variant=1", "a=b", "session=x"]),
        ("x-user", &["eve"]),
        ("x-modelgate-variant", &["canary"]),
        ("x-modelgate-shadow", &["s0"]),
        ("content-type", &["application/json"]),
    ] {
        if dice.once_in(3) {
            add(name, dice.pick(values).to_owned());
        }
    }
    let (method, host) = (spelling.method.to_owned(), spelling.host);
    Ok(Asked {
        method,
        path: String::from_utf8(spelling.path)?,
        host,
        scheme: "http".to_owned(),
        headers,
        body: body.map(|body| body.as_bytes().to_vec()),
        connection: Connection {
            ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            destination_ip: Some(arena.address.into()),
            port: Some(arena::port(at)?),
            ..Connection::default()
        },
        at: now() * 1_000_000_000,
    })
}

fn request(asked: &Asked) -> Request {
    let mut request = Request::new(&asked.method, &asked.path).authority(Some(&asked.host));
    for (name, value) in &asked.headers {
        request = request.header(name, value);
    }
    request.body(asked.body.clone().unwrap_or_default())
}

/// What the gateway did otherwise.
fn differ(bench: &Bench, asked: &Asked, decided: &Decided, told: &Told) -> Result<Option<String>> {
    let facts = &decided.decision.facts;
    let principal = facts.identity.as_deref().and_then(Identity::principal);
    let ours = [
        ("decision", facts.verdict.as_str().to_owned()),
        ("model", facts.model.as_deref().unwrap_or("none").to_owned()),
        ("operation", facts.operation.map_or("none", |operation| operation.as_str()).to_owned()),
        ("policy", bench.plan.decided_by(facts).to_owned()),
        ("principal", principal.unwrap_or_default()),
        ("shadow", decided.shadows(&bench.plan).join(",")),
    ];
    for (name, ours) in ours {
        let theirs = told.fields.get(name).map(String::as_str).unwrap_or_default();
        if theirs.trim_matches('"') != ours {
            return Ok(Some(format!("{name}: decide says {ours:?}, the gateway {theirs:?}")));
        }
    }
    let is_grpc = asked.headers.iter().any(|(_, value)| value.starts_with("application/grpc"));
    if let Some(reply) = decided.decision.reply() {
        let alike = told.details == reply.details
            && (is_grpc || asked.method == "HEAD" || told.body == reply.body)
            && (is_grpc || u32::from(told.status) == reply.code);
        return Ok((!alike).then(|| format!("another answer than {reply:?}")));
    }
    let Some(seen) = &told.seen else {
        return Ok((told.status != 200).then(|| "the upstream saw nothing".to_owned()));
    };
    let cookie = decided.set_cookie.as_deref().map(String::from_utf8_lossy);
    if told.set_cookie.as_deref() != cookie.as_deref() {
        return Ok(Some(format!("sets {:?}, decide says {cookie:?}", told.set_cookie)));
    }
    headers(asked, decided, seen)
}

/// Whether the upstream saw the lines that came, after the edits.
fn headers(
    asked: &Asked,
    decided: &Decided,
    seen: &BTreeMap<String, Vec<String>>,
) -> Result<Option<String>> {
    let edits = &decided.explanation.edits;
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for (name, value) in asked.lines()? {
        if !edits.iter().any(|edit| edit.value.is_none() && edit.name == name) {
            expected.entry(text(&name)).or_default().push(text(&value));
        }
    }
    for edit in edits {
        if let Some(value) = &edit.value {
            expected.entry(text(&edit.name)).or_default().push(text(value));
        }
    }
    for edit in edits.iter().filter(|edit| edit.value.is_none()) {
        expected.entry(text(&edit.name)).or_default();
    }
    for name in [":method", ":scheme"].iter().chain(&UNCOMPARED) {
        expected.remove(*name);
    }
    for (name, lines) in expected {
        let had = seen.get(&name).cloned().unwrap_or_default();
        if had != lines {
            return Ok(Some(format!(
                "header {name}: decide says {lines:?}, the upstream saw {had:?}"
            )));
        }
    }
    Ok(None)
}
