//! Paths of requests: the one place where they are taken apart, decoded, matched and filled in. Nothing here
//! normalizes them: Envoy does (`normalize_path`), before the filter.
//!
//! | file | what it knows |
//! |---|---|
//! | `plain` | which spellings every server reads alike, and what careless servers could read |
//! | `escape` | percent-encoding |
//! | `segments` | prefixes, first segments, what is behind them |
//! | `query` | parameters: found, kept and removed |
//! | `pattern`, [`template`] | what a rewrite applies to; what a rewrite or a copy makes of it |
//! | `rewritten` | what captured text may not do to a new path |
//! | `uri_template` | Envoy's `{*}` and `{**}` |

pub(crate) mod escape;
pub(crate) mod pattern;
pub(crate) mod plain;
pub(crate) mod query;
pub(crate) mod rewritten;
pub(crate) mod segments;
pub mod template;
pub(crate) mod uri_template;

/// A path without query and fragment: what routes are chosen by.
pub fn without_query(path: &[u8]) -> &[u8] {
    before(path, |c| matches!(c, b'?' | b'#'))
}

/// A path with its query, without a fragment.
pub(crate) fn without_fragment(path: &[u8]) -> &[u8] {
    before(path, |c| c == b'#')
}

fn before(path: &[u8], ends: impl Fn(u8) -> bool) -> &[u8] {
    path.iter().position(|c| ends(*c)).and_then(|end| path.get(..end)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_query_and_fragment() {
        for (path, bare, with_query) in [
            ("/a", "/a", "/a"),
            ("/a?b#c", "/a", "/a?b"),
            ("/a#b?c", "/a", "/a"),
            ("?", "", "?"),
            ("", "", ""),
        ] {
            assert_eq!(without_query(path.as_bytes()), bare.as_bytes(), "{path}");
            assert_eq!(without_fragment(path.as_bytes()), with_query.as_bytes(), "{path}");
        }
    }
}
