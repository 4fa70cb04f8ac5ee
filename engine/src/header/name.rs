//! What a name is, and names that are one to servers.

use std::borrow::Cow;

/// A field name (RFC 9110 §5.1).
pub fn is_name(name: &str) -> bool {
    let symbol = |c: u8| b"!#$%&'*+-.^_`|~".contains(&c);
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || symbol(c))
}

/// A name as WSGI servers see it: lower case, `_` and `-` the same. A credential spelt with the
/// other one is a credential to them.
pub fn folded(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(|c| *c == b'_' || c.is_ascii_uppercase()) {
        let fold = |c: &u8| if *c == b'_' { b'-' } else { c.to_ascii_lowercase() };
        Cow::Owned(name.iter().map(fold).collect())
    } else {
        Cow::Borrowed(name)
    }
}
