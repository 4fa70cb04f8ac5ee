//! Virtual environments with pinned packages; the model servers among them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use modelgate_local::python::{python, python_from};
pub use modelgate_local::venv::{Venv, packages};

use crate::project::Project;

/// How many places of Seldon's server bind to every address of the machine.
const SELDON_BINDS: usize = 5;

/// The environment of Seldon Core's Python wrapper.
pub fn seldon(project: &Project) -> Result<PathBuf> {
    let requirements = requirements(project, "tests/models/seldon-requirements.txt")?;
    let venv = plain("seldon", "Seldon's Python wrapper (170 MB)", &requirements);
    install(project, venv, |venv| {
        // A test must not open ports to the network, and the wrapper has no option for it.
        let server = packages(venv)?.join("seldon_core/microservice.py");
        let source =
            fs::read_to_string(&server).with_context(|| format!("reading {}", server.display()))?;
        fs::write(&server, bind_locally(&source)?)
            .with_context(|| format!("writing {}", server.display()))
    })
}

/// What KServe's SDK, MLflow, LitServe and llama.cpp's server, with these pins, run on at least.
const RECENT: (u32, u32) = (3, 10);

/// The environment of MLServer.
pub fn mlserver(project: &Project) -> Result<PathBuf> {
    let requirements = requirements(project, "tests/models/mlserver-requirements.txt")?;
    install(project, plain("mlserver", "MLServer (530 MB)", &requirements), |_| Ok(()))
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

/// The environment of llama.cpp's server and of OpenAI's client.
pub fn llama(project: &Project) -> Result<PathBuf> {
    recent(project, "llama", "llama.cpp's server and OpenAI's client (250 MB)")
}

/// The environment of JSON readers.
pub fn readers(project: &Project) -> Result<PathBuf> {
    let requirements = requirements(project, "tests/readers/requirements.txt")?;
    let venv = plain("readers", "Python's JSON readers (6 MB)", &requirements);
    venv.install(&project.tools, &python_from(RECENT)?, |_| Ok(()))
}

fn recent(project: &Project, name: &str, about: &str) -> Result<PathBuf> {
    let requirements = requirements(project, &format!("tests/models/{name}-requirements.txt"))?;
    let venv = plain(name, about, &requirements);
    venv.install(&project.tools, &python_from(RECENT)?, |_| Ok(()))
}

fn plain<'a>(name: &'a str, about: &'a str, requirements: &'a str) -> Venv<'a> {
    Venv { name, about, requirements, pip: &[] }
}

/// An environment of the oldest Python that the model servers run on, or a newer one.
pub fn install(
    project: &Project,
    venv: Venv<'_>,
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    venv.install(&project.tools, &python()?, finish)
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
            include_str!("../../../tests/models/llama-requirements.txt"),
        ] {
            for line in text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
                assert!(line.contains("=="), "{line}");
            }
        }
    }
}
