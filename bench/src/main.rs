//! What modelgate costs: in a gateway beside Envoy's own filters, and in the engine alone.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value};

mod answers;
mod bodies;
mod cases;
mod comparison;
mod cores;
mod decide;
mod engine;
mod figures;
mod gateway;
mod goals;
mod instructions;
mod load;
mod module;
mod native;
mod process;
mod shadow;
mod shadow_backends;
mod streams;
mod turns;
mod variant;
mod workload;

/// Measures what modelgate costs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", version)]
struct Arguments {
    /// Everything, if none is named
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Gateways with modelgate and with Envoy's own filters, side by side
    Gateway,
    /// The engine alone: instructions and allocations
    Engine,
    /// Instructions of a request, of the whole Envoy, under callgrind; minutes for each variant
    Instructions,
    /// A chat request whose body names the model, beside one whose path does; fails if the goal is not met
    Bodies,
    /// A streamed answer of a thousand events, with its cost read and without; fails if the goal is not met
    Streams,
    /// The module: its size, and what a large configuration takes
    Module,
    /// What shadows do to the latency of the live path; fails if a goal is not met
    Shadow(shadow::Load),
    /// What answers of one model that take long to compare do to the latency of the others; fails if the
    /// goal is not met
    Answers(answers::Load),
    #[command(hide = true)]
    Decide(decide::Decide),
}

#[derive(Debug, Args)]
struct Options {
    /// Turns of each variant
    #[arg(long, default_value_t = 7, global = true)]
    rounds: usize,
    /// Seconds of a turn
    #[arg(long, default_value_t = 2.0, global = true)]
    seconds: f64,
    /// Connections, each with a token of its own
    #[arg(long, default_value_t = 16, global = true)]
    connections: usize,
    /// Variants, or cases of `shadow`, to measure, separated by commas
    #[arg(long, value_delimiter = ',', global = true)]
    only: Vec<String>,
    /// A module built from another commit, to measure beside this one: each variant of modelgate runs
    /// with both
    #[arg(long, value_name = "MODULE", global = true)]
    before: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
}

fn main() -> Result<ExitCode> {
    let Arguments { command, options } = Arguments::parse();
    if let Some(Command::Decide(decide)) = &command {
        decide::run(decide)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut report = Report { json: options.json, parts: Map::new() };
    if matches!(command, None | Some(Command::Engine)) {
        let counted = engine::run()?;
        let values = counted.iter().map(engine::Counted::json).collect();
        report.add("engine", values, &engine::table(&counted));
    }
    let runtime = tokio::runtime::Runtime::new()?;
    if matches!(command, None | Some(Command::Module)) {
        let figures = module::run(&runtime)?;
        report.add("module", module::json(&figures), &module::table(&figures));
    }
    let extent = comparison::Extent {
        rounds: options.rounds,
        turn: Duration::from_secs_f64(options.seconds),
        connections: options.connections,
        only: options.only,
        before: options.before.map(std::path::absolute).transpose()?,
    };
    if matches!(command, Some(Command::Instructions)) {
        let counted = instructions::run(&runtime, &extent)?;
        let values = counted.iter().map(instructions::Counted::json).collect();
        report.add("instructions", values, &instructions::table(&counted));
    }
    let mut met = true;
    let load = match &command {
        Some(Command::Shadow(load)) => Some(*load),
        None if extent.only.is_empty() => Some(shadow::Load::default()),
        _ => None,
    };
    if let Some(load) = load {
        let run = shadow::run(&runtime, &extent, load)?;
        met = run.met();
        report.add("shadow", run.json(), &run.text());
    }
    let load = match &command {
        Some(Command::Answers(load)) => Some(*load),
        None if extent.only.is_empty() => Some(answers::Load::default()),
        _ => None,
    };
    if let Some(load) = load {
        let run = answers::run(&runtime, &extent, load)?;
        met &= run.met();
        report.add("answers", run.json(), &run.text());
    }
    if matches!(command, Some(Command::Bodies)) || (command.is_none() && extent.only.is_empty()) {
        let measured = bodies::run(&runtime, &extent)?;
        met &= measured.met();
        report.add("bodies", measured.json(), &measured.table());
    }
    if matches!(command, Some(Command::Streams)) || (command.is_none() && extent.only.is_empty()) {
        let measured = streams::run(&runtime, &extent)?;
        met &= measured.met();
        report.add("streams", measured.json(), &measured.table());
    }
    if matches!(command, None | Some(Command::Gateway)) {
        let measured = comparison::run(&runtime, &extent)?;
        let values = measured.iter().map(comparison::Measured::json).collect();
        report.add("gateway", values, &comparison::table(&measured));
        let outcomes = goals::judge(&measured);
        let lines: String = outcomes.iter().map(|outcome| outcome.line() + "\n").collect();
        report.add("goals", outcomes.iter().map(goals::Outcome::json).collect(), &lines);
        let changes = goals::changes(&measured);
        let lines: String = changes.iter().map(|change| change.line() + "\n").collect();
        report.add("changes", changes.iter().map(goals::Change::json).collect(), &lines);
    }
    report.finish();
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tables are printed as they come, JSON at the end.
struct Report {
    json: bool,
    parts: Map<String, Value>,
}

impl Report {
    fn add(&mut self, name: &str, values: Value, text: &str) {
        if self.json {
            self.parts.insert(name.to_owned(), values);
        } else {
            println!("{text}");
        }
    }

    fn finish(self) {
        if self.json {
            println!("{:#}", Value::Object(self.parts));
        }
    }
}
