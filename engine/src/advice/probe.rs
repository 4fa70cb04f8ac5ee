//! Requests as a caller without a credential would send them, made of what a rule or a bypass asks for, and whether
//! they reach a model.

use std::net::{IpAddr, Ipv4Addr};

use super::roots::{Root, literal, put, roots, without};
use super::{Advisor, TRIES_ALL};
use crate::config::types::{self, Condition};
use crate::matcher::StringMatch;
use crate::pipeline::{Decision, Facts, Next};
use crate::request::{Attributes, Host, Request};
use crate::routing::{Operation, Sample};

/// A connection of which nothing is known but where it leads, from an address that nobody has.
#[derive(Debug)]
struct Nobody {
    port: u16,
    destination: IpAddr,
    sni: String,
}

/// At how many places a model is looked for.
const MOST_ROOTS: usize = 1 << 14;

const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1));

impl Host for Nobody {
    fn now(&self) -> u64 {
        0
    }
    fn is_inbound(&self) -> bool {
        false
    }
    fn remote_ip(&self) -> Option<IpAddr> {
        Some(NOWHERE)
    }
    fn peer_ip(&self) -> Option<IpAddr> {
        Some(NOWHERE)
    }
    fn destination_ip(&self) -> Option<IpAddr> {
        Some(self.destination)
    }
    fn destination_port(&self) -> Option<u16> {
        Some(self.port)
    }
    fn sni(&self) -> Option<Vec<u8>> {
        Some(self.sni.clone().into_bytes())
    }
}

/// What every request has that is tried for one rule.
struct Caller {
    nobody: Nobody,
    /// Those of a model server's methods that the rule takes.
    methods: Vec<&'static str>,
    /// With the values that the rule asks for, which may be patterns.
    headers: Vec<(String, String)>,
    /// Whether the rule names what is unknown.
    names_other: bool,
}

/// What is tried for one rule, and how much of it.
struct Probe<'a> {
    asked: &'a Asked<'a>,
    here: &'a dyn Fn(&Facts) -> bool,
    caller: Caller,
    hosts: Vec<&'a String>,
    paths: Vec<&'a String>,
    /// Whether any address may be the one that is left: the rule excepts paths or takes certain methods, or it is for
    /// all that no other takes.
    is_narrow: bool,
    /// How many comparisons it may still take.
    left: usize,
}

/// What is asked for.
pub(super) struct Asked<'a> {
    /// In these words; `None`: anything.
    pub(super) to: Option<&'a types::Operation>,
    /// Of these models, where `to` names none; empty: any.
    pub(super) models: &'a [String],
    /// With the headers that these ask for.
    pub(super) when: &'a [Condition],
    /// Whether something is asked of callers. Else what names its models, or a whole path, is open on purpose.
    pub(super) limited: bool,
}

/// The keys of conditions that a field of `to` asks as well, and of what else the probe has one of.
const HOST: [&str; 2] = ["request.headers[:authority]", "request.headers[host]"];
const PATH: [&str; 1] = ["request.headers[:path]"];
const METHODS: [&str; 4] = ["POST", "GET", "DELETE", "PUT"];
const METHOD: [&str; 1] = ["request.headers[:method]"];
const PORT: [&str; 1] = ["destination.port"];

impl Caller {
    fn new(asked: &Asked<'_>) -> Self {
        let when = asked.when;
        let to = asked.to;
        let ports = values(to.map(|to| &*to.ports), when, &PORT);
        let closed = excepted(to.map(|to| &*to.not_ports), when, &PORT);
        let mut free = 443..u16::MAX;
        let free = free.find(|port| !closed.iter().any(|closed| closed.parse() == Ok(*port)));
        let port = ports.first().and_then(|port| port.parse().ok()).or(free);
        let first = |key| values(None, when, &[key]).first().copied();
        let destination = first("destination.ip").and_then(|block| block.split('/').next());
        let destination = destination.and_then(|address| address.parse().ok());
        let sni = first("connection.sni").map_or("models.invalid", String::as_str);
        let methods = values(to.map(|to| &*to.methods), when, &METHOD);
        let others = excepted(to.map(|to| &*to.not_methods), when, &METHOD);
        let fits = |values: &[&String], method: &str| {
            values.iter().any(|value| StringMatch::new(value).matches(method.as_bytes()))
        };
        let is_taken = |method: &&str| {
            (methods.is_empty() || fits(&methods, method)) && !fits(&others, method)
        };
        Self {
            nobody: Nobody {
                port: port.unwrap_or_default(),
                destination: destination.unwrap_or(NOWHERE),
                sni: literal(sni),
            },
            methods: METHODS.into_iter().filter(is_taken).collect(),
            headers: when.iter().filter_map(header).collect(),
            names_other: to.is_some_and(|to| to.operations.iter().any(|word| word == "other")),
        }
    }

