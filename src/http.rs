//! The HTTP context: one request and its response.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use modelgate_engine::authn::Identity;
use modelgate_engine::pipeline::{Decision, Facts, Forward, LocalReply, Next, refused_body};
use modelgate_engine::refusal::Refusal;
use modelgate_engine::request::{Attributes, Request};
use modelgate_engine::routing::Operation;
use modelgate_engine::shadow::{ExchangeId, Mirror, ShadowObserver};
use modelgate_engine::telemetry::{Count, ModelLabel, NONE, Verdict};
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, Bytes, MapType};

use crate::body::{BodyReader, Waiting};
use crate::header_map::fields;
use crate::host::{self, now};
use crate::hostcalls;
use crate::paused::{self, PausedRequest};
use crate::shadows::{live_cluster, live_head};
use crate::usage::Answer;
use crate::worker::WorkerState;

/// The SDK's handle of a stream; what holds the stream has another.
#[derive(Debug)]
pub struct HttpFilter(Rc<RefCell<Stream>>);

impl HttpFilter {
    /// A stream under this configuration; without one it will be refused.
    pub fn new(id: u32, worker: Option<Rc<WorkerState>>) -> Self {
        Self(Rc::new_cyclic(|this| RefCell::new(Stream::new(id, Weak::clone(this), worker))))
    }
}

impl Context for HttpFilter {}

impl HttpContext for HttpFilter {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.0.borrow_mut().request_headers(end_of_stream)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.0.borrow_mut().request_body(size, end_of_stream)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.0.borrow_mut().request_trailers()
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.0.borrow_mut().response_headers(end_of_stream);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.0.borrow_mut().response_body(size, end_of_stream);
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.0.borrow_mut().response_trailers();
        Action::Continue
    }

    fn on_log(&mut self) {
        self.0.borrow_mut().log();
    }
}

/// One that was never logged is over all the same.
impl Drop for HttpFilter {
    fn drop(&mut self) {
        self.0.borrow_mut().log();
    }
}

/// A request and its response.
#[derive(Debug)]
pub struct Stream {
    id: u32,
    /// For what holds it.
    this: Weak<RefCell<Self>>,
    worker: Option<Rc<WorkerState>>,
    request: Option<RequestStats>,
    /// What the response has yet to carry.
    set_cookie: Option<Vec<u8>>,
    /// The exchanges that this request feeds.
    exchanges: Vec<ExchangeId>,
    paused: Option<PausedRequest>,
    /// Of a request whose body names the model.
    body: Option<BodyReader>,
    /// The answer, where it is read for what it has cost.
    answer: Option<Box<Answer>>,
}

/// What is known of a request once it is decided, until it is counted.
#[derive(Debug)]
struct RequestStats {
    verdict: Verdict,
    model: Option<Rc<str>>,
    operation: Option<Operation>,
    is_grpc: bool,
}

/// A request as it came.
#[derive(Debug)]
struct Came {
    head: Bytes,
    /// The path, where the headers show another one.
    path: Option<Vec<u8>>,
    is_grpc: bool,
    /// Whether the headers are all there is.
    end_of_stream: bool,
    /// Whether a part of the body has come, which the proxy will not show again.
    missed_body: bool,
}

impl RequestStats {
    fn of(facts: Facts, is_grpc: bool) -> Self {
        let Facts { verdict, model, operation, .. } = facts;
        Self { verdict, model, operation, is_grpc }
    }
}

impl Stream {
    fn new(id: u32, this: Weak<RefCell<Self>>, worker: Option<Rc<WorkerState>>) -> Self {
        Self {
            id,
            this,
            worker,
            request: None,
            set_cookie: None,
            exchanges: Vec::new(),
            paused: None,
            body: None,
            answer: None,
        }
    }

    fn request_headers(&mut self, end_of_stream: bool) -> Action {
        self.decide(end_of_stream, false)
    }

