//! `cargo xtask dist`: puts what was built into the files of a release.
//!
//! | file | what it writes |
//! |---|---|
//! | `command` | an archive of the command for each platform |
//! | `packages` | which packages went into the module and the command |
//! | `sbom` | those as a bill of materials (SPDX 2.3) |
//! | `provenance` | from which sources, by which compiler (in-toto, SLSA 1.0) |
//!
//! The same sources and compiler give the same bytes: the only time in them is the commit's.

mod command;
mod packages;
mod provenance;
mod sbom;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use modelgate_image::Image;
use sha2::{Digest as _, Sha256};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Puts a release together
#[derive(Parser, Debug)]
struct Arguments {
    /// The checkout
    #[arg(long)]
    root: PathBuf,
    /// The built module
    #[arg(long)]
    module: PathBuf,
    /// The command, as it was built for a platform: TRIPLE=FILE; repeatable
    #[arg(long = "command", value_parser = platform, required = true)]
    commands: Vec<(String, PathBuf)>,
    /// Folder of the command's completions and manual pages
    #[arg(long)]
    help_pages: PathBuf,
    /// The commit that was built
    #[arg(long)]
    commit: String,
    /// The commit's time in UTC: 2026-11-29T04:15:00Z
    #[arg(long)]
    created: String,
    /// What `rustc --version` says
    #[arg(long)]
    compiler: String,
    /// Folder of the release; what is in it is removed
    #[arg(long)]
    out: PathBuf,
}

fn platform(text: &str) -> Result<(String, PathBuf), String> {
    let (triple, path) = text.split_once('=').ok_or("not TRIPLE=FILE")?;
    Ok((triple.to_owned(), path.into()))
}

/// A file of the release.
struct Artifact {
    name: String,
    bytes: Vec<u8>,
}

impl Artifact {
    fn new(name: String, bytes: Vec<u8>) -> Self {
        Self { name, bytes }
    }

    /// SHA-256, in lower-case hexadecimal digits.
    fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let artifacts = release(&arguments)?;
    let out = &arguments.out;
    if out.exists() {
        std::fs::remove_dir_all(out).with_context(|| out.display().to_string())?;
    }
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    for artifact in &artifacts {
        let path = out.join(&artifact.name);
        std::fs::write(&path, &artifact.bytes).with_context(|| path.display().to_string())?;
        println!("{:>9}  {}", size(artifact.bytes.len()), artifact.name);
    }
    Ok(())
}

/// Everything, the checksums last.
fn release(arguments: &Arguments) -> Result<Vec<Artifact>> {
    let module = read(&arguments.module)?;
    let image = Image::new(&module, VERSION)?;
    println!("image {}", image.digest());
    let mut artifacts = vec![
        Artifact::new(format!("modelgate-{VERSION}.wasm"), module),
        Artifact::new(format!("modelgate-{VERSION}-image.tar"), image.archive()?),
    ];
    for (triple, path) in &arguments.commands {
        let name = format!("modelgate-{VERSION}-{triple}");
        let command = read(path)?;
        command::check(&command, triple).with_context(|| path.display().to_string())?;
        let bytes = command::archive(&name, &command, &arguments.root, &arguments.help_pages)?;
        artifacts.push(Artifact::new(format!("{name}.tar.gz"), bytes));
    }
    let sbom = sbom::document(&arguments.root, &artifacts, &arguments.created)?;
    artifacts.push(Artifact::new(format!("modelgate-{VERSION}.spdx.json"), pretty(&sbom)?));
    let (commit, compiler) = (&arguments.commit, &arguments.compiler);
    let statement = provenance::statement(&artifacts, commit, compiler);
    artifacts.push(Artifact::new(format!("modelgate-{VERSION}.intoto.json"), pretty(&statement)?));
    let sums = sums(&artifacts);
    artifacts.push(Artifact::new("SHA256SUMS".to_owned(), sums.into_bytes()));
    Ok(artifacts)
}

/// As `sha256sum --check` reads it.
fn sums(artifacts: &[Artifact]) -> String {
    let line = |artifact: &Artifact| format!("{}  {}\n", artifact.sha256(), artifact.name);
    artifacts.iter().map(line).collect()
}

fn pretty(value: &serde_json::Value) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    if bytes.is_empty() {
        bail!("{} is empty", path.display());
    }
    Ok(bytes)
}

fn size(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_sha256sum() {
        let artifacts = [Artifact::new("abc".to_owned(), b"abc".to_vec())];
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  abc\n";
        assert_eq!(sums(&artifacts), expected);
    }
}
