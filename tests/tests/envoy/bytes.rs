//! Every byte that HTTP/2 can carry in a field, where HTTP/1 and most clients cannot send it: none stops
//! the module, none makes a decision another one or hides a credential from it, and none leads to another
//! model than the one that was decided on.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::gateway::{Cluster, Gateway, Running};
use testbed::seldon::Deployment;
use testbed::tokens::{Issuer, with};
use testbed::upstream::{Received, Upstream};
use testbed::wasmplugin::WasmPlugin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::site::{FRIENDLY, PREDICTIONS, config};

/// Opens a connection, and says that nothing is to be indexed in answers.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x01\0\0\0\0";

/// Types of frames (RFC 9113 §6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 5;

/// Sends a request of these fields over a connection of its own: its status, or none where the proxy
/// resets the stream or hangs up.
async fn send(to: SocketAddr, fields: &Fields) -> Result<Option<u16>> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // Literal without indexing, with a name of its own (RFC 7541 §6.2.2).
        block.push(0);
        for text in [name, value] {
            length(text.len(), &mut block);
            block.extend_from_slice(text);
        }
    }
    let size = u32::try_from(block.len())?.to_be_bytes();
    let frame = [&size[1..], &[HEADERS, WHOLE, 0, 0, 0, 1], &block].concat();
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(&[PREFACE, &frame].concat()).await?;
    let answer = tokio::time::timeout(Duration::from_secs(10), status(&mut stream));
    answer.await.context("no answer in time")?
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(length: usize, out: &mut Vec<u8>) {
    if length < 127 {
        return out.push(length as u8);
    }
    out.push(127);
    let mut rest = length - 127;
    while rest > 127 {
        out.push((rest & 127) as u8 | 128);
        rest >>= 7;
    }
    out.push(rest as u8);
}

async fn status(stream: &mut TcpStream) -> Result<Option<u16>> {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Ok(None);
        }
        let size = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut frame = vec![0; size];
        if stream.read_exact(&mut frame).await.is_err() {
            return Ok(None);
        }
        match head[3] {
            HEADERS => return first_field(&frame).map(Some),
            RST_STREAM | GOAWAY => return Ok(None),
            _ => {}
        }
    }
}

/// The status, which is the first field of an answer.
fn first_field(block: &[u8]) -> Result<u16> {
    // Behind a change of the table's size (RFC 7541 §6.3).
    let sizes = block.iter().take_while(|byte| **byte >> 5 == 1).count();
    let (_, field) = block.split_at(sizes);
    Ok(match field {
        // From the static table (RFC 7541, appendix A).
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x08 | 0x18 | 0x48, size, text @ ..] => {
            let text = text.get(..usize::from(size & 0x7f)).context("a status without its end")?;
            if size & 0x80 == 0 { std::str::from_utf8(text)?.parse()? } else { digits(text)? }
        }
        other => bail!("no status in {other:x?}"),
    })
}

/// Three digits in the code of RFC 7541, appendix B: 0 to 2 have five bits, the others six.
fn digits(text: &[u8]) -> Result<u16> {
    let bits = text.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)));
    let (mut number, mut code, mut count) = (0, 0, 0);
    for bit in bits {
        (code, count) = (code << 1 | bit, count + 1);
        let digit = match (count, code) {
            (5, 0..=2) => code,
            (6, 25..=31) => code - 22,
            (6.., _) => bail!("no digit in {text:x?}"),
            _ => continue,
        };
        (number, code, count) = (number * 10 + digit, 0, 0);
        if number >= 100 {
            return Ok(u16::try_from(number)?);
        }
    }
    bail!("no status in {text:x?}")
}

/// The gateway with iris, which everybody may ask, and fraud, which nobody may.
struct Models {
    gateway: Running,
    iris: Upstream,
    fraud: Upstream,
    website: Upstream,
}

/// An API key.
const KEY: &str = "mg_0123456789abcdef0123456789abcdef";

/// Its SHA-256.
const KEY_HASH: &str = "1ae20252c29e0c21ed2ccf9fce2a5ee2f8f05acf1be741073df8744c862a9554";

/// The byte of a request, for who receives it.
const BYTE: &str = "x-byte";

