//! An access log of any length, line by line, in bounded memory: which requests are decided, routed or copied otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use super::judge::{Assumptions, BODY, Judge, Judged};
use crate::ask::access_log::{self, Logged};
use crate::ask::configuration::Configuration;
use crate::ask::json::{host, path};
use crate::ask::time;

/// Bytes that a worker gets at once.
const CHUNK: usize = 1 << 20;

/// The longest line that is read.
const LONGEST: usize = 1 << 16;

/// Groups that are told apart; what comes later is counted together.
const MOST_GROUPS: usize = 2_000;

/// Callers of a group that are told apart.
const MOST_CALLERS: usize = 200;

/// Examples of a group.
const EXAMPLES: usize = 3;

/// The longest text that is kept of a line.
const KEPT: usize = 200;

/// Why a line cannot be judged that is none.
const UNREADABLE: &str = "no line of an access log that can be read";

/// What groups have in common when there are too many.
pub const OTHERS: &str = "(others)";

/// In what way a request differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Another verdict, or another answer.
    Decided,
    /// Another model, operation, address or variant.
    Routed,
    /// Other shadows, or another share for them.
    Copied,
}

impl Way {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Routed => "routed",
            Self::Copied => "copied",
        }
    }
}

/// What requests of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// How they differ.
    pub way: Way,
    /// The model, by the old configuration or else the new one.
    pub model: String,
    /// The operation, likewise.
    pub operation: String,
    /// The policies that decide.
    pub policies: [String; 2],
    /// What becomes of them.
    pub outcomes: [String; 2],
}

/// How many there are, and some of them.
#[derive(Debug, Clone, Default)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// Of whom; empty where the line names nobody.
    pub callers: BTreeMap<String, u64>,
    /// Line and request of the first ones.
    pub examples: BTreeMap<u64, String>,
    /// What policies look for, and the lines of the examples do not hold.
    pub hangs_on: BTreeSet<String>,
}

impl Count {
    fn add(&mut self, line: u64, what: &dyn Fn() -> String) {
        self.count = self.count.saturating_add(1);
        let is_early = self.examples.last_key_value().is_none_or(|(last, _)| line < *last);
        if self.examples.len() < EXAMPLES || is_early {
            self.examples.insert(line, what());
        }
        while self.examples.len() > EXAMPLES {
            self.examples.pop_last();
        }
    }

    fn called(&mut self, caller: &str, times: u64) {
        let is_room = self.callers.len() < MOST_CALLERS || self.callers.contains_key(caller);
        let caller = if is_room { caller } else { OTHERS };
        match self.callers.get_mut(caller) {
            Some(count) => *count = count.saturating_add(times),
            None => drop(self.callers.insert(caller.to_owned(), times)),
        }
    }

    fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        other.callers.iter().for_each(|(caller, times)| self.called(caller, *times));
        self.hangs_on.extend(other.hangs_on);
        self.examples.extend(other.examples);
        while self.examples.len() > EXAMPLES {
            self.examples.pop_last();
        }
    }
}

/// What a log says.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Lines with something in them.
    pub read: u64,
    /// Requests that both configurations treat alike.
    pub same: u64,
    /// Requests that differ in some way.
    pub differ: u64,
    /// The same in groups; a request may be in several.
    pub groups: BTreeMap<Group, Count>,
    /// Requests that could not be judged, by the reason.
    pub unjudged: BTreeMap<String, Count>,
}

impl Traffic {
    fn merge(&mut self, other: Self) {
        self.read = self.read.saturating_add(other.read);
        self.same = self.same.saturating_add(other.same);
        self.differ = self.differ.saturating_add(other.differ);
        for (group, count) in other.groups {
            let group = bounded(&self.groups, group);
            self.groups.entry(group).or_default().merge(count);
        }
        for (why, count) in other.unjudged {
            self.unjudged.entry(why).or_default().merge(count);
        }
    }

    /// How many lines are none of an access log.
    pub fn unreadable(&self) -> u64 {
        self.unjudged.get(UNREADABLE).map_or(0, |count| count.count)
    }

    /// How many could not be judged.
    pub fn not_judged(&self) -> u64 {
        self.unjudged.values().map(|count| count.count).sum()
    }
}

