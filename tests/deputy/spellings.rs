//! Seeded random spellings of the addresses of models: honest ones, changed a few times over.
//!
//! What belongs together in an honest address (path, host and headers) comes apart in most spellings:
//! each part is taken from another model's address now and then.

use super::models::{
    DEPLOYMENTS, EXCLUDED_HOST, EXPLAINERS, FIXED_HOST, GATEWAY, LLM_SERVICES, MESH_MODELS,
    SERVERS_HOST, SERVICES,
};

/// A request, before it is written to a connection.
#[derive(Debug, Clone)]
pub struct Spelling {
    /// `POST` and others.
    pub method: &'static str,
    /// The request's target, as the client writes it: with query, perhaps in absolute form.
    pub path: Vec<u8>,
    /// `Host`.
    pub host: String,
    /// Header lines, in any case.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// An endless sequence, the same for the same seed.
#[derive(Debug)]
pub struct Spellings {
    state: u64,
}

impl Spellings {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// SplitMix64.
    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.next_u64() % bound).unwrap_or(0)
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'t, T: ?Sized>(&mut self, choices: &[&'t T]) -> &'t T {
        choices[self.below(choices.len())]
    }

    /// A request that somebody could mean.
    fn honest(&mut self) -> Spelling {
        let mut host = GATEWAY.to_owned();
        let mut headers = Vec::new();
        let (namespace, name) = DEPLOYMENTS[self.below(DEPLOYMENTS.len())];
        let path = match self.below(20) {
            0 | 1 => format!("/seldon/{namespace}/{name}{}", self.pick(&TAILS)),
            2 => {
                let (namespace, name, predictor) = EXPLAINERS[self.below(EXPLAINERS.len())];
                let tail = self.pick(&EXPLAIN_TAILS);
                format!("/seldon/{namespace}/{name}-explainer/{predictor}{tail}")
            }
            3 | 4 => {
                headers.push(("seldon".to_owned(), name.into()));
                headers.push(("namespace".to_owned(), namespace.into()));
                headers.push(("content-type".to_owned(), self.pick(&CONTENT_TYPES).into()));
                self.pick(&METHODS).to_owned()
            }
            5 => {
                let model = self.pick(&MESH_MODELS);
                match model.strip_suffix(".pipeline").filter(|_| self.once_in(2)) {
                    Some(pipeline) => format!("/v2/pipelines/{pipeline}/infer"),
                    None => format!("/v2/models/{model}{}", self.pick(&MESH_TAILS)),
                }
            }
            6 => {
                headers.push(("seldon-model".to_owned(), self.pick(&MESH_MODELS).into()));
                headers.push(("content-type".to_owned(), self.pick(&CONTENT_TYPES).into()));
                self.pick(&METHODS).to_owned()
            }
            7 => {
                let (namespace, name) = SERVICES[self.below(SERVICES.len())];
                host = format!("{name}-{namespace}.example.com");
                self.pick(&TAILS).to_owned()
            }
            8 => {
                let (namespace, name) = SERVICES[self.below(SERVICES.len())];
                format!("/serving/{namespace}/{name}{}", self.pick(&TAILS))
            }
            9 => {
                host = FIXED_HOST.to_owned();
                self.pick(&TAILS).to_owned()
            }
            14 => {
                let name = self.pick(&["iris", "iris-secret", "irisx", "iris-"]);
                format!("/serve/{name}{}", self.pick(&TAILS))
            }
            // A host of KServe's template that has no virtual host.
            15 => {
                host = "nosuch-prod.example.com".to_owned();
                if self.once_in(2) {
                    format!("/v2/models/iris{}", self.pick(&MESH_TAILS))
                } else {
                    self.pick(&TAILS).to_owned()
                }
            }
            12 => {
                host = EXCLUDED_HOST.to_owned();
                headers.push(("x-admin".to_owned(), b"yes".to_vec()));
                "/admin/secrets".to_owned()
            }
            13 => {
                host = SERVERS_HOST.to_owned();
                format!("/servers/{namespace}/{name}{}", self.pick(&TAILS))
            }
            16..=19 => {
                let (namespace, name, published) = LLM_SERVICES[self.below(LLM_SERVICES.len())];
                let published = format!("publishers/{namespace}/models/{}", self.pick(published));
                let tail = self.pick(&LLM_TAILS);
                match self.below(3) {
                    0 => format!("/{namespace}/{name}{tail}"),
                    1 => format!("/{published}{tail}"),
                    _ => {
                        headers.push(("x-gateway-model-name".to_owned(), published.into()));
                        tail.to_owned()
                    }
                }
            }
            10 => format!("/models/{namespace}/{name}:predict"),
            _ => format!("{}/{namespace}/{name}{}", self.pick(&OTHER_PREFIXES), self.pick(&TAILS)),
        };
        let method = self.pick(&["POST", "POST", "POST", "GET", "OPTIONS", "PUT"]);
        Spelling { method, path: path.into_bytes(), host, headers }
    }

    fn change(&mut self, spelling: &mut Spelling) {
        match self.below(16) {
            0 => spelling.host = self.host(&spelling.host),
            1..=3 => {
                let line = self.header();
                let at = self.below(spelling.headers.len() + 1);
                spelling.headers.insert(at, line);
            }
            4 => {
                let at = self.below(spelling.headers.len().max(1));
                if let Some((name, value)) = spelling.headers.get(at).cloned() {
                    let changed = match self.below(5) {
                        0 => (name.replace('-', "_"), value),
                        1 => (name.to_uppercase(), value),
                        2 => (name, self.value()),
                        3 => (name, self.spoilt(value)),
                        _ => (name, value),
                    };
                    // One of two lines, or the only one.
                    if self.once_in(2) {
                        spelling.headers.push(changed);
                    } else {
                        spelling.headers[at] = changed;
                    }
                }
            }
            5 => {
                let other = self.honest();
                spelling.path = match self.below(4) {
                    0 => self.spliced(&spelling.path, &other.path),
                    1 => [&*spelling.path, b"?x=", &other.path].concat(),
                    2 => [&*spelling.path, b"#", &other.path].concat(),
                    _ => [&*spelling.path, b"/..", &other.path].concat(),
                };
            }
            6 => {
                let origin = self.pick(&["http://", "https://", "HTTP://", "//", "http:/"]);
                let host = self.honest().host;
                spelling.path = [origin.as_bytes(), host.as_bytes(), &spelling.path].concat();
            }
            7 => {
                let other = self.honest();
                spelling.headers = other.headers;
            }
            8 => spelling.host = self.honest().host,
            _ => self.respell(&mut spelling.path),
        }
    }

    /// The beginning of one path and the end of another.
    fn spliced(&mut self, first: &[u8], second: &[u8]) -> Vec<u8> {
        let slashes = |path: &[u8]| -> Vec<usize> {
            path.iter().enumerate().filter(|(_, c)| **c == b'/').map(|(at, _)| at).collect()
        };
        let mut cut = |path: &[u8]| {
            let slashes = slashes(path);
            slashes.get(self.below(slashes.len().max(1))).copied().unwrap_or(0)
        };
        let (end, start) = (cut(first), cut(second));
        [&first[..end], &second[start..]].concat()
    }

    /// One change somewhere in the path.
    fn respell(&mut self, path: &mut Vec<u8>) {
        let at = self.below(path.len().max(1)).min(path.len());
        match self.below(10) {
            // A byte percent-encoded, once or twice over.
            0 | 1 => {
                if let Some(&byte) = path.get(at) {
                    let encoded = match self.below(5) {
                        0 | 1 => format!("%{byte:02x}"),
                        2 | 3 => format!("%{byte:02X}"),
                        _ => format!("%25{byte:02x}"),
                    };
                    path.splice(at..=at, encoded.bytes());
                }
            }
            2 => {
                if let Some(byte) = path.get_mut(at) {
                    *byte = match *byte {
                        b'-' => b'_',
                        b'.' => b'x',
                        b'/' => b'\\',
                        other if other.is_ascii_lowercase() => other.to_ascii_uppercase(),
                        other => other.to_ascii_lowercase(),
                    };
                }
            }
            3 => drop(path.splice(at..at, self.pick(&BYTES).iter().copied())),
            4 => {
                if at < path.len() {
                    path.remove(at);
                }
            }
            5 => path.extend_from_slice(
                self.pick(&["/", "//", "?", "?a=b", "#", "/.", "/..", "%"]).as_bytes(),
            ),
            6 => drop(path.splice(at..at, self.pick(&WORDS).bytes())),
            // Something at the border of a segment.
            _ => {
                let slashes: Vec<usize> = (0..path.len()).filter(|at| path[*at] == b'/').collect();
                if let Some(at) = slashes.get(self.below(slashes.len().max(1))) {
                    path.splice(at..at, self.pick(&SEGMENTS).bytes());
                }
            }
        }
    }

    fn header(&mut self) -> (String, Vec<u8>) {
        (self.pick(&NAMES).to_owned(), self.value())
    }

    fn value(&mut self) -> Vec<u8> {
        let plain = self.pick(&VALUES).as_bytes().to_vec();
        if self.once_in(4) { self.spoilt(plain) } else { plain }
    }

    fn spoilt(&mut self, value: Vec<u8>) -> Vec<u8> {
        match self.below(6) {
            0 => [&*value, b",fraud"].concat(),
            1 => value.to_ascii_uppercase(),
            2 => [&*value, b"/"].concat(),
            3 => [&*value, b"%2e"].concat(),
            4 => [&*value, b"\xff"].concat(),
            _ => Vec::new(),
        }
    }

    fn host(&mut self, host: &str) -> String {
        match self.below(11) {
            // What a wildcard for the same names ends with.
            10 => host.trim_start_matches(|c| c != '.').to_owned(),
            8 => format!("{host}.."),
            9 => format!("{}.", host.to_uppercase()),
            0 => host.to_uppercase(),
            1 => format!("{host}."),
            2 => format!("{host}:80"),
            3 => format!("{host}.:443"),
            4 => format!("{host}:{FIXED_HOST}"),
            5 => format!("{FIXED_HOST}:.{host}"),
            6 => format!("x.{host}"),
            _ => String::new(),
        }
    }
}

