//! Key sets and certificates: a set verifies a token only where it has the key that signed it, and names of certificates
//! are pieces of them.
#![no_main]

#[path = "../../tests/fuzzed/keys.rs"]
mod keys;
#[path = "../../tests/fuzzed/signatures.rs"]
mod signatures;
#[path = "../../tests/fuzzed/tokens.rs"]
mod tokens;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keys::send(data).unwrap_or_else(|wrong| panic!("{wrong}"));
});
