//! The HTTP context: one request and its response.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use modelgate_engine::authn::Identity;
use modelgate_engine::pipeline::{Decision, Facts, Forward, LocalReply, Next};
use modelgate_engine::request::{Attributes, Request};
use modelgate_engine::shadow::{ExchangeId, Mirror, ShadowObserver};
use modelgate_engine::target::Operation;
use modelgate_engine::telemetry::{Count, ModelLabel, NONE, Verdict};
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::header_map::fields;
use crate::held::{self, Held};
use crate::host::{self, now};
use crate::hostcalls;
use crate::root::Gate;
use crate::shadows::{live_cluster, live_head};

/// The SDK's handle of a stream; what holds the stream has another.
#[derive(Debug)]
pub struct Http(Rc<RefCell<Stream>>);

impl Http {
    /// A stream under this configuration; without one it will be refused.
    pub fn new(id: u32, gate: Option<Rc<Gate>>) -> Self {
        Self(Rc::new_cyclic(|this| RefCell::new(Stream::new(id, Weak::clone(this), gate))))
    }
}

impl Context for Http {}

impl HttpContext for Http {
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
impl Drop for Http {
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
    gate: Option<Rc<Gate>>,
    request: Option<Counted>,
    /// What the response has yet to carry.
    set_cookie: Option<Vec<u8>>,
    /// The pairs that this request feeds.
    pairs: Vec<ExchangeId>,
    held: Option<Held>,
}

/// What is known of a request once it is decided, until it is counted.
#[derive(Debug)]
struct Counted {
    verdict: Verdict,
    model: Option<Rc<str>>,
    operation: Option<Operation>,
    is_grpc: bool,
}

impl Counted {
    fn of(facts: Facts, is_grpc: bool) -> Self {
        let Facts { verdict, model, operation, .. } = facts;
        Self { verdict, model, operation, is_grpc }
    }
}

impl Stream {
    fn new(id: u32, this: Weak<RefCell<Self>>, gate: Option<Rc<Gate>>) -> Self {
        Self { id, this, gate, request: None, set_cookie: None, pairs: Vec::new(), held: None }
    }

    fn request_headers(&mut self, end_of_stream: bool) -> Action {
        self.decide(end_of_stream, false)
    }

    /// Decides, or holds the request until keys come. A held one whose time is `over` is decided.
    fn decide(&mut self, end_of_stream: bool, over: bool) -> Action {
        let Some(gate) = &self.gate else {
            return refuse("modelgate_no_configuration");
        };
        let Ok(map) = hostcalls::header_map(MapType::HttpRequestHeaders) else {
            return refuse("modelgate_no_headers");
        };
        let mut headers = fields(&map);
        let came_with = self.held.as_mut().and_then(|held| held.path.take());
        let path = headers.iter_mut().find(|(name, _)| *name == b":path");
        if let Some((line, before)) = path.zip(came_with.as_deref()) {
            line.1 = before;
        }
        let attributes = Attributes::new(&gate.proxy);
        let request = Request::new(&headers, &attributes);
        let decision = {
            let admits = |shadow| gate.shadowing.admits(shadow, attributes.now());
            gate.plan.decide(&request, &mut gate.cache.borrow_mut(), admits)
        };
        let Decision { facts, next } = decision;
        let wait = facts.lack.and_then(|lack| gate.wait_for(lack)).filter(|_| !over);
        if let Some(wait) = wait
            && (self.held.is_some() || held::hold(self.id, &self.this))
        {
            // A client that does not wait as long is counted as what it is so far.
            let facts = Facts { verdict: Verdict::Unauthenticated, ..facts };
            self.request = Some(Counted::of(facts, request.is_grpc()));
            let until = attributes.now().saturating_add(wait);
            let held = Held { until, path: None, end_of_stream, missed_body: false };
            let held = self.held.get_or_insert(held);
            held.path = match &came_with {
                None => host::hide_path(gate.plan.shown_path(&request), request.path),
                before => before.clone(),
            };
            gate.hurry();
            return Action::Pause;
        }
        held::release(self.id);
        let missed_body = self.held.take().is_some_and(|held| held.missed_body);
        gate.count(&facts);
        if gate.plan.writes_access_log() {
            write_access_log(gate, &facts, &next);
        }
        let counted = self.request.insert(Counted::of(facts, request.is_grpc()));
        let Forward { edits, set_cookie, copies } = match next {
            Next::Forward(forward) => forward.with_path(came_with.as_deref()),
            Next::Reply(reply) => return host::reply(&reply),
        };
        if host::apply(&edits, &request).is_err() {
            counted.verdict = Verdict::Error;
            let _ = host::hide_path(gate.plan.shown_path(&request), request.path);
            return refuse("modelgate_unwritable_headers");
        }
        self.set_cookie = set_cookie;
        if !copies.is_empty() && !gate.is_retired() && !missed_body {
            let now = attributes.now();
            self.pairs = gate.shadowing.begin(&gate.plan, &gate.meter, copies, now);
        }
        if end_of_stream {
            self.request_complete();
        }
        Action::Continue
    }

