//! What shadowing every request does to the latency of the live path: gateways side by side with and
//! without a shadow, under a load that comes whether or not answers do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use testbed::gateway::Filter;
use testbed::tokens::{Algorithm, Issuer};
use testbed::wasmplugin::WasmPlugin;
use tokio::runtime::Runtime;

use crate::comparison::Extent;
use crate::cores::Cores;
use crate::figures::{self, Series, quantile};
use crate::gateway::{Gateway, shadow_outcomes};
use crate::load;
use crate::process::cpu_time;
use crate::shadow_backends::{Backend, Backends, Live};
use crate::workload::{FRIENDLY, Parts, plugin_config, request, tokens};

const WARM_UP: Duration = Duration::from_millis(1500);

/// At the start of each turn, at the rate that is measured.
const SETTLE: Duration = Duration::from_millis(300);

/// Turns of the closed loop that find out how much the gateway can do.
const CAPACITY_TURNS: usize = 5;

/// How long after the last request every copy has its outcome, and is counted.
const OUTCOMES: Duration = Duration::from_secs(20);

/// The p99 with a shadow is to be at most so many times that without.
const GOAL: f64 = 1.05;

/// What the friendly address becomes before a model that speaks the Open Inference Protocol.
const INFER: &str = "/seldon/{namespace}/{model}/v2/models/{model}/infer";

const CLUSTER: &str = "shadow";

/// What the gateways have to do.
#[derive(Debug, Clone, Copy, Args)]
pub struct Load {
    /// The live model
    #[arg(long, value_enum, default_value_t = Live::Steady)]
    live: Live,
    /// Which part of what the live path can do without a shadow it is asked to do
    #[arg(long, default_value_t = 0.5)]
    share: f64,
}

impl Default for Load {
    /// The load at which the goal holds.
    fn default() -> Self {
        Self { live: Live::Steady, share: 0.5 }
    }
}

/// A gateway that is measured.
#[derive(Debug)]
struct Case {
    name: &'static str,
    copies: Copies,
}

#[derive(Debug, Clone, Copy)]
enum Copies {
    None,
    /// By modelgate. Without its breaker it goes on for ever with a shadow that fails.
    Shadow {
        to: Backend,
        breaker: bool,
    },
    /// By Envoy's `request_mirror_policies`.
    Mirror(Backend),
}

const fn case(name: &'static str, copies: Copies) -> Case {
    Case { name, copies }
}

const fn shadow(to: Backend) -> Copies {
    Copies::Shadow { to, breaker: true }
}

const fn without_breaker(to: Backend) -> Copies {
    Copies::Shadow { to, breaker: false }
}

/// In the order of the table. The first is what the others are held against; the second is the same
/// again, and shows what the machine does to the ratios.
const CASES: [Case; 12] = [
    case("none", Copies::None),
    case("none-again", Copies::None),
    case("fast", shadow(Backend::Fast)),
    case("slow", shadow(Backend::Slow)),
    case("refusing", shadow(Backend::Refusing)),
    case("black-hole", shadow(Backend::BlackHole)),
    case("refusing-no-breaker", without_breaker(Backend::Refusing)),
    case("black-hole-no-breaker", without_breaker(Backend::BlackHole)),
    case("mirror-fast", Copies::Mirror(Backend::Fast)),
    case("mirror-slow", Copies::Mirror(Backend::Slow)),
    case("mirror-refusing", Copies::Mirror(Backend::Refusing)),
    case("mirror-black-hole", Copies::Mirror(Backend::BlackHole)),
];

/// What was measured of one case.
#[derive(Debug)]
pub struct Measured {
    case: &'static Case,
    /// Milliseconds.
    p50: Series,
    p99: Series,
    /// CPU time of the gateway's process, in microseconds for each live request.
    cpu: Series,
    /// Outcomes of the copies, for those that modelgate made.
    outcomes: Vec<(String, u64)>,
}

struct Running {
    gateway: Gateway,
    load: load::Load,
    sent: u64,
    measured: Measured,
}

