//! An Envoy configured as Istio configures an ingress gateway, or the inbound side of a sidecar.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use serde_json::{Value, json};

use crate::client::{Request, Response};
use crate::envoy::{Envoy, Extension};
use crate::seldon::Deployment;

/// The listener of the gateway.
const INGRESS: &str = "ingress";

/// File of the access log in Envoy's working directory.
pub(crate) const ACCESS_LOG: &str = "access.log";

/// Labels of the module's metrics, which an operator lists as `extraStatTags`.
pub const LABELS: [&str; 16] = [
    "model",
    "operation",
    "decision",
    "policy",
    "effect",
    "result",
    "issuer",
    "shadow",
    "outcome",
    "kind",
    "token_type",
    "claim",
    "quota",
    "split",
    "variant",
    "version",
];

/// Filter state that the module writes for access logs.
const FILTER_STATE: [&str; 11] = [
    "model",
    "operation",
    "decision",
    "policy",
    "principal",
    "shadow",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "time_to_first_token",
];

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// An HTTP filter before the router.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Configured once.
    Fixed(Value),
    /// Configured through a watched file, as an Istio gateway gets its plugins.
    Extension(Extension),
}

/// A cluster with one endpoint.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: String,
    address: SocketAddr,
    http2: bool,
    requests_each: Option<u32>,
    transport_socket: Option<Value>,
}

impl Cluster {
    /// A cluster that speaks HTTP/1.1.
    pub fn http1(name: &str, address: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            address,
            http2: false,
            requests_each: None,
            transport_socket: None,
        }
    }

    /// A cluster that speaks HTTP/2, as one for gRPC.
    pub fn http2(name: &str, address: SocketAddr) -> Self {
        Self { http2: true, ..Self::http1(name, address) }
    }

    /// Makes a connection for each request, for servers that close theirs without a word.
    #[must_use]
    pub fn one_request_each(mut self) -> Self {
        self.requests_each = Some(1);
        self
    }

    /// Connects through this transport socket (Envoy's JSON), as between sidecars.
    #[must_use]
    pub fn transport_socket(mut self, socket: &Value) -> Self {
        self.transport_socket = Some(socket.clone());
        self
    }

    fn to_json(&self, trailers: bool) -> Value {
        let protocol = if self.http2 {
            json!({"http2_protocol_options": {}})
        } else {
            json!({"http_protocol_options": {"enable_trailers": trailers}})
        };
        let mut cluster = json!({
            "name": self.name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "typed_extension_protocol_options": {
                HTTP_OPTIONS: {
                    "@type": format!("type.googleapis.com/{HTTP_OPTIONS}"),
                    "explicit_http_config": protocol,
                    "common_http_protocol_options": {"max_requests_per_connection": self.requests_each},
                },
            },
            "load_assignment": {
                "cluster_name": self.name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(self.address)}}]}],
            },
        });
        insert_transport_socket(&mut cluster, self.transport_socket.as_ref());
        cluster
    }
}

/// A route from `matching` (an Envoy `RouteMatch`) to clusters by weight.
pub fn route_to(matching: Value, clusters: &[(String, u32)]) -> Value {
    let target = match clusters {
        [(only, _)] => json!({"cluster": only, "timeout": "0s"}),
        several => json!({
            "timeout": "0s",
            "weighted_clusters": {
                "clusters": several
                    .iter()
                    .map(|(name, weight)| json!({"name": name, "weight": weight}))
                    .collect::<Vec<_>>(),
            },
        }),
    };
    json!({"match": matching, "route": target})
}

/// A loopback address that no other test of this machine is likely to use, so that listeners can have
/// the ports of the shipped resources. Linux takes all of 127.0.0.0/8.
pub fn own_loopback_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id().wrapping_mul(64);
    let host = process.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 0x00ff_0000;
    Ipv4Addr::from(0x7f01_0000 + host)
}

/// A listener besides the gateway's, from which every path leads to one cluster.
#[derive(Debug, Clone)]
struct Inbound {
    address: SocketAddr,
    cluster: String,
    transport_socket: Option<Value>,
}

/// A gateway that is being described. Nothing runs before [`start`](Self::start).
#[derive(Debug, Clone)]
pub struct Gateway {
    filters: Vec<Filter>,
    routes: Vec<Value>,
    hosts: Vec<(String, String)>,
    clusters: Vec<Cluster>,
    inbound: Vec<Inbound>,
    runtime: Vec<(String, Value)>,
    labels: Vec<String>,
    stats_matcher: Option<Value>,
    http1_trailers: bool,
    workers: u32,
}