    /// Decides a held request again, if that may end otherwise. Called with this stream as the
    /// effective context.
    pub fn wake(&mut self, changed: bool) {
        let Some(held) = &self.held else { return };
        let over = now() >= held.until;
        if !(changed || over) {
            return;
        }
        if self.decide(held.end_of_stream, over) == Action::Continue {
            // A stream that is gone has nothing to continue.
            let _ = sdk::resume_http_request();
        }
    }

    /// The end of a request with trailers, which lose what only headers may say. The upstream has the
    /// rest of the request already: what cannot be cleaned ends the stream.
    fn request_trailers(&mut self) -> Action {
        if self.clean_trailers().is_none() {
            return refuse("modelgate_unwritable_trailers");
        }
        self.request_body(0, true)
    }

    fn clean_trailers(&self) -> Option<()> {
        let gate = self.gate.as_ref()?;
        let excluded = self.request.as_ref().is_some_and(|r| r.verdict == Verdict::Excluded);
        let map = hostcalls::header_map(MapType::HttpRequestTrailers).ok()?;
        for (name, _) in fields(&map) {
            if gate.plan.drops_trailer(name, excluded) {
                hostcalls::remove_header(MapType::HttpRequestTrailers, name).ok()?;
            }
        }
        Some(())
    }

    /// A body that comes while its request is held would take the headers along past this filter.
    fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if let Some(held) = &mut self.held {
            held.missed_body = true;
            return Action::Pause;
        }
        if let Some(chunk) = self.chunk(BufferType::HttpRequestBody, size) {
            let now = now();
            self.each_pair(|mirror, id, observer| mirror.request_chunk(id, &chunk, now, observer));
        }
        let is_whole = |gate: &Rc<Gate>| gate.shadowing.is_whole(&self.pairs);
        if !self.pairs.is_empty() && (end_of_stream || self.gate.as_ref().is_some_and(is_whole)) {
            self.request_complete();
        }
        Action::Continue
    }

    fn response_headers(&mut self, end_of_stream: bool) {
        if let Some(cookie) = self.set_cookie.take() {
            // A response that takes no cookie is still an answer.
            let _ = hostcalls::add_header(MapType::HttpResponseHeaders, b"set-cookie", &cookie);
        }
        if !self.collects() {
            return;
        }
        match live_head() {
            Some(head) => {
                let now = now();
                self.each_pair(|mirror, id, observer| mirror.live_head(id, &head, now, observer));
            }
            None => self.each_pair(|mirror, id, observer| mirror.live_failed(id, observer)),
        }
        if end_of_stream {
            self.live_complete();
        }
    }

    fn response_body(&mut self, size: usize, end_of_stream: bool) {
        if let Some(chunk) = self.chunk(BufferType::HttpResponseBody, size) {
            self.each_pair(|mirror, id, observer| mirror.live_chunk(id, &chunk, observer));
        }
        if end_of_stream {
            self.live_complete();
        }
    }