/// The rate of the load, and what it did to each case.
#[derive(Debug)]
pub struct Run {
    capacity: f64,
    rate: f64,
    measured: Vec<Measured>,
}

/// Starts a gateway for each case and measures them.
pub fn run(runtime: &Runtime, extent: &Extent, Load { live, share }: Load) -> Result<Run> {
    let issuer = Issuer::shared()?;
    eprintln!("starting the models");
    let cores = Cores::split()?;
    let backends = runtime.block_on(Backends::start(live))?;
    let mut running = Vec::new();
    for case in chosen(&extent.only)? {
        eprintln!("starting {}", case.name);
        running.push(Running::start(runtime, case, issuer, extent, &backends, &cores)?);
    }
    let capacity = running.first_mut().context("nothing to measure")?.capacity(extent.turn)?;
    let rate = capacity * share;
    eprintln!("{capacity:.0} requests/s without a shadow: {rate:.0} are sent");
    for round in 0..extent.rounds {
        eprintln!("round {} of {}", round + 1, extent.rounds);
        for turn in 0..running.len() {
            let index = (round + turn) % running.len();
            if let Some(running) = running.get_mut(index) {
                running.measure(rate, extent.turn, round as u64)?;
            }
        }
    }
    let measured = running.into_iter().map(|running| running.finish(runtime));
    Ok(Run { capacity, rate, measured: measured.collect::<Result<_>>()? })
}

/// The first case always takes part.
fn chosen(only: &[String]) -> Result<Vec<&'static Case>> {
    for name in only {
        let known = CASES.map(|case| case.name);
        ensure!(known.contains(&&**name), "no case {name}; there are {}", known.join(", "));
    }
    let wanted = |(number, case): &(usize, &Case)| {
        *number == 0 || only.is_empty() || only.iter().any(|name| name == case.name)
    };
    Ok(CASES.iter().enumerate().filter(wanted).map(|(_, case)| case).collect())
}

impl Case {
    fn to(&self) -> Option<Backend> {
        match self.copies {
            Copies::None => None,
            Copies::Shadow { to, .. } | Copies::Mirror(to) => Some(to),
        }
    }

    /// A token seen before, 10 policies, a rewrite, and perhaps a shadow.
    fn plugin_config(&self, issuer: &Issuer, live: Live) -> Value {
        let parts = Parts { tokens: true, cache: true, policies: 10, rewrite: true };
        let mut config = plugin_config(issuer, parts);
        if let (Live::Mlserver, Some(path)) = (live, config.pointer_mut("/rewrites/0/path")) {
            *path = INFER.into();
        }
        if let (Copies::Shadow { breaker, .. }, Some(config)) =
            (self.copies, config.as_object_mut())
        {
            let mut shadow = json!({"name": "iris-v2", "models": ["prod/iris"], "cluster": CLUSTER,
                    "compare": {"ignore": ["/id"]}});
            if let Some(shadow) = shadow.as_object_mut() {
                // Else no answer of the slow one would ever count as one.
                if self.to() == Some(Backend::Slow) {
                    shadow.insert("timeout".into(), "8s".into());
                }
                if !breaker {
                    shadow.insert("breaker".into(), json!({"failures": 1_000_000_000}));
                }
            }
            config.insert("shadows".into(), json!([shadow]));
        }
        config
    }

    /// As Istio writes the operator's route to a cluster.
    fn action(&self) -> Value {
        let mut route = json!({"cluster": "live", "timeout": "0s", "prefix_rewrite": "/"});
        if let (Copies::Mirror(_), Some(route)) = (self.copies, route.as_object_mut()) {
            route.insert("request_mirror_policies".into(), json!([{"cluster": CLUSTER}]));
        }
        json!({"route": route})
    }

