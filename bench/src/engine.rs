//! The engine alone: instructions and allocations of a decision, counted by valgrind. Two runs that
//! differ only in how often they decide are subtracted, so that reading the configuration and
//! verifying the token drop out. Counts do not depend on how busy the machine is.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::tokens::{Algorithm, Issuer};

use crate::figures;
use crate::workload::{FRIENDLY, PREDICTIONS, Parts, plugin_config, tokens};

/// How often the two runs decide.
const TIMES: [u64; 2] = [500, 1500];

const TEN: Parts = Parts { tokens: true, cache: true, policies: 10, rewrite: true };

const CASES: [(&str, Parts); 4] = [
    ("open", Parts { tokens: false, policies: 0, rewrite: false, ..TEN }),
    ("token, 10 policies", Parts { rewrite: false, ..TEN }),
    ("token, 10 policies, rewrite", TEN),
    ("token, 10,000 policies, rewrite", Parts { policies: 10_000, ..TEN }),
];

/// What one decision takes.
#[derive(Debug)]
pub struct Counted {
    case: &'static str,
    instructions: f64,
    allocations: f64,
    bytes: f64,
}

/// Counts every case; none, with a word about the remedy, without valgrind.
pub fn run() -> Result<Vec<Counted>> {
    let valgrind = Command::new("valgrind").arg("--version").output();
    if valgrind.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        eprintln!("THE ENGINE IS NOT MEASURED: valgrind is missing (apt install valgrind)");
        return Ok(Vec::new());
    }
    let issuer = Issuer::shared()?;
    let token = tokens(issuer, Algorithm::Es256, 1)?.concat();
    CASES
        .iter()
        .map(|(case, parts)| {
            eprintln!("counting the engine: {case}");
            count(case, *parts, issuer, &token)
        })
        .collect()
}

fn count(case: &'static str, parts: Parts, issuer: &Issuer, token: &str) -> Result<Counted> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    std::fs::write(folder.join("config"), plugin_config(issuer, parts).to_string())?;
    std::fs::write(folder.join("token"), token)?;
    let path = if parts.rewrite { FRIENDLY } else { PREDICTIONS };
    let [few, many] = TIMES;
    let callgrind = |times| {
        let report =
            valgrind(&["--tool=callgrind", "--callgrind-out-file=/dev/null"], folder, path, times)?;
        number(&report, "Collected : ", 0)
    };
    let heap = |times| -> Result<(f64, f64)> {
        let report = valgrind(&["--tool=memcheck", "--leak-check=no"], folder, path, times)?;
        let usage = "total heap usage: ";
        Ok((number(&report, usage, 0)?, number(&report, usage, 4)?))
    };
    let each = |few: f64, many: f64| (many - few) / (TIMES[1] - TIMES[0]) as f64;
    let (few_allocations, few_bytes) = heap(few)?;
    let (many_allocations, many_bytes) = heap(many)?;
    Ok(Counted {
        case,
        instructions: each(callgrind(few)?, callgrind(many)?),
        allocations: each(few_allocations, many_allocations),
        bytes: each(few_bytes, many_bytes),
    })
}

/// What valgrind says of this program when it decides so often.
fn valgrind(tool: &[&str], folder: &Path, path: &str, times: u64) -> Result<String> {
    let output = Command::new("valgrind")
        .args(tool)
        .arg(std::env::current_exe()?)
        .arg("decide")
        .args(["--path", path, "--times", &times.to_string()])
        .arg("--config")
        .arg(folder.join("config"))
        .arg("--token")
        .arg(folder.join("token"))
        .output()
        .context("cannot start valgrind")?;
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "valgrind ended with {}\n{report}", output.status);
    Ok(report)
}

/// The word at `index` behind `label`, a number with thousands set off by commas.
fn number(report: &str, label: &str, index: usize) -> Result<f64> {
    let (_, rest) =
        report.split_once(label).with_context(|| format!("no {label:?} in\n{report}"))?;
    let word = rest.split_whitespace().nth(index).unwrap_or_default();
    word.replace(',', "").parse().with_context(|| format!("{word:?} is not a number in\n{report}"))
}

impl Counted {
    /// For programs.
    pub fn json(&self) -> Value {
        let Self { case, instructions, allocations, bytes } = self;
        json!({"case": case, "instructions": instructions, "allocations": allocations, "allocated_bytes": bytes})
    }
}

/// A line for each case.
pub fn table(counted: &[Counted]) -> String {
    let heading = ["one decision of the engine", "instructions", "allocations", "bytes"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for Counted { case, instructions, allocations, bytes } in counted {
        let numbers = [instructions, allocations, bytes].map(|n| format!("{n:.0}"));
        lines.push([(*case).to_owned()].into_iter().chain(numbers).collect());
    }
    figures::table(&lines)
}
