//! What the streams of one worker share under one configuration, and its tick.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use modelgate_engine::authn::{MissingKeys, TokenCache};
use modelgate_engine::pipeline::{Decision, Facts, Plan};
use modelgate_engine::shadow::Mirror;
use modelgate_engine::telemetry::{Count, QuotaResult};
use modelgate_engine::tick::TickSchedule;
use modelgate_engine::time::nanos;
use proxy_wasm::hostcalls;

use crate::host::{Proxy, now};
use crate::jwks::JwksFetcher;
use crate::metrics::Metrics;
use crate::paused;
use crate::quotas::SharedCounts;

/// One worker under one configuration: the compiled settings, and all state that is not a stream's own.
#[derive(Debug)]
pub struct WorkerState {
    pub plan: Plan,
    pub proxy: Proxy,
    pub token_cache: RefCell<TokenCache>,
    pub metrics: RefCell<Metrics>,
    /// The exchanges with shadows.
    pub mirror: RefCell<Mirror>,
    pub jwks: JwksFetcher,
    /// What quotas count.
    pub counts: SharedCounts,
    /// Bytes of requests that are kept back until their body has named the model.
    pub kept: Cell<usize>,
    ticks: TickSchedule,
    /// The configuration was replaced: nobody ticks any more.
    retired: Cell<bool>,
}

impl WorkerState {
    /// Nothing under way. The first tick comes when something is due.
    pub fn new(mut plan: Plan) -> Self {
        let now = now();
        let worker = Self {
            jwks: JwksFetcher::new(&mut plan),
            proxy: Proxy::default(),
            token_cache: RefCell::new(plan.token_cache()),
            metrics: RefCell::new(Metrics::new(&plan, now)),
            mirror: RefCell::new(Mirror::new(plan.shadows().clone())),
            counts: SharedCounts::new(),
            kept: Cell::new(0),
            ticks: TickSchedule::default(),
            retired: Cell::new(false),
            plan,
        };
        worker.schedule(now);
        worker
    }

    /// Does what is due, and says when the next tick is to come. Called in a tick of this root context.
    pub fn tick(&self, root: u32) {
        let now = now();
        if self.send_jwks_fetches(now) {
            paused::keys_changed();
        }
        self.send_copies(now);
        paused::wake(root, now);
        if self.metrics.borrow().due(now) <= now {
            self.flush();
        }
        self.schedule(now);
    }

    /// At the end of a tick, when the next comes: when the first is due of paused requests, the mirror, metrics and key
    /// sets. [`want_tick`](Self::want_tick) only brings it forward.
    fn schedule(&self, now: u64) {
        let mut due =
            paused::due(now).min(self.mirror.borrow().due()).min(self.metrics.borrow().due(now));
        for remote in self.plan.remotes().iter() {
            due = due.min(remote.due(now));
        }
        if let Some(period) = self.ticks.ticked(due, now) {
            set_tick_period(period);
        }
    }

    /// Asks for a tick by this time, in the callback of the root context or of one of its streams.
    pub fn want_tick(&self, due: u64, now: u64) {
        if !self.is_retired()
            && let Some(period) = self.ticks.want(due, now)
        {
            set_tick_period(period);
        }
    }

    /// How long a request may wait for the keys that its token needs, in nanoseconds. Keys that cannot be
    /// waited for are fetched all the same, for requests to come.
    pub fn wait_for(&self, keys: MissingKeys) -> Option<u64> {
        if keys.wait.is_none() {
            let now = now();
            if self.plan.remotes().get(keys.remote)?.request_refresh(now) {
                self.want_tick(now, now);
            }
        }
        keys.wait.map(nanos)
    }

    /// Counts a request in its quotas, and says what became of it.
    #[inline(never)]
    pub fn limit(&self, decision: &mut Decision) {
        self.plan.limit(decision, &self.counts, now());
        let mut metrics = self.metrics.borrow_mut();
        if let Some(exceeded) = decision.facts.exceeded {
            metrics.count(Count::Quota(exceeded.quota, QuotaResult::Limited));
        } else if let Some(forward) = decision.forward() {
            for count in &forward.counts {
                metrics.count(Count::Quota(count.quota, QuotaResult::Allowed));
            }
        }
    }

    /// Counts what tokens and policies contribute.
    pub fn count(&self, facts: &Facts) {
        let mut metrics = self.metrics.borrow_mut();
        for (result, times) in facts.tokens.iter() {
            metrics.add(Count::Token(result), times);
        }
        if facts.unwritable_claims > 0 {
            metrics.add(Count::UnwritableClaim, facts.unwritable_claims);
        }
        for (policy, effect) in &facts.effects {
            metrics.count(Count::Policy(self.plan.policy_label(*policy), *effect));
        }
    }

    /// Hands all pending counts to the proxy.
    pub fn flush(&self) {
        self.report_gauges();
        self.metrics.borrow_mut().flush(&self.plan, now());
    }

    /// The root context goes, and with it the answers to all callouts.
    pub fn retire(&self) {
        self.retired.set(true);
        self.abandon_jwks_fetches();
        self.drain_exchanges();
        self.flush();
    }

    /// Whether nobody will tick for this configuration again.
    pub fn is_retired(&self) -> bool {
        self.retired.get()
    }
}

fn set_tick_period(millis: u32) {
    // The proxy always carries it out.
    let _ = hostcalls::set_tick_period(Duration::from_millis(millis.into()));
}
