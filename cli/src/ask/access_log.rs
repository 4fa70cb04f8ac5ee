//! A line of a gateway's access log: Istio's default text format, or JSON with the names that Istio gives the same fields.
//!
//! A log shows a request as it went upstream: a rewritten path is the new one, and no header but those of the format is
//! there, so neither tokens nor keys are.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::request::{Asked, Connection};
use super::time;

/// What a line tells.
#[derive(Debug, Clone, Default)]
pub struct Logged {
    /// The request, as far as it is there.
    pub asked: Asked,
    /// What was answered.
    pub status: Option<u16>,
    /// `%RESPONSE_CODE_DETAILS%`.
    pub details: String,
    /// `%UPSTREAM_CLUSTER_RAW%`.
    pub cluster: String,
    /// Modelgate's own fields, where the format has them: name and value.
    pub decided: Vec<(&'static str, String)>,
}

/// How Envoy begins the details of an answer that the filter gave.
const DENIED: &str = "rbac_access_denied";
const UNAUTHENTICATED: [&str; 2] = ["jwt_authn_access_denied", "api_key_access_denied"];
const REFUSED: [&str; 3] =
    ["modelgate_refused_address", "modelgate_refused_body", "modelgate_large_body"];

/// How the details of a model's own answer read.
const UPSTREAM: &str = "via_upstream";

impl Logged {
    /// A field of modelgate's own.
    pub fn own(&self, name: &str) -> Option<&str> {
        let found = self.decided.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What was decided, by modelgate's own field or by the details of its answer.
    pub fn decision(&self) -> Option<&str> {
        let begins = |starts: &[&str]| starts.iter().any(|start| self.details.starts_with(start));
        match self.own("decision") {
            Some(decision) => Some(decision),
            None if self.details.starts_with(DENIED) => Some("denied"),
            None if begins(&UNAUTHENTICATED) => Some("unauthenticated"),
            None if begins(&REFUSED) => Some("refused"),
            None => None,
        }
    }

    /// Whether a model answered.
    pub fn went_on(&self) -> bool {
        self.details == UPSTREAM
    }
}

/// Fields of filter state, as `wasm.modelgate.model`, by the end of the name that a format gives them.
const OWN: [&str; 6] = ["model", "operation", "decision", "policy", "principal", "shadow"];

/// Istio's names of what is read.
const START: &str = "start_time";

/// Names standard input.
pub const INPUT: &str = "-";

/// Opens a log, or standard input, and says what it is called.
///
/// # Errors
///
/// It cannot be read, or is compressed.
pub fn open(log: &Path) -> Result<(Box<dyn BufRead>, String)> {
    let is_input = log.as_os_str() == INPUT;
    let name = if is_input { "standard input".to_owned() } else { log.display().to_string() };
    let mut reader: Box<dyn BufRead> = if is_input {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(log).with_context(|| format!("{name} cannot be read"))?;
        Box::new(BufReader::with_capacity(1 << 18, file))
    };
    let first = reader.fill_buf().with_context(|| format!("{name} cannot be read"))?;
    let is_compressed = [&[0x1f, 0x8b][..], &[0x28, 0xb5, 0x2f, 0xfd]];
    if is_compressed.iter().any(|magic| first.starts_with(magic)) {
        bail!("{name} is compressed: give `-` what gzip -dc or zstd -dc makes of it");
    }
    Ok((reader, name))
}

/// A line without what is put before it where lines of several containers are gathered: `kubectl logs --prefix` and
/// `--timestamps`, and the files of container runtimes.
fn bare(line: &str) -> &str {
    let mut line = line.trim_start_matches('\u{feff}').trim();
    if let Some((_, rest)) = line.strip_prefix("[pod/").and_then(|rest| rest.split_once("] ")) {
        line = rest;
    }
    if let Some((_, rest)) = line.split_once(' ').filter(|(word, _)| time::read(word).is_ok()) {
        line = rest;
    }
    let of_runtime = ["stdout F ", "stderr F "].iter().find_map(|start| line.strip_prefix(start));
    of_runtime.unwrap_or(line)
}

/// Reads a line.
///
/// # Errors
///
/// It has neither form, or holds no request.
pub fn read(line: &str) -> Result<Logged> {
    let line = bare(line);
    let logged = if line.starts_with('{') {
        json(&serde_json::from_str(line).context("it is not JSON")?)?
    } else {
        text(line)?
    };
    if logged.asked.method.is_empty() || logged.asked.path.is_empty() {
        bail!("it tells of no request: neither method nor path is in it");
    }
    Ok(logged)
}

fn json(fields: &Value) -> Result<Logged> {
    let get = |name: &str| match fields.get(name) {
        Some(Value::String(text)) if text != "-" => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let mut logged = fill(&get)?;
    for name in OWN {
        let found = ["", "modelgate_", "modelgate.", "wasm.modelgate."].iter().find_map(|prefix| {
            Some(get(&format!("{prefix}{name}"))).filter(|value| !value.is_empty())
        });
        logged.decided.extend(found.map(|value| (name, value.trim_matches('"').to_owned())));
    }
    Ok(logged)
}

/// `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS%
/// %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED%
/// %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%"
/// "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS%
/// %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%`
fn text(line: &str) -> Result<Logged> {
    const NAMES: [&str; 22] = [
        START,
        "request",
        "response_code",
        "response_flags",
        "response_code_details",
        "connection_termination_details",
        "upstream_transport_failure_reason",
        "bytes_received",
        "bytes_sent",
        "duration",
        "upstream_service_time",
        "x_forwarded_for",
        "user_agent",
        "request_id",
        "authority",
        "upstream_host",
        "upstream_cluster",
        "upstream_local_address",
        "downstream_local_address",
        "downstream_remote_address",
        "requested_server_name",
        "route_name",
    ];
    let words = words(line);
    let (Some(first), true) = (words.first(), words.len() + 1 >= NAMES.len()) else {
        bail!("it is neither JSON nor in Istio's default format, which has {} fields", NAMES.len());
    };
    if !first.starts_with('[') {
        bail!("it is neither JSON nor in Istio's default format, which begins with [START_TIME]");
    }
    let get = |name: &str| {
        let request = words.get(1).cloned().unwrap_or_default();
        // Only the path can hold blanks.
        let (method, rest) = request.split_once(' ').unwrap_or_default();
        let (path, protocol) = rest.rsplit_once(' ').unwrap_or((rest, ""));
        let found = match name {
            START => first.trim_matches(['[', ']']),
            "method" => method,
            "path" => path,
            "protocol" => protocol,
            _ => {
                let at = NAMES.iter().position(|known| *known == name);
                at.and_then(|at| words.get(at)).map_or("", String::as_str)
            }
        };
        if found == "-" { String::new() } else { found.to_owned() }
    };
    fill(&get)
}

/// Fields between blanks, of which those in quotes may hold blanks.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut open) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                open = true;
            }
            ' ' if !quoted => {
                if std::mem::take(&mut open) {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                open = true;
                word.push(c);
            }
        }
    }
    if open {
        words.push(word);
    }
    words
}

