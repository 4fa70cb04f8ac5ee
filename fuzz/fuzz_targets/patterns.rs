//! String matches, path templates and rewrites, against plain readings of what Istio and Envoy say of them.
#![no_main]

#[path = "../../tests/fuzzed/nowhere.rs"]
mod nowhere;
#[path = "../../tests/fuzzed/patterns.rs"]
mod patterns;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    patterns::send(data).unwrap_or_else(|wrong| panic!("{wrong}"));
});
