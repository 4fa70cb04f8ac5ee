//! The `modelgate` command.
fn main() {}
