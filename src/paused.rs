//! Requests that are paused: their tokens wait for their issuers' first keys.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use modelgate_engine::authn::remote::PausedQueue;
use modelgate_engine::few::FewMap;
use proxy_wasm::hostcalls;

use crate::http::Stream;

/// All that are paused in this worker, under whichever configuration: the root context of a request's own may
/// be gone, and tick no more.
#[derive(Debug, Default)]
struct Paused {
    queue: PausedQueue,
    streams: FewMap<u32, Weak<RefCell<Stream>>>,
}

thread_local! {
    static PAUSED: RefCell<Paused> = RefCell::default();
}

/// What a stream remembers while it is paused.
#[derive(Debug)]
pub struct PausedRequest {
    /// The path that it came with, where the proxy has another one meanwhile: access logs show that if the
    /// client does not wait, and it holds no token.
    pub path: Option<Vec<u8>>,
    /// Whether its headers are all there is.
    pub end_of_stream: bool,
    /// Whether a part of its body has come meanwhile, which the proxy will not show again.
    pub missed_body: bool,
}

/// Pauses a stream for so many nanoseconds at most; `false` if there are too many.
pub fn pause(id: u32, stream: &Weak<RefCell<Stream>>, now: u64, wait: u64) -> bool {
    PAUSED.with_borrow_mut(|paused| {
        let is_paused = paused.queue.pause(id, now, wait);
        if is_paused {
            paused.streams.insert(id, Weak::clone(stream));
        }
        is_paused
    })
}

/// See [`PausedQueue::release`].
pub fn release(id: u32) {
    PAUSED.with_borrow_mut(|paused| {
        paused.queue.release(id);
        paused.streams.remove(&id);
    });
}

/// See [`PausedQueue::keys_changed`].
pub fn keys_changed() {
    PAUSED.with_borrow_mut(|paused| paused.queue.keys_changed());
}

/// See [`PausedQueue::due`].
pub fn due(now: u64) -> u64 {
    PAUSED.with_borrow(|paused| paused.queue.due(now))
}

/// Lets a few paused streams decide again that may do so. Called in a callback of this root context.
pub fn wake(root: u32, now: u64) {
    let due = PAUSED.with_borrow_mut(|paused| paused.queue.next(now));
    if due.is_empty() {
        return;
    }
    for (id, is_over) in due {
        match (stream(id), hostcalls::set_effective_context(id)) {
            (Some(stream), Ok(())) => stream.borrow_mut().wake(is_over),
            _ => release(id),
        }
    }
    // The callback ends as what it began as. It is the proxy's own context: it cannot be missing.
    let _ = hostcalls::set_effective_context(root);
}

fn stream(id: u32) -> Option<Rc<RefCell<Stream>>> {
    PAUSED.with_borrow(|paused| paused.streams.get(&id).and_then(Weak::upgrade))
}
