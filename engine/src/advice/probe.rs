//! Requests as a caller without a credential would send them, made of what a rule or a bypass asks for, and whether
//! they reach a model.

use std::net::{IpAddr, Ipv4Addr};

use super::Advisor;
use crate::config::types::{self, Condition, Family};
use crate::pipeline::Facts;
use crate::request::{Attributes, Host, Request};
use crate::routing::Operation;

/// A name that nobody gives a model or a namespace.
const UNNAMED: &str = "modelgatenobody";

/// What servers have below a model's address, `{}` for its name: something that each operation is, which matters.
const TAILS: [&str; 9] = [
    "/api/v1.0/predictions",
    "/v1/models/{}:predict",
    "/v2/models/{}/infer",
    "/v1/chat/completions",
    "/v2/models/{}/explain",
    "/api/v1.0/feedback",
    "/v2/repository/models/{}/unload",
    "/v2/repository/models/{}/load",
    "/modelgatenobody",
];

/// A connection of which nothing is known but its port, from an address that nobody has.
#[derive(Debug)]
struct Nobody(u16);

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
    fn destination_port(&self) -> Option<u16> {
        Some(self.0)
    }
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

impl Advisor<'_, '_> {
    /// Whether a model is reached, and `here` is why.
    pub(super) fn reaches(&mut self, asked: &Asked<'_>, here: &dyn Fn(&Facts) -> bool) -> bool {
        let none = Vec::new();
        let (own, hosts, paths) = match asked.to {
            Some(to) => (&to.models, &to.hosts, &to.paths),
            None => (&none, &none, &none),
        };
        let any = ["*".to_owned()];
        let models = match (&**own, asked.models) {
            ([], []) => &any,
            _ if !asked.limited => return false,
            ([], models) | (models, _) => models,
        };
        for model in models {
            let (name, roots) = roots(&self.settings.targets, model);
            for (root, own) in &roots {
                for tail in TAILS {
                    let base = [root, &*put(tail, "{}", &name)].concat();
                    for p in 0..paths.len().max(1) {
                        let path = match paths.get(p) {
                            None => base.clone(),
                            Some(path) if asked.limited || path.contains('*') => over(path, &base),
                            Some(_) => continue,
                        };
                        for h in 0..=hosts.len() {
                            let host = literal(hosts.get(h).unwrap_or(own));
                            if self.lets(asked, &path, &host, here) {
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
    fn lets(
        &mut self,
        asked: &Asked<'_>,
        path: &str,
        host: &str,
        here: &dyn Fn(&Facts) -> bool,
    ) -> bool {
        let Some(left) = self.asks.checked_sub(1) else { return false };
        self.asks = left;
        let (mut port, mut method, mut names_other) = (443, "POST", false);
        if let Some(to) = asked.to {
            port = to.ports.first().and_then(|port| port.parse().ok()).unwrap_or(port);
            names_other = has(&to.operations, "other");
            if has(&to.methods, "GET") && !has(&to.methods, method) {
                method = "GET";
            }
        }
        let headers: Vec<_> = asked.when.iter().filter_map(header).collect();
        let mut lines: Vec<(&[u8], &[u8])> = Vec::new();
        for (name, value) in [(":method", method), (":path", path), (":authority", host)] {
            lines.push((name.as_bytes(), value.as_bytes()));
        }
        for (name, value) in &headers {
            lines.push((name.as_bytes(), value.as_bytes()));
        }
        let nobody = Nobody(port);
        let attributes = Attributes::new(&nobody);
        let request = Request::new(&lines, &attributes);
        let facts = self.plan.decide(&request, &mut self.cache, |_| Ok(())).facts;
        let matters = match facts.operation {
            Some(
                Operation::Predict | Operation::Explain | Operation::Feedback | Operation::Admin,
            ) => true,
            Some(Operation::Other) => names_other,
            _ => false,
        };
        matters && here(&facts)
    }
}

fn has(list: &[String], word: &str) -> bool {
    list.iter().any(|one| one == word)
}

/// A header that a condition asks for, with a value that fits.
fn header(condition: &Condition) -> Option<(String, String)> {
    let name = condition.key.strip_prefix("request.headers[")?.strip_suffix(']')?;
    let value = condition.values.first().filter(|_| !name.starts_with(':'))?;
    Some((name.to_ascii_lowercase(), literal(value)))
}

/// In one place for all of them: a call is little code.
#[inline(never)]
fn put(text: &str, mark: &str, name: &str) -> String {
    text.replace(mark, name)
}

/// A value that fits.
fn literal(pattern: &str) -> String {
    put(&put(pattern, ":*", ":443"), "*", UNNAMED)
}

/// A model's name, and what paths begin with and the hosts where it may be, of every family and route.
fn roots(targets: &types::Targets, model: &str) -> (String, Vec<(String, String)>) {
    let kserve = &targets.kserve;
    let service = kserve.services.first().filter(|_| model == "*");
    let model = literal(service.map_or(model, |service| service));
    let (namespace, name) = model.split_once('/').unwrap_or((&model, UNNAMED));
    let nowhere = || "models.invalid".to_owned();
    let mut roots = Vec::new();
    for family in &targets.families {
        if *family == Family::SeldonV1 {
            roots.push(([&targets.seldon_prefix, "/", namespace, "/", name].concat(), nowhere()));
        } else if *family == Family::SeldonV2 {
            for host in targets.seldon_v2.iter().flat_map(|one| &one.hosts) {
                roots.push((String::new(), host.clone()));
            }
        } else if *family == Family::KServe {
            let known = kserve.namespaces.first().filter(|_| namespace == UNNAMED);
            let namespace = known.map_or(namespace, |known| known);
            let fill = |text: &String| put(&put(text, "{namespace}", namespace), "{name}", name);
            if let Some(path) = &kserve.path_template {
                roots.push((fill(path), nowhere()));
            }
            if let Some(host) = &kserve.host_template {
                roots.push((String::new(), fill(host)));
            }
        }
    }
    for fixed in &targets.fixed {
        for host in &fixed.hosts {
            let root = fixed.path_prefix.strip_suffix('/').unwrap_or(&fixed.path_prefix);
            roots.push((root.to_owned(), host.clone()));
        }
    }
    (name.to_owned(), roots)
}

/// A path that is like a pattern as far as it says, and like another where it leaves that open.
fn over(pattern: &str, base: &str) -> String {
    let mut path = String::new();
    let (mut pattern, mut base) = (pattern, base);
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
