//! The first hour: README's commands, read out of README, in an empty home and in a shell, with a real Envoy.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};

use crate::run::{Run, copy_program};

/// The port of README's gateway, which may be somebody's here.
const PORT: &str = "8080";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every command of README: the indented lines that are for a shell, with continued ones joined.
fn commands() -> Result<Vec<String>> {
    let page = std::fs::read_to_string(root().join("README.md"))?.replace("\\\n", "");
    let lines = page.lines().filter_map(|line| line.strip_prefix("    "));
    let is_command = |line: &&str| line.starts_with("modelgate ") || line.starts_with("export ");
    Ok(lines.filter(is_command).map(str::to_owned).collect())
}

/// A user's folder: what the repository holds, the command and the module where README has them built, and nobody's home.
struct Desk {
    folder: tempfile::TempDir,
    /// What a shell was told before.
    exports: Vec<String>,
}

impl Desk {
    fn new(exports: Vec<String>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        for name in ["docs", "wasmplugin", "deploy"] {
            std::os::unix::fs::symlink(root().join(name).canonicalize()?, at(name))?;
        }
        let built = |name: &str| -> Result<PathBuf> {
            let path = std::env::var_os(name).with_context(|| format!("{name} is not set"))?;
            Ok(Path::new(&path).canonicalize()?)
        };
        std::fs::create_dir_all(at("target/release"))?;
        std::fs::create_dir(at("home"))?;
        copy_program(built("MODELGATE")?, &at("target/release/modelgate"))?;
        std::fs::copy(built("MODELGATE_WASM")?, at("target/modelgate.wasm"))?;
        Ok(Self { folder, exports })
    }

    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("{}\n{line}", self.exports.join("\n")))
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path().join("home"))
            .env_remove("MODELGATE")
            .env_remove("MODELGATE_WASM")
            .env_remove("XDG_CACHE_HOME");
        shell
    }

    fn ask(&self, line: &str) -> Result<Output> {
        Ok(self.shell(line).output()?)
    }
}

/// How a command ends, by its verb: README says of some that they find something.
fn status(line: &str) -> Result<i32> {
    let verb = line.split(' ').nth(1).unwrap_or_default();
    Ok(match verb {
        "check" | "explain" | "schema" | "test" => 0,
        // With remarks: a mirror goes on until somebody takes it away.
        "convert" => 1,
        // Alice is let through, by the gateway as well; the intern is not.
        "decide" if line.contains("--gateway") => 0,
        "decide" => 1,
        // A change is found.
        "diff" => 1,
        _ => bail!("nobody knows how this ends: {line}"),
    })
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

#[tokio::test]
async fn the_commands_of_the_first_hour_run_as_readme_shows_them() -> Result<()> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port().to_string();
    let (exports, commands): (Vec<String>, Vec<String>) =
        commands()?.into_iter().partition(|line| line.starts_with("export "));
    let desk = Desk::new(exports)?;
    // What a user has who changes something: the configuration before, and the gateway's log.
    let plugin = std::fs::read_to_string(root().join("wasmplugin/gateway.yaml"))?;
    let before = plugin.replace("percent: 10\n", "percent: 5\n");
    ensure!(before != plugin, "the shipped plugin has no shadow of 10 percent");
    std::fs::write(desk.folder.path().join("old.yaml"), before)?;
    let log =
        "{\"method\": \"GET\", \"path\": \"/x\", \"authority\": \"m\", \"response_code\": 403}\n";
    std::fs::write(desk.folder.path().join("access.log"), log)?;

    let mut ran: BTreeMap<String, usize> = BTreeMap::new();
    let mut gateway: Option<Run> = None;
    for line in commands {
        let verb = line.split(' ').nth(1).unwrap_or_default().to_owned();
        *ran.entry(verb.clone()).or_default() += 1;
        let line = line.replace(PORT, &port);
        match verb.as_str() {
            // A gateway of a cluster, whose pages the tests of reports stand up.
            "report" => {}
            "run" => {
                let folder = tempfile::tempdir()?;
                let run = Run::spawn(folder, desk.shell(&format!("exec {line}")))?;
                run.gateway().await.with_context(|| line.clone())?;
                if line.contains(&port) {
                    gateway = Some(run);
                }
            }
            _ => {
                let output = desk.ask(&line)?;
                let wanted = status(&line)?;
                ensure!(output.status.code() == Some(wanted), "{line}: {}", said(&output));
                if line.contains("--gateway") {
                    let gateway = gateway.as_ref().context("no gateway runs yet")?;
                    gateway.shows("200 allowed").await?;
                    for part in ["prod/iris predict", "by istio-system/data-science", "/alice"] {
                        ensure!(
                            gateway.requests().contains(part),
                            "{part}: {}",
                            gateway.requests()
                        );
                    }
                    let compared = said(&output);
                    let both = compared.matches("from the model").count() == 2;
                    ensure!(both && !compared.contains('≠'), "{compared}");
                }
            }
        }
    }
    let wanted =
        ["check", "convert", "decide", "diff", "explain", "report", "run", "schema", "test"];
    let ran: Vec<&str> = ran.keys().map(String::as_str).collect();
    assert_eq!(ran, wanted, "the verbs that README shows");
    Ok(())
}
