//! Where the routes of the operators take a request, read from what the operators write and from
//! nothing of modelgate's.
//!
//! Which of several routes that match comes first depends on when they were made, so all of them
//! count. So do the readings of servers that are less exact than Envoy: a path counts as it is
//! written, percent-decoded, and with empty, dot and parameter parts resolved.

use std::collections::BTreeSet;

use super::models::{
    DEPLOYMENTS, EXCLUDED_HOST, EXPLAINERS, FIXED_HOST, LLM_SERVICES, MESH_MODELS, SERVERS_HOST,
    SERVICES,
};

/// A request as it leaves the filter.
#[derive(Debug, Default)]
pub struct Sent {
    /// `:path`.
    pub path: Vec<u8>,
    /// `:authority`.
    pub authority: Vec<u8>,
    /// The other lines, names in lower case.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Sent {
    fn lines(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(n, _)| n == name.as_bytes()).map(|(_, v)| v.as_slice())
    }

    /// Whether a route that matches this header takes the request: Envoy's may look at each line.
    fn has(&self, name: &str, value: &str) -> bool {
        self.lines(name).any(|line| line == value.as_bytes())
    }

    fn host(&self) -> String {
        let authority = String::from_utf8_lossy(&self.authority).to_lowercase();
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host.to_owned(),
            _ => authority,
        }
    }
}

/// The models, as `namespace/name`, of all backends that the request may reach.
pub fn reached(sent: &Sent) -> BTreeSet<String> {
    let host = sent.host();
    if host == FIXED_HOST {
        // A route without a match is one for the prefix `/`.
        let taken = sent.path.starts_with(b"/");
        return taken.then(|| "prod/chat".to_owned()).into_iter().collect();
    }
    let by_host = SERVICES.iter().find(|(ns, name)| host == format!("{name}-{ns}.example.com"));
    if let Some((namespace, name)) = by_host {
        return BTreeSet::from([format!("{namespace}/{name}")]);
    }
    let mut models = BTreeSet::new();
    if host == EXCLUDED_HOST {
        return models;
    }
    if host == SERVERS_HOST {
        let lines = sent.lines("x-model").map(|line| String::from_utf8_lossy(line).into_owned());
        models.extend(lines);
        return models;
    }
    // What is no model's: closed by a policy, which nothing but an exclusion passes by.
    if sent.has("x-admin", "yes") {
        models.insert("closed/admin".to_owned());
    }
    // Whoever is authorized by a rule for the host above must not meet the routes of every host.
    if host.trim_end_matches('.') == SERVERS_HOST && sent.lines("x-model").next().is_some() {
        models.insert("closed/website".to_owned());
    }
    // What the endpoint picker alone says.
    if ["x-gateway-destination-endpoint", "x-llm-d-model-name-rewrite"]
        .iter()
        .any(|name| sent.lines(name).next().is_some())
    {
        models.insert("closed/endpoint".to_owned());
    }
    for path in readings(&sent.path) {
        http_routes(sent, &path, &mut models);
        virtual_services(sent, &path, &mut models);
    }
    models
}

