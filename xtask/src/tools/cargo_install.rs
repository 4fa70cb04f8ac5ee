//! Programs that cargo compiles: the WebAssembly test runner and cargo-deny.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::project::{Project, cargo};
use modelgate_local::sh;

/// Newer ones may judge differently; raise it on purpose.
const CARGO_DENY: &str = "0.20.2";

/// The runner of WebAssembly tests, in the very version of the wasm-bindgen in Cargo.lock: the two
/// understand only each other.
pub fn wasm_bindgen_runner(project: &Project) -> Result<PathBuf> {
    let version = project.locked_version("wasm-bindgen")?;
    let about = format!("the WebAssembly test runner of wasm-bindgen {version} (a minute)");
    // TLS, which the defaults bring in, is for remote browsers.
    let args = ["--no-default-features", "--bin=wasm-bindgen-test-runner"];
    install(project, "wasm-bindgen-cli", &version, &about, &args, "wasm-bindgen-test-runner")
}

/// cargo-deny, which judges dependencies and their licences.
pub fn cargo_deny(project: &Project) -> Result<PathBuf> {
    let about = format!("cargo-deny {CARGO_DENY} (a minute)");
    install(project, "cargo-deny", CARGO_DENY, &about, &[], "cargo-deny")
}

fn install(
    project: &Project,
    package: &str,
    version: &str,
    about: &str,
    args: &[&str],
    program: &str,
) -> Result<PathBuf> {
    let key = format!("{package} {version} {args:?}");
    let folder = project.tools.install(package, about, &key, |folder, log| {
        let mut run = |locked: bool| {
            // Unoptimized and without debug information: compiling takes a third of the time, and
            // what these programs do here takes them a second.
            let mut cargo = cargo();
            cargo
                .current_dir(folder)
                .args(["install", package, "--version", &format!("={version}"), "--debug"])
                .args(["--root", ".", "--target-dir", "build"])
                .args(args)
                .args(locked.then_some("--locked"))
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                .env_remove("CARGO_BUILD_TARGET");
            sh::quietly(&mut cargo, log)
        };
        // The lock may name a version so new that a mirror of the registry does not have it yet.
        run(true).or_else(|_| {
            println!("  once more with the newest dependencies instead of the locked ones");
            run(false)
        })?;
        remove(&folder.join("build"))
    })?;
    Ok(folder.join("bin").join(program))
}

fn remove(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))
}
