//! Where the checkout is, where cargo builds, and which packages there are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use modelgate_local::installed::Tools;
use modelgate_local::sh::{self, Log};

/// The target of the module.
pub const WASM: &str = "wasm32-unknown-unknown";

/// The checkout, as cargo sees it.
#[derive(Debug)]
pub struct Project {
    /// The folder of the root Cargo.toml.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// What was or will be installed.
    pub tools: Tools,
    packages: Vec<String>,
}

impl Project {
    /// Asks cargo.
    pub fn open() -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version=1"])
            .stderr(std::process::Stdio::inherit())
            .output()
            .context("cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed");
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        let folder = |field: &str| {
            let path = metadata.get(field).and_then(Value::as_str).map(PathBuf::from);
            path.with_context(|| format!("cargo metadata has no {field}"))
        };
        let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
        let target = folder("target_directory")?;
        Ok(Self {
            root: folder("workspace_root")?,
            tools: Tools::new(target.join("tools"))?,
            target,
            packages: packages.filter_map(|p| p.get("name")?.as_str().map(str::to_owned)).collect(),
        })
    }

    /// Whether the workspace has this package.
    pub fn has(&self, package: &str) -> bool {
        self.packages.iter().any(|p| p == package)
    }

    /// A cargo command at the root of the checkout.
    pub fn cargo<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root).args(args);
        command
    }

    /// Builds the `modelgate` command.
    pub fn command(&self) -> Result<PathBuf> {
        println!("building the modelgate command");
        let mut log = Log::create(self.target.join("test-logs/command.log"))?;
        sh::quietly(&mut self.cargo(["build", "--package=modelgate-cli"]), &mut log)?;
        Ok(self.target.join("debug/modelgate"))
    }

    /// The version that Cargo.lock holds of a package.
    pub fn locked_version(&self, package: &str) -> Result<String> {
        let path = self.root.join("Cargo.lock");
        let lock = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        locked_version(&lock, package)
            .map(str::to_owned)
            .with_context(|| format!("{} has no {package}", path.display()))
    }

    /// The compiler's flags for places of panics that are those of packages, and of no machine: the same sources
    /// give the same program everywhere, and a smaller one.
    pub fn remapped(&self) -> impl Iterator<Item = String> {
        let sources = cargo_home().join("registry/src");
        let registries =
            std::fs::read_dir(sources).into_iter().flatten().flatten().map(|entry| entry.path());
        let prefixes = registries.chain([self.root.clone()]);
        prefixes.map(|prefix| format!("--remap-path-prefix={}/=", prefix.display()))
    }

    /// The path as one would type it at the root.
    pub fn show<'p>(&self, path: &'p Path) -> std::path::Display<'p> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where cargo keeps the sources of packages.
pub fn cargo_home() -> PathBuf {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_default()
}

/// Makes sure that the compiler has the standard library of a target.
pub fn target(triple: &str) -> Result<()> {
    let query = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", triple])
        .output()
        .context("rustc cannot be run: install Rust with rustup")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&query.stdout).trim());
    if query.status.success() && folder.is_dir() {
        return Ok(());
    }
    println!("adding the target {triple} with rustup");
    let remedy = || {
        format!(
            "the target {triple} is missing and cannot be added: run `rustup target add {triple}`, \
             or install your distribution's Rust for it"
        )
    };
    let added = Command::new("rustup").args(["target", "add", triple]).status();
    if added.with_context(remedy)?.success() { Ok(()) } else { bail!(remedy()) }
}

/// The version of a package in the text of a Cargo.lock; the first if there are several.
fn locked_version<'l>(lock: &'l str, package: &str) -> Option<&'l str> {
    let name = format!("name = \"{package}\"");
    let version = lock.lines().skip_while(|line| *line != name).nth(1)?;
    version.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_read() {
        let lock = "version = 4\n\n[[package]]\nname = \"wasm-bindgen-test\"\nversion = \"0.3.80\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "wasm"), None);
    }

    #[test]
    fn the_lock_of_this_checkout_names_wasm_bindgen() {
        let lock = include_str!("../../Cargo.lock");
        assert!(locked_version(lock, "wasm-bindgen").is_some());
    }
}