    /// Outcomes without which the case is not what its name says.
    fn expected(&self) -> &'static [&'static str] {
        match self.copies {
            Copies::Shadow { to: Backend::Fast, .. } => &["matched"],
            Copies::Shadow { to: Backend::Slow, .. } => &["matched", "over_budget"],
            Copies::Shadow { to: Backend::Refusing, breaker: true } => {
                &["shadow_failed", "breaker_open"]
            }
            Copies::Shadow { to: Backend::Refusing, breaker: false } => &["shadow_failed"],
            Copies::Shadow { to: Backend::BlackHole, breaker: true } => {
                &["timeout", "breaker_open"]
            }
            Copies::Shadow { to: Backend::BlackHole, breaker: false } => {
                &["timeout", "over_budget"]
            }
            Copies::None | Copies::Mirror(_) => &[],
        }
    }
}

/// A cluster of one endpoint.
pub fn cluster(name: &str, address: SocketAddr) -> Value {
    let socket = json!({"socket_address": {"address": address.ip(), "port_value": address.port()}});
    json!({
        "name": name,
        "type": "STATIC",
        // Istio's default.
        "connect_timeout": "10s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket}}]}],
        },
    })
}

impl Running {
    fn start(
        runtime: &Runtime,
        case: &'static Case,
        issuer: &Issuer,
        extent: &Extent,
        backends: &Backends,
        cores: &Cores,
    ) -> Result<Self> {
        let plugin =
            WasmPlugin::with_config(case.plugin_config(issuer, backends.live))?.under_test()?;
        let mut clusters = vec![cluster("live", backends.live_address()?)];
        if let Some(to) = case.to() {
            clusters.push(cluster(CLUSTER, backends.address(to)?));
        }
        let filters = [Filter::Extension(plugin)];
        let action = case.action();
        let gateway = cores
            .apart(|| runtime.block_on(Gateway::start_before(&filters, &action, &clusters)))?;
        let tokens = tokens(issuer, Algorithm::Rs256, extent.connections)?;
        let requests: Vec<_> =
            tokens.iter().map(|token| request(FRIENDLY, token, backends.question())).collect();
        let mut load = load::Load::open(gateway.address, &requests)?;
        let sent = load.run(WARM_UP)?.requests;
        let [p50, p99, cpu] = [(); 3].map(|()| Series::default());
        let measured = Measured { case, p50, p99, cpu, outcomes: Vec::new() };
        Ok(Self { gateway, load, sent, measured })
    }

    /// Requests a second that it can do.
    fn capacity(&mut self, turn: Duration) -> Result<f64> {
        let mut turns = Series::default();
        for _ in 0..CAPACITY_TURNS {
            let sent = self.load.run(turn)?;
            self.sent += sent.requests;
            turns.push(sent.requests as f64 / sent.elapsed.as_secs_f64());
        }
        Ok(turns.median())
    }

    /// In the same round each case has the same timetable.
    fn measure(&mut self, rate: f64, turn: Duration, round: u64) -> Result<()> {
        let process = self.gateway.envoy.process_id();
        self.sent += self.load.at_rate(rate, SETTLE, round)?.len() as u64;
        let before = cpu_time(process)?;
        let mut latencies = self.load.at_rate(rate, turn, round)?;
        let used = cpu_time(process)? - before;
        self.sent += latencies.len() as u64;
        self.measured.cpu.push(used.as_secs_f64() * 1e6 / latencies.len() as f64);
        self.measured.p50.push(quantile(&mut latencies, 0.5) * 1e3);
        self.measured.p99.push(quantile(&mut latencies, 0.99) * 1e3);
        Ok(())
    }

    /// Every request that was sent was selected, and has one outcome.
    fn finish(mut self, runtime: &Runtime) -> Result<Measured> {
        let case = self.measured.case;
        if !matches!(case.copies, Copies::Shadow { .. }) {
            return Ok(self.measured);
        }
        let deadline = Instant::now() + OUTCOMES;
        let outcomes = loop {
            let stats = runtime.block_on(self.gateway.envoy.stats())?;
            let outcomes = shadow_outcomes(&stats);
            let selected = stats.sum("modelgate_shadow_selected_total", &[]) as u64;
            let sum: u64 = outcomes.iter().map(|(_, count)| count).sum();
            if selected == self.sent && sum == selected {
                break outcomes;
            }
            ensure!(
                Instant::now() < deadline,
                "{}: {} requests, {selected} selected, {sum} outcomes: {outcomes:?}",
                case.name,
                self.sent,
            );
            std::thread::sleep(Duration::from_millis(200));
        };
        for expected in case.expected() {
            ensure!(
                outcomes.iter().any(|(outcome, _)| outcome == expected),
                "{}: no {expected} among {outcomes:?}: that is not what is to be measured",
                case.name,
            );
        }
        self.measured.outcomes = outcomes;
        Ok(self.measured)
    }
}