/// The group itself, or one for what is too much.
fn bounded(groups: &BTreeMap<Group, Count>, group: Group) -> Group {
    if groups.len() < MOST_GROUPS || groups.contains_key(&group) {
        return group;
    }
    let others = || OTHERS.to_owned();
    Group {
        way: group.way,
        model: others(),
        operation: others(),
        policies: [others(), others()],
        outcomes: [others(), others()],
    }
}

struct Chunk {
    first: u64,
    text: Vec<u8>,
}

/// Judges every line. `told` hears how many bytes were read.
///
/// # Errors
///
/// The log cannot be read, or a configuration is refused.
pub fn judge(
    log: impl BufRead,
    old: &Configuration,
    new: &Configuration,
    assumptions: &Assumptions,
    told: impl FnMut(u64),
) -> Result<Traffic> {
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(16);
    let (sender, receiver) = sync_channel::<Chunk>(workers);
    let receiver = Mutex::new(receiver);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let handles: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let worked = work(&receiver, old, new, assumptions);
                    // The reader waits for nobody who is gone.
                    is_over.fetch_or(worked.is_err(), Ordering::Relaxed);
                    while worked.is_err() && next(&receiver).is_some() {}
                    worked
                })
            })
            .collect();
        let sent = read(log, &sender, &is_over, told);
        drop(sender);
        let mut traffic = Traffic::default();
        for handle in handles {
            let worked = handle.join().ok().context("a worker broke off")?;
            traffic.merge(worked?);
        }
        sent.map(|()| traffic)
    })
}

fn next(receiver: &Mutex<Receiver<Chunk>>) -> Option<Chunk> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Cuts the log between lines. Of a line that is too long only its beginning is kept, which nobody can read.
fn read(
    mut log: impl BufRead,
    sender: &SyncSender<Chunk>,
    is_over: &AtomicBool,
    mut told: impl FnMut(u64),
) -> Result<()> {
    let (mut line, mut bytes) = (0_u64, 0_u64);
    let mut chunk = Chunk { first: 1, text: Vec::with_capacity(CHUNK) };
    let mut length = 0_usize;
    loop {
        let found = log.fill_buf().context("the access log cannot be read")?;
        if found.is_empty() || is_over.load(Ordering::Relaxed) {
            break;
        }
        let end = found.iter().position(|byte| *byte == b'\n');
        let part = found.get(..end.unwrap_or(found.len())).unwrap_or_default();
        let room = LONGEST.saturating_sub(length).min(part.len());
        chunk.text.extend_from_slice(part.get(..room).unwrap_or_default());
        length = length.saturating_add(part.len());
        let used = part.len().saturating_add(usize::from(end.is_some()));
        log.consume(used);
        bytes = bytes.saturating_add(u64::try_from(used).unwrap_or_default());
        if end.is_none() {
            continue;
        }
        chunk.text.push(b'\n');
        length = 0;
        line = line.saturating_add(1);
        if chunk.text.len() >= CHUNK {
            told(bytes);
            let next = Chunk { first: line.saturating_add(1), text: Vec::with_capacity(CHUNK) };
            if sender.send(std::mem::replace(&mut chunk, next)).is_err() {
                return Ok(());
            }
        }
    }
    told(bytes);
    // Nobody may be there to take it: then that is told.
    let _ = sender.send(chunk);
    Ok(())
}

fn work(
    receiver: &Mutex<Receiver<Chunk>>,
    old: &Configuration,
    new: &Configuration,
    assumptions: &Assumptions,
) -> Result<Traffic> {
    let mut judge = Judge::new(old, new, assumptions)?;
    let mut traffic = Traffic::default();
    while let Some(chunk) = next(receiver) {
        let text = String::from_utf8_lossy(&chunk.text);
        for (i, line) in (chunk.first..).zip(text.lines()) {
            if !line.trim().is_empty() {
                traffic.read = traffic.read.saturating_add(1);
                one(&mut traffic, &mut judge, i, line)?;
            }
        }
    }
    Ok(traffic)
}