fn fill(get: &dyn Fn(&str) -> String) -> Result<Logged> {
    let ip = |text: &str| {
        let bare = text.rsplit_once(':').map_or(text, |(ip, _)| ip);
        let bare = bare.trim_matches(['[', ']']);
        bare.parse().or_else(|_| text.parse()).ok()
    };
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let mut headers = Vec::new();
    for (field, name) in [
        ("x_forwarded_for", "x-forwarded-for"),
        ("user_agent", "user-agent"),
        ("request_id", "x-request-id"),
    ] {
        headers.extend(some(get(field)).map(|value| (name.to_owned(), value)));
    }
    let local = get("downstream_local_address");
    let peer = ["downstream_peer_uri_san", "peer_uri_san"].iter().find_map(|name| some(get(name)));
    let connection = Connection {
        ip: ip(&get("downstream_remote_address")),
        destination_ip: ip(&local),
        port: local.rsplit_once(':').and_then(|(_, port)| port.parse().ok()),
        sni: some(get("requested_server_name")),
        peer,
        ..Connection::default()
    };
    let at = match get(START) {
        start if start.is_empty() => 0,
        start => time::read(&start)?,
    };
    let asked = Asked {
        method: get("method"),
        path: get("path"),
        host: get("authority"),
        headers,
        connection,
        at,
        ..Asked::default()
    };
    Ok(Logged {
        asked,
        status: get("response_code").parse().ok().filter(|status| *status > 0),
        details: get("response_code_details"),
        cluster: get("upstream_cluster"),
        decided: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"[2026-11-28T20:00:00.123Z] "POST /models/prod/iris:predict?x=1 2 HTTP/1.1" 403 - rbac_access_denied_matched_policy[none] - "-" 12 19 1 - "10.1.2.3,192.0.2.7" "curl/8.5" "7d1f2e1c-0000-4000-8000-000000000001" "models.example.com" "-" outbound|80||iris.prod.svc.cluster.local - 10.0.0.5:8443 192.0.2.7:50412 models.example.com default"#;

    #[test]
    fn both_forms_tell_the_same() {
        let json = r#"{"start_time": "2026-11-28T20:00:00.123Z", "method": "POST", "path": "/models/prod/iris:predict?x=1 2",
            "protocol": "HTTP/1.1", "response_code": 403, "response_code_details": "rbac_access_denied_matched_policy[none]",
            "x_forwarded_for": "10.1.2.3,192.0.2.7", "user_agent": "curl/8.5",
            "request_id": "7d1f2e1c-0000-4000-8000-000000000001", "authority": "models.example.com", "upstream_host": null,
            "upstream_cluster": "outbound|80||iris.prod.svc.cluster.local", "downstream_local_address": "10.0.0.5:8443",
            "downstream_remote_address": "192.0.2.7:50412", "requested_server_name": "models.example.com",
            "modelgate_model": "prod/iris", "wasm.modelgate.decision": "\"denied\""}"#;
        for line in [TEXT, &json.replace('\n', "")] {
            let logged = read(line).expect("a line");
            let asked = &logged.asked;
            assert_eq!(
                (asked.method(), asked.path.as_str()),
                ("POST", "/models/prod/iris:predict?x=1 2")
            );
            assert_eq!((asked.host.as_str(), logged.status), ("models.example.com", Some(403)));
            assert_eq!(asked.at, 1_795_896_000_123_000_000);
            assert_eq!(asked.connection.ip, "192.0.2.7".parse().ok());
            assert_eq!((asked.connection.port, asked.headers.len()), (Some(8443), 3));
            assert_eq!(logged.details, "rbac_access_denied_matched_policy[none]");
        }
        for before in [
            "\u{feff}",
            "[pod/istio-ingressgateway-6d/istio-proxy] ",
            "2026-11-28T20:00:00.123456789Z ",
            "[pod/gateway/istio-proxy] 2026-11-28T20:00:00Z ",
            "2026-11-28T20:00:00.123456789+01:00 stdout F ",
        ] {
            for line in [TEXT, &json.replace('\n', "")] {
                assert_eq!(
                    read(&format!("{before}{line}")).expect(before).asked.host,
                    "models.example.com"
                );
            }
        }
        let logged = read(&json.replace('\n', "")).expect("a line");
        assert_eq!(
            logged.decided,
            [("model", "prod/iris".to_owned()), ("decision", "denied".to_owned())]
        );
    }

    #[test]
    fn other_lines_are_refused() {
        for (line, why) in [
            ("", "neither JSON nor"),
            ("GET / 200", "neither JSON nor"),
            ("{", "not JSON"),
            ("{\"a\": 1}", "no request"),
            (&*TEXT.replace("2026-11-28T", "yesterday"), "not a time"),
        ] {
            let error = read(line).map(|_| ()).expect_err(line);
            assert!(format!("{error:#}").contains(why), "{line}: {error:#}");
        }
    }
}
