//! Takes cookies that carried tokens off a request, and leaves the others byte for byte.

use crate::request::{Edits, Request};

/// The header that carries cookies (RFC 6265 §5.4); HTTP/2 allows several lines.
const COOKIE: &[u8] = b"cookie";

/// Removes every cookie of which `goes` chooses the name; a line that held nothing else goes with it.
pub fn remove(goes: &dyn Fn(&[u8]) -> bool, request: &Request<'_>, edits: &mut Edits) {
    // Servers do not agree on blanks around a name.
    let is_token = |part: &[u8]| {
        let name = part.split(|c| *c == b'=').next().filter(|name| name.len() < part.len());
        name.is_some_and(|name| goes(name.trim_ascii()))
    };
    if !edits.lines(request, COOKIE).any(|line| line.split(|c| *c == b';').any(is_token)) {
        return;
    }
    let parts = |line: &[u8]| line.split(|c| *c == b';').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let lines: Vec<Vec<Vec<u8>>> = edits.lines(request, COOKIE).map(parts).collect();
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
