//! Which packages went into what was built: what `cargo tree` says for its platform, with the checksums of Cargo.lock.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use toml::Table;

/// A package of a registry that was linked in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// An SPDX expression.
    pub licence: String,
    /// SHA-256 of the package's archive, as the registry vouches for it.
    pub sha256: String,
}

/// Those of a member of the workspace, built for a target; without macros, which run in the compiler, and
/// without the workspace's own.
pub fn linked(root: &Path, member: &str, target: &str) -> Result<BTreeSet<Package>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--edges=normal,no-proc-macro", "--prefix=none"])
        .args(["--format={p}|{l}", "--package", member, "--target", target])
        .current_dir(root)
        .output()
        .context("cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    read(&String::from_utf8(output.stdout)?, &lock)
}

fn read(tree: &str, lock: &str) -> Result<BTreeSet<Package>> {
    let lock: Table = lock.parse().context("Cargo.lock")?;
    let locked = lock.get("package").and_then(|packages| packages.as_array());
    let locked = locked.context("Cargo.lock has no packages")?;
    let field = |package: &toml::Value, name: &str| package.get(name)?.as_str().map(str::to_owned);
    let mut found = BTreeSet::new();
    // A package that was shown before stands there again, with a mark.
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (package, licence) = line.split_once('|').context("cargo tree's lines have changed")?;
        let mut words = package.split(' ');
        let (name, version) =
            words.next().zip(words.next()).context("cargo tree's lines have changed")?;
        let version = version.strip_prefix('v').context("cargo tree's versions have changed")?;
        let same = |entry: &&toml::Value| {
            field(entry, "name").as_deref() == Some(name)
                && field(entry, "version").as_deref() == Some(version)
        };
        let entry = locked
            .iter()
            .find(same)
            .with_context(|| format!("Cargo.lock has no {name} {version}"))?;
        // Members of the workspace have none.
        let Some(sha256) = field(entry, "checksum") else { continue };
        let licence = licence.trim_end_matches(" (*)");
        ensure!(!licence.is_empty(), "{name} {version} names no licence");
        found.insert(Package {
            name: name.to_owned(),
            version: version.to_owned(),
            // As it was written before SPDX's expressions.
            licence: licence.replace('/', " OR "),
            sha256,
        });
    }
    ensure!(!found.is_empty(), "cargo tree names no package");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4
[[package]]
name = "own"
version = "0.1.0"
dependencies = ["log"]
[[package]]
name = "log"
version = "0.3.9"
checksum = "old"
[[package]]
name = "log"
version = "0.4.33"
checksum = "new"
"#;

    #[test]
    fn what_cargo_shows_is_found_in_the_lock() {
        let tree = "own v0.1.0 (/somewhere)|Apache-2.0\nlog v0.4.33|MIT/Apache-2.0\n\nlog v0.4.33|MIT/Apache-2.0 (*)\n";
        let packages: Vec<_> = read(tree, LOCK).unwrap().into_iter().collect();
        let log = Package {
            name: "log".to_owned(),
            version: "0.4.33".to_owned(),
            licence: "MIT OR Apache-2.0".to_owned(),
            sha256: "new".to_owned(),
        };
        assert_eq!(packages, [log]);
        for (odd, why) in [
            ("own v0.1.0|MIT", "no package"),
            ("log v0.4.34|MIT", "has no log 0.4.34"),
            ("log v0.4.33|", "no licence"),
            ("log 0.4.33|MIT", "versions"),
            ("log v0.4.33", "lines"),
        ] {
            assert!(read(odd, LOCK).unwrap_err().to_string().contains(why), "{odd}");
        }
    }

    #[test]
    fn the_module_stands_on_the_sdk() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let packages = linked(root, "modelgate", "wasm32-unknown-unknown").unwrap();
        let has = |name: &str| packages.iter().any(|package| package.name == name);
        assert!(
            ["proxy-wasm", "serde_json", "log"].map(has).iter().all(|has| *has),
            "{packages:?}"
        );
        // A macro, what only tests need, what only the command needs.
        assert!(
            !["serde_derive", "proptest", "clap"].map(has).iter().any(|has| *has),
            "{packages:?}"
        );
    }
}
