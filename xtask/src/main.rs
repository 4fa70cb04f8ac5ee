//! Automation that needs only cargo.
fn main() {}
