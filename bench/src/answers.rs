//! What answers of one model that take long to compare do to the latency of the others: gateways side by side
//! that copy the requests of that model or do not, while others call another one.
//!
//! Long comparisons are rare, so quantiles are those of all rounds together.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use serde_json::{Value, json};
use testbed::gateway::Filter;
use testbed::tokens::{Algorithm, Issuer};
use testbed::wasmplugin::WasmPlugin;
use tokio::runtime::Runtime;

use crate::comparison::Extent;
use crate::cores::Cores;
use crate::figures::{self, quantile};
use crate::gateway::{Gateway, shadow_outcomes};
use crate::load;
use crate::process::cpu_time;
use crate::shadow::cluster;
use crate::shadow_backends::{model, models};
use crate::workload::{PREDICTIONS, Parts, plugin_config, request, tokens};

/// Before the first round, for each gateway.
const WARM_UP: Duration = Duration::from_millis(1500);

/// Quantiles with copies are to be at most so many times those without.
const GOAL: f64 = 1.2;

/// The model whose answers take long.
const LONG: &str = "model-00001";

const QUESTION: &str = r#"{"data":{"ndarray":[[6.0,2.7,4.2,1.3]]}}"#;

const OTHERS_ANSWER: &str = r#"{"data":{"names":["t:0"],"ndarray":[[0.0145,0.9212,0.0643]]}}"#;

/// What the gateways have to do.
#[derive(Debug, Clone, Copy, Args)]
pub struct Load {
    /// Requests a second of the other model
    #[arg(long, default_value_t = 400.0)]
    rate: f64,
    /// Requests a second of the model whose answers take long
    #[arg(long, default_value_t = 10.0)]
    long_rate: f64,
}

impl Default for Load {
    fn default() -> Self {
        Self { rate: 400.0, long_rate: 10.0 }
    }
}

/// Answers that take long: lists of numbers of one digit have the most values of a length.
#[derive(Debug, Clone, Copy)]
struct Answers {
    name: &'static str,
    numbers: usize,
}

const ANSWERS: [Answers; 3] = [
    Answers { name: "56KiB", numbers: 28_000 },
    Answers { name: "120KiB", numbers: 60_000 },
    Answers { name: "500KiB", numbers: 250_000 },
];

impl Answers {
    /// The shadow's differs from the live one in its last number: both are read to their end.
    fn text(self, last: u8) -> String {
        format!(r#"{{"data":{{"ndarray":[[{}{last}]]}}}}"#, "1,".repeat(self.numbers))
    }
}

/// What was measured of one gateway.
#[derive(Debug, Default)]
struct Measured {
    /// Seconds of each request of the other model.
    latencies: Vec<f64>,
    /// CPU time of the gateway's process, and how long it was measured, in seconds.
    cpu: f64,
    elapsed: f64,
    outcomes: Vec<(String, u64)>,
}

impl Measured {
    fn quantile(&self, share: f64) -> f64 {
        quantile(&mut self.latencies.clone(), share) * 1e3
    }

    fn mean(&self) -> f64 {
        self.latencies.iter().sum::<f64>() / self.latencies.len() as f64 * 1e3
    }

    /// Of one core.
    fn cpu_share(&self) -> f64 {
        self.cpu / self.elapsed
    }

