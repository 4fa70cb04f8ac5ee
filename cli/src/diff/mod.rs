//! `modelgate diff`: what changed between two configurations, and which logged requests it concerns.
//!
//! | module | what it does |
//! |---|---|
//! | [`words`] | what changed in the settings |
//! | [`judge`] | a logged request before both |
//! | [`requests`] | a whole access log |
//! | [`shown`] | how it is shown |

mod judge;
mod requests;
mod shown;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::ask::access_log;
use crate::ask::configuration::Configuration;
use crate::output;
use judge::Assumptions;
use requests::Traffic;
use shown::Found;

/// Exit status where nothing can be said.
const TROUBLE: u8 = 2;

/// Names standard input.
const INPUT: &str = "-";

/// Bytes between two lines of progress.
const STEP: u64 = 16 << 20;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Diff {
    /// The configuration as it was: a WasmPlugin, a TrafficExtension or a bare pluginConfig; `-` is standard input.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The configuration as it will be.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// The resource, where a file holds several configurations.
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Judges each request of an access log by both: JSON lines, or Istio's default text; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Takes requests that went on, and whose caller the log does not name, for those of a caller with a good token.
    #[arg(long, requires = "access_log")]
    assume_authenticated: bool,
    /// Claims that every caller's token has besides issuer and subject, as {"groups": ["data-science"]}: a log holds none.
    #[arg(long, value_name = "JSON", requires = "access_log")]
    claims: Option<String>,
    /// How many groups are shown of each kind.
    #[arg(long, value_name = "N", default_value_t = 10)]
    groups: usize,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs; docs/diff.md has its fields.
    Json,
}

impl Diff {
    /// Prints what differs; the exit status says whether anything does.
    pub fn run(self) -> ExitCode {
        match self.differs() {
            Ok(false) => ExitCode::SUCCESS,
            Ok(true) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("modelgate: {error:#}");
                ExitCode::from(TROUBLE)
            }
        }
    }

    fn differs(&self) -> Result<bool> {
        let inputs = [Some(&self.old), Some(&self.new), self.access_log.as_ref()];
        let inputs = inputs.into_iter().flatten().filter(|file| file.as_os_str() == INPUT).count();
        anyhow::ensure!(inputs <= 1, "standard input can be one of the files only");
        let old = Configuration::read(&self.old, self.resource.as_deref())?;
        let new = Configuration::read(&self.new, self.resource.as_deref())?;
        let changes = words::changes(&old.settings, &new.settings);
        let mut assumed = Vec::new();
        let traffic = match &self.access_log {
            Some(log) => Some(self.judge(log, &old, &new, &mut assumed)?),
            None => None,
        };
        let found = Found {
            names: [&old.name, &new.name],
            changes: &changes,
            traffic: traffic.as_ref(),
            assumed: &assumed,
        };
        output::print(&match self.format {
            Format::Text => shown::text(&found, self.groups, output::is_colored()),
            Format::Json => format!("{:#}\n", shown::json(&found)),
        })?;
        Ok(!changes.is_empty() || traffic.is_some_and(|traffic| traffic.differ > 0))
    }

    fn judge(
        &self,
        log: &Path,
        old: &Configuration,
        new: &Configuration,
        assumed: &mut Vec<String>,
    ) -> Result<Traffic> {
        let claims: Map<String, Value> = match &self.claims {
            Some(claims) => serde_json::from_str(claims).context(
                "--claims: they are no JSON object, as {\"groups\": [\"data-science\"]}",
            )?,
            None => Map::new(),
        };
        let with = match claims.is_empty() {
            true => "and no other claims (--claims gives some)".to_owned(),
            false => format!("and {}", Value::Object(claims.clone())),
        };
        assumed.push(format!(
            "a caller that a line names has a good token with issuer and subject, {with}"
        ));
        if self.assume_authenticated {
            assumed.push(
                "whoever went on and is not named has a good token of the first issuer".to_owned(),
            );
        }
        assumed.push("paths are as they went upstream; a log holds neither bodies nor headers but those of its format".to_owned());
        let assumptions = Assumptions::new(old, claims, self.assume_authenticated)?;
        let (reader, name) = access_log::open(log)?;
        let size = match log.as_os_str() == INPUT {
            true => 0,
            false => std::fs::metadata(log).map_or(0, |about| about.len()),
        };
        let (is_watched, mut next) = (requests::is_watched(), STEP);
        let traffic = requests::judge(reader, old, new, &assumptions, |bytes| {
            if is_watched && bytes >= next {
                next = bytes.saturating_add(STEP);
                match bytes.saturating_mul(100).checked_div(size) {
                    Some(percent) => eprint!("\r{percent:>3} % of {name} \u{1b}[K"),
                    None => eprint!("\r{} MiB of {name} \u{1b}[K", bytes >> 20),
                }
            }
        });
        if is_watched {
            eprint!("\r\u{1b}[K");
        }
        let traffic = traffic?;
        anyhow::ensure!(traffic.read > 0, "{name} holds no line");
        anyhow::ensure!(
            traffic.unreadable() < traffic.read,
            "{name}: no line is one of an access log, as JSON or in Istio's default format"
        );
        Ok(traffic)
    }
}
