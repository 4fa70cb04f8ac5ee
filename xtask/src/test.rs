//! The tiers of tests, in order, each with its log, and a summary of them all.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::module;
use crate::project::{self, Project, WASM};
use crate::summary::{Outcome, Totals, summary};
use crate::tools;
use modelgate_local::sh::{self, Log};

struct Tier {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Run<'_>) -> Result<()>,
}

const TIERS: [Tier; 11] = [
    Tier { name: "unit", about: "unit and property tests", run: unit },
    Tier {
        name: "readers",
        about: "what JSON readers make of bodies that are let through",
        run: readers,
    },
    Tier { name: "wasm", about: "the engine as WebAssembly in Node", run: wasm },
    Tier {
        name: "module",
        about: "the module's imports, exports, size, memory and work",
        run: module,
    },
    Tier { name: "envoy", about: "the module in Envoy", run: envoy },
    Tier {
        name: "differential",
        about: "the module and Envoy's own filters, with the same policies and requests",
        run: differential,
    },
    Tier { name: "browser", about: "the report's page in Chromium", run: browser },
    Tier { name: "models", about: "real model servers behind the module", run: models },
    Tier {
        name: "providers",
        about: "tokens of real identity providers, before the module and Envoy's own filters",
        run: providers,
    },
    Tier {
        name: "monitoring",
        about: "alerts and dashboard, with a real Prometheus",
        run: monitoring,
    },
    Tier { name: "istio", about: "the module in a real mesh", run: istio },
];

/// What they are called.
pub fn tiers() -> [&'static str; 11] {
    TIERS.map(|tier| tier.name)
}

