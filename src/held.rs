//! Streams whose token waits for its issuer's first keys.

use std::cell::RefCell;

use modelgate_engine::authn::remote::{Turn, Waiting};

/// How often is looked for those that have waited long enough, in milliseconds.
pub const LOOK: u32 = 100;

thread_local! {
    static HELD: RefCell<Waiting> = RefCell::default();
}

/// A stream that is held.
#[derive(Debug)]
pub struct Held {
    /// When it has waited long enough.
    pub until: u64,
    /// Whether its headers are all there is.
    pub end_of_stream: bool,
    /// Whether a part of its body has come meanwhile, which the proxy will not show again.
    pub missed_body: bool,
}

/// See [`Waiting::hold`].
pub fn hold(id: u32) -> bool {
    HELD.with_borrow_mut(|held| held.hold(id))
}

/// See [`Waiting::release`].
pub fn release(id: u32) {
    HELD.with_borrow_mut(|held| held.release(id));
}

/// See [`Waiting::ready`].
pub fn ready() {
    HELD.with_borrow_mut(Waiting::ready);
}

/// See [`Waiting::any_ready`].
pub fn any_ready() -> bool {
    HELD.with_borrow(Waiting::any_ready)
}

/// See [`Waiting::any`].
pub fn any() -> bool {
    HELD.with_borrow(Waiting::any)
}

/// See [`Waiting::turn`].
pub fn turn() -> Turn {
    HELD.with_borrow_mut(Waiting::turn)
}
