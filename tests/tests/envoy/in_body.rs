//! Models that bodies name: what is decided of a request before the server has a byte of its body.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::gateway::{Cluster, Gateway, Running, route_to};
use testbed::streams::{Message, Mirror};
use testbed::upstream::Upstream;
use testbed::wasmplugin::WasmPlugin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

const SETTINGS: &str = include_str!("../../../engine/src/pipeline/tests/bodies.json");
const ROWS: &str = include_str!("../../../engine/src/pipeline/tests/bodies.txt");

const CHAT: &str = "/v1/chat/completions";

const TWICE: &str = r#"{"model":"meta-llama/x","model":"secret"}"#;

const DENIED: &str = "RBAC: access denied";

/// Whoever calls may use one model and one adapter, and list them.
fn settings(more: &Value) -> Value {
    let mut settings = json!({
        "targets": {
            "families": ["openai", "seldon-v1"],
            "openai": [{"namespace": "llm", "hosts": ["models.example.com"]}],
            "bodyModels": ["prod/llama"],
            "body": {"maxKept": "64KiB"},
        },
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "one", "models": ["llm/meta-llama/*", "prod/llama/mine"], "rules": [{}]},
            {"name": "list", "rules": [{"to": [{"operation": {"operations": ["metadata"]}}]}]},
            {"name": "no", "action": "DENY", "rules": [{"when": [{"key": "request.headers[x-no]", "values": ["*"]}]}]},
        ]},
    });
    if let (Some(settings), Some(more)) = (settings.as_object_mut(), more.as_object()) {
        settings.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    settings
}

/// A gateway before a server that answers as soon as it has the headers.
struct Site {
    mirror: Mirror,
    gateway: Running,
}

impl Site {
    async fn start(more: Value) -> Result<Self> {
        let mirror = Mirror::start().await?;
        let gateway = Gateway::new()
            .extension(&WasmPlugin::with_config(settings(&more))?.under_test()?)
            .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
            .cluster(Cluster::http1("live", mirror.address()))
            .start()
            .await?;
        Ok(Self { mirror, gateway })
    }

    /// What the server has got of requests before the one that has this body, which is let in.
    async fn received_before(&self, last: &str) -> Result<Vec<Message>> {
        ensure!(send(self.gateway.address, &post(CHAT, ""), &[last.as_bytes()]).await?.0 == 200);
        let mut received = Vec::new();
        loop {
            let request = self.received().await?;
            if request.body == last.as_bytes() {
                return Ok(received);
            }
            received.push(request);
        }
    }

    /// What the server has got of the one request that came last.
    async fn received(&self) -> Result<Message> {
        self.mirror.take(1).await?.pop().context("nothing came")
    }
}

/// Sends a request of which the body comes in pieces, each some time after the one before. Status and body.
async fn send(to: SocketAddr, head: &str, pieces: &[&[u8]]) -> Result<(u16, Vec<u8>)> {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = stream.split();
        let head = format!("{head}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
        let write = async {
            // A server that has refused the request may stop reading it: its answer is what counts.
            let _ = writer.write_all(head.as_bytes()).await;
            for piece in pieces {
                tokio::time::sleep(Duration::from_millis(2)).await;
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                let _ = writer.write_all(&chunk).await;
            }
            let _ = writer.write_all(b"0\r\n\r\n").await;
        };
        let mut answer = Vec::new();
        let read = async {
            // A proxy that has not read the whole request waits before it closes.
            while !is_whole(&answer) && reader.read_buf(&mut answer).await? > 0 {}
            anyhow::Ok(())
        };
        let (_, read) = tokio::join!(write, read);
        // An answer to a request that was not read to its end may end with a reset.
        ensure!(read.is_ok() || !answer.is_empty(), "no answer");
        Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), exchange)
        .await
        .context("no answer in time")??;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").context("no head")?;
    let (head, body) = answer.split_at(end + 4);
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let body = if head.contains("chunked") { unchunked(body) } else { body.to_vec() };
    Ok((status, body))
}

