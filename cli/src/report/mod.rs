//! `modelgate report`: whether a shadow agrees with the live model, from what the gateways counted.
//!
//! | module | what it does |
//! |---|---|
//! | [`source`], [`prometheus`], [`credentials`] | fetches metrics |
//! | [`samples`] | reads Prometheus's text format |
//! | [`gateway`] | which pages are of one gateway |
//! | [`counts`] | finds each shadow's counters and histograms, and adds gateways up |
//! | [`histogram`], [`interval`] | quantiles, and how sure they are |
//! | [`figures`] | what the counts say |
//! | [`advice`] | what to do about it |
//! | [`require`] | the verdict |
//! | [`text`], [`json`], [`html`] | how it is shown |

pub mod advice;
pub mod counts;
pub mod credentials;
pub mod figures;
pub mod gateway;
pub mod histogram;
pub mod html;
pub mod interval;
pub mod json;
pub mod prometheus;
pub mod require;
pub mod samples;
pub mod source;
pub mod text;
pub mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::{Args, ValueEnum};

use self::counts::Counted;
use self::credentials::Credentials;
use self::figures::Figures;
use self::interval::Confidence;
use self::prometheus::{Answers, Window};
use self::require::{Judgement, QUANTITIES, Requirement, Requirements};
use crate::output;

/// Exit status where there is no report, or none to rely on: nothing was said about the model.
const NO_REPORT: u8 = 2;

/// In the place of an earlier page of a gateway that began anew after that.
const NONE: &str = "none";

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Command {
    /// Metrics of gateways: the address of an Envoy's admin interface, a file, or `-` for standard
    /// input, all in Prometheus's text format. Several replicas are added up; the same page twice is
    /// refused.
    #[arg(value_name = "SOURCE", required_unless_present = "prometheus")]
    sources: Vec<String>,
    /// A Prometheus server that scrapes the gateways, instead of sources.
    #[arg(long, value_name = "URL", conflicts_with = "sources")]
    prometheus: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
    /// Only what was counted since: an earlier page of each source, in their order, or `none` for a
    /// gateway that began anew after that. With --prometheus a time, as 30m, 1h or 7d: it
    /// extrapolates, and counts are no longer whole. Counters go by a shadow's name: ask so once
    /// its model or its settings have changed.
    #[arg(long, value_name = "PAGE|TIME")]
    since: Vec<String>,
    /// The sources are different gateways, also where all of one's counters are at least those of
    /// another, or Prometheus scrapes one pod twice and says so by other labels.
    #[arg(long)]
    distinct: bool,
    /// Only this shadow; repeat it for several.
    #[arg(long, value_name = "NAME")]
    shadow: Vec<String>,
    /// Conditions that every shown shadow has to meet, with commas between them.
    #[arg(long, value_name = "CONDITIONS")]
    require: Vec<Requirements>,
    /// How often an interval covers the true value, in percent.
    #[arg(long, value_name = "PERCENT", default_value = "95")]
    confidence: Confidence,
    /// How the report is printed.
    #[arg(long, default_value = "text")]
    format: Format,
    /// Also writes the report as one page with plots, which needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for a terminal.
    Text,
    /// One JSON document.
    Json,
}

/// What follows the options in `--help`.
pub fn help() -> String {
    let quantities: Vec<String> =
        QUANTITIES.iter().map(|(_, name, about)| format!("  {name:<17}{about}")).collect();
    format!(
        "\
Conditions are a quantity, one of >=, <=, >, < and a number; shares are written as 0.99:
{}
A quantity that nothing is known of meets no condition. Agreement is of the answers that were compared:
failures and drops belong beside it, or a shadow that is down passes with what it answered before.

Intervals of shares are Wilson's. Latencies and score differences come from histograms: quantiles
are interpolated within a bucket, and their interval runs from bound to bound.

Counters go by the name of a shadow, whatever model it was. Where a shadow keeps its name and gets another
model, save each gateway's page then, and give it as --since later; or give the shadow another name.

A Prometheus server that warns of its own answer (a store that could not be asked, for one) does not
vouch for the figures: its warnings are shown, and conditions can then not be told to be met or not.

Exit status: 0 if every condition is met or none was set, 1 if one is not, 2 if there is no report or
the conditions cannot be judged.

Examples:
  kubectl exec -n istio-system deploy/istio-ingressgateway -- \\
    pilot-agent request GET stats/prometheus | modelgate report -
  modelgate report http://localhost:15000 --html report.html
  curl http://localhost:15000/stats/prometheus > before.txt
  modelgate report http://localhost:15000 --since before.txt
  modelgate report --prometheus http://localhost:9090 --since 1h --shadow iris-v2 \\
    --require 'compared>=1000,agreement-lower>=0.99,class-changes<=0.001' \\
    --require 'failures<=0.01,drops<=0.05,p95-ratio<=1.2'",
        quantities.join("\n")
    )
}

impl Command {
    /// Prints the report; the exit status is the verdict.
    pub fn run(self) -> ExitCode {
        match self.report().and_then(|report| self.show(&report).map(|()| report.is_met())) {
            Ok(Some(true)) => ExitCode::SUCCESS,
            Ok(Some(false)) => ExitCode::FAILURE,
            Ok(None) => ExitCode::from(NO_REPORT),
            Err(error) => {
                eprintln!("modelgate: {error:#}");
                ExitCode::from(NO_REPORT)
            }
        }
    }

