//! The resources that the repository ships, and a record of those that a scenario has applied.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::kubectl::Kubectl;
use crate::tools::repository;

/// The folders of resources.
const FOLDERS: [&str; 2] = ["wasmplugin", "deploy"];

static APPLIED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Applies a shipped file, named from the root of the repository, as it is.
pub async fn apply(kubectl: &Kubectl, file: &str) -> Result<()> {
    let path = repository().join(file);
    kubectl.apply_file(&path).await?;
    record(&path)
}

/// Applies a shipped kustomization with a user's patches.
pub async fn apply_kustomization(kubectl: &Kubectl, folder: &str, patches: &[Value]) -> Result<()> {
    let path = repository().join(folder);
    kubectl.apply_kustomization(&path, patches).await?;
    record_kustomization(&path)
}

/// The documents of a shipped file, to be applied with changes that a test needs.
pub fn read(file: &str) -> Result<Vec<Value>> {
    let path = repository().join(file);
    let documents = documents(&path)?;
    record(&path)?;
    Ok(documents)
}

/// The shipped resources that nobody has applied, from the root of the repository.
pub fn not_applied() -> Result<Vec<PathBuf>> {
    let mut missing = files()?;
    let applied = APPLIED.lock().unwrap_or_else(PoisonError::into_inner);
    missing.retain(|path| !applied.contains(path));
    let root = repository();
    Ok(missing.iter().map(|p| p.strip_prefix(&root).unwrap_or(p).to_owned()).collect())
}

/// Every file of resources, without the links that keep old names.
pub fn files() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        yaml_files(&repository().join(folder), &mut files)?;
    }
    Ok(files)
}

/// The documents of a YAML file.
pub fn documents(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_saphyr::from_multiple(&text).with_context(|| path.display().to_string())
}

fn yaml_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    // Templates are no resources: they are judged as Helm renders them.
    if folder.join("Chart.yaml").exists() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            yaml_files(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

fn record(path: &Path) -> Result<()> {
    let path = path.canonicalize().with_context(|| path.display().to_string())?;
    APPLIED.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    Ok(())
}

fn record_kustomization(folder: &Path) -> Result<()> {
    let file = folder.join("kustomization.yaml");
    let documents = documents(&file)?;
    ensure!(documents.len() == 1, "{}: one document", file.display());
    let kustomization = documents.first().context("empty")?;
    let list = |field: &str| {
        kustomization.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let named = list("resources").into_iter().chain(list("components"));
    let patches = list("patches").into_iter().filter_map(|p| p.get("path").cloned());
    let replacements = list("replacements").into_iter().filter_map(|p| p.get("path").cloned());
    for name in named.chain(patches).chain(replacements) {
        let path = folder.join(name.as_str().context("a name that is no text")?);
        if path.is_dir() { record_kustomization(&path)? } else { record(&path)? }
    }
    record(&file)
}
