//! Measures variants side by side: rounds in which each has its turn, so that what the machine does
//! besides meets all of them alike.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::tokens::Issuer;
use testbed::wasmplugin::module;
use tokio::runtime::Runtime;

use crate::figures::{self, Series};
use crate::gateway::Gateway;
use crate::load::Load;
use crate::process::cpu_time;
use crate::turns;
use crate::variant::{Modules, VARIANTS, Variant};
use crate::workload::{request, tokens};

/// Before the first round: V8 compiles what runs often anew, and caches fill.
const WARM_UP: Duration = Duration::from_millis(1500);

/// At the start of each turn: the caches of the processor fill.
const SETTLE: Duration = Duration::from_millis(150);

/// Of the requests that should find their token known, so many per cent have to.
const KNOWN_PERCENT: u64 = 99;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Extent {
    /// Turns of each variant.
    pub rounds: usize,
    /// Length of a turn.
    pub turn: Duration,
    /// Connections, each with a token of its own.
    pub connections: usize,
    /// Names of variants; empty: the usual ones.
    pub only: Vec<String>,
    /// A module built from another commit: each variant of modelgate runs with it as well.
    pub before: Option<PathBuf>,
}

/// What was measured of one variant.
#[derive(Debug)]
pub struct Measured {
    /// Name of the variant.
    pub name: String,
    /// CPU time of the gateway's process, in microseconds for each request.
    pub cpu: Series,
    /// Requests in a second.
    pub throughput: Series,
}

struct Running {
    variant: &'static Variant,
    gateway: Gateway,
    load: Load,
    sent: u64,
    measured: Measured,
}

/// Starts a gateway for each variant and measures them.
pub fn run(runtime: &Runtime, extent: &Extent) -> Result<Vec<Measured>> {
    let chosen = chosen(&extent.only)?;
    let issuer = Issuer::shared()?;
    let floor = tempfile::Builder::new().suffix(".wasm").tempfile()?;
    std::fs::write(floor.path(), wat::parse_str(include_str!("floor.wat"))?)?;
    let modelgate = module()?;
    let modules = Modules { floor: floor.path(), modelgate: &modelgate };
    let mut running = Vec::new();
    for variant in chosen {
        let mut start = |name: String, modules| -> Result<()> {
            eprintln!("starting {name}");
            running.push(Running::start(runtime, name, variant, issuer, extent, modules)?);
            Ok(())
        };
        start(variant.name.to_owned(), modules)?;
        if let Some(before) = extent.before.as_deref().filter(|_| variant.is_modelgate()) {
            start(before_of(variant.name), Modules { modelgate: before, ..modules })?;
        }
    }
    turns::take(extent.rounds, &mut running, |running| running.measure(extent.turn))?;
    running.into_iter().map(|running| running.finish(runtime)).collect()
}

/// The name of a variant with the module of another commit.
pub fn before_of(variant: &str) -> String {
    format!("{variant}-before")
}

/// The variants of these names; of none, the usual ones.
pub fn chosen(only: &[String]) -> Result<Vec<&'static Variant>> {
    if only.is_empty() {
        return Ok(VARIANTS.iter().filter(|variant| variant.usual).collect());
    }
    let by_name = |name: &String| {
        let known = || VARIANTS.iter().map(|variant| variant.name).collect::<Vec<_>>().join(", ");
        VARIANTS
            .iter()
            .find(|variant| variant.name == name)
            .with_context(|| format!("no variant {name}; there are {}", known()))
    };
    only.iter().map(by_name).collect()
}

impl Running {
    fn start(
        runtime: &Runtime,
        name: String,
        variant: &'static Variant,
        issuer: &Issuer,
        extent: &Extent,
        modules: Modules<'_>,
    ) -> Result<Self> {
        let tokens = tokens(issuer, variant.algorithm, extent.connections)?;
        let first = tokens.first().context("at least one connection is needed")?;
        let gateway = runtime.block_on(Gateway::start_checked(variant, issuer, first, modules))?;
        let requests: Vec<_> =
            tokens.iter().map(|token| request(variant.path(), token, "")).collect();
        let mut load = Load::open(gateway.address, &requests)?;
        let sent = load.run(WARM_UP)?.requests;
        let measured = Measured { name, cpu: Series::default(), throughput: Series::default() };
        Ok(Self { variant, gateway, load, sent, measured })
    }

    fn measure(&mut self, turn: Duration) -> Result<()> {
        let process = self.gateway.envoy.process_id();
        self.sent += self.load.run(SETTLE)?.requests;
        let before = cpu_time(process)?;
        let sent = self.load.run(turn)?;
        let used = cpu_time(process)? - before;
        self.sent += sent.requests;
        let requests = sent.requests as f64;
        self.measured.cpu.push(used.as_secs_f64() * 1e6 / requests);
        self.measured.throughput.push(requests / sent.elapsed.as_secs_f64());
        Ok(())
    }

    fn finish(self, runtime: &Runtime) -> Result<Measured> {
        if let Some((evidence, expected)) = self.variant.evidence() {
            // The module hands its counters over once a second.
            std::thread::sleep(Duration::from_millis(1200));
            let known = runtime.block_on(self.gateway.known_tokens(evidence))?;
            let enough = known * 100 >= self.sent * KNOWN_PERCENT;
            ensure!(
                if expected { enough } else { known == 0 },
                "{}: {known} of {} tokens were known: that is not what is to be measured",
                self.variant.name,
                self.sent,
            );
        }
        Ok(self.measured)
    }
}

impl Measured {
    /// For programs.
    pub fn json(&self) -> Value {
        let (least, most) = self.cpu.range();
        json!({
            "variant": self.name,
            "cpu_microseconds": {"median": self.cpu.median(), "least": least, "most": most},
            "requests_per_second": self.throughput.median(),
        })
    }
}

/// A line for each variant.
pub fn table(measured: &[Measured]) -> String {
    let none = measured.iter().find(|m| m.name == "none").map(|m| &m.cpu);
    let heading = ["variant", "CPU us/request", "rounds", "over none", "times none", "requests/s"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for Measured { name, cpu, throughput } in measured {
        let (least, most) = cpu.range();
        let over = none.map(|none| format!("{:+.1}", cpu.median() - none.median()));
        let times = none.map(|none| format!("{:.2}", cpu.over(none).median()));
        lines.push(vec![
            name.clone(),
            format!("{:.1}", cpu.median()),
            format!("{least:.1} - {most:.1}"),
            over.unwrap_or_default(),
            times.unwrap_or_default(),
            format!("{:.0}", throughput.median()),
        ]);
    }
    figures::table(&lines)
}
