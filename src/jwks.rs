//! JWKS fetches: key sets are fetched from the root context, and kept for as long as the VM lives.

use std::cell::RefCell;

use modelgate_engine::authn::remote::{Answer, Fetched, KeyStore};
use modelgate_engine::few::FewMap;
use modelgate_engine::hash::{FNV_BASIS, fnv};
use modelgate_engine::pipeline::Plan;
use modelgate_engine::telemetry::Count;
use proxy_wasm::types::MapType;

use crate::header_map::fields;
use crate::host::{self, now};
use crate::hostcalls;
use crate::paused;
use crate::worker::WorkerState;

thread_local! {
    /// Not in shared data, which every other module of the proxy could write.
    static STORE: RefCell<KeyStore> = RefCell::default();
}

/// The fetches of one worker under one configuration.
#[derive(Debug)]
pub struct JwksFetcher {
    /// Indices of remote sets, by the tokens of their callouts.
    in_flight: RefCell<FewMap<u32, usize>>,
    salt: u64,
}

impl JwksFetcher {
    /// Nothing under way. The configuration gets the sets that another one has fetched.
    pub fn new(plan: &mut Plan) -> Self {
        STORE.with_borrow_mut(|store| plan.share_keys(store));
        // The node's name: gateways that start together do not fetch together for ever.
        let salt = fnv(FNV_BASIS, &host::property_bytes("node\0id").unwrap_or_default());
        Self { in_flight: RefCell::default(), salt }
    }
}

impl WorkerState {
    /// Sends the JWKS fetches that are due. Whether one has failed at once.
    pub fn send_jwks_fetches(&self, now: u64) -> bool {
        let mut has_failed = false;
        for (index, remote) in self.plan.remotes().iter().enumerate() {
            if !remote.is_due(now) {
                continue;
            }
            remote.started(now);
            let timeout = u32::try_from(remote.timeout().as_millis()).unwrap_or(u32::MAX);
            let (source, body) = (remote.source(), []);
            match hostcalls::http_call(source.cluster(), &source.request(), &body, timeout) {
                Ok(token) => {
                    self.jwks.in_flight.borrow_mut().insert(token, index);
                }
                Err(_) => {
                    self.report_fetch(index, remote.finished(None, now, self.jwks.salt));
                    has_failed = true;
                }
            }
        }
        has_failed
    }

    /// Takes the answer to a JWKS fetch; `false` if the callout was none. Requests that wait for keys are
    /// decided with the ticks to come.
    pub fn take_jwks_response(&self, token: u32, body_len: usize) -> bool {
        let Some(index) = self.jwks.in_flight.borrow_mut().remove(&token) else { return false };
        let Some(remote) = self.plan.remotes().get(index) else { return false };
        let headers = hostcalls::header_map(MapType::HttpCallResponseHeaders).unwrap_or_default();
        let wanted = if body_len <= remote.max_bytes() { body_len } else { 0 };
        let body = host::callout_body(wanted);
        let answer = Answer { headers: &fields(&headers), body: &body, body_len };
        let now = now();
        self.report_fetch(index, remote.finished(Some(&answer), now, self.jwks.salt));
        paused::keys_changed();
        self.want_tick(paused::due(now), now);
        true
    }

    /// The answers to what is under way are lost with the root context: others may fetch.
    pub fn abandon_jwks_fetches(&self) {
        for (_, index) in std::mem::take(&mut *self.jwks.in_flight.borrow_mut()).iter() {
            if let Some(remote) = self.plan.remotes().get(*index) {
                remote.abandoned();
            }
        }
    }

    fn report_fetch(&self, index: usize, fetched: Fetched) {
        let count = Count::JwksFetch(u32::try_from(index).unwrap_or(u32::MAX), fetched.result);
        self.metrics.borrow_mut().count(count);
        if let Some(line) = fetched.line {
            log::warn!("modelgate: {}", line.escape_debug());
        }
    }
}
