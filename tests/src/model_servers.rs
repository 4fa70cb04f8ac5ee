//! Real model servers from virtual environments: Seldon's Python wrapper 1.17.1, MLServer 1.7.1,
//! KServe's Python SDK 0.21.0, MLflow 3.17.2, LitServe 0.2.19 and llama.cpp's server (xllamacpp 2026.10.11549).
//!
//! They serve the iris model of `models/iris.json` on loopback ports, the last one a language model with random weights, and
//! end with the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::client::Request;
use crate::envoy::log_file;
use crate::wait::until;
use modelgate_local::process::{Process, free_ports};

/// Python servers on a loaded machine take their time.
const READY: Duration = Duration::from_secs(90);

/// Which weights of `models/iris.json` a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// The live model.
    Main,
    /// The retrained one.
    Shadow,
}

impl Weights {
    fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Shadow => "shadow",
        }
    }
}

/// A model as a server knows it.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    /// The name in addresses and messages.
    pub name: &'a str,
    /// What the server says of its version, if it says one.
    pub version: &'a str,
    /// What it answers.
    pub weights: Weights,
}

impl Model<'_> {
    /// `iris`, version `v1`.
    pub const fn iris(weights: Weights) -> Self {
        Self { name: "iris", version: "v1", weights }
    }
}

/// What a language model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    /// To go on with a text.
    Text,
    /// For embeddings.
    Nothing,
}

/// A model server that runs until it is dropped.
#[derive(Debug)]
pub struct ModelServer {
    process: Process,
    _folder: TempDir,
    /// REST of predictions.
    pub http: SocketAddr,
    /// gRPC of predictions; nothing listens there if the server has none.
    pub grpc: SocketAddr,
    /// Prometheus, path `/prometheus`, of servers of Seldon.
    pub metrics: SocketAddr,
}

impl ModelServer {
    /// Seldon's Python wrapper, as a model container of a deployment runs it. `SELDON_VENV` names the
    /// virtual environment. The wrapper answers on every path of the seldon protocol.
    pub async fn seldon(weights: Weights) -> Result<Self> {
        Self::seldon_in(weights, &[]).await
    }

    /// The same with what Seldon's operator also sets: the image, which then stands in every answer.
    pub async fn seldon_of_image(weights: Weights, image: &str) -> Result<Self> {
        Self::seldon_in(weights, &[("PREDICTIVE_UNIT_IMAGE", image)]).await
    }

    async fn seldon_in(weights: Weights, environment: &[(&str, &str)]) -> Result<Self> {
        let venv = seldon_venv()?;
        let folder = folder(&["seldon/Iris.py", "iris.json"])?;
        let ports = free_ports()?;
        let [http, grpc, metrics] = ports;
        let mut command = Command::new(venv.join("bin/python"));
        command
            .current_dir(folder.path())
            .args(["-c", SELDON_ON_LOOPBACK, "Iris", "--service-type", "MODEL"])
            .args(["--http-port", &http.port().to_string()])
            .args(["--grpc-port", &grpc.port().to_string()])
            .args(["--metrics-port", &metrics.port().to_string()])
            .env("IRIS_WEIGHTS", weights.name())
            .env("PREDICTIVE_UNIT_ID", "classifier")
            .env("PREDICTOR_ID", "default")
            .env("SELDON_DEPLOYMENT_ID", "iris")
            .env("PREDICTIVE_UNIT_METRICS_ENDPOINT", "/prometheus")
            .envs(environment.iter().copied());
        Self::start("seldon", command, folder, ports, "/health/ping").await?.on_all_ports().await
    }

    /// MLServer with scikit-learn, as Seldon v2 and KServe run it: model `iris`, Open Inference
    /// Protocol. `MLSERVER_VENV` names the virtual environment.
    pub async fn mlserver(weights: Weights) -> Result<Self> {
        Self::mlserver_with(&[Model::iris(weights)]).await
    }

