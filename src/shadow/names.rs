//! Header names: which of them never reach a shadow.

use std::borrow::Cow;

/// A header line of its own: name and value.
pub type Line = (Box<[u8]>, Box<[u8]>);

/// A name as WSGI servers see it: lower case, `_` and `-` the same. A credential spelt with the
/// other one is a credential to them.
pub fn folded(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(|c| *c == b'_' || c.is_ascii_uppercase()) {
        let fold = |c: &u8| if *c == b'_' { b'-' } else { c.to_ascii_lowercase() };
        Cow::Owned(name.iter().map(fold).collect())
    } else {
        Cow::Borrowed(name)
    }
}

/// Whether no copy carries the header of the request, whatever the settings say. Names folded.
///
/// Credentials and identities of the caller, of peers and of this proxy (`referer` and what proxies
/// before this one write of the original address are addresses, and a query may carry a token); what belongs to one connection only (RFC 9110 §7.6.1); and what is
/// set anew for the copy.
pub fn never_copied(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"accept-encoding",
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"expect",
        b"grpc-accept-encoding",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"referer",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-client-cert",
        b"x-forwarded-uri",
        b"x-original-uri",
        b"x-original-url",
        b"x-rewrite-url",
        MARK,
    ];
    name.starts_with(b"x-envoy-") || name.starts_with(b":") || NAMES.contains(&name)
}

/// Marks a copy, with the shadow's name; on an incoming request it turns shadowing off.
pub const MARK: &[u8] = b"x-modelgate-shadow";

/// A field name (RFC 9110 §5.1).
pub fn is_name(name: &str) -> bool {
    let symbol = |c: u8| b"!#$%&'*+-.^_`|~".contains(&c);
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || symbol(c))
}

/// A field value that any server takes: visible ASCII, spaces inside.
pub fn is_value(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|c| c == b' ' || c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_known_in_any_spelling() {
        for name in [
            "authorization",
            "Proxy_Authorization",
            "cookie",
            "x_forwarded_client_cert",
            "x-envoy-peer-metadata",
            "x_envoy_original_path",
            "Referer",
            "X-Original_URL",
            ":path",
            "x-modelgate_shadow",
        ] {
            assert!(never_copied(&folded(name.as_bytes())), "{name}");
        }
        for name in ["content-type", "x-request-id", "seldon-puid", "traceparent"] {
            assert!(!never_copied(&folded(name.as_bytes())), "{name}");
        }
    }
}
