//! Both answers of a comparison, with settings: it ends within its steps, an answer agrees with itself, order of the two
//! changes no verdict, and JSON is read as serde reads it.
#![no_main]

#[path = "../../tests/fuzzed/comparison.rs"]
mod comparison;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    comparison::send(data).unwrap_or_else(|wrong| panic!("{wrong}"));
});