    /// The method that is tried first.
    fn method(&self) -> &'static str {
        self.methods.first().copied().unwrap_or("POST")
    }
}

impl Advisor<'_, '_> {
    /// Whether a model is reached, and `here` is why.
    pub(super) fn reaches(&mut self, asked: &Asked<'_>, here: &dyn Fn(&Facts) -> bool) -> bool {
        let own = asked.to.map_or(&[][..], |to| &to.models);
        let any = ["*".to_owned()];
        let models = match (own, asked.models) {
            ([], []) => &any,
            _ if !asked.limited => return false,
            ([], models) | (models, _) => models,
        };
        let mut paths = values(asked.to.map(|to| &*to.paths), asked.when, &PATH);
        let is_free = paths.is_empty();
        let is_whole = |path: &&String| !asked.limited && !path.contains('*');
        let is_tried = |path: &&String| TRIES_ALL && is_whole(path);
        let whole: Vec<&String> = paths.iter().copied().filter(is_tried).collect();
        paths.retain(|path| !is_whole(path));
        let others = is_free || !paths.is_empty();
        if !others && whole.is_empty() {
            return false;
        }
        let mut probe = Probe::new(asked, paths, here);
        // What no rule takes is asked once, and has as much as all rules have.
        let is_rest = !asked.limited && asked.to.is_none() && asked.when.is_empty();
        probe.is_narrow |= is_rest;
        probe.left = if is_rest { self.compared } else { self.compared / self.asked };
        let excepted = asked.to.map_or(&[][..], |to| &to.not_models);
        for model in models {
            let most = (probe.left / self.each).min(MOST_ROOTS);
            let (name, roots) = roots(self.settings, model, excepted, most);
            self.left_out |= roots.len() == most;
            if others && self.usual(&mut probe, &roots, &name)
                || others && TRIES_ALL && self.unusual(&mut probe, &roots, &name)
                || TRIES_ALL && self.whole(&mut probe, &roots, &whole)
            {
                return true;
            }
        }
        false
    }

    /// Whole paths where they do not name the model.
    fn whole(&mut self, probe: &mut Probe<'_>, roots: &[Root], paths: &[&String]) -> bool {
        let method = probe.caller.method();
        for root in roots {
            let is_named = root.is_named_elsewhere(&probe.hosts);
            for path in paths {
                if is_named && self.sends(probe, root, [method, path]) {
                    return true;
                }
            }
        }
        false
    }

