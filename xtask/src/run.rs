//! Commands that hand over to another package: the demo and the benchmark.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::module;
use crate::project::Project;
use crate::tools;

/// How the demo runs.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Which models stand behind the gateway
    #[arg(long, value_enum, default_value_t = Models::Builtin)]
    models: Models,
    /// Keep everything running after the tour, to try requests by hand
    #[arg(long)]
    keep: bool,
    /// Passed on to the demo
    #[arg(last = true)]
    args: Vec<String>,
}

/// What answers predictions.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Models {
    /// Small ones inside the demo: nothing to install
    Builtin,
    /// Seldon Core's Python wrapper
    Seldon,
    /// MLServer
    Mlserver,
}

/// `cargo xtask demo`
pub fn demo(project: &Project, args: &DemoArgs) -> Result<ExitCode> {
    let mut run = package(project, "modelgate-demo", &["run", "--quiet"])?;
    match args.models {
        Models::Builtin => run.arg("--models=builtin"),
        Models::Seldon => run.arg("--models=seldon").env("SELDON_VENV", tools::seldon(project)?),
        Models::Mlserver => {
            run.arg("--models=mlserver").env("MLSERVER_VENV", tools::mlserver(project)?)
        }
    };
    run.args(args.keep.then_some("--keep")).args(&args.args);
    hand_over(project, run)
}

/// How the mesh runs.
#[derive(Args, Debug)]
pub struct IstioArgs {
    /// Keep everything running after the tour, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// `cargo xtask istio`
pub fn istio(project: &Project, args: &IstioArgs) -> Result<ExitCode> {
    let mut run = package(project, "modelgate-istio-tests", &["run", "--quiet"])?;
    let logs = project.target.join("mesh");
    if logs.exists() {
        std::fs::remove_dir_all(&logs).with_context(|| format!("removing {}", logs.display()))?;
    }
    std::fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
    run.env("MODELGATE_LOGS", logs)
        .envs(tools::mesh(project)?)
        .args(args.keep.then_some("--keep"))
        .env("ENVOY", tools::envoy(project)?)
        .env("MODELGATE_WASM", module::build(project)?);
    // In place of this process: Ctrl-C then ends what the terminal waits for, and not its parent first.
    Err(run.exec()).context("cargo cannot be run")
}

/// `cargo xtask bench`
pub fn bench(project: &Project, args: &[String]) -> Result<ExitCode> {
    let mut run = package(project, "modelgate-bench", &["run", "--quiet", "--release"])?;
    run.args(args);
    if args.iter().any(|arg| arg.contains("mlserver")) {
        run.env("MLSERVER_VENV", tools::mlserver(project)?);
    }
    hand_over(project, run)
}

/// What `cargo xtask image` does besides packing.
#[derive(Args, Debug)]
pub struct ImageArgs {
    /// Push it: registry/repository:tag
    #[arg(long)]
    push: Option<String>,
    /// The registry speaks plain HTTP
    #[arg(long, requires = "push")]
    insecure: bool,
}

/// `cargo xtask image`
pub fn image(project: &Project, args: &ImageArgs) -> Result<ExitCode> {
    let mut run = package(project, "modelgate-image", &["run", "--quiet"])?;
    run.arg("--module").arg(module::build(project)?);
    run.arg("--layout").arg(project.target.join("image"));
    if let Some(reference) = &args.push {
        run.args(["--push", reference]).args(args.insecure.then_some("--insecure"));
    }
    finish(run)
}

pub fn package(project: &Project, name: &str, cargo: &[&str]) -> Result<Command> {
    if !project.has(name) {
        bail!("this checkout has no package {name}");
    }
    Ok(project.cargo(cargo.iter().copied().chain(["--package", name, "--"])))
}

fn hand_over(project: &Project, mut run: Command) -> Result<ExitCode> {
    run.env("ENVOY", tools::envoy(project)?);
    run.env("MODELGATE_WASM", module::build(project)?);
    finish(run)
}

pub fn finish(mut run: Command) -> Result<ExitCode> {
    let status = run.status().context("cargo cannot be run")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
