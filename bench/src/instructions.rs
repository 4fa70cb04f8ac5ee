//! Instructions of one request in the whole Envoy, V8's code included, counted by callgrind: user mode, one connection,
//! a token seen before. What a count cannot show is what the kernel and other code push out of the processor's caches;
//! misses of the first instruction cache stand for it, as callgrind simulates them.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::envoy::run_under;
use testbed::tokens::Issuer;
use testbed::wasmplugin::module;
use tokio::runtime::Runtime;

use crate::comparison::{self, Extent, before_of};
use crate::figures;
use crate::gateway::Gateway;
use crate::load::Load;
use crate::variant::{Modules, Variant};
use crate::workload::{request, tokens};

/// Requests before anything is counted: V8 compiles what runs often anew.
const WARM_UP: u64 = 3000;

/// Requests that are counted with, and not counted: valgrind translates their code anew.
const TRANSLATED: u64 = 100;

/// Requests that are counted.
const COUNTED: u64 = 300;

/// What one request takes.
#[derive(Debug)]
pub struct Counted {
    name: String,
    instructions: f64,
    misses: f64,
}

/// Counts the chosen variants, one after the other; none, with a word about the remedy, without valgrind.
pub fn run(runtime: &Runtime, extent: &Extent) -> Result<Vec<Counted>> {
    let valgrind = Command::new("valgrind").arg("--version").output();
    if valgrind.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        eprintln!("NOTHING IS COUNTED: valgrind is missing (apt install valgrind)");
        return Ok(Vec::new());
    }
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind.%p");
    let words = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--cache-sim=yes"];
    let out = format!("--callgrind-out-file={}", out.display());
    run_under(words.map(str::to_owned).into_iter().chain([out]).collect());

    let issuer = Issuer::shared()?;
    let floor = tempfile::Builder::new().suffix(".wasm").tempfile()?;
    std::fs::write(floor.path(), wat::parse_str(include_str!("floor.wat"))?)?;
    let modelgate = module()?;
    let modules = Modules { floor: floor.path(), modelgate: &modelgate };
    let mut counted = Vec::new();
    for variant in comparison::chosen(&extent.only)? {
        let mut count = |name: String, modules| -> Result<()> {
            eprintln!("counting {name}");
            counted.push(count(runtime, folder.path(), variant, name, issuer, modules)?);
            Ok(())
        };
        count(variant.name.to_owned(), modules)?;
        if let Some(before) = extent.before.as_deref().filter(|_| variant.is_modelgate()) {
            count(before_of(variant.name), Modules { modelgate: before, ..modules })?;
        }
    }
    Ok(counted)
}

fn count(
    runtime: &Runtime,
    folder: &Path,
    variant: &Variant,
    name: String,
    issuer: &Issuer,
    modules: Modules<'_>,
) -> Result<Counted> {
    let tokens = tokens(issuer, variant.algorithm, 1)?;
    let token = tokens.first().context("a token")?;
    let gateway = runtime.block_on(Gateway::start_checked(variant, issuer, token, modules))?;
    let mut load = Load::open(gateway.address, &[request(variant.path(), token, "")])?;
    let process = gateway.envoy.process_id();
    load.send(WARM_UP)?;
    control(process, &["--instr=on"])?;
    load.send(TRANSLATED)?;
    control(process, &["--zero"])?;
    load.send(COUNTED)?;
    control(process, &["--dump"])?;
    let dump = std::fs::read_to_string(folder.join(format!("callgrind.{process}.1")))?;
    let of = |event| Ok::<_, anyhow::Error>(sum(&dump, event)? / COUNTED as f64);
    Ok(Counted { name, instructions: of("Ir")?, misses: of("I1mr")? })
}

/// Has callgrind do something with the process that it runs.
fn control(process: u32, what: &[&str]) -> Result<()> {
    let process = process.to_string();
    let output = Command::new("callgrind_control").args(what).arg(&process).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "callgrind_control ended with {}: {said}", output.status);
    Ok(())
}

/// How often an event came, of all that a dump has.
fn sum(dump: &str, event: &str) -> Result<f64> {
    let line = |start: &str| dump.lines().find_map(|line| line.strip_prefix(start));
    let (Some(names), Some(sums)) = (line("events: "), line("summary: ").or(line("totals: ")))
    else {
        bail!("no events in callgrind's output");
    };
    let mut pairs = names.split_whitespace().zip(sums.split_whitespace());
    let (_, sum) = pairs.find(|(name, _)| *name == event).with_context(|| format!("no {event}"))?;
    sum.parse().with_context(|| format!("{sum} is not a number"))
}

impl Counted {
    /// For programs.
    pub fn json(&self) -> Value {
        let Self { name, instructions, misses } = self;
        json!({"variant": name, "instructions": instructions, "instruction_cache_misses": misses})
    }
}

/// A line for each variant.
pub fn table(counted: &[Counted]) -> String {
    let heading =
        ["one request of the whole Envoy", "instructions", "misses of the first instruction cache"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for Counted { name, instructions, misses } in counted {
        lines.push(vec![name.clone(), format!("{instructions:.0}"), format!("{misses:.0}")]);
    }
    figures::table(&lines)
}
