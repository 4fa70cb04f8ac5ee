//! One Envoy with a listener for each configuration; each answer says what the module decided, and what the upstream saw.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::client::{Request, Response, exchange};
use testbed::envoy::Envoy;
use testbed::gateway::own_loopback_address;
use testbed::upstream::{Answer, Received, Upstream};
use testbed::wasmplugin::WasmPlugin;
use tokio::net::TcpStream;

/// The port of the first configuration.
const FIRST_PORT: u16 = 22_000;

/// The header in which the upstream says what it saw.
const SEEN: &str = "x-seen";

/// What access logs can show of a decision.
pub const FIELDS: [&str; 6] = ["model", "operation", "decision", "policy", "principal", "shadow"];

pub struct Arena {
    /// Serves until it is dropped.
    _envoy: Envoy,
    upstream: Upstream,
    pub address: Ipv4Addr,
}

/// What came of a request.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub body: String,
    pub details: String,
    pub set_cookie: Option<String>,
    /// [`FIELDS`], each empty where it was not written.
    pub fields: BTreeMap<&'static str, String>,
    /// Path, authority and header lines that the upstream saw, if it saw any.
    pub seen: Option<BTreeMap<String, Vec<String>>>,
}

pub fn port(at: usize) -> Result<u16> {
    FIRST_PORT.checked_add(u16::try_from(at)?).context("too many configurations")
}

impl Arena {
    pub async fn start(configurations: &[Value]) -> Result<Self> {
        let upstream = Upstream::start(echo).await?;
        let address = own_loopback_address();
        let mut listeners = Vec::new();
        for (i, settings) in configurations.iter().enumerate() {
            let extension = WasmPlugin::with_config(settings.clone())?.under_test()?;
            let at = SocketAddr::from((address, port(i)?));
            listeners.push(listener(at, &extension.typed_config));
        }
        let envoy = Envoy::start(&bootstrap(&listeners, upstream.address()), &[], 1).await?;
        Ok(Self { _envoy: envoy, upstream, address })
    }

    /// The answers to requests under one configuration, in their order; none where there was none.
    pub async fn ask(&self, at: usize, requests: &[Request]) -> Result<Vec<Option<Told>>> {
        let to = SocketAddr::from((self.address, port(at)?));
        let mut told = Vec::new();
        while let Some(left) = requests.get(told.len()..).filter(|left| !left.is_empty()) {
            let stream = TcpStream::connect(to).await.with_context(|| format!("{to}"))?;
            stream.set_nodelay(true)?;
            let answers = exchange(stream, left).await?;
            if answers.is_empty() {
                told.push(None);
            }
            for answer in answers {
                told.push(Some(Told::of(&answer)?));
            }
        }
        self.upstream.forget();
        Ok(told)
    }
}

impl Told {
    fn of(answer: &Response) -> Result<Self> {
        let text = |name: &str| answer.header(name).filter(|v| *v != "-").unwrap_or_default();
        let fields = FIELDS.map(|name| (name, text(&format!("x-{name}")).to_owned()));
        Ok(Self {
            status: answer.status,
            body: answer.text(),
            details: text("x-details").to_owned(),
            set_cookie: answer.header("set-cookie").map(str::to_owned),
            fields: fields.into(),
            seen: answer.header(SEEN).map(serde_json::from_str).transpose()?,
        })
    }
}

fn echo(received: &Received) -> Answer {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &received.headers {
        let line = String::from_utf8_lossy(value).into_owned();
        seen.entry(name.clone()).or_default().push(line);
    }
    seen.insert(":path".to_owned(), vec![received.path.clone()]);
    seen.insert(":authority".to_owned(), vec![received.authority.clone()]);
    let seen = serde_json::to_string(&seen).unwrap_or_default();
    Answer::new(200, "text/plain", "").header(SEEN, &seen)
}

fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

fn bootstrap(listeners: &[Value], upstream: SocketAddr) -> Value {
    json!({
        "node": {"id": "router~127.0.0.1~gateway.istio-system~istio-system.svc.cluster.local", "cluster": "gateway"},
        "static_resources": {
            "listeners": listeners,
            "clusters": [{
                "name": "upstream",
                "type": "STATIC",
                "connect_timeout": "5s",
                "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": address(upstream)}},
                ]}]},
            }],
        },
    })
}

/// A gateway's listener, of which every answer has the fields in its headers.
fn listener(at: SocketAddr, module: &Value) -> Value {
    let shown = |name: &str, value: String| json!({"header": {"key": name, "value": value}, "keep_empty_value": true});
    let mut fields: Vec<Value> = FIELDS
        .iter()
        .map(|name| {
            shown(&format!("x-{name}"), format!("%FILTER_STATE(wasm.modelgate.{name}:PLAIN)%"))
        })
        .collect();
    let on_answers = fields.clone();
    fields.push(shown("x-details", "%RESPONSE_CODE_DETAILS%".to_owned()));
    let any =
        json!({"comparison": {"op": "GE", "value": {"default_value": 0, "runtime_key": "none"}}});
    let manager = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "gateway",
            "delayed_close_timeout": "0.01s",
            "use_remote_address": true,
            "preserve_external_request_id": true,
            "normalize_path": true,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "local_reply_config": {"mappers": [{
                "filter": {"status_code_filter": any},
                "headers_to_add": fields,
            }]},
            "http_filters": [
                {"name": "envoy.filters.http.wasm", "typed_config": module},
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                },
            ],
            "route_config": {"virtual_hosts": [{
                "name": "*:80",
                "domains": ["*"],
                "response_headers_to_add": on_answers,
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}],
            }]},
        },
    });
    json!({
        "name": at.to_string(),
        "address": address(at),
        "traffic_direction": "OUTBOUND",
        "filter_chains": [{"filters": [manager]}],
    })
}
