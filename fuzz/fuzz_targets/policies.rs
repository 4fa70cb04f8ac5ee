//! Policies, which an index finds by model, against a slow reading of what Istio says of them: each is looked at, in the
//! order of the document.
#![no_main]

#[path = "../../tests/fuzzed/policies.rs"]
mod policies;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    policies::send(data).unwrap_or_else(|wrong| panic!("{wrong}"));
});
