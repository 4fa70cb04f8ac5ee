//! Streams whose token waits for its issuer's first keys.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use modelgate_engine::authn::remote::{Turn, Waiting};
use modelgate_engine::few::FewMap;
use proxy_wasm::hostcalls;

use crate::http::Stream;

/// How often is looked for those that have waited long enough, in milliseconds.
pub const LOOK: u32 = 100;

/// All that are held by this worker, under whichever configuration.
#[derive(Debug, Default)]
struct Queue {
    waiting: Waiting,
    streams: FewMap<u32, Weak<RefCell<Stream>>>,
}

thread_local! {
    static HELD: RefCell<Queue> = RefCell::default();
}

/// A stream that is held.
#[derive(Debug)]
pub struct Held {
    /// When it has waited long enough.
    pub until: u64,
    /// The path that it came with, where the proxy has another one meanwhile: access logs show that if the
    /// client does not wait, and it holds no token.
    pub path: Option<Vec<u8>>,
    /// Whether its headers are all there is.
    pub end_of_stream: bool,
    /// Whether a part of its body has come meanwhile, which the proxy will not show again.
    pub missed_body: bool,
}

/// Takes a stream in; `false` if there are too many.
pub fn hold(id: u32, stream: &Weak<RefCell<Stream>>) -> bool {
    HELD.with_borrow_mut(|held| {
        let is_held = held.waiting.hold(id);
        if is_held {
            held.streams.insert(id, Weak::clone(stream));
        }
        is_held
    })
}

/// See [`Waiting::release`].
pub fn release(id: u32) {
    HELD.with_borrow_mut(|held| {
        held.waiting.release(id);
        held.streams.remove(&id);
    });
}

/// See [`Waiting::ready`].
pub fn ready() {
    HELD.with_borrow_mut(|held| held.waiting.ready());
}

/// See [`Waiting::any_ready`].
pub fn any_ready() -> bool {
    HELD.with_borrow(|held| held.waiting.any_ready())
}

/// See [`Waiting::any`].
pub fn any() -> bool {
    HELD.with_borrow(|held| held.waiting.any())
}

/// Lets held streams decide again: a few of those for which keys may have come, or else those that
/// have waited long enough. Called in a callback of this root context.
pub fn wake(root: u32) {
    let (ids, changed) = match HELD.with_borrow_mut(|held| held.waiting.turn()) {
        Turn::Ready(ids) => (ids, true),
        Turn::Waiting(ids) => (ids, false),
    };
    if ids.is_empty() {
        return;
    }
    for id in ids {
        match (stream(id), hostcalls::set_effective_context(id)) {
            (Some(stream), Ok(())) => stream.borrow_mut().wake(changed),
            _ => release(id),
        }
    }
    // The callback ends as what it began as. It is the proxy's own context: it cannot be missing.
    let _ = hostcalls::set_effective_context(root);
}

fn stream(id: u32) -> Option<Rc<RefCell<Stream>>> {
    HELD.with_borrow(|held| held.streams.get(&id).and_then(Weak::upgrade))
}
