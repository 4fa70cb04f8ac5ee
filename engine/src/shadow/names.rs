//! Header names: which of them never reach a shadow.

/// A header line of its own: name and value.
pub type Line = (Box<[u8]>, Box<[u8]>);

/// Whether a copy carries the header of the request by itself. All else stays with the live model,
/// unless `headers.keep` names it: nobody knows every header by which credentials travel.
pub fn is_carried(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        // What the body is, and what the answer may be.
        b"accept",
        b"accept-language",
        b"content-encoding",
        b"content-language",
        b"content-type",
        // The length of the JSON before binary tensors (Open Inference, binary data extension).
        b"inference-header-content-length",
        // The attributes that each CloudEvent has (its binding to HTTP, §3.1), which KServe reads.
        b"ce-id",
        b"ce-source",
        b"ce-specversion",
        b"ce-type",
        // gRPC over HTTP/2, "Requests".
        b"grpc-encoding",
        b"grpc-timeout",
        // By these the logs and traces of both models can be joined: W3C Trace Context without its
        // baggage, which may hold anything, and B3.
        b"b3",
        b"grpc-trace-bin",
        b"seldon-puid",
        b"traceparent",
        b"tracestate",
        b"x-b3-flags",
        b"x-b3-parentspanid",
        b"x-b3-sampled",
        b"x-b3-spanid",
        b"x-b3-traceid",
        b"x-request-id",
        // What chooses the model, where the shadow's cluster is a mesh of them.
        b"namespace",
        b"seldon",
        b"seldon-model",
        b"x-seldon-route",
    ];
    NAMES.contains(&name)
}

/// Whether no copy carries the header of the request, whatever the settings say. Names folded.
///
/// Credentials and identities of the caller, of peers and of this proxy (`referer` and what proxies
/// before this one write of the original address are addresses, and a query may carry a token); what
/// belongs to one connection only (RFC 9110 §7.6.1); and what is set anew for the copy.
pub fn never_copied(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"accept-encoding",
        AUTHORIZATION,
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

/// The caller's never reaches a shadow; one of its own may be set.
pub const AUTHORIZATION: &[u8] = b"authorization";

/// Whether a header is likely to carry a secret. Names folded.
pub fn is_secret(name: &[u8]) -> bool {
    let words = ["auth", "cookie", "key", "pass", "secret", "token"];
    let name = std::str::from_utf8(name).unwrap_or_default();
    words.iter().any(|word| name.contains(word))
}

/// Marks a copy ([`super::seal`]); a true mark on an incoming request turns shadowing off.
pub const MARK: &[u8] = b"x-modelgate-shadow";

/// A field value that any server takes: visible ASCII, spaces inside.
pub fn is_value(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|c| c == b' ' || c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::folded;

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
            assert!(
                !never_copied(&folded(name.as_bytes())) && is_carried(name.as_bytes()),
                "{name}"
            );
        }
    }
}
