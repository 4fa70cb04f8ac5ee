//! What a name is, and names that are one to servers.

use std::borrow::Cow;

use crate::words::same;

/// A field name (RFC 9110 §5.1).
pub fn is_name(name: &str) -> bool {
    let symbol = |c: u8| b"!#$%&'*+-.^_`|~".contains(&c);
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || symbol(c))
}

/// A name as WSGI servers see it: lower case, `_` and `-` the same. A credential spelt with the
/// other one is a credential to them.
pub fn folded(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(|c| *c == b'_' || c.is_ascii_uppercase()) {
        Cow::Owned(name.iter().copied().map(fold).collect())
    } else {
        Cow::Borrowed(name)
    }
}

/// A byte of a name, folded: in lower case, with `-` for `_`.
pub(crate) fn fold(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// Whether two names are one to servers that merge `_` and `-`.
pub fn is_same(name: &[u8], other: &[u8]) -> bool {
    name.len() == other.len()
        && (same(name, other) || name.iter().zip(other).all(|(a, b)| fold(*a) == fold(*b)))
}

/// Whether the name begins with this, which is folded.
pub(crate) fn begins(name: &[u8], folded: &[u8]) -> bool {
    name.len() >= folded.len() && name.iter().zip(folded).all(|(a, b)| fold(*a) == *b)
}
