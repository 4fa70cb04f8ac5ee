//! Header maps as the host serializes them: any bytes are read within their bounds, and fields come back as they went.
#![no_main]

#[path = "../../tests/fuzzed/header_map.rs"]
mod header_map;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    header_map::send(data).unwrap_or_else(|wrong| panic!("{wrong}"));
});
