//! The addresses that model servers have, written out of the tables that read them: what a caller might try.

use super::Operation::{self, Admin, Explain, Feedback, Predict};
use super::grpc;
use super::operation::{
    DELETE, GET, Methods, OF_OPENAI, OF_SERVER, OF_V2_MODEL, PATHS, POST, Paths,
};

/// One call of a model server's.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Below the model's address, `{}` for its name.
    pub(crate) path: String,
    pub(crate) method: &'static str,
    pub(crate) operation: Operation,
    /// Whether headers name the model, because the path does not.
    pub(crate) is_grpc: bool,
}

/// Verbs of the V1 protocol, which the reader of operations takes apart.
const VERBS: Paths = &[
    ("v1/models/{}:predict|{}:classify|{}:regress", Predict, POST),
    ("v1/models/{}:explain", Explain, POST),
];

/// Where each table stands.
const TABLES: [(&str, Paths); 10] = [
    ("", VERBS),
    ("", PATHS),
    ("v1/", OF_OPENAI),
    ("openai/v1/", OF_OPENAI),
    ("v2/models/*/", OF_V2_MODEL),
    ("v2/models/*/versions/1/", OF_V2_MODEL),
    ("v2/pipelines/*/", OF_V2_MODEL),
    ("", OF_SERVER),
    ("v1/", OF_SERVER),
    ("openai/v1/", OF_SERVER),
];

/// Every call that runs, teaches, explains or administers a model, with each of its methods.
pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (start, rows) in TABLES {
        for (path, operation, methods) in rows {
            add(&mut samples, [start, path], *operation, *methods, false);
        }
    }
    for (path, operation) in grpc::METHODS {
        add(&mut samples, ["", path], *operation, POST, true);
    }
    samples
}

#[inline(never)]
fn add(
    samples: &mut Vec<Sample>,
    pattern: [&str; 2],
    operation: Operation,
    methods: Methods,
    is_grpc: bool,
) {
    if !matches!(operation, Predict | Explain | Feedback | Admin) {
        return;
    }
    let pattern = pattern.concat();
    let words = pattern.split('/').map(|part| part.split('|').count()).max();
    for (bit, method) in [(POST, "POST"), (GET, "GET"), (DELETE, "DELETE")] {
        for word in 0..words.filter(|_| methods & bit != 0).unwrap_or_default() {
            samples.push(Sample { path: written(&pattern, word), method, operation, is_grpc });
        }
    }
}

/// A path with the pattern's words of this number, where there are so many.
fn written(pattern: &str, word: usize) -> String {
    let mut path = String::new();
    for part in pattern.split('/') {
        let mut words = part.split('|');
        let word = words.clone().nth(word).or(words.next()).unwrap_or_default();
        path.push('/');
        path.push_str(match word {
            "*" => "{}",
            "**" => "index",
            word => word,
        });
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::operation::Operations;

    #[test]
    fn each_is_what_the_reader_says() {
        let (reader, samples) = (Operations::new(&[], &[]), samples());
        for sample in &samples {
            let path = sample.path.replace("{}", "iris");
            let read = reader.of(path.trim_start_matches('/').as_bytes(), sample.method.as_bytes());
            // Two of llama.cpp's are pages by GET, which a row before theirs says.
            let is_page = read == Operation::Metadata && sample.method == "GET";
            assert!(read == sample.operation || is_page, "{} {path} {read:?}", sample.method);
        }
        for (method, path) in [
            ("POST", "/openai/v1/chat/completions"),
            ("POST", "/v1/embeddings"),
            ("POST", "/v1/models/{}:explain"),
            ("POST", "/generate_stream"),
            ("GET", "/predict"),
            ("GET", "/send-feedback"),
            ("DELETE", "/v1/responses/{}"),
            ("POST", "/tensorflow.serving.PredictionService/Classify"),
            ("POST", "/v2/models/{}/versions/1/infer"),
        ] {
            let is_it = |one: &&Sample| one.method == method && one.path == path;
            assert!(samples.iter().any(|one| is_it(&one)), "{method} {path}");
        }
    }
}
