//! Method, host, path and headers, through the whole decision: it never panics, and whatever is let
//! through reaches nothing but what was authorized, by the routes of tests/deputy.
#![no_main]

#[path = "../../tests/deputy/models.rs"]
mod models;
#[path = "../../tests/deputy/raw.rs"]
mod raw;
#[path = "../../tests/deputy/routes.rs"]
mod routes;
#[path = "../../tests/deputy/site.rs"]
mod site;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use raw::Sites;

thread_local! {
    static SITES: RefCell<Sites> = RefCell::new(Sites::new().expect("the configuration is right"));
}

fuzz_target!(|data: &[u8]| {
    SITES.with_borrow_mut(|sites| sites.send(data)).unwrap_or_else(|wrong| panic!("{wrong}"));
});