/// Whether an answer has as many bytes as it says.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| length.parse().is_ok_and(|length: usize| body.len() >= length))
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|w| w == b"\r\n") {
        let size = body.get(..end).and_then(|line| std::str::from_utf8(line).ok());
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        whole.extend_from_slice(body.get(end + 2..end + 2 + size).unwrap_or_default());
        body = body.get(end + 4 + size..).unwrap_or_default();
    }
    whole
}

/// A request of the server's host; those of deployments are of another.
fn post(path: &str, more: &str) -> String {
    let host = if path.starts_with("/v1/") { "models.example.com" } else { "gateway.example.com" };
    format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json{more}")
}

fn chat(model: &str) -> String {
    json!({"messages": [{"role": "user", "content": "Why is the sky blue?"}], "model": model})
        .to_string()
}

#[tokio::test]
async fn a_body_goes_on_once_it_names_a_model_that_the_caller_may_use() -> Result<()> {
    let site = Site::start(json!({})).await?;
    let to = site.gateway.address;
    let long = "x".repeat(40_000);
    let late = format!(r#"{{"prompt": "{long}", "model": "meta-llama/Llama-3.1-8B-Instruct"}}"#);
    let early = format!(r#"{{"model": "meta-llama/x", "prompt": "{}"}}"#, "y".repeat(3_000_000));
    for body in [chat("meta-llama/Llama-3.1-8B-Instruct"), late, early] {
        for size in [1, 7, 1000, 16_384, usize::MAX] {
            if body.len() / size > 3000 {
                continue;
            }
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size.min(body.len())).collect();
            let (status, answer) = send(to, &post(CHAT, ""), &pieces).await?;
            assert_eq!(status, 200, "{} bytes by {size}: {}", body.len(), answer.escape_ascii());
            assert_eq!(
                site.received().await?.body,
                body.as_bytes(),
                "{} bytes by {size}",
                body.len()
            );
            assert_eq!(answer, body.as_bytes(), "{} bytes by {size}", body.len());
        }
    }
    // An adapter of a deployment.
    let adapter = "/seldon/prod/llama/v1/completions";
    let (status, _) = send(to, &post(adapter, ""), &[chat("mine").as_bytes()]).await?;
    assert_eq!(status, 200);
    site.received().await?;
    // What needs no model asks no body.
    let list = "GET /v1/models HTTP/1.1\r\nhost: models.example.com";
    assert_eq!(send(to, list, &[]).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_refused_body_reaches_nobody() -> Result<()> {
    let site = Site::start(json!({})).await?;
    let to = site.gateway.address;
    let secret = chat("secret");
    let adapter = "/seldon/prod/llama/v1/completions";
    let large = format!(r#"{{"prompt": "{}", "model": "meta-llama/x"}}"#, "x".repeat(70_000));
    for (path, more, body, status, text) in [
        (CHAT, "", &*secret, 403, DENIED),
        (CHAT, "", TWICE, 400, "names a model twice"),
        (CHAT, "", "{\"Model\":\"secret\",\"model\":\"meta-llama/x\"}", 400, "may take for model"),
        (CHAT, "", "{\"messages\":[]}", 400, "names no model"),
        (CHAT, "", "{\"model\":7}", 400, "not a name"),
        (CHAT, "", "{\"messages\":", 400, "ends before"),
        (CHAT, "", "model=meta-llama/x", 400, "not a JSON object"),
        (CHAT, "", &*large, 413, "soon enough"),
        (adapter, "", &*chat("theirs"), 403, DENIED),
        (adapter, "", &*chat("llama"), 403, DENIED),
    ] {
        for size in [1, 5, 16_384] {
            if body.len() / size > 3000 {
                continue;
            }
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            let (found, answer) = send(to, &post(path, more), &pieces).await?;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            // The server's own answer may have begun, and then breaks off.
            let broke_off = found == 200 && answer.len() < body.len();
            let is_refused = found == status && answer.contains(text);
            assert!(broke_off || is_refused, "{body:.60} by {size}: {found} {answer}");
        }
    }
    let mut refused = site.received_before(&chat("meta-llama/last")).await?;
    // Of a body whose second model comes late the server has the beginning, and no whole JSON.
    refused.retain(|request| !request.body.is_empty());
    for request in &refused {
        let text = String::from_utf8_lossy(&request.body);
        assert!(TWICE.starts_with(&*text) && text.len() < TWICE.len(), "{text:.60}");
    }
    // What the headers decide opens no stream.
    for (more, status, text) in [
        ("\r\nx-no: 1", 403, DENIED),
        ("\r\ncontent-encoding: gzip", 400, "compressed"),
        ("; charset=utf-8, text/plain", 400, "content-type"),
    ] {
        let body = chat("meta-llama/x");
        let (found, answer) = send(to, &post("/v1/embeddings", more), &[body.as_bytes()]).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!((found, answer.contains(text)), (status, true), "{more}: {answer}");
    }
    let reached = site.received_before(&chat("meta-llama/last")).await?;
    let is_refused = |request: &Message| request.start == "/v1/embeddings";
    assert!(
        !reached.iter().any(is_refused),
        "requests that their headers refuse reached the server"
    );
    Ok(())
}

/// What the engine decides of these, whole and in pieces, the module does in Envoy.
#[tokio::test]
async fn the_rows_of_the_engine_hold_in_envoy() -> Result<()> {
    let server = Upstream::echo("server").await?;
    let settings: Value = serde_json::from_str(SETTINGS)?;
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(settings)?.under_test()?)
        .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
        .cluster(Cluster::http1("live", server.address()))
        .start()
        .await?;
    let mut expected = Vec::new();
    for row in ROWS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let &[request, header, body, model, operation, status] = &*columns else {
            bail!("not six columns: {row}");
        };
        let (method, address) = request.split_once(' ').context("no method")?;
        let (host, path) = address.split_at(address.find('/').context("no path")?);
        let header = if header.contains(':') { header } else { "content-type: application/json" };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{header}");
        for size in [5, usize::MAX] {
            let pieces: Vec<&[u8]> = body.as_bytes().chunks(size.min(body.len().max(1))).collect();
            let (found, answer) = send(gateway.address, &head, &pieces).await?;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert_eq!(found.to_string(), status, "{row} by {size}: {answer}");
            expected.push((row, [model, operation], found));
        }
    }
    let lines = gateway.envoy.access_log_of(expected.len()).await?;
    for (line, (row, [model, operation], status)) in lines.iter().zip(&expected) {
        let none = |text: &str| if text == "-" { "none".to_owned() } else { text.to_owned() };
        let of = line["modelgate.model"].as_str().unwrap_or_default();
        // Of a body that is refused the model may be known or not.
        assert!(of == none(model) || (*status == 400 && of == "none"), "{row}: {line}");
        assert_eq!(line["modelgate.operation"], none(operation), "{row}: {line}");
        let decision = match status {
            200 => "allowed",
            403 => "denied",
            _ => "refused",
        };
        assert_eq!(line["modelgate.decision"], decision, "{row}: {line}");
    }
    let let_in = expected.iter().filter(|(.., status)| *status == 200).count();
    let whole = server.received().iter().filter(|request| request.body.is_empty()).count();
    assert!(whole < let_in, "{whole} of {let_in} bodies are empty");
    Ok(())
}

/// Clients whose bodies have come up to the model, which comes last.
struct Waiting {
    go: Notify,
    /// A permit for each that is answered before.
    refused: Semaphore,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { go: Notify::new(), refused: Semaphore::new(0) }
    }
}

/// The status of the answer to one of them.
async fn send_model_last(to: SocketAddr, before: Arc<str>, waiting: Arc<Waiting>) -> Result<u16> {
    let rest = r#""model": "meta-llama/x"}"#;
    let (head, length) = (post(CHAT, ""), before.len() + rest.len());
    let head = format!("{head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{before}");
    let going = waiting.go.notified();
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(head.as_bytes()).await?;
    let mut answer = vec![0; 64];
    let mut length = tokio::select! {
        () = going => {
            stream.write_all(rest.as_bytes()).await?;
            0
        }
        read = stream.read(&mut answer) => {
            waiting.refused.add_permits(1);
            read?
        }
    };
    while length < 12 {
        match stream.read(answer.get_mut(length..).unwrap_or_default()).await? {
            0 => bail!("no answer"),
            more => length += more,
        }
    }
    let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
    status.context("no status")?.parse().context("no status")
}

/// What answers without the body would end a wait for it unheard: no part of the body is told after it.
#[tokio::test]
async fn answers_that_need_no_body_are_not_held() -> Result<()> {
    let site = Site::start(json!({})).await?;
    let body = chat("meta-llama/x");
    let (one, two) = body.as_bytes().split_at(9);
    for pieces in [&[body.as_bytes()][..], &[one, two]] {
        let head = post(CHAT, "\r\nmirror-status: 413");
        assert_eq!(send(site.gateway.address, &head, pieces).await?.0, 413);
    }
    // Nobody listens there.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(settings(&json!({})))?.under_test()?)
        .route(route_to(json!({"prefix": "/v1/chat"}), &[("live".to_owned(), 100)]))
        .cluster(Cluster::http1("live", closed))
        .start()
        .await?;
    for (head, status) in [(post(CHAT, ""), 503), (post("/v1/embeddings", ""), 404)] {
        for pieces in [&[body.as_bytes()][..], &[one, two]] {
            assert_eq!(send(gateway.address, &head, pieces).await?.0, status, "{head}");
        }
    }
    Ok(())
}

/// However many there are, a worker keeps no more bytes of bodies back than it may, and gives them back. Whoever names the
/// model first is let in meanwhile.
#[tokio::test]
async fn a_worker_keeps_no_more_than_it_may() -> Result<()> {
    const CLIENTS: usize = 1000;
    const TOTAL: usize = 4 << 20;
    let mut targets = settings(&json!({}))["targets"].take();
    targets["body"] = json!({"maxKept": "64KiB", "total": "4MiB"});
    let site = Site::start(json!({"targets": targets})).await?;
    let before: Arc<str> = format!(r#"{{"prompt": "{}", "#, "x".repeat(50_000)).into();
    // A quarter is for headers.
    let most = TOTAL / 4 * 3 / before.len();
    for _ in 0..2 {
        let waiting = Arc::new(Waiting::default());
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (before, waiting) = (Arc::clone(&before), Arc::clone(&waiting));
            clients.spawn(send_model_last(site.gateway.address, before, waiting));
        }
        // Whoever is not refused by now is kept.
        let refused = u32::try_from(CLIENTS - most)?;
        let waited = waiting.refused.acquire_many(refused);
        let _ =
            tokio::time::timeout(Duration::from_secs(60), waited).await.context("too few")??;
        let first = chat("meta-llama/x");
        let (status, _) = send(site.gateway.address, &post(CHAT, ""), &[first.as_bytes()]).await?;
        assert_eq!(status, 200);
        waiting.go.notify_waiters();
        let mut statuses = Vec::new();
        while let Some(status) = clients.join_next().await {
            statuses.push(status??);
        }
        let count = |status: u16| statuses.iter().filter(|s| **s == status).count();
        let (whole, large) = (count(200), count(413));
        assert_eq!(whole + large, CLIENTS, "{statuses:?}");
        assert!((most - 3..=most + 3).contains(&whole), "{whole} of at most {most}");
    }
    Ok(())
}

#[tokio::test]
async fn a_report_keeps_nothing_back() -> Result<()> {
    let site = Site::start(json!({"mode": "REPORT"})).await?;
    for body in [chat("secret"), "model=secret".to_owned(), "x".repeat(200_000)] {
        let pieces: Vec<&[u8]> = body.as_bytes().chunks(16_384).collect();
        let (status, answer) = send(site.gateway.address, &post(CHAT, ""), &pieces).await?;
        assert_eq!((status, answer.len()), (200, body.len()), "{body:.60}");
        assert_eq!(site.received().await?.body, body.as_bytes());
    }
    Ok(())
}
