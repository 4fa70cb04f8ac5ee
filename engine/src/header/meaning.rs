//! Headers that mean something to others than the model.

/// Names, and after them starts of names, by which proxies and servers read a body, find a route or an address, or
/// speak to the next hop.
const NAMES: &str = "accept-encoding expect forwarded grpc-encoding grpc-timeout http2-settings \
    inference-header-content-length proxy-connection range true-client-ip x-method-override x-real-ip x-rewrite-url";
const STARTS: &str = "content- x-forwarded- x-http-method x-original-";

/// How names end that say who calls, as proxies that log people in write them: `x-forwarded-user`.
const OF_CALLERS: &str = "user email groups username token";

/// Whether a header has a meaning of its own, so that a claim in it, or a token, is taken for something else. The name
/// is folded: in lower case, with `-` for `_`. Of headers that no setting may write [`crate::sanitize`] knows more.
pub fn has_meaning(folded: &[u8]) -> bool {
    let is_of = |list: &str, fits: &dyn Fn(&[u8]) -> bool| {
        list.split(' ').any(|text| fits(text.as_bytes()))
    };
    is_of(NAMES, &|name| folded == name)
        || is_of(STARTS, &|start| folded.starts_with(start))
            && !is_of(OF_CALLERS, &|end| folded.ends_with(end))
}
