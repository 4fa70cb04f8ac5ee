//! What it costs to read what a streamed answer has cost, beside the same answer that nobody reads.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testbed::completions::Completions;
use testbed::gateway::Filter;
use testbed::tokens::{Algorithm, Issuer};
use testbed::wasmplugin::WasmPlugin;
use tokio::runtime::Runtime;

use crate::comparison::Extent;
use crate::figures::{self, Series};
use crate::gateway::Gateway;
use crate::load::Load;
use crate::process::cpu_time;
use crate::shadow::cluster;
use crate::turns;
use crate::workload::{Parts, plugin_config, request, tokens};

/// Events with a token each in an answer.
const EVENTS: u32 = 1_000;

/// An answer may cost so many times what it costs without a filter.
const GOAL: f64 = 1.25;

const PATH: &str = "/seldon/prod/iris/v1/chat/completions";

/// What is before the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Modelgate,
    Usage,
}

const CASES: [(&str, Before); 4] = [
    ("no filter", Before::Nothing),
    ("no filter, again", Before::Nothing),
    ("modelgate, answers not read", Before::Modelgate),
    ("modelgate with usage", Before::Usage),
];

/// What was measured of a case.
#[derive(Debug)]
pub struct Measured {
    name: &'static str,
    /// Milliseconds for each answer.
    cpu: Series,
}

struct Running {
    gateway: Gateway,
    load: Load,
    measured: Measured,
}

/// Measures all cases in turn, before a model that writes an event at a time.
pub fn run(runtime: &Runtime, extent: &Extent) -> Result<Vec<Measured>> {
    let issuer = Issuer::shared()?;
    let model = runtime.block_on(Completions::start())?;
    let clusters = [cluster("live", model.address())];
    let body = json!({
        "model": "iris", "max_tokens": EVENTS, "prompt_tokens": 20,
        "stream": true, "stream_options": {"include_usage": true},
    });
    let mut running = Vec::new();
    for (name, before) in CASES {
        eprintln!("starting {name}");
        let action = json!({"route": {"cluster": "live"}});
        let filters = filters(issuer, before)?;
        let gateway = runtime.block_on(Gateway::start_before(&filters, &action, &clusters))?;
        let tokens = tokens(issuer, Algorithm::Rs256, extent.connections)?;
        let body = body.to_string();
        let requests: Vec<_> = tokens.iter().map(|token| request(PATH, token, &body)).collect();
        let mut load = Load::open(gateway.address, &requests)?;
        load.run(Duration::ZERO)?;
        let measured = Measured { name, cpu: Series::default() };
        running.push(Running { gateway, load, measured });
    }
    turns::take(extent.rounds, &mut running, |running| running.measure(extent.turn))?;
    Ok(running.into_iter().map(|running| running.measured).collect())
}

impl Running {
    fn measure(&mut self, turn: Duration) -> Result<()> {
        let process = self.gateway.envoy.process_id();
        let before = cpu_time(process)?;
        let sent = self.load.run(turn)?;
        let used = cpu_time(process)? - before;
        self.measured.cpu.push(used.as_secs_f64() * 1e3 / sent.requests as f64);
        Ok(())
    }
}

/// A token, ten policies, and usage where answers are read.
fn filters(issuer: &Issuer, before: Before) -> Result<Vec<Filter>> {
    if before == Before::Nothing {
        return Ok(Vec::new());
    }
    let parts = Parts { tokens: true, cache: true, policies: 10, rewrite: false };
    let mut config = plugin_config(issuer, parts);
    if let (Before::Usage, Some(config)) = (before, config.as_object_mut()) {
        config.insert("usage".to_owned(), json!({"models": ["prod/iris"]}));
    }
    Ok(vec![Filter::Extension(WasmPlugin::with_config(config)?.under_test()?)])
}

/// Whether answers cost no more than they may.
pub fn met(measured: &[Measured]) -> bool {
    let Some(none) = measured.first() else { return false };
    let read = measured.iter().skip(2);
    read.map(|m| m.cpu.over(&none.cpu)).all(|ratio| ratio.median() <= GOAL)
}

/// For programs.
pub fn json(measured: &[Measured]) -> Value {
    let case = |m: &Measured| {
        let (least, most) = m.cpu.range();
        json!({
            "before": m.name,
            "cpu_milliseconds": {"median": m.cpu.median(), "least": least, "most": most},
        })
    };
    measured.iter().map(case).collect()
}

/// A line for each case.
pub fn table(measured: &[Measured]) -> String {
    let heading =
        ["a streamed answer of 1,000 events", "CPU ms/answer", "rounds", "times no filter"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for Measured { name, cpu } in measured {
        let (least, most) = cpu.range();
        let times = measured.first().map(|none| cpu.over(&none.cpu).median());
        lines.push(vec![
            (*name).to_owned(),
            format!("{:.2}", cpu.median()),
            format!("{least:.2} - {most:.2}"),
            times.map(|times| format!("{times:.2}")).unwrap_or_default(),
        ]);
    }
    figures::table(&lines)
}
