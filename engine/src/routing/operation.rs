//! What the paths of the model servers themselves do: Seldon's executor and Python wrapper, the V1
//! (TensorFlow) and V2 (Open Inference) protocols, servers of OpenAI's kind, TorchServe, MLflow and
//! others. `docs/addresses.md` lists them by server.

use super::{Operation, grpc};
use crate::path::segments::{Segments, each, fits};

/// Reads operations, with the operator's own metrics paths.
#[derive(Debug)]
pub(super) struct Operations {
    /// Without leading and trailing `/`.
    metrics: Vec<Vec<u8>>,
    /// Of the operator's own servers, in the same form.
    predictions: Vec<Vec<u8>>,
}

impl Operations {
    /// The paths are given with their leading `/`.
    pub(super) fn new(metrics_paths: &[String], predict_paths: &[String]) -> Self {
        let bare = |path: &String| path.trim_matches('/').as_bytes().to_vec();
        Self {
            metrics: metrics_paths.iter().map(bare).collect(),
            predictions: predict_paths.iter().map(bare).collect(),
        }
    }

    /// What some request may do at this path, whatever its method.
    pub(super) fn of_any_method(&self, tail: &[u8]) -> Operation {
        self.known(tail, ANY)
    }

    /// What a request does with the server that sees this path: decoded, without leading and
    /// trailing `/`. An unknown path, or a known one with a method that it does not have, is
    /// [`Operation::Other`]. `OPTIONS` belongs to the operation that it asks about.
    pub(super) fn of(&self, tail: &[u8], method: &[u8]) -> Operation {
        let method = METHODS.iter().find(|(name, _)| name.as_bytes() == method);
        let method = method.map_or(UNKNOWN, |(_, bits)| *bits);
        match self.known(tail, method) {
            Other if method & POST != 0 && self.predictions.iter().any(|p| p == tail) => Predict,
            operation => operation,
        }
    }

    fn known(&self, tail: &[u8], method: Methods) -> Operation {
        if self.metrics.iter().any(|metrics| metrics == tail) {
            return Operation::Metrics;
        }
        let segments = Segments::of(tail);
        let segments = segments.as_slice();
        grpc::operation(segments).unwrap_or_else(|| by_path(segments, method))
    }
}

/// The operation of a path with these methods.
fn by_path(segments: &[&[u8]], method: Methods) -> Operation {
    let find = |paths: Paths, segments: &[&[u8]]| find(paths, segments, method);
    let found = match segments {
        [b"v1", b"models", last] | [b"v1", b"models", _, b"versions" | b"labels", last] => {
            v1_model(last, method)
        }
        [b"v2", b"models", _, b"versions", _, rest @ ..] => find(OF_V2_MODEL, rest),
        _ => find(PATHS, segments).or_else(|| match segments {
            [b"v1", rest @ ..] | [b"openai", b"v1", rest @ ..] => {
                find(OF_OPENAI, rest).or_else(|| find(OF_SERVER, rest))
            }
            [b"v2", b"models" | b"pipelines", _, rest @ ..] => find(OF_V2_MODEL, rest),
            _ => find(OF_SERVER, segments),
        }),
    };
    found.unwrap_or(Other)
}

/// A model of the V1 protocol, with its verb behind a colon.
fn v1_model(name: &[u8], method: Methods) -> Option<Operation> {
    let verb = name.iter().position(|c| *c == b':').and_then(|colon| name.get(colon..));
    let (operation, methods) = match verb {
        None => (Status, GET),
        Some(verb) if fits(":predict|:classify|:regress", &[verb]) => (Predict, POST),
        Some(b":explain") => (Explain, POST),
        Some(_) => return None,
    };
    (method & methods != 0).then_some(operation)
}

/// The first row with the path and one of the methods. `Other`: the path is there with other methods alone.
fn find(paths: Paths, segments: &[&[u8]], method: Methods) -> Option<Operation> {
    let mut found = None;
    for (path, operation, methods) in paths {
        if fits(path, segments) {
            if methods & method != 0 {
                return Some(*operation);
            }
            found = Some(Other);
        }
    }
    found
}

