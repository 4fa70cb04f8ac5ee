//! Takes cookies that carried tokens off a request, and leaves the others byte for byte.

use crate::request::{Edits, Request};

/// The header that carries cookies (RFC 6265 §5.4); HTTP/2 allows several lines.
const COOKIE: &[u8] = b"cookie";

/// Removes every cookie with one of these names; a line that held nothing else goes with it.
pub fn remove(names: &[&[u8]], request: &Request<'_>, edits: &mut Edits) {
    if names.is_empty() {
        return;
    }
    let is_token = |part: &[u8]| {
        let part = without_spaces(part);
        names.iter().any(|n| part.strip_prefix(*n).is_some_and(|rest| rest.starts_with(b"=")))
    };
    let parts = |line: &[u8]| line.split(|c| *c == b';').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let lines: Vec<Vec<Vec<u8>>> = edits.lines(request, COOKIE).map(parts).collect();
    if !lines.iter().flatten().any(|part| is_token(part)) {
        return;
    }
    edits.remove(COOKIE);
    for mut line in lines {
        line.retain(|part| !is_token(part));
        let line = line.join(&b';');
        let line = without_spaces(&line);
        if !line.is_empty() {
            edits.add(COOKIE, line);
        }
    }
}

/// As Envoy reads cookies, and [`Request::cookie`].
fn without_spaces(part: &[u8]) -> &[u8] {
    let spaces = part.iter().take_while(|c| **c == b' ').count();
    part.get(spaces..).unwrap_or_default()
}
