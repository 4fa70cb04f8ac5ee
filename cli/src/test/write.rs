//! Expectations of an access log: what the gateway did is what is expected. What a line does not tell is left out, and a
//! comment says so.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::ask::access_log::{self, Logged};

/// Names standard input.
const INPUT: &str = "-";

/// The file of expectations for a log.
///
/// # Errors
///
/// The log cannot be read, or a line of it is none.
pub fn expectations(log: &Path, config: Option<&Path>) -> Result<String> {
    let is_input = log.as_os_str() == INPUT;
    let name = if is_input { "standard input".to_owned() } else { log.display().to_string() };
    let text = if is_input {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(log)
    };
    let text = text.with_context(|| format!("{name} cannot be read"))?;
    let config = config.map_or("gateway.yaml".to_owned(), |config| config.display().to_string());
    let mut out = format!(
        "# Made of an access log. A log tells no credentials: give requests claims, a token or a key where the gateway saw\n\
         # some. It tells the path as it went upstream, so a rewritten one is the new path.\n\
         config: {}\nexpectations:\n",
        json!(config)
    );
    let mut seen = BTreeSet::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let logged = access_log::read(line)
            .with_context(|| format!("{name}, line {}", i.saturating_add(1)))?;
        let expectation = expectation(&logged);
        // The same again tells nothing new.
        if seen.insert(expectation.clone()) {
            out.push_str(&expectation);
        }
    }
    ensure!(!seen.is_empty(), "{name} holds no line");
    Ok(out)
}

/// One expectation, as a list's element.
fn expectation(logged: &Logged) -> String {
    let asked = &logged.asked;
    let own = |name: &str| logged.own(name);
    let decision = logged.decision();
    let is_own_answer = matches!(decision, Some("denied" | "unauthenticated" | "refused"));
    let status = logged.status.filter(|_| is_own_answer);
    let said = decision.unwrap_or("goes on");
    let path = asked.path.split(['?', '#']).next().unwrap_or_default();
    let mut out = String::new();
    let mut field = |indent: usize, name: &str, value: &Value| {
        let _ = writeln!(out, "{:indent$}{name}: {value}", "");
    };
    field(0, "- name", &json!(format!("{} {}{path}: {said}", asked.method, asked.host)));
    field(2, "request", &Value::Null);
    field(4, "method", &json!(asked.method));
    field(4, "path", &json!(asked.path));
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
    // The last / splits, as in Istio.
    let principal = own("principal").and_then(|principal| principal.rsplit_once('/'));
    match principal {
        Some(("apikey", name)) => {
            let _ = writeln!(out, "    # key: the API key of {name}, which the log does not tell");
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
            let _ = writeln!(out, "    decision: {decision}");
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