    fn response_trailers(&mut self) {
        if !self.collects() {
            return;
        }
        let map = hostcalls::header_map(MapType::HttpResponseTrailers).unwrap_or_default();
        let trailers = fields(&map);
        self.each_pair(|mirror, id, _| mirror.live_trailers(id, &trailers));
        self.live_complete();
    }

    /// The end of the stream: the request is counted, and its pairs hear that nothing more comes.
    fn log(&mut self) {
        if self.held.take().is_some() {
            held::release(self.id);
        }
        if !self.pairs.is_empty() {
            let awaits = |gate: &Rc<Gate>| gate.shadowing.awaits_live(&self.pairs);
            let broke_off = self.gate.as_ref().is_some_and(awaits)
                && host::text("response\0code_details")
                    .is_some_and(|details| details.starts_with(b"upstream_reset"));
            self.each_pair(|mirror, id, observer| {
                if broke_off {
                    mirror.live_failed(id, observer);
                }
                mirror.closed(id, observer);
            });
            self.pairs.clear();
        }
        let (Some(gate), Some(request)) = (&self.gate, self.request.take()) else { return };
        let mut meter = gate.meter.borrow_mut();
        let model = request.model.as_deref().map_or(ModelLabel::NONE, |id| {
            meter.model(id, || is_answered_with_2xx(request.is_grpc))
        });
        meter.count(Count::Request(model, request.operation, request.verdict));
        drop(meter);
        if gate.is_retired() {
            gate.flush();
        }
    }

    fn request_complete(&mut self) {
        if self.collects() {
            let (live, now) = (live_cluster(), now());
            self.tell(|mirror, observer| {
                mirror.request_complete(&self.pairs, live.as_deref(), now, observer);
            });
        }
    }

    fn live_complete(&mut self) {
        if self.collects() {
            let now = now();
            self.each_pair(|mirror, id, observer| mirror.live_complete(id, now, observer));
        }
    }

    /// Whether a shadow still wants to hear of this stream.
    fn collects(&self) -> bool {
        !self.pairs.is_empty()
            && self.gate.as_ref().is_some_and(|gate| gate.shadowing.is_open(&self.pairs))
    }

    /// The chunk at hand, if a shadow wants it.
    fn chunk(&self, buffer: BufferType, size: usize) -> Option<Vec<u8>> {
        if size == 0 || !self.collects() {
            return None;
        }
        sdk::get_buffer(buffer, 0, size).ok()?
    }

    fn each_pair(&self, mut event: impl FnMut(&mut Mirror, ExchangeId, &mut dyn ShadowObserver)) {
        self.tell(|mirror, observer| self.pairs.iter().for_each(|id| event(mirror, *id, observer)));
    }

    fn tell(&self, event: impl FnOnce(&mut Mirror, &mut dyn ShadowObserver)) {
        if let Some(gate) = self.gate.as_ref().filter(|_| !self.pairs.is_empty()) {
            gate.shadowing.tell(&gate.plan, &gate.meter, event);
        }
    }
}

/// Filter state for access logs: `%FILTER_STATE(wasm.modelgate.model:PLAIN)%` and so on.
fn write_access_log(gate: &Gate, facts: &Facts, next: &Next) {
    let shadows = gate.plan.shadows();
    let copies = match next {
        Next::Forward(forward) => forward.copies.as_slice(),
        Next::Reply(_) => &[],
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
        ("modelgate.policy", facts.policy.map_or("", |policy| gate.plan.policy_name(policy))),
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
    host::integer("response\0code").is_some_and(|code| (200..300).contains(&code))
        && (!is_grpc || host::integer("response\0grpc_status") == Some(0))
        && host::text("response\0code_details").is_some_and(|details| details == b"via_upstream")
}

/// Fails closed.
fn refuse(details: &str) -> Action {
    host::reply(&LocalReply {
        code: 503,
        body: "modelgate cannot decide",
        www_authenticate: None,
        details: details.to_owned(),
        grpc_status: None,
        path: None,
    })
}
