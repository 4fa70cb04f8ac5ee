//! The clients that come with the model servers, as their users run them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::model_servers::{kserve_venv, llama_venv, mlserver_venv, models_folder, seldon_venv};

/// Python programs on a loaded machine take their time.
const LIMIT: Duration = Duration::from_secs(90);

/// Asks prod/iris with Seldon's Python client (`models/seldon/client.py`): a value for each call.
/// `SELDON_VENV` names the virtual environment.
pub async fn seldon(gateway: SocketAddr, token: Option<&str>) -> Result<Vec<Value>> {
    let mut python = Command::new(seldon_venv()?.join("bin/python"));
    python.arg(models_folder().join("seldon/client.py")).arg(gateway.to_string()).args(token);
    lines(&finish(python).await?)
}

/// Methods and paths of the routes that Seldon's wrapper has for predictions
/// (`models/seldon/routes.py`). `SELDON_VENV` names the virtual environment.
pub async fn seldon_routes() -> Result<Vec<(String, String)>> {
    let folder = models_folder();
    let mut python = Command::new(seldon_venv()?.join("bin/python"));
    python.arg(folder.join("seldon/routes.py")).current_dir(&folder);
    let routes = finish(python).await?;
    let route = |line: &str| {
        let (method, path) = line.split_once(' ').with_context(|| line.to_owned())?;
        Ok((method.to_owned(), path.to_owned()))
    };
    routes.lines().map(route).collect()
}

/// Asks with OpenAI's own client (`models/llama/ask.py`): once in each way, or `many` times in all of them, for the sums of
/// what the server says that it took. `LLAMA_VENV` names the virtual environment.
pub async fn openai(gateway: SocketAddr, key: &str, many: Option<usize>) -> Result<Vec<Value>> {
    let mut python = Command::new(llama_venv()?.join("bin/python"));
    python.arg(models_folder().join("llama/ask.py")).arg(format!("http://{gateway}/v1")).arg(key);
    python.args([
        if many.is_some() { "many" } else { "each" },
        &many.unwrap_or_default().to_string(),
    ]);
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

/// Asks the model iris with Triton's client by gRPC (`models/triton/client.py`), which sends these
/// header lines: the probabilities for each flower. `KSERVE_VENV` names the virtual environment.
pub async fn triton_grpc(
    gateway: SocketAddr,
    headers: &[(&str, &str)],
    flowers: &[[f64; 4]],
) -> Result<Vec<Value>> {
    let mut python = Command::new(kserve_venv()?.join("bin/python"));
    python.arg(models_folder().join("triton/client.py")).arg(gateway.to_string());
    python.arg("iris").arg(serde_json::to_string(flowers)?);
    python.args(headers.iter().map(|(name, value)| format!("{name}={value}")));
    lines(&finish(python).await?)
}

/// Asks the model iris of this host with KServe's clients (`models/kserve/client.py`) in one of their
/// forms: the probabilities for each flower. `KSERVE_VENV` names the virtual environment.
pub async fn kserve(
    gateway: SocketAddr,
    host: &str,
    form: &str,
    flowers: &[[f64; 4]],
) -> Result<Vec<Value>> {
    let mut python = Command::new(kserve_venv()?.join("bin/python"));
    python.arg(models_folder().join("kserve/client.py")).arg(gateway.to_string());
    python.args([host, "iris", form, &serde_json::to_string(flowers)?]);
    lines(&finish(python).await?)
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
