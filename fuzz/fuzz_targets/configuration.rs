//! The text of a configuration: it is refused with a reason that a terminal may show, or it decides; and it is the
//! same configuration when another writer of JSON has written it.
#![no_main]

#[path = "../../tests/fuzzed/configuration.rs"]
mod configuration;
#[path = "../../tests/fuzzed/nowhere.rs"]
mod nowhere;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    configuration::send(data).unwrap_or_else(|wrong| panic!("{wrong}"));
});
