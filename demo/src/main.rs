//! A guided tour of modelgate: a real Envoy with the shipped resources, models, a shadow, and
//! requests with their answers and reasons. `--help` says how to run it.

mod agreement;
mod args;
mod ask;
mod certificates;
mod flowers;
mod guide;
mod log;
mod models;
mod screen;
mod settings;
mod site;
mod tour;
mod variables;

use std::cell::Cell;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Args, Models};
use crate::guide::Guide;
use crate::screen::Screen;
use crate::site::Site;

/// Not as expected.
const FAILED: u8 = 1;
/// Could not start.
const BROKEN: u8 = 2;
/// Lines of a log that are shown when something is wrong.
const EXCERPT: usize = 20;
/// Ended by a signal, as a shell says it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    let run = || {
        let folder = tempfile::Builder::new().prefix("modelgate-demo-").tempdir()?;
        testbed::envoy::set_log_folder(folder.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let score = Cell::new(None);
        runtime.block_on(async {
            tokio::select! {
                ended = run(&args, folder.path(), &score) => ended,
                ended = interrupted() => ended.map(|()| stopped(score.get())),
            }
        })
    };
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("modelgate-demo: {error:#}");
            ExitCode::from(BROKEN)
        }
    }
}

/// Whoever ends the demo ends what it started: that is dropped with the other branch.
async fn interrupted() -> Result<()> {
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .into_iter()
        .map(signal)
        .collect::<std::io::Result<Vec<_>>>()?;
    std::future::poll_fn(|context| {
        let came = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    Ok(())
}

/// After the tour, a signal is the usual end.
fn stopped(score: Option<ExitCode>) -> ExitCode {
    eprintln!("\nmodelgate-demo: stopped");
    score.unwrap_or(ExitCode::from(INTERRUPTED))
}

async fn run(args: &Args, folder: &Path, score: &Cell<Option<ExitCode>>) -> Result<ExitCode> {
    check_environment(args.models)?;
    let start = Instant::now();
    let mut guide = Guide::new(Screen::new());
    guide.screen.heading("modelgate, a guided tour")?;
    guide.screen.text("Starting models, a gateway, a sidecar and a little mesh ...")?;
    let site = Site::start(args.models).await?;
    introduce(&mut guide, &site, args.models)?;
    if let Err(error) = tour::walk(&mut guide, &site, args.models).await {
        guide.check(false, &format!("the tour broke off: {error:#}"))?;
    }
    let code = conclude(&mut guide, &site, start)?;
    if args.keep {
        score.set(Some(code));
        let file = folder.join("tour.env");
        std::fs::write(&file, site.variables.to_shell())?;
        // Tokens are secrets, even those of an hour.
        std::fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        tour::by_hand(&mut guide, &site, args.models, &file.display().to_string())?;
        std::future::pending::<()>().await;
    }
    Ok(code)
}

fn check_environment(models: Models) -> Result<()> {
    let more = match models {
        Models::Builtin => None,
        Models::Seldon => Some("SELDON_VENV"),
        Models::Mlserver => Some("MLSERVER_VENV"),
    };
    for name in ["MODELGATE_WASM", "ENVOY"].into_iter().chain(more) {
        let path = std::env::var_os(name)
            .with_context(|| format!("{name} is not set: run `cargo xtask demo`, or see --help"))?;
        if !Path::new(&path).exists() {
            bail!("{name} names {}, which does not exist", Path::new(&path).display());
        }
    }
    Ok(())
}

/// What runs, and what is not as in the shipped files.
fn introduce(guide: &mut Guide, site: &Site, models: Models) -> Result<()> {
    let screen = &mut guide.screen;
    let late = match models {
        Models::Builtin => format!(", {} ms late", site::SHADOW_DELAY.as_millis()),
        Models::Seldon | Models::Mlserver => String::new(),
    };
    let row = |name: &str, address: &dyn std::fmt::Display, what: &str| {
        format!("{name:<11}{:<23}{what}", address.to_string())
    };
    screen.gap()?;
    screen.lines([
        row("gateway", &site.gateway.address, "Envoy with modelgate, wasmplugin/gateway.yaml"),
        row("prod/iris", &site.pod, models.describe()),
        row("", &"", "behind a sidecar with wasmplugin/sidecar-prometheus.yaml"),
        row("iris-v2", &site.retrained.http(), &format!("the same, retrained{late}: the shadow")),
        row("prod/echo", &site.echo.address(), "answers with headers that it received"),
        row("issuer", &site.issuer.address(), "serves the keys of https://idp.example.com"),
    ])?;
    screen.gap()?;
    screen.text(
        "The gateway reaches them by the cluster names that the file gives, as Istio and Seldon's \
         operator name them. The resources are used as shipped, as istiod translates them for Envoy.",
    )?;
    if !site.changes.is_empty() {
        screen.text(
            "The file is written for Seldon's protocol; for the Open Inference Protocol this tour \
             changed:",
        )?;
        screen.lines(site.changes.iter().map(ToString::to_string))?;
    }
    Ok(())
}

/// The score.
fn conclude(guide: &mut Guide, site: &Site, start: Instant) -> Result<ExitCode> {
    let (steps, seconds) = (guide.steps(), start.elapsed().as_secs_f64());
    guide.screen.heading("The end")?;
    let wrong = guide.wrong().to_vec();
    if wrong.is_empty() {
        let text = format!("all {steps} steps, in {seconds:.0} s");
        guide.screen.verdict(true, &text)?;
        return Ok(ExitCode::SUCCESS);
    }
    guide.screen.verdict(false, &format!("{} of the tour's statements", wrong.len()))?;
    guide.screen.lines(&wrong)?;
    guide.screen.gap()?;
    guide.screen.text("From the gateway's log:")?;
    let log = site.gateway.envoy.log()?;
    guide.screen.lines(log::serious(&log).take(EXCERPT))?;
    Ok(ExitCode::from(FAILED))
}