impl Run {
    fn named(&self, name: &str) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.case.name == name)
    }

    /// Round by round, how many times the p99 without a shadow this is.
    fn ratio(&self, measured: &Measured) -> Series {
        let none = self.measured.first().map(|none| &none.p99);
        none.map(|none| measured.p99.over(none)).unwrap_or_default()
    }

    fn shadows(&self) -> impl Iterator<Item = &Measured> {
        self.measured.iter().filter(|m| matches!(m.case.copies, Copies::Shadow { .. }))
    }

    /// Whether each shadow keeps the goal. It holds with the breaker.
    pub fn met(&self) -> bool {
        self.judged().all(|measured| self.ratio(measured).median() <= GOAL)
    }

    fn judged(&self) -> impl Iterator<Item = &Measured> {
        let breaker = |case: &Case| matches!(case.copies, Copies::Shadow { breaker: true, .. });
        self.measured.iter().filter(move |measured| breaker(measured.case))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let cases = self.measured.iter().map(|measured| {
            let ratio = self.ratio(measured);
            let (least, most) = ratio.range();
            let outcomes = measured.outcomes.iter().map(|(name, n)| (name.clone(), (*n).into()));
            json!({
                "case": measured.case.name,
                "p50_milliseconds": measured.p50.median(),
                "p99_milliseconds": measured.p99.median(),
                "p99_times_none": {"median": ratio.median(), "least": least, "most": most},
                "cpu_microseconds": measured.cpu.median(),
                "outcomes": outcomes.collect::<serde_json::Map<_, _>>(),
            })
        });
        json!({
            "capacity": self.capacity,
            "rate": self.rate,
            "cases": cases.collect::<Vec<_>>(),
            "met": self.met(),
        })
    }

    /// A line for each case, the outcomes, and whether the goals are met.
    pub fn text(&self) -> String {
        let heading = ["shadow", "p50 ms", "p99 ms", "p99, times none", "rounds", "CPU us/request"];
        let mut lines = vec![heading.map(str::to_owned).to_vec()];
        for measured in &self.measured {
            let ratio = self.ratio(measured);
            let (least, most) = ratio.range();
            lines.push(vec![
                measured.case.name.to_owned(),
                format!("{:.2}", measured.p50.median()),
                format!("{:.2}", measured.p99.median()),
                format!("{:.2}", ratio.median()),
                format!("{least:.2} - {most:.2}"),
                format!("{:.1}", measured.cpu.median()),
            ]);
        }
        let mut text = format!(
            "{:.0} requests/s of {:.0} that it can do without a shadow\n\n{}\n",
            self.rate,
            self.capacity,
            figures::table(&lines)
        );
        for measured in self.shadows() {
            let outcomes = measured.outcomes.iter().map(|(name, count)| format!("{count} {name}"));
            let outcomes = outcomes.collect::<Vec<_>>().join(", ");
            text += &format!("{}: {outcomes}, as many as were selected\n", measured.case.name);
        }
        text += "\n";
        for measured in self.judged() {
            let ratio = self.ratio(measured).median();
            let met = if ratio <= GOAL { "met    " } else { "NOT MET" };
            let name = measured.case.name;
            text += &format!("{met} p99 with {name} = {ratio:.2} x none (goal <= {GOAL:.2})");
            if let Some(mirror) = self.named(&format!("mirror-{name}")) {
                let ratio = measured.p99.over(&mirror.p99).median();
                text += &format!("; {ratio:.2} x Envoy's mirror");
            }
            text += "\n";
        }
        text
    }
}