impl Default for Gateway {
    fn default() -> Self {
        Self::new()
    }
}

impl Gateway {
    /// One worker; no filters and no routes.
    pub fn new() -> Self {
        Self {
            filters: Vec::new(),
            routes: Vec::new(),
            hosts: Vec::new(),
            clusters: Vec::new(),
            inbound: Vec::new(),
            runtime: vec![
                // Istio's bootstrap: a fragment is cut off, not refused.
                (
                    "envoy.reloadable_features.http_reject_path_with_fragment".to_owned(),
                    json!(false),
                ),
            ],
            labels: LABELS.map(str::to_owned).to_vec(),
            stats_matcher: None,
            http1_trailers: false,
            workers: 1,
        }
    }

    /// Adds a filter after those that are there.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds an extension as a filter after those that are there.
    #[must_use]
    pub fn extension(self, extension: &Extension) -> Self {
        self.filter(Filter::Extension(extension.clone()))
    }

    /// Adds the routes and clusters of a deployment.
    #[must_use]
    pub fn deployment(mut self, deployment: &Deployment) -> Self {
        self.routes.extend(deployment.routes());
        self.clusters.extend(deployment.clusters());
        self
    }

    /// Adds a route (Envoy's JSON) after those that are there.
    #[must_use]
    pub fn route(mut self, route: Value) -> Self {
        self.routes.push(route);
        self
    }

    /// Adds a route for every path below `prefix`.
    #[must_use]
    pub fn prefix(self, prefix: &str, cluster: &str) -> Self {
        self.route(route_to(json!({"prefix": prefix}), &[(cluster.to_owned(), 100)]))
    }

    /// Adds a virtual host of its own, all of which goes to `cluster`.
    #[must_use]
    pub fn host(mut self, host: &str, cluster: &str) -> Self {
        self.hosts.push((host.to_owned(), cluster.to_owned()));
        self
    }

    /// Adds a cluster.
    #[must_use]
    pub fn cluster(mut self, cluster: Cluster) -> Self {
        self.clusters.push(cluster);
        self
    }

    /// Adds a listener like a sidecar's inbound one, before the workload at `upstream`.
    #[must_use]
    pub fn inbound(self, listener: SocketAddr, upstream: SocketAddr) -> Self {
        let name = format!("inbound|{}||", listener.port());
        self.inbound_through(listener, None, Cluster::http1(&name, upstream))
    }

    /// Adds such a listener with a transport socket (Envoy's JSON) before any cluster.
    #[must_use]
    pub fn inbound_through(
        mut self,
        listener: SocketAddr,
        transport_socket: Option<&Value>,
        cluster: Cluster,
    ) -> Self {
        self.inbound.push(Inbound {
            address: listener,
            cluster: cluster.name.clone(),
            transport_socket: transport_socket.cloned(),
        });
        self.clusters.push(cluster);
        self
    }

    /// Sets a runtime feature of Envoy.
    #[must_use]
    pub fn runtime(mut self, key: &str, value: Value) -> Self {
        self.runtime.push((key.to_owned(), value));
        self
    }

    /// Has only these labels taken out of the names of metrics.
    #[must_use]
    pub fn labels(mut self, labels: &[String]) -> Self {
        self.labels = labels.to_vec();
        self
    }

    /// Keeps only what this matcher (Envoy's JSON) lets through of all that Envoy counts.
    #[must_use]
    pub fn stats_matcher(mut self, matcher: Value) -> Self {
        self.stats_matcher = Some(matcher);
        self
    }

    /// Passes on trailers of HTTP/1.1, which Envoy otherwise leaves out.
    #[must_use]
    pub fn http1_trailers(mut self) -> Self {
        self.http1_trailers = true;
        self
    }

    /// Sets the number of worker threads.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Starts Envoy and waits until it serves.
    pub async fn start(&self) -> Result<Running> {
        let extensions: Vec<Extension> = self
            .filters
            .iter()
            .filter_map(|filter| match filter {
                Filter::Extension(extension) => Some(extension.clone()),
                Filter::Fixed(_) => None,
            })
            .collect();
        let envoy = Envoy::start(&self.bootstrap(), &extensions, self.workers).await?;
        let address = envoy.listener(INGRESS)?;
        Ok(Running { envoy, address })
    }

