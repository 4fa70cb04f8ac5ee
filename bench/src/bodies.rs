//! What it costs to read the model from a chat request's body, beside the same request with the model in its path.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
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
use crate::shadow_backends::{Backends, Live};
use crate::turns;
use crate::workload::{Parts, plugin_config, request, tokens};

const WARM_UP: Duration = Duration::from_millis(1500);
const SETTLE: Duration = Duration::from_millis(150);

/// Of the whole request body, in bytes.
const LENGTH: usize = 4096;

/// A chat request with the model named in the body may cost so many times one with the model in the path.
const GOAL: f64 = 1.15;

const PATH: &str = "/seldon/prod/iris/v1/chat/completions";

/// Where the model is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Path,
    First,
    Last,
}

const CASES: [(&str, Named); 4] = [
    ("in the path", Named::Path),
    ("in the path, again", Named::Path),
    ("first in the body", Named::First),
    ("last in the body", Named::Last),
];

/// What was measured of a case.
#[derive(Debug)]
pub struct Measured {
    name: &'static str,
    cpu: Series,
}

struct Running {
    gateway: Gateway,
    load: Load,
    measured: Measured,
}

/// Measures all cases in turn, before a model that answers at once.
pub fn run(runtime: &Runtime, extent: &Extent) -> Result<Vec<Measured>> {
    let issuer = Issuer::shared()?;
    let backends = runtime.block_on(Backends::start(Live::Instant))?;
    let clusters = [cluster("live", backends.live_address()?)];
    let mut running = Vec::new();
    for (name, named) in CASES {
        eprintln!("starting {name}");
        let filter = WasmPlugin::with_config(config(issuer, named))?.under_test()?;
        let action = json!({"route": {"cluster": "live"}});
        let filters = [Filter::Extension(filter)];
        let gateway = runtime.block_on(Gateway::start_before(&filters, &action, &clusters))?;
        let tokens = tokens(issuer, Algorithm::Rs256, extent.connections)?;
        let requests: Vec<_> =
            tokens.iter().map(|token| request(PATH, token, &body(named))).collect();
        let mut load = Load::open(gateway.address, &requests)?;
        load.run(WARM_UP)?;
        running.push(Running {
            gateway,
            load,
            measured: Measured { name, cpu: Series::default() },
        });
    }
    turns::take(extent.rounds, &mut running, |running| running.measure(extent.turn))?;
    Ok(running.into_iter().map(|running| running.measured).collect())
}

impl Running {
    fn measure(&mut self, turn: Duration) -> Result<()> {
        let process = self.gateway.envoy.process_id();
        self.load.run(SETTLE)?;
        let before = cpu_time(process)?;
        let sent = self.load.run(turn)?;
        let used = cpu_time(process)? - before;
        self.measured.cpu.push(used.as_secs_f64() * 1e6 / sent.requests as f64);
        Ok(())
    }
}

/// A token, ten policies, and one of them for the model, or for the one that the body names.
fn config(issuer: &Issuer, named: Named) -> Value {
    let parts = Parts { tokens: true, cache: true, policies: 10, rewrite: false };
    let mut config = plugin_config(issuer, parts);
    if named != Named::Path {
        for (pointer, value) in [
            ("/targets", json!({"families": ["seldon-v1"], "bodyModels": ["prod/iris"]})),
            ("/authorization/policies/9/models", json!(["prod/iris/llama"])),
        ] {
            if let Some(place) = config.pointer_mut(pointer) {
                *place = value;
            }
        }
    }
    config
}

/// A chat request of the whole length.
fn body(named: Named) -> String {
    let of = |prompt: &str| {
        let messages = format!(r#""messages":[{{"role":"user","content":"{prompt}"}}]"#);
        match named {
            Named::Last => format!(r#"{{{messages},"stream":false,"model":"llama"}}"#),
            Named::Path | Named::First => {
                format!(r#"{{"model":"llama","stream":false,{messages}}}"#)
            }
        }
    };
    let words = "What do the measurements of this flower say about its kind? ";
    let left = LENGTH.saturating_sub(of("").len());
    of(&words.chars().cycle().take(left).collect::<String>())
}

/// Whether a model in the body costs no more than it may.
pub fn met(measured: &[Measured]) -> bool {
    let Some(path) = measured.first() else { return false };
    let bodies = measured.iter().skip(2);
    bodies.map(|m| m.cpu.over(&path.cpu)).all(|ratio| ratio.median() <= GOAL)
}

/// For programs.
pub fn json(measured: &[Measured]) -> Value {
    let case = |m: &Measured| {
        let (least, most) = m.cpu.range();
        json!({
            "model": m.name,
            "cpu_microseconds": {"median": m.cpu.median(), "least": least, "most": most},
        })
    };
    measured.iter().map(case).collect()
}

/// A line for each case.
pub fn table(measured: &[Measured]) -> String {
    let heading =
        ["a chat request of 4 KiB, its model", "CPU us/request", "rounds", "times in the path"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for Measured { name, cpu } in measured {
        let (least, most) = cpu.range();
        let times = measured.first().map(|path| cpu.over(&path.cpu).median());
        lines.push(vec![
            (*name).to_owned(),
            format!("{:.1}", cpu.median()),
            format!("{least:.1} - {most:.1}"),
            times.map(|times| format!("{times:.2}")).unwrap_or_default(),
        ]);
    }
    figures::table(&lines)
}
