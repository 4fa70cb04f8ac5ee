//! Virtual environments of Python with pinned packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::installed::Tools;
use crate::python::Python;
use crate::sh;

/// An environment that is installed once.
#[derive(Debug, Clone, Copy)]
pub struct Venv<'a> {
    /// Name of its folder.
    pub name: &'a str,
    /// What it is, for people.
    pub about: &'a str,
    /// Exactly these packages: every dependency is named, with its version.
    pub requirements: &'a str,
    /// Further options of pip.
    pub pip: &'a [&'a str],
}

impl Venv<'_> {
    /// The environment's folder, after it was installed and finished if it is not there yet.
    ///
    /// # Errors
    ///
    /// It cannot be installed.
    pub fn install(
        &self,
        tools: &Tools,
        python: &Python,
        finish: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let Python { path: python, version } = python;
        let Self { name, about, requirements, pip } = self;
        let key = format!("{requirements}\npython {version} {}", python.display());
        tools.install(name, about, &key, |venv, log| {
            let file = venv.join("requirements.txt");
            sh::quietly(Command::new(python).args(["-m", "venv"]).arg(venv), log)?;
            fs::write(&file, requirements).with_context(|| format!("writing {}", file.display()))?;
            let mut install = Command::new(venv.join("bin/python"));
            install.args(["-m", "pip", "install", "--no-deps", "--progress-bar=off"]);
            install.arg("--disable-pip-version-check").args(*pip).arg("-r").arg(&file);
            sh::quietly(&mut install, log).context(
                "the packages come from PyPI: a mirror is set with `pip config set global.index-url`",
            )?;
            finish(venv)
        })
    }
}

/// The folder of an environment's packages.
///
/// # Errors
///
/// It has none.
pub fn packages(venv: &Path) -> Result<PathBuf> {
    let lib = venv.join("lib");
    let found = fs::read_dir(&lib).with_context(|| format!("reading {}", lib.display()))?;
    let mut candidates = found.flatten().map(|entry| entry.path().join("site-packages"));
    candidates
        .find(|path| path.is_dir())
        .with_context(|| format!("{} has no site-packages", lib.display()))
}
