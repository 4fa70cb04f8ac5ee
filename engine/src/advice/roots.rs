//! Where models may be: what paths begin with, hosts and headers, of every family, route and rewrite.

use crate::config::types::{Family, OpenAi, PluginConfig, Rewrite, Targets};
use crate::matcher::StringMatch;
use crate::order;

/// A name that nobody gives a model or a namespace.
pub(super) const UNNAMED: &str = "modelgatenobody";

/// A host that no setting has.
const NOWHERE: &str = "models.invalid";

/// What servers have below a model's address, `{}` for its name: something that each operation is, which matters.
const REST: &[&str] = &[
    "/api/v1.0/predictions",
    "/v1/models/{}:predict",
    "/v2/models/{}/infer",
    "/v1/chat/completions",
    "/v2/models/{}/explain",
    "/api/v1.0/feedback",
    "/v2/repository/models/{}/unload",
    "/v2/repository/models/{}/load",
    "/predict",
    "/openai/v1/chat/completions",
    "/modelgatenobody",
];

/// The same for gRPC, which names no model in its paths.
const GRPC: &[&str] = &[
    "/inference.GRPCInferenceService/ModelInfer",
    "/seldon.protos.Seldon/Predict",
    "/seldon.protos.Seldon/SendFeedback",
    "/inference.GRPCInferenceService/RepositoryModelUnload",
];

/// One place where a model may be.
pub(super) struct Root {
    /// What paths begin with.
    pub(super) path: String,
    pub(super) host: String,
    /// What paths end with.
    pub(super) tails: [&'static [&'static str]; 2],
    /// With how many segments of that a rewrite begins its new path: they are left out of the old one.
    pub(super) skipped: usize,
    /// The headers that lead there.
    pub(super) headers: Vec<(String, String)>,
    /// What the body names, where it has a say.
    pub(super) in_body: String,
    /// Whether nothing but the body names the model.
    pub(super) by_body: bool,
}

impl Root {
    /// A place of which no more is known.
    #[inline(never)]
    fn new(path: String, host: &str, tails: [&'static [&'static str]; 2]) -> Self {
        let host = host.to_owned();
        let (headers, in_body) = (Vec::new(), String::new());
        Self { path, host, tails, skipped: 0, headers, in_body, by_body: false }
    }

    /// Whether the path does not say which model it is, but another part of the request does.
    pub(super) fn is_named_elsewhere(&self, hosts: &[&String]) -> bool {
        let by_host = self.host != NOWHERE;
        let is_free = |host: &&String| host.strip_suffix(":*").unwrap_or(host).contains('*');
        let chooses = self.by_body || !self.headers.is_empty();
        (self.by_body || self.path.is_empty())
            && (by_host || hosts.is_empty())
            && (chooses || by_host && (hosts.is_empty() || hosts.iter().any(is_free)))
    }
}

/// The name of a model that fits the first and none of the others, and where it may be: at so many places and no more.
pub(super) fn roots(
    settings: &PluginConfig,
    model: &str,
    excepted: &[String],
    most: usize,
) -> (String, Vec<Root>) {
    let targets = &settings.targets;
    let fits = |value: &str, name: &str| StringMatch::new(value).matches(name.as_bytes());
    // A service that is not listed is none, so that no name can be made up.
    let is_free = |name: &&String| {
        model.contains('*') && fits(model, name) && !excepted.iter().any(|value| fits(value, name))
    };
    let service = targets.kserve.services.iter().find(is_free);
    let made_up = literal(model);
    let of_others = made_up.split_once('/').unwrap_or((&made_up, UNNAMED));
    let model = service.map_or(&*made_up, |service| service);
    let (namespace, named) = model.split_once('/').unwrap_or((model, UNNAMED));
    // What is behind an object's name is an adapter of it.
    let (name, adapter) = named.split_once('/').unwrap_or((named, named));
    let mut roots = Vec::new();
    for family in &targets.families {
        // Each has namespaces of its own.
        let model =
            if *family == Family::LlmIsvc { [of_others.0, name] } else { [namespace, name] };
        of_family(*family, targets, model, &mut roots);
    }
    for fixed in &targets.fixed {
        for host in or_any(&fixed.hosts) {
            let path = fixed.path_prefix.strip_suffix('/').unwrap_or(&fixed.path_prefix);
            add(&mut roots, path.to_owned(), host, [REST, GRPC]);
        }
    }
    // A request is rewritten once: one rewrite's places are not another's.
    let own = roots.len();
    for rewrite in &settings.rewrites {
        of_rewrite(rewrite, [namespace, name], own, most, &mut roots);
    }
    for root in &mut roots {
        root.in_body = adapter.to_owned();
    }
    of_openai(targets, of_others, &mut roots);
    roots.truncate(most);
    (name.to_owned(), roots)
}

