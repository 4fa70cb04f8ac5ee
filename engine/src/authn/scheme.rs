//! Schemes, as `Bearer`, before what a header line carries.

/// Whether a line begins with a scheme. It has no case (RFC 9110 §11.1), and servers differ in what they
/// take for blanks before it and take behind it.
pub fn begins_with(line: &[u8], prefix: &[u8]) -> bool {
    let scheme = prefix.trim_ascii();
    let begin = line.iter().position(u8::is_ascii_graphic).unwrap_or_default();
    let line = line.get(begin..).unwrap_or_default();
    let Some((start, rest)) = line.split_at_checked(scheme.len()) else { return false };
    let is_name = |c: &u8| c.is_ascii_alphanumeric() || b"-._".contains(c);
    let ends = !rest.first().is_some_and(is_name);
    start.eq_ignore_ascii_case(scheme) && (ends || !prefix.ends_with(b" "))
}
