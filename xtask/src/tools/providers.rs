//! Providers of identity that Go does not compile: node oidc-provider from npm, and Keycloak from Maven Central.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::node::npm_packages;
use crate::project::Project;
use modelgate_local::sh;

/// Keycloak's distribution, as Maven names it.
const KEYCLOAK: (&str, &str) = ("org.keycloak:keycloak-quarkus-dist", "26.7.3");

/// What Maven fetches it with.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";

/// The folder of node oidc-provider, with its `node_modules`.
pub fn oidc_provider(project: &Project) -> Result<PathBuf> {
    let about = "node oidc-provider 9.13.3 from npm (4 MB)";
    npm_packages(project, "oidc-provider", about, "tests/providers/oidc-provider")
}

/// The folder of Keycloak, with `bin/kc.sh`. Needs Java 17 or newer and Maven.
pub fn keycloak(project: &Project) -> Result<PathBuf> {
    let (artifact, version) = KEYCLOAK;
    for (program, word) in [("java", "-version"), ("mvn", "-version")] {
        if sh::output(Command::new(program).arg(word)).is_none() {
            bail!("{program} is needed for Keycloak: `apt install openjdk-17-jre-headless maven`");
        }
    }
    let about = format!("Keycloak {version} from Maven Central (170 MB)");
    let folder = project.tools.install("keycloak", &about, version, |folder, log| {
        let mut copy = Command::new("mvn");
        copy.args(["--batch-mode", COPY])
            .arg(format!("-Dartifact={artifact}:{version}:zip"))
            .arg(format!("-DoutputDirectory={}", folder.display()));
        sh::quietly(&mut copy, log).context(
            "the package comes from Maven Central: a mirror is set in ~/.m2/settings.xml",
        )?;
        let archive = folder.join(format!("keycloak-quarkus-dist-{version}.zip"));
        let mut unpack = Command::new("unzip");
        unpack.arg("-q").arg(&archive).arg("-d").arg(folder);
        sh::quietly(&mut unpack, log).context("unzip is needed: `apt install unzip`")?;
        fs::remove_file(&archive).context("removing the archive")
    })?;
    Ok(folder.join(format!("keycloak-{version}")))
}
