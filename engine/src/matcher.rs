//! Istio's string match: exact, `prefix*`, `*suffix`, `*`.

use crate::words::same;

/// How a value is matched. Bytes, case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StringMatch {
    /// The very value.
    Exact(Box<[u8]>),
    /// Begins with.
    Prefix(Box<[u8]>),
    /// Ends with.
    Suffix(Box<[u8]>),
    /// Anything that is not empty. (For a header Istio means: present, even if empty.)
    Present,
}

impl StringMatch {
    /// As Istio reads it: `*` alone, then a leading `*`, then a trailing one; any other `*` is literal.
    pub fn new(value: &str) -> Self {
        if value == "*" {
            Self::Present
        } else if let Some(rest) = value.strip_prefix('*') {
            Self::Suffix(rest.as_bytes().into())
        } else if let Some(rest) = value.strip_suffix('*') {
            Self::Prefix(rest.as_bytes().into())
        } else {
            Self::Exact(value.as_bytes().into())
        }
    }

    /// The same for values that are compared without regard to ASCII case, as hosts are; give
    /// [`StringMatch::matches`] a value in lower case.
    pub fn lower_case(value: &str) -> Self {
        Self::new(&value.to_ascii_lowercase())
    }

    /// Whether the value fits.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(v) => same(v, value),
            Self::Prefix(v) => value.get(..v.len()).is_some_and(|start| same(start, v)),
            Self::Suffix(v) => value.ends_with(v),
            Self::Present => !value.is_empty(),
        }
    }
}

impl std::fmt::Display for StringMatch {
    /// As Istio writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            Self::Exact(v) => write!(f, "{}", text(v)),
            Self::Prefix(v) => write!(f, "{}*", text(v)),
            Self::Suffix(v) => write!(f, "*{}", text(v)),
            Self::Present => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_istio() {
        for (pattern, yes, no) in [
            ("abc", "abc", "abcd"),
            ("abc*", "abcd", "ab"),
            ("*abc", "xabc", "abcx"),
            ("*", "x", ""),
            ("*a*", "xa*", "xay"),
            ("a*b", "a*b", "axb"),
        ] {
            assert!(StringMatch::new(pattern).matches(yes.as_bytes()), "{pattern} {yes}");
            assert!(!StringMatch::new(pattern).matches(no.as_bytes()), "{pattern} {no}");
        }
    }
}
