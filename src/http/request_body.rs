//! What comes behind a request's headers: its body, where that names the model or a shadow wants it, and its trailers.

use std::rc::Rc;

use modelgate_engine::pipeline::refused_body;
use modelgate_engine::refusal::Refusal;
use modelgate_engine::shadow::Mirror;
use modelgate_engine::telemetry::Verdict;
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::types::{Action, BufferType, MapType};

use super::{Stream, fail_closed};
use crate::header_map::fields;
use crate::host::{self, now};
use crate::hostcalls;

impl Stream {
    /// The end of a request with trailers, which lose what only headers may say. The upstream has the
    /// rest of the request already: what cannot be cleaned ends the stream.
    pub(super) fn request_trailers(&mut self) -> Action {
        if self.clean_trailers().is_none() {
            return fail_closed("modelgate_unwritable_trailers");
        }
        self.request_body(0, true)
    }

    fn clean_trailers(&self) -> Option<()> {
        let worker = self.worker.as_ref()?;
        let excluded = self.request.as_ref().is_some_and(|r| r.verdict == Verdict::Excluded);
        let map = hostcalls::header_map(MapType::HttpRequestTrailers).ok()?;
        for (name, _) in fields(&map) {
            if worker.plan.drops_trailer(name, excluded) {
                hostcalls::remove_header(MapType::HttpRequestTrailers, name).ok()?;
            }
        }
        Some(())
    }

    /// A body that comes while its request is paused would take the headers along past this filter.
    pub(super) fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if let Some(paused) = &mut self.paused {
            paused.missed_body = true;
            return Action::Pause;
        }
        let chunk = match self.body.is_some() {
            true => match self.read_body(size, end_of_stream) {
                Ok(chunk) => Some(chunk).filter(|_| self.collects()),
                Err(action) => return action,
            },
            false => self.chunk(BufferType::HttpRequestBody, size),
        };
        if let Some(chunk) = chunk {
            let now = now();
            self.each_exchange(|mirror, id, observer| {
                mirror.request_chunk(id, &chunk, now, observer)
            });
        }
        if !self.exchanges.is_empty() && (end_of_stream || self.any_exchange(Mirror::is_whole)) {
            self.request_complete();
        }
        Action::Continue
    }

    /// Reads a chunk of a body that names the model. What of it goes on now, with what was kept back of those before; or
    /// the answer.
    fn read_body(&mut self, size: usize, is_last: bool) -> Result<Vec<u8>, Action> {
        const BODY: BufferType = BufferType::HttpRequestBody;
        let (Some(worker), Some(body)) = (&self.worker, &mut self.body) else {
            return Err(fail_closed("modelgate_no_body"));
        };
        let worker = Rc::clone(worker);
        let chunk = if size == 0 { None } else { sdk::get_buffer(BODY, 0, size).ok().flatten() };
        let chunk = chunk.unwrap_or_default();
        if chunk.len() != size {
            return Err(fail_closed("modelgate_no_body"));
        }
        let mut read = body.model.read(&chunk);
        if is_last {
            read = read.and_then(|()| body.model.finish().map(drop));
        }
        let Some(mut waiting) = body.waiting.take() else {
            return match read {
                Err(refusal) if body.is_enforced => Err(self.refuse_rest(refusal)),
                _ => Ok(chunk),
            };
        };
        let (decision, kept) = match (read, body.model.model()) {
            (Err(refusal), _) => (worker.plan.refuse_body(waiting.facts, refusal), waiting.body),
            (Ok(()), Some(model)) => waiting.decide(&worker, model),
            (Ok(()), None) if !body.is_enforced => {
                body.waiting = Some(waiting);
                return Ok(chunk);
            }
            (Ok(()), None) if waiting.keep(&chunk) => {
                body.waiting = Some(waiting);
                return match hostcalls::replace_chunk(BODY, size, b"") {
                    Ok(()) => Ok(Vec::new()),
                    Err(_) => Err(fail_closed("modelgate_unwritable_body")),
                };
            }
            (Ok(()), None) => (worker.plan.refuse_large_body(waiting.facts), waiting.body),
        };
        if let Some(action) = self.carry_out(decision, false, false) {
            return Err(action);
        }
        let whole = if kept.is_empty() { chunk } else { [kept, chunk].concat() };
        if whole.len() != size && hostcalls::replace_chunk(BODY, size, &whole).is_err() {
            return Err(fail_closed("modelgate_unwritable_body"));
        }
        Ok(whole)
    }

    /// What has come of a body is decided, and what comes now is wrong. The server has no whole body, and gets none.
    fn refuse_rest(&mut self, refusal: Refusal) -> Action {
        if let Some(request) = &mut self.request {
            request.verdict = Verdict::Refused;
        }
        if self.worker.as_ref().is_some_and(|worker| worker.plan.writes_access_log()) {
            let decision = Verdict::Refused.as_str().as_bytes();
            let _ = hostcalls::set_property("modelgate.decision", decision);
        }
        host::send_local_reply(&refused_body(refusal))
    }
}
