//! Bytes of a body and where it is cut: what is read of it does not depend on the cuts, and whatever is let through names
//! the same model to serde.
#![no_main]

#[path = "../../tests/fuzzed/body.rs"]
mod body;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    body::send(data).unwrap_or_else(|wrong| panic!("{wrong}"));
});
