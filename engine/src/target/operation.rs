//! What the paths of the model servers themselves do: Seldon's executor and Python wrapper, the V1
//! (TensorFlow) and V2 (Open Inference) protocols, servers of OpenAI's kind, TorchServe, MLflow and
//! others. `docs/addresses.md` lists them by server.

use super::path::Segments;
use super::{Operation, grpc};

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
            (Operation::Other, _) | (_, false)
                if posts && self.predictions.iter().any(|p| p == tail) =>
            {
                Operation::Predict
            }
            (operation, true) => operation,
            (_, false) => Operation::Other,
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
    use Operation::{Admin, Docs, Explain, Feedback, Metadata, Other, Predict, Status};
    match segments {
        [b"ready"] | [b"live"] | [b"health", _, ..] => (Status, true),
        [b"health" | b"ping" | b"healthz" | b"livez" | b"readyz"] | [b"-", b"healthz"] => {
            (Status, reads || posts)
        }
        [b"version" | b"info"] | [b"-", b"routes"] => (Metadata, reads),
        [b"docs" | b"redoc" | b"openapi.json" | b"docs.json" | b"schema.json"]
        | [b"api-description"]
        | [b"docs", b"oauth2-redirect"] => (Docs, reads),

        [b"api", b"v0.1" | b"v1.0", b"predictions"] => (Predict, posts),
        [b"api", b"v0.1" | b"v1.0", b"feedback"] => (Feedback, posts),
        [b"api", b"v0.1" | b"v1.0", b"explain"] => (Explain, posts),
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
        [b"v1", b"models", last] | [b"v1", b"models", _, b"versions" | b"labels", last] => {
            match last.iter().position(|c| *c == b':').and_then(|colon| last.get(colon..)) {
                None => (Status, reads),
                Some(b":predict" | b":classify" | b":regress") => (Predict, posts),
                Some(b":explain") => (Explain, posts),
                Some(_) => (Other, true),
            }
        }
        [b"v1", b"models"]
        | [b"v1", b"models", _, b"metadata"]
        | [b"v1", b"models", _, b"versions" | b"labels", _, b"metadata"] => (Metadata, reads),
        [b"v1", rest @ ..] => of_openai(rest, reads, posts),

        [b"v2"] | [b"v2", b"models"] => (Metadata, reads),
        [b"v2", b"health", b"live" | b"ready"] => (Status, true),
        [b"v2", b"docs", ..] => (Docs, true),
        [b"v2", b"repository" | b"systemsharedmemory" | b"cudasharedmemory", ..]
        | [b"v2", b"trace" | b"logging", ..]
        | [b"v2", b"models", b"stats"] => (Admin, true),
        [b"v2", b"models", b"infer"] | [b"v2", b"rerank" | b"embed"] => (Predict, posts),
        [b"v2", b"models", _, b"versions", _, rest @ ..]
        | [b"v2", b"models" | b"pipelines", _, rest @ ..] => match rest {
            [] => (Metadata, reads),
            [b"ready"] => (Status, true),
            [b"docs", ..] => (Docs, true),
            [b"explain"] => (Explain, posts),
            [b"infer" | b"infer_stream" | b"generate" | b"generate_stream"]
            | [b"infer" | b"infer_stream", b"chat", b"completions"]
            | [b"infer" | b"infer_stream", b"embeddings"]
            | [b"infer" | b"infer_stream", b"images", b"generations"] => (Predict, posts),
            [b"config" | b"stats" | b"trace", ..] => (Admin, true),
            _ => (Other, true),
        },

        // The readiness of one model: 200 or 503.
        [b"openai", b"v1", b"models", _] => (Status, reads),
        [b"openai", b"v1", b"models"] => (Metadata, reads),
        [b"openai", b"v1", rest @ ..] => of_openai(rest, reads, posts),

        [b"invocations" | b"generate" | b"generate_stream"]
        | [b"rerank" | b"score" | b"classify" | b"pooling" | b"tokenize" | b"detokenize"]
        | [b"extras", _]
        | [b"extras", _, b"count"]
        | [b"predictions", _]
        | [b"predictions", _, _]
        | [b"models", _, b"invoke"]
        | [b"wfpredict", _] => (Predict, posts),
        [b"explanations", _] | [b"explanations", _, _] => (Explain, posts),
        [b"sleep" | b"wake_up" | b"reset_prefix_cache" | b"server_info" | b"shutdown"]
        | [b"start_profile" | b"stop_profile" | b"load_lora_adapter" | b"unload_lora_adapter"]
        | [b"models" | b"workflows" | b"token"] => (Admin, true),
        _ => (Other, true),
    }
}

/// The operation of what stands behind `/v1/` or `/openai/v1/` on servers of OpenAI's kind.
fn of_openai(segments: &[&[u8]], reads: bool, posts: bool) -> (Operation, bool) {
    use Operation::{Admin, Metadata, Other, Predict};
    match segments {
        [b"chat", b"completions"]
        | [b"completions" | b"responses" | b"messages" | b"embeddings" | b"rerank" | b"score"]
        | [b"classify" | b"pooling" | b"tokenize" | b"detokenize"]
        | [b"messages", b"count_tokens"]
        | [b"audio", _]
        | [b"timeseries", b"forecast"]
        | [b"engines", _, b"completions" | b"embeddings"]
        | [b"engines", _, b"chat", b"completions"] => (Predict, posts),
        [b"timeseries", b"models"] => (Metadata, reads),
        [b"load_lora_adapter" | b"unload_lora_adapter" | b"sleep" | b"wake_up"]
        | [b"reset_prefix_cache" | b"start_profile" | b"stop_profile" | b"server_info"] => {
            (Admin, true)
        }
        _ => (Other, true),
    }
}
