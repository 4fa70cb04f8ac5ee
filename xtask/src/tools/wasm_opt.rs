//! Binaryen's optimizer, which makes the module smaller after linking.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::node::{node, npm_packages};
use crate::project::Project;

/// What a proxy's V8 has, and Rust's compiler uses. The optimizer adds nothing that is not there, and reads nothing else.
const FEATURES: [&str; 7] = [
    "bulk-memory",
    "bulk-memory-opt",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];

/// `wasm-opt`, installed.
pub fn wasm_opt(project: &Project) -> Result<PathBuf> {
    let about = "Binaryen 132 from npm (23 MB), which makes the module smaller";
    let folder = npm_packages(project, "wasm-opt", about, "xtask/wasm-opt")?;
    Ok(folder.join("node_modules/binaryen/bin/wasm-opt"))
}

/// Which one it is: the packages with their hashes.
pub fn optimizer(project: &Project) -> Result<String> {
    let lock = project.root.join("xtask/wasm-opt/package-lock.json");
    std::fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))
}

/// Optimizes a module.
pub fn optimize(project: &Project, from: &Path, to: &Path) -> Result<Command> {
    let script = wasm_opt(project)?;
    let mut command = Command::new(node(project)?.join("node"));
    command.arg(script).arg("-O3").arg("--merge-similar-functions").arg("--mvp-features");
    command.args(FEATURES.map(|feature| format!("--enable-{feature}")));
    command.arg(from).arg("-o").arg(to);
    Ok(command)
}
