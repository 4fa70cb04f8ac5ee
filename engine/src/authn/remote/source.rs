//! Whence a key set comes: `jwksUri` and `jwksCluster`, and the request that is sent.

use crate::cluster;
use crate::config::types::JwtRule;
use crate::config::{Errors, Path, Warning};
use crate::reasons::reasons;
use crate::request::Header;

/// The longest URI and the longest name of a cluster, in bytes.
const MAX_LENGTH: usize = 2048;

/// RFC 7517 §8.5 has a type of its own for key sets. Some issuers serve nothing else, others have
/// not heard of it.
const ACCEPT: &[u8] = b"application/jwk-set+json, application/json";

/// Some servers refuse who does not say what they are.
const USER_AGENT: &[u8] = concat!("modelgate/", env!("CARGO_PKG_VERSION")).as_bytes();

reasons! {
    /// Why a set cannot be fetched from a URI.
    enum UriError {
        NotHttp = "is not a URL of http or https",
        NotPlain = "is too long, or holds spaces or characters that are not ASCII",
        Fragment = "has a fragment, which is never sent",
        User = "holds a user or a password",
        NoHost = "has no host",
    }
}

/// Whence a set comes. Two rules with the same have one set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    cluster: Box<str>,
    https: bool,
    /// Host, and port where the URI has one.
    authority: Box<str>,
    /// Path and query.
    path: Box<str>,
}

impl Source {
    /// The source of a rule that has a `jwksUri`; `None` after an error was recorded.
    pub fn compile(rule: &JwtRule, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let (uri, cluster) = (rule.jwks_uri.as_deref().unwrap_or_default(), &rule.jwks_cluster);
        let parts = parts(uri);
        if let Err(error) = parts {
            // Not shown: what makes it wrong may be a password.
            let fix =
                "http:// or https://, a host and a path, as https://idp.example.com/jwks.json";
            errors.add(&path.field("jwksUri"), error.as_str(), fix);
        }
        let place = path.field("jwksCluster");
        let fix = "the Envoy cluster that reaches jwksUri, as outbound|443||idp.example.com";
        let is_name = |name: &str| is_plain(name) && name.len() <= MAX_LENGTH;
        match cluster.as_deref() {
            None => errors.add(&place, "is missing beside jwksUri", fix),
            Some(name) if !is_name(name) => {
                errors.add_value(&place, "is not the name of a cluster", name, fix);
            }
            Some(name) => {
                let (https, authority, path_and_query) = parts.ok()?;
                if !https {
                    errors.warn(
                        Warning::PlainHttp,
                        &path.field("jwksUri"),
                        "is not https",
                        "whoever is on the way can put keys of their own in, unless the cluster's \
                         TLS keeps them out",
                    );
                }
                // In the brackets of an IPv6 address there are colons, too.
                let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
                let (host, port) = port.unwrap_or((authority, "443"));
                if https && cluster::is_other(name, host, port.parse().unwrap_or_default()) {
                    let what = "looks as if it is not the cluster of jwksUri: another host or port";
                    let fix = "the cluster of that host and port, if this one does not check its certificate";
                    errors.warn_value(Warning::OtherCluster, &place, what, name, fix);
                }
                return Some(Self {
                    cluster: name.into(),
                    https,
                    authority: authority.into(),
                    path: path_and_query,
                });
            }
        }
        None
    }

    /// The host, and the port where the URI has one.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The cluster that the request is sent to.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The header lines of the request.
    pub fn request(&self) -> [Header<'_>; 6] {
        let scheme: &[u8] = if self.https { b"https" } else { b"http" };
        [
            (b":method", b"GET"),
            (b":scheme", scheme),
            (b":authority", self.authority.as_bytes()),
            (b":path", self.path.as_bytes()),
            (b"accept", ACCEPT),
            (b"user-agent", USER_AGENT),
        ]
    }
}

/// Whether it is https, the authority, and path with query (RFC 3986 §3), or what is wrong.
fn parts(uri: &str) -> Result<(bool, &str, Box<str>), UriError> {
    let (https, rest) = match (uri.strip_prefix("https://"), uri.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err(UriError::NotHttp),
    };
    if !is_plain(uri) || uri.len() > MAX_LENGTH {
        return Err(UriError::NotPlain);
    }
    if uri.contains('#') {
        return Err(UriError::Fragment);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(UriError::User);
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(UriError::NoHost);
    }
    let path = if path.starts_with('/') { path.into() } else { format!("/{path}").into() };
    Ok((https, authority, path))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        for (uri, want) in [
            ("https://idp/keys?v=1", Ok((true, "idp", "/keys?v=1"))),
            ("http://idp:8080", Ok((false, "idp:8080", "/"))),
            ("https://[::1]/k", Ok((true, "[::1]", "/k"))),
            ("https://idp?x=/", Ok((true, "idp", "/?x=/"))),
            ("", Err(UriError::NotHttp)),
            ("ftp://idp/", Err(UriError::NotHttp)),
            ("HTTPS://idp/", Err(UriError::NotHttp)),
            ("https://", Err(UriError::NoHost)),
            ("https:///keys", Err(UriError::NoHost)),
            ("https://:443/keys", Err(UriError::NoHost)),
            ("https://me:secret@idp/", Err(UriError::User)),
            ("https://idp/#a", Err(UriError::Fragment)),
        ] {
            let got = parts(uri);
            let got =
                got.as_ref().map(|(https, host, path)| (*https, *host, &**path)).map_err(|e| *e);
            assert_eq!(got, want, "{uri}");
        }
        for uri in ["https://idp/a b", "https://idp/\r\nx: y", "https://idp/é"] {
            assert_eq!(parts(uri), Err(UriError::NotPlain), "{uri}");
        }
        let long = format!("https://idp/{}", "x".repeat(MAX_LENGTH));
        assert_eq!(parts(&long), Err(UriError::NotPlain));
    }
}
