//! A file of expectations: `config`, and for each expectation a name, a request and what is expected.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use modelgate_engine::routing::Operation;
use modelgate_engine::telemetry::Verdict;
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::ask::request::{Asked, Connection};
use crate::ask::{access_log, curl, time};

/// A file.
#[derive(Debug, Default)]
pub struct File {
    /// The configuration, relative to the file.
    pub config: Option<PathBuf>,
    /// Which one of several.
    pub resource: Option<String>,
    /// Key sets by issuer, relative to the file.
    pub jwks: Vec<(String, PathBuf)>,
    /// Whether tokens of other issuers whose keys are fetched are taken for signed.
    pub assume_verified: bool,
    /// When requests come.
    pub at: Option<u64>,
    /// What is expected.
    pub expectations: Vec<Expectation>,
}

/// One expectation.
#[derive(Debug)]
pub struct Expectation {
    /// Its name.
    pub name: String,
    /// The request, without credentials.
    pub asked: Asked,
    /// A file with the body.
    pub body_file: Option<PathBuf>,
    /// A token, or a file behind `@`.
    pub token: Option<String>,
    /// Claims in the place of a token.
    pub claims: Option<Map<String, Value>>,
    /// An API key.
    pub key: Option<String>,
    /// What is expected.
    pub expect: Expect,
}

/// What is expected; what is absent may be anything.
#[derive(Debug, Default)]
pub struct Expect {
    /// The verdict.
    pub decision: Option<String>,
    /// The status of the gateway's own answer.
    pub status: Option<u32>,
    /// `namespace/name`, or `none`.
    pub model: Option<String>,
    /// The operation, or `none`.
    pub operation: Option<String>,
    /// The policy or bypass that decides, or `none`.
    pub policy: Option<String>,
    /// The rule of it.
    pub rule: Option<usize>,
    /// Who calls, or `none`.
    pub principal: Option<String>,
    /// The variant, or `none`.
    pub variant: Option<String>,
    /// The shadows that get a copy, all of them.
    pub shadows: Option<Vec<String>>,
    /// The path that goes upstream.
    pub path: Option<String>,
    /// The host that goes upstream.
    pub host: Option<String>,
    /// Headers that go upstream with these values.
    pub set: Vec<(String, String)>,
    /// Headers of the client's that do not.
    pub removed: Vec<String>,
}

impl File {
    /// Reads the text.
    ///
    /// # Errors
    ///
    /// It is not YAML, or holds something that is no expectation.
    pub fn read(text: &str) -> Result<Self> {
        let value: Value = serde_saphyr::from_str(text)
            .map_err(|error| anyhow::anyhow!("it is not YAML: {}", error.without_snippet()))?;
        if let Value::Array(items) = value {
            return Ok(Self { expectations: expectations(items, "")?, ..Self::default() });
        }
        ensure!(value.is_object(), "it holds neither expectations nor fields");
        let mut fields = Fields::new(value, "")?;
        let at = fields.text("at")?.map(|at| time::read(&at).context("at")).transpose()?;
        let items = match fields.take("expectations") {
            Some(Value::Array(items)) => items,
            _ => bail!("expectations: is missing, or is no list"),
        };
        let file = Self {
            config: fields.text("config")?.map(PathBuf::from),
            resource: fields.text("resource")?,
            jwks: fields.entries("jwks")?.into_iter().map(|(i, set)| (i, set.into())).collect(),
            assume_verified: fields.flag("assumeVerified")?,
            at,
            expectations: expectations(items, "expectations")?,
        };
        fields.end()?;
        Ok(file)
    }
}

fn expectations(items: Vec<Value>, list: &str) -> Result<Vec<Expectation>> {
    let items = items.into_iter().enumerate();
    items.map(|(i, item)| Expectation::read(item, &format!("{list}[{i}]"))).collect()
}

impl Expectation {
    fn read(value: Value, path: &str) -> Result<Self> {
        let mut fields = Fields::new(value, path)?;
        let name = fields.text("name")?;
        let request = fields.take("request");
        let request = request.with_context(|| format!("{path}.request: is missing"))?;
        let expect = fields.take("expect");
        let expect = expect.with_context(|| format!("{path}.expect: is missing"))?;
        let expect = Expect::read(expect, &fields.at("expect"))?;
        let mut read = Self::request(request, &fields.at("request"), expect)?;
        let address = format!("{} {}", read.asked.method(), read.asked.path);
        read.name = name.unwrap_or(address);
        fields.end()?;
        Ok(read)
    }

