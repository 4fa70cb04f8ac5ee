//! A root context: one worker's view of one configuration.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use modelgate_engine::authn::{MissingKeys, TokenCache};
use modelgate_engine::config::Errors;
use modelgate_engine::few::FewMap;
use modelgate_engine::hash::{FNV_BASIS, fnv};
use modelgate_engine::pipeline::{Facts, Plan};
use modelgate_engine::telemetry::Count;
use modelgate_engine::time::{SECOND, nanos};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType};

use crate::host::{Proxy, now};
use crate::http::HttpFilter;
use crate::jwks::JwksFetcher;
use crate::metrics::Metrics;
use crate::paused;
use crate::shadows::Shadows;

/// How often counts are handed to the proxy, in milliseconds.
const FLUSH: u32 = 1000;

/// Seconds after which the warnings of the same configuration are logged again: it was loaded anew.
const SAID_AGAIN: u64 = 60;

/// How many warnings of one configuration are logged.
const MOST_WARNINGS: usize = 100;

/// How soon a fetch of keys is sent, in milliseconds.
const SOON: u32 = 1;

/// What the streams of one worker share under one configuration.
#[derive(Debug)]
pub struct WorkerState {
    pub plan: Plan,
    pub proxy: Proxy,
    pub cache: RefCell<TokenCache>,
    pub metrics: RefCell<Metrics>,
    pub shadows: Shadows,
    pub jwks: JwksFetcher,
    flushed: Cell<u64>,
    /// How often it ticks, as far as keys and counts want it.
    period: Cell<u32>,
    /// The configuration was replaced: nobody ticks any more.
    retired: Cell<bool>,
}

thread_local! {
    /// Whom the answers to callouts belong to.
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
        let Some(mut plan) = plan else {
            let refused = "the configuration is refused; one before it goes on, if there is one:";
            log::error!("modelgate: {refused}\n{errors}");
            return false;
        };
        let jwks = JwksFetcher::new(&mut plan);
        // Fetches leave with a tick: while a configuration is only tried out there is none.
        let fetches = plan.remotes().iter().next().is_some();
        let period = if fetches { SOON } else { FLUSH };
        let worker = Rc::new(WorkerState {
            jwks,
            proxy: Proxy::default(),
            cache: RefCell::new(plan.token_cache()),
            metrics: RefCell::new(Metrics::new(&plan)),
            shadows: Shadows::new(&plan),
            flushed: Cell::new(0),
            period: Cell::new(period),
            retired: Cell::new(false),
            plan,
        });
        CALLERS.with_borrow_mut(|callers| callers.insert(self.id, Rc::clone(&worker)));
        self.worker = Some(worker);
        tick_every(period);
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
        self.send_due();
        paused::wake(self.id);
    }
}

impl Root {
    /// Sends what is due, and says when the next tick comes.
    fn send_due(&self) {
        let Some(worker) = &self.worker else { return };
        let now = now();
        if worker.jwks.send_due(&worker.plan, &worker.metrics, now) {
            paused::ready();
        }
        let hurried = worker.shadows.dispatch(&worker.plan, &worker.metrics, now);
        // Every copy that was queued is on its way, or has its outcome.
        let period = match paused::any() {
            _ if paused::any_ready() || worker.shadows.is_hurried() => SOON,
            true => paused::LOOK,
            false if worker.shadows.is_behind() => paused::LOOK,
            false => FLUSH,
        };
        if worker.period.replace(period) != period || hurried {
            tick_every(period);
        }
        if now.saturating_sub(worker.flushed.get()) >= u64::from(FLUSH).saturating_mul(1_000_000) {
            worker.flushed.set(now);
            worker.flush();
        }
    }
}

/// Takes the answer to a callout. Who is paused is woken with the ticks to come.
pub fn answered(root: u32, token: u32, body_size: usize, trailers: usize) {
    let worker = CALLERS.with_borrow(|callers| callers.get(&root).cloned());
    let Some(worker) = worker else { return };
    if !worker.jwks.answered(&worker.plan, &worker.metrics, token, body_size) {
        worker.shadows.answered(&worker.plan, &worker.metrics, token, body_size, trailers);
    } else if paused::any() {
        paused::ready();
        worker.hurry();
    }
}

/// So often, in milliseconds, in the callback of a root context or of one of its streams.
pub fn tick_every(period: u32) {
    // The proxy always carries it out.
    let _ = hostcalls::set_tick_period(Duration::from_millis(period.into()));
}

/// The configuration was replaced, or the proxy stops: callouts are lost with this context.
impl Drop for Root {
    fn drop(&mut self) {
        CALLERS.with_borrow_mut(|callers| callers.remove(&self.id));
        if let Some(worker) = &self.worker {
            worker.retired.set(true);
            worker.jwks.abandon(&worker.plan);
            worker.shadows.drain(&worker.plan, &worker.metrics);
            worker.flush();
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

impl WorkerState {
    /// How long a request may wait for the keys that its token lacks, in nanoseconds. Keys that
    /// cannot be waited for are fetched all the same, for requests to come.
    pub fn wait_for(&self, missing_keys: MissingKeys) -> Option<u64> {
        if missing_keys.wait.is_none() {
            let remote = self.plan.remotes().get(missing_keys.remote)?;
            if remote.request_refresh(now()) {
                self.hurry();
            }
        }
        missing_keys.wait.map(nanos)
    }

    /// Counts what tokens and policies contribute.
    pub fn count(&self, facts: &Facts) {
        let mut metrics = self.metrics.borrow_mut();
        for (result, times) in facts.tokens.iter() {
            for _ in 0..times {
                metrics.count(Count::Token(result));
            }
        }
        for (policy, effect) in &facts.effects {
            metrics.count(Count::Policy(self.plan.policy_label(*policy), *effect));
        }
    }

    /// Asks for a tick soon, once: to ask again would start the host's timer anew, and requests
    /// that come faster than it runs would put it off for ever.
    pub fn hurry(&self) {
        if self.period.replace(SOON) != SOON {
            tick_every(SOON);
        }
    }

    /// Whether nobody will tick for this configuration again.
    pub fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// Hands all pending counts to the proxy.
    pub fn flush(&self) {
        self.shadows.report(&self.plan, &self.metrics);
        self.metrics.borrow_mut().flush(&self.plan);
    }
}