    fn report(&self) -> Result<Report> {
        let (mut warnings, mut since) = (Vec::new(), None);
        let (mut shadows, sources) = match &self.prometheus {
            Some(server) => {
                let window = self.window()?;
                let answers = self.ask(server, window.as_ref())?;
                warnings = answers.warnings;
                if window.is_none() {
                    counts::check_whole(&answers.samples).with_context(|| server.clone())?;
                }
                since = window.map(Since::Window);
                (counts::count(&[answers.samples])?, vec![server.clone()])
            }
            None => {
                if !self.since.is_empty() {
                    since = Some(Since::Pages(self.since.clone()));
                }
                (self.read()?, self.sources.clone())
            }
        };
        if !self.shadow.is_empty() {
            shadows.retain(|name, _| self.shadow.contains(name));
            for name in &self.shadow {
                // A condition on a shadow that no gateway knows is not met.
                shadows.entry(name.clone()).or_default();
            }
        }
        let shadows =
            shadows.into_iter().map(|(name, counted)| Shadow::new(name, counted, self.confidence));
        let mut report = Report {
            sources,
            since,
            confidence: self.confidence,
            shadows: shadows.collect(),
            warnings,
            verdict: Vec::new(),
        };
        report.judge(self.require.iter().flat_map(|Requirements(all)| all));
        Ok(report)
    }

    /// The window of a Prometheus server, if one is asked for.
    fn window(&self) -> Result<Option<Window>> {
        ensure!(self.since.len() < 2, "with --prometheus there is one --since");
        let window = self.since.first().map(|text| text.parse());
        window.transpose().map_err(|error: String| anyhow!("--since: {error}"))
    }

    fn ask(&self, server: &str, window: Option<&Window>) -> Result<Answers> {
        let headers = self.credentials.headers()?;
        let answers = prometheus::read(server, window, &headers, self.distinct)?;
        for (kind, notes) in [("warning", &answers.warnings), ("info", &answers.infos)] {
            for note in notes {
                eprintln!("modelgate: {server}: {kind}: {}", words::printable(note));
            }
        }
        Ok(answers)
    }

    /// What the sources counted, or counted since their earlier pages.
    fn read(&self) -> Result<BTreeMap<String, Counted>> {
        let sources = source::read_all(&self.sources)?;
        if !self.distinct {
            gateway::check_apart(&sources, &self.sources)?;
        }
        for (source, name) in sources.iter().zip(&self.sources) {
            counts::check_whole(source).with_context(|| name.clone())?;
        }
        let (pages, since) = (self.sources.len(), self.since.len());
        ensure!(
            since == 0 || since == pages,
            "{since} earlier pages for {pages} sources: one --since for each, in their order, or `none`"
        );
        let mut before = Vec::new();
        for ((source, name), earlier) in sources.iter().zip(&self.sources).zip(&self.since) {
            let page = (earlier != NONE).then(|| source::read(earlier)).transpose()?;
            if let Some(page) = &page {
                gateway::check_later(source, page, [name, earlier])?;
            }
            before.push(page);
        }
        counts::count_since(&sources, &before)
    }

    fn show(&self, report: &Report) -> Result<()> {
        if let Some(file) = &self.html {
            std::fs::write(file, html::report(report))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        match self.format {
            Format::Text => output::print(&text::report(report)),
            Format::Json => output::print(&format!("{:#}\n", json::report(report))),
        }
    }
}

/// Since when copies are counted.
#[derive(Debug)]
pub enum Since {
    /// So long ago, as a Prometheus server reckons.
    Window(Window),
    /// An earlier page of each source, or `none`.
    Pages(Vec<String>),
}

/// A whole report.
#[derive(Debug)]
pub struct Report {
    /// Where the metrics come from.
    pub sources: Vec<String>,
    /// If only what was counted since then is shown.
    pub since: Option<Since>,
    /// Of all intervals.
    pub confidence: Confidence,
    /// By name.
    pub shadows: Vec<Shadow>,
    /// What a Prometheus server warns of in its own answers.
    pub warnings: Vec<String>,
    /// Every condition for every shadow.
    pub verdict: Vec<Judgement>,
}

/// A shadow's part of it.
#[derive(Debug)]
pub struct Shadow {
    /// As the configuration calls it.
    pub name: String,
    /// What was counted.
    pub figures: Figures,
    /// The live model against itself.
    pub baseline: Option<Figures>,
    /// What to do.
    pub advice: Vec<String>,
}

impl Shadow {
    /// What was counted for the shadow with this name.
    pub fn new(name: String, counted: Counted, confidence: Confidence) -> Self {
        let figures = Figures::new(counted.shadow, confidence);
        let baseline = counted.baseline.map(|counts| Figures::new(counts, confidence));
        let advice = advice::advice(&figures, baseline.as_ref());
        Self { name, figures, baseline, advice }
    }
}

impl Report {
    fn judge<'r>(&mut self, requirements: impl Iterator<Item = &'r Requirement> + Clone) {
        for shadow in &mut self.shadows {
            let passed_over = advice::passed_over(&shadow.figures, requirements.clone());
            shadow.advice.splice(0..0, passed_over);
        }
        let mut shadows: Vec<Option<(&str, &Figures)>> =
            self.shadows.iter().map(|s| Some((s.name.as_str(), &s.figures))).collect();
        if shadows.is_empty() {
            shadows.push(None);
        }
        let mut verdict = Vec::new();
        for shadow in shadows {
            verdict.extend(requirements.clone().map(|r| r.judge(shadow, self.confidence)));
        }
        self.verdict = verdict;
    }

    /// Whether every condition is met; `None` if there is one and the figures may be of a part of the gateways only.
    pub fn is_met(&self) -> Option<bool> {
        let known = self.verdict.is_empty() || self.warnings.is_empty();
        known.then(|| self.verdict.iter().all(|judgement| judgement.met))
    }
}
