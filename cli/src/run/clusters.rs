//! The clusters that a configuration names, with the names that istiod would give them, and what each leads to here.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde_json::{Value, json};

use super::settings::Settings;
use super::upstream::Upstream;

/// The cluster of everything that has none of its own.
pub const LIVE: &str = "models";

/// Lists of authorities, where systems have them.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Everything that runs beside the gateway.
#[derive(Debug)]
pub struct Servers {
    /// Of the user.
    pub upstreams: Vec<Upstream>,
    /// The built-in model, and the retrained one.
    pub models: Option<(SocketAddr, SocketAddr)>,
    /// Issuers whose keys are in files, and the server of each.
    pub jwks: Vec<(String, SocketAddr)>,
}

/// A cluster, and what people are told about it.
#[derive(Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Where it leads, or why nowhere.
    pub about: String,
    /// Whether it leads anywhere.
    pub is_reached: bool,
    /// As Envoy takes it.
    pub config: Value,
}

/// The name of the cluster for `--upstream NAME=`.
pub fn named(name: &str) -> String {
    format!("upstream {name}")
}

/// Every cluster: that of all models first, then those of `--upstream`, shadows and issuers.
pub fn all(settings: &Settings, servers: &Servers) -> Vec<Cluster> {
    let mut clusters = vec![live(servers)];
    for upstream in &servers.upstreams {
        if let Some(name) = &upstream.name {
            let about = format!("{name}: {}", upstream.address());
            clusters.push(cluster(&named(name), about, &upstream.host, upstream.port));
        }
    }
    for (shadow, name) in settings.shadows() {
        if !clusters.iter().any(|cluster| cluster.name == name) {
            clusters.push(of_shadow(shadow, name, servers));
        }
    }
    for fetched in settings.issuers() {
        if clusters.iter().any(|cluster| cluster.name == fetched.cluster) {
            continue;
        }
        let served = servers.jwks.iter().find(|(issuer, _)| issuer == fetched.issuer);
        clusters.push(match (served, by_name(servers, &[fetched.cluster])) {
            (Some((_, address)), _) => at(fetched.cluster, "keys from a file".to_owned(), *address),
            (None, Some(own)) => {
                let about = format!("keys of {}: {}", fetched.issuer, own.address());
                cluster(fetched.cluster, about, &own.host, own.port)
            }
            (None, None) => external(settings, fetched.cluster, fetched.issuer),
        });
    }
    clusters
}

fn live(servers: &Servers) -> Cluster {
    match (servers.upstreams.iter().find(|upstream| upstream.name.is_none()), servers.models) {
        (Some(own), _) => cluster(LIVE, own.address(), &own.host, own.port),
        (None, Some((live, _))) => at(
            LIVE,
            "the built-in iris model (Seldon's protocol, Open Inference Protocol)".to_owned(),
            live,
        ),
        (None, None) => unreached(LIVE, "nothing: no --upstream is for every model".to_owned()),
    }
}

fn of_shadow(shadow: &str, name: &str, servers: &Servers) -> Cluster {
    let own = by_name(servers, &[shadow, name]);
    let any = servers.upstreams.iter().find(|upstream| upstream.name.is_none());
    match (own.or(any), servers.models) {
        (Some(upstream), _) => {
            let about = format!("shadow {shadow}: {}", upstream.address());
            cluster(name, about, &upstream.host, upstream.port)
        }
        (None, Some((_, retrained))) => {
            at(name, format!("shadow {shadow}: the built-in iris model, retrained"), retrained)
        }
        (None, None) => unreached(name, format!("shadow {shadow}: nothing")),
    }
}

fn by_name<'s>(servers: &'s Servers, names: &[&str]) -> Option<&'s Upstream> {
    let is_it = |upstream: &&Upstream| upstream.name.as_deref().is_some_and(|n| names.contains(&n));
    servers.upstreams.iter().find(is_it)
}