    fn request(value: Value, path: &str, expect: Expect) -> Result<Self> {
        let mut fields = Fields::new(value, path)?;
        let line = |kind: &'static str, at: String| move || format!("{at}: {kind}");
        let (curl, log) = (fields.text("curl")?, fields.text("accessLog")?);
        let mut asked = match (curl, log) {
            (Some(text), _) => {
                curl::read(&text).with_context(line("no curl line", fields.at("curl")))?
            }
            (None, Some(text)) => {
                let at = fields.at("accessLog");
                access_log::read(&text).with_context(line("no line of an access log", at))?.asked
            }
            (None, None) => Asked::default(),
        };
        let over = |given: Option<String>, field: &mut String| {
            if let Some(given) = given {
                *field = given;
            }
        };
        over(fields.text("method")?, &mut asked.method);
        over(fields.text("path")?, &mut asked.path);
        over(fields.text("host")?, &mut asked.host);
        ensure!(!asked.path.is_empty(), "{}: is missing", fields.at("path"));
        asked.headers.extend(headers(&mut fields)?);
        let body = fields.take("body");
        let mut body_file = None;
        if let Some(body) = body {
            match body {
                Value::String(text) if text.starts_with('@') => {
                    body_file = text.strip_prefix('@').map(PathBuf::from);
                    asked.body = Some(Vec::new());
                }
                Value::String(text) => asked.body = Some(text.into_bytes()),
                other => asked.body = Some(other.to_string().into_bytes()),
            }
            if !asked.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-type")) {
                asked.headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
        }
        connection(&mut fields, &mut asked.connection)?;
        if let Some(at) = fields.text("at")? {
            asked.at = time::read(&at).with_context(|| fields.at("at"))?;
        }
        let claims = match fields.take("claims") {
            None => None,
            Some(Value::Object(claims)) => Some(claims),
            Some(_) => bail!("{}: are no claims by name", fields.at("claims")),
        };
        let (token, key) = (fields.text("token")?, fields.text("key")?);
        ensure!(
            claims.is_none() || token.is_none(),
            "{}: stands beside token, whose claims are its own",
            fields.at("claims")
        );
        fields.end()?;
        Ok(Self { name: String::new(), asked, body_file, token, claims, key, expect })
    }
}

/// Headers, of which one may have several lines.
fn headers(fields: &mut Fields) -> Result<Vec<(String, String)>> {
    let at = fields.at("headers");
    let Some(value) = fields.take("headers") else { return Ok(Vec::new()) };
    let Value::Object(names) = value else { bail!("{at}: are no headers by name") };
    let mut lines = Vec::new();
    for (name, value) in names {
        let values = match value {
            Value::Array(values) => values,
            one => vec![one],
        };
        for value in values {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                _ => bail!("{at}.{name}: is neither a text nor a list of texts"),
            };
            lines.push((name.clone(), text));
        }
    }
    Ok(lines)
}

fn connection(fields: &mut Fields, connection: &mut Connection) -> Result<()> {
    const ADDRESS: &str = "an address, as 192.0.2.1";
    let ip: Option<IpAddr> = fields.parsed("ip", ADDRESS)?;
    let peer_ip: Option<IpAddr> = fields.parsed("peerIp", ADDRESS)?;
    let port: Option<u16> = fields.parsed("port", "a port")?;
    connection.ip = ip.or(connection.ip);
    connection.peer_ip = peer_ip.or(connection.peer_ip);
    connection.port = port.or(connection.port);
    connection.sni = fields.text("sni")?.or_else(|| connection.sni.take());
    connection.peer = fields.text("peer")?.or_else(|| connection.peer.take());
    Ok(())
}

impl Expect {
    fn read(value: Value, path: &str) -> Result<Self> {
        let mut fields = Fields::new(value, path)?;
        let mut expect = Self {
            decision: word(&mut fields, "decision", &decisions(), &[])?,
            status: fields.parsed("status", "a status, as 403")?,
            model: fields.text("model")?,
            operation: word(&mut fields, "operation", Operation::WORDS, &["none"])?,
            policy: fields.text("policy")?,
            rule: fields.parsed("rule", "the number of a rule, from 0")?,
            principal: fields.text("principal")?,
            variant: fields.text("variant")?,
            shadows: fields.texts("shadows")?,
            path: fields.text("path")?,
            host: fields.text("host")?,
            ..Self::default()
        };
        if let Some(headers) = fields.take("headers") {
            let mut headers = Fields::new(headers, &fields.at("headers"))?;
            expect.set = headers.entries("set")?;
            expect.removed = headers.texts("removed")?.unwrap_or_default();
            headers.end()?;
        }
        fields.end()?;
        Ok(expect)
    }
}

/// A field that holds one of these words.
/// What can be expected of one request: the gateway's failures and the requests before, which quotas count, are not at hand.
pub fn decisions() -> Vec<&'static str> {
    let known = Verdict::ALL.iter().filter(|v| !matches!(v, Verdict::Limited | Verdict::Error));
    known.map(|verdict| verdict.as_str()).collect()
}

fn word(
    fields: &mut Fields,
    name: &'static str,
    words: &[&str],
    more: &[&str],
) -> Result<Option<String>> {
    let at = fields.at(name);
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let known: Vec<&str> = words.iter().chain(more).copied().collect();
    ensure!(
        known.contains(&text.as_str()),
        "{at}: is unknown ({text}): one of {}",
        known.join(", ")
    );
    Ok(Some(text))
}
