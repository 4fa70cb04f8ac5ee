//! Requests as a caller without a credential would send them, made of what a rule or a bypass asks for, and whether
//! they reach a model.

use std::net::{IpAddr, Ipv4Addr};

use super::Advisor;
use super::roots::{Root, literal, put, roots, without};
use crate::config::types::{self, Condition};
use crate::pipeline::Facts;
use crate::request::{Attributes, Host, Request};
use crate::routing::Operation;

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
    method: &'static str,
    headers: Vec<(String, String)>,
    /// Whether the rule names what is unknown.
    names_other: bool,
}

/// One request.
struct Sent<'a> {
    caller: &'a Caller,
    root: &'a Root,
    path: String,
    host: String,
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
const METHOD: [&str; 1] = ["request.headers[:method]"];
const PORT: [&str; 1] = ["destination.port"];

impl Caller {
    fn new(asked: &Asked<'_>) -> Self {
        let when = asked.when;
        let to = asked.to;
        let ports = values(to.map(|to| &*to.ports), when, &PORT);
        let closed = to.map_or(&[][..], |to| &to.not_ports);
        let excepted = when.iter().filter(|one| one.key == PORT[0]).flat_map(|one| &one.not_values);
        let closed: Vec<&String> = closed.iter().chain(excepted).collect();
        let mut free = 443..u16::MAX;
        let free = free.find(|port| !closed.iter().any(|closed| closed.parse() == Ok(*port)));
        let port = ports.first().and_then(|port| port.parse().ok()).or(free);
        let first = |key| values(None, when, &[key]).first().copied();
        let destination = first("destination.ip").and_then(|block| block.split('/').next());
        let destination = destination.and_then(|address| address.parse().ok());
        let sni = first("connection.sni").map_or("models.invalid", String::as_str);
        let methods = values(to.map(|to| &*to.methods), when, &METHOD);
        let has = |word: &str| methods.iter().any(|method| *method == word);
        Self {
            nobody: Nobody {
                port: port.unwrap_or_default(),
                destination: destination.unwrap_or(NOWHERE),
                sni: literal(sni),
            },
            method: if has("GET") && !has("POST") { "GET" } else { "POST" },
            headers: when.iter().filter_map(header).collect(),
            names_other: to.is_some_and(|to| to.operations.iter().any(|word| word == "other")),
        }
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
        let hosts = values(asked.to.map(|to| &*to.hosts), asked.when, &HOST);
        let paths = values(asked.to.map(|to| &*to.paths), asked.when, &PATH);
        let is_on_purpose = |path: &&String| !asked.limited && !path.contains('*');
        if !paths.is_empty() && paths.iter().all(is_on_purpose) {
            return false;
        }
        let caller = Caller::new(asked);
        let mut left = self.asks;
        for model in models {
            let most = left.min(MOST_ROOTS);
            let (name, roots) = roots(self.settings, model, most);
            self.left_out |= roots.len() == most;
            for root in &roots {
                for tail in root.tails.into_iter().flatten() {
                    let tail = put(tail, "{}", &name);
                    let (tail, _) = without(&tail, root.skipped);
                    for p in 0..paths.len().max(1) {
                        let path = match paths.get(p) {
                            None => [&*root.path, tail].concat(),
                            Some(path) if asked.limited || path.contains('*') => {
                                over(path, &root.path, tail)
                            }
                            Some(_) => continue,
                        };
                        for h in 0..=hosts.len() {
                            let Some(less) = left.checked_sub(1) else {
                                self.left_out = true;
                                return false;
                            };
                            left = less;
                            let host = literal(hosts.get(h).map_or(&root.host, |host| *host));
                            let sent = Sent { caller: &caller, root, path: path.clone(), host };
                            if self.lets(&sent, here) {
                                return true;
                            }
                        }
                    }
                }
            }
        }
        false
    }

    /// Whether one request reaches a model.
    fn lets(&mut self, sent: &Sent<'_>, here: &dyn Fn(&Facts) -> bool) -> bool {
        let Sent { caller, root, path, host } = sent;
        let mut lines: Vec<(&[u8], &[u8])> = Vec::new();
        for (name, value) in [(":method", caller.method), (":path", path), (":authority", host)] {
            lines.push((name.as_bytes(), value.as_bytes()));
        }
        for (name, value) in caller.headers.iter().chain(&root.headers) {
            // What the rule asks for comes before what leads to the model.
            if !lines.iter().any(|(known, _)| *known == name.as_bytes()) {
                lines.push((name.as_bytes(), value.as_bytes()));
            }
        }
        let attributes = Attributes::new(&caller.nobody);
        let request = Request::new(&lines, &attributes);
        let facts = self.plan.decide(&request, &mut self.cache, |_| Ok(())).facts;
        let matters = match facts.operation {
            Some(
                Operation::Predict | Operation::Explain | Operation::Feedback | Operation::Admin,
            ) => true,
            Some(Operation::Other) => caller.names_other,
            _ => false,
        };
        matters && here(&facts)
    }
}

/// What a field asks for, and conditions by one of these keys.
#[inline(never)]
fn values<'a>(
    field: Option<&'a [String]>,
    when: &'a [Condition],
    keys: &[&str],
) -> Vec<&'a String> {
    let is_one = |one: &&Condition| keys.iter().any(|key| one.key.eq_ignore_ascii_case(key));
    let conditions = when.iter().filter(is_one).flat_map(|one| &one.values);
    field.unwrap_or_default().iter().chain(conditions).collect()
}

/// A header that a condition asks for, with a value that fits; what a request has but one of is chosen apart.
fn header(condition: &Condition) -> Option<(String, String)> {
    let name = condition.key.strip_prefix("request.headers[")?.strip_suffix(']')?;
    let name = name.to_ascii_lowercase();
    let value = condition.values.first().filter(|_| name != "host")?;
    Some((name, literal(value)))
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
        return if base.ends_with(end) { base } else { [root, between, end].concat() };
    }
    let mut path = String::new();
    let (mut pattern, mut base) = (pattern, &*base);
    loop {
        let (segment, behind) = cut(pattern);
        let (here, rest) = cut(base);
        if let Some(start) = segment.strip_suffix("{**}").or_else(|| segment.strip_suffix('*')) {
            if !here.starts_with(start) {
                path.push_str(start);
            }
            path.push_str(base);
            return path;
        }
        path.push_str(if segment == "{*}" { here } else { segment });
        if behind.is_empty() {
            return path;
        }
        path.push('/');
        (pattern, base) = (behind, rest);
    }
}

/// A path's first segment, and what is behind it.
fn cut(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}
