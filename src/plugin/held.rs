//! Streams whose token waits for its issuer's first keys.

use std::cell::RefCell;
use std::collections::BTreeSet;

/// How many a worker holds. Anybody can make a token that has to wait: the rest are refused at once.
const MOST: usize = 256;

/// How often is looked for those that have waited long enough, in milliseconds.
pub const LOOK: u32 = 100;

thread_local! {
    static HELD: RefCell<BTreeSet<u32>> = RefCell::default();
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

/// Holds one more stream, if there is room.
pub fn hold(id: u32) -> bool {
    HELD.with_borrow_mut(|held| {
        let room = held.len() < MOST;
        if room {
            held.insert(id);
        }
        room
    })
}

/// It is decided, or over.
pub fn release(id: u32) {
    HELD.with_borrow_mut(|held| held.remove(&id));
}

/// Those that are held.
pub fn all() -> Vec<u32> {
    HELD.with_borrow(|held| held.iter().copied().collect())
}

/// Whether there are any.
pub fn any() -> bool {
    HELD.with_borrow(|held| !held.is_empty())
}