fn of_family(
    family: Family,
    targets: &Targets,
    [namespace, name]: [&str; 2],
    roots: &mut Vec<Root>,
) {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let namespaces =
        if family == Family::KServe { &targets.kserve.namespaces } else { &targets.llmisvc };
    let known = namespaces.first().filter(|_| namespace == UNNAMED);
    let known = known.map_or(namespace, |known| known);
    match family {
        Family::SeldonV1 => {
            let path = [&targets.seldon_prefix, "/", namespace, "/", name].concat();
            add(roots, path, NOWHERE, [REST, &[]]);
            let headers = vec![header("seldon", name), header("namespace", namespace)];
            roots.push(Root { headers, ..Root::new(String::new(), NOWHERE, [&[], GRPC]) });
        }
        Family::SeldonV2 => {
            for host in targets.seldon_v2.iter().flat_map(|one| or_any(&one.hosts)) {
                add(roots, String::new(), host, [REST, &[]]);
                // Paths that name no model, as those of its repository, are its by the header.
                let headers = vec![header("seldon-model", name)];
                roots.push(Root { headers, ..Root::new(String::new(), host, [REST, GRPC]) });
            }
        }
        Family::KServe => {
            let kserve = &targets.kserve;
            let fill = |text: &String| put(&put(text, "{namespace}", known), "{name}", name);
            if let Some(path) = &kserve.path_template {
                add(roots, fill(path), NOWHERE, [REST, &[]]);
            }
            if let Some(host) = &kserve.host_template {
                add(roots, String::new(), &fill(host), [REST, GRPC]);
            }
        }
        Family::LlmIsvc => {
            add(roots, ["/", known, "/", name].concat(), NOWHERE, [REST, &[]]);
            let published = ["publishers/", known, "/models/", name].concat();
            add(roots, ["/", &published].concat(), NOWHERE, [REST, &[]]);
            let headers = vec![header("x-gateway-model-name", &published)];
            roots.push(Root { headers, ..Root::new(String::new(), NOWHERE, [REST, &[]]) });
        }
        // Each of its routes chooses a namespace, and the body the model.
        Family::OpenAi => {}
    }
}

/// The places of servers whose requests name the model in their body.
fn of_openai(targets: &Targets, (namespace, named): (&str, &str), roots: &mut Vec<Root>) {
    let is_there = |one: &&OpenAi| [&*one.namespace, UNNAMED].contains(&namespace);
    for one in targets.openai.iter().filter(is_there) {
        for host in &one.hosts {
            add(roots, one.path_prefix.clone(), host, [REST, &[]]);
            if let Some(root) = roots.last_mut() {
                named.clone_into(&mut root.in_body);
                root.by_body = true;
            }
        }
    }
}

/// What a rewrite takes. Where its path ends in whatever comes and the model is that of the new path, this may be
/// any of the first roots, which are `own`: those of families and routes.
fn of_rewrite(
    rewrite: &Rewrite,
    [namespace, name]: [&str; 2],
    own: usize,
    most: usize,
    roots: &mut Vec<Root>,
) {
    let from = &rewrite.r#match;
    let rest = from.path.rsplit_once('/').filter(|(_, last)| last.ends_with("=**}"));
    let mut parts = rest.map_or(&*from.path, |(before, _)| before).split('{');
    let mut start = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (variable, behind) = part.split_once('}').unwrap_or((part, ""));
        let template = rewrite.target.as_ref().map_or("", |target| &target.namespace);
        let template = template.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let is_namespace = variable == template.unwrap_or("namespace");
        start.push_str(if is_namespace { namespace } else { name });
        start.push_str(behind);
    }
    let tails = if rest.is_some() { [REST, GRPC] } else { [&[""][..], &[]] };
    let leads = rest.is_some() && rewrite.target.is_none();
    let room = most.saturating_sub(roots.len());
    let inner = roots.iter().take(own).filter(|root| leads && root.headers.is_empty());
    let inner = inner.map(|root| root.path.as_str()).filter(|path| !path.is_empty());
    let mut paths = order::distinct(inner.take(room).map(str::to_owned));
    paths.insert(0, String::new());
    let header = |one: &crate::config::types::HeaderMatch| {
        (one.name.to_ascii_lowercase(), literal(&one.value))
    };
    // What the new path begins with may be the model's address, or a part of it.
    let begun = begun(rewrite, rest.map_or("", |(_, last)| last));
    for path in paths {
        for skipped in [0, begun].into_iter().take(1 + begun.min(1)) {
            for h in 0..from.hosts.len().max(1) {
                if roots.len() >= most {
                    return;
                }
                let (path, skipped) = without(&path, skipped);
                let path = [&*start, path].concat();
                let host = from.hosts.get(h).map_or(NOWHERE, String::as_str);
                let headers = from.headers.iter().map(header).collect();
                roots.push(Root { skipped, headers, ..Root::new(path, host, tails) });
            }
        }
    }
}

/// Hosts of a setting, which without any holds at every one.
fn or_any(hosts: &[String]) -> impl Iterator<Item = &str> {
    let any = hosts.is_empty().then_some(NOWHERE);
    hosts.iter().map(String::as_str).chain(any)
}

/// With how many segments a new path begins before the variable that stands at the old one's end, as `{rest=**}`.
fn begun(rewrite: &Rewrite, last: &str) -> usize {
    let rest = [last.strip_suffix("=**}").unwrap_or(last), "}"].concat();
    let new = rewrite.path.as_deref().unwrap_or_default();
    let before = new.split_once(&*rest).map_or("", |(before, _)| before);
    before.matches('/').count().saturating_sub(1)
}

/// A path without so many segments at its start, and how many of them it has not.
pub(super) fn without(path: &str, segments: usize) -> (&str, usize) {
    let mut starts = path.match_indices('/').map(|(start, _)| start).chain([path.len()]);
    let have = path.matches('/').count().min(segments);
    (path.get(starts.nth(have).unwrap_or_default()..).unwrap_or_default(), segments - have)
}

fn add(roots: &mut Vec<Root>, path: String, host: &str, tails: [&'static [&'static str]; 2]) {
    roots.push(Root::new(path, host, tails));
}

/// In one place for all of them: a call is little code.
#[inline(never)]
pub(super) fn put(text: &str, mark: &str, name: &str) -> String {
    text.replace(mark, name)
}

/// A value that fits.
pub(super) fn literal(pattern: &str) -> String {
    put(&put(pattern, ":*", ":443"), "*", UNNAMED)
}
