//! Paths in a territory: the spellings that are refused, and the one decoding that is read.
//!
//! Envoy chooses the route by the path as it is written; the server behind routes on the decoded one.
//! Whatever the two could read differently is refused.

use std::borrow::Cow;

use super::escape::{decode_lenient, decode_strict};
use super::segments::{has_dot_segment, slashes};
use crate::refusal::Refusal;

const NOT_ABSOLUTE: Refusal = Refusal::new("the path does not begin with /");
const MALFORMED: Refusal = Refusal::new("the path holds % without two hexadecimal digits");
const SEPARATOR: Refusal = Refusal::new("the path holds an encoded / or \\, or a \\");
const PERCENT: Refusal = Refusal::new("the path holds an encoded %");
const CONTROL: Refusal = Refusal::new("the path holds a control character");
const PARAMETER: Refusal = Refusal::new("the path holds ;");
const EMPTY: Refusal = Refusal::new("the path holds an empty segment");
const DOTS: Refusal = Refusal::new("the path holds a . or .. segment");

/// A path that every server reads alike.
#[derive(Debug)]
pub(crate) struct Plain<'a> {
    raw: &'a [u8],
    decoded: Cow<'a, [u8]>,
}

impl<'a> Plain<'a> {
    /// Checks a path without query. One trailing `/` is dropped.
    pub(crate) fn new(path: &'a [u8]) -> Result<Self, Refusal> {
        let raw = path.strip_prefix(b"/").ok_or(NOT_ABSOLUTE)?;
        let raw = raw.strip_suffix(b"/").unwrap_or(raw);
        if is_ordinary(path) {
            return Ok(Self { raw, decoded: Cow::Borrowed(raw) });
        }
        let decoded = decode_strict(raw).ok_or(MALFORMED)?;
        let hidden = matches!(decoded, Cow::Owned(_));
        for &byte in decoded.iter() {
            match byte {
                0..=0x1f | 0x7f => return Err(CONTROL),
                b';' => return Err(PARAMETER),
                b'\\' => return Err(SEPARATOR),
                b'%' => return Err(PERCENT),
                _ => {}
            }
        }
        // U+0080 to U+009F are control characters too.
        if decoded.windows(2).any(|pair| matches!(pair, [0xc2, 0x80..=0x9f])) {
            return Err(CONTROL);
        }
        if hidden && slashes(raw) != slashes(&decoded) {
            return Err(SEPARATOR);
        }
        if path.windows(2).any(|pair| pair == b"//") {
            return Err(EMPTY);
        }
        if has_dot_segment(&decoded) {
            return Err(DOTS);
        }
        Ok(Self { raw, decoded })
    }

    /// As it was written, without leading and trailing `/`.
    pub(crate) fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Decoded once, without leading and trailing `/`. Has as many segments as [`Plain::raw`].
    pub(crate) fn decoded(&self) -> &[u8] {
        &self.decoded
    }
}

/// Whether a path is plain at first sight, as nearly all are: ASCII that can be read in one way only,
/// without empty segments and without any that begins with a dot. Says no to some that are plain.
pub(crate) fn is_ordinary(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().all(|&byte| {
        let fits = match byte {
            b'/' | b'.' => before != b'/',
            b'%' | b';' | b'\\' => false,
            _ => matches!(byte, b'!'..=b'~'),
        };
        before = byte;
        fits
    })
}

/// What careless servers could take the path for. Nothing for a path that has but one reading.
pub(crate) fn other_readings(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    undisguised(path).into_iter().flatten()
}

