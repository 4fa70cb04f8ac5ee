//! Zig's C compiler, which builds for every platform: the command's cryptography has parts in C and assembly.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::venv::{Venv, install, packages};
use crate::project::Project;

const REQUIREMENTS: &str = "ziglang==0.17.1\n";

/// The platforms of a release, as Rust calls them and as Zig does.
pub const PLATFORMS: [(&str, &str); 2] = [
    ("x86_64-unknown-linux-musl", "x86_64-linux-musl"),
    ("aarch64-unknown-linux-musl", "aarch64-linux-musl"),
];

/// The folder of the compilers and archivers: `cc-PLATFORM` and `ar-PLATFORM`, as Zig calls [`PLATFORMS`].
pub fn zig(project: &Project) -> Result<PathBuf> {
    let about = "Zig's C compiler (100 MB)";
    let venv = Venv { name: "zig", about, requirements: REQUIREMENTS, pip: &[] };
    let folder = install(project, venv, |venv| {
        let zig = packages(venv)?.join("ziglang/zig");
        for (_, platform) in PLATFORMS {
            write(venv, &format!("cc-{platform}"), &zig, &format!("cc -target {platform}"))?;
            write(venv, &format!("ar-{platform}"), &zig, "ar")?;
        }
        Ok(())
    })?;
    Ok(folder.join("bin"))
}

/// A program that calls Zig without `--target`: there it stands in Rust's words.
fn write(venv: &Path, name: &str, zig: &Path, call: &str) -> Result<()> {
    let (path, cache) = (venv.join("bin").join(name), venv.join("cache"));
    let script = format!(
        "#!/bin/sh\n\
         for word; do\n  shift\n  case $word in --target=*) ;; *) set -- \"$@\" \"$word\" ;; esac\ndone\n\
         export ZIG_GLOBAL_CACHE_DIR='{cache}' ZIG_LOCAL_CACHE_DIR='{cache}'\n\
         exec '{}' {call} \"$@\"\n",
        zig.display(),
        cache = cache.display(),
    );
    fs::write(&path, script)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("writing {}", path.display()))
}
