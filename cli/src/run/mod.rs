//! `modelgate run`: a gateway on this machine with a configuration: Envoy with the filter's module, before servers that
//! are there or the built-in models.
//!
//! | module | what it does |
//! |---|---|
//! | [`settings`] | the configuration, and the resources beside it |
//! | [`upstream`] | servers of the user |
//! | [`servers`] | the built-in models, and key sets from files |
//! | [`clusters`] | where the clusters that the configuration names lead |
//! | [`bootstrap`] | what Envoy is started with |
//! | [`module`] | where module and Envoy are |
//! | [`proxy`] | the running Envoy |
//! | [`requests`] | what became of each request |

mod bootstrap;
mod clusters;
mod module;
mod proxy;
mod requests;
mod servers;
mod settings;
mod upstream;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::ask::keys::Keys;
use crate::output;
use clusters::{Cluster, Servers};
use proxy::{Proxy, Start};
use settings::{INPUT, Settings};
use upstream::Upstream;

/// Exit status where no gateway could be started.
const NOT_STARTED: u8 = 2;

/// How often a file is looked at, and whether Envoy still runs.
const LOOK: Duration = Duration::from_millis(200);

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration: a WasmPlugin, a TrafficExtension or a bare pluginConfig, with ServiceEntries and
    /// DestinationRules beside it; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The resource, where the file holds several configurations.
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// The server of all models, or of NAME: a model, a variant of a split, a shadow or a cluster; may be given several
    /// times. Without one for all models, built-in models answer.
    #[arg(long, value_name = "[NAME=]HOST:PORT", value_parser = Upstream::read)]
    upstream: Vec<Upstream>,
    /// Keys of an issuer that the gateway would fetch, served from a file here; may be given several times.
    #[arg(long, value_name = "ISSUER=FILE", value_parser = Keys::pair)]
    jwks: Vec<(String, PathBuf)>,
    /// The port on 127.0.0.1; without it, a free one.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Reloads the file when it changes. One that would be refused is told, and the gateway keeps what it has.
    #[arg(long)]
    watch: bool,
    /// The filter's module, instead of `modelgate.wasm` next to this command.
    #[arg(long, value_name = "PATH")]
    module: Option<PathBuf>,
    /// An Envoy 1.40 with V8, instead of the one on PATH or from PyPI.
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// How requests are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How requests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, a line for each.
    Text,
    /// For programs, an object a line, which `decide` and `diff` read as an access log.
    Json,
}

