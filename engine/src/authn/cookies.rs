//! Takes cookies that carried tokens off a request, and leaves the others byte for byte.

use crate::request::{Edits, Request};

/// The header that carries cookies (RFC 6265 §5.4); HTTP/2 allows several lines.
const COOKIE: &[u8] = b"cookie";

/// Removes every cookie of which `goes` chooses the name; a line that held nothing else goes with it.
pub fn remove(goes: &dyn Fn(&[u8]) -> bool, request: &Request<'_>, edits: &mut Edits) {
    let is_cut = |part: &[u8]| left(part, goes) != Some(part);
    if !edits.lines(request, COOKIE).any(|line| line.split(|c| *c == b';').any(is_cut)) {
        return;
    }
    let lines: Vec<Vec<u8>> = edits.lines(request, COOKIE).map(<[u8]>::to_vec).collect();
    edits.remove(COOKIE);
    for line in lines {
        let mut rest = Vec::with_capacity(line.len());
        for (i, part) in line.split(|c| *c == b';').filter_map(|part| left(part, goes)).enumerate()
        {
            rest.extend_from_slice(if i > 0 { b";" } else { b"" });
            rest.extend_from_slice(part);
        }
        let line = without_spaces(&rest);
        if !line.is_empty() {
            edits.add(COOKIE, line);
        }
    }
}

/// What is left of a part between semicolons: what stands before a cookie that goes. Servers do not agree
/// on quotes and blanks around a name, and some begin another cookie behind a comma (RFC 2109 §4.3.4) or
/// a blank.
fn left<'p>(part: &'p [u8], goes: &dyn Fn(&[u8]) -> bool) -> Option<&'p [u8]> {
    let is_around = |c: &u8| matches!(c, b'\0'..=b' ' | b',' | b'"');
    let end = |text: &[u8]| text.iter().rposition(|c| !is_around(c)).map_or(0, |last| last + 1);
    let mut from = 0;
    for (mark, _) in part.iter().enumerate().filter(|(_, c)| **c == b'=') {
        let text = part.get(from..mark).unwrap_or_default();
        let text = text.get(..end(text)).unwrap_or_default();
        // Behind `=` stands a value, until something ends it.
        let start = text.iter().rposition(is_around).map(|last| last + 1);
        if let Some(start) = start.or((from == 0).then_some(0))
            && text.get(start..).is_some_and(goes)
        {
            let before = part.get(..from + start).unwrap_or_default();
            let before = before.strip_suffix(b"\"").unwrap_or(before);
            let blanks = before.iter().rev().take_while(|c| matches!(c, b'\0'..=b' ' | b','));
            let before = before.get(..before.len() - blanks.count()).unwrap_or_default();
            return Some(before).filter(|before| !before.is_empty());
        }
        from = mark + 1;
    }
    Some(part)
}

/// As Envoy reads cookies, and [`Request::cookie`].
fn without_spaces(part: &[u8]) -> &[u8] {
    let spaces = part.iter().take_while(|c| **c == b' ').count();
    part.get(spaces..).unwrap_or_default()
}
