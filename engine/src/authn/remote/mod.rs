//! Key sets that are fetched: Istio's `jwksUri`, through the Envoy cluster in `jwksCluster`.
//!
//! | module | what it does |
//! |---|---|
//! | `source` | whence a set comes, and the request for it |
//! | `schedule` | when to fetch again |
//! | `answer` | what an answer means |
//! | `state` | what is held, and what is under way |
//! | `paused` | the requests that wait for it |
//!
//! Whoever drives it calls, for each set of [`Remotes`] and from a context that outlives requests,
//! [`Remote::is_due`]; sends [`Remote::request`] and says so with [`Remote::started`]; and hands the
//! answer to [`Remote::finished`]. Times are in nanoseconds of one clock.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::config::types::{JwtRule, RemoteJwks};
use crate::config::{Errors, Path};
use crate::few::FewMap;
use crate::time::nanos;

mod answer;
mod paused;
mod schedule;
mod source;
mod state;
#[cfg(test)]
mod tests;

pub use answer::{Answer, FetchResult};
pub use paused::PausedQueue;
pub use source::Source;

use super::jwks::KeySet;
use schedule::Times;
use state::KeyState;

/// Every set that a configuration fetches.
#[derive(Debug)]
pub struct Remotes {
    list: Vec<Remote>,
    times: Times,
    max_bytes: usize,
}

/// One set that is fetched.
#[derive(Debug)]
pub struct Remote {
    source: Source,
    issuer: Box<str>,
    timeout: Duration,
    times: Times,
    max_bytes: usize,
    state: Rc<RefCell<KeyState>>,
}

/// What a fetch brought about.
#[derive(Debug)]
pub struct Fetched {
    /// For `modelgate_jwks_fetches_total`.
    pub result: FetchResult,
    /// What an operator should read in the log; nothing while the same goes on.
    pub line: Option<String>,
}

impl Remotes {
    /// No set yet, to be kept like this.
    pub fn new(settings: &RemoteJwks, path: &Path<'_>, errors: &mut Errors) -> Self {
        schedule::check(settings, path, errors);
        Self { list: Vec::new(), times: Times::new(settings), max_bytes: settings.max_bytes.0 }
    }

    /// Where the set of a rule is, an index for [`get`](Self::get): rules with one source share it.
    /// `None` after an error was recorded.
    pub fn add(&mut self, rule: &JwtRule, path: &Path<'_>, errors: &mut Errors) -> Option<usize> {
        let source = Source::compile(rule, path, errors)?;
        if let Some(at) = self.list.iter().position(|remote| remote.source == source) {
            // The most patient of the rules decides how long a fetch may take.
            if let Some(remote) = self.list.get_mut(at) {
                remote.timeout = remote.timeout.max(rule.timeout);
            }
            return Some(at);
        }
        // A set for any issuer is named after the host that serves it.
        let issuer = rule.issuer.as_deref().filter(|issuer| !issuer.is_empty());
        let issuer = issuer.unwrap_or(source.authority()).into();
        self.list.push(Remote {
            source,
            issuer,
            timeout: rule.timeout,
            times: self.times,
            max_bytes: self.max_bytes,
            state: Rc::default(),
        });
        self.list.len().checked_sub(1)
    }

    /// The set with this index.
    pub fn get(&self, index: usize) -> Option<&Remote> {
        self.list.get(index)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Remote> {
        self.list.iter()
    }
}

impl Remote {
    /// The first issuer whose tokens the set is for, or the host that serves it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whence it comes.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How long a fetch may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The largest answer that is read, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// When to fetch.
    pub fn due(&self, now: u64) -> u64 {
        self.state.borrow().due(now, &self.times)
    }

    /// Whether to fetch now.
    pub fn is_due(&self, now: u64) -> bool {
        self.state.borrow().is_due(now, &self.times)
    }

    /// Says that a fetch is under way.
    pub fn started(&self, now: u64) {
        self.state.borrow_mut().started(now, nanos(self.timeout));
    }

    /// Says that the fetch under way is lost without an answer, and nobody's fault.
    pub fn abandoned(&self) {
        self.state.borrow_mut().abandoned();
    }

    /// Takes an answer; `None` where there will be none. `salt` spreads the next fetch.
    pub fn finished(&self, answer: Option<&Answer<'_>>, now: u64, salt: u64) -> Fetched {
        let mut state = self.state.borrow_mut();
        let late = state.is_late(now, nanos(self.timeout));
        let read = match answer {
            Some(answer) => answer.read(self.max_bytes, late),
            None => Err(answer::Failed::unreachable()),
        };
        let result = read.as_ref().err().map_or(FetchResult::Ok, |failed| failed.result);
        let told = state.finished(read, now, salt);
        let line = told.map(|what| {
            format!("the keys of {} through {}: {what}", self.issuer, self.source.cluster())
        });
        Fetched { result, line }
    }

    /// Asks for another set, because a token names a key that this one lacks. Whether a fetch is due.
    pub fn request_refresh(&self, now: u64) -> bool {
        self.state.borrow_mut().request_refresh(now)
    }

    /// Which set serves now; it changes with the keys. `None` without one.
    pub fn generation(&self, now: u64) -> Option<u64> {
        self.state.borrow().current(now, &self.times).map(|held| held.generation)
    }

    /// The set that serves now.
    pub fn keys(&self, now: u64) -> Option<Rc<KeySet>> {
        self.state.borrow().current(now, &self.times).map(|held| Rc::clone(&held.set))
    }

    /// Whether no set serves, and a fetch is under way or about to be.
    pub fn is_awaited(&self, now: u64) -> bool {
        self.state.borrow().is_awaited(now, &self.times)
    }
}

/// The sets of one worker, for as long as its VM lives: a new configuration finds them here.
#[derive(Debug, Default)]
pub struct KeyStore {
    sets: FewMap<Source, Rc<RefCell<KeyState>>>,
}

impl KeyStore {
    /// Lets a configuration use the sets that are here, and forgets those that nobody uses.
    pub fn share(&mut self, remotes: &mut Remotes) {
        for remote in &mut remotes.list {
            let kept = self.sets.entry(remote.source.clone(), || Rc::clone(&remote.state));
            if let Some(kept) = kept.map(|kept| Rc::clone(kept)) {
                remote.state = kept;
            }
        }
        self.sets.retain(|_, state| Rc::strong_count(state) > 1);
    }
}
