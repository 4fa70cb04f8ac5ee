//! The testbed: gateways, models, tokens and clients for the end-to-end suites, the demo and the benches.
//!
//! | module | what it gives |
//! |---|---|
//! | [`gateway`] | an Envoy configured as Istio's ingress gateway or a sidecar |
//! | [`seldon`] | the routes that Seldon's operator makes for a deployment |
//! | [`wasmplugin`] | shipped `WasmPlugin` resources as the filters that istiod makes of them |
//! | [`native`] | Envoy's own filters, as istiod configures them for the same rules and policies |
//! | [`envoy`] | the running proxy: ports, statistics, log, new configurations |
//! | [`report`] | the `modelgate` command's report, as a pipeline runs it |
//! | [`stats`] | what `/stats/prometheus` says |
//! | [`model`] | a model server that answers as Seldon's executor does |
//! | [`iris`] | the classifier behind it |
//! | [`upstream`] | a server that records what it receives, and fails on demand |
//! | [`completions`] | a server of OpenAI's kind that keeps accounts |
//! | [`streams`] | bodies in pieces, with trailers, there and back |
//! | [`model_servers`] | Seldon's Python wrapper and MLServer |
//! | [`model_clients`] | the clients that come with them |
//! | [`tokens`] | an issuer of tokens, good and bad |
//! | [`client`] | a client that sends exactly the bytes it is given |
//! | [`browser`] | a headless Chromium, and the page in it |
//! | [`process`] | children that never outlive their parent |
//! | [`wait`] | waiting without sleeping too long |

pub mod browser;
pub mod client;
pub mod completions;
pub mod dice;
pub mod envoy;
pub mod gateway;
pub mod model;
pub mod model_clients;
pub mod model_servers;
pub mod native;
pub mod report;
pub mod seldon;
pub mod stats;
pub mod streams;
pub mod tokens;
pub mod upstream;
pub mod wait;
pub mod wasmplugin;

pub use modelgate_local::{iris, process};
