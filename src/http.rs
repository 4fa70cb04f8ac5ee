//! The HTTP context: one request and its response.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use modelgate_engine::authn::Identity;
use modelgate_engine::pipeline::{Decision, Facts, Forward, LocalReply, Next};
use modelgate_engine::request::{Attributes, Request};
use modelgate_engine::routing::Operation;
use modelgate_engine::shadow::ExchangeId;
use modelgate_engine::telemetry::{Count, NONE, Verdict};
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, Bytes, MapType};

use crate::body::{BodyReader, Waiting};
use crate::header_map::fields;
use crate::host::{self, now};
use crate::hostcalls;
use crate::paused::{self, PausedRequest};
use crate::usage::Answer;
use crate::worker::WorkerState;

mod exchanges;
mod request_body;
mod response;

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
    fn carry_out(
        &mut self,
        mut decision: Decision,
        is_grpc: bool,
        no_copies: bool,
    ) -> Option<Action> {
        let worker = self.worker.as_ref()?;
        if decision.forward().is_some_and(|forward| !forward.counts.is_empty()) {
            worker.limit(&mut decision);
        }
        let Decision { facts, next } = decision;
        worker.count(&facts);
        if worker.plan.writes_access_log() {
            write_access_log(worker, &facts, &next);
        }
        if let Next::Forward(forward) = &next
            && worker.plan.reads_answers()
        {
            self.answer = Answer::to(worker, &facts, &forward.counts);
        }
        self.request = Some(RequestStats::of(facts, is_grpc));
        match next {
            Next::Reply(reply) => Some(host::send_local_reply(&reply)),
            Next::Forward(Forward { set_cookie, variant, copies, .. }) => {
                if let Some(variant) = variant {
                    worker.metrics.borrow_mut().count(Count::Variant(variant));
                }
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

/// Fails closed.
fn fail_closed(details: &str) -> Action {
    host::send_local_reply(&LocalReply {
        code: 503,
        body: "modelgate cannot decide",
        www_authenticate: None,
        details: details.to_owned(),
        retry_after: None,
        grpc_status: None,
        path: None,
    })
}