fn settings() -> Result<Value> {
    let headers = json!([{"name": "authorization", "prefix": "Bearer "}, {"name": "x-token"}]);
    let rule = with(Issuer::shared()?.rule(), "fromHeaders", headers);
    let rule = with(rule, "fromCookies", json!(["session"]));
    let rule = with(rule, "fromParams", json!(["access_token"]));
    let rule = with(rule, "outputClaimToHeaders", json!([{"header": "x-user", "claim": "sub"}]));
    let deny = |header: &str, value: &str| {
        let key = format!("request.headers[{header}]");
        json!({
            "name": header, "action": "DENY", "rules": [{"when": [{"key": key, "values": [value]}]}],
        })
    };
    config(json!({
        "authentication": {
            "jwtRules": [rule], "apiKeys": {"keys": [{"name": "batch", "sha256": KEY_HASH}]},
        },
        "authorization": {"defaultAction": "DENY", "policies": [
            deny("x-any", "*"), deny("x-start", "a*"), deny("x-end", "*z"),
            {"name": "iris", "models": ["prod/iris"], "rules": [{}]},
            {"name": "web", "rules": [{"to": [{"operation": {"paths": ["/web*"]}}]}]},
        ]},
        "targets": {"families": ["seldon-v1"]},
    }))
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A prediction of iris with one field more, or one of its own replaced.
fn with_field(name: &[u8], value: &[u8]) -> Fields {
    let mut fields: Fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "models.example.com"),
        (":path", PREDICTIONS),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    match fields.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value.into(),
        None => fields.push((name.into(), value.into())),
    }
    fields
}

/// What came of a request with a byte.
struct Outcome {
    byte: u8,
    /// None where the proxy reset it.
    status: Option<u16>,
    /// Who received it, and what.
    received: Vec<(&'static str, Received)>,
}

impl Outcome {
    /// Whether this text reached somebody.
    fn shows(&self, text: &str) -> bool {
        let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        self.received.iter().any(|(_, request)| {
            request.path.contains(text) || request.headers.iter().any(|(_, value)| holds(value))
        })
    }

    /// The user that iris was told of; `-` for none, and nothing where it was not asked.
    fn user(&self) -> Option<String> {
        let (_, request) = self.received.iter().find(|(name, _)| *name == "iris")?;
        Some(request.header("x-user").unwrap_or_else(|| "-".to_owned()))
    }
}

impl Models {
    async fn start() -> Result<Self> {
        let iris = Upstream::echo("iris").await?;
        let fraud = Upstream::echo("fraud").await?;
        let website = Upstream::echo("website").await?;
        let gateway = Gateway::new()
            .extension(&WasmPlugin::with_config(settings()?)?.under_test()?)
            .deployment(&Deployment::single("prod", "iris", iris.address()))
            .deployment(&Deployment::single("prod", "fraud", fraud.address()))
            .cluster(Cluster::http1("website", website.address()))
            .prefix("/", "website")
            .start()
            .await?;
        Ok(Self { gateway, iris, fraud, website })
    }

