//! The running Envoy: started, asked, given another configuration, ended.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use modelgate_local::process::Guarded;
use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;

use super::bootstrap::{self, CLUSTERS, EXTENSION, PLUGIN};
use super::clusters::Cluster;
use super::upstream::Upstream;

/// How long Envoy may take to compile the module and to open its port, or to take a configuration.
const READY: Duration = Duration::from_secs(60);

/// How long it may take to end by itself.
const END: Duration = Duration::from_secs(3);

/// How long to sleep between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Lines of its log that are kept for when it ends.
const KEPT: usize = 12;

/// How it is started.
#[derive(Debug)]
pub struct Start<'a> {
    /// Its binary.
    pub envoy: &'a Path,
    /// The module.
    pub module: &'a Path,
    /// The gateway's port; 0 is a free one.
    pub port: u16,
    /// What has a route of its own.
    pub upstreams: &'a [Upstream],
    /// Set where somebody wants the end.
    pub stop: Arc<AtomicBool>,
}

/// A gateway that runs until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    // Before its folder: it is ended first.
    process: Guarded,
    folder: TempDir,
    module: PathBuf,
    agent: Agent,
    admin: SocketAddr,
    gateway: SocketAddr,
    version: u64,
    clusters: Value,
    tail: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts it with this plugin, and waits until it serves. Requests that ended go to `seen`, line by line.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(
        start: &Start<'_>,
        settings: &Value,
        clusters: &[Cluster],
        seen: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("modelgate-run-").tempdir()?;
        let path = folder.path();
        let clusters = bootstrap::clusters(clusters.iter().map(|one| &one.config), 1);
        write(path, CLUSTERS, &clusters)?;
        write(path, PLUGIN, &bootstrap::plugin(start.module, settings, 1))?;
        let bootstrap = bootstrap::bootstrap(start.port, start.upstreams);
        std::fs::write(path.join("envoy.json"), bootstrap.to_string())?;
        let mut command = Command::new(start.envoy);
        command
            .current_dir(path)
            .args(["-c", "envoy.json", "--admin-address-path", "admin", "--disable-hot-restart"])
            .args(["--concurrency", "2", "--log-level", "warning"])
            .args(["--file-flush-interval-msec", "100"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Guarded::start(command, Some(path))?;
        let tail = Arc::new(Mutex::new(Vec::new()));
        if let (Some(out), Some(log)) = (process.child.stdout.take(), process.child.stderr.take()) {
            thread::spawn(move || lines(out, seen));
            let tail = Arc::clone(&tail);
            thread::spawn(move || lines(log, |line| keep(line, &tail)));
        }
        let config =
            Agent::config_builder().timeout_global(Some(READY)).http_status_as_error(false);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxy = Self {
            process,
            module: start.module.to_owned(),
            agent: config.build().into(),
            admin: nowhere,
            gateway: nowhere,
            version: 1,
            clusters,
            tail,
            stop: Arc::clone(&start.stop),
            folder,
        };
        let file = proxy.folder.path().join("admin");
        proxy.admin = proxy.until("its admin address", |_| {
            std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok())
        })?;
        proxy.until("it to be ready", |proxy| {
            proxy.get("/ready").is_ok_and(|page| page.trim() == "LIVE").then_some(())
        })?;
        proxy.gateway = proxy.until("its port", |proxy| proxy.listener())?;
        Ok(proxy)
    }

    /// Where clients reach it.
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// Where its statistics are.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Hands it another configuration.
    ///
    /// # Errors
    ///
    /// It does not take it.
    pub fn update(&mut self, settings: &Value, clusters: &[Cluster]) -> Result<()> {
        self.version = self.version.saturating_add(1);
        let configs = || clusters.iter().map(|one| &one.config);
        let unversioned = bootstrap::clusters(configs(), 1);
        if unversioned != self.clusters {
            let before = self.counter("cluster_manager.cds.update_success")?;
            write(self.folder.path(), CLUSTERS, &bootstrap::clusters(configs(), self.version))?;
            self.until("it to take the clusters", |proxy| {
                let now = proxy.counter("cluster_manager.cds.update_success").ok()?;
                (now > before).then_some(())
            })?;
            self.clusters = unversioned;
        }
        let name =
            |what: &str| format!("extension_config_discovery.http_filter.{EXTENSION}.{what}");
        let count = |proxy: &Self| -> Result<(u64, u64)> {
            let failed = proxy.counter(&name("config_fail"))?;
            let rejected = proxy.counter(&name("update_rejected"))?;
            Ok((proxy.counter(&name("config_reload"))?, failed.saturating_add(rejected)))
        };
        let before = count(self)?;
        let plugin = bootstrap::plugin(&self.module, settings, self.version);
        write(self.folder.path(), PLUGIN, &plugin)?;
        let is_taken = self.until("it to take the configuration", |proxy| {
            let (reloaded, failed) = count(proxy).ok()?;
            if failed > before.1 { Some(false) } else { (reloaded > before.0).then_some(true) }
        })?;
        if !is_taken {
            bail!("Envoy does not take the configuration:\n{}", self.log());
        }
        Ok(())
    }

    /// Fails if it has ended, with the end of its log.
    ///
    /// # Errors
    ///
    /// It has.
    pub fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.process.child.try_wait()? {
            // What it wrote last may not be read yet.
            thread::sleep(PAUSE);
            bail!("Envoy has ended ({status}):\n{}", self.log());
        }
        Ok(())
    }

    /// Lets it end by itself, so that what is under way is logged.
    pub fn end(mut self) {
        if self.agent.post(format!("http://{}/quitquitquit", self.admin)).send_empty().is_err() {
            return;
        }
        for _ in 0..END.as_millis() / PAUSE.as_millis() {
            if self.process.child.try_wait().is_ok_and(|status| status.is_some()) {
                // The reader has the last lines.
                thread::sleep(PAUSE);
                return;
            }
            thread::sleep(PAUSE);
        }
    }

    fn log(&self) -> String {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    fn until<T>(&mut self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> Result<T> {
        for _ in 0..READY.as_millis() / PAUSE.as_millis() {
            self.check_running()?;
            if let Some(found) = ask(self) {
                return Ok(found);
            }
            if self.stop.load(Ordering::Relaxed) {
                bail!("stopped");
            }
            thread::sleep(PAUSE);
        }
        bail!("waited {} s for Envoy: {what}\n{}", READY.as_secs(), self.log())
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut answer = self.agent.get(format!("http://{}{path}", self.admin)).call()?;
        Ok(answer.body_mut().read_to_string()?)
    }

    fn listener(&self) -> Option<SocketAddr> {
        let page: Value = serde_json::from_str(&self.get("/listeners?format=json").ok()?).ok()?;
        let address = page.pointer("/listener_statuses/0/local_address/socket_address")?;
        let port = address.get("port_value")?.as_u64().filter(|port| *port > 0)?;
        Some(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).ok()?)))
    }

    /// A counter, 0 while there is none.
    fn counter(&self, name: &str) -> Result<u64> {
        let page = self.get("/stats")?;
        let found = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.map_or(Ok(0), |value| value.trim().parse().context("a statistic of Envoy's"))
    }
}

/// Written beside and moved into place: Envoy watches for the move.
fn write(folder: &Path, file: &str, value: &Value) -> Result<()> {
    let path = folder.join(file);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let beside = folder.join("next.json");
    std::fs::write(&beside, value.to_string())?;
    std::fs::rename(&beside, &path)?;
    Ok(())
}

fn lines(stream: impl Read, mut each: impl FnMut(&str)) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        each(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

/// Shows what the module says, and keeps the end of everything.
fn keep(line: &str, tail: &Mutex<Vec<String>>) {
    if let Some((_, said)) = line.split_once("modelgate: ") {
        eprintln!("  {said}");
    }
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    if tail.len() == KEPT {
        tail.remove(0);
    }
    tail.push(line.to_owned());
}