    /// The same with several models.
    pub async fn mlserver_with(models: &[Model<'_>]) -> Result<Self> {
        let venv = mlserver_venv()?;
        let folder = folder(&["mlserver/make_models.py", "mlserver/iris.py", "iris.json"])?;
        run(Command::new(venv.join("bin/python")).arg("make_models.py"), &folder)?;
        let ports = free_ports()?;
        let [http, grpc, metrics] = ports;
        let settings = json!({
            "host": http.ip(),
            "http_port": http.port(),
            "grpc_port": grpc.port(),
            "metrics_port": metrics.port(),
            "metrics_endpoint": "/prometheus",
            // Workers crash with the current uvloop.
            "parallel_workers": 0,
        });
        std::fs::write(folder.path().join("settings.json"), settings.to_string())?;
        for Model { name, version, weights } in models {
            let settings = json!({
                "name": name,
                "implementation": "iris.Iris",
                "parameters": {"uri": format!("../{}.joblib", weights.name()), "version": version},
            });
            let model = folder.path().join(name);
            std::fs::create_dir(&model)?;
            std::fs::write(model.join("model-settings.json"), settings.to_string())?;
        }
        let mut command = Command::new(venv.join("bin/mlserver"));
        // Found from there, wherever a model is loaded from.
        command.current_dir(folder.path()).env("PYTHONPATH", folder.path()).args(["start", "."]);
        Self::start("mlserver", command, folder, ports, "/v2/health/ready")
            .await?
            .on_all_ports()
            .await
    }

    /// KServe's Python SDK, protocols V1 and V2. `KSERVE_VENV` names the virtual environment.
    pub async fn kserve(models: &[Model<'_>]) -> Result<Self> {
        let folder = folder(&["kserve/serve.py", "iris.json"])?;
        let ports = free_ports()?;
        let [http, grpc, _] = ports;
        let mut command = Command::new(kserve_venv()?.join("bin/python"));
        command.current_dir(folder.path()).arg("serve.py");
        command.args([http, grpc].map(|address| address.port().to_string()));
        command.args(models.iter().map(|m| format!("{}={}", m.name, m.weights.name())));
        Self::start("kserve", command, folder, ports, "/v2/health/ready").await
    }

    /// MLflow's scoring server, started with `mlflow models serve`. `MLFLOW_VENV` names the virtual
    /// environment.
    pub async fn mlflow(weights: Weights) -> Result<Self> {
        let venv = mlflow_venv()?;
        let folder = folder(&["mlflow/make_model.py", "mlflow/iris.py", "iris.json"])?;
        let make = ["make_model.py", weights.name()];
        run(Command::new(venv.join("bin/python")).args(make), &folder)?;
        let ports = free_ports()?;
        let [http, _, _] = ports;
        let mut command = Command::new(venv.join("bin/mlflow"));
        command
            .current_dir(folder.path())
            .args(["models", "serve", "--model-uri=model", "--env-manager=local"])
            .args(["--host=127.0.0.1", &format!("--port={}", http.port())])
            // It starts its web server by name.
            .env("PATH", path_with(&venv.join("bin"))?);
        Self::start("mlflow", command, folder, ports, "/ping").await
    }

    /// LitServe with its own protocol and OpenAI's. `LITSERVE_VENV` names the virtual environment.
    pub async fn litserve(weights: Weights) -> Result<Self> {
        let folder = folder(&["litserve/serve.py", "iris.json"])?;
        let ports = free_ports()?;
        let [http, _, _] = ports;
        let mut command = Command::new(litserve_venv()?.join("bin/python"));
        command.current_dir(folder.path()).args([
            "serve.py",
            &http.port().to_string(),
            weights.name(),
        ]);
        Self::start("litserve", command, folder, ports, "/health").await
    }

    /// llama.cpp's server with a language model of this name; for embeddings it answers nothing else.
    /// `LLAMA_VENV` names the virtual environment.
    pub async fn llama(name: &str, does: Completes) -> Result<Self> {
        let folder = folder(&["llama/make_model.py", "llama/serve.py"])?;
        let ports = free_ports()?;
        let [http, _, _] = ports;
        let kind = match does {
            Completes::Text => "chat",
            Completes::Nothing => "embeddings",
        };
        let mut command = Command::new(llama_venv()?.join("bin/python"));
        let port = http.port().to_string();
        command.current_dir(folder.path()).args(["serve.py", &port, name, kind]);
        Self::start("llama", command, folder, ports, "/health").await
    }

    async fn start(
        kind: &str,
        command: Command,
        folder: TempDir,
        [http, grpc, metrics]: [SocketAddr; 3],
        ready: &str,
    ) -> Result<Self> {
        let mut process = Process::start(command, &log_file(kind)?)?;
        until(&format!("{kind} to be ready"), READY, async || {
            process.check_running()?;
            let answer = Request::get(ready).send(http).await;
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
        .await?;
        Ok(Self { process, _folder: folder, http, grpc, metrics })
    }

    /// Once it listens for gRPC and for Prometheus too, which servers of Seldon do in processes of their own.
    async fn on_all_ports(mut self) -> Result<Self> {
        for port in [self.grpc, self.metrics] {
            until(&format!("a server on {port}"), READY, async || {
                self.process.check_running()?;
                Ok(TcpStream::connect(port).await.ok().map(drop))
            })
            .await?;
        }
        Ok(self)
    }

    /// What the server logged so far.
    pub fn log(&self) -> Result<String> {
        self.process.log()
    }
}

/// Runs a program in this folder to its end.
fn run(command: &mut Command, folder: &TempDir) -> Result<()> {
    let ended = command.current_dir(folder.path()).output().context("cannot run Python")?;
    anyhow::ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}

fn path_with(first: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(first.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("PATH")
}

/// The wrapper binds 0.0.0.0 and has no option for another address: the literals in its source are
/// replaced while it is loaded, and the installed files stay as they are.
const SELDON_ON_LOOPBACK: &str = r#"
import importlib.util, sys
spec = importlib.util.find_spec("seldon_core.microservice")
source = spec.loader.get_source(spec.name).replace("0.0.0.0", "127.0.0.1")
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
exec(compile(source, spec.origin, "exec"), module.__dict__)
sys.path.insert(0, "")
module.main()
"#;

/// The virtual environment of Seldon's wrapper and client.
pub(crate) fn seldon_venv() -> Result<PathBuf> {
    venv("SELDON_VENV", "seldon-core==1.17.1 and setuptools<81")
}

/// The virtual environment of MLServer and its client.
pub(crate) fn mlserver_venv() -> Result<PathBuf> {
    venv("MLSERVER_VENV", "mlserver==1.7.1 and mlserver-sklearn==1.7.1")
}

/// The virtual environment of KServe's SDK and its clients.
pub(crate) fn kserve_venv() -> Result<PathBuf> {
    venv("KSERVE_VENV", "kserve==0.21.0")
}

fn mlflow_venv() -> Result<PathBuf> {
    venv("MLFLOW_VENV", "mlflow-skinny==3.17.2, numpy and pandas")
}

fn litserve_venv() -> Result<PathBuf> {
    venv("LITSERVE_VENV", "litserve==0.2.19")
}

pub(crate) fn llama_venv() -> Result<PathBuf> {
    venv("LLAMA_VENV", "xllamacpp==2026.10.11549, openai==3.57.0 and gguf==0.19.0")
}

fn venv(variable: &str, packages: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).with_context(|| {
        format!("{variable} is not set: a virtual environment with {packages} (`cargo xtask test` sets it)")
    })?;
    Ok(std::path::absolute(PathBuf::from(path))?)
}

/// `models/`.
pub(crate) fn models_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// A temporary folder with these files of `models/`.
fn folder(files: &[&str]) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("modelgate-model-").tempdir()?;
    for file in files {
        let from = models_folder().join(file);
        let name = from.file_name().context("a file has a name")?;
        std::fs::copy(&from, folder.path().join(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(folder)
}
