//! Paths that a rewrite writes: what captured text may not do to them.

use super::escape::decode_strict;
use super::plain::{is_ordinary, loose_names};
use super::segments::has_dot_segment;
use crate::refusal::Refusal;

pub(crate) const DOTS: Refusal = Refusal::new("the rewritten path holds a . or .. segment");
pub(crate) const SLASHES: Refusal =
    Refusal::new("the rewritten path begins with //, or not with /");
pub(crate) const MALFORMED: Refusal =
    Refusal::new("the rewritten path holds % without two hexadecimal digits");
pub(crate) const CONTROL: Refusal = Refusal::new("the rewritten request holds a control character");

/// What captured text may not do to the path that a rewrite writes.
pub(crate) fn check(path: &[u8]) -> Result<(), Refusal> {
    if path.starts_with(b"/") && is_ordinary(path) {
        return Ok(());
    }
    let decoded = decode_strict(path).ok_or(MALFORMED)?;
    if !path.starts_with(b"/") || decoded.starts_with(b"//") {
        return Err(SLASHES);
    }
    if decoded.iter().any(u8::is_ascii_control) {
        return Err(CONTROL);
    }
    let mut names = loose_names(&decoded);
    if has_dot_segment(&decoded) || names.any(|name| matches!(name, b"." | b"..")) {
        return Err(DOTS);
    }
    Ok(())
}
