//! The module's functions (proxy-wasm ABI 0.2.1): each finds the context and lets it handle the event.
//!
//! Envoy skips callbacks that a module does not export, so only those in use are here.
#![expect(unsafe_code, reason = "exported symbols, and memory that the host fills")]

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::abi::{self, Level};
use crate::held;
use crate::stream::Stream;
use crate::worker::Worker;
use modelgate_engine::authn::remote::Turn;
use modelgate_engine::few::FewMap;

/// What the host does with a stream after a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    Continue = 0,
    /// After a local reply, or until the request is continued.
    Stop = 1,
}

#[derive(Default)]
struct Contexts {
    workers: FewMap<u32, Worker>,
    /// `None` while an event is handled.
    streams: BTreeMap<u32, Option<Stream>>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// Lets a stream handle an event. It is taken out meanwhile, so that no borrow outlives a host call.
fn with_stream<R>(id: u32, missing: R, event: impl FnOnce(&mut Stream) -> R) -> R {
    let stream =
        CONTEXTS.with_borrow_mut(|contexts| contexts.streams.get_mut(&id).and_then(Option::take));
    let Some(mut stream) = stream else { return missing };
    let result = event(&mut stream);
    let deleted = CONTEXTS.with_borrow_mut(|contexts| match contexts.streams.get_mut(&id) {
        Some(slot) => {
            *slot = Some(stream);
            None
        }
        None => Some(stream),
    });
    // By the event itself: it is over, and has to be counted.
    deleted.into_iter().for_each(|mut stream| stream.log());
    result
}

fn with_worker<R>(id: u32, missing: R, event: impl FnOnce(&mut Worker) -> R) -> R {
    let worker = CONTEXTS.with_borrow_mut(|contexts| contexts.workers.remove(&id));
    let Some(mut worker) = worker else { return missing };
    let result = event(&mut worker);
    CONTEXTS.with_borrow_mut(|contexts| contexts.workers.insert(id, worker));
    result
}

/// Lets held streams decide again: a few of those for which keys may have come, or else those that
/// have waited long enough.
fn wake(root: u32) {
    let (ids, changed) = match held::turn() {
        Turn::Ready(ids) => (ids, true),
        Turn::Waiting(ids) => (ids, false),
    };
    if ids.is_empty() {
        return;
    }
    for id in ids {
        match abi::set_effective_context(id) {
            Ok(()) => with_stream(id, (), |stream| stream.wake(changed)),
            Err(_) => held::release(id),
        }
    }
    // The callback ends as what it began as. It is the proxy's own context: it cannot be missing.
    let _ = abi::set_effective_context(root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Called once for each VM. A panic would else leave nothing but a trap in the log; its message is
/// not shown, because it might quote a request.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        abi::log(Level::Error, &format!("modelgate: panic at {place}"));
    }));
}

/// Gives the host memory to fill; `abi::filled` takes it back.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

/// A root context has no parent: one for each worker and configuration.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    CONTEXTS.with_borrow_mut(|contexts| {
        if parent == 0 {
            contexts.workers.insert(id, Worker::default());
        } else {
            let gate = contexts.workers.get(&parent).and_then(Worker::gate);
            contexts.streams.insert(id, Some(Stream::new(id, gate)));
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(id: u32, _size: usize) -> u32 {
    with_worker(id, false, Worker::configure).into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(id: u32) {
    with_worker(id, (), Worker::tick);
    wake(id);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    id: u32,
    token: u32,
    _headers: usize,
    body_size: usize,
    trailers: usize,
) {
    // Who is held is woken with the ticks to come.
    with_worker(id, (), |worker| worker.answered(token, body_size, trailers));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _headers: usize, end_of_stream: u32) -> u32 {
    // A stream that nobody announced has no configuration, and is refused like one.
    let action = with_stream(id, None, |stream| Some(stream.request_headers(end_of_stream != 0)));
    action.unwrap_or_else(|| Stream::new(id, None).request_headers(end_of_stream != 0)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, size: usize, end_of_stream: u32) -> u32 {
    let body = |stream: &mut Stream| stream.request_body(size, end_of_stream != 0);
    with_stream(id, Action::Continue, body) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, _trailers: usize) -> u32 {
    with_stream(id, Action::Stop, Stream::request_trailers) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(id: u32, _headers: usize, end_of_stream: u32) -> u32 {
    with_stream(id, (), |stream| stream.response_headers(end_of_stream != 0));
    Action::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(id: u32, size: usize, end_of_stream: u32) -> u32 {
    with_stream(id, (), |stream| stream.response_body(size, end_of_stream != 0));
    Action::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(id: u32, _trailers: usize) -> u32 {
    with_stream(id, (), Stream::response_trailers);
    Action::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(id: u32) {
    with_stream(id, (), Stream::log);
}

/// The last callback of a stream or a worker. `proxy_on_done` comes just before it and is left out:
/// a callback that does nothing costs every request as much as one that does.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    let stream = CONTEXTS.with_borrow_mut(|contexts| contexts.streams.remove(&id));
    if let Some(stream) = stream {
        // One that was never logged is over all the same.
        stream.into_iter().for_each(|mut stream| stream.log());
        return;
    }
    let worker = CONTEXTS.with_borrow_mut(|contexts| contexts.workers.remove(&id));
    worker.into_iter().for_each(|mut worker| worker.done());
}
