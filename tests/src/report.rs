//! `modelgate report`, run as a pipeline runs it.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// What the command did.
#[derive(Debug)]
pub struct Reported {
    /// Its exit status.
    pub status: i32,
    /// What it printed.
    pub text: String,
    /// What it complained about.
    pub errors: String,
}

/// Runs the command that the variable `MODELGATE` names with these arguments.
pub fn report(arguments: &[&str]) -> Result<Reported> {
    let command = std::env::var_os("MODELGATE").context(
        "MODELGATE is not set: target/debug/modelgate, after `cargo build -p modelgate-cli` \
         (`cargo xtask test` sets it)",
    )?;
    let output = Command::new(command)
        .arg("report")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("MODELGATE does not start")?;
    Ok(Reported {
        status: output.status.code().context("the command ended by a signal")?,
        text: String::from_utf8(output.stdout)?,
        errors: String::from_utf8(output.stderr)?,
    })
}

impl Reported {
    /// What `--format json` says of the shadow with this name.
    pub fn shadow(&self, name: &str) -> Result<Value> {
        let report: Value = serde_json::from_str(&self.text)
            .with_context(|| format!("no JSON: {}{}", self.text, self.errors))?;
        let shadows = report.get("shadows").and_then(Value::as_array).context("no shadows")?;
        let found = shadows.iter().find(|shadow| shadow.get("name").is_some_and(|n| n == name));
        found.cloned().with_context(|| format!("no shadow {name} in {report}"))
    }
}