    /// Decides, or pauses the request until keys come. One that has waited long enough is decided.
    fn decide(&mut self, end_of_stream: bool, is_over: bool) -> Action {
        let Some(worker) = &self.worker else {
            return fail_closed("modelgate_no_configuration");
        };
        let Ok(map) = hostcalls::header_map(MapType::HttpRequestHeaders) else {
            return fail_closed("modelgate_no_headers");
        };
        let mut headers = fields(&map);
        let came_with = self.paused.as_mut().and_then(|paused| paused.path.take());
        let path = headers.iter_mut().find(|(name, _)| *name == b":path");
        if let Some((line, before)) = path.zip(came_with.as_deref()) {
            line.1 = before;
        }
        let attributes = Attributes::new(&worker.proxy);
        let request = Request::new(&headers, &attributes);
        let decision = {
            let admits = |shadow| worker.mirror.borrow().admits(shadow, attributes.now());
            worker.plan.decide(&request, &mut worker.token_cache.borrow_mut(), admits)
        };
        let Decision { facts, next } = decision;
        let (now, wait) =
            (attributes.now(), facts.missing_keys.and_then(|keys| worker.wait_for(keys)));
        if let Some(wait) = wait.filter(|_| !is_over)
            && (self.paused.is_some() || paused::pause(self.id, &self.this, now, wait))
        {
            // A client that does not wait as long is counted as what it is so far.
            let facts = Facts { verdict: Verdict::Unauthenticated, ..facts };
            self.request = Some(RequestStats::of(facts, request.is_grpc()));
            let paused = PausedRequest { path: None, end_of_stream, missed_body: false };
            let paused = self.paused.get_or_insert(paused);
            paused.path = match &came_with {
                None => host::hide_path(worker.plan.shown_path(&request), request.path),
                before => before.clone(),
            };
            // Its keys may be due to be fetched.
            worker.want_tick(now, now);
            return Action::Pause;
        }
        paused::release(self.id);
        let missed_body = self.paused.take().is_some_and(|paused| paused.missed_body);
        let is_grpc = request.is_grpc();
        let decision = Decision { facts, next }.with_path(came_with.as_deref());
        if decision.edits().is_some_and(|edits| host::apply_edits(edits, &request).is_err()) {
            let facts = Facts { verdict: Verdict::Error, ..decision.facts };
            worker.count(&facts);
            self.request = Some(RequestStats::of(facts, is_grpc));
            let _ = host::hide_path(worker.plan.shown_path(&request), request.path);
            return fail_closed("modelgate_unwritable_headers");
        }
        let came = Came { head: map, path: came_with, is_grpc, end_of_stream, missed_body };
        self.proceed(decision, came)
    }

    /// The headers are written back.
    fn proceed(&mut self, decision: Decision, came: Came) -> Action {
        let Decision { facts, next } = decision;
        let awaited = match next {
            Next::AwaitModel(awaited) => awaited,
            next => {
                let decision = Decision { facts, next };
                let reply = self.carry_out(decision, came.is_grpc, came.missed_body);
                if came.end_of_stream && reply.is_none() {
                    self.request_complete();
                }
                return reply.unwrap_or(Action::Continue);
            }
        };
        let Some(worker) = self.worker.as_ref().filter(|_| !came.missed_body) else {
            return fail_closed("modelgate_missed_body");
        };
        // A client that breaks off is counted as what it is so far.
        let (verdict, model, operation) = (Verdict::Refused, None, facts.operation);
        self.request = Some(RequestStats { verdict, model, operation, is_grpc: came.is_grpc });
        match Waiting::new(worker, *awaited, facts, came.head, came.path) {
            Ok(waiting) => self.body = Some(BodyReader::new(waiting)),
            Err(facts) => {
                let decision = worker.plan.refuse_large_body(facts);
                return self.carry_out(decision, came.is_grpc, true).unwrap_or(Action::Continue);
            }
        }
        if came.end_of_stream { self.request_body(0, true) } else { Action::Continue }
    }

    /// Counts a decision, and answers the request if it says so.
    fn carry_out(&mut self, decision: Decision, is_grpc: bool, no_copies: bool) -> Option<Action> {
        let worker = self.worker.as_ref()?;
        let Decision { facts, next } = decision;
        worker.count(&facts);
        if worker.plan.writes_access_log() {
            write_access_log(worker, &facts, &next);
        }
        if worker.plan.reads_answers() && matches!(next, Next::Forward(_)) {
            self.answer = Answer::to(worker, &facts);
        }
        self.request = Some(RequestStats::of(facts, is_grpc));
        match next {
            Next::Reply(reply) => Some(host::send_local_reply(&reply)),
            Next::Forward(Forward { set_cookie, copies, .. }) => {
                self.set_cookie = set_cookie;
                if !copies.is_empty() && !worker.is_retired() && !no_copies {
                    self.exchanges = worker.begin_exchanges(copies, now());
                }
                None
            }
            Next::AwaitModel(_) => None,
        }
    }