    /// What servers of every kind have, at each of these places.
    fn usual(&mut self, probe: &mut Probe<'_>, roots: &[Root], name: &str) -> bool {
        let method = probe.caller.method();
        for root in roots {
            for tail in root.tails.into_iter().flatten() {
                let tail = put(tail, "{}", name);
                for p in 0..probe.paths.len().max(1) {
                    let path = probe.path(p, root, &tail);
                    if self.sends(probe, root, [method, &path]) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// What some servers have: where the rule's own words may be about it, or leave it as the only one.
    fn unusual(&mut self, probe: &mut Probe<'_>, roots: &[Root], name: &str) -> bool {
        let samples = self.samples;
        for root in roots {
            let [rest, grpc] = root.tails.map(|tails| tails.len() > 1);
            for p in 0..probe.paths.len().max(1) {
                if !self.spends(probe, 1) {
                    return false;
                }
                let pattern = probe.paths.get(p).copied();
                let is_said = pattern.is_some_and(|pattern| says_more(pattern, &root.path));
                for sample in samples {
                    let is_there = if sample.is_grpc { grpc } else { rest };
                    let is_quiet = !probe.asked.limited
                        && sample.method == "GET"
                        && sample.operation != Operation::Admin;
                    let is_tried = is_said || is_quiet || probe.is_narrow;
                    if !is_there || !is_tried || !probe.takes(sample) || !self.spends(probe, 1) {
                        continue;
                    }
                    let tail = put(&sample.path, "{}", name);
                    let end = without(&tail, root.skipped).0;
                    let path = probe.path(p, root, &tail);
                    let is_its = pattern.is_none() || path.ends_with(end);
                    if is_its && self.sends(probe, root, [sample.method, &path]) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Whether so many comparisons are left, which then are made.
    fn spends(&mut self, probe: &mut Probe<'_>, comparisons: usize) -> bool {
        let left = probe.left.checked_sub(comparisons);
        self.left_out |= left.is_none();
        probe.left = left.unwrap_or_default();
        left.is_some()
    }

    /// Whether a request reaches a model, by one host or another.
    fn sends(&mut self, probe: &mut Probe<'_>, root: &Root, [method, path]: [&str; 2]) -> bool {
        (0..=probe.hosts.len()).any(|h| {
            let host = probe.hosts.get(h).map_or(&root.host, |host| *host);
            let host = fitting(host, Some(&root.host), '.');
            self.spends(probe, self.each) && self.lets(probe, root, [method, path, &host])
        })
    }

    /// Whether one request reaches a model.
    fn lets(&mut self, probe: &Probe<'_>, root: &Root, [method, path, host]: [&str; 3]) -> bool {
        let caller = &probe.caller;
        let mut lines: Vec<(&[u8], &[u8])> = Vec::new();
        for (name, value) in [(":method", method), (":path", path), (":authority", host)] {
            lines.push((name.as_bytes(), value.as_bytes()));
        }
        let headers = caller.headers.iter().map(|(name, pattern)| {
            let own = root.headers.iter().find(|(known, _)| TRIES_ALL && known == name);
            (name, fitting(pattern, own.map(|(_, own)| own), '/'))
        });
        let headers: Vec<(&String, String)> = headers.collect();
        let of_root = root.headers.iter().map(|(name, value)| (name, value));
        for (name, value) in headers.iter().map(|(name, value)| (*name, value)).chain(of_root) {
            // What the rule asks for comes before what leads to the model.
            if !lines.iter().any(|(known, _)| *known == name.as_bytes()) {
                lines.push((name.as_bytes(), value.as_bytes()));
            }
        }
        let attributes = Attributes::new(&caller.nobody);
        let request = Request::new(&lines, &attributes);
        let Decision { facts, next } = self.plan.decide(&request, &mut self.cache, |_| Ok(()));
        let facts = match next {
            Next::AwaitModel(awaited) => {
                let named = &root.in_body;
                self.plan.decide_model(&request, &awaited, named, facts, |_| Ok(())).facts
            }
            _ => facts,
        };
        let matters = match facts.operation {
            Some(
                Operation::Predict | Operation::Explain | Operation::Feedback | Operation::Admin,
            ) => true,
            Some(Operation::Other) => caller.names_other,
            _ => false,
        };
        // What is a model server's by its path alone may be any application's.
        matters && facts.model.is_some() && (probe.here)(&facts)
    }
}

impl<'a> Probe<'a> {
    fn new(asked: &'a Asked<'a>, paths: Vec<&'a String>, here: &'a dyn Fn(&Facts) -> bool) -> Self {
        let to = asked.to;
        let caller = Caller::new(asked);
        let is_narrow = TRIES_ALL
            && (caller.methods.len() < METHODS.len()
                || !excepted(to.map(|to| &*to.not_paths), asked.when, &PATH).is_empty());
        let hosts = values(to.map(|to| &*to.hosts), asked.when, &HOST);
        Self { asked, here, caller, hosts, paths, is_narrow, left: 0 }
    }

    /// The path of a request that the rule's path of this number fits.
    fn path(&self, p: usize, root: &Root, tail: &str) -> String {
        let (tail, _) = without(tail, root.skipped);
        match self.paths.get(p) {
            None => [&*root.path, tail].concat(),
            Some(path) => over(path, &root.path, tail),
        }
    }

    /// Whether the rule's methods and operations are those of the sample.
    fn takes(&self, sample: &Sample) -> bool {
        let operations = self.asked.to.map_or(&[][..], |to| &to.operations);
        let word = sample.operation.as_str();
        self.caller.methods.contains(&sample.method)
            && (operations.is_empty() || operations.iter().any(|one| one == word || one == "*"))
    }
}

/// Whether a pattern says something of what stands behind a model's address.
fn says_more(pattern: &str, root: &str) -> bool {
    let slashes = |path: &str| path.matches('/').count();
    let first = |path: &str| path.split('/').nth(1).unwrap_or_default().to_owned();
    pattern.starts_with('*')
        || pattern.contains("{**}/")
        || slashes(pattern) > slashes(root)
            && (root.is_empty() || pattern.starts_with("/{") || first(pattern) == first(root))
}

/// What a field asks for, and conditions by one of these keys.
fn values<'a>(
    field: Option<&'a [String]>,
    when: &'a [Condition],
    keys: &[&str],
) -> Vec<&'a String> {
    listed(field, when, keys, false)
}

/// What a field excepts, and conditions by one of these keys.
fn excepted<'a>(
    field: Option<&'a [String]>,
    when: &'a [Condition],
    keys: &[&str],
) -> Vec<&'a String> {
    listed(field, when, keys, true)
}

#[inline(never)]
fn listed<'a>(
    field: Option<&'a [String]>,
    when: &'a [Condition],
    keys: &[&str],
    is_not: bool,
) -> Vec<&'a String> {
    let mut listed: Vec<&String> = field.unwrap_or_default().iter().collect();
    for one in when.iter().filter(|one| keys.iter().any(|key| one.key.eq_ignore_ascii_case(key))) {
        listed.extend(if is_not { &one.not_values } else { &one.values });
    }
    listed
}

/// A header that a condition asks for, with the first of its values; what a request has but one of is chosen apart.
fn header(condition: &Condition) -> Option<(String, String)> {
    let name = condition.key.strip_prefix("request.headers[")?.strip_suffix(']')?;
    let name = name.to_ascii_lowercase();
    let value = condition.values.first().filter(|_| name != "host")?;
    Some((name, value.clone()))
}

/// A path that is like a pattern as far as it says, and like a model's address where it leaves that open.
fn over(pattern: &str, root: &str, tail: &str) -> String {
    let base = [root, tail].concat();
    if let Some(end) = pattern.strip_prefix('*').filter(|_| !pattern.contains('{')) {
        let between = match (end.starts_with('/'), end.contains(':')) {
            (true, true) => "/v1/models",
            (true, false) => "",
            (false, _) => "/",
        };
        if base.ends_with(end) {
            return base;
        }
        let named = if TRIES_ALL { in_place(&base, end) } else { None };
        return named.unwrap_or_else(|| [root, between, end].concat());
    }
    along(pattern, &base, '/')
}

/// A path with its last segments replaced by these, where both do the same: their last segments are one, or their
/// verbs are.
fn in_place(base: &str, end: &str) -> Option<String> {
    if base.get(base.rfind([':', '/'])?..) != end.get(end.rfind([':', '/'])?..) {
        return None;
    }
    let slash = if end.starts_with('/') { "" } else { "/" };
    let end = [slash, end].concat();
    let kept = base.matches('/').count().checked_sub(end.matches('/').count())?;
    let start = base.strip_suffix(without(base, kept).0)?;
    Some([start, &end].concat())
}

/// A value that fits a pattern, and is like `own` where that leaves it open. Without the room for this, any that fits.
fn fitting(pattern: &str, own: Option<&String>, between: char) -> String {
    match own.filter(|_| TRIES_ALL) {
        Some(own) => along(&put(pattern, ":*", ":443"), own, between),
        None => literal(pattern),
    }
}

/// A text that is like a pattern as far as it says, part by part, and like `base` where it leaves that open.
fn along(pattern: &str, base: &str, between: char) -> String {
    let mut path = String::new();
    let (mut pattern, mut base) = (pattern, base);
    loop {
        let (segment, behind) = cut(pattern, between);
        let (here, rest) = cut(base, between);
        if let Some(start) = segment.strip_suffix("{**}").or_else(|| segment.strip_suffix('*')) {
            if !here.starts_with(start) {
                path.push_str(start);
            }
            path.push_str(base);
            break;
        }
        path.push_str(if segment == "{*}" { here } else { segment });
        if behind.is_empty() {
            break;
        }
        path.push(between);
        (pattern, base) = (behind, rest);
    }
    literal(&path)
}

/// A text's first part, and what is behind it.
fn cut(text: &str, between: char) -> (&str, &str) {
    text.split_once(between).unwrap_or((text, ""))
}