/// An issuer's server, by the ServiceEntry and DestinationRule for it, as istiod reads them.
fn external(settings: &Settings, name: &str, issuer: &str) -> Cluster {
    let nowhere = |why: String| unreached(name, format!("keys of {issuer}: not reached: {why}"));
    let mut parts = name.split('|');
    let (Some("outbound"), Some(Ok(port)), Some(_), Some(host), None) = (
        parts.next(),
        parts.next().map(str::parse::<u64>),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return nowhere("it has no name of istiod's; give --jwks".to_owned());
    };
    let Some(entry) = settings.service_entry(host) else {
        return nowhere(format!(
            "no ServiceEntry in the file has the host {host}; add one, or give --jwks"
        ));
    };
    let Some((address, target)) = endpoint(entry, host, port) else {
        return nowhere(format!("the ServiceEntry for {host} has no port {port}"));
    };
    let tls = settings.destination_rule(host).and_then(|rule| {
        let by_port = rule.pointer("/trafficPolicy/portLevelSettings").and_then(Value::as_array);
        let is_it = |one: &&Value| one.pointer("/port/number") == Some(&port.into());
        let own = by_port.and_then(|list| list.iter().find(is_it)?.get("tls"));
        own.or_else(|| rule.pointer("/trafficPolicy/tls"))
    });
    let mode = tls.and_then(|tls| tls.get("mode")?.as_str()).unwrap_or("DISABLE");
    let about = format!("keys of {issuer}: {address}:{target}, TLS {mode}");
    let mut cluster = cluster(name, about, address, target);
    match (mode, tls) {
        ("DISABLE", _) | (_, None) => cluster,
        ("SIMPLE", Some(tls)) => match transport_socket(tls, host) {
            Ok(socket) => {
                if let Some(fields) = cluster.config.as_object_mut() {
                    fields.insert("transport_socket".to_owned(), socket);
                }
                cluster
            }
            Err(why) => nowhere(why),
        },
        (other, _) => {
            nowhere(format!("its TLS mode is {other}, and only SIMPLE is spoken here; give --jwks"))
        }
    }
}

/// Address and port of the first endpoint, or of the host.
fn endpoint<'a>(entry: &'a Value, host: &'a str, port: u64) -> Option<(&'a str, u16)> {
    let number = |port: &Value, name: &str| port.get(name).and_then(Value::as_u64);
    let ports = entry.get("ports")?.as_array()?;
    let declared = ports.iter().find(|one| number(one, "number") == Some(port))?;
    let endpoint = entry.pointer("/endpoints/0");
    let address = endpoint.and_then(|one| one.get("address")?.as_str()).unwrap_or(host);
    let name = declared.get("name").and_then(Value::as_str).unwrap_or_default();
    let of_endpoint = endpoint.and_then(|one| one.get("ports")?.get(name)?.as_u64());
    let target = of_endpoint.or_else(|| number(declared, "targetPort")).unwrap_or(port);
    Some((address, u16::try_from(target).ok()?))
}

/// TLS as a DestinationRule says it. What is signed by an authority in a secret of the cluster is verified by this
/// machine's.
fn transport_socket(tls: &Value, host: &str) -> Result<Value, String> {
    let text = |name: &str| tls.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let sni = text("sni").unwrap_or(host);
    let authorities = match text("caCertificates").filter(|file| *file != "system") {
        Some(file) if Path::new(file).is_file() => file.to_owned(),
        Some(file) => return Err(format!("caCertificates {file} is not on this machine")),
        None => {
            let own = std::env::var("SSL_CERT_FILE").ok();
            let mut known = own.into_iter().chain(AUTHORITIES.map(str::to_owned));
            known
                .find(|file| Path::new(file).is_file())
                .ok_or("this machine has no list of authorities: set SSL_CERT_FILE")?
        }
    };
    let names =
        tls.get("subjectAltNames").and_then(Value::as_array).filter(|names| !names.is_empty());
    let names: Vec<&str> = match names {
        Some(names) => names.iter().filter_map(Value::as_str).collect(),
        None => vec![sni],
    };
    let san = |name: &&str| json!({"san_type": "DNS", "matcher": {"exact": name}});
    Ok(json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": sni,
            "common_tls_context": {"validation_context": {
                "trusted_ca": {"filename": authorities},
                "match_typed_subject_alt_names": names.iter().map(san).collect::<Vec<_>>(),
            }},
        },
    }))
}

fn at(name: &str, about: String, address: SocketAddr) -> Cluster {
    cluster(name, about, &address.ip().to_string(), address.port())
}

fn cluster(name: &str, about: String, host: &str, port: u16) -> Cluster {
    let is_address = host.parse::<IpAddr>().is_ok();
    let address = json!({"socket_address": {"address": host, "port_value": port}});
    let config = json!({
        "name": name,
        "type": if is_address { "STATIC" } else { "STRICT_DNS" },
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                // gRPC comes and goes by HTTP/2, everything else by HTTP/1.1.
                "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
            },
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    });
    Cluster { name: name.to_owned(), about, is_reached: true, config }
}

fn unreached(name: &str, about: String) -> Cluster {
    let config = json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name},
    });
    Cluster { name: name.to_owned(), about, is_reached: false, config }
}
