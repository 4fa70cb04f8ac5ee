//! What the paths of the model servers themselves do: Seldon's executor and Python wrapper, the V1
//! (TensorFlow) and V2 (Open Inference) protocols, KServe's OpenAI routes.

use super::path::Segments;
use super::{Operation, grpc};

/// Reads operations, with the operator's own metrics paths.
#[derive(Debug)]
pub(super) struct Operations {
    /// Without leading and trailing `/`.
    metrics: Vec<Vec<u8>>,
}

impl Operations {
    /// The paths are given with their leading `/`.
    pub(super) fn new(metrics_paths: &[String]) -> Self {
        let bare = |path: &String| path.trim_matches('/').as_bytes().to_vec();
        Self { metrics: metrics_paths.iter().map(bare).collect() }
    }

    /// What a request does with the server that sees this path: decoded, without leading and
    /// trailing `/`. An unknown path, or a known one with a method that it does not have, is
    /// [`Operation::Other`]. `OPTIONS` belongs to the operation that it asks about.
    pub(super) fn of(&self, tail: &[u8], method: &[u8]) -> Operation {
        if self.metrics.iter().any(|metrics| metrics == tail) {
            return Operation::Metrics;
        }
        let segments = Segments::of(tail);
        let segments = segments.as_slice();
        if let Some(operation) = grpc::operation(segments) {
            return operation;
        }
        let reads = matches!(method, b"GET" | b"HEAD" | b"OPTIONS");
        let posts = matches!(method, b"POST" | b"OPTIONS");
        let (operation, fits) = by_path(segments, reads, posts);
        if fits { operation } else { Operation::Other }
    }
}

/// The operation of a path, and whether the method is one that the path has.
fn by_path(segments: &[&[u8]], reads: bool, posts: bool) -> (Operation, bool) {
    use Operation::{Admin, Docs, Feedback, Metadata, Other, Predict, Status};
    match segments {
        [b"ready"] | [b"live"] | [b"health", _, ..] => (Status, true),

        [b"api", b"v0.1" | b"v1.0", b"predictions"] => (Predict, posts),
        [b"api", b"v0.1" | b"v1.0", b"feedback"] => (Feedback, posts),
        [b"api", b"v0.1" | b"v1.0", b"explain"] => (Operation::Explain, posts),
        [b"api", b"v0.1" | b"v1.0", b"status", _] | [b"api", b"v1.0", b"status"] => (Status, reads),
        [b"api", b"v0.1" | b"v1.0", b"metadata", _] | [b"api", b"v1.0", b"metadata"] => {
            (Metadata, reads)
        }
        [b"api", b"v1.0", b"health", b"status"] => (Status, true),
        [b"api", b"v0.1" | b"v1.0", b"doc", ..] => (Docs, true),

        // The wrapper takes the steps of a graph by GET as well, with the payload in `?json=`. They
        // run model code: they are predictions.
        [b"predict" | b"transform-input" | b"transform-output" | b"route" | b"aggregate"] => {
            (Predict, reads || posts)
        }
        [b"send-feedback"] => (Feedback, reads || posts),
        [b"metadata"] => (Metadata, reads),
        [b"seldon.json"] => (Docs, reads),

        [b"v1", b"models:predict"] | [b"v1", b"models", _, b":predict"] => (Predict, posts),
        [b"v1", b"models", model] if model.ends_with(b":predict") => (Predict, posts),
        [b"v1", b"models", model] if model.ends_with(b":explain") => (Operation::Explain, posts),
        [b"v1", b"models", model] if !model.contains(&b':') => (Status, reads),
        [b"v1", b"models"] | [b"v1", b"models", _, b"metadata"] => (Metadata, reads),

        [b"v2"] => (Metadata, reads),
        [b"v2", b"health", b"live" | b"ready"] => (Status, true),
        [b"v2", b"docs", ..] => (Docs, true),
        [b"v2", b"repository" | b"systemsharedmemory" | b"cudasharedmemory", ..] => (Admin, true),
        [b"v2", b"models", b"infer"] => (Predict, posts),
        [b"v2", b"models", _, b"versions", _, rest @ ..]
        | [b"v2", b"models" | b"pipelines", _, rest @ ..] => match rest {
            [] => (Metadata, reads),
            [b"ready"] => (Status, true),
            [b"docs", ..] => (Docs, true),
            [b"infer" | b"infer_stream" | b"generate" | b"generate_stream"]
            | [b"infer" | b"infer_stream", b"chat", b"completions"]
            | [b"infer" | b"infer_stream", b"embeddings"]
            | [b"infer" | b"infer_stream", b"images", b"generations"] => (Predict, posts),
            _ => (Other, true),
        },

        [b"openai", b"v1", b"completions" | b"embeddings"]
        | [b"openai", b"v1", b"chat", b"completions"] => (Predict, posts),
        [b"openai", b"v1", b"models"] | [b"openai", b"v1", b"models", _] => (Metadata, reads),
        _ => (Other, true),
    }
}
