//! Virtual environments with pinned packages; the model servers among them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::python::{Python, python, python_from};
use crate::project::Project;
use crate::sh;

/// How many places of Seldon's server bind to every address of the machine.
const SELDON_BINDS: usize = 5;

/// The environment of Seldon Core's Python wrapper.
pub fn seldon(project: &Project) -> Result<PathBuf> {
    let requirements = requirements(project, "tests/models/seldon-requirements.txt")?;
    install(project, "seldon", "Seldon's Python wrapper (170 MB)", &requirements, &[], |venv| {
        // A test must not open ports to the network, and the wrapper has no option for it.
        let server = packages(venv)?.join("seldon_core/microservice.py");
        let source =
            fs::read_to_string(&server).with_context(|| format!("reading {}", server.display()))?;
        fs::write(&server, bind_locally(&source)?)
            .with_context(|| format!("writing {}", server.display()))
    })
}

/// What KServe's SDK, MLflow and LitServe, with these pins, run on at least.
const RECENT: (u32, u32) = (3, 10);

/// The environment of MLServer.
pub fn mlserver(project: &Project) -> Result<PathBuf> {
    let requirements = requirements(project, "tests/models/mlserver-requirements.txt")?;
    install(project, "mlserver", "MLServer (530 MB)", &requirements, &[], |_| Ok(()))
}

/// The environment of KServe's Python SDK.
pub fn kserve(project: &Project) -> Result<PathBuf> {
    recent(project, "kserve", "KServe's Python SDK (400 MB)")
}

/// The environment of MLflow's scoring server.
pub fn mlflow(project: &Project) -> Result<PathBuf> {
    recent(project, "mlflow", "MLflow (280 MB)")
}

/// The environment of LitServe.
pub fn litserve(project: &Project) -> Result<PathBuf> {
    recent(project, "litserve", "LitServe (120 MB)")
}

/// The environment of JSON readers.
pub fn readers(project: &Project) -> Result<PathBuf> {
    let requirements = requirements(project, "tests/readers/requirements.txt")?;
    let about = "Python's JSON readers (6 MB)";
    install_with(&python_from(RECENT)?, project, "readers", about, &requirements, &[], |_| Ok(()))
}

fn recent(project: &Project, name: &str, about: &str) -> Result<PathBuf> {
    let requirements = requirements(project, &format!("tests/models/{name}-requirements.txt"))?;
    install_with(&python_from(RECENT)?, project, name, about, &requirements, &[], |_| Ok(()))
}

/// An environment with exactly these packages: the requirements name every dependency.
pub fn install(
    project: &Project,
    name: &str,
    about: &str,
    requirements: &str,
    pip: &[&str],
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    install_with(&python()?, project, name, about, requirements, pip, finish)
}

fn install_with(
    python: &Python,
    project: &Project,
    name: &str,
    about: &str,
    requirements: &str,
    pip: &[&str],
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let Python { path: python, version } = python;
    let key = format!("{requirements}\npython {version} {}", python.display());
    project.tools.install(name, about, &key, |venv, log| {
        let file = venv.join("requirements.txt");
        sh::quietly(Command::new(python).args(["-m", "venv"]).arg(venv), log)?;
        fs::write(&file, requirements).with_context(|| format!("writing {}", file.display()))?;
        let mut install = Command::new(venv.join("bin/python"));
        install.args(["-m", "pip", "install", "--no-deps", "--progress-bar=off"]);
        install.arg("--disable-pip-version-check").args(pip).arg("-r").arg(&file);
        sh::quietly(&mut install, log).context(
            "the packages come from PyPI: a mirror is set with `pip config set global.index-url`",
        )?;
        finish(venv)
    })
}

/// The folder of an environment's packages.
pub fn packages(venv: &Path) -> Result<PathBuf> {
    let lib = venv.join("lib");
    let found = fs::read_dir(&lib).with_context(|| format!("reading {}", lib.display()))?;
    let mut candidates = found.flatten().map(|entry| entry.path().join("site-packages"));
    candidates
        .find(|path| path.is_dir())
        .with_context(|| format!("{} has no site-packages", lib.display()))
}

fn requirements(project: &Project, path: &str) -> Result<String> {
    fs::read_to_string(project.root.join(path)).with_context(|| format!("reading {path}"))
}

fn bind_locally(source: &str) -> Result<String> {
    match source.matches("0.0.0.0").count() {
        SELDON_BINDS => Ok(source.replace("0.0.0.0", "127.0.0.1")),
        other => bail!("microservice.py binds in {other} places, not in {SELDON_BINDS}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seldon_binds_locally() {
        let source = "host=\"0.0.0.0\"\n".repeat(SELDON_BINDS);
        assert_eq!(bind_locally(&source).unwrap(), source.replace("0.0.0.0", "127.0.0.1"));
        assert!(bind_locally("0.0.0.0").is_err());
    }

    #[test]
    fn every_package_of_a_model_server_is_pinned() {
        for text in [
            include_str!("../../../tests/models/seldon-requirements.txt"),
            include_str!("../../../tests/models/mlserver-requirements.txt"),
            include_str!("../../../tests/models/kserve-requirements.txt"),
            include_str!("../../../tests/models/mlflow-requirements.txt"),
            include_str!("../../../tests/models/litserve-requirements.txt"),
        ] {
            for line in text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
                assert!(line.contains("=="), "{line}");
            }
        }
    }
}