/// Methods, a bit for each.
pub(super) type Methods = u8;

const METHODS: &[(&str, Methods)] = &[
    ("POST", POST),
    ("GET", GET),
    ("HEAD", GET),
    ("DELETE", DELETE),
    ("OPTIONS", GET | POST | DELETE),
];

pub(super) const GET: Methods = 1;
pub(super) const POST: Methods = 1 << 1;
pub(super) const DELETE: Methods = 1 << 2;
const UNKNOWN: Methods = 1 << 3;
const ANY: Methods = GET | POST | DELETE | UNKNOWN;

use Operation::{Admin, Docs, Explain, Feedback, Metadata, Other, Predict, Status};

/// Paths, as [`fits`] reads them; the first that fits counts. Tables are a tenth of the code that
/// patterns of the language would become.
pub(super) type Paths = &'static [(&'static str, Operation, Methods)];

pub(super) const PATHS: Paths = &[
    ("api/v0.1|v1.0/predictions", Predict, POST),
    ("api/v0.1|v1.0/feedback", Feedback, POST),
    ("api/v0.1|v1.0/explain", Explain, POST),
    ("api/v0.1|v1.0/status/*", Status, GET),
    ("api/v1.0/status", Status, GET),
    ("api/v0.1|v1.0/metadata/*", Metadata, GET),
    ("api/v1.0/metadata", Metadata, GET),
    ("api/v1.0/health/status", Status, ANY),
    ("api/v0.1|v1.0/doc/**", Docs, ANY),
    ("v1/models:predict", Predict, POST),
    ("v1/models/*/:predict", Predict, POST),
    ("v1/models", Metadata, GET),
    ("v1/models/*/metadata", Metadata, GET),
    ("v1/models/*/versions|labels/*/metadata", Metadata, GET),
    ("v1/models/*/load|unload", Admin, ANY),
    ("v2", Metadata, GET),
    ("v2/models", Metadata, GET),
    ("v2/health/live|ready", Status, ANY),
    ("v2/docs/**", Docs, ANY),
    ("v2/repository|systemsharedmemory|cudasharedmemory|trace|logging/**", Admin, ANY),
    ("v2/models/stats", Admin, ANY),
    ("v2/models/infer", Predict, POST),
    ("v2/rerank|embed", Predict, POST),
    // The readiness of one model: 200 or 503.
    ("openai/v1/models/*", Status, GET),
    ("openai/v1/models", Metadata, GET),
    // The wrapper takes the steps of a graph by GET as well, with the payload in `?json=`. They run
    // model code: they are predictions.
    ("predict|transform-input|transform-output|route|aggregate", Predict, GET | POST),
    ("send-feedback", Feedback, GET | POST),
    ("metadata", Metadata, GET),
    ("seldon.json", Docs, GET),
    ("invocations|generate|generate_stream|generative_scoring", Predict, POST),
    ("inference/v1/generate", Predict, POST),
    ("completion|embedding|infill|apply-template", Predict, POST),
    ("extras/*", Predict, POST),
    ("extras/*/count", Predict, POST),
    ("predictions/*", Predict, POST),
    ("predictions/*/*", Predict, POST),
    ("models/*/invoke", Predict, POST),
    ("wfpredict/*", Predict, POST),
    ("explanations/*", Explain, POST),
    ("explanations/*/*", Explain, POST),
    ("ready|live", Status, ANY),
    ("health/*/**", Status, ANY),
    ("health|ping|healthz|livez|readyz", Status, GET | POST),
    ("-/healthz", Status, GET | POST),
    ("is_sleeping|is_paused|is_scaling_elastic_ep", Status, GET | POST),
    ("version|info|props|lora-adapters", Metadata, GET),
    ("-/routes", Metadata, GET),
    ("docs|redoc|openapi.json|docs.json|schema.json|api-description", Docs, GET),
    ("docs/oauth2-redirect", Docs, GET),
    // Slots of llama.cpp show what others ask.
    ("props|lora-adapters|slots", Admin, ANY),
    ("slots/*", Admin, ANY),
    ("models|workflows|token", Admin, ANY),
    ("models/load|unload", Admin, ANY),
];

