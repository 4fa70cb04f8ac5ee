//! Expectations of an access log: what the gateway did is what is expected. What a line does not tell is left out, and a
//! comment says so.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use modelgate_engine::telemetry::Verdict;
use serde_json::{Value, json};

use crate::ask::access_log::{self, Logged};
use crate::ask::json::path;

/// The longest line that is read.
const LONGEST: u64 = 1 << 16;

/// The file of expectations for a log, and what has to be said of the log.
///
/// # Errors
///
/// The log cannot be read, or no line of it is one.
pub fn expectations(log: &Path, config: Option<&Path>) -> Result<(String, Option<String>)> {
    let (mut reader, name) = access_log::open(log)?;
    let config = config.map_or("gateway.yaml".to_owned(), |config| config.display().to_string());
    let mut out = format!(
        "# Made of an access log. A log tells no credentials: give requests claims, a token or a key where the gateway saw\n\
         # some. It tells the path as it went upstream, so a rewritten one is the new path.\n\
         config: {}\nexpectations:\n",
        json!(config)
    );
    let (mut seen, mut number, mut others) = (BTreeSet::new(), 0_u64, 0_u64);
    let mut first = None;
    while let Some(line) = next(&mut reader).with_context(|| format!("{name} cannot be read"))? {
        number = number.saturating_add(1);
        if line.trim().is_empty() {
            continue;
        }
        match access_log::read(&line) {
            Ok(logged) => {
                let expectation = expectation(&logged);
                // The same again tells nothing new.
                if seen.insert(expectation.clone()) {
                    out.push_str(&expectation);
                }
            }
            // A gateway's output holds other lines besides.
            Err(error) => {
                others = others.saturating_add(1);
                first.get_or_insert(format!("{name}, line {number}: {error:#}"));
            }
        }
    }
    match (seen.is_empty(), first) {
        (false, None) => Ok((out, None)),
        (false, Some(first)) => {
            let what =
                if others == 1 { "1 line is".to_owned() } else { format!("{others} lines are") };
            Ok((out, Some(format!("{what} passed over, as no line of an access log: {first}"))))
        }
        (true, None) => bail!("{name} holds no line"),
        (true, Some(first)) => bail!("no line is one of an access log: {first}"),
    }
}

/// The next line, without what is too long in it, which then cannot be read.
fn next(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// One expectation, as a list's element.
fn expectation(logged: &Logged) -> String {
    let asked = &logged.asked;
    // What a quota stops was allowed, by a policy that the log does not name: an expectation is of one request.
    let is_over = logged.decision() == Some(Verdict::Limited.as_str());
    let own = |name: &str| logged.own(name).filter(|_| !is_over || name != "policy");
    let decision =
        logged.decision().map(|said| if is_over { Verdict::Allowed.as_str() } else { said });
    let is_own_answer = matches!(decision, Some("denied" | "unauthenticated" | "refused"));
    let status = logged.status.filter(|_| is_own_answer);
    let said = decision.unwrap_or("goes on");
    let path = path(&asked.path);
    let mut out = String::new();
    let mut field = |indent: usize, name: &str, value: &Value| {
        let _ = writeln!(out, "{:indent$}{name}: {value}", "");
    };
    field(0, "- name", &json!(format!("{} {}{path}: {said}", asked.method, asked.host)));
    field(2, "request", &Value::Null);
    field(4, "method", &json!(asked.method));
    field(4, "path", &json!(path));
    if !asked.host.is_empty() {
        field(4, "host", &json!(asked.host));
    }
    if let Some(ip) = asked.connection.ip {
        field(4, "ip", &json!(ip));
    }
    if let Some(port) = asked.connection.port {
        field(4, "port", &json!(port));
    }
    if let Some(peer) = &asked.connection.peer {
        field(4, "peer", &json!(peer));
    }
    if path.len() < asked.path.len() {
        out.push_str("    # the query is left out: it may hold a token\n");
    }
    // The last / splits, as in Istio.
    let principal = own("principal").and_then(|principal| principal.rsplit_once('/'));
    match principal {
        Some(("apikey", name)) => {
            let _ = writeln!(
                out,
                "    # key: the API key of {}, which the log does not tell",
                name.escape_debug()
            );
        }
        Some((issuer, subject)) => {
            let claims = json!({"iss": issuer, "sub": subject});
            let _ = writeln!(out, "    claims: {claims} # and others, which the log does not tell");
        }
        None => out.push_str("    # claims: the log does not tell who called\n"),
    }
    expected(&mut out, logged, decision, status, &own);
    out.replace("request: null", "request:")
}

fn expected<'l>(
    out: &mut String,
    logged: &Logged,
    decision: Option<&str>,
    status: Option<u16>,
    own: &dyn Fn(&str) -> Option<&'l str>,
) {
    out.push_str("  expect:\n");
    match decision {
        Some(decision) => {
            let _ = writeln!(out, "    decision: {}", decision.escape_debug());
        }
        None if logged.went_on() => {
            out.push_str("    decision: allowed # it went on, by a policy, a bypass or as another application's\n");
        }
        None => out.push_str("    # decision: the log does not tell\n"),
    }
    if let Some(status) = status {
        let _ = writeln!(out, "    status: {status}");
    }
    for name in ["model", "operation", "policy"] {
        if let Some(value) = own(name) {
            let _ = writeln!(out, "    {name}: {}", json!(value));
        } else if name != "policy" {
            let _ = writeln!(out, "    # {name}: the log does not tell");
        }
    }
    // `rbac_access_denied_matched_policy[ns[prod]-policy[x]-rule[0]]`
    if own("policy").is_none()
        && let Some((namespace, rest)) =
            logged.details.split_once("ns[").and_then(|(_, rest)| rest.split_once("]-policy["))
        && let Some((policy, _)) = rest.split_once("]-rule[")
    {
        let slash = if namespace.is_empty() { "" } else { "/" };
        let _ = writeln!(out, "    policy: {}", json!(format!("{namespace}{slash}{policy}")));
    }
    if let Some(shadows) = own("shadow") {
        let names: Vec<&str> = shadows.split(',').collect();
        let _ = writeln!(out, "    shadows: {}", json!(names));
    }
}
