//! One Envoy with two listeners for each set: Envoy's own filters behind one, the module behind the
//! other, everything else alike.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use testbed::client::{Request, Response, exchange};
use testbed::envoy::Envoy;
use testbed::gateway::own_loopback_address;
use testbed::native;
use testbed::upstream::Upstream;
use testbed::wasmplugin::WasmPlugin;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::answer::{Answer, DETAILS, echo};
use crate::case::{Client, Set};
use crate::certificates::Certificates;

/// The port of the first set.
const FIRST_PORT: u16 = 20_000;

/// Most requests on one connection.
const AT_ONCE: usize = 50;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Native,
    Modelgate,
}

pub struct Arena {
    /// Serves until it is dropped.
    _envoy: Envoy,
    upstream: Upstream,
    certificates: Arc<Certificates>,
    addresses: [Ipv4Addr; 2],
}

impl Arena {
    pub async fn start(sets: &[Set], certificates: &Arc<Certificates>) -> Result<Self> {
        let upstream = Upstream::start(echo).await?;
        // One port, so that policies on ports mean the same; so the addresses differ.
        let addresses = [own_loopback_address(), own_loopback_address()];
        let mut listeners = Vec::new();
        for (i, set) in sets.iter().enumerate() {
            let port = port(i)?;
            let set = set.at_port(port)?;
            let [native, modelgate] = addresses;
            let filters = native::filters(&set.rules()?, &set.policies)?;
            listeners.push(listener(&set, SocketAddr::from((native, port)), filters, certificates));
            let extension = WasmPlugin::with_config(set.plugin_config()?)?.under_test()?;
            let module = json!({
                "name": "envoy.filters.http.wasm",
                "typed_config": extension.typed_config,
            });
            let at = SocketAddr::from((modelgate, port));
            listeners.push(listener(&set, at, vec![module], certificates));
        }
        let envoy = Envoy::start(&bootstrap(&listeners, upstream.address()), &[], 1).await?;
        Ok(Self { _envoy: envoy, upstream, certificates: Arc::clone(certificates), addresses })
    }

    /// The answers of one side to requests under one set, in their order.
    pub async fn answers(
        &self,
        side: Side,
        set: usize,
        asks: &[(Client, Request)],
    ) -> Result<Vec<Answer>> {
        let [native, modelgate] = self.addresses;
        let ip = if side == Side::Native { native } else { modelgate };
        let to = SocketAddr::from((ip, port(set)?));
        let mut by_client: BTreeMap<&Client, Vec<usize>> = BTreeMap::new();
        for (i, (client, _)) in asks.iter().enumerate() {
            by_client.entry(client).or_default().push(i);
        }
        let mut answers = vec![Answer::none(); asks.len()];
        for (client, indices) in by_client {
            for indices in indices.chunks(AT_ONCE) {
                let requests: Vec<Request> = indices
                    .iter()
                    .filter_map(|i| asks.get(*i))
                    .map(|(_, request)| request.clone())
                    .collect();
                let responses = self.exchange(client, to, &requests).await?;
                for (i, response) in indices.iter().zip(responses) {
                    if let (Some(response), Some(answer)) = (response, answers.get_mut(*i)) {
                        *answer = Answer::of(&response)?;
                    }
                }
            }
        }
        self.upstream.forget();
        Ok(answers)
    }

    /// An answer for each request, or none where the connection was closed instead. Requests behind a
    /// closed connection are sent over another one.
    async fn exchange(
        &self,
        client: &Client,
        to: SocketAddr,
        requests: &[Request],
    ) -> Result<Vec<Option<Response>>> {
        let mut responses: Vec<Option<Response>> = Vec::new();
        while let Some(left) = requests.get(responses.len()..).filter(|left| !left.is_empty()) {
            let stream = connect(client, to).await?;
            let answered = if !client.tls {
                exchange(stream, left).await?
            } else {
                let config =
                    self.certificates.client(&client.certificate, !client.sni.is_empty())?;
                let name = if client.sni.is_empty() { "models.example.com" } else { &client.sni };
                let name = ServerName::try_from(name.to_owned())?;
                let connector = TlsConnector::from(Arc::new(config));
                exchange(connector.connect(name, stream).await?, left).await?
            };
            if answered.is_empty() {
                responses.push(None);
            }
            responses.extend(answered.into_iter().map(Some));
        }
        Ok(responses)
    }
}

/// From 127.77.0.x, or from 127.0.0.1, which appears in `x-forwarded-for` as Envoy's own address.
async fn connect(client: &Client, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = match client.address {
        0 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        last => IpAddr::from([127, 77, 0, last]),
    };
    socket.bind(SocketAddr::new(from, 0))?;
    let stream = socket.connect(to).await.with_context(|| format!("cannot connect to {to}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn port(set: usize) -> Result<u16> {
    FIRST_PORT.checked_add(u16::try_from(set)?).context("too many sets")
}

fn bootstrap(listeners: &[Value], upstream: SocketAddr) -> Value {
    json!({
        "node": {"id": "router~127.0.0.1~gateway.istio-system~istio-system.svc.cluster.local", "cluster": "gateway"},
        "layered_runtime": {"layers": [{
            "name": "static",
            // Istio's bootstrap: a fragment is cut off, not refused.
            "static_layer": {"envoy.reloadable_features.http_reject_path_with_fragment": false},
        }]},
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

fn address(at: SocketAddr) -> Value {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

/// A gateway's listener, as istiod makes it.
fn listener(
    set: &Set,
    at: SocketAddr,
    mut filters: Vec<Value>,
    certificates: &Certificates,
) -> Value {
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }));
    let any_status = json!({"comparison": {
        "op": "GE",
        "value": {"default_value": 0, "runtime_key": "none"},
    }});
    let details = json!({"header": {"key": DETAILS, "value": "%RESPONSE_CODE_DETAILS%"}});
    let manager = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "gateway",
            "delayed_close_timeout": "0.01s",
            "use_remote_address": true,
            "xff_num_trusted_hops": set.hops,
            "normalize_path": true,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "local_reply_config": {"mappers": [{
                "filter": {"status_code_filter": any_status},
                "headers_to_add": [details],
            }]},
            "http_filters": filters,
            "route_config": {"virtual_hosts": [{
                "name": "*:80",
                "domains": ["*"],
                "routes": [{
                    "match": {"prefix": "/"},
                    "route": {"cluster": "upstream", "timeout": "0s"},
                }],
            }]},
        },
    });
    let mut chain = json!({"filters": [manager]});
    let mut listener = json!({
        "name": at.to_string(),
        "address": address(at),
        "traffic_direction": "OUTBOUND",
    });
    if let (Some(listener), Some(chain)) = (listener.as_object_mut(), chain.as_object_mut()) {
        if set.tls {
            chain.insert("transport_socket".into(), certificates.transport_socket());
            let inspector = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
            listener.insert(
                "listener_filters".into(),
                json!([{
                    "name": "envoy.filters.listener.tls_inspector",
                    "typed_config": {"@type": inspector},
                }]),
            );
        }
        listener.insert("filter_chains".into(), json!([chain]));
    }
    listener
}