/// The path decoded, where a `%` that begins no escape stays; and the same with `\` for `/`, parameters
/// dropped, empty and dot segments resolved, and a `/` before it.
fn undisguised(path: &[u8]) -> Option<[Vec<u8>; 2]> {
    let suspicious = !path.starts_with(b"/")
        || path.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
        || path.iter().any(|c| matches!(c, b'%' | b'\\' | b';'));
    if !suspicious {
        return None;
    }
    let decoded: Vec<u8> = decode_lenient(path).collect();
    let mut segments: Vec<&[u8]> = Vec::new();
    for name in loose_names(&decoded) {
        match name {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    let mut plain = Vec::with_capacity(decoded.len().saturating_add(1));
    for segment in segments {
        plain.push(b'/');
        plain.extend_from_slice(segment);
    }
    Some([decoded, plain])
}

/// The segments of a decoded path for servers that split at `\` as well, and drop `;parameters`.
pub(super) fn loose_names(decoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    let split = decoded.split(|c| matches!(c, b'/' | b'\\'));
    split.map(|segment| segment.split(|c| *c == b';').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(path: &str) -> Result<String, Refusal> {
        let plain = Plain::new(path.as_bytes())?;
        Ok(String::from_utf8_lossy(plain.decoded()).into_owned())
    }

    #[test]
    fn plain_paths_are_decoded_once() {
        for (path, decoded) in [
            ("/", ""),
            ("/a", "a"),
            ("/a/", "a"),
            ("/a/b.c/..d/...", "a/b.c/..d/..."),
            ("/%61/%C3%A9", "a/é"),
            ("/a:b@c,d=e+f!$&'()*~", "a:b@c,d=e+f!$&'()*~"),
            ("/a%20b", "a b"),
            ("/a%3Fb%23", "a?b#"),
        ] {
            assert_eq!(plain(path).as_deref(), Ok(decoded), "{path}");
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for (path, refusal) in [
            ("", NOT_ABSOLUTE),
            ("*", NOT_ABSOLUTE),
            ("a/b", NOT_ABSOLUTE),
            ("/a%", MALFORMED),
            ("/a%2", MALFORMED),
            ("/a%2/b", MALFORMED),
            ("/a%zz", MALFORMED),
            ("/a%+1", MALFORMED),
            ("/a%2Fb", SEPARATOR),
            ("/a%2fb", SEPARATOR),
            ("/a%5Cb", SEPARATOR),
            ("/a%5cb", SEPARATOR),
            ("/a\\b", SEPARATOR),
            ("/a%25", PERCENT),
            ("/a%252Fb", PERCENT),
            ("/a%00", CONTROL),
            ("/a%0ab", CONTROL),
            ("/a%1f", CONTROL),
            ("/a%7F", CONTROL),
            ("/a\u{7f}", CONTROL),
            ("/a\tb", CONTROL),
            ("/a%C2%85", CONTROL),
            ("/a\u{85}", CONTROL),
            ("/a;b", PARAMETER),
            ("/a%3bb", PARAMETER),
            ("/a/..;/b", PARAMETER),
            ("//", EMPTY),
            ("//a", EMPTY),
            ("/a//b", EMPTY),
            ("/a//", EMPTY),
            ("/.", DOTS),
            ("/..", DOTS),
            ("/./a", DOTS),
            ("/a/../b", DOTS),
            ("/a/..", DOTS),
            ("/a/../", DOTS),
            ("/a/%2e%2E/b", DOTS),
            ("/a/.%2e", DOTS),
            ("/a/%2e", DOTS),
        ] {
            assert_eq!(plain(path), Err(refusal), "{path:?}");
        }
    }

    #[test]
    fn disguises_come_off() {
        for (path, plain) in [
            ("//seldon/a", Some("/seldon/a")),
            ("/%73eldon/a", Some("/seldon/a")),
            ("/x/..;/seldon", Some("/seldon")),
            ("\\seldon\\a", Some("/seldon/a")),
            ("/seldon%2Fa", Some("/seldon/a")),
            ("/%73eldon/%zz/%4", Some("/seldon/%zz/%4")),
            ("seldon/a", Some("/seldon/a")),
            ("/a/../../b", Some("/b")),
            ("/seldon/a", None),
        ] {
            let found = other_readings(path.as_bytes()).last();
            assert_eq!(found.as_deref(), plain.map(str::as_bytes), "{path}");
        }
        let decoded = other_readings(b"/seldon%2Fa/%2e%2E/%2e").next();
        assert_eq!(decoded.as_deref(), Some(&b"/seldon/a/../."[..]));
    }

    proptest! {
        #[test]
        fn an_ordinary_path_is_plain(path in "(/([a-z.%;\\\\~!]|[^a]|%[0-9a-fA-F]{2}){0,3}){1,4}") {
            if is_ordinary(path.as_bytes()) {
                let inner = path.strip_prefix('/').unwrap();
                let inner = inner.strip_suffix('/').unwrap_or(inner).as_bytes();
                prop_assert_eq!(decode_strict(inner), Some(Cow::Borrowed(inner)));
                prop_assert!(path.bytes().all(|c| c.is_ascii_graphic() && c != b';' && c != b'\\'));
                prop_assert!(!path.contains("//") && !has_dot_segment(inner));
                prop_assert_eq!(other_readings(path.as_bytes()).next(), None);
            }
        }

        #[test]
        fn a_plain_path_keeps_its_segments(path in "(/([a-z.%;]|%[0-9a-fA-F]{2}){0,4}){1,6}") {
            if let Ok(plain) = Plain::new(path.as_bytes()) {
                let count = |path: &[u8]| path.split(|c| *c == b'/').count();
                prop_assert_eq!(count(plain.raw()), count(plain.decoded()));
                prop_assert!(!has_dot_segment(plain.decoded()));
                // Nothing is left for a second decoding to find.
                prop_assert!(!plain.decoded().contains(&b'%'));
            }
        }

        #[test]
        fn no_bytes_panic(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Plain::new(&path);
            let _ = other_readings(&path).count();
        }
    }
}
