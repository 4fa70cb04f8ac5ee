//! The models behind the gateway of these tests.

/// Deployments of Seldon v1.
pub const DEPLOYMENTS: [(&str, &str); 4] =
    [("prod", "iris"), ("prod", "fraud"), ("dev", "iris"), ("prod", "wine-explainer")];
/// Deployments that have an explainer, with its predictor.
pub const EXPLAINERS: [(&str, &str, &str); 2] =
    [("prod", "iris", "default"), ("prod", "fraud", "default")];
/// What Seldon v2 serves, by the value of `seldon-model`.
pub const MESH_MODELS: [&str; 4] = ["iris", "fraud", "iris.pipeline", "fraud.experiment"];
/// Inference services of KServe.
pub const SERVICES: [(&str, &str); 3] = [("prod", "flower"), ("prod", "toxic"), ("dev", "flower")];
/// LLMInferenceServices, with the names under which they publish models: one is another service's.
pub const LLM_SERVICES: [(&str, &str, &[&str]); 4] = [
    ("prod", "llama", &["Org/Llama-3.1", "sql"]),
    ("prod", "sql", &["mini"]),
    ("prod", "qwen", &["qwen"]),
    ("dev", "llama", &["llama"]),
];
/// A virtual host of its own, whose route chooses the model: `prod/chat`.
pub const FIXED_HOST: &str = "chat.example.com";
/// The host of everything else.
pub const GATEWAY: &str = "models.example.com";
/// An excluded host, with a virtual host of its own.
pub const EXCLUDED_HOST: &str = "grafana.example.com";
/// A virtual host whose route chooses the deployment by `x-model`, which a rewrite writes.
pub const SERVERS_HOST: &str = "servers.example.com";
