//! A request as a gateway would get it: header lines as Envoy hands them on, and what it knows of the connection.

use std::net::IpAddr;
use std::rc::Rc;

use anyhow::{Result, ensure};
use modelgate_engine::request::{Header, Host, Peer};

/// Headers of which Envoy makes one line, with a comma between the values, before a filter sees them.
pub const JOINED: &[&str] = &[
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-none-match",
    "origin",
    "pragma",
    "referer",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-request-id",
];

/// A request, before it has the form that a proxy gives it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `:method`; empty: `GET`, or `POST` with a body.
    pub method: String,
    /// `:path`, with query.
    pub path: String,
    /// `:authority`.
    pub host: String,
    /// `:scheme`; empty: `https`.
    pub scheme: String,
    /// Every other line, in order.
    pub headers: Vec<(String, String)>,
    /// The body, if it is known.
    pub body: Option<Vec<u8>>,
    /// What is known of the connection.
    pub connection: Connection,
    /// When it comes, in nanoseconds since the Unix epoch.
    pub at: u64,
}

/// What a gateway knows of a connection. What is not given cannot be had.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The peer's address, where a proxy stands between.
    pub peer_ip: Option<IpAddr>,
    /// The listener's address.
    pub destination_ip: Option<IpAddr>,
    /// The listener's port.
    pub port: Option<u16>,
    /// The server name of the TLS handshake.
    pub sni: Option<String>,
    /// The client certificate's URI, as `spiffe://cluster.local/ns/prod/sa/web`.
    pub peer: Option<String>,
    /// Whether the proxy is a sidecar and the request comes to its workload.
    pub inbound: bool,
}

impl Asked {
    /// The header lines, pseudo-headers first, names in lower case.
    ///
    /// # Errors
    ///
    /// There is something in it that no proxy takes: no path, or line feeds.
    pub fn lines(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let method = self.method().to_owned();
        let (scheme, authority, path) = self.address();
        let mut lines = vec![
            (":method".to_owned(), method),
            (":scheme".to_owned(), scheme),
            (":authority".to_owned(), authority),
            (":path".to_owned(), path),
        ];
        for (name, value) in &self.headers {
            let name = name.trim().to_ascii_lowercase();
            let value = value.trim_matches([' ', '\t']).to_owned();
            ensure!(!name.is_empty(), "a header has no name");
            match name.as_str() {
                "host" => lines.retain(|(n, _)| n != ":authority"),
                pseudo if pseudo.starts_with(':') => lines.retain(|(n, _)| *n != pseudo),
                _ => {}
            }
            let name = if name == "host" { ":authority".to_owned() } else { name };
            let before = lines.iter_mut().find(|(n, _)| *n == name);
            match before.filter(|_| JOINED.contains(&name.as_str())) {
                // An empty one adds nothing.
                Some((_, before)) if before.is_empty() => *before = value,
                Some((_, before)) if !value.is_empty() => *before = format!("{before},{value}"),
                Some(_) => {}
                None => lines.push((name, value)),
            }
        }
        for (name, value) in &lines {
            let is_control = |c: char| c.is_control() && c != '\t';
            ensure!(
                !value.contains(is_control) && !name.contains(|c: char| c.is_control() || c == ' '),
                "the header {} holds a character that no proxy takes",
                name.escape_debug()
            );
        }
        let path = lines.iter().find(|(name, _)| name == ":path").map(|(_, path)| path.as_str());
        ensure!(path.is_some_and(|path| !path.is_empty()), "there is no path: give --path /...");
        Ok(lines.into_iter().map(|(n, v)| (n.into_bytes(), v.into_bytes())).collect())
    }

    /// The method that is asked with.
    pub fn method(&self) -> &str {
        match (self.method.as_str(), &self.body) {
            ("", Some(_)) => "POST",
            ("", None) => "GET",
            (method, _) => method,
        }
    }

    /// Scheme, authority and path, of which a path in absolute form has its own.
    fn address(&self) -> (String, String, String) {
        let scheme = if self.scheme.is_empty() { "https" } else { &self.scheme };
        if let Some((scheme, rest)) = self.path.split_once("://").filter(|(scheme, _)| {
            !scheme.is_empty() && scheme.bytes().all(|c| c.is_ascii_alphanumeric())
        }) {
            let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            let slash = if path.starts_with('/') { "" } else { "/" };
            return (scheme.to_owned(), authority.to_owned(), format!("{slash}{path}"));
        }
        (scheme.to_owned(), self.host.clone(), self.path.clone())
    }
}

/// The lines as the engine takes them.
pub fn borrowed(lines: &[(Vec<u8>, Vec<u8>)]) -> Vec<Header<'_>> {
    lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}

/// A proxy that knows what the user said.
#[derive(Debug)]
pub struct Desk<'a>(pub &'a Asked);

impl Host for Desk<'_> {
    fn now(&self) -> u64 {
        self.0.at
    }

    fn is_inbound(&self) -> bool {
        self.0.connection.inbound
    }

    fn remote_ip(&self) -> Option<IpAddr> {
        self.0.connection.ip
    }

    fn peer_ip(&self) -> Option<IpAddr> {
        self.0.connection.peer_ip.or(self.0.connection.ip)
    }

    fn destination_ip(&self) -> Option<IpAddr> {
        self.0.connection.destination_ip
    }

    fn destination_port(&self) -> Option<u16> {
        self.0.connection.port
    }

    fn sni(&self) -> Option<Vec<u8>> {
        self.0.connection.sni.as_ref().map(|name| name.clone().into_bytes())
    }

    fn peer(&self) -> Option<Rc<Peer>> {
        let uri = self.0.connection.peer.as_ref()?;
        Some(Rc::new(Peer {
            uri_sans: vec![uri.clone().into_bytes()],
            all_known: true,
            ..Peer::default()
        }))
    }

    fn checks_signatures(&self) -> bool {
        false
    }
}