    /// p50, p99 and mean, in milliseconds.
    fn figures(&self) -> [f64; 3] {
        [self.quantile(0.5), self.quantile(0.99), self.mean()]
    }
}

struct Running {
    gateway: Gateway,
    others: load::Load,
    long: load::Load,
    measured: Measured,
}

/// Without copies, the same once more, and with them.
#[derive(Debug)]
struct Case {
    answers: Answers,
    measured: [Measured; 3],
}

/// What was measured.
#[derive(Debug)]
pub struct Run {
    load: Load,
    cases: Vec<Case>,
}

/// Starts three gateways for each length of answers, and measures them in turn.
pub fn run(runtime: &Runtime, extent: &Extent, load: Load) -> Result<Run> {
    let issuer = Issuer::shared()?;
    let cores = Cores::split()?;
    let mut cases = Vec::new();
    for answers in chosen(&extent.only)? {
        eprintln!("answers of {}", answers.name);
        let (live, shadow) = (answers.text(1), answers.text(2));
        let listeners = [("others", OTHERS_ANSWER), ("live", &live), ("shadow", &shadow)];
        let listeners = listeners.map(|(name, answer)| model(name, None, answer));
        let backends = runtime.block_on(models(&listeners))?;
        let at = |name| backends.listener(name);
        let to = [at("others")?, at("live")?, at("shadow")?];
        let start = |copies| Running::start(runtime, issuer, extent, to, copies, &cores);
        let mut running = [start(false)?, start(false)?, start(true)?];
        for running in &mut running {
            running.warm_up(load)?;
        }
        for round in 0..extent.rounds {
            eprintln!("round {} of {}", round + 1, extent.rounds);
            for turn in 0..running.len() {
                let index = (round + turn) % running.len();
                if let Some(running) = running.get_mut(index) {
                    running.measure(load, extent.turn, round as u64)?;
                }
            }
        }
        let [none, again, copies] = running.map(|running| running.finish(runtime));
        let measured = [none?, again?, copies?];
        let compared = measured[2].outcomes.iter().any(|(outcome, _)| outcome == "mismatched");
        ensure!(compared, "nothing was compared: {:?}", measured[2].outcomes);
        cases.push(Case { answers, measured });
    }
    Ok(Run { load, cases })
}

fn chosen(only: &[String]) -> Result<Vec<Answers>> {
    for name in only {
        let known = ANSWERS.map(|answers| answers.name);
        ensure!(known.contains(&&**name), "no answers of {name}; there are {}", known.join(", "));
    }
    let is_wanted =
        |answers: &Answers| only.is_empty() || only.iter().any(|name| name == answers.name);
    Ok(ANSWERS.into_iter().filter(is_wanted).collect())
}

impl Running {
    fn start(
        runtime: &Runtime,
        issuer: &Issuer,
        extent: &Extent,
        [others, live, shadow]: [SocketAddr; 3],
        copies: bool,
        cores: &Cores,
    ) -> Result<Self> {
        let parts = Parts { tokens: true, cache: true, policies: 10, rewrite: false };
        let mut config = plugin_config(issuer, parts);
        if let (Some(config), true) = (config.as_object_mut(), copies) {
            let shadow =
                json!({"name": "long", "models": [format!("prod/{LONG}")], "cluster": "shadow"});
            config.insert("shadows".into(), json!([shadow]));
        }
        let plugin = Filter::Extension(WasmPlugin::with_config(config)?.under_test()?);
        let clusters = [("others", others), ("live", live), ("shadow", shadow)]
            .map(|(name, address)| cluster(name, address));
        let action = |to: &str| json!({"route": {"cluster": to, "timeout": "0s"}});
        let gateway = cores.apart(|| {
            let routes = [(LONG, action("live"))];
            runtime.block_on(Gateway::start_with_routes(
                &[plugin],
                &routes,
                &action("others"),
                &clusters,
            ))
        })?;
        let tokens = tokens(issuer, Algorithm::Rs256, extent.connections)?;
        let requests = |model: &str, count: usize| -> Vec<Vec<u8>> {
            let path = PREDICTIONS.replace("iris", model);
            tokens.iter().take(count).map(|token| request(&path, token, QUESTION)).collect()
        };
        let others = load::Load::open(gateway.address, &requests("iris", usize::MAX))?;
        let long = load::Load::open(gateway.address, &requests(LONG, 4))?;
        Ok(Self { gateway, others, long, measured: Measured::default() })
    }

    /// What a gateway at rest may compare in advance is used up.
    fn warm_up(&mut self, load: Load) -> Result<()> {
        self.others.run(WARM_UP)?;
        self.long.at_rate(load.long_rate, WARM_UP, 0)?;
        Ok(())
    }

