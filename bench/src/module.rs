//! The module itself: its size, and the time and memory that a large configuration takes.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use serde_json::{Value, json};
use testbed::envoy::{Extension, Taken};
use testbed::gateway::Filter;
use testbed::tokens::Issuer;
use testbed::wasmplugin::{WasmPlugin, module};
use tokio::runtime::Runtime;

use crate::figures;
use crate::gateway::Gateway;
use crate::process::{Memory, cpu_time};
use crate::workload::{Parts, plugin_config};

/// Policies of the large configuration.
const POLICIES: usize = 10_000;

/// Replacements of the large configuration by another of the same size.
const UPDATES: usize = 5;

/// After Envoy took a configuration its workers still get theirs.
const SETTLE: Duration = Duration::from_secs(2);

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// One figure.
#[derive(Debug)]
pub struct Figure {
    what: &'static str,
    value: f64,
    unit: &'static str,
}

/// Looks at the module and runs an Envoy with it.
pub fn run(runtime: &Runtime) -> Result<Vec<Figure>> {
    let bytes = std::fs::read(module()?)?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&bytes)?;
    let compressed = gzip.finish()?;
    let kibibytes = |bytes: usize| bytes as f64 / 1024.0;
    let mut figures = vec![
        Figure { what: "module", value: kibibytes(bytes.len()), unit: "KiB" },
        Figure { what: "module, gzip", value: kibibytes(compressed.len()), unit: "KiB" },
    ];
    figures.extend(reading()?);
    figures.extend(runtime.block_on(updating())?);
    Ok(figures)
}

/// As short as policies with a condition can be: an object of the API server holds 1.5 MiB, so 10,000
/// of them have to fit into that.
fn config(policies: usize) -> Result<Value> {
    let parts = Parts { tokens: true, cache: true, policies: 0, rewrite: true };
    let mut config = plugin_config(Issuer::shared()?, parts);
    let condition = json!({"key": "request.auth.claims[groups]", "values": ["ds"]});
    let policies = (0..policies).map(|number| {
        json!({
            "name": format!("p{number}"),
            "models": [format!("prod/m{number}")],
            "rules": [{"when": [condition]}],
        })
    });
    let authorization = json!({"defaultAction": "DENY", "policies": policies.collect::<Vec<_>>()});
    if let Some(config) = config.as_object_mut() {
        config.insert("authorization".into(), authorization);
    }
    Ok(config)
}

/// Natively, the engine alone.
fn reading() -> Result<Vec<Figure>> {
    let text = config(POLICIES)?.to_string();
    let start = Instant::now();
    let mut errors = Errors::default();
    Plan::read(text.as_bytes(), &mut errors).with_context(|| format!("refused:\n{errors}"))?;
    let elapsed = start.elapsed();
    Ok(vec![
        Figure {
            what: "10,000 policies as JSON",
            value: text.len() as f64 / MEBIBYTE,
            unit: "MiB",
        },
        Figure { what: "read natively in", value: elapsed.as_secs_f64() * 1e3, unit: "ms" },
    ])
}

/// In an Envoy with one worker. Its main thread has a copy of the module, too, so what a worker
/// takes is half of what the process does.
async fn updating() -> Result<Vec<Figure>> {
    eprintln!("configuring a gateway with 10,000 policies");
    let small = extension(config(10)?)?;
    let gateway = Gateway::start(&[Filter::Extension(small)]).await?;
    let process = gateway.envoy.process_id();
    tokio::time::sleep(SETTLE).await;
    let before = Memory::of(process)?;
    let cpu_before = cpu_time(process)?;
    let start = Instant::now();
    update(&gateway, POLICIES).await?;
    let taken = start.elapsed();
    tokio::time::sleep(SETTLE).await;
    let cpu = cpu_time(process)? - cpu_before;
    let large = Memory::of(process)?;
    for number in 0..UPDATES {
        update(&gateway, POLICIES - 1 - number).await?;
        tokio::time::sleep(SETTLE).await;
    }
    let after = Memory::of(process)?;
    let memory = |what, bytes: u64| Figure { what, value: bytes as f64 / MEBIBYTE, unit: "MiB" };
    Ok(vec![
        Figure { what: "taken by Envoy in", value: taken.as_secs_f64() * 1e3, unit: "ms" },
        Figure {
            what: "CPU time of that, all threads",
            value: cpu.as_secs_f64() * 1e3,
            unit: "ms",
        },
        memory("Envoy, one worker, 10 policies", before.resident),
        memory("with 10,000", large.resident),
        memory("after 5 more updates of that size", after.resident),
        memory("the most at any time", after.peak),
    ])
}

fn extension(config: Value) -> Result<Extension> {
    WasmPlugin::with_config(config)?.under_test()
}

async fn update(gateway: &Gateway, policies: usize) -> Result<()> {
    let taken = gateway.envoy.update(&extension(config(policies)?)?).await?;
    ensure!(taken == Taken::Yes, "Envoy refused {policies} policies");
    Ok(())
}

/// For programs.
pub fn json(figures: &[Figure]) -> Value {
    figures
        .iter()
        .map(|Figure { what, value, unit }| json!({"what": what, "value": value, "unit": unit}))
        .collect()
}

/// A line for each figure.
pub fn table(all: &[Figure]) -> String {
    let mut lines = vec![["the module", "", ""].map(str::to_owned).to_vec()];
    for Figure { what, value, unit } in all {
        lines.push(vec![(*what).to_owned(), format!("{value:.1}"), (*unit).to_owned()]);
    }
    figures::table(&lines)
}
