//! Parameters of a query string, found as Envoy finds them, kept and removed without touching the others.

/// The query of a path, without its `?`. A fragment belongs to it, as in Envoy's own reader.
fn of(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let mark = path.iter().position(|c| *c == b'?')?;
    path.split_at_checked(mark).map(|(path, query)| (path, query.get(1..).unwrap_or_default()))
}

/// Name and value, both encoded, of one part between `&`.
fn halves(part: &[u8]) -> (&[u8], &[u8]) {
    let mark = part.iter().position(|c| *c == b'=').unwrap_or(part.len());
    let (name, value) = part.split_at_checked(mark).unwrap_or_default();
    (name, value.get(1..).unwrap_or_default())
}

/// Name and value of each parameter, both encoded, where `+` is `+`. Without a query there is one without
/// a name.
pub fn all(path: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let query = of(path).map_or(&[][..], |(_, query)| query);
    query.split(|c| *c == b'&').map(halves)
}

/// The path without the parameters whose encoded name `gone` chooses, everything else byte for
/// byte; `None` if nothing is chosen. A query that becomes empty loses its `?`. Some servers begin
/// another parameter behind `;`.
pub fn without(path: &[u8], gone: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let (before, query) = of(path)?;
    let goes = |part: &[u8]| !part.is_empty() && gone(halves(part).0);
    // The end of what is as it was, until there is something else.
    let (mut same, mut out) = (before.len(), None);
    for part in query.split(|c| *c == b'&') {
        let is_gone = goes(part);
        if out.is_none() {
            if !is_gone && !goes_behind(part, &goes) {
                same += 1 + part.len();
                continue;
            }
            out = path.get(..same).map(<[u8]>::to_vec);
        }
        if let Some(out) = out.as_mut().filter(|_| !is_gone) {
            append(part, if out.len() == before.len() { b'?' } else { b'&' }, &goes, out);
        }
    }
    out
}

/// The path `bare` with those parameters of another path's query whose encoded names `kept` chooses, byte
/// for byte. What some servers take for another parameter, behind `;`, has to be chosen as well.
pub fn carry(bare: Vec<u8>, path: &[u8], kept: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let query = of(path).map_or(&[][..], |(_, query)| query);
    let mut out = bare;
    let is_kept = |part: &&[u8]| part.split(|c| *c == b';').all(|piece| kept(halves(piece).0));
    let parts = query.split(|c| *c == b'&').filter(is_kept);
    for (i, part) in parts.enumerate() {
        out.push(if i == 0 { b'?' } else { b'&' });
        out.extend_from_slice(part);
    }
    out
}

/// Whether something behind a `;` of a part goes.
#[inline(never)]
fn goes_behind(part: &[u8], goes: &dyn Fn(&[u8]) -> bool) -> bool {
    part.contains(&b';') && part.split(|c| *c == b';').skip(1).any(goes)
}

/// Appends what is left of a part.
#[inline(never)]
fn append(part: &[u8], mark: u8, goes: &dyn Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
    let mut pieces = part.split(|c| *c == b';');
    let first = pieces.next().unwrap_or_default();
    // It would begin with a chosen name once what is behind it is gone.
    if goes_behind(part, goes) && goes(first) {
        return;
    }
    out.push(mark);
    out.extend_from_slice(first);
    for piece in pieces.filter(|piece| !goes(piece)) {
        out.push(b';');
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn is(encoded: &[u8], name: &[u8]) -> bool {
        percent_decode(encoded).eq(name.iter().copied())
    }

    /// The decoded value of the first parameter with this name.
    fn first<'a>(path: &'a [u8], name: &[u8]) -> Option<Cow<'a, [u8]>> {
        let (_, value) = all(path).find(|(encoded, _)| is(encoded, name))?;
        Some(percent_decode(value).into())
    }

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