    /// What came of a request with each byte but NUL, which ends a text for many.
    async fn each(&self, make: impl Fn(u8) -> Fields) -> Result<Vec<Outcome>> {
        let mut sent = JoinSet::new();
        for byte in 1..=u8::MAX {
            let mut fields = make(byte);
            fields.push((BYTE.into(), byte.to_string().into()));
            let to = self.gateway.address;
            sent.spawn(async move { send(to, &fields).await.map(|status| (byte, status)) });
        }
        let mut outcomes = Vec::new();
        while let Some(done) = sent.join_next().await {
            let (byte, status) = done??;
            outcomes.push(Outcome { byte, status, received: Vec::new() });
        }
        outcomes.sort_unstable_by_key(|outcome| outcome.byte);
        for (name, upstream) in
            [("iris", &self.iris), ("fraud", &self.fraud), ("website", &self.website)]
        {
            for request in upstream.received() {
                let byte: u8 = request.header(BYTE).context("a request of nobody")?.parse()?;
                let outcome = outcomes.iter_mut().find(|outcome| outcome.byte == byte);
                outcome.context("a request of nobody")?.received.push((name, request));
            }
            upstream.forget();
        }
        Ok(outcomes)
    }
}

/// Bytes that a value may hold (RFC 9110 §5.5): nothing else comes through.
fn is_legal(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// A character of a token, or a dot in it.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

/// What has to come of a request.
#[derive(Debug, PartialEq)]
struct Want {
    status: u16,
    user: Option<&'static str>,
    /// Whether the token reaches the model: in a cookie of another name.
    shown: bool,
}

const ALICE: Want = Want { status: 200, user: Some("alice"), shown: false };
const NOBODY: Want = Want { status: 200, user: Some("-"), shown: false };
const OTHER_COOKIE: Want = Want { shown: true, ..NOBODY };

fn refused(status: u16) -> Want {
    Want { status, user: None, shown: false }
}

/// What some server takes for a blank, a quote or a comma around a cookie's name: Python strips 0x85 and
/// 0xa0, and where it reads UTF-8 what these end.
fn is_around_cookies(byte: u8) -> bool {
    b"\t \",".contains(&byte) || !byte.is_ascii()
}

#[tokio::test]
async fn no_byte_of_a_value_makes_another_decision() -> Result<()> {
    let models = Models::start().await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    type Wanted<'w> = &'w dyn Fn(u8) -> Want;
    let rows: [(&str, &str, &str, Wanted<'_>); 18] = [
        ("x-any", "", "", &|_| refused(403)),
        ("x-start", "a", "", &|_| refused(403)),
        ("x-end", "", "z", &|_| refused(403)),
        ("x-odd", "", "", &|_| NOBODY),
        ("x-forwarded-for", "", "192.0.2.1", &|_| NOBODY),
        ("x-request-id", "a", "", &|_| NOBODY),
        ("content-type", "application/json", "", &|_| NOBODY),
        ("authorization", "Bearer TOKEN", "", &|_| refused(401)),
        ("authorization", "Bearer ", "TOKEN", &|byte| match is_of_token(byte) {
            true => refused(401),
            false => ALICE,
        }),
        ("authorization", "Bearer", "TOKEN", &|byte| if byte == b' ' { ALICE } else { NOBODY }),
        ("authorization", "", "Bearer TOKEN", &|_| ALICE),
        ("x-token", "TOKEN", "", &|_| refused(401)),
        ("x-token", "", "TOKEN", &|_| refused(401)),
        ("cookie", "session=TOKEN", "", &|byte| if byte == b';' { ALICE } else { refused(401) }),
        ("cookie", "session", "=TOKEN", &|byte| match byte {
            b'=' => refused(401),
            _ if is_around_cookies(byte) => NOBODY,
            _ => OTHER_COOKIE,
        }),
        ("cookie", "a=1;", "session=TOKEN", &|byte| match byte {
            b' ' | b';' => ALICE,
            _ if is_around_cookies(byte) => NOBODY,
            _ => OTHER_COOKIE,
        }),
        ("x-api-key", KEY, "", &|_| refused(401)),
        ("x-api-key", "", KEY, &|_| refused(401)),
    ];
    for (name, before, behind, want) in rows {
        let value = |byte| {
            let [before, behind] = [before, behind].map(|text| text.replace("TOKEN", &token));
            with_field(name.as_bytes(), &[before.as_bytes(), &[byte], behind.as_bytes()].concat())
        };
        for outcome in models.each(value).await? {
            let Outcome { byte, status, .. } = outcome;
            let user = outcome.user();
            let right = match is_legal(byte) {
                true => {
                    let want = want(byte);
                    status == Some(want.status)
                        && user.as_deref() == want.user
                        && outcome.shows(&token) == want.shown
                }
                // The proxy itself resets it.
                false => status.is_none() && outcome.received.is_empty(),
            };
            ensure!(right, "{name}: {before}{byte:#x}{behind}: {status:?} {:?}", outcome.received);
        }
    }
    let failures = models.gateway.envoy.wasm_failures().await?;
    ensure!(failures.is_empty(), "the module failed: {failures:?}");
    Ok(())
}

#[tokio::test]
async fn no_byte_of_an_address_leads_to_another_model() -> Result<()> {
    let models = Models::start().await?;
    let tail = "/api/v1.0/predictions";
    let grpc = "/seldon.protos.Seldon/Predict";
    let rows: [(&str, String, String); 12] = [
        (":path", PREDICTIONS.to_owned(), String::new()),
        (":path", FRIENDLY.to_owned(), String::new()),
        (":path", "/models/prod/iris".to_owned(), ":predict".to_owned()),
        (":path", "/seldon/prod/iris/..".to_owned(), format!("/fraud{tail}")),
        (":path", "/seldon/prod/iris".to_owned(), format!("/../fraud{tail}")),
        (":path", "/seldon/prod".to_owned(), format!("fraud{tail}")),
        (":path", "/seldon/prod/fraud".to_owned(), tail.to_owned()),
        (":path", String::new(), format!("/seldon/prod/fraud{tail}")),
        (":path", "/web".to_owned(), format!("/../seldon/prod/fraud{tail}")),
        ("seldon", String::new(), "fraud".to_owned()),
        ("seldon", "iris".to_owned(), "fraud".to_owned()),
        ("namespace", "prod".to_owned(), String::new()),
    ];
    for (name, before, behind) in rows {
        let fields = |byte| {
            let value = [before.as_bytes(), &[byte], behind.as_bytes()].concat();
            let mut fields = with_field(name.as_bytes(), &value);
            if name != ":path" {
                fields[3].1 = grpc.into();
                let other =
                    if name == "seldon" { ("namespace", "prod") } else { ("seldon", "fraud") };
                fields.push((other.0.into(), other.1.into()));
            }
            fields
        };
        for outcome in models.each(fields).await? {
            let is_right = |(to, request): &(&str, Received)| {
                let path = request.path.split('?').next().unwrap_or_default();
                match *to {
                    "iris" => path.trim_end_matches('/') == tail,
                    "website" => path.starts_with("/web") && !path.contains("/../"),
                    _ => false,
                }
            };
            ensure!(
                outcome.received.iter().all(is_right)
                    && matches!(outcome.status, None | Some(200 | 400 | 403 | 404)),
                "{name}: {before}{:#x}{behind}: {:?} {:?}",
                outcome.byte,
                outcome.status,
                outcome.received
            );
        }
    }
    let failures = models.gateway.envoy.wasm_failures().await?;
    ensure!(failures.is_empty(), "the module failed: {failures:?}");
    Ok(())
}