    /// In the same round each gateway has the same timetables.
    fn measure(&mut self, load: Load, turn: Duration, round: u64) -> Result<()> {
        let Self { gateway, others, long, measured } = self;
        let before = cpu_time(gateway.envoy.process_id())?;
        let latencies = std::thread::scope(|scope| {
            let long = scope.spawn(|| long.at_rate(load.long_rate, turn, round));
            let latencies = others.at_rate(load.rate, turn, round)?;
            long.join().map_err(|_| anyhow!("a thread of the load died"))??;
            anyhow::Ok(latencies)
        })?;
        measured.cpu += (cpu_time(gateway.envoy.process_id())? - before).as_secs_f64();
        measured.elapsed += turn.as_secs_f64();
        measured.latencies.extend(latencies);
        Ok(())
    }

    fn finish(mut self, runtime: &Runtime) -> Result<Measured> {
        // The module hands its counters over once a second.
        std::thread::sleep(Duration::from_millis(1200));
        self.measured.outcomes = shadow_outcomes(&runtime.block_on(self.gateway.envoy.stats())?);
        Ok(self.measured)
    }
}

impl Case {
    /// How many times the first these figures are.
    fn times(&self, measured: &Measured) -> [f64; 3] {
        let ([p50, p99, mean], none) = (measured.figures(), self.measured[0].figures());
        [p50 / none[0], p99 / none[1], mean / none[2]]
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, &Measured)> {
        ["none", "none-again", "copies"].into_iter().zip(&self.measured)
    }
}

impl Run {
    /// Whether p50 and p99 with copies keep the goal.
    pub fn met(&self) -> bool {
        let worst = |case: &Case| {
            let [p50, p99, _] = case.times(&case.measured[2]);
            p50.max(p99)
        };
        self.cases.iter().all(|case| worst(case) <= GOAL)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let case = |case: &Case| {
            let rows = case.rows().map(|(name, measured)| {
                let ([p50, p99, mean], times) = (measured.figures(), case.times(measured));
                json!({
                    "case": name,
                    "milliseconds": {"p50": p50, "p99": p99, "mean": mean},
                    "times_none": {"p50": times[0], "p99": times[1], "mean": times[2]},
                    "requests": measured.latencies.len(),
                    "cpu_milliseconds_per_second": measured.cpu_share() * 1e3,
                    "outcomes": measured.outcomes.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
                })
            });
            json!({"answers": case.answers.name, "cases": rows.collect::<Vec<_>>()})
        };
        json!({"answers": self.cases.iter().map(case).collect::<Vec<_>>(), "met": self.met()})
    }

    /// A line for each gateway.
    pub fn text(&self) -> String {
        let heading = [
            "answers",
            "copies",
            "p50 ms",
            "p99 ms",
            "mean ms",
            "p50, times none",
            "p99",
            "mean",
            "CPU ms/s",
        ];
        let mut lines = vec![heading.map(str::to_owned).to_vec()];
        for case in &self.cases {
            for (name, measured) in case.rows() {
                let mut line = vec![case.answers.name.to_owned(), name.to_owned()];
                let figures = measured.figures().into_iter().chain(case.times(measured));
                line.extend(figures.map(|figure| format!("{figure:.2}")));
                line.push(format!("{:.0}", measured.cpu_share() * 1e3));
                lines.push(line);
            }
        }
        let Load { rate, long_rate } = self.load;
        let mut text = format!(
            "{rate} requests/s of a model, beside {long_rate}/s of one whose answers take long to compare\n\n{}\n",
            figures::table(&lines)
        );
        for case in &self.cases {
            let outcomes = case.measured[2].outcomes.iter();
            let outcomes: Vec<_> =
                outcomes.map(|(name, count)| format!("{count} {name}")).collect();
            text += &format!("{}: {}\n", case.answers.name, outcomes.join(", "));
        }
        let met = if self.met() { "met    " } else { "NOT MET" };
        text + &format!("{met} p50 and p99 with copies at most {GOAL:.1} x none\n")
    }
}