    fn bootstrap(&self) -> Value {
        let ingress = json!({
            "name": INGRESS,
            "address": address(SocketAddr::from(([127, 0, 0, 1], 0))),
            "traffic_direction": "OUTBOUND",
            "filter_chains": [{"filters": [self.connection_manager(INGRESS, true, &self.routes)]}],
        });
        let inbound = self.inbound.iter().map(|inbound| {
            let name = inbound.address.to_string();
            let all = route_to(json!({"prefix": "/"}), &[(inbound.cluster.clone(), 100)]);
            let mut chain = json!({"filters": [self.connection_manager(&name, false, &[all])]});
            insert_transport_socket(&mut chain, inbound.transport_socket.as_ref());
            json!({
                "name": name,
                "address": address(inbound.address),
                "traffic_direction": "INBOUND",
                "filter_chains": [chain],
            })
        });
        let tag =
            |name: &String| json!({"tag_name": name, "regex": format!(r"({name}=\.=(.*?);\.;)")});
        let clusters: Vec<Value> =
            self.clusters.iter().map(|cluster| cluster.to_json(self.http1_trailers)).collect();
        json!({
            "node": {"id": "router~127.0.0.1~gateway.istio-system~istio-system.svc.cluster.local", "cluster": "gateway"},
            "layered_runtime": {"layers": [{
                "name": "static",
                "static_layer": self.runtime.iter().cloned().collect::<serde_json::Map<_, _>>(),
            }]},
            "stats_config": {
                "stats_tags": self.labels.iter().map(tag).collect::<Vec<_>>(),
                "stats_matcher": self.stats_matcher,
            },
            "static_resources": {
                "listeners": std::iter::once(ingress).chain(inbound).collect::<Vec<_>>(),
                "clusters": clusters,
            },
        })
    }

    fn connection_manager(&self, name: &str, at_gateway: bool, routes: &[Value]) -> Value {
        let filters = self.filters.iter().map(|filter| match filter {
            Filter::Fixed(filter) => filter.clone(),
            Filter::Extension(extension) => extension.http_filter(),
        });
        let hosts = self.hosts.iter().filter(|_| at_gateway).map(|(host, cluster)| {
            let all = route_to(json!({"prefix": "/"}), &[(cluster.clone(), 100)]);
            json!({"name": format!("{host}:80"), "domains": [host], "routes": [all]})
        });
        let any = json!({"name": "*:80", "domains": ["*"], "routes": routes});
        let router = json!({
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        });
        json!({
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": name,
                "server_name": "istio-envoy",
                "use_remote_address": at_gateway,
                "http_protocol_options": {"enable_trailers": self.http1_trailers},
                "normalize_path": true,
                "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
                "stream_idle_timeout": "0s",
                "access_log": [access_log()],
                "http_filters": filters.chain([router]).collect::<Vec<_>>(),
                "route_config": {
                    "name": name,
                    // As routes that istiod sends: a cluster may come later, or never.
                    "validate_clusters": false,
                    // As istiod writes it: whatever follows the last colon is no part of the host.
                    "ignore_port_in_host_matching": true,
                    "virtual_hosts": hosts.chain([any]).collect::<Vec<_>>(),
                },
            },
        })
    }
}

fn insert_transport_socket(into: &mut Value, socket: Option<&Value>) {
    if let (Some(into), Some(socket)) = (into.as_object_mut(), socket) {
        into.insert("transport_socket".to_owned(), socket.clone());
    }
}

/// The path in the access log that `wasmplugin/mesh` ships; istiod adds the formatter that it needs.
pub const SHIPPED_PATH: &str = "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%";

/// One JSON object a line.
fn access_log() -> Value {
    let mut format = json!({
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "shipped_path": SHIPPED_PATH,
        "code": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
    });
    if let Some(format) = format.as_object_mut() {
        for name in FILTER_STATE {
            let value = format!("%FILTER_STATE(wasm.modelgate.{name}:PLAIN)%");
            format.insert(format!("modelgate.{name}"), value.into());
        }
    }
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": ACCESS_LOG,
            "log_format": {"json_format": format, "formatters": [{
                "name": "envoy.formatter.req_without_query",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
                },
            }]},
        },
    })
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

/// A gateway that runs until it is dropped.
#[derive(Debug)]
pub struct Running {
    /// The proxy.
    pub envoy: Envoy,
    /// Where clients reach it.
    pub address: SocketAddr,
}

impl Running {
    /// Sends a request to the gateway over a new HTTP/1.1 connection.
    pub async fn send(&self, request: Request) -> Result<Response> {
        request.send(self.address).await
    }
}
