//! Streams whose token waits for its issuer's first keys.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use modelgate_engine::authn::remote::{PausedQueue, Turn};
use modelgate_engine::few::FewMap;
use proxy_wasm::hostcalls;

use crate::http::Stream;

/// How often is looked for those that have waited long enough, in milliseconds.
pub const LOOK: u32 = 100;

/// All that are paused by this worker, under whichever configuration.
#[derive(Debug, Default)]
struct Queue {
    requests: PausedQueue,
    streams: FewMap<u32, Weak<RefCell<Stream>>>,
}

thread_local! {
    static PAUSED: RefCell<Queue> = RefCell::default();
}

/// A stream that is paused.
#[derive(Debug)]
pub struct PausedRequest {
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
pub fn pause(id: u32, stream: &Weak<RefCell<Stream>>) -> bool {
    PAUSED.with_borrow_mut(|paused| {
        let is_paused = paused.requests.pause(id);
        if is_paused {
            paused.streams.insert(id, Weak::clone(stream));
        }
        is_paused
    })
}

/// See [`PausedQueue::release`].
pub fn release(id: u32) {
    PAUSED.with_borrow_mut(|paused| {
        paused.requests.release(id);
        paused.streams.remove(&id);
    });
}

/// See [`PausedQueue::ready`].
pub fn ready() {
    PAUSED.with_borrow_mut(|paused| paused.requests.ready());
}

/// See [`PausedQueue::any_ready`].
pub fn any_ready() -> bool {
    PAUSED.with_borrow(|paused| paused.requests.any_ready())
}

/// See [`PausedQueue::any`].
pub fn any() -> bool {
    PAUSED.with_borrow(|paused| paused.requests.any())
}

/// Lets paused streams decide again: a few of those for which keys may have come, or else those that
/// have waited long enough. Called in a callback of this root context.
pub fn wake(root: u32) {
    let (ids, changed) = match PAUSED.with_borrow_mut(|paused| paused.requests.turn()) {
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
    PAUSED.with_borrow(|paused| paused.streams.get(&id).and_then(Weak::upgrade))
}
