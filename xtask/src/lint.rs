//! Everything that is judged without running it: format, lints, dependencies, licences.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::circles;
use crate::project::{self, Project, WASM};
use crate::tools;
use modelgate_local::sh::{self, Log, seconds};

/// `cargo xtask lint`: every step runs, whatever the ones before found.
pub fn lint(project: &Project) -> Result<ExitCode> {
    components()?;
    project::target(WASM)?;
    let mut log = Log::create(project.target.join("test-logs/lint.log"))?;
    let clippy = |args: &[&str]| {
        let mut cargo = project.cargo(["clippy"]);
        cargo.args(args).args(["--", "--deny=warnings"]);
        cargo
    };
    let on_wasm = ["--target", WASM];
    let steps = [
        ("format", project.cargo(["fmt", "--all", "--check"])),
        ("lints", clippy(&["--workspace", "--all-targets"])),
        (
            "lints of the module",
            clippy(&[&["--package=modelgate", "--lib"], &on_wasm[..]].concat()),
        ),
        (
            "lints of the engine's tests on wasm",
            clippy(&[&["--package=modelgate-engine", "--test=engine"], &on_wasm[..]].concat()),
        ),
    ];
    let mut failed = Vec::new();
    for (name, mut command) in steps {
        step(name, &mut failed, || sh::quietly(&mut command, &mut log));
    }
    step("purity of the engine", &mut failed, || pure(project));
    step("no circles of modules", &mut failed, || circles::check(&project.root));
    step("dependencies and licences", &mut failed, || deny(project, &mut log));
    if failed.is_empty() {
        println!("nothing to complain about");
        return Ok(ExitCode::SUCCESS);
    }
    println!("failed: {} (log: {})", failed.join(", "), project.show(log.path()));
    Ok(ExitCode::FAILURE)
}

fn step(name: &'static str, failed: &mut Vec<&'static str>, run: impl FnOnce() -> Result<()>) {
    println!("== {name}");
    let start = Instant::now();
    match run() {
        Ok(()) => println!("  ok ({})", seconds(start.elapsed())),
        Err(error) => {
            println!("  {error:#}");
            failed.push(name);
        }
    }
}

/// Adds rustfmt and clippy where the toolchain came without them.
fn components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if sh::output(project::cargo().args([subcommand, "--version"])).is_some() {
            continue;
        }
        println!("adding {component} with rustup");
        let added = Command::new("rustup").args(["component", "add", component]).status();
        if !added.is_ok_and(|status| status.success()) {
            bail!(
                "{component} is missing: run `rustup component add {component}`, or install your distribution's"
            );
        }
    }
    Ok(())
}

/// The engine must not know the host: nothing of proxy-wasm may be linked into it.
fn pure(project: &Project) -> Result<()> {
    let mut tree = project.cargo(["tree", "--package=modelgate-engine"]);
    tree.args(["--edges=normal", "--target=all", "--prefix=none", "--format={p}"]);
    let tree = sh::output(&mut tree).context("cargo tree failed")?;
    match tree.lines().find(|line| line.starts_with("proxy-wasm ")) {
        None => Ok(()),
        Some(line) => bail!("the engine depends on {line}"),
    }
}

fn deny(project: &Project, log: &mut Log) -> Result<()> {
    let program = tools::cargo_deny(project)?;
    let deny = || {
        let mut command = Command::new(&program);
        command.current_dir(&project.root);
        command
    };
    let mut checks = vec!["bans", "licenses", "sources"];
    let fetched = sh::follow(deny().args(["fetch", "db"]), log, |_| {})?;
    if fetched.success() {
        checks.push("advisories");
    } else {
        println!("  the advisory database cannot be fetched here: advisories are NOT checked");
    }
    sh::quietly(deny().arg("check").args(checks), log)
}
