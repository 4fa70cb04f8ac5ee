//! What Envoy is started with: a gateway as Istio configures one, whose plugin and clusters come from watched files.

use serde_json::{Map, Value, json};

use super::clusters::{LIVE, named};
use super::upstream::Upstream;

/// The file of the plugin, in a folder that Envoy watches.
pub const PLUGIN: &str = "plugin/plugin.json";
/// The same of clusters.
pub const CLUSTERS: &str = "clusters/clusters.json";

/// The name of the listener.
const INGRESS: &str = "ingress";
/// The same of the extension.
pub const EXTENSION: &str = "modelgate";

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// Labels of the module's metrics, as `extraStatTags` lists them for `modelgate report`.
const LABELS: [&str; 16] = [
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

/// Fields of filter state that the access log has.
const FILTER_STATE: [&str; 6] = ["model", "operation", "decision", "policy", "principal", "shadow"];

/// Where the path is kept as the client sent it, before rewrites.
const ASKED_PATH: &str = "modelgate.run.path";

/// The bootstrap; port 0 is a free one.
pub fn bootstrap(port: u16, upstreams: &[Upstream]) -> Value {
    let tag = |name: &&str| json!({"tag_name": name, "regex": format!(r"({name}=\.=(.*?);\.;)")});
    json!({
        "node": {"id": "router~127.0.0.1~laptop.istio-system~istio-system.svc.cluster.local", "cluster": "laptop"},
        "admin": {"address": address(0)},
        // Istio's bootstrap: a fragment is cut off, not refused.
        "layered_runtime": {"layers": [{"name": "static", "static_layer": {
            "envoy.reloadable_features.http_reject_path_with_fragment": false,
            "overload.global_downstream_max_connections": 10000,
        }}]},
        "stats_config": {"stats_tags": LABELS.iter().map(tag).collect::<Vec<_>>()},
        "dynamic_resources": {"cds_config": watched(CLUSTERS)},
        "static_resources": {"listeners": [{
            "name": INGRESS,
            "address": address(port),
            "traffic_direction": "OUTBOUND",
            "filter_chains": [{"filters": [connection_manager(upstreams)]}],
        }]},
    })
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn watched(path: &str) -> Value {
    let folder = path.split('/').next();
    json!({
        "path_config_source": {"path": path, "watched_directory": {"path": folder}},
        "resource_api_version": "V3",
    })
}

fn connection_manager(upstreams: &[Upstream]) -> Value {
    let mut source = watched(PLUGIN);
    if let Some(source) = source.as_object_mut() {
        source.insert("initial_fetch_timeout".to_owned(), "0s".into());
    }
    let plugin = json!({
        "name": EXTENSION,
        "config_discovery": {"config_source": source, "type_urls": [WASM]},
    });
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": INGRESS,
            "server_name": "istio-envoy",
            "use_remote_address": true,
            "normalize_path": true,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "stream_idle_timeout": "0s",
            "access_log": [access_log()],
            "http_filters": [asked_path(), plugin, fresh_route(), {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }],
            "route_config": {
                "name": INGRESS,
                "validate_clusters": false,
                "virtual_hosts": [{"name": "*", "domains": ["*"], "routes": routes(upstreams)}],
            },
        },
    })
}

fn asked_path() -> Value {
    json!({
        "name": "envoy.filters.http.set_filter_state",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [{
                "object_key": ASKED_PATH,
                "factory_key": "envoy.string",
                "format_string": {
                    "text_format_source": {"inline_string": "%REQ_WITHOUT_QUERY(:PATH)%"},
                    "formatters": [without_query()],
                },
            }],
        },
    })
}

/// Routes look at what modelgate decided: chosen again behind it.
fn fresh_route() -> Value {
    json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": "function envoy_on_request(handle) handle:clearRouteCache() end"},
        },
    })
}

/// Variants first, then models that have a server of their own, then everything.
fn routes(upstreams: &[Upstream]) -> Vec<Value> {
    let names = || upstreams.iter().filter_map(|upstream| upstream.name.as_deref());
    let of_variants = names().filter(|name| !name.contains('/')).map(|name| {
        let exact = json!({"name": "x-modelgate-variant", "string_match": {"exact": name}});
        route(json!({"prefix": "/", "headers": [exact]}), &named(name))
    });
    let of_models = names().filter(|name| name.contains('/')).map(|name| {
        let model = json!({"key": "wasm.modelgate.model", "string_match": {"exact": name}});
        route(json!({"prefix": "/", "filter_state": [model]}), &named(name))
    });
    of_variants.chain(of_models).chain([route(json!({"prefix": "/"}), LIVE)]).collect()
}

/// Seldon's operator takes the prefix of a deployment off, and so does this.
fn route(matching: Value, cluster: &str) -> Value {
    json!({"match": matching, "route": {
        "cluster": cluster,
        "timeout": "0s",
        "regex_rewrite": {"pattern": {"regex": "^/seldon/[^/]+/[^/]+/"}, "substitution": "/"},
    }})
}

/// One JSON object a line, with the names that `modelgate decide` and `diff` read. No query: it may hold a token.
fn access_log() -> Value {
    let mut format: Map<String, Value> = [
        ("start_time", "%START_TIME%".to_owned()),
        ("method", "%REQ(:METHOD)%".to_owned()),
        ("path", format!("%FILTER_STATE({ASKED_PATH}:PLAIN)%")),
        ("authority", "%REQ(:AUTHORITY)%".to_owned()),
        ("response_code", "%RESPONSE_CODE%".to_owned()),
        ("response_code_details", "%RESPONSE_CODE_DETAILS%".to_owned()),
        ("response_flags", "%RESPONSE_FLAGS%".to_owned()),
        ("duration", "%DURATION%".to_owned()),
        ("user_agent", "%REQ(USER-AGENT)%".to_owned()),
        ("request_id", "%REQ(X-REQUEST-ID)%".to_owned()),
        ("upstream_host", "%UPSTREAM_HOST%".to_owned()),
        ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%".to_owned()),
        ("upstream_path", "%REQ_WITHOUT_QUERY(:PATH)%".to_owned()),
        ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%".to_owned()),
        ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into_iter()
    .collect();
    for name in FILTER_STATE {
        let value = format!("%FILTER_STATE(wasm.modelgate.{name}:PLAIN)%");
        format.insert(format!("modelgate_{name}"), value.into());
    }
    json!({
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": format, "formatters": [without_query()]},
        },
    })
}

fn without_query() -> Value {
    json!({
        "name": "envoy.formatter.req_without_query",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
        },
    })
}

/// The plugin as a discovery response.
pub fn plugin(module: &std::path::Path, settings: &Value, version: u64) -> Value {
    json!({"version_info": version.to_string(), "resources": [{
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": EXTENSION,
        "typed_config": {"@type": WASM, "config": {
            "name": EXTENSION,
            "failure_policy": "FAIL_RELOAD",
            "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": settings.to_string(),
            },
        }},
    }]})
}

/// Clusters as a discovery response.
pub fn clusters<'a>(clusters: impl Iterator<Item = &'a Value>, version: u64) -> Value {
    let typed = clusters.map(|config| {
        let mut config = config.clone();
        if let Some(fields) = config.as_object_mut() {
            let kind = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
            fields.insert("@type".to_owned(), kind.into());
        }
        config
    });
    json!({"version_info": version.to_string(), "resources": typed.collect::<Vec<_>>()})
}
