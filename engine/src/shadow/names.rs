//! Header names: which of them never reach a shadow.

use crate::header::Classes;

/// A header line of its own: name and value.
pub type Line = (Box<[u8]>, Box<[u8]>);

/// Whether a copy carries the header of the request by itself: in this very spelling.
pub fn is_carried(name: &[u8]) -> bool {
    Classes::of(name).any(Classes::CARRIED)
}

/// Whether no copy carries the header of the request, whatever the settings say. Names folded.
pub fn never_copied(name: &[u8]) -> bool {
    Classes::of(name).any(Classes::NOT_COPIED)
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
