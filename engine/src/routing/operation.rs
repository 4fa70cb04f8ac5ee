//! What the paths of the model servers themselves do: Seldon's executor and Python wrapper, the V1
//! (TensorFlow) and V2 (Open Inference) protocols, servers of OpenAI's kind, TorchServe, MLflow and
//! others. `docs/addresses.md` lists them by server.

use super::{Operation, grpc};
use crate::path::segments::{Segments, fits};

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
        self.known(tail, true, true).0
    }

    /// What a request does with the server that sees this path: decoded, without leading and
    /// trailing `/`. An unknown path, or a known one with a method that it does not have, is
    /// [`Operation::Other`]. `OPTIONS` belongs to the operation that it asks about.
    pub(super) fn of(&self, tail: &[u8], method: &[u8]) -> Operation {
        let reads = matches!(method, b"GET" | b"HEAD" | b"OPTIONS");
        let posts = matches!(method, b"POST" | b"OPTIONS");
        match self.known(tail, reads, posts) {
            (Other, _) | (_, false) if posts && self.predictions.iter().any(|p| p == tail) => {
                Predict
            }
            (operation, true) => operation,
            (_, false) => Other,
        }
    }

    fn known(&self, tail: &[u8], reads: bool, posts: bool) -> (Operation, bool) {
        if self.metrics.iter().any(|metrics| metrics == tail) {
            return (Operation::Metrics, true);
        }
        let segments = Segments::of(tail);
        let segments = segments.as_slice();
        match grpc::operation(segments) {
            Some(operation) => (operation, true),
            None => by_path(segments, reads, posts),
        }
    }
}

/// The operation of a path, and whether the method is one that the path has.
fn by_path(segments: &[&[u8]], reads: bool, posts: bool) -> (Operation, bool) {
    let found = match segments {
        [b"v1", b"models", last] | [b"v1", b"models", _, b"versions" | b"labels", last] => {
            v1_model(last)
        }
        [b"v2", b"models", _, b"versions", _, rest @ ..] => find(OF_V2_MODEL, rest),
        _ => find(PATHS, segments).or_else(|| match segments {
            [b"v1", rest @ ..] | [b"openai", b"v1", rest @ ..] => find(OF_OPENAI, rest),
            [b"v2", b"models" | b"pipelines", _, rest @ ..] => find(OF_V2_MODEL, rest),
            _ => None,
        }),
    };
    match found {
        Some((operation, Any)) => (operation, true),
        Some((operation, Get)) => (operation, reads),
        Some((operation, Post)) => (operation, posts),
        Some((operation, GetPost)) => (operation, reads || posts),
        None => (Other, true),
    }
}

/// A model of the V1 protocol, with its verb behind a colon.
fn v1_model(name: &[u8]) -> Option<(Operation, Methods)> {
    match name.iter().position(|c| *c == b':').and_then(|colon| name.get(colon..)) {
        None => Some((Status, Get)),
        Some(b":predict" | b":classify" | b":regress") => Some((Predict, Post)),
        Some(b":explain") => Some((Explain, Post)),
        Some(_) => None,
    }
}

/// With which methods a path is what it is: `Get` also with `HEAD`, all of them also with `OPTIONS`.
#[derive(Debug, Clone, Copy)]
enum Methods {
    Any,
    Get,
    Post,
    GetPost,
}

use Methods::{Any, Get, GetPost, Post};
use Operation::{Admin, Docs, Explain, Feedback, Metadata, Other, Predict, Status};

/// Paths, as [`fits`] reads them; the first that fits counts. Tables are a tenth of the code that
/// patterns of the language would become.
type Paths = &'static [(&'static str, Operation, Methods)];

