//! A request whose body names the model: its bytes are kept back until the model is known. The proxy buffers none of
//! them, so that its own limits (1 MiB, or 32 KiB) do not hold for prompts.

use std::rc::Rc;

use modelgate_engine::body::ModelReader;
use modelgate_engine::pipeline::{AwaitedModel, Decision, Facts};
use modelgate_engine::request::{Attributes, Request};
use proxy_wasm::types::Bytes;

use crate::header_map::fields;
use crate::worker::WorkerState;

/// The body of such a request, as far as it has come.
#[derive(Debug)]
pub struct BodyReader {
    pub model: ModelReader,
    /// What is there of the request until it is decided.
    pub waiting: Option<Box<Waiting>>,
    /// Whether it is answered if more of the body turns out to be wrong.
    pub is_enforced: bool,
}

/// A request whose headers have gone on, and whose model is not known yet.
pub struct Waiting {
    pub awaited: AwaitedModel,
    pub facts: Facts,
    /// The headers as they came.
    head: Bytes,
    /// The path that the request came with, where they show another one.
    path: Option<Vec<u8>>,
    pub body: Vec<u8>,
    account: Account,
}

impl std::fmt::Debug for Waiting {
    /// Never shows headers or bodies.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("body", &self.body.len()).finish_non_exhaustive()
    }
}

/// Bytes of one request among those of its worker.
struct Account {
    worker: Rc<WorkerState>,
    bytes: usize,
}

impl BodyReader {
    /// Nothing of the body is there yet.
    pub fn new(waiting: Waiting) -> Self {
        let is_enforced = waiting.awaited.keeps_body;
        Self { model: ModelReader::default(), waiting: Some(Box::new(waiting)), is_enforced }
    }
}

impl Waiting {
    /// A request with these headers, which are kept as well; the facts are left if that were too much.
    pub fn new(
        worker: &Rc<WorkerState>,
        awaited: AwaitedModel,
        facts: Facts,
        head: Bytes,
        path: Option<Vec<u8>>,
    ) -> Result<Self, Facts> {
        let mut account = Account { worker: Rc::clone(worker), bytes: 0 };
        match account.take(head.len(), Share::Head) {
            true => Ok(Self { awaited, facts, head, path, body: Vec::new(), account }),
            false => Err(facts),
        }
    }

    /// Keeps a chunk back; `false` if that were too much.
    pub fn keep(&mut self, chunk: &[u8]) -> bool {
        let needed = self.body.len().saturating_add(chunk.len());
        if let Some(least) = needed.checked_sub(self.body.capacity()).filter(|least| *least > 0) {
            // As much again, so that the whole is not moved for each chunk. What is counted is what is had.
            let most = least.max(self.body.capacity());
            let Some(more) =
                [most, least].into_iter().find(|more| self.account.take(*more, Share::Body))
            else {
                return false;
            };
            let room = self.body.capacity().saturating_sub(self.body.len());
            self.body.reserve_exact(room.saturating_add(more));
        }
        self.body.extend_from_slice(chunk);
        true
    }

    /// Decides about the request, whose body names this model. What was kept back is left.
    pub fn decide(self, worker: &WorkerState, model: &str) -> (Decision, Vec<u8>) {
        let mut headers = fields(&self.head);
        let path = headers.iter_mut().find(|(name, _)| *name == b":path");
        if let Some((line, before)) = path.zip(self.path.as_deref()) {
            line.1 = before;
        }
        let attributes = Attributes::new(&worker.proxy);
        let request = Request::new(&headers, &attributes);
        let admits = |shadow| worker.mirror.borrow().admits(shadow, attributes.now());
        let decision = worker.plan.decide_model(&request, &self.awaited, model, self.facts, admits);
        (decision, self.body)
    }
}

/// Of what all requests may have together, a quarter is for headers alone: bodies that wait keep nobody out who
/// names the model first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Head,
    Body,
}

impl Account {
    /// Takes so many bytes more; `false` if that were too many.
    fn take(&mut self, bytes: usize, share: Share) -> bool {
        let (most, total) = self.worker.plan.kept_bytes();
        let total = if share == Share::Head { total } else { total.saturating_sub(total / 4) };
        let own = self.bytes.saturating_add(bytes);
        let all = self.worker.kept.get().saturating_add(bytes);
        let fits = own <= most && all <= total;
        if fits {
            self.bytes = own;
            self.worker.kept.set(all);
        }
        fits
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.worker.kept.set(self.worker.kept.get().saturating_sub(self.bytes));
    }
}
