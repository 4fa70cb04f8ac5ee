//! The same request to a running gateway, and both answers side by side.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Request;
use ureq::tls::{RootCerts, TlsConfig};

use crate::ask::decided::Decided;
use crate::ask::json::challenge;
use crate::ask::request::Asked;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most of an answer that is read.
const MOST_BYTES: u64 = 1 << 20;

/// Statuses with which modelgate answers in a model's stead.
const OWN: [u16; 5] = [400, 401, 403, 413, 503];

/// What is compared: its name, what `decide` says, and what the gateway says, where it says something.
type Row = (&'static str, String, Option<String>);

/// Both answers.
#[derive(Debug)]
pub struct Beside {
    url: String,
    rows: Vec<Row>,
}

/// Scheme and authority of a gateway's address.
fn address(url: &str) -> Result<(&str, &str)> {
    let parts = url.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme));
    parts.map(|(scheme, rest)| (scheme, rest.split('/').next().unwrap_or(rest))).with_context(
        || {
            format!(
                "--gateway {url}: it is no address: http:// or https://, as http://localhost:8080"
            )
        },
    )
}

/// Gives a request the scheme and the host that it has on its way to this gateway, where it has none of its own.
///
/// # Errors
///
/// The address is none.
pub fn complete(url: &str, asked: &mut Asked) -> Result<()> {
    let (scheme, authority) = address(url)?;
    for (own, of_url) in [(&mut asked.scheme, scheme), (&mut asked.host, authority)] {
        if own.is_empty() {
            of_url.clone_into(own);
        }
    }
    Ok(())
}

/// Asks the gateway.
///
/// # Errors
///
/// It cannot be reached, or the request cannot be sent.
pub fn ask(url: &str, asked: &Asked, decided: &Decided) -> Result<Beside> {
    let answer = send(url, asked).with_context(|| url.to_owned())?;
    let reply = decided.decision.reply();
    let goes_on = "from the model".to_owned();
    // A local reply has no upstream's time, and one of these statuses.
    let is_own = answer.upstream_time.is_none() && OWN.contains(&answer.status);
    let mut rows = vec![(
        "answered by",
        reply.map_or(goes_on.clone(), |_| "the gateway".to_owned()),
        Some(if is_own { "the gateway".to_owned() } else { goes_on }),
    )];
    if let Some(reply) = reply {
        let own = reply.www_authenticate.as_deref().map(challenge).unwrap_or_default();
        rows.push(("status", reply.code.to_string(), Some(answer.status.to_string())));
        rows.push(("body", reply.body.to_owned(), Some(answer.body)));
        rows.push(("www-authenticate", own, Some(challenge(&answer.challenge))));
        rows.push(("details", reply.details.clone(), answer.details));
    } else {
        rows.push(("status", "the model's".to_owned(), None));
        let cookie = decided.set_cookie.as_deref().map(String::from_utf8_lossy);
        let set = if answer.sets_cookie { "yes" } else { "no" };
        if cookie.is_some() {
            rows.push(("sets a cookie", "yes".to_owned(), Some(set.to_owned())));
        }
    }
    Ok(Beside { url: url.to_owned(), rows })
}

struct Answer {
    status: u16,
    body: String,
    challenge: String,
    details: Option<String>,
    upstream_time: Option<String>,
    sets_cookie: bool,
}

fn send(url: &str, asked: &Asked) -> Result<Answer> {
    let base = url.trim_end_matches('/');
    let lines = asked.lines()?;
    let text = |wanted: &[u8]| {
        let found = lines.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let mut request = Request::builder()
        .method(text(b":method").as_str())
        .uri(format!("{base}{}", text(b":path")));
    let host = text(b":authority");
    if !host.is_empty() {
        request = request.header("host", host);
    }
    for (name, value) in lines.iter().filter(|(name, _)| !name.starts_with(b":")) {
        if name != b"content-length" {
            request = request.header(name.as_slice(), value.as_slice());
        }
    }
    let provider = rustls::crypto::ring::default_provider();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider.into())
        .build();
    let agent: Agent = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .build()
        .into();
    let mut answer = match &asked.body {
        Some(body) => agent.run(request.body(body.as_slice())?)?,
        None => agent.run(request.body(())?)?,
    };
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let challenge = header("www-authenticate").unwrap_or_default();
    let details = header("x-envoy-response-code-details");
    let upstream_time = header("x-envoy-upstream-service-time");
    let sets_cookie = answer.headers().contains_key("set-cookie");
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(MOST_BYTES).lossy_utf8(true).read_to_string();
    let body = body.unwrap_or_default();
    Ok(Answer { status, body, challenge, details, upstream_time, sets_cookie })
}

impl Beside {
    /// Whether nothing that both tell differs.
    pub fn is_alike(&self) -> bool {
        self.rows.iter().all(differs_not)
    }

    /// Both, in columns.
    pub fn text(&self, is_colored: bool) -> String {
        let mut out = format!("\n{:17} {:40} {}\n", "", "decide", self.url);
        for row in &self.rows {
            let (name, ours, theirs) = row;
            let theirs = theirs.as_deref().unwrap_or("(not told)");
            let cut = |text: &str| -> String {
                let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
                plain.take(200).collect()
            };
            let mark = if differs_not(row) { ' ' } else { '\u{2260}' };
            let line = format!("{mark} {name:15} {:40} {}", cut(ours), cut(theirs));
            let line = line.trim_end();
            let _ = match is_colored && mark != ' ' {
                true => writeln!(out, "\u{1b}[31m{line}\u{1b}[0m"),
                false => writeln!(out, "{line}"),
            };
        }
        out
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let (name, decide, gateway) = row;
            json!({"what": name, "decide": decide, "gateway": gateway, "differs": !differs_not(row)})
        });
        json!({"url": self.url, "alike": self.is_alike(), "compared": rows.collect::<Vec<_>>()})
    }
}

fn differs_not((_, ours, theirs): &Row) -> bool {
    theirs.as_ref().is_none_or(|theirs| ours == theirs)
}
