//! Lists of values of which any may match, compiled so that exact ones are found by bisection.

use crate::matcher::StringMatch;
use crate::order;

/// Istio string matches, of which any may fit. What `*` means is the field's own affair: a header
/// that is present, or a text that is not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Values {
    any: bool,
    /// Sorted.
    exact: Box<[Box<[u8]>]>,
    patterns: Box<[StringMatch]>,
}

impl Values {
    pub(super) fn new(matches: impl IntoIterator<Item = StringMatch>) -> Self {
        let (mut any, mut exact, mut patterns) = (false, Vec::new(), Vec::new());
        for value in matches {
            match value {
                StringMatch::Present => any = true,
                StringMatch::Exact(value) => exact.push(value),
                pattern => patterns.push(pattern),
            }
        }
        Self { any, exact: order::distinct(exact).into(), patterns: patterns.into() }
    }

    /// A header's value: `*` takes it even if it is empty.
    pub(super) fn match_header(&self, value: &[u8]) -> bool {
        self.any || self.fits(value)
    }

    /// A text; see [`Star`] for what `*` takes.
    pub(super) fn match_text(&self, value: &[u8], star: Star) -> bool {
        (self.any && star.takes(value)) || self.fits(value)
    }

    /// A header's value without regard to ASCII case; these values must be in lower case.
    pub(super) fn match_ignoring_case(&self, value: &[u8]) -> bool {
        let lower = || value.iter().map(u8::to_ascii_lowercase);
        self.any
            || self.exact.binary_search_by(|v| v.iter().copied().cmp(lower())).is_ok()
            || self.patterns.iter().any(|pattern| match pattern {
                StringMatch::Prefix(v) => {
                    value.get(..v.len()).is_some_and(|head| head.eq_ignore_ascii_case(v))
                }
                StringMatch::Suffix(v) => {
                    let start = value.len().checked_sub(v.len());
                    let tail = start.and_then(|start| value.get(start..));
                    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(v))
                }
                StringMatch::Exact(_) | StringMatch::Present => false,
            })
    }

    fn fits(&self, value: &[u8]) -> bool {
        self.exact.binary_search_by(|v| (**v).cmp(value)).is_ok()
            || self.patterns.iter().any(|pattern| pattern.matches(value))
    }

    /// Whether `*` is among them.
    pub(super) fn has_any(&self) -> bool {
        self.any
    }

    /// Every exact value.
    pub(super) fn exact(&self) -> impl Iterator<Item = &[u8]> {
        self.exact.iter().map(|v| &**v)
    }

    /// Every prefix and suffix.
    pub(super) fn patterns(&self) -> &[StringMatch] {
        &self.patterns
    }
}

/// What `*` takes of a text. What refuses must not miss a value for the bytes in it (CVE-2026-73552),
/// what opens need not take more than Istio's `.+` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Star {
    /// Whatever is not empty: in DENY and AUDIT, and in `not` forms.
    Bytes,
    /// What RE2's `.+` takes: UTF-8, not empty, without a line feed.
    Text,
}

impl Star {
    pub(super) fn takes(self, value: &[u8]) -> bool {
        let is_text = || !value.contains(&b'\n') && std::str::from_utf8(value).is_ok();
        !value.is_empty() && (self == Self::Bytes || is_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &[&str]) -> Values {
        Values::new(list.iter().map(|v| StringMatch::new(v)))
    }

    #[test]
    fn any_value_may_fit() {
        let some = values(&["b", "a", "a", "pre*", "*post"]);
        for (value, fits) in [
            ("a", true),
            ("b", true),
            ("c", false),
            ("prefix", true),
            ("x-post", true),
            ("", false),
        ] {
            assert_eq!(some.match_text(value.as_bytes(), Star::Text), fits, "{value}");
            assert_eq!(some.match_header(value.as_bytes()), fits, "{value}");
        }
    }

    #[test]
    fn a_star_is_a_present_header_or_a_text() {
        let any = values(&["*"]);
        for (value, text) in [
            (&b"x"[..], true),
            (b"", false),
            (b"a\nb", false),
            (b"\xff", false),
            ("\u{e9}".as_bytes(), true),
        ] {
            assert!(any.match_header(value));
            assert!(any.match_ignoring_case(value));
            assert_eq!(any.match_text(value, Star::Text), text, "{value:?}");
            assert_eq!(any.match_text(value, Star::Bytes), !value.is_empty(), "{value:?}");
        }
    }

    #[test]
    fn case_is_ignored_in_ascii_only() {
        let hosts = values(&["b.example", "a.example:8443", "*.models.example", "gw.*", "\u{e9}"]);
        for (host, fits) in [
            ("B.Example", true),
            ("a.example", false),
            ("A.EXAMPLE:8443", true),
            ("x.Models.example", true),
            ("models.example", false),
            ("GW.x", true),
            ("g", false),
            ("\u{c9}", false),
        ] {
            assert_eq!(hosts.match_ignoring_case(host.as_bytes()), fits, "{host}");
        }
    }
}
