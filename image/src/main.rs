//! `cargo xtask image`: packs the built module, and pushes it where it is told to.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use modelgate_image::{Image, push};

/// Packs the module as an OCI image
#[derive(Parser, Debug)]
struct Arguments {
    /// The built module
    #[arg(long)]
    module: PathBuf,
    /// Folder for the image layout; beside it goes the archive, with .tar at its end
    #[arg(long)]
    layout: PathBuf,
    /// Push it: registry/repository:tag
    #[arg(long)]
    push: Option<String>,
    /// The registry speaks plain HTTP
    #[arg(long, requires = "push")]
    insecure: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let module =
        std::fs::read(&arguments.module).with_context(|| arguments.module.display().to_string())?;
    let image = Image::new(&module, env!("CARGO_PKG_VERSION"))?;
    image.write_layout(&arguments.layout)?;
    let archive = arguments.layout.with_extension("tar");
    std::fs::write(&archive, image.archive()?).with_context(|| archive.display().to_string())?;
    println!("layout   {}", arguments.layout.display());
    println!("archive  {}", archive.display());
    println!("digest   {}", image.digest());
    let Some(reference) = &arguments.push else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(push(&image, reference, arguments.insecure))?;
    let (repository, _) = reference.rsplit_once(':').unwrap_or((reference, ""));
    println!("pushed   {reference}");
    println!("\nIn the WasmPlugin:\n  url: oci://{repository}@{}", image.digest());
    Ok(())
}