impl Iterator for Spellings {
    type Item = Spelling;

    fn next(&mut self) -> Option<Spelling> {
        let mut spelling = self.honest();
        for _ in 0..self.below(4) {
            self.change(&mut spelling);
        }
        Some(spelling)
    }
}

const TAILS: [&str; 14] = [
    "/api/v1.0/predictions",
    "/api/v0.1/predictions",
    "/api/v1.0/feedback",
    "/api/v1.0/explain",
    "/ready",
    "/prometheus",
    "/",
    "",
    "/v1/models/iris:predict",
    "/v2/models/fraud/infer",
    "/v2/models/inference/infer",
    "/v2/repository/index",
    "/seldon.protos.Seldon/Predict",
    "/openai/v1/chat/completions",
];
const LLM_TAILS: [&str; 8] = [
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/responses/resp_1",
    "/v1/load_lora_adapter",
    "/v1/models",
    "/health",
    "/metrics",
    "/",
];
const EXPLAIN_TAILS: [&str; 4] =
    ["/api/v1.0/explain", "/v1/models/iris:explain", "/v2/models/iris/infer", "/prometheus"];
const MESH_TAILS: [&str; 5] =
    ["/infer", "/infer/chat/completions", "/ready", "", "/versions/1/infer"];
const METHODS: [&str; 7] = [
    "/seldon.protos.Seldon/Predict",
    "/seldon.protos.Model/SendFeedback",
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/RepositoryModelLoad",
    "/tensorflow.serving.PredictionService/Predict",
    "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
    "/inference-x",
];
const CONTENT_TYPES: [&str; 6] = [
    "application/grpc",
    "application/grpc+proto",
    "application/grpc-web",
    "Application/GRPC",
    "application/json",
    "",
];
const OTHER_PREFIXES: [&str; 5] = ["/strip", "/own", "/open", "/stable", "/grpc"];
const NAMES: [&str; 22] = [
    "x-gateway-model-name",
    "x-gateway-model-name",
    "x-gateway-base-model-name",
    "X-Gateway-Model-Name",
    "x-gateway-destination-endpoint",
    "x_llm-d-model-name-rewrite",
    "seldon",
    "seldon",
    "namespace",
    "namespace",
    "seldon-model",
    "seldon-model",
    "x-seldon-route",
    "content-type",
    "Seldon-Model",
    "SELDON",
    "seldon_model",
    "seldon-internal-model",
    "kserve-isvc-name",
    "x-forwarded-host",
    "x-original-url",
    "x-modelgate-variant",
];
const VALUES: [&str; 20] = [
    "publishers/prod/models/qwen",
    "publishers/prod/models/sql",
    "publishers/prod/models/Org/Llama-3.1",
    "publishers/dev/models/llama",
    "publishers/prod/models/qwen/v1",
    "qwen",
    "iris",
    "fraud",
    "prod",
    "dev",
    "wine-explainer",
    "iris.pipeline",
    "fraud.experiment",
    ":fraud_1:",
    "application/grpc",
    "fraud,iris",
    "iris, fraud",
    "prod/fraud",
    "/seldon/prod/fraud/ready",
    "",
];
/// Put in anywhere.
const BYTES: [&[u8]; 12] = [
    b"%",
    b"%z",
    b"%zz",
    b"%4",
    b"%00",
    b"%0a",
    b"%c2%80",
    b";",
    b"\\",
    b"\xff",
    b"\x7f",
    b"\xc3\xa9",
];
const WORDS: [&str; 12] = [
    "/prod/qwen/",
    "/publishers/prod/models/qwen/",
    "inference",
    "tensorflow",
    "seldon.protos",
    "seldonXprotos",
    "%69nference",
    "/v2/models/fraud/",
    "/seldon/prod/fraud/",
    "/serving/prod/toxic/",
    "v2",
    ":predict",
];
/// Put before a `/`.
const SEGMENTS: [&str; 16] = [
    "/", "//", "/.", "/..", "/x/..", "/%2e", "/%2e%2e", "/.%2E", "%2f", "%2F", "%5c", "/..;", ";x",
    "/;x", "%2e", "/%zz",
];
