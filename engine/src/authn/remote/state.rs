//! What is held of a remote key set, and what is under way: never had, fresh, or stale.

use std::rc::Rc;

use super::super::jwks::KeySet;
use super::answer::{Failed, Good};
use super::schedule::{self, ASK_EVERY, GRACE, Times};
use crate::time::{self, has_passed};

/// The state of one set in one worker. It knows no settings, which change with the configuration.
#[derive(Debug, Default)]
pub struct KeyState {
    held: Option<Held>,
    /// Counts the sets that differ from the one before.
    generation: u64,
    under_way: Option<Fetch>,
    /// The last attempts, if they failed.
    failing: Option<Failing>,
    /// When a token last brought a fetch forward.
    asked: Option<u64>,
    /// A token has brought the next fetch forward.
    wanted: bool,
    /// What was last said of the keys.
    said: Option<String>,
}

/// A set.
#[derive(Debug)]
pub struct Held {
    /// Its keys.
    pub set: Rc<KeySet>,
    /// From 1 on; another number, other keys.
    pub generation: u64,
    fetched: u64,
    max_age: Option<u64>,
    spread: u64,
}

#[derive(Debug)]
struct Fetch {
    since: u64,
    timeout: u64,
}

#[derive(Debug)]
struct Failing {
    since: u64,
    count: u32,
    wait: u64,
    what: String,
}

impl KeyState {
    /// When to fetch: at the start, at the set's age, when a token asked for it, and in growing
    /// distances while it fails. Never while a fetch is under way, unless its answer got lost.
    pub fn due(&self, now: u64, times: &Times) -> u64 {
        if let Some(lost) = self.lost(now).filter(|lost| *lost > now) {
            return lost;
        }
        match (&self.failing, &self.held) {
            (Some(failing), _) => time::due(failing.since, failing.wait, now),
            (None, Some(held)) if !self.wanted => {
                time::due(held.fetched, times.age(held.max_age, held.spread), now)
            }
            (None, _) => now,
        }
    }

    /// Whether to fetch now.
    pub fn is_due(&self, now: u64, times: &Times) -> bool {
        self.due(now, times) <= now
    }

    fn is_under_way(&self, now: u64) -> bool {
        self.lost(now).is_some_and(|lost| lost > now)
    }

    /// When the answer to the fetch under way is believed to be lost.
    fn lost(&self, now: u64) -> Option<u64> {
        let fetch = self.under_way.as_ref()?;
        Some(time::due(fetch.since, fetch.timeout.saturating_add(GRACE), now))
    }

    /// The set that serves, if it is not too old. (A clock that was set back makes no set old.)
    pub fn current(&self, now: u64, times: &Times) -> Option<&Held> {
        self.held.as_ref().filter(|held| now.saturating_sub(held.fetched) <= times.max_stale)
    }

    /// Whether no set serves, and a fetch is under way or due.
    pub fn is_awaited(&self, now: u64, times: &Times) -> bool {
        self.current(now, times).is_none() && (self.is_under_way(now) || self.is_due(now, times))
    }

    /// A fetch was sent.
    pub fn started(&mut self, now: u64, timeout: u64) {
        self.under_way = Some(Fetch { since: now, timeout });
        self.wanted = false;
    }

    /// The context that sent the fetch is gone, and the answer with it.
    pub fn abandoned(&mut self) {
        self.under_way = None;
    }

    /// Whether the fetch under way has taken its timeout.
    pub fn is_late(&self, now: u64, timeout: u64) -> bool {
        self.under_way.as_ref().is_some_and(|fetch| has_passed(now, fetch.since, timeout))
    }

    /// The fetch is over. What should be in the log, if that is news.
    pub fn finished(&mut self, read: Result<Good, Failed>, now: u64, salt: u64) -> Option<String> {
        self.under_way = None;
        let spread = schedule::spread(now, salt);
        let good = match read {
            Ok(good) => good,
            Err(failed) => return self.failed(failed.what, now, spread),
        };
        let failed_before = self.failing.take().is_some();
        let same = self.held.take().filter(|held| *held.set == good.set);
        let set = match same {
            Some(held) => held.set,
            None => {
                self.generation = self.generation.saturating_add(1);
                Rc::new(good.set)
            }
        };
        let (generation, max_age) = (self.generation, good.max_age);
        self.held = Some(Held { set, generation, fetched: now, max_age, spread });
        // Not what the keys are, but what is said of them: a key that is left out is not in the set.
        let is_news = good.remarks != self.said;
        self.said = good.remarks;
        match &self.said {
            Some(said) if is_news => Some(said.clone()),
            _ => failed_before.then(|| "fetched again".to_owned()),
        }
    }

    fn failed(&mut self, what: String, now: u64, spread: u64) -> Option<String> {
        let before = self.failing.take();
        let count = before.as_ref().map_or(0, |f| f.count).saturating_add(1);
        let is_news = before.is_none_or(|failing| failing.what != what);
        let serves = match self.held {
            Some(_) => "those fetched before serve on, for jwks.maxStale at most",
            None => "until there are some, their tokens are refused",
        };
        let line = is_news.then(|| format!("not fetched: {what}; {serves}"));
        let wait = schedule::wait_after_failures(count, spread);
        self.failing = Some(Failing { since: now, count, wait, what });
        line
    }

    /// A token names a key that the set lacks: the set is fetched before its age, unless that was
    /// done lately or fetches fail. Whether a fetch is due now.
    pub fn request_refresh(&mut self, now: u64) -> bool {
        let lately = self.asked.is_some_and(|asked| !has_passed(now, asked, ASK_EVERY));
        if self.held.is_none() || self.failing.is_some() || self.is_under_way(now) || lately {
            return false;
        }
        self.asked = Some(now);
        self.wanted = true;
        true
    }
}
