//! The root context (plugin context) of proxy-wasm: takes the configuration, ticks, and gets the answers to
//! callouts.

use std::cell::RefCell;
use std::rc::Rc;

use modelgate_engine::config::Errors;
use modelgate_engine::few::FewMap;
use modelgate_engine::hash::{FNV_BASIS, fnv};
use modelgate_engine::pipeline::Plan;
use modelgate_engine::time::SECOND;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType};

use crate::host::now;
use crate::http::HttpFilter;
use crate::worker::WorkerState;

/// Seconds after which the warnings of the same configuration are logged again: it was loaded anew.
const SAID_AGAIN: u64 = 60;

/// How many warnings of one configuration are logged.
const MOST_WARNINGS: usize = 100;

thread_local! {
    /// Whom the answers to callouts belong to, by root context.
    static CALLERS: RefCell<FewMap<u32, Rc<WorkerState>>> = RefCell::default();
}

/// A root context.
#[derive(Debug)]
pub struct Root {
    id: u32,
    worker: Option<Rc<WorkerState>>,
}

impl Root {
    /// Without a configuration.
    pub fn new(id: u32) -> Self {
        Self { id, worker: None }
    }
}

impl Context for Root {}

impl RootContext for Root {
    /// Takes the configuration; `false` lets Envoy refuse it and keep the one before.
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
        let text = text.ok().flatten().unwrap_or_default();
        let mut errors = Errors::default();
        let plan = Plan::read(&text, &mut errors);
        warn(&text, &errors);
        let Some(plan) = plan else {
            let refused = "the configuration is refused; one before it goes on, if there is one:";
            log::error!("modelgate: {refused}\n{errors}");
            return false;
        };
        // Fetches leave with a tick: while a configuration is only tried out there is none.
        let worker = Rc::new(WorkerState::new(plan));
        CALLERS.with_borrow_mut(|callers| callers.insert(self.id, Rc::clone(&worker)));
        self.worker = Some(worker);
        true
    }

    /// A stream without a configuration is refused.
    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(HttpFilter::new(id, self.worker.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn on_tick(&mut self) {
        if let Some(worker) = &self.worker {
            worker.tick(self.id);
        }
    }
}

/// Takes the answer to a callout: to a JWKS fetch, or of a shadow.
pub fn on_http_call_response(root: u32, token: u32, body_size: usize, trailers: usize) {
    let worker = CALLERS.with_borrow(|callers| callers.get(&root).cloned());
    let Some(worker) = worker else { return };
    if !worker.take_jwks_response(token, body_size) {
        worker.take_shadow_response(token, body_size, trailers);
    }
}

/// The configuration was replaced, or the proxy stops: callouts are lost with this context.
impl Drop for Root {
    fn drop(&mut self) {
        CALLERS.with_borrow_mut(|callers| callers.remove(&self.id));
        if let Some(worker) = &self.worker {
            worker.retire();
        }
    }
}

/// Logs what is to be said of a configuration, once: the main thread reads it twice, and each worker once.
fn warn(text: &[u8], errors: &Errors) {
    if errors.warnings().is_empty() {
        return;
    }
    // Which configuration it is, and when it was read.
    let mark = fnv(FNV_BASIS, text);
    let now = now().wrapping_div(SECOND);
    let value = [mark.to_le_bytes(), now.to_le_bytes()].concat();
    // A host that keeps no data is told each time.
    let before = hostcalls::get_shared_data("modelgate.warned").ok().and_then(|(data, _)| data);
    let before = before.unwrap_or_default();
    let _ = hostcalls::set_shared_data("modelgate.warned", Some(&value), None);
    let (said, when) = before.split_at_checked(8).unwrap_or_default();
    let when = when.try_into().map(u64::from_le_bytes).unwrap_or_default();
    if *said == mark.to_le_bytes() && now.saturating_sub(when) < SAID_AGAIN {
        return;
    }
    for warning in errors.named_warnings().take(MOST_WARNINGS) {
        log::warn!("modelgate: {warning}");
    }
    let more = errors.warnings().len().saturating_sub(MOST_WARNINGS);
    if more > 0 {
        log::warn!("modelgate: {more} warnings more, which modelgate check shows");
    }
}
