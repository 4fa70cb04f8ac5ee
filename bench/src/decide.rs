//! Decides one request over and over: what `engine` runs under valgrind.

use std::cell::Cell;
use std::hint::black_box;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::Plan;
use modelgate_engine::request::{Attributes, Header, Host, Request, SignatureCheck};
use modelgate_engine::telemetry::Verdict;
use testbed::tokens::now;

use crate::workload::headers;

/// What to decide, and how often.
#[derive(Debug, Args)]
pub struct Decide {
    /// File with the `pluginConfig`
    #[arg(long)]
    pub config: PathBuf,
    /// File with the token
    #[arg(long)]
    pub token: PathBuf,
    /// The path that the request asks for
    #[arg(long)]
    pub path: String,
    /// How often it is decided
    #[arg(long)]
    pub times: u64,
}

/// Reads the configuration and decides.
pub fn run(arguments: &Decide) -> Result<()> {
    let mut errors = Errors::default();
    let plan = Plan::read(&std::fs::read(&arguments.config)?, &mut errors);
    let plan = plan.with_context(|| format!("the configuration is refused:\n{errors}"))?;
    let token = std::fs::read_to_string(&arguments.token)?;
    let lines = lines(&arguments.path, &token);
    let lines: Vec<Header<'_>> = lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let proxy = Proxy { now: now() * 1_000_000_000, verified: Cell::new(0) };
    let mut cache = plan.token_cache();
    for _ in 0..arguments.times {
        let attributes = Attributes::new(&proxy);
        let request = Request::new(black_box(&lines), &attributes);
        let decision = black_box(plan.decide(&request, &mut cache, |_| Ok(())));
        if decision.facts.verdict != Verdict::Allowed {
            bail!("not allowed but {:?}", decision.reply());
        }
    }
    ensure!(proxy.verified.get() <= 1, "the token was not remembered");
    Ok(())
}

/// The header lines as a filter sees them, with those that Envoy adds.
fn lines(path: &str, token: &str) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        (":authority", "models.example.com".to_owned()),
        (":path", path.to_owned()),
        (":method", "POST".to_owned()),
        (":scheme", "http".to_owned()),
    ];
    lines.extend(headers(Some(token), 0));
    lines.extend([
        ("x-forwarded-for", "127.0.0.1".to_owned()),
        ("x-forwarded-proto", "http".to_owned()),
        ("x-envoy-internal", "true".to_owned()),
        ("x-request-id", "0b6b1ab7-5d3c-4a0c-9e64-2d9d3d2f5f9e".to_owned()),
    ]);
    lines
}

/// A proxy without a connection. Checking signatures is its work, and not what is measured.
struct Proxy {
    now: u64,
    verified: Cell<u32>,
}

impl Host for Proxy {
    fn now(&self) -> u64 {
        self.now
    }
    fn is_inbound(&self) -> bool {
        false
    }
    fn verify_signature(&self, _: &SignatureCheck<'_>) -> Option<bool> {
        self.verified.set(self.verified.get() + 1);
        Some(true)
    }
}