/// `cargo xtask test`: runs the named tiers, or all, with the tests whose name contains the other word.
pub fn test(project: &Project, names: &[String]) -> Result<ExitCode> {
    let (tiers, filter) = select(names)?;
    let mut outcomes = Vec::new();
    for tier in tiers {
        println!("\n== {}: {}", tier.name, tier.about);
        outcomes.push(run(project, tier, filter)?);
    }
    let nothing = outcomes.iter().all(|o| o.totals.ran() == 0 && o.trouble.is_none());
    print!("{}", summary(&outcomes));
    if let Some(filter) = filter.filter(|_| nothing) {
        bail!("no test has a name that contains {filter}");
    }
    let failed = outcomes.iter().any(|o| o.failed() > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Which tiers to run, and the part of a test's name that is asked for.
fn select(names: &[String]) -> Result<(Vec<&'static Tier>, Option<&str>)> {
    let is_tier = |name: &&String| tiers().contains(&name.as_str());
    let mut filters = names.iter().filter(|name| !is_tier(name));
    let filter = filters.next().map(String::as_str);
    if let Some(second) = filters.next() {
        let tiers = tiers().join(", ");
        bail!("one part of a name at a time, and {second} is a second one (tiers are {tiers})");
    }
    let named = names.iter().any(|name| is_tier(&name));
    let wanted = |tier: &&Tier| !named || names.iter().any(|name| name == tier.name);
    Ok((TIERS.iter().filter(wanted).collect(), filter))
}

/// A tier while it runs.
struct Run<'p> {
    project: &'p Project,
    tier: &'static str,
    filter: Option<&'p str>,
    log: Log,
    totals: Totals,
}

fn run(project: &Project, tier: &Tier, filter: Option<&str>) -> Result<Outcome> {
    let start = Instant::now();
    let log = Log::create(project.target.join("test-logs").join(format!("{}.log", tier.name)))?;
    let mut run = Run { project, tier: tier.name, filter, log, totals: Totals::default() };
    let mut trouble = (tier.run)(&mut run).err().map(|error| format!("{error:#}"));
    if trouble.is_none() && run.totals.ran() == 0 && filter.is_none() {
        trouble = Some("no test was run: a tier that tests nothing proves nothing".into());
    }
    if let Some(trouble) = &trouble {
        println!("{}: {trouble}", tier.name);
    }
    Ok(Outcome {
        tier: tier.name,
        totals: run.totals,
        trouble,
        time: start.elapsed(),
        log: project.show(run.log.path()).to_string(),
    })
}

fn unit(run: &mut Run<'_>) -> Result<()> {
    // What the end-to-end suites share has unit tests of its own.
    let everything = run.cargo_test(&["--workspace", "--exclude=modelgate-tests"], &[]);
    let shared = run.cargo_test(&["--package=modelgate-tests", "--lib"], &[]);
    everything.and(shared)
}

fn readers(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-tests", "--test=readers"];
    if !run.wanted(&tests)? {
        return Ok(());
    }
    let environment = [
        ("READERS_VENV", tools::readers(run.project)?.into()),
        ("GOJSON", tools::gojson(run.project)?.into()),
    ];
    run.cargo_test(&tests, &environment)
}

fn wasm(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-engine", "--test=engine"];
    if !run.wanted(&tests)? {
        return Ok(());
    }
    project::target(WASM)?;
    let runner = tools::wasm_bindgen_runner(run.project)?;
    let node = tools::node(run.project)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(node).chain(std::env::split_paths(&path)))
        .context("PATH")?;
    let on_wasm: Vec<&str> = tests.into_iter().chain(["--target", WASM]).collect();
    run.cargo_test(
        &on_wasm,
        &[("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner.into()), ("PATH", path)],
    )
}

fn module(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-tests", "--test=worker"];
    let asked = |name: &str| run.filter.is_none_or(|filter| name.contains(filter));
    let checks = module::CHECKS.into_iter().any(asked);
    let worker = run.wanted(&tests)?;
    if !checks && !worker {
        return Ok(());
    }
    let (module, found) = module::build_and_check(run.project)?;
    let mut wrong = Vec::new();
    for check in found {
        if run.filter.is_some_and(|filter| !check.name.contains(filter)) {
            continue;
        }
        let verdict = if check.wrong.is_empty() { "ok" } else { "FAILED" };
        println!("test {} ... {verdict}", check.name);
        if check.wrong.is_empty() {
            run.totals.passed += 1;
        } else {
            run.totals.failed += 1;
            run.totals.names.push(check.name.to_owned());
            wrong.extend(check.wrong);
        }
    }
    if !wrong.is_empty() {
        bail!("the module {}", wrong.join("\nit "));
    }
    if worker {
        run.cargo_test(&tests, &[("MODELGATE_WASM", module.into())])?;
    }
    Ok(())
}

fn envoy(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-tests", "--test=envoy*"];
    if !run.wanted(&tests)? {
        return Ok(());
    }
    let mut environment = run.gateway()?;
    environment.push(("MODELGATE", run.project.command()?.into()));
    run.cargo_test(&tests, &environment)
}

fn browser(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-tests", "--test=browser"];
    if !run.wanted(&tests)? {
        return Ok(());
    }
    let environment = [
        ("CHROMIUM", tools::chromium(run.project)?.into()),
        ("MODELGATE", run.project.command()?.into()),
    ];
    run.cargo_test(&tests, &environment)
}

fn differential(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-tests", "--test=differential", "--test=decided"];
    if !run.wanted(&tests)? {
        return Ok(());
    }
    let environment = run.gateway()?;
    run.cargo_test(&tests, &environment)
}

fn models(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-tests", "--test=models"];
    if !run.wanted(&tests)? {
        return Ok(());
    }
    let mut environment = run.gateway()?;
    environment.push(("MODELGATE", run.project.command()?.into()));
    environment.push(("SELDON_VENV", tools::seldon(run.project)?.into()));
    environment.push(("MLSERVER_VENV", tools::mlserver(run.project)?.into()));
    environment.push(("KSERVE_VENV", tools::kserve(run.project)?.into()));
    environment.push(("MLFLOW_VENV", tools::mlflow(run.project)?.into()));
    environment.push(("LITSERVE_VENV", tools::litserve(run.project)?.into()));
    environment.push(("LLAMA_VENV", tools::llama(run.project)?.into()));
    run.cargo_test(&tests, &environment)
}

/// Providers that take minutes to install and to start take part only if `MODELGATE_PROVIDERS` is `all`.
fn providers(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-tests", "--test=providers"];
    if !run.wanted(&tests)? {
        return Ok(());
    }
    let all = match std::env::var("MODELGATE_PROVIDERS").as_deref() {
        Ok("all") => true,
        Ok(other) => bail!("MODELGATE_PROVIDERS is {other}: `all`, or unset"),
        Err(_) => false,
    };
    let mut environment = run.gateway()?;
    environment.push(("KUBERNETES_TOOLS", tools::kubernetes(run.project)?.into()));
    environment.push(("MOCKOIDC", tools::mockoidc(run.project)?.into()));
    environment.push(("NODE", tools::node(run.project)?.join("node").into()));
    environment.push(("OIDC_PROVIDER", tools::oidc_provider(run.project)?.into()));
    environment.push(("SPIRE", tools::spire(run.project)?.into()));
    if !all {
        return run.cargo_test(&tests, &environment);
    }
    environment.push(("HYDRA", tools::hydra(run.project)?.into()));
    environment.push(("KEYCLOAK", tools::keycloak(run.project)?.into()));
    run.cargo_test_with(&tests, &environment, &["--include-ignored"])
}

fn monitoring(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-tests", "--test=monitoring"];
    if !run.wanted(&tests)? {
        return Ok(());
    }
    let mut environment = run.gateway()?;
    environment.push(("PROMETHEUS_TOOLS", tools::prometheus(run.project)?.into()));
    run.cargo_test(&tests, &environment)
}

fn istio(run: &mut Run<'_>) -> Result<()> {
    let tests = ["--package=modelgate-istio-tests", "--test=istio"];
    if !run.wanted(&tests)? {
        return Ok(());
    }
    let mut environment = run.gateway()?;
    environment.extend(tools::mesh(run.project)?);
    environment.push(("HELM", tools::helm(run.project)?.into()));
    run.cargo_test(&tests, &environment)
}

impl Run<'_> {
    /// What every suite with a gateway needs.
    fn gateway(&self) -> Result<Vec<(&'static str, OsString)>> {
        let logs = self.project.target.join("test-logs").join(self.tier);
        if logs.exists() {
            std::fs::remove_dir_all(&logs)
                .with_context(|| format!("removing {}", logs.display()))?;
        }
        std::fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        Ok(vec![
            ("ENVOY", tools::envoy(self.project)?.into()),
            ("MODELGATE_WASM", module::build(self.project)?.into()),
            ("MODELGATE_LOGS", logs.into()),
        ])
    }

    /// Whether the tier has a test that is asked for; asked natively, before anything is installed.
    fn wanted(&mut self, tests: &[&str]) -> Result<bool> {
        let Some(filter) = self.filter else { return Ok(true) };
        let mut cargo = self.project.cargo(["test"]);
        cargo.args(tests).args(["--", "--list", filter]);
        let mut found = false;
        let mut error = None;
        let status = sh::follow(&mut cargo, &mut self.log, |line| {
            found |= line.is_some_and(|line| line.ends_with(": test"));
            if let Some(line) = line.filter(|line| line.starts_with("error") && error.is_none()) {
                error = Some(line.to_owned());
            }
        })?;
        if status.success() {
            return Ok(found);
        }
        bail!("the tests cannot be compiled: {}", error.unwrap_or_default())
    }

    /// Runs tests, shows what is worth seeing, and adds up the results.
    fn cargo_test(&mut self, tests: &[&str], environment: &[(&str, OsString)]) -> Result<()> {
        self.cargo_test_with(tests, environment, &[])
    }

    /// The same, with these words for the test programs.
    fn cargo_test_with(
        &mut self,
        tests: &[&str],
        environment: &[(&str, OsString)],
        words: &[&str],
    ) -> Result<()> {
        let mut cargo = self.project.cargo(["test", "--no-fail-fast"]);
        cargo.args(tests).arg("--").args(words).args(self.filter);
        cargo.envs(environment.iter().map(|(name, value)| (name, value)));
        describe(&cargo, environment);
        let failed = self.totals.failed;
        let totals = &mut self.totals;
        let status = sh::follow(&mut cargo, &mut self.log, |line| {
            if let Some(line) = line {
                totals.line(line);
                if telling(line) {
                    println!("{line}");
                }
            }
        })?;
        if !status.success() && self.totals.failed == failed {
            bail!("`{}` failed ({status}) without a failed test", sh::shown(&cargo));
        }
        Ok(())
    }
}

/// Says how one would run the same by hand.
fn describe(cargo: &Command, environment: &[(&str, OsString)]) {
    for (name, value) in environment.iter().filter(|(name, _)| *name != "PATH") {
        println!("$ export {name}={}", Path::new(value).display());
    }
    println!("$ {}", sh::shown(cargo));
}

/// Whether a line belongs on the terminal: the log has them all.
fn telling(line: &str) -> bool {
    let dull = line.is_empty()
        || (line.starts_with("running ") && line.ends_with(" tests"))
        || line == "running 1 test"
        || (line.starts_with("test ") && line.ends_with(" ... ok"))
        || line.starts_with("test result: ok. 0 passed");
    !dull
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Result<(Vec<&'static str>, Option<String>)> {
        let words: Vec<String> = words.iter().map(|&w| w.to_owned()).collect();
        let (tiers, filter) = select(&words)?;
        Ok((tiers.iter().map(|t| t.name).collect(), filter.map(str::to_owned)))
    }

    #[test]
    fn names_select_tiers_and_tests() {
        let all = TIERS.map(|tier| tier.name).to_vec();
        assert_eq!(names(&[]).unwrap(), (all.clone(), None));
        assert_eq!(names(&["jwt"]).unwrap(), (all, Some("jwt".into())));
        assert_eq!(names(&["istio"]).unwrap(), (vec!["istio"], None));
        assert_eq!(names(&["envoy", "unit"]).unwrap(), (vec!["unit", "envoy"], None));
        assert_eq!(names(&["envoy", "jwt"]).unwrap(), (vec!["envoy"], Some("jwt".into())));
        assert!(names(&["jwt", "rbac"]).unwrap_err().to_string().contains("rbac"));
    }

    #[test]
    fn what_went_well_stays_in_the_log() {
        for (line, shown) in [
            ("test a ... ok", false),
            ("test a ... FAILED", true),
            ("test a ... ignored, needs a network", true),
            ("running 12 tests", false),
            ("running 1 test", false),
            ("test result: ok. 0 passed; 0 failed", false),
            ("test result: ok. 3 passed; 0 failed", true),
            ("   Compiling modelgate v0.1.0", true),
        ] {
            assert_eq!(telling(line), shown, "{line}");
        }
    }
}
