//! Parameters of a query string, found as Envoy finds them and removed without touching the others.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The query of a path, without its `?`. A fragment belongs to it, as in Envoy's own reader.
fn of(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let mark = path.iter().position(|c| *c == b'?')?;
    path.split_at_checked(mark).map(|(path, query)| (path, query.get(1..).unwrap_or_default()))
}

/// Name and value, both encoded, of one part between `&`.
fn halves(part: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = part.splitn(2, |c| *c == b'=');
    (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
}

/// Whether an encoded name is this one.
pub fn is(encoded: &[u8], name: &[u8]) -> bool {
    percent_decode(encoded).eq(name.iter().copied())
}

/// The decoded value of the first parameter with this name; `+` stays `+`.
pub fn first<'a>(path: &'a [u8], name: &[u8]) -> Option<Cow<'a, [u8]>> {
    let (_, query) = of(path)?;
    let (_, value) = query.split(|c| *c == b'&').map(halves).find(|(n, _)| is(n, name))?;
    Some(percent_decode(value).into())
}

/// The path without the parameters whose encoded name `gone` chooses, everything else byte for
/// byte; `None` if nothing is chosen. A query that becomes empty loses its `?`. Some servers begin
/// another parameter behind `;`.
pub fn without(path: &[u8], gone: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let (before, query) = of(path)?;
    let goes = |part: &[u8]| !part.is_empty() && gone(halves(part).0);
    let behind = |part| <[u8]>::split(part, |c| *c == b';').skip(1);
    if !query.split(|c| *c == b'&').any(|part| goes(part) || behind(part).any(goes)) {
        return None;
    }
    let mut out = Vec::with_capacity(path.len());
    out.extend_from_slice(before);
    let mut mark = b'?';
    for part in query.split(|c| *c == b'&').filter(|part| !goes(part) && !begins(part, &goes)) {
        for piece in part.split(|c| *c == b';').take(1).chain(behind(part).filter(|p| !goes(p))) {
            out.push(mark);
            out.extend_from_slice(piece);
            mark = b';';
        }
        mark = b'&';
    }
    Some(out)
}

/// Whether a part would begin with a chosen name once what is behind its first `;` is gone.
fn begins(part: &[u8], goes: &dyn Fn(&[u8]) -> bool) -> bool {
    let mut pieces = part.split(|c| *c == b';');
    pieces.next().is_some_and(goes) && pieces.any(goes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_of_a_name_counts() {
        for (path, want) in [
            ("/p", None),
            ("/p?", None),
            ("/p?t", Some("")),
            ("/p?t=", Some("")),
            ("/p?a=1&t=x&t=y", Some("x")),
            ("/p?%74=x", Some("x")),
            ("/p?T=x", None),
            ("/p?t=a%2Eb+c%zz", Some("a.b+c%zz")),
            ("/p?t=a=b", Some("a=b")),
            ("/p#f?t=x", Some("x")),
            ("/p?t=x#f", Some("x#f")),
            ("/p?&&t=x", Some("x")),
        ] {
            let found = first(path.as_bytes(), b"t");
            assert_eq!(found.as_deref(), want.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn removal_leaves_the_others_as_they_are() {
        for (path, want) in [
            ("/p", None),
            ("/p?a=%26%41&n", None),
            ("/p?t=x", Some("/p")),
            ("/p?t", Some("/p")),
            ("/p?a=%26%41&t=x&n", Some("/p?a=%26%41&n")),
            ("/p?t=x&a=1&%74=y", Some("/p?a=1")),
            ("/p?a&&t=x", Some("/p?a&")),
            ("/p%3Ft=1?t=x&b=+", Some("/p%3Ft=1?b=+")),
            ("/p?a=%3B;;b", None),
            ("/p?a=1;t=x", Some("/p?a=1")),
            ("/p?a=1;%74=x;;b&;t=y;c&d", Some("/p?a=1;;b&;c&d")),
            ("/p?a;t=x", Some("/p?a")),
            ("/p?t;a;t=x&b", Some("/p?b")),
            ("/p?t;t&", Some("/p?")),
            // Its value, for who separates by `&` only.
            ("/p?t=x;a=1&b", Some("/p?b")),
        ] {
            let found = without(path.as_bytes(), &|name| is(name, b"t"));
            assert_eq!(found.as_deref(), want.map(str::as_bytes), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_was_removed_is_not_found_again(path in "/[a-c?&;=t%74#]{0,30}") {
            let path = path.as_bytes();
            match without(path, &|name| is(name, b"t")) {
                Some(rest) => prop_assert_eq!(first(&rest, b"t"), None),
                None => prop_assert_eq!(first(path, b"t"), None),
            }
        }
    }
}
