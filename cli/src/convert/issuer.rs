//! The gateway's way to an issuer's keys: the cluster of `jwksUri`, and the ServiceEntry and DestinationRule that make it.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::document::Document;
use super::gateway::Gateway;
use super::part::{Resource, Whence};

/// Where keys are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The host as Istio's registry has it.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Whether it is a service of the mesh, which needs no ServiceEntry.
    pub in_mesh: bool,
}

impl Server {
    /// Of a `jwksUri`. A host of one label is a service beside istiod, which fetches in Istio.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for a remark.
    pub fn of(uri: &str, gateway: &Gateway) -> Result<Self, String> {
        let (tls, rest) = match uri.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err("is neither http:// nor https://".to_owned()),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') || authority.starts_with('[') {
            return Err("names its host in a way that no ServiceEntry can".to_owned());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (authority, Some(if tls { 443 } else { 80 })),
        };
        let Some(port) = port.filter(|port| *port > 0) else {
            return Err("has no port that is one".to_owned());
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if host.is_empty() || !host.chars().all(is_name) {
            return Err("has no host that is one".to_owned());
        }
        if host.parse::<IpAddr>().is_ok() {
            return Err("names an address: no certificate is checked without a name, and no ServiceEntry has one".to_owned());
        }
        let local = "cluster.local";
        let (host, in_mesh) = if host.ends_with(&format!(".svc.{local}")) {
            (host, true)
        } else if host.ends_with(".svc") {
            (format!("{host}.{local}"), true)
        } else if !host.contains('.') {
            (format!("{host}.{}.svc.{local}", gateway.root), true)
        } else {
            (host, false)
        };
        Ok(Self { host, port, tls, in_mesh })
    }

    /// The cluster that istiod makes of it.
    pub fn cluster(&self) -> String {
        format!("outbound|{}||{}", self.port, self.host)
    }

    /// What has to be there besides, where the objects that were read do not have it.
    pub fn resources(
        &self,
        gateway: &Gateway,
        read: &[Document],
        whence: &Whence,
    ) -> Vec<Resource> {
        let mut resources = Vec::new();
        let name = format!("jwks-{}", self.host.replace('.', "-"));
        // Names of objects have 253 characters at most, and hosts too.
        let name: String = name.chars().take(240).collect();
        let metadata = json!({"name": name, "namespace": gateway.namespace});
        if !self.in_mesh && !read.iter().any(|document| self.is_entry(document)) {
            let (port, protocol) = if self.tls { ("https", "HTTPS") } else { ("http", "HTTP") };
            resources.push(Resource {
                purpose: format!("The gateway's way to the keys at {}.", self.host),
                whence: vec![whence.clone()],
                value: json!({
                    "apiVersion": "networking.istio.io/v1",
                    "kind": "ServiceEntry",
                    "metadata": metadata,
                    "spec": {
                        "hosts": [self.host],
                        "exportTo": ["."],
                        "location": "MESH_EXTERNAL",
                        "resolution": "DNS",
                        "ports": [{"number": self.port, "name": port, "protocol": protocol}],
                    },
                }),
            });
        }
        if self.tls && !read.iter().any(|document| self.is_rule(document)) {
            let purpose = "Its TLS is verified, against the authorities of the gateway's operating system: where \
                           another one signs, `credentialName` names a secret beside the gateway with its ca.crt.";
            let mut spec = json!({
                "host": self.host,
                "exportTo": ["."],
                "trafficPolicy": {"tls": {
                    "mode": "SIMPLE",
                    "sni": self.host,
                    "subjectAltNames": [self.host],
                    "caCertificates": "system",
                }},
            });
            if let ("selector", selector) = gateway.selector()
                && let Some(spec) = spec.as_object_mut()
            {
                spec.insert("workloadSelector".to_owned(), selector);
            }
            resources.push(Resource {
                purpose: purpose.to_owned(),
                whence: vec![whence.clone()],
                value: json!({
                    "apiVersion": "networking.istio.io/v1",
                    "kind": "DestinationRule",
                    "metadata": metadata,
                    "spec": spec,
                }),
            });
        }
        resources
    }

    fn is_entry(&self, document: &Document) -> bool {
        let hosts = document.get("/spec/hosts").as_array();
        let mut ports = document.get("/spec/ports").as_array().into_iter().flatten();
        document.kind == "ServiceEntry"
            && hosts.is_some_and(|hosts| hosts.iter().any(|host| host.as_str() == Some(&self.host)))
            && ports
                .any(|port| port.get("number").and_then(Value::as_u64) == Some(self.port.into()))
    }

    fn is_rule(&self, document: &Document) -> bool {
        document.kind == "DestinationRule"
            && document.text("/spec/host") == Some(&self.host)
            && document.text("/spec/trafficPolicy/tls/mode").is_some_and(|mode| mode != "DISABLE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_has_its_cluster() {
        let gateway = Gateway {
            labels: Vec::new(),
            namespace: "gateways".to_owned(),
            root: "istio-system".to_owned(),
            principal: None,
        };
        for (uri, wanted) in [
            ("https://idp.example.com/jwks.json", Ok("outbound|443||idp.example.com")),
            ("https://IDP.example.com.", Ok("outbound|443||idp.example.com")),
            ("https://idp.example.com:8443?x", Ok("outbound|8443||idp.example.com")),
            ("http://dex.auth.svc:5556/keys", Ok("outbound|5556||dex.auth.svc.cluster.local")),
            ("http://dex.auth.svc.cluster.local", Ok("outbound|80||dex.auth.svc.cluster.local")),
            ("http://keys/jwks", Ok("outbound|80||keys.istio-system.svc.cluster.local")),
            ("ftp://idp.example.com", Err("neither")),
            ("https://user@idp.example.com", Err("in a way")),
            ("https://[::1]/", Err("in a way")),
            ("https://192.0.2.1/", Err("address")),
            ("https://idp.example.com:0/", Err("port")),
            ("https://idp.example.com:x/", Err("port")),
            ("https:///jwks", Err("host")),
            ("https://a|b/", Err("host")),
        ] {
            let made = Server::of(uri, &gateway).map(|server| server.cluster());
            match wanted {
                Ok(cluster) => assert_eq!(made.as_deref(), Ok(cluster), "{uri}"),
                Err(part) => assert!(made.is_err_and(|why| why.contains(part)), "{uri}"),
            }
        }
    }
}
