//! The routes and clusters that a `SeldonDeployment` gets: those that Seldon's operator 1.17.1
//! describes in its `VirtualService`, in the form that istiod gives them.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::gateway::{Cluster, route_to};

/// What the operator's gRPC route takes, besides the headers `seldon` and `namespace`.
const GRPC_PATHS: &str = ".*tensorflow.*|.*seldon.protos.*|.*inference.*";

/// The executor's ports.
const REST_PORT: u16 = 8000;
const GRPC_PORT: u16 = 5001;

/// A deployment with its predictors.
#[derive(Debug, Clone)]
pub struct Deployment {
    namespace: String,
    name: String,
    predictors: Vec<Predictor>,
}

#[derive(Debug, Clone)]
struct Predictor {
    name: String,
    rest: SocketAddr,
    grpc: SocketAddr,
    weight: Option<u32>,
}

impl Deployment {
    /// A deployment without predictors.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned(), predictors: Vec::new() }
    }

    /// One predictor, `default`, that gets all traffic.
    pub fn single(namespace: &str, name: &str, address: SocketAddr) -> Self {
        Self::new(namespace, name).predictor("default", address, 100)
    }

    /// Adds a predictor that gets `weight` per cent of the traffic.
    #[must_use]
    pub fn predictor(self, name: &str, address: SocketAddr, weight: u32) -> Self {
        self.push(name, address, Some(weight))
    }

    /// Adds a predictor that no route leads to, as a shadow that only the gateway calls.
    #[must_use]
    pub fn unrouted(self, name: &str, address: SocketAddr) -> Self {
        self.push(name, address, None)
    }

    /// Gives the predictors added so far an address of its own for gRPC.
    #[must_use]
    pub fn grpc(mut self, address: SocketAddr) -> Self {
        for predictor in &mut self.predictors {
            predictor.grpc = address;
        }
        self
    }

    fn push(mut self, name: &str, address: SocketAddr, weight: Option<u32>) -> Self {
        let name = name.to_owned();
        self.predictors.push(Predictor { name, rest: address, grpc: address, weight });
        self
    }

    /// The cluster of a predictor without subset, `outbound|8000||<service>.<ns>.svc.cluster.local`.
    pub fn cluster_name(&self, predictor: &str) -> String {
        self.cluster(predictor, "", REST_PORT)
    }

    fn cluster(&self, predictor: &str, subset: &str, port: u16) -> String {
        let Self { namespace, name, .. } = self;
        format!("outbound|{port}|{subset}|{name}-{predictor}.{namespace}.svc.cluster.local")
    }

    /// The REST route, then the gRPC route; none where no predictor is routed.
    pub fn routes(&self) -> Vec<Value> {
        if self.predictors.iter().all(|predictor| predictor.weight.is_none()) {
            return Vec::new();
        }
        let exact =
            |name: &str, value: &str| json!({"name": name, "string_match": {"exact": value}});
        let rest = self.route(
            json!({"prefix": format!("/seldon/{}/{}/", self.namespace, self.name)}),
            REST_PORT,
        );
        let grpc = self.route(
            json!({
                "safe_regex": {"regex": GRPC_PATHS},
                "headers": [exact("namespace", &self.namespace), exact("seldon", &self.name)],
            }),
            GRPC_PORT,
        );
        let mut rest = rest;
        if let Some(action) = rest.get_mut("route").and_then(Value::as_object_mut) {
            action.insert("prefix_rewrite".to_owned(), json!("/"));
        }
        vec![rest, grpc]
    }

    fn route(&self, matching: Value, port: u16) -> Value {
        let routed = self.predictors.iter().filter_map(|p| Some((p, p.weight?)));
        let clusters: Vec<(String, u32)> =
            routed.map(|(p, weight)| (self.cluster(&p.name, &p.name, port), weight)).collect();
        route_to(matching, &clusters)
    }

    /// For each predictor and port a cluster with its subset and one without.
    pub fn clusters(&self) -> Vec<Cluster> {
        let mut clusters = Vec::new();
        for Predictor { name, rest, grpc, .. } in &self.predictors {
            for subset in [name.as_str(), ""] {
                clusters.push(Cluster::http1(&self.cluster(name, subset, REST_PORT), *rest));
                clusters.push(Cluster::http2(&self.cluster(name, subset, GRPC_PORT), *grpc));
            }
        }
        clusters
    }
}
