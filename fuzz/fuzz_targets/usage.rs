//! What answers have cost: the same however they are cut, and what serde reads of them.
#![no_main]

#[path = "../../tests/fuzzed/usage.rs"]
mod usage;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    usage::send(data).unwrap_or_else(|wrong| panic!("{wrong}"));
});
