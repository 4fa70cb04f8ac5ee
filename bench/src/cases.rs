//! Requests before a model that differ in one thing, measured in turn. The first is what the others are compared with, and the
//! second the same once more.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testbed::gateway::Filter;
use testbed::tokens::{Algorithm, Issuer};
use tokio::runtime::Runtime;

use crate::comparison::Extent;
use crate::figures::{self, Series};
use crate::gateway::Gateway;
use crate::load::Load;
use crate::process::cpu_time;
use crate::shadow::cluster;
use crate::turns;
use crate::workload::{request, tokens};

const PATH: &str = "/seldon/prod/iris/v1/chat/completions";

const WARM_UP: Duration = Duration::from_millis(1500);
const SETTLE: Duration = Duration::from_millis(150);

/// In what CPU time of a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// us
    Microseconds,
    /// ms
    Milliseconds,
}

impl Unit {
    fn in_a_second(self) -> f64 {
        match self {
            Self::Microseconds => 1e6,
            Self::Milliseconds => 1e3,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
        }
    }
}

/// What is started.
pub struct Case<'a> {
    /// Its name in the table.
    pub name: &'static str,
    /// What is before the router.
    pub filters: &'a [Filter],
    /// Where the model is.
    pub model: SocketAddr,
    /// The body of each request.
    pub body: &'a str,
}

struct Running {
    name: &'static str,
    gateway: Gateway,
    load: Load,
    cpu: Series,
}

/// Cases that run, and what was measured of them.
pub struct Cases {
    about: &'static str,
    first: &'static str,
    goal: f64,
    unit: Unit,
    running: Vec<Running>,
}

impl Cases {
    /// None so far: `about` heads the table, `first` is what the others are compared with, and they may cost `goal` times that.
    pub fn new(about: &'static str, first: &'static str, goal: f64) -> Self {
        Self { about, first, goal, unit: Unit::Microseconds, running: Vec::new() }
    }

    /// Starts another one, and warms it up.
    pub fn start(&mut self, runtime: &Runtime, extent: &Extent, case: &Case<'_>) -> Result<()> {
        eprintln!("starting {}", case.name);
        let action = json!({"route": {"cluster": "live"}});
        let clusters = [cluster("live", case.model)];
        let gateway = Gateway::start_before(case.filters, &action, &clusters);
        let gateway = runtime.block_on(gateway)?;
        let tokens = tokens(Issuer::shared()?, Algorithm::Rs256, extent.connections)?;
        let requests: Vec<_> = tokens.iter().map(|token| request(PATH, token, case.body)).collect();
        let mut load = Load::open(gateway.address, &requests)?;
        load.run(WARM_UP)?;
        self.running.push(Running { name: case.name, gateway, load, cpu: Series::default() });
        Ok(())
    }

    /// Measures all of them in turn.
    pub fn measure(&mut self, extent: &Extent, unit: Unit) -> Result<()> {
        self.unit = unit;
        turns::take(extent.rounds, &mut self.running, |running| {
            let process = running.gateway.envoy.process_id();
            running.load.run(SETTLE)?;
            let before = cpu_time(process)?;
            let sent = running.load.run(extent.turn)?;
            let used = (cpu_time(process)? - before).as_secs_f64();
            running.cpu.push(used * unit.in_a_second() / sent.requests as f64);
            Ok(())
        })
    }

    /// How many times what the first costs each of them does.
    fn times(&self, cpu: &Series) -> Option<f64> {
        self.running.first().map(|first| cpu.over(&first.cpu).median())
    }

    /// Whether none costs more than it may.
    pub fn met(&self) -> bool {
        let judged = self.running.iter().skip(2);
        !self.running.is_empty()
            && judged.filter_map(|one| self.times(&one.cpu)).all(|times| times <= self.goal)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let case = |one: &Running| {
            let (least, most) = one.cpu.range();
            let cpu = json!({"median": one.cpu.median(), "least": least, "most": most});
            json!({"case": one.name, format!("cpu_{}", self.unit.as_str()): cpu})
        };
        self.running.iter().map(case).collect()
    }

    /// A line for each case.
    pub fn table(&self) -> String {
        let cpu = format!("CPU {}/request", self.unit.as_str());
        let heading = [self.about, &cpu, "rounds", &format!("times {}", self.first)];
        let mut lines = vec![heading.map(str::to_owned).to_vec()];
        for one in &self.running {
            let (least, most) = one.cpu.range();
            lines.push(vec![
                one.name.to_owned(),
                format!("{:.2}", one.cpu.median()),
                format!("{least:.2} - {most:.2}"),
                self.times(&one.cpu).map(|times| format!("{times:.2}")).unwrap_or_default(),
            ]);
        }
        figures::table(&lines)
    }
}
