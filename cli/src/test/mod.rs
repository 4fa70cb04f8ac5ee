//! `modelgate test`: expectations of what a configuration decides, kept as files and run in pipelines.
//!
//! | module | what it does |
//! |---|---|
//! | [`file`], [`fields`] | reads a file of expectations |
//! | [`run`] | what of an expectation is not met |
//! | [`coverage`] | which policies, rules and clauses none has met |
//! | [`text`], [`junit`], [`tap`] | how it is shown |
//! | [`write`] | makes expectations of an access log |

mod coverage;
mod fields;
mod file;
mod junit;
mod run;
mod schema;
mod tap;
mod text;
mod write;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};

use crate::ask::configuration::Configuration;
use crate::ask::decided::Bench;
use crate::ask::keys::Keys;
use crate::ask::time;
use crate::output;
use coverage::{Coverage, Summary};
use file::File;
use run::{Benches, Outcome};

/// Exit status where something cannot be read.
const UNREADABLE: u8 = 2;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Test {
    /// Files of expectations.
    #[arg(value_name = "FILE", required_unless_present_any = ["write", "schema"])]
    files: Vec<PathBuf>,
    /// The configuration, in the place of those that the files name.
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// How results are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Says besides which policies, rules and clauses no expectation has met.
    #[arg(long)]
    coverage: bool,
    /// Makes expectations of an access log, JSON lines or Istio's default text, and prints them; `-` is standard input.
    #[arg(long, value_name = "ACCESS_LOG", conflicts_with_all = ["files", "format", "coverage", "schema"])]
    write: Option<PathBuf>,
    /// Prints a JSON Schema of files of expectations, for editors.
    #[arg(long, conflicts_with_all = ["files", "format", "coverage", "config"])]
    schema: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: what failed, with the reasons that `decide` gives.
    Text,
    /// JUnit's XML, as pipelines read it.
    Junit,
    /// TAP version 14.
    Tap,
}

/// What came of one file.
#[derive(Debug)]
pub struct Ran {
    /// Its name.
    pub name: String,
    /// The configuration's.
    pub configuration: String,
    /// What came of each expectation.
    pub outcomes: Vec<Outcome>,
    /// What they met of the configuration.
    pub coverage: Coverage,
}

/// A path without `..`, as seen from here: files name one configuration in several ways. A link keeps its name.
fn plain(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| std::fs::canonicalize(folder).ok());
    let Some(whole) = folder.zip(path.file_name()).map(|(folder, name)| folder.join(name)) else {
        return path.to_owned();
    };
    let here = std::env::current_dir().and_then(std::fs::canonicalize);
    let rest = here.ok().and_then(|here| whole.strip_prefix(here).map(Path::to_owned).ok());
    rest.unwrap_or(whole)
}

/// What was met of each configuration by all files together.
fn summaries(all: &[Ran]) -> Vec<(&str, Summary)> {
    let mut names: Vec<&str> = all.iter().map(|ran| ran.configuration.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &&str| {
        let files = all.iter().filter(|ran| ran.configuration == *name);
        Coverage::summary(files.map(|ran| &ran.coverage))
    };
    names.into_iter().map(|name| (name, of(&name))).collect()
}

impl Test {
    /// Runs the expectations; the exit status is 0 if all are met.
    pub fn run(self) -> ExitCode {
        self.test().unwrap_or_else(|error| {
            eprintln!("modelgate: {error:#}");
            ExitCode::from(UNREADABLE)
        })
    }

    fn test(&self) -> Result<ExitCode> {
        if self.schema {
            output::print(&format!("{:#}\n", schema::document()))?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(log) = &self.write {
            let (made, said) = write::expectations(log, self.config.as_deref())?;
            if let Some(said) = said {
                eprintln!("modelgate: {said}");
            }
            output::print(&made)?;
            return Ok(ExitCode::SUCCESS);
        }
        let now = time::now()?;
        let mut ran = Vec::new();
        for path in &self.files {
            ran.push(self.file(path, now).with_context(|| path.display().to_string())?);
        }
        let is_colored = output::is_colored();
        let coverage = if self.coverage { summaries(&ran) } else { Vec::new() };
        let page = match self.format {
            Format::Text => text::page(&ran, &coverage, is_colored),
            Format::Junit => junit::page(&ran, &coverage),
            Format::Tap => tap::page(&ran, &coverage),
        };
        output::print(&page)?;
        let is_met = ran.iter().flat_map(|ran| &ran.outcomes).all(Outcome::is_met);
        Ok(if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn file(&self, path: &Path, now: u64) -> Result<Ran> {
        let text = std::fs::read_to_string(path).context("it cannot be read")?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let file = File::read(&text)?;
        let config = match (&self.config, &file.config) {
            (Some(config), _) => config.clone(),
            (None, Some(config)) => plain(&folder.join(config)),
            (None, None) => {
                anyhow::bail!("it names no configuration: give config: in it, or --config")
            }
        };
        let configuration = Configuration::read(&config, file.resource.as_deref())?;
        let files = file.jwks.iter().map(|(issuer, set)| (issuer.clone(), folder.join(set)));
        let keys = Keys { files: files.collect(), assume: file.assume_verified };
        let benches = Benches {
            own: Bench::new(configuration.clone(), keys.clone(), false)?,
            claims: Bench::new(configuration, keys, true)?,
        };
        ensure!(!file.expectations.is_empty(), "it holds no expectation");
        let mut coverage = Coverage::new(&benches.own.plan);
        let mut outcomes = Vec::new();
        for expectation in &file.expectations {
            let outcome = run::expectation(
                &benches,
                expectation,
                folder,
                file.at.unwrap_or(now),
                &mut coverage,
            );
            outcomes.push(outcome.with_context(|| format!("expectation {}", expectation.name))?);
        }
        let configuration = benches.own.configuration.name;
        Ok(Ran { name: path.display().to_string(), configuration, outcomes, coverage })
    }
}
