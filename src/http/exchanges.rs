//! What the exchanges with shadows hear of a stream.

use modelgate_engine::shadow::{ExchangeId, Mirror, ShadowObserver};
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::types::BufferType;

use super::Stream;
use crate::host::now;
use crate::shadows::live_cluster;
use crate::usage::Answer;

impl Stream {
    pub(super) fn request_complete(&mut self) {
        if self.collects() {
            let (live, now) = (live_cluster(), now());
            self.notify_mirror(|mirror, observer| {
                mirror.request_complete(&self.exchanges, live.as_deref(), now, observer);
            });
        }
    }

    pub(super) fn live_complete(&mut self) {
        if self.collects() {
            let now = now();
            self.each_exchange(|mirror, id, observer| mirror.live_complete(id, now, observer));
        }
    }

    /// Whether a shadow still wants to hear of this stream.
    pub(super) fn collects(&self) -> bool {
        self.any_exchange(Mirror::is_open)
    }

    pub(super) fn any_exchange(&self, is: fn(&Mirror, ExchangeId) -> bool) -> bool {
        !self.exchanges.is_empty()
            && self.worker.as_ref().is_some_and(|worker| {
                let mirror = worker.mirror.borrow();
                self.exchanges.iter().any(|id| is(&mirror, *id))
            })
    }

    /// The chunk at hand, if a shadow wants it, or it is a part of an answer that is read.
    pub(super) fn chunk(&self, buffer: BufferType, size: usize) -> Option<Vec<u8>> {
        let reads = buffer == BufferType::HttpResponseBody
            && self.answer.as_deref().is_some_and(Answer::reads);
        if size == 0 || !(reads || self.collects()) {
            return None;
        }
        sdk::get_buffer(buffer, 0, size).ok()?
    }

    pub(super) fn each_exchange(
        &self,
        mut event: impl FnMut(&mut Mirror, ExchangeId, &mut dyn ShadowObserver),
    ) {
        self.notify_mirror(|mirror, observer| {
            self.exchanges.iter().for_each(|id| event(mirror, *id, observer));
        });
    }

    pub(super) fn notify_mirror(&self, event: impl FnOnce(&mut Mirror, &mut dyn ShadowObserver)) {
        if let Some(worker) = self.worker.as_ref().filter(|_| !self.exchanges.is_empty()) {
            worker.notify_mirror(event);
        }
    }
}