fn one(traffic: &mut Traffic, judge: &mut Judge<'_>, number: u64, line: &str) -> Result<()> {
    let unjudged = |traffic: &mut Traffic, why: &str, what: &dyn Fn() -> String| {
        traffic.unjudged.entry(why.to_owned()).or_default().add(number, what);
    };
    let mut logged = match access_log::read(line) {
        Ok(logged) => logged,
        Err(_) => {
            unjudged(traffic, UNREADABLE, &|| String::new());
            return Ok(());
        }
    };
    if logged.asked.at == 0 {
        logged.asked.at = time::now()?;
    }
    let shown = |logged: &Logged| {
        let asked = &logged.asked;
        let text = format!("{} {}{}", asked.method, host(&asked.host), path(&asked.path));
        text.chars().filter(|c| !c.is_control()).take(KEPT).collect::<String>()
    };
    let what = shown(&logged);
    let caller = judge.caller(&mut logged)?;
    let caller: String = caller.chars().filter(|c| !c.is_control()).take(KEPT).collect();
    let model = logged.own("model").filter(|model| *model != "none").map(str::to_owned);
    let [old, new] = match judge.decide(&mut logged.asked, model.as_deref()) {
        Ok(both) => both,
        Err(error) => {
            let why =
                if error.to_string() == BODY { BODY } else { "no request that a gateway takes" };
            unjudged(traffic, why, &|| what.clone());
            return Ok(());
        }
    };
    let is_as_logged = match logged.decision() {
        Some(decision) => decision == old.verdict.as_str(),
        None if logged.went_on() => old.goes_on(),
        None => true,
    };
    if !is_as_logged {
        let why = "the old configuration decides otherwise than the gateway did: by claims, headers or else what the line does not hold";
        unjudged(traffic, why, &|| what.clone());
        return Ok(());
    }
    let ways = ways(&old, &new);
    if ways.is_empty() {
        traffic.same = traffic.same.saturating_add(1);
        return Ok(());
    }
    traffic.differ = traffic.differ.saturating_add(1);
    for way in ways {
        let group = group(way, &old, &new);
        let group = bounded(&traffic.groups, group);
        let count = traffic.groups.entry(group).or_default();
        if count.count == 0 {
            count.hangs_on = judge.hangs_on(&logged.asked)?;
        }
        count.called(&caller, 1);
        count.add(number, &|| what.clone());
    }
    Ok(())
}

fn ways(old: &Judged, new: &Judged) -> Vec<Way> {
    if (old.verdict, old.status) != (new.verdict, new.status) {
        return vec![Way::Decided];
    }
    let mut ways = Vec::new();
    let route = |judged: &'_ Judged| (judged.model.clone(), judged.operation, judged.route.clone());
    if old.goes_on() && route(old) != route(new) {
        ways.push(Way::Routed);
    }
    if old.copies != new.copies {
        ways.push(Way::Copied);
    }
    ways
}

fn group(way: Way, old: &Judged, new: &Judged) -> Group {
    let outcome = |judged: &Judged| match way {
        Way::Decided => match judged.status {
            Some(status) => format!("{} ({status})", judged.verdict.as_str()),
            None => judged.verdict.as_str().to_owned(),
        },
        Way::Routed => {
            // A path is one of a client's: its group is that of what differs besides.
            let of = |name: &str| judged.route.iter().find(|(known, _)| known == name);
            let others = judged.route.iter().filter(|(name, _)| name != ":path");
            let mut parts: Vec<String> =
                others.map(|(name, value)| format!("{name}={value}")).collect();
            parts.extend(of(":path").map(|_| "another path".to_owned()));
            let to = [judged.model.as_str(), judged.operation].join(" ");
            let parts = parts.join(", ");
            if parts.is_empty() { to } else { format!("{to} ({parts})") }
        }
        Way::Copied if judged.copies.is_empty() => "no copy".to_owned(),
        Way::Copied => judged.copies.join(", "),
    };
    let first = |one: &str, other: &str| -> String {
        let text = if one.is_empty() { other } else { one };
        text.chars().take(KEPT).collect()
    };
    Group {
        way,
        model: first(&old.model, &new.model),
        operation: first(old.operation, new.operation),
        policies: [old.policy.clone(), new.policy.clone()],
        outcomes: [outcome(old), outcome(new)],
    }
}

/// Whether somebody watches standard error.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}
