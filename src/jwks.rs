//! Fetches key sets from the root context, and keeps them for as long as the VM lives.

use std::cell::RefCell;

use modelgate_engine::authn::remote::{Answer, Fetched, KeyStore};
use modelgate_engine::few::FewMap;
use modelgate_engine::hash::{FNV_BASIS, fnv};
use modelgate_engine::pipeline::Plan;
use modelgate_engine::telemetry::Count;
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::types::{BufferType, MapType};

use crate::header_map::fields;
use crate::host::{self, now};
use crate::hostcalls;
use crate::metrics::Metrics;

thread_local! {
    /// Not in shared data, which every other module of the proxy could write.
    static STORE: RefCell<KeyStore> = RefCell::default();
}

/// The fetches of one worker under one configuration.
#[derive(Debug)]
pub struct JwksFetcher {
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

    /// Sends the fetches that are due. Whether one has failed at once.
    pub fn send_due(&self, plan: &Plan, metrics: &RefCell<Metrics>, now: u64) -> bool {
        let mut changed = false;
        for (index, remote) in plan.remotes().iter().enumerate() {
            if !remote.is_due(now) {
                continue;
            }
            remote.started(now);
            let timeout = u32::try_from(remote.timeout().as_millis()).unwrap_or(u32::MAX);
            let (source, body) = (remote.source(), []);
            match hostcalls::http_call(source.cluster(), &source.request(), &body, timeout) {
                Ok(token) => {
                    self.in_flight.borrow_mut().insert(token, index);
                }
                Err(_) => {
                    report(metrics, index, remote.finished(None, now, self.salt));
                    changed = true;
                }
            }
        }
        changed
    }

    /// Takes the answer to a fetch; `false` if the callout was none.
    pub fn answered(
        &self,
        plan: &Plan,
        metrics: &RefCell<Metrics>,
        token: u32,
        body_len: usize,
    ) -> bool {
        let Some(index) = self.in_flight.borrow_mut().remove(&token) else { return false };
        let Some(remote) = plan.remotes().get(index) else { return false };
        let headers = hostcalls::header_map(MapType::HttpCallResponseHeaders).unwrap_or_default();
        let body = match body_len {
            1.. if body_len <= remote.max_bytes() => {
                let body = sdk::get_buffer(BufferType::HttpCallResponseBody, 0, body_len);
                body.ok().flatten().unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let answer = Answer { headers: &fields(&headers), body: &body, body_len };
        let fetched = remote.finished(Some(&answer), now(), self.salt);
        report(metrics, index, fetched);
        true
    }

    /// The answers to what is under way are lost with this context: others may fetch.
    pub fn abandon(&self, plan: &Plan) {
        for (_, index) in std::mem::take(&mut *self.in_flight.borrow_mut()).iter() {
            if let Some(remote) = plan.remotes().get(*index) {
                remote.abandoned();
            }
        }
    }
}

fn report(metrics: &RefCell<Metrics>, index: usize, fetched: Fetched) {
    let count = Count::JwksFetch(u32::try_from(index).unwrap_or(u32::MAX), fetched.result);
    metrics.borrow_mut().count(count);
    if let Some(line) = fetched.line {
        log::warn!("modelgate: {}", line.escape_debug());
    }
}
