//! Tokens, and the keys that verify them: what is let in was signed, says what serde reads in it, and is the same
//! whether the host checks its signature or the engine.
#![no_main]

#[path = "../../tests/fuzzed/signatures.rs"]
mod signatures;
#[path = "../../tests/fuzzed/tokens.rs"]
mod tokens;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static GATEWAY: RefCell<tokens::Gateway> =
        RefCell::new(tokens::Gateway::new(&tokens::keys()).expect("the configuration is right"));
}

fuzz_target!(|data: &[u8]| {
    GATEWAY
        .with_borrow_mut(|gateway| tokens::send(gateway, data))
        .unwrap_or_else(|wrong| panic!("{wrong}"));
});