    /// Decides a paused request again: keys have come, or its time is over. Called with this stream as the
    /// effective context.
    pub fn wake(&mut self, is_over: bool) {
        let Some(paused) = &self.paused else { return };
        if self.decide(paused.end_of_stream, is_over) == Action::Continue {
            // A stream that is gone has nothing to continue.
            let _ = sdk::resume_http_request();
        }
    }

    /// The end of a request with trailers, which lose what only headers may say. The upstream has the
    /// rest of the request already: what cannot be cleaned ends the stream.
    fn request_trailers(&mut self) -> Action {
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
    fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
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

    fn response_headers(&mut self, end_of_stream: bool) {
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

    fn response_body(&mut self, size: usize, end_of_stream: bool) {
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

    fn response_trailers(&mut self) {
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
    fn log(&mut self) {
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

    fn request_complete(&mut self) {
        if self.collects() {
            let (live, now) = (live_cluster(), now());
            self.notify_mirror(|mirror, observer| {
                mirror.request_complete(&self.exchanges, live.as_deref(), now, observer);
            });
        }
    }

    fn live_complete(&mut self) {
        if self.collects() {
            let now = now();
            self.each_exchange(|mirror, id, observer| mirror.live_complete(id, now, observer));
        }
    }

    /// Whether a shadow still wants to hear of this stream.
    fn collects(&self) -> bool {
        self.any_exchange(Mirror::is_open)
    }

    fn any_exchange(&self, is: fn(&Mirror, ExchangeId) -> bool) -> bool {
        !self.exchanges.is_empty()
            && self.worker.as_ref().is_some_and(|worker| {
                let mirror = worker.mirror.borrow();
                self.exchanges.iter().any(|id| is(&mirror, *id))
            })
    }

    /// The chunk at hand, if a shadow wants it, or it is a part of an answer that is read.
    fn chunk(&self, buffer: BufferType, size: usize) -> Option<Vec<u8>> {
        let reads = buffer == BufferType::HttpResponseBody
            && self.answer.as_deref().is_some_and(Answer::reads);
        if size == 0 || !(reads || self.collects()) {
            return None;
        }
        sdk::get_buffer(buffer, 0, size).ok()?
    }

    fn each_exchange(
        &self,
        mut event: impl FnMut(&mut Mirror, ExchangeId, &mut dyn ShadowObserver),
    ) {
        self.notify_mirror(|mirror, observer| {
            self.exchanges.iter().for_each(|id| event(mirror, *id, observer));
        });
    }

    fn notify_mirror(&self, event: impl FnOnce(&mut Mirror, &mut dyn ShadowObserver)) {
        if let Some(worker) = self.worker.as_ref().filter(|_| !self.exchanges.is_empty()) {
            worker.notify_mirror(event);
        }
    }
}

/// Envoy's filter state, for access logs: `%FILTER_STATE(wasm.modelgate.model:PLAIN)%` and so on.
fn write_access_log(worker: &WorkerState, facts: &Facts, next: &Next) {
    let shadows = worker.plan.shadows();
    let copies = match next {
        Next::Forward(forward) => forward.copies.as_slice(),
        Next::Reply(_) | Next::AwaitModel(_) => &[],
    };
    let names: Vec<&str> = copies
        .iter()
        .filter(|(shadow, _)| !shadows.is_baseline(*shadow))
        .filter_map(|(shadow, _)| shadows.get(*shadow).map(|shadow| &*shadow.name))
        .collect();
    let principal = facts.identity.as_deref().and_then(Identity::principal);
    let fields = [
        ("modelgate.model", facts.model.as_deref().unwrap_or(NONE)),
        ("modelgate.operation", facts.operation.map_or(NONE, Operation::as_str)),
        ("modelgate.decision", facts.verdict.as_str()),
        ("modelgate.policy", worker.plan.decided_by(facts)),
        ("modelgate.principal", principal.as_deref().unwrap_or_default()),
        ("modelgate.shadow", &names.join(",")),
    ];
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        // The user chose claims: nothing that a log's reader could take for the log's own.
        let value = value.escape_debug().to_string();
        let _ = hostcalls::set_property(name, value.as_bytes());
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

/// Fails closed.
fn fail_closed(details: &str) -> Action {
    host::send_local_reply(&LocalReply {
        code: 503,
        body: "modelgate cannot decide",
        www_authenticate: None,
        details: details.to_owned(),
        grpc_status: None,
        path: None,
    })
}
