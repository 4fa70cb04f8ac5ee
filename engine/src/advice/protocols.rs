//! Paths and hosts by which one model does the same: a DENY that has one of them, or an ALLOW that excepts it, leaves the
//! others.

use super::Advisor;
use super::roots::UNNAMED;
use super::values::matches;
use crate::config::types::{Family, KServe};
use crate::config::{Path, Warning};
use crate::path::segments::is_below;

/// Paths below a model's address that are one call, `{}` for its name. The first word says who has them all.
const SAME: &[(Who, &[&str])] = &[
    (Who::KServe, &["/v1/models/{}:predict", "/v2/models/{}/infer", INFER]),
    (Who::KServe, &["/v1/models/{}:explain", "/v2/models/{}/explain"]),
    (Who::KServe, &["/v2/repository/models/{}/load", LOAD]),
    (Who::KServe, &["/v2/repository/models/{}/unload", UNLOAD]),
    (Who::KServe, &["/v1/chat/completions", "/openai/v1/chat/completions"]),
    (Who::KServe, &["/v1/completions", "/openai/v1/completions"]),
    (Who::KServe, &["/v1/embeddings", "/openai/v1/embeddings"]),
    (Who::KServe, &["/v1/rerank", "/openai/v1/rerank"]),
    (Who::Any, &["/v1/models/{}:predict", "/v1/models/{}/versions/1:predict"]),
    (Who::Any, &["/v2/models/{}/infer", "/v2/models/{}/versions/1/infer"]),
];

/// What servers of OpenAI's kind have below `/v1/`, below `/openai/v1/` and at their root.
const OF_OPENAI: &[&str] = &[
    "chat/completions",
    "completions",
    "responses",
    "embeddings",
    "rerank",
    "reranking",
    "score",
    "classify",
    "pooling",
    "tokenize",
    "detokenize",
    "audio/transcriptions",
    "audio/translations",
    "audio/speech",
];

/// Whose paths they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Those of every server that has the protocol.
    Any,
    /// Those of inference services, which speak several.
    KServe,
    /// Those of servers whose bodies name the model.
    OpenAi,
}

const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
const LOAD: &str = "/inference.GRPCInferenceService/RepositoryModelLoad";
const UNLOAD: &str = "/inference.GRPCInferenceService/RepositoryModelUnload";

/// Where a model's paths begin.
struct Start {
    path: String,
    who: Who,
    /// Whether a host leads there, so that gRPC does.
    is_host: bool,
}

impl Advisor<'_, '_> {
    /// One of the paths of an operation, which reaches a model otherwise too.
    pub(super) fn protocols(
        &mut self,
        value: &str,
        values: &[String],
        hosts: &[String],
        path: &Path<'_>,
    ) {
        // What a query ends is told elsewhere.
        let bare = value.split('?').next().unwrap_or_default();
        let is_in = |path: &str| values.iter().any(|value| matches(value, path));
        for start in self.starts(bare, hosts) {
            for there in start.same(&model_of(bare)) {
                let open = there.iter().find(|path| !is_in(path));
                if let Some(open) = open.filter(|_| there.iter().any(|path| matches(bare, path))) {
                    let open = open.replace(UNNAMED, "...");
                    let what = ["is not the only way to the model: so is ", &*open].concat();
                    let fix = "models, which hold for every address; operations for a part of it";
                    return self.errors.warn_value(Warning::OtherAddress, path, &what, value, fix);
                }
            }
        }
    }

    /// Where models' paths may begin, so that this one is among them.
    fn starts(&self, value: &str, hosts: &[String]) -> Vec<Start> {
        let targets = &self.settings.targets;
        let kserve = &targets.kserve;
        let mut starts = Vec::new();
        if targets.families.contains(&Family::KServe) {
            if kserve.host_template.is_some() && may_be_service(hosts, kserve) {
                starts.push(Start { path: String::new(), who: Who::KServe, is_host: true });
            }
            if let Some(path) = kserve.path_template.as_deref().and_then(|text| begun(value, text))
            {
                starts.push(Start { path, who: Who::KServe, is_host: false });
            }
        }
        for fixed in &targets.fixed {
            let prefix = fixed.path_prefix.trim_end_matches('/');
            let is_there = fixed.hosts.is_empty() || meet(&fixed.hosts, hosts);
            let is_new = !starts.iter().any(|start: &Start| start.path == prefix);
            if is_there
                && is_new
                && (value.starts_with('*') || is_below(value.as_bytes(), prefix.as_bytes()))
            {
                starts.push(Start { path: prefix.to_owned(), who: Who::Any, is_host: false });
            }
        }
        for one in targets.openai.iter().filter(|one| meet(&one.hosts, hosts)) {
            let path = one.path_prefix.trim_end_matches('/').to_owned();
            starts.push(Start { path, who: Who::OpenAi, is_host: true });
        }
        starts
    }

