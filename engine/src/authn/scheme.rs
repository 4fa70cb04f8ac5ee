//! Schemes, as `Bearer`, before what a header line carries.

/// Whether a line begins with a scheme. It has no case (RFC 9110 §11.1), and servers differ in what they
/// take behind it.
pub fn begins_with(line: &[u8], prefix: &[u8]) -> bool {
    let scheme = prefix.trim_ascii();
    let Some((start, rest)) = line.trim_ascii_start().split_at_checked(scheme.len()) else {
        return false;
    };
    let is_name = |c: &u8| c.is_ascii_alphanumeric() || b"-._".contains(c);
    let ends = !rest.first().is_some_and(is_name);
    start.eq_ignore_ascii_case(scheme) && (ends || !prefix.ends_with(b" "))
}
