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
    let rests = edits.lines(request, COOKIE).map(|line| rest(line, goes));
    let rests: Vec<Vec<u8>> = rests.filter(|rest| !rest.is_empty()).collect();
    edits.remove(COOKIE);
    for rest in rests {
        edits.add(COOKIE, rest);
    }
}

/// What is left of a line.
fn rest(line: &[u8], goes: &dyn Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut rest = Vec::with_capacity(line.len());
    for (i, part) in line.split(|c| *c == b';').filter_map(|part| left(part, goes)).enumerate() {
        // As Envoy reads cookies, and `Request::cookies`.
        let part = if i > 0 { part } else { without_spaces(part) };
        rest.extend_from_slice(if i > 0 { b";" } else { b"" });
        rest.extend_from_slice(part);
    }
    rest
}

/// What is left of a part between semicolons: what stands before a cookie that goes. Servers do not agree
/// on quotes and blanks around a name, and some begin another cookie behind a comma (RFC 2109 §4.3.4) or
/// a blank.
fn left<'p>(part: &'p [u8], goes: &dyn Fn(&[u8]) -> bool) -> Option<&'p [u8]> {
    let mut from = 0;
    for (mark, _) in part.iter().enumerate().filter(|(_, c)| **c == b'=') {
        let text = part.get(from..mark).unwrap_or_default();
        let find = |around: &dyn Fn(&u8) -> bool| start(text, from == 0, around, goes);
        let strict = find(&is_around);
        let lenient = || if text.is_ascii() { None } else { find(&is_around_for_some) };
        if let Some(start) = strict.or_else(lenient) {
            let before = part.get(..from + start).unwrap_or_default();
            let before = before.strip_suffix(b"\"").unwrap_or(before);
            let blanks = before.iter().rev().take_while(|c| matches!(c, b'\0'..=b' ' | b','));
            let before = before.get(..before.len() - blanks.count()).unwrap_or_default();
            return Some(before).filter(|before| !before.iter().all(is_around_for_some));
        }
        from = mark + 1;
    }
    Some(part)
}

/// Where the name before a `=` starts, if it is one that goes.
fn start(
    text: &[u8],
    is_first: bool,
    is_around: &dyn Fn(&u8) -> bool,
    goes: &dyn Fn(&[u8]) -> bool,
) -> Option<usize> {
    let end = text.iter().rposition(|c| !is_around(c)).map_or(0, |last| last + 1);
    let text = text.get(..end)?;
    // Behind `=` stands a value, until something ends it.
    let start = text.iter().rposition(is_around).map(|last| last + 1);
    start.or(is_first.then_some(0)).filter(|start| text.get(*start..).is_some_and(goes))
}

fn is_around(c: &u8) -> bool {
    matches!(c, b'\0'..=b' ' | b',' | b'"')
}

/// Servers that take a header for Latin-1 or UTF-8 count its blanks, too: 0x85, 0xa0, U+2003.
fn is_around_for_some(c: &u8) -> bool {
    is_around(c) || !c.is_ascii()
}

fn without_spaces(part: &[u8]) -> &[u8] {
    let spaces = part.iter().take_while(|c| **c == b' ').count();
    part.get(spaces..).unwrap_or_default()
}
