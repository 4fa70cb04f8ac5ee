//! A gateway without an agent: Envoy alone, which asks istiod over plain text. It starts in a moment, and has neither
//! certificates nor secrets; for many gateways at once.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::envoy::Envoy;

use crate::control_plane::ISTIOD_PLAIN;

/// Starts one with these labels, its name and namespace being those of its pod. Its listeners may come later.
pub async fn gateway(namespace: &str, name: &str, labels: &Value) -> Result<Envoy> {
    let (host, port) = ISTIOD_PLAIN;
    let ads = json!({"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"});
    let bootstrap = json!({
        "node": {
            "id": format!("router~127.0.0.1~{name}.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": name,
            "metadata": {
                "NAME": name,
                "NAMESPACE": namespace,
                "LABELS": labels,
                "INSTANCE_IPS": "127.0.0.1",
                "CLUSTER_ID": "Kubernetes",
                "ISTIO_VERSION": "1.31.0",
            },
        },
        "layered_runtime": {"layers": [{
            "name": "static",
            // Istio's bootstrap: a fragment is cut off, not refused.
            "static_layer": {"envoy.reloadable_features.http_reject_path_with_fragment": false},
        }]},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
            "lds_config": ads,
            "cds_config": ads,
        },
        "static_resources": {"clusters": [{
            "name": "xds-grpc",
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {"cluster_name": "xds-grpc", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}},
            ]}]},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                },
            },
        }]},
    });
    Envoy::start(&bootstrap, &[], 1).await
}