const PATHS: Paths = &[
    ("api/v0.1|v1.0/predictions", Predict, Post),
    ("api/v0.1|v1.0/feedback", Feedback, Post),
    ("api/v0.1|v1.0/explain", Explain, Post),
    ("api/v0.1|v1.0/status/*", Status, Get),
    ("api/v1.0/status", Status, Get),
    ("api/v0.1|v1.0/metadata/*", Metadata, Get),
    ("api/v1.0/metadata", Metadata, Get),
    ("api/v1.0/health/status", Status, Any),
    ("api/v0.1|v1.0/doc/**", Docs, Any),
    ("v1/models:predict", Predict, Post),
    ("v1/models/*/:predict", Predict, Post),
    ("v1/models", Metadata, Get),
    ("v1/models/*/metadata", Metadata, Get),
    ("v1/models/*/versions|labels/*/metadata", Metadata, Get),
    ("v2", Metadata, Get),
    ("v2/models", Metadata, Get),
    ("v2/health/live|ready", Status, Any),
    ("v2/docs/**", Docs, Any),
    ("v2/repository|systemsharedmemory|cudasharedmemory|trace|logging/**", Admin, Any),
    ("v2/models/stats", Admin, Any),
    ("v2/models/infer", Predict, Post),
    ("v2/rerank|embed", Predict, Post),
    // The readiness of one model: 200 or 503.
    ("openai/v1/models/*", Status, Get),
    ("openai/v1/models", Metadata, Get),
    // The wrapper takes the steps of a graph by GET as well, with the payload in `?json=`. They run
    // model code: they are predictions.
    ("predict|transform-input|transform-output|route|aggregate", Predict, GetPost),
    ("send-feedback", Feedback, GetPost),
    ("metadata", Metadata, Get),
    ("seldon.json", Docs, Get),
    ("invocations|generate|generate_stream", Predict, Post),
    ("rerank|score|classify|pooling|tokenize|detokenize", Predict, Post),
    ("extras/*", Predict, Post),
    ("extras/*/count", Predict, Post),
    ("predictions/*", Predict, Post),
    ("predictions/*/*", Predict, Post),
    ("models/*/invoke", Predict, Post),
    ("wfpredict/*", Predict, Post),
    ("explanations/*", Explain, Post),
    ("explanations/*/*", Explain, Post),
    ("ready|live", Status, Any),
    ("health/*/**", Status, Any),
    ("health|ping|healthz|livez|readyz", Status, GetPost),
    ("-/healthz", Status, GetPost),
    ("version|info", Metadata, Get),
    ("-/routes", Metadata, Get),
    ("docs|redoc|openapi.json|docs.json|schema.json|api-description", Docs, Get),
    ("docs/oauth2-redirect", Docs, Get),
    ("sleep|wake_up|reset_prefix_cache|server_info|shutdown", Admin, Any),
    ("start_profile|stop_profile|load_lora_adapter|unload_lora_adapter", Admin, Any),
    ("models|workflows|token", Admin, Any),
];

/// Behind a model or a pipeline of the V2 protocol.
const OF_V2_MODEL: Paths = &[
    ("infer|infer_stream|generate|generate_stream", Predict, Post),
    ("infer|infer_stream/chat/completions", Predict, Post),
    ("infer|infer_stream/embeddings", Predict, Post),
    ("infer|infer_stream/images/generations", Predict, Post),
    ("", Metadata, Get),
    ("ready", Status, Any),
    ("docs/**", Docs, Any),
    ("explain", Explain, Post),
    ("config|stats|trace/**", Admin, Any),
];

/// Behind `/v1/` or `/openai/v1/` on servers of OpenAI's kind.
const OF_OPENAI: Paths = &[
    ("chat/completions", Predict, Post),
    ("completions|responses|messages|embeddings|rerank|score", Predict, Post),
    ("classify|pooling|tokenize|detokenize", Predict, Post),
    ("messages/count_tokens", Predict, Post),
    ("audio/*", Predict, Post),
    ("timeseries/forecast", Predict, Post),
    ("engines/*/completions|embeddings", Predict, Post),
    ("engines/*/chat/completions", Predict, Post),
    ("timeseries/models", Metadata, Get),
    ("load_lora_adapter|unload_lora_adapter|sleep|wake_up", Admin, Any),
    ("reset_prefix_cache|start_profile|stop_profile|server_info", Admin, Any),
];

fn find(paths: Paths, segments: &[&[u8]]) -> Option<(Operation, Methods)> {
    let found = paths.iter().find(|(path, ..)| fits(path, segments));
    found.map(|(_, operation, methods)| (*operation, *methods))
}
