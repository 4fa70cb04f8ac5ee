//! Segments of paths, and prefixes by segments.

use super::without_query;

/// The segments of a path; the first is empty where it begins with `/`.
pub(crate) fn each(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|c| *c == b'/')
}

/// Whether a decoded path has a `.` or `..` segment.
pub(crate) fn has_dot_segment(decoded: &[u8]) -> bool {
    each(decoded).any(|segment| matches!(segment, b"." | b".."))
}

/// Whether a path (with its leading `/`) is `prefix` or below it. `prefix` has no trailing `/`.
pub(crate) fn is_under(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// Whether it is below the prefix, and not the prefix itself.
pub(crate) fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(b"/"))
}

/// How many `/` there are: of a prefix with its leading one and without another at its end, its segments.
pub(crate) fn slashes(path: &[u8]) -> usize {
    path.iter().filter(|c| **c == b'/').count()
}

/// The first segment, and what follows its `/` if there is one.
pub(crate) fn cut(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|c| *c == b'/') {
        Some(end) => (path.get(..end).unwrap_or_default(), path.get(end.saturating_add(1)..)),
        None => (path, None),
    }
}

/// What follows the first `count` segments of a path without leading `/`.
pub(crate) fn after(path: &[u8], count: usize) -> &[u8] {
    (0..count).fold(path, |rest, _| cut(rest).1.unwrap_or_default())
}

/// The first `count` segments of a path without leading `/`, without the `/` behind them.
pub(crate) fn first(path: &[u8], count: usize) -> &[u8] {
    let length = path.len().saturating_sub(after(path, count).len());
    let first = path.get(..length).unwrap_or_default();
    first.strip_suffix(b"/").unwrap_or(first)
}

/// What a route leaves of `path` (with its query) that takes off so many segments; the whole path
/// where it has no more than those, because the operators' routes end with a slash.
pub(crate) fn behind_route(path: &[u8], segments: usize) -> &[u8] {
    let bare = without_query(path).iter().enumerate();
    let mut slashes = bare.filter(|(_, c)| **c == b'/').map(|(at, _)| at);
    let start = slashes.nth(segments).unwrap_or(0);
    path.get(start..).unwrap_or(path)
}

/// The first segments of a path without leading and trailing `/`, for matching against patterns.
#[derive(Debug)]
pub(crate) struct Segments<'a> {
    // One more than the longest pattern of a fixed length, so that a longer path matches none.
    items: [&'a [u8]; 9],
    len: usize,
}

impl<'a> Segments<'a> {
    /// Cuts the path.
    pub(crate) fn of(path: &'a [u8]) -> Self {
        let mut segments = Self { items: [b""; 9], len: 0 };
        if !path.is_empty() {
            for (slot, segment) in segments.items.iter_mut().zip(each(path)) {
                *slot = segment;
                segments.len = segments.len.saturating_add(1);
            }
        }
        segments
    }

    /// The segments.
    pub(crate) fn as_slice(&self) -> &[&'a [u8]] {
        self.items.get(..self.len).unwrap_or_default()
    }
}

/// Whether a path has the segments of this pattern: in it `|` stands between words of which one will do,
/// `*` for any segment, and `**` at the end for any number of them, also none.
pub(crate) fn fits(pattern: &str, segments: &[&[u8]]) -> bool {
    let mut rest = segments;
    for part in each(pattern.as_bytes()).filter(|part| !part.is_empty()) {
        if part == b"**" {
            return true;
        }
        let Some((segment, behind)) = rest.split_first() else { return false };
        if part != b"*" && !part.split(|c| *c == b'|').any(|word| word == *segment) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_tails() {
        for (path, count, head, tail) in [
            ("a/b/c", 0, "", "a/b/c"),
            ("a/b/c", 2, "a/b", "c"),
            ("a/b/", 2, "a/b", ""),
            ("a/b/c", 3, "a/b/c", ""),
            ("a", 9, "a", ""),
        ] {
            assert_eq!(first(path.as_bytes(), count), head.as_bytes(), "{path} {count}");
            assert_eq!(after(path.as_bytes(), count), tail.as_bytes(), "{path} {count}");
        }
    }

    #[test]
    fn a_prefix_ends_with_a_segment() {
        for (path, under, below) in [
            ("/v2", true, false),
            ("/v2/", true, true),
            ("/v2/a", true, true),
            ("/v2a", false, false),
        ] {
            let path = path.as_bytes();
            assert_eq!((is_under(path, b"/v2"), is_below(path, b"/v2")), (under, below));
        }
    }
}