/// Behind a model or a pipeline of the V2 protocol.
pub(super) const OF_V2_MODEL: Paths = &[
    ("infer|infer_stream|generate|generate_stream", Predict, POST),
    ("infer|infer_stream/chat/completions", Predict, POST),
    ("infer|infer_stream/embeddings", Predict, POST),
    ("infer|infer_stream/images/generations", Predict, POST),
    ("", Metadata, GET),
    ("ready", Status, ANY),
    ("docs/**", Docs, ANY),
    ("explain", Explain, POST),
    ("config|stats|trace/**", Admin, ANY),
];

/// Paths of OpenAI's API whose predictions name their model in the body, and nowhere else.
const NAMED_IN_BODY: &[&str] = &[
    "completions|responses|embeddings|rerank|reranking|score|messages",
    "classify|pooling|tokenize|detokenize|embed",
    "chat/completions",
    "completions|messages/render|count_tokens",
    "chat/completions/batch|render",
    "audio/*",
];

/// Whether the model of a prediction at this decoded path is the one of its body. Others name it themselves, or
/// choose an adapter by another member. Where in the path the server's own begins is not known here: from nowhere on may
/// it ask a model in another way.
pub(crate) fn is_named_in_body(path: &[u8]) -> bool {
    let segments: Vec<&[u8]> = each(path).filter(|segment| !segment.is_empty()).collect();
    let named = |tail: &[&[u8]]| {
        let rest = match tail {
            [b"openai", b"v1", rest @ ..] | [b"v1" | b"v2", rest @ ..] => rest,
            rest => rest,
        };
        NAMED_IN_BODY.iter().any(|pattern| fits(pattern, rest))
    };
    let mut tails = (0..segments.len()).filter_map(|start| segments.get(start..));
    let mut is_named = false;
    let is_other = tails.any(|tail| {
        let named = named(tail);
        is_named |= named;
        !named && by_path(tail, ANY).asks_model()
    });
    is_named && !is_other
}

/// Behind `/v1/` or `/openai/v1/` on servers of OpenAI's kind.
pub(super) const OF_OPENAI: Paths = &[
    ("chat/completions/batch|render", Predict, POST),
    ("completions/render", Predict, POST),
    // An answer that the server keeps.
    ("responses/*", Predict, GET | DELETE),
    ("responses/*/cancel", Predict, POST),
    ("messages", Predict, POST),
    ("messages/count_tokens", Predict, POST),
    ("timeseries/forecast", Predict, POST),
    ("engines/*/completions|embeddings", Predict, POST),
    ("engines/*/chat/completions", Predict, POST),
    ("timeseries/models", Metadata, GET),
    ("health", Status, GET),
];

/// The same, and at the root of such servers as well.
pub(super) const OF_SERVER: Paths = &[
    ("chat/completions", Predict, POST),
    ("completions|responses|embeddings|rerank|reranking|score", Predict, POST),
    ("classify|pooling|tokenize|detokenize", Predict, POST),
    ("audio/*", Predict, POST),
    ("load_lora_adapter|unload_lora_adapter|sleep|wake_up|pause|resume|shutdown", Admin, ANY),
    ("reset_prefix_cache|reset_mm_cache|reset_encoder_cache|abort_requests", Admin, ANY),
    ("start_profile|stop_profile|server_info|tokenizer_info|get_world_size", Admin, ANY),
    ("collective_rpc|scale_elastic_ep|update_weights", Admin, ANY),
    ("init_weight_transfer_engine", Admin, ANY),
];
