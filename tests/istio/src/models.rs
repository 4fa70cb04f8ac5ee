//! Models under the names that Kubernetes gives to the services of Seldon's operator.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Value, json};
use testbed::model::Model;
use testbed::upstream::Upstream;

use crate::control_plane::Cluster;

/// prod/iris, its retrained shadow, and prod/fraud, which answers `fraud`.
#[derive(Debug)]
pub struct Models {
    /// prod/iris.
    pub iris: Model,
    /// The service iris-v2-default, to which no route leads.
    pub retrained: Model,
    /// prod/fraud.
    pub fraud: Upstream,
}

impl Models {
    /// Starts them and makes their services known.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let models = Self::unknown().await?;
        let services = models.addresses().map(|(name, at)| service(name, "default", at));
        cluster.kubectl.apply(&services).await?;
        Ok(models)
    }

    /// The same behind Services of Kubernetes.
    pub async fn behind_services(cluster: &Cluster) -> Result<Self> {
        let models = Self::unknown().await?;
        let services = models.addresses().map(|(name, at)| kubernetes_service(name, "default", at));
        cluster.kubectl.apply(&services.concat()).await?;
        Ok(models)
    }

    async fn unknown() -> Result<Self> {
        Ok(Self {
            iris: Model::live().await?,
            retrained: Model::retrained().await?,
            fraud: Upstream::echo("fraud").await?,
        })
    }

    fn addresses(&self) -> [(&'static str, SocketAddr); 3] {
        [
            ("iris-default", self.iris.address()),
            ("iris-v2-default", self.retrained.address()),
            ("fraud-default", self.fraud.address()),
        ]
    }
}

/// The service of a predictor, as if Kubernetes had it: REST on 8000, gRPC on 5001, both at `address`.
pub fn service(name: &str, predictor: &str, address: SocketAddr) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": "prod"},
        "spec": {
            "hosts": [format!("{name}.prod.svc.cluster.local")],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "ports": [
                {"number": 8000, "name": "http", "protocol": "HTTP", "targetPort": address.port()},
                {"number": 5001, "name": "grpc", "protocol": "GRPC", "targetPort": address.port()},
            ],
            "endpoints": [{"address": address.ip().to_string(), "labels": {"version": predictor}}],
        },
    })
}

/// The same as a Service, for routes of the Gateway API, which know no other; the pod is a WorkloadEntry, because
/// Kubernetes' own endpoints may not be on loopback.
pub fn kubernetes_service(name: &str, predictor: &str, address: SocketAddr) -> [Value; 2] {
    let metadata = json!({"name": name, "namespace": "prod"});
    [
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "selector": {"app": name},
                "ports": [
                    {"name": "http", "port": 8000, "appProtocol": "http"},
                    {"name": "grpc", "port": 5001, "appProtocol": "grpc"},
                ],
            },
        }),
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "WorkloadEntry",
            "metadata": metadata,
            "spec": {
                "address": address.ip().to_string(),
                "labels": {"app": name, "version": predictor},
                "ports": {"http": address.port(), "grpc": address.port()},
            },
        }),
    ]
}

/// The routes that Seldon's operator writes for a deployment with one predictor, `default`.
pub fn seldon_routes(name: &str) -> Vec<Value> {
    let host = format!("{name}-default.prod.svc.cluster.local");
    let route = |port: u16| json!([{"destination": {"host": host, "port": {"number": port}, "subset": "default"}}]);
    vec![
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": name, "namespace": "prod"},
            "spec": {
                "gateways": ["istio-system/seldon-gateway"],
                "hosts": ["*"],
                "http": [
                    {
                        "match": [{"uri": {"prefix": format!("/seldon/prod/{name}/")}}],
                        "rewrite": {"uri": "/"},
                        "route": route(8000),
                    },
                    {
                        "match": [{
                            "headers": {"namespace": {"exact": "prod"}, "seldon": {"exact": name}},
                            "uri": {"regex": ".*tensorflow.*|.*seldon.protos.*|.*inference.*"},
                        }],
                        "route": route(5001),
                    },
                ],
            },
        }),
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": {"name": format!("{name}-default"), "namespace": "prod"},
            "spec": {
                "host": host,
                "subsets": [{"labels": {"version": "default"}, "name": "default"}],
                "trafficPolicy": {"connectionPool": {"http": {"idleTimeout": "60s"}}},
            },
        }),
    ]
}
