//! The answer as it streams by, and the end of the stream.

use modelgate_engine::shadow::Mirror;
use modelgate_engine::telemetry::{Count, ModelLabel};
use proxy_wasm::types::{BufferType, MapType};

use super::Stream;
use crate::header_map::fields;
use crate::host::{self, now};
use crate::hostcalls;
use crate::paused;
use crate::shadows::live_head;

impl Stream {
    pub(super) fn response_headers(&mut self, end_of_stream: bool) {
        if let Some(cookie) = self.set_cookie.take() {
            // A response that takes no cookie is still an answer.
            let _ = hostcalls::add_header(MapType::HttpResponseHeaders, b"set-cookie", &cookie);
        }
        if let Some(answer) = &mut self.answer {
            answer.headers();
            self.end_answer(end_of_stream);
        }
        if !self.collects() {
            return;
        }
        match live_head() {
            Some(head) => {
                let now = now();
                self.each_exchange(|mirror, id, observer| {
                    mirror.live_head(id, &head, now, observer)
                });
            }
            None => self.each_exchange(|mirror, id, observer| mirror.live_failed(id, observer)),
        }
        if end_of_stream {
            self.live_complete();
        }
    }

    pub(super) fn response_body(&mut self, size: usize, end_of_stream: bool) {
        if let Some(chunk) = self.chunk(BufferType::HttpResponseBody, size) {
            if let Some(answer) = &mut self.answer {
                answer.chunk(&chunk);
            }
            self.each_exchange(|mirror, id, observer| mirror.live_chunk(id, &chunk, observer));
        }
        self.end_answer(end_of_stream);
        if end_of_stream {
            self.live_complete();
        }
    }

    pub(super) fn response_trailers(&mut self) {
        self.end_answer(true);
        if !self.collects() {
            return;
        }
        let map = hostcalls::header_map(MapType::HttpResponseTrailers).unwrap_or_default();
        let trailers = fields(&map);
        self.each_exchange(|mirror, id, _| mirror.live_trailers(id, &trailers));
        self.live_complete();
    }

    /// Where the answer is over, it is known what it has cost.
    fn end_answer(&mut self, is_over: bool) {
        if let (true, Some(answer), Some(worker)) = (is_over, &mut self.answer, &self.worker) {
            answer.end(true, worker);
        }
    }

    /// The end of the stream: the request is counted, and its exchanges hear that nothing more comes.
    pub(super) fn log(&mut self) {
        if self.paused.take().is_some() {
            paused::release(self.id);
        }
        if !self.exchanges.is_empty() {
            let broke_off = self.any_exchange(Mirror::awaits_live)
                && host::property_bytes("response\0code_details")
                    .is_some_and(|details| details.starts_with(b"upstream_reset"));
            self.each_exchange(|mirror, id, observer| {
                if broke_off {
                    mirror.live_failed(id, observer);
                }
                mirror.closed(id, observer);
            });
            self.exchanges.clear();
        }
        let (Some(worker), Some(request)) = (&self.worker, self.request.take()) else { return };
        let mut metrics = worker.metrics.borrow_mut();
        let model = request.model.as_deref().map_or(ModelLabel::NONE, |id| {
            metrics.model(id, || is_answered_with_2xx(request.is_grpc))
        });
        metrics.count(Count::Request(model, request.operation, request.verdict));
        if let Some(mut answer) = self.answer.take() {
            answer.closed(worker, model, &mut metrics);
        }
        drop(metrics);
        if worker.is_retired() {
            worker.flush();
        }
    }
}

/// Whether an upstream, not the proxy itself, has answered with 2xx. gRPC says in `grpc-status` what
/// others say in the status: 200 alone would be had for any name of a model.
fn is_answered_with_2xx(is_grpc: bool) -> bool {
    host::property_int("response\0code").is_some_and(|code| (200..300).contains(&code))
        && (!is_grpc || host::property_int("response\0grpc_status") == Some(0))
        && host::property_bytes("response\0code_details")
            .is_some_and(|details| details == b"via_upstream")
}
