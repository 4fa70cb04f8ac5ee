//! `cargo xtask dist`: builds what a release consists of, and has the package `dist` put it together.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use modelgate_local::sh::{self, Log};

use crate::project::{self, Project};
use crate::{module, run, tools};

/// Shells, and how their completions are called where they are found by themselves.
const SHELLS: [(&str, &str); 3] =
    [("bash", "modelgate"), ("zsh", "_modelgate"), ("fish", "modelgate.fish")];

/// How a release is made.
#[derive(Args, Debug)]
pub struct DistArgs {
    /// Builds it again from a clone in another folder, and compares the checksums
    #[arg(long)]
    verify: bool,
}

/// `cargo xtask dist`
pub fn dist(project: &Project, args: &DistArgs) -> Result<ExitCode> {
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(&project.root).env("TZ", "UTC").args(args);
        sh::output(&mut git).with_context(|| format!("git {}", args.join(" ")))
    };
    let changed = git(&["status", "--porcelain"])?;
    if !changed.is_empty() {
        bail!("a release is made of a commit, and this checkout has changes:\n{changed}");
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let created =
        git(&["show", "--no-patch", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"])?;
    let compiler = sh::output(Command::new("rustc").arg("--version")).context("rustc --version")?;
    let module = module::build(project)?;
    let out = project.target.join("dist");
    let mut release = run::package(project, "modelgate-dist", &["run", "--quiet"])?;
    release.arg("--root").arg(&project.root).arg("--module").arg(module);
    release.arg("--help-pages").arg(help_pages(project)?).arg("--out").arg(&out);
    release.args(["--commit", &commit, "--created", &created, "--compiler", &compiler]);
    for (triple, platform) in tools::PLATFORMS {
        let command = command(project, triple, platform)?;
        release.arg("--command").arg(format!("{triple}={}", command.display()));
    }
    let code = run::finish(release)?;
    if args.verify && code == ExitCode::SUCCESS {
        verify(project, &commit, &out)?;
    }
    Ok(code)
}

/// Builds the command for a platform, with no library to be found there.
fn command(project: &Project, triple: &str, platform: &str) -> Result<PathBuf> {
    project::target(triple)?;
    let zig = tools::zig(project)?;
    println!("building the modelgate command for {triple} (release; it takes some minutes)");
    let mut log = Log::create(project.target.join(format!("test-logs/dist-{triple}.log")))?;
    let mut cargo =
        project.cargo(["rustc", "--locked", "--package=modelgate-cli", "--profile=dist"]);
    cargo.args(["--bin=modelgate", "--target", triple]);
    // Rust's own linker, with the C library that comes with the target: the same everywhere.
    let flags = ["-Clink-self-contained=yes".to_owned()].into_iter().chain(project.remapped());
    let flags = format!("target.{triple}.rustflags={:?}", flags.collect::<Vec<_>>());
    cargo.args(["--config", &format!("target.{triple}.linker=\"rust-lld\""), "--config", &flags]);
    let variable = triple.replace('-', "_");
    for (tool, variable) in [("cc", format!("CC_{variable}")), ("ar", format!("AR_{variable}"))] {
        cargo.env(variable, zig.join(format!("{tool}-{platform}")));
    }
    // C's assertions have the paths of sources in them.
    let sources = project::cargo_home().join("registry/src");
    cargo.env(format!("CFLAGS_{variable}"), format!("-ffile-prefix-map={}=/", sources.display()));
    sh::quietly(&mut cargo, &mut log)?;
    Ok(project.target.join(triple).join("dist/modelgate"))
}

/// Completions and manual pages, as the command of this machine prints them.
fn help_pages(project: &Project) -> Result<PathBuf> {
    let command = project.command()?;
    let folder = project.target.join("help-pages");
    let (completions, man) = (folder.join("completions"), folder.join("man"));
    for folder in [&completions, &man] {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    for (shell, file) in SHELLS {
        let script = sh::output(Command::new(&command).args(["completions", shell]));
        let path = completions.join(file);
        std::fs::write(
            &path,
            script.with_context(|| format!("modelgate completions {shell}"))? + "\n",
        )
        .with_context(|| path.display().to_string())?;
    }
    sh::output(Command::new(&command).args(["man", "--dir"]).arg(&man)).context("modelgate man")?;
    Ok(folder)
}

/// Makes the release of the same commit in a folder of another name, and compares.
fn verify(project: &Project, commit: &str, out: &Path) -> Result<()> {
    let folder = project.target.join("dist-again");
    let _ = std::fs::remove_dir_all(&folder);
    println!("\nagain, from a clone in {}", project.show(&folder));
    let mut log = Log::create(project.target.join("test-logs/dist-again.log"))?;
    let mut clone = Command::new("git");
    sh::quietly(clone.args(["clone", "--quiet"]).arg(&project.root).arg(&folder), &mut log)?;
    // The checkout may have gone on meanwhile.
    let mut checkout = Command::new("git");
    checkout.current_dir(&folder).args(["checkout", "--quiet", "--detach", commit]);
    sh::quietly(&mut checkout, &mut log)?;
    let mut again = project::cargo();
    again.current_dir(&folder).args(["run", "--quiet", "--package=xtask", "--", "dist"]);
    again.env_remove("CARGO_TARGET_DIR").env("MODELGATE_TOOLS", project.tools.folder());
    sh::quietly(&mut again, &mut log)?;
    let sums = |folder: &Path| {
        let path = folder.join("SHA256SUMS");
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let (first, second) = (sums(out)?, sums(&folder.join("target/dist"))?);
    let differ: Vec<_> = first.lines().filter(|line| !second.contains(line)).collect();
    if !differ.is_empty() {
        bail!("the second time these have other checksums:\n{}", differ.join("\n"));
    }
    println!("the same {} files, byte for byte", first.lines().count());
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}