    /// Hosts of inference services, which paths lead to as well; where a rule has nothing else that says which.
    pub(super) fn hosts_of_services(&mut self, hosts: &[String], path: &Path<'_>) {
        let kserve = &self.settings.targets.kserve;
        let has_both = kserve.host_template.is_some() && kserve.path_template.is_some();
        if !has_both || hosts.iter().any(|host| host == "*") {
            return;
        }
        for (i, value) in hosts.iter().enumerate() {
            if may_be_service(std::slice::from_ref(value), kserve) {
                let what =
                    "is not the only way to the model: pathTemplate leads to it at every host";
                let fix = "models, which hold for every address";
                self.errors.warn_value(Warning::OtherAddress, &path.index(i), what, value, fix);
            }
        }
    }
}

/// Whether a rule's hosts, if it has any, hold one of a route's.
fn meet(own: &[String], hosts: &[String]) -> bool {
    let is_it = |host: &String| {
        let name = bare_host(host);
        hosts.is_empty() || hosts.iter().any(|one| one == "*" || bare_host(one) == name)
    };
    own.iter().any(is_it)
}

impl Start {
    /// Paths of which each list is one call.
    fn same(&self, model: &str) -> Vec<Vec<String>> {
        let of_tail = |tail: &&str| {
            ["/v1/", "/openai/v1/", "/"].map(|start| [&*self.path, start, tail].concat()).to_vec()
        };
        if self.who == Who::OpenAi {
            return OF_OPENAI.iter().map(of_tail).collect();
        }
        let same = SAME.iter().filter(|(who, _)| *who == Who::Any || *who == self.who);
        let filled = same.map(|(_, paths)| {
            let there = paths.iter().filter(|path| self.is_host || !path.contains('.'));
            there.map(|path| [&*self.path, &path.replace("{}", model)].concat()).collect()
        });
        filled.collect()
    }
}

/// A host in lower case, without its port.
fn bare_host(host: &str) -> String {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.to_ascii_lowercase()
}

/// Whether one of the hosts, if there are any, may be an inference service's: it ends as the template does, or with less.
fn may_be_service(hosts: &[String], kserve: &KServe) -> bool {
    let template = kserve.host_template.as_deref().unwrap_or_default().to_ascii_lowercase();
    let end = template.rsplit('}').next().unwrap_or_default();
    let may_be = |host: &String| {
        let host = bare_host(host);
        host.ends_with('*') || host.ends_with(end) || {
            host.strip_prefix('*').is_some_and(|host| end.ends_with(host))
        }
    };
    hosts.is_empty() || hosts.iter().any(may_be)
}

/// What a value has in the place of a template of paths, as `/serving/prod/iris`; `None` where it says too little, or is
/// elsewhere.
fn begun(value: &str, template: &str) -> Option<String> {
    let mut segments = value.split('/');
    let mut begun: Vec<&str> = Vec::new();
    for wanted in template.split('/') {
        let segment = segments.next()?;
        let is_open = wanted.contains('{') || segment == "{*}";
        if !is_open && wanted != segment || segment == "{**}" || segment.ends_with('*') {
            return None;
        }
        begun.push(if segment == "{*}" { UNNAMED } else { segment });
    }
    segments.next()?;
    Some(begun.join("/"))
}

/// The name of the model in a path of the V1 or V2 protocol, as far as it is there.
fn model_of(value: &str) -> String {
    let behind = value.split_once("/models/").map_or("", |(_, behind)| behind);
    let name = behind.split([':', '/', '*', '{']).next().unwrap_or_default();
    if name.is_empty() { UNNAMED.to_owned() } else { name.to_owned() }
}
