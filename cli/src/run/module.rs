//! Where the module and the proxy are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use modelgate_local::envoy;
use modelgate_local::installed::Tools;

const NAME: &str = "modelgate.wasm";

/// How a WebAssembly module begins.
const MAGIC: &[u8] = b"\0asm";

/// The module: the one that is named, else `MODELGATE_WASM`, else `modelgate.wasm` next to the command or in cargo's
/// target folder above it.
///
/// # Errors
///
/// There is none, or it is no module.
pub fn module(named: Option<&Path>) -> Result<PathBuf> {
    let own = std::env::current_exe().context("where this command is")?;
    let own = own.canonicalize().unwrap_or(own);
    let beside = own.parent().map(|folder| folder.join(NAME));
    let above = own.parent().and_then(Path::parent).map(|folder| folder.join(NAME));
    let path = match (named, std::env::var_os("MODELGATE_WASM")) {
        (Some(path), _) => path.to_owned(),
        (None, Some(path)) => path.into(),
        (None, None) => {
            let found = [&beside, &above].into_iter().flatten().find(|path| path.is_file());
            found.cloned().with_context(|| {
                let looked = [&beside, &above].into_iter().flatten();
                let looked: Vec<String> = looked.map(|path| path.display().to_string()).collect();
                format!(
                    "the filter's module is needed, and is neither {}.\nBuild it with `cargo xtask build` in a \
                     checkout, or take plugin.wasm out of the image that your WasmPlugin names, and say where it is: \
                     --module PATH, or the environment variable MODELGATE_WASM",
                    looked.join(" nor ")
                )
            })?
        }
    };
    let path = std::path::absolute(path)?;
    let bytes = std::fs::read(&path).with_context(|| format!("the module {}", path.display()))?;
    ensure!(bytes.starts_with(MAGIC), "{} is no WebAssembly module", path.display());
    Ok(path)
}

/// Envoy: the one that is named, else as `cargo xtask` has it: `ENVOY`, PATH, or installed once.
///
/// # Errors
///
/// There is none, and it cannot be installed.
pub fn envoy(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(path) => envoy::named(path, "--envoy"),
        None => envoy::envoy(&Tools::new(tools()?)?),
    }
}

/// Where tools are installed, unless `MODELGATE_TOOLS` says: in cargo's target folder where the command stands in one
/// that has tools already, else in the user's cache.
fn tools() -> Result<PathBuf> {
    let own = std::env::current_exe().ok().and_then(|own| own.canonicalize().ok());
    let target = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    if let Some(tools) = target.map(|target| target.join("tools")).filter(|tools| tools.is_dir()) {
        return Ok(tools);
    }
    let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
    let cache = match (folder("XDG_CACHE_HOME"), folder("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => PathBuf::from(home).join(".cache"),
        (None, None) if folder("MODELGATE_TOOLS").is_some() => PathBuf::new(),
        (None, None) => {
            bail!("neither HOME nor MODELGATE_TOOLS is set: where is Envoy to be installed?")
        }
    };
    Ok(cache.join("modelgate/tools"))
}
