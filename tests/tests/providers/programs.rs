//! The programs of the suite, and what they print.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use testbed::envoy::log_file;
use testbed::process::Process;
use testbed::wait::until;

/// How long a provider may take on a loaded machine.
pub const READY: Duration = Duration::from_secs(240);

/// A file or folder that `cargo xtask test providers` names.
pub fn named(variable: &str) -> Result<PathBuf> {
    let value = std::env::var_os(variable)
        .with_context(|| format!("{variable} is not set (`cargo xtask test providers` sets it)"))?;
    let path = std::path::absolute(value)?;
    ensure!(path.exists(), "{variable} names {}, which is not there", path.display());
    Ok(path)
}

/// A file of tests/providers.
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("providers").join(path)
}

/// Starts a program, with its output in a log.
pub fn start(kind: &str, command: Command) -> Result<Process> {
    Process::start(command, &log_file(kind)?)
}

/// The first line that a program prints and that `find` makes something of.
pub async fn line<T>(
    process: &mut Process,
    what: &str,
    find: impl Fn(&str) -> Option<T>,
) -> Result<T> {
    until(what, READY, async || {
        process.check_running()?;
        // A line may be half written.
        let log = process.log()?;
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        Ok(whole.lines().find_map(&find))
    })
    .await
}

/// What a program prints.
pub async fn output(mut command: Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.with_context(|| format!("cannot run {shown}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown}: {error}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A text of an answer.
pub fn text(answer: &Value, name: &str) -> Result<String> {
    let text = answer.get(name).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {name} in {answer}"))?.to_owned())
}

/// The header and the claims of a token.
pub fn parts(token: &str) -> Result<(Value, Value)> {
    let mut parts = token.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).context("not base64url")?;
        Ok(serde_json::from_slice(&bytes)?)
    });
    let mut next = || -> Result<Value> { parts.next().context("a part is missing")? };
    Ok((next()?, next()?))
}

/// The token with another signature of the same form.
pub fn forged(token: &str) -> Result<String> {
    let (signed, signature) = token.rsplit_once('.').context("not a token")?;
    let mut signature = URL_SAFE_NO_PAD.decode(signature)?;
    let middle = signature.len() / 2;
    *signature.get_mut(middle).context("an empty signature")? ^= 1;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The names of an object's members, in order.
pub fn names(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}