/// The routes that KServe makes for LLMInferenceServices, which have no host names.
fn http_routes(sent: &Sent, path: &[u8], models: &mut BTreeSet<String>) {
    let under = |prefix: &str| {
        let rest = path.strip_prefix(prefix.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    for (namespace, name, published) in LLM_SERVICES {
        let by_name = published.iter().any(|model| {
            let model = format!("publishers/{namespace}/models/{model}");
            under(&format!("/{model}")) || sent.has("x-gateway-model-name", &model)
        });
        if by_name || under(&format!("/{namespace}/{name}")) {
            models.insert(format!("{namespace}/{name}"));
        }
    }
}

/// The routes of every host that has none of its own, for a path without query.
fn virtual_services(sent: &Sent, path: &[u8], models: &mut BTreeSet<String>) {
    let below = |prefix: String| path.starts_with(prefix.as_bytes());
    for (namespace, name) in DEPLOYMENTS {
        let by_headers = sent.has("seldon", name) && sent.has("namespace", namespace);
        if below(format!("/seldon/{namespace}/{name}/")) || (by_headers && is_grpc_route(path)) {
            models.insert(format!("{namespace}/{name}"));
        }
    }
    // Routes that choose the model themselves, by text with the longer one first, or by segments.
    if path.starts_with(b"/serve/iris-secret") {
        models.insert("prod/iris-secret".to_owned());
    } else if path.starts_with(b"/serve/iris") {
        models.insert("prod/iris".to_owned());
    }
    for (namespace, name, predictor) in EXPLAINERS {
        if below(format!("/seldon/{namespace}/{name}-explainer/{predictor}/")) {
            models.insert(format!("{namespace}/{name}"));
        }
    }
    for (namespace, name) in SERVICES {
        let prefix = format!("/serving/{namespace}/{name}");
        if path == prefix.as_bytes() || below(format!("{prefix}/")) {
            models.insert(format!("{namespace}/{name}"));
        }
    }
    if path.starts_with(b"/v2") || path.starts_with(b"/inference.GRPCInferenceService") {
        for model in MESH_MODELS.iter().filter(|model| mesh(sent, path, model)) {
            models.insert(format!("seldon-mesh/{model}"));
        }
    }
}

/// Whether Seldon v2's own Envoy takes the request to this model: by `seldon-model`, which its
/// filter fills in from the path where neither it nor `x-seldon-route` says anything.
fn mesh(sent: &Sent, path: &[u8], model: &str) -> bool {
    let said = |name| sent.lines(name).any(|line| !line.is_empty());
    if said("seldon-model") || said("x-seldon-route") {
        return sent.has("seldon-model", model);
    }
    let named = |prefix: &[u8]| {
        let rest = path.strip_prefix(prefix)?;
        rest.split(|c| *c == b'/').next()
    };
    named(b"/v2/models/") == Some(model.as_bytes())
        || model
            .strip_suffix(".pipeline")
            .is_some_and(|pipeline| named(b"/v2/pipelines/") == Some(pipeline.as_bytes()))
}

/// `.*tensorflow.*|.*seldon.protos.*|.*inference.*`
fn is_grpc_route(path: &[u8]) -> bool {
    let path = String::from_utf8_lossy(path);
    let seldon_protos = || {
        path.split("seldon").skip(1).any(|behind| {
            let mut rest = behind.chars();
            rest.next().is_some_and(|dot| dot != '\n') && rest.as_str().starts_with("protos")
        })
    };
    path.contains("tensorflow") || path.contains("inference") || seldon_protos()
}

/// The ways to read the path, without its query.
fn readings(path: &[u8]) -> [Vec<u8>; 3] {
    let end = path.iter().position(|c| matches!(c, b'?' | b'#')).unwrap_or(path.len());
    let written = path[..end].to_vec();
    let decoded = decoded(&written);
    let resolved = resolved(&decoded);
    [written, decoded, resolved]
}

/// Every escape decoded once; what is none stays as it is.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let escape = tail.get(..2).filter(|_| *first == b'%');
        let byte = escape.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            digits.bytes().all(|c| c.is_ascii_hexdigit()).then_some(())?;
            u8::from_str_radix(digits, 16).ok()
        });
        match byte {
            Some(byte) => {
                decoded.push(byte);
                rest = &tail[2..];
            }
            None => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

fn resolved(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|c| matches!(c, b'/' | b'\\')) {
        match segment.split(|c| *c == b';').next().unwrap_or_default() {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    // With the slash at the end that a prefix asks for.
    let mut resolved: Vec<u8> = segments.iter().flat_map(|s| [b"/", *s].concat()).collect();
    resolved.push(b'/');
    resolved
}
