//! `modelgate check`: what the filter would say of a configuration.

mod examine;
mod finding;
mod fix;
mod github;
mod hidden;
mod json;
pub(crate) mod place;
mod sarif;
pub(crate) mod source;
mod text;
pub(crate) mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use modelgate_engine::config::Warning;
use serde_json::Value;

use crate::output;
use finding::{Checked, File, Finding, Name, Severity, Verdict};
use source::Source;

pub use hidden::is_secret;

/// Exit status where a file cannot be read: nothing was said about the configuration in it.
const UNREADABLE: u8 = 2;

/// Names standard input.
const INPUT: &str = "-";

/// How often a file is looked at again after it was mended: settings lie no deeper.
const ROUNDS: u32 = 16;

/// What `--deny` takes for every warning that `--allow` does not name.
const ALL: &str = "all";

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Check {
    /// Files to check; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How findings are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Does not say this warning; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Warning::WORDS), hide_possible_values = true)]
    allow: Vec<String>,
    /// Makes this warning an error, `all` every warning that `--allow` does not name; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(deniable()), hide_possible_values = true)]
    deny: Vec<String>,
    /// Mends spellings in the files: names of fields that are nearly right, and words in other letters' case.
    #[arg(long)]
    fix: bool,
}

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with the lines of the file.
    Text,
    /// For programs; docs/check.md has its fields.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
    /// Workflow commands of GitHub Actions, which annotate the files.
    Github,
}

fn deniable() -> Vec<&'static str> {
    std::iter::once(ALL).chain(Warning::WORDS.iter().copied()).collect()
}

impl Check {
    /// Every file is checked, whatever was found in the ones before.
    ///
    /// # Errors
    ///
    /// A warning is both allowed and denied, or the findings or what mends them cannot be written.
    pub fn run(self) -> Result<ExitCode> {
        let both = self.deny.iter().find(|name| self.allow.contains(name));
        anyhow::ensure!(
            both.is_none(),
            "{} is both allowed and denied",
            both.map_or("", |name| name)
        );
        let is_input = |file: &PathBuf| file.as_os_str() == INPUT;
        anyhow::ensure!(
            !(self.fix && self.files.iter().any(is_input)),
            "standard input cannot be mended: --fix is for files"
        );
        let mut files = Vec::new();
        for path in &self.files {
            let mut file = look_at(path);
            // Below a name that was not known, others may be found.
            let mut rounds = 0;
            while self.fix && rounds < ROUNDS && fix::write(path, &file.source, &file.checked)? {
                file = look_at(path);
                rounds += 1;
            }
            file.checked.iter_mut().for_each(|checked| self.weigh(checked));
            match self.format {
                Format::Text => {
                    let text = text::file(&file, output::is_colored(), output::columns());
                    output::print(&text)?;
                }
                Format::Github => output::print(&github::file(&file))?,
                Format::Json | Format::Sarif => {}
            }
            files.push(file);
        }
        match self.format {
            Format::Json => output::print(&format!("{:#}\n", json::files(&files)))?,
            Format::Sarif => output::print(&format!("{:#}\n", sarif::files(&files)))?,
            Format::Text | Format::Github => {}
        }
        Ok(status(&files))
    }

    /// What `--allow` and `--deny` make of what was found.
    fn weigh(&self, checked: &mut Checked) {
        let is_in = |names: &[String], finding: &Finding| matches!(finding.name, Name::Warning(name) if names.iter().any(|n| n == name.as_str()));
        checked.findings.retain(|finding| !is_in(&self.allow, finding));
        let all = self.deny.iter().any(|name| name == ALL);
        for finding in &mut checked.findings {
            if all || is_in(&self.deny, finding) {
                finding.severity = Severity::Error;
            }
        }
    }
}

/// A configuration that the filter takes.
#[derive(Debug)]
pub struct Accepted {
    /// Kind and name of its resource; absent for a bare pluginConfig.
    pub resource: Option<(String, String)>,
    /// The `pluginConfig`.
    pub settings: Value,
    /// Whether it is for what comes to a workload's sidecar.
    pub inbound: bool,
}

/// Every configuration of a text that comes from there.
///
/// # Errors
///
/// One of them would be refused, or cannot be read: everything that is wrong, as `check` shows it.
pub fn configurations(name: &str, text: String) -> Result<Vec<Accepted>> {
    let source = Source::new(name.to_owned(), text);
    let mut checked = examine::text(&source);
    let is_accepted = |checked: &Checked| checked.verdict == Verdict::Accepted;
    if !checked.iter().all(is_accepted) {
        for one in &mut checked {
            one.findings.retain(|finding| finding.severity == Severity::Error);
        }
        let told = text::file(&File { source, checked }, false, None);
        anyhow::bail!("{}", told.trim_end());
    }
    Ok(examine::accepted(&source))
}

fn status(files: &[File]) -> ExitCode {
    let mut checked = files.iter().flat_map(|file| &file.checked);
    let is_wrong = |checked: &Checked| checked.count(Severity::Error) > 0;
    if checked.clone().any(|checked| checked.verdict == Verdict::Unreadable) {
        ExitCode::from(UNREADABLE)
    } else if checked.any(|checked| checked.verdict == Verdict::Refused || is_wrong(checked)) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn look_at(file: &Path) -> File {
    let is_input = file.as_os_str() == INPUT;
    let name = if is_input { "standard input".to_owned() } else { file.display().to_string() };
    let read = if is_input {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    match read {
        Ok(text) => {
            let source = Source::new(name, text);
            let checked = examine::text(&source);
            File { source, checked }
        }
        Err(error) => {
            eprintln!("modelgate: {name} cannot be read: {error}");
            let findings = vec![Finding::unreadable(format!("cannot be read: {error}"), "", None)];
            let checked = vec![Checked { resource: None, verdict: Verdict::Unreadable, findings }];
            File { source: Source::new(name, String::new()), checked }
        }
    }
}
