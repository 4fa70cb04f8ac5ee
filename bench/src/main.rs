//! What modelgate costs: in a gateway beside Envoy's own filters, and in the engine alone.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser};
use serde_json::{Value, json};

mod comparison;
mod figures;
mod gateway;
mod goals;
mod load;
mod native;
mod process;
mod variant;
mod workload;

/// Measures what modelgate costs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", version)]
struct Command {
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// Turns of each variant
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of a turn
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Connections, each with a token of its own
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Variants to measure, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let Command { options } = Command::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let extent = comparison::Extent {
        rounds: options.rounds,
        turn: Duration::from_secs_f64(options.seconds),
        connections: options.connections,
        only: options.only,
    };
    let measured = comparison::run(&runtime, &extent)?;
    let outcomes = goals::judge(&measured);
    if options.json {
        let variants: Vec<Value> = measured.iter().map(comparison::Measured::json).collect();
        let goals: Vec<Value> = outcomes.iter().map(goals::Outcome::json).collect();
        println!("{:#}", json!({"variants": variants, "goals": goals}));
    } else {
        print!("{}", comparison::table(&measured));
        for outcome in &outcomes {
            println!("{}", outcome.line());
        }
    }
    Ok(())
}