impl Run {
    /// Runs until somebody ends it.
    pub fn run(self) -> ExitCode {
        let stop = Arc::new(AtomicBool::new(false));
        match self.serve(&stop) {
            Ok(()) => ExitCode::SUCCESS,
            // What broke off because of a signal is no failure.
            Err(_) if stop.load(Ordering::Relaxed) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("modelgate: {error:#}");
                ExitCode::from(NOT_STARTED)
            }
        }
    }

    fn serve(&self, stop: &Arc<AtomicBool>) -> Result<()> {
        ensure!(
            !(self.watch && self.file.as_os_str() == INPUT),
            "standard input cannot be watched: --watch is for files"
        );
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async { end_with_signals(stop) })?;
        let text = Settings::text(&self.file)?;
        let settings = Settings::read(&self.file, &text, self.resource.as_deref())?;
        self.check_names(&settings)?;
        let module = module::module(self.module.as_deref())?;
        let envoy = module::envoy(self.envoy.as_deref())?;
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::AddrInUse => "is taken".to_owned(),
                _ => format!("cannot be had ({error})"),
            };
            anyhow::anyhow!("127.0.0.1:{} {why}: give another --port, or none", self.port)
        })?);

        let servers = runtime.block_on(self.servers())?;
        let clusters = clusters::all(&settings, &servers);
        let start = Start {
            envoy: &envoy,
            module: &module,
            port: self.port,
            upstreams: &self.upstream,
            stop: Arc::clone(stop),
        };
        let seen = self.show(Arc::clone(stop));
        let mut proxy = Proxy::start(&start, &settings.plugin_config(), &clusters, seen)?;
        introduce(&settings, &clusters, &proxy);
        let mut last = text;
        let mut config = settings.plugin_config();
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
            proxy.check_running()?;
            // One that is being written may be gone for a moment.
            let text = match self.watch {
                true => std::fs::read_to_string(&self.file).unwrap_or_else(|_| last.clone()),
                false => continue,
            };
            if text == last {
                continue;
            }
            last = text;
            match self.reload(&last, &servers, &mut proxy, &mut config) {
                Ok(what) => eprintln!("{}: {what}", self.file.display()),
                Err(_) if stop.load(Ordering::Relaxed) => {}
                Err(error) => {
                    proxy.check_running()?;
                    eprintln!("{error:#}\nmodelgate: the gateway keeps what it had");
                }
            }
        }
        proxy.end();
        Ok(())
    }

    /// Hands the gateway what the file says now, and says what came of it.
    fn reload(
        &self,
        text: &str,
        servers: &Servers,
        proxy: &mut Proxy,
        config: &mut serde_json::Value,
    ) -> Result<String> {
        let settings = Settings::read(&self.file, text, self.resource.as_deref())?;
        let next = settings.plugin_config();
        if next == *config {
            return Ok("changed, and its configuration is the same".to_owned());
        }
        let clusters = clusters::all(&settings, servers);
        proxy.update(&next, &clusters)?;
        *config = next;
        let lost: String = clusters
            .iter()
            .filter(|cluster| !cluster.is_reached)
            .map(|cluster| format!("\n  {}", cluster.about))
            .collect();
        Ok(format!("reloaded{lost}"))
    }

    /// Refuses names that stand for nothing.
    fn check_names(&self, settings: &Settings) -> Result<()> {
        let (shadows, variants, issuers) =
            (settings.shadows(), settings.variants(), settings.issuers());
        for name in self.upstream.iter().filter_map(|upstream| upstream.name.as_deref()) {
            let is_shadow =
                shadows.iter().any(|(shadow, cluster)| [*shadow, *cluster].contains(&name));
            let is_issuer = issuers.iter().any(|fetched| fetched.cluster == name);
            if name.contains('/') || is_shadow || is_issuer || variants.contains(&name) {
                continue;
            }
            let mut known: Vec<&str> = variants.clone();
            known.extend(shadows.iter().map(|(shadow, _)| *shadow));
            bail!(
                "--upstream {name}=: nothing in the configuration has this name: a model as prod/iris, a cluster, or \
                 one of these variants and shadows: {}",
                if known.is_empty() { "there are none".to_owned() } else { known.join(", ") }
            );
        }
        for (issuer, file) in &self.jwks {
            ensure!(
                issuers.iter().any(|fetched| fetched.issuer == issuer),
                "--jwks: keys of {issuer} are not fetched by the configuration"
            );
            std::fs::metadata(file).with_context(|| format!("--jwks: {}", file.display()))?;
        }
        Ok(())
    }

    async fn servers(&self) -> Result<Servers> {
        let models = match self.upstream.iter().any(|upstream| upstream.name.is_none()) {
            true => None,
            false => Some((servers::model(false).await?, servers::model(true).await?)),
        };
        let mut jwks = Vec::new();
        for (issuer, file) in &self.jwks {
            jwks.push((issuer.clone(), servers::file(file.clone()).await?));
        }
        Ok(Servers { upstreams: self.upstream.clone(), models, jwks })
    }

    /// Prints each request; who reads no longer ends the gateway.
    fn show(&self, stop: Arc<AtomicBool>) -> impl FnMut(&str) + Send + use<> {
        let (format, is_colored) = (self.format, output::is_colored());
        move |line| {
            let line = match format {
                Format::Json => Some(format!("{line}\n")),
                Format::Text => requests::text(line, is_colored),
            };
            let Some(line) = line else { return };
            let mut out = std::io::stdout().lock();
            if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Says what runs, on standard error: standard output is for requests.
fn introduce(settings: &Settings, clusters: &[Cluster], proxy: &Proxy) {
    eprintln!("modelgate run: {}", settings.configuration.name);
    eprintln!("  gateway  http://{}", proxy.gateway());
    eprintln!("  admin    http://{}", proxy.admin());
    for Cluster { name, about, .. } in clusters {
        match name.as_str() {
            clusters::LIVE => eprintln!("  models   {about}"),
            name => eprintln!("  cluster  {name} -> {about}"),
        }
    }
    eprintln!("Each request is shown below when it ends; Ctrl-C ends the gateway.");
}

/// From now on, the signals that end a program ask for the end.
fn end_with_signals(stop: &Arc<AtomicBool>) -> Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signal, stop) = (signal(kind)?, Arc::clone(stop));
        tokio::spawn(async move {
            signal.recv().await;
            stop.store(true, Ordering::Relaxed);
        });
    }
    Ok(())
}
