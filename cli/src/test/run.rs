//! One expectation against the decision.

use std::path::Path;

use anyhow::{Context as _, Result};
use modelgate_engine::authn::Identity;
use serde_json::Map;

use super::coverage::Coverage;
use super::file::{Expect, Expectation};
use crate::ask::decided::{Bench, Decided};
use crate::ask::keys;
use crate::ask::request::Asked;
use crate::ask::text;

/// Stands for nothing.
const NONE: &str = "none";

/// The configuration with its own keys, and with assumed ones for requests that have claims.
#[derive(Debug)]
pub struct Benches {
    /// Signatures are checked.
    pub own: Bench,
    /// Claims are believed.
    pub claims: Bench,
}

/// What came of an expectation.
#[derive(Debug)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What is not as expected, a line for each.
    pub wrong: Vec<String>,
    /// The reasons of the decision, where something is wrong, with and without colours.
    pub reasons: [String; 2],
}

impl Outcome {
    /// Whether all is as expected.
    pub fn is_met(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Decides and compares. `at` is when requests come that do not say so.
///
/// # Errors
///
/// The request cannot be decided: its body is missing, or a file.
pub fn expectation(
    benches: &Benches,
    expectation: &Expectation,
    folder: &Path,
    at: u64,
    coverage: &mut Coverage,
) -> Result<Outcome> {
    let bench = if expectation.claims.is_some() { &benches.claims } else { &benches.own };
    let asked = request(bench, expectation, folder, at)?;
    let decided = bench.decide(&asked)?;
    let mut wrong = Vec::new();
    if decided.needs_body {
        wrong.push("undecided: the body names the model, and the request has no body".to_owned());
    } else {
        coverage.add(&decided.explanation);
        compare(bench, &asked, &decided, &expectation.expect, &mut wrong)?;
    }
    let reasons = match wrong.is_empty() {
        true => Default::default(),
        false => [false, true].map(|is_colored| text::page(bench, &asked, &decided, is_colored)),
    };
    Ok(Outcome { name: expectation.name.clone(), wrong, reasons })
}

/// The request with its credentials.
fn request(bench: &Bench, expectation: &Expectation, folder: &Path, at: u64) -> Result<Asked> {
    let settings = &bench.configuration.settings;
    let mut asked = expectation.asked.clone();
    if asked.at == 0 {
        asked.at = at;
    }
    let read = |file: &str| {
        let path = folder.join(file);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let text_or_file = |text: &str| match text.strip_prefix('@') {
        Some(file) => read(file),
        None => Ok(text.to_owned()),
    };
    if let Some(file) = &expectation.body_file {
        let path = folder.join(file);
        asked.body = Some(std::fs::read(&path).with_context(|| path.display().to_string())?);
    }
    if let Some(token) = &expectation.token {
        keys::place(settings, text_or_file(token)?.trim(), &mut asked);
    }
    if let Some(claims) = &expectation.claims {
        let token = bench.assumed.sign(&Map::new(), &keys::payload(settings, claims))?;
        keys::place(settings, &token, &mut asked);
    }
    if let Some(key) = &expectation.key {
        keys::place_key(settings, text_or_file(key)?.trim(), &mut asked);
    }
    Ok(asked)
}

fn compare(
    bench: &Bench,
    asked: &Asked,
    decided: &Decided,
    expect: &Expect,
    wrong: &mut Vec<String>,
) -> Result<()> {
    let facts = &decided.decision.facts;
    let principal = facts.identity.as_deref().and_then(Identity::principal);
    let status = decided.decision.reply().map(|reply| reply.code.to_string());
    let mut differ = |what: &str, expected: Option<&str>, had: Option<&str>| {
        let had = had.filter(|had| !had.is_empty()).unwrap_or(NONE);
        if let Some(expected) = expected.filter(|expected| *expected != had) {
            wrong.push(format!("{what}: expected {expected}, and it is {had}"));
        }
    };
    differ("decision", expect.decision.as_deref(), Some(facts.verdict.as_str()));
    let expected = expect.status.map(|status| status.to_string());
    differ("status", expected.as_deref(), status.as_deref());
    differ("model", expect.model.as_deref(), facts.model.as_deref());
    let operation = facts.operation.map(|operation| operation.as_str());
    differ("operation", expect.operation.as_deref(), operation);
    differ("policy", expect.policy.as_deref(), Some(bench.plan.decided_by(facts)));
    let (expected, rule) = (expect.rule.map(|r| r.to_string()), facts.rule.map(|r| r.to_string()));
    differ("rule", expected.as_deref(), rule.as_deref());
    differ("principal", expect.principal.as_deref(), principal.as_deref());
    differ("variant", expect.variant.as_deref(), decided.variant());
    if let Some(shadows) = &expect.shadows {
        let mut expected: Vec<&str> = shadows.iter().map(String::as_str).collect();
        let mut had = decided.shadows(&bench.plan);
        expected.sort_unstable();
        had.sort_unstable();
        let list = |names: &[&str]| names.join(", ");
        let nothing = expected.is_empty().then(|| NONE.to_owned());
        differ("shadows", Some(&nothing.unwrap_or_else(|| list(&expected))), Some(&list(&had)));
    }
    headers(asked, decided, expect, wrong)
}

/// What goes upstream: the lines that came, after the changes.
fn headers(
    asked: &Asked,
    decided: &Decided,
    expect: &Expect,
    wrong: &mut Vec<String>,
) -> Result<()> {
    let wanted = [(":path", &expect.path), (":authority", &expect.host)];
    let wanted = wanted.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let set = expect.set.iter().map(|(name, value)| (name.as_str(), value));
    let wanted: Vec<(&str, &String)> = wanted.chain(set).collect();
    if wanted.is_empty() && expect.removed.is_empty() {
        return Ok(());
    }
    if decided.decision.reply().is_some() {
        wrong.push("headers: the request does not go on, so nothing is set or removed".to_owned());
        return Ok(());
    }
    let lines = asked.lines()?;
    let edits = &decided.explanation.edits;
    let upstream = |name: &str| -> Vec<String> {
        let is = |other: &[u8]| other.eq_ignore_ascii_case(name.as_bytes());
        let goes = edits.iter().any(|edit| edit.value.is_none() && is(&edit.name));
        let came = lines.iter().filter(|(other, _)| is(other) && !goes).map(|(_, v)| v.as_slice());
        let set = edits.iter().filter(|edit| is(&edit.name));
        let set = set.filter_map(|edit| edit.value.as_deref());
        came.chain(set).map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    };
    for (name, value) in wanted {
        let had = upstream(name);
        if had != [value.as_str()] {
            let had = if had.is_empty() { NONE.to_owned() } else { had.join(", ") };
            wrong.push(format!("header {name}: expected {value}, and it is {had}"));
        }
    }
    for name in &expect.removed {
        let had = upstream(name);
        if !had.is_empty() {
            wrong.push(format!("header {name}: expected to be removed, and goes on"));
        }
    }
    Ok(())
}
