//! modelgate in a real mesh, a scenario a test. `cargo xtask test istio` builds what it needs and runs it.
//!
//! Not the usual harness: the program starts itself again inside namespaces of its own, and the scenarios share one
//! control plane, one after the other.

mod addresses;
mod chart;
mod converted;
mod gateway;
mod gateway_api;
mod https;
mod issuer;
mod manifests;
mod native;
mod operations;
mod report;
mod scenario;
mod seldon;
mod sidecar;
mod splits;
mod updates;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use scenario::Suite;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        return run(&arguments, None);
    }
    match cluster::isolation::enter() {
        Ok(state) => run(&arguments, Suite::new(&state).ok().map(Arc::new)),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, suite: Option<Arc<Suite>>) -> ExitCode {
    let every = arguments.filter.is_none() && arguments.skip.is_empty();
    let mut trials: Vec<Trial> = scenario::all()
        .into_iter()
        .map(|scenario| {
            let suite = suite.clone();
            Trial::test(scenario.name, move || {
                let suite = suite.ok_or("the suite was not started")?;
                suite.run(&scenario).map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
        .collect();
    // The last one, of what the others did.
    trials.push(
        Trial::test("every_shipped_resource_is_applied", || {
            let missing = cluster::shipped::not_applied().map_err(|error| format!("{error:#}"))?;
            let shown: Vec<_> = missing.iter().map(|path| path.display().to_string()).collect();
            if shown.is_empty() { Ok(()) } else { Err(shown.join(", ").into()) }
        })
        .with_ignored_flag(!every),
    );
    let code = libtest_mimic::run(arguments, trials).exit_code();
    // Ends what the scenarios shared before this process does.
    drop(suite);
    code
}
