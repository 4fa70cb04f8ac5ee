//! Automation that needs only cargo: build, demo, test, bench, lint.

mod circles;
mod dist;
mod fuzz;
mod lint;
mod module;
mod project;
mod run;
mod summary;
mod test;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use project::Project;

/// Builds, shows, tests and measures modelgate.
///
/// Whatever a command needs beyond cargo (the wasm target, Envoy, Node, model servers) it installs
/// below target/tools, once, and says so. What cannot be had is named, with how to get it.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = ENVIRONMENT)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const ENVIRONMENT: &str = "\
A first look:  cargo xtask demo
All tests:     cargo xtask test
One test:      cargo xtask test NAME

Environment:
  ENVOY            an Envoy 1.40 with V8 to use instead of the one on PATH or from PyPI
  PYTHON           a Python 3.9 to 3.12 to use instead of python3 from PATH
  MODELGATE_TOOLS  where tools are installed, instead of target/tools";

#[derive(Subcommand, Debug)]
enum Command {
    /// Build the module: target/modelgate.wasm, release, checked
    ///
    /// Adds the wasm32-unknown-unknown target through rustup if it is missing. The module must import
    /// nothing but the proxy's functions, export what the proxy calls, and be no larger than 1 MiB.
    Build,
    /// Show modelgate at work: a gateway, models, a shadow, and a tour of requests and answers
    Demo(run::DemoArgs),
    /// A real mesh to try things by hand: Kubernetes' API server, istiod, a gateway with modelgate, models
    ///
    /// Starts etcd, kube-apiserver and istiod in a network of their own, applies the shipped overlay and
    /// Seldon's routes with kubectl, and shows itself: kubectl, istioctl and curl lines, each with its answer.
    /// There is no kubelet: a pod is an object, and `kubectl exec` or `logs` have nothing to ask.
    ///
    ///   cargo xtask istio          the tour; everything ends with it
    ///   cargo xtask istio --keep   and then stays: a script opens a shell inside, where the lines work
    ///
    /// The first time it compiles Istio and Kubernetes, a quarter of an hour. Logs are kept in target/mesh.
    #[command(verbatim_doc_comment)]
    Istio(run::IstioArgs),
    /// Run the tests: all, some tiers, or those whose name contains NAME
    ///
    /// Tiers, in the order in which they run:
    ///
    ///   unit          unit and property tests of every package
    ///   readers       what readers of JSON make of bodies that are let through
    ///   wasm          the engine compiled to WebAssembly, in Node
    ///   module        the built module: imports, exports, size, memory and work
    ///   envoy         the module in a real Envoy
    ///   differential  the module and Envoy's own filters, and `modelgate decide`, with the same requests
    ///   browser       the report's page in a real Chromium
    ///   models        real model servers behind the module
    ///   providers     tokens of real identity providers before the module and Envoy's own filters
    ///   monitoring    alerts and the dashboard, with a real Prometheus
    ///   istio         a WasmPlugin in a real mesh; the first time it builds Istio, Kubernetes and Helm
    ///
    /// MODELGATE_PAIRS=500000 makes the comparisons of the tier differential long ones;
    /// MODELGATE_PROVIDERS=all has ORY Hydra and Keycloak (with Java and Maven) take part in the tier providers.
    /// The output of each tier is kept in target/test-logs.
    #[command(verbatim_doc_comment)]
    Test {
        /// Names of tiers, and at most one part of a test's name
        names: Vec<String>,
    },
    /// Look for inputs that no oracle takes: all targets of fuzz/, or one
    ///
    ///   cargo xtask fuzz                        every target for 10 minutes
    ///   cargo xtask fuzz tokens --minutes 60    one of them for an hour
    ///   cargo xtask fuzz tokens --take-in       and what led to new code is replayed from now on
    ///
    /// Needs cargo-fuzz and a C++ compiler. It begins with fuzz/corpora/TARGET.txt, and goes on where it was the last
    /// time (target/fuzz). What it finds it prints as lines of a corpus, and fails.
    #[command(verbatim_doc_comment)]
    Fuzz(fuzz::FuzzArgs),
    /// Measure modelgate against Envoy's own filters
    Bench {
        /// Passed on to the benchmark
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Pack the module as an OCI image: target/image and target/image.tar, and push it
    Image(run::ImageArgs),
    /// Make a release of this commit: target/dist
    ///
    /// The module, its image as an archive, the command for Linux on x86-64 and arm64 (static programs, with
    /// completions and manual pages), SHA256SUMS, a bill of materials (SPDX 2.3) and the provenance (in-toto, SLSA).
    /// The same commit and compiler give the same bytes on every machine: --verify builds a second time, in another
    /// folder, and compares. Nothing is published or signed.
    Dist(dist::DistArgs),
    /// Check format, lints, dependencies and licences
    Lint,
    /// Install what the other commands would install when they need it, and print where it is
    Tools {
        /// Which: envoy, node, wasm-opt, wasm-bindgen, seldon, mlserver, kserve, mlflow, litserve, llama, readers, gojson,
        /// chromium, cargo-deny, istio, kubernetes, registry, helm, gateway-api, mockoidc, oidc-provider, spire, prometheus,
        /// prometheus-operator, zig, hydra, keycloak; without names all but the last three
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let project = Project::open()?;
    match &cli.command {
        Command::Build => module::build(&project).map(|_| ExitCode::SUCCESS),
        Command::Demo(args) => run::demo(&project, args),
        Command::Istio(args) => run::istio(&project, args),
        Command::Test { names } => test::test(&project, names),
        Command::Fuzz(args) => fuzz::fuzz(&project, args),
        Command::Bench { args } => run::bench(&project, args),
        Command::Image(args) => run::image(&project, args),
        Command::Dist(args) => dist::dist(&project, args),
        Command::Lint => lint::lint(&project),
        Command::Tools { names } => tools::print(&project, names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn help_names_every_tier_and_every_tool() {
        let mut cli = Cli::command();
        let mut names = |of: &str, all: &[&str]| {
            let help = cli.find_subcommand_mut(of).unwrap().render_long_help().to_string();
            let words: Vec<_> =
                help.split(|c: char| c.is_whitespace() || ",;:".contains(c)).collect();
            for name in all {
                assert!(words.contains(name), "cargo xtask {of} --help does not name {name}");
            }
        };
        names("test", &test::tiers());
        names("tools", &tools::TOOLS.map(|(name, _)| name));
    }
}
