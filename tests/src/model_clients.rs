//! The clients that come with the model servers, as their users run them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::model_servers::{mlserver_venv, models_folder, seldon_venv};

/// Python programs on a loaded machine take their time.
const LIMIT: Duration = Duration::from_secs(90);

/// Asks prod/iris with Seldon's Python client (`models/seldon/client.py`): a value for each call.
/// `SELDON_VENV` names the virtual environment.
pub async fn seldon(gateway: SocketAddr, token: Option<&str>) -> Result<Vec<Value>> {
    let mut python = Command::new(seldon_venv()?.join("bin/python"));
    python.arg(models_folder().join("seldon/client.py")).arg(gateway.to_string()).args(token);
    lines(&finish(python).await?)
}

/// Asks the model iris with `mlserver infer`, which sends these header lines with every request: an
/// answer, or an error, for each request. `MLSERVER_VENV` names the virtual environment.
pub async fn mlserver(
    gateway: SocketAddr,
    headers: &[(&str, &str)],
    requests: &[Value],
) -> Result<Vec<Value>> {
    let folder = tempfile::Builder::new().prefix("modelgate-infer-").tempdir()?;
    let (input, output) = (folder.path().join("requests.jsonl"), folder.path().join("answers"));
    let text: String = requests.iter().map(|request| format!("{request}\n")).collect();
    std::fs::write(&input, text)?;
    let mut infer = Command::new(mlserver_venv()?.join("bin/mlserver"));
    infer.args(["infer", "--model-name=iris", "--retries=1", "--url", &gateway.to_string()]);
    infer.arg("--input-data-path").arg(&input).arg("--output-data-path").arg(&output);
    for (name, value) in headers {
        infer.arg("--request-headers").arg(format!("{name}: {value}"));
    }
    finish(infer).await?;
    lines(&std::fs::read_to_string(&output).context("mlserver infer wrote no answers")?)
}

/// What the program printed.
async fn finish(mut command: Command) -> Result<String> {
    let ended = tokio::time::timeout(LIMIT, command.kill_on_drop(true).output()).await;
    let output = ended.context("the client does not end")?.context("cannot run the client")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A JSON value from each line.
fn lines(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}
