//! With every request copied, an exchange is byte for byte what it is without a shadow, on both sides
//! of the gateway: bodies of every kind, over HTTP/1.1 and HTTP/2.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::gateway::{Cluster, Gateway, Running, route_to};
use testbed::stats::Stats;
use testbed::streams::{Client, Message, Mirror, Post, Protocol};
use testbed::upstream::{Answer, Received, Upstream};
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::shadow::OUTCOMES;
use crate::shadow_outcomes::GZIP;
use crate::site::{PREDICTIONS, open, shadow};

const SELECTED: &str = "modelgate_shadow_selected_total";

/// Limits of a copy and of its answer.
const REQUEST: usize = 96 << 10;
const RESPONSE: usize = 64 << 10;

/// Lines that no two exchanges share.
const UNIQUE: [&str; 4] = ["date", "x-envoy-upstream-service-time", "x-request-id", "seldon-puid"];

/// A gateway before the mirror, with trailers of HTTP/1.1.
async fn gateway(
    config: Value,
    cluster: fn(&str, std::net::SocketAddr) -> Cluster,
    live: &Mirror,
    shadow: &Mirror,
) -> Result<Running> {
    Gateway::new()
        .extension(&WasmPlugin::with_config(open(config)?)?.under_test()?)
        .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
        .cluster(cluster("live", live.address()))
        .cluster(cluster("shadow", shadow.address()))
        .http1_trailers()
        .start()
        .await
}

/// Waits until every selected request has its outcome, and there are this many.
async fn settled(gateway: &Running, count: f64) -> Result<Stats> {
    until(&format!("{count} outcomes"), Duration::from_secs(20), async || {
        let stats = gateway.envoy.stats().await?;
        let (selected, ended) = (stats.sum(SELECTED, &[]), stats.sum(OUTCOMES, &[]));
        ensure!(selected <= count && ended <= selected, "{ended} outcomes of {selected} selected");
        Ok((ended == count).then_some(stats))
    })
    .await
}

/// Bytes without a pattern.
fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|n| ((n as u32).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn post() -> Post {
    Post::new(PREDICTIONS).header("content-type", "application/json")
}

/// A body of this length in pieces of at most 16 KiB.
fn long(len: usize) -> Post {
    post().pieces(&noise(len), 16 << 10)
}

/// As [`long`], with the length announced to the live model and by it.
fn announced(len: usize) -> Post {
    let text = len.to_string();
    long(len).header("content-length", &text).header("mirror-content-length", &text)
}

/// A unary call: a message with its length before it.
fn grpc(message: &[u8]) -> Post {
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    let (head, tail) = message.split_at(message.len() / 2);
    Post::new("/seldon.protos.Seldon/Predict")
        .header("content-type", "application/grpc")
        .header("mirror-content-type", "application/grpc")
        .header("te", "trailers")
        .header("trailer", "grpc-status")
        .header("mirror-trailer", "grpc-status")
        .header("seldon", "iris")
        .header("namespace", "prod")
        .piece([&[0], &length[..], head].concat())
        .piece(tail.to_vec())
}

/// What is sent, and the outcome of its copy.
fn kinds() -> Vec<(&'static str, Post, &'static str)> {
    let message = b"\x1a\x0f\x12\x0d\x0a\x01\x01\x12\x08\0\0\0\0\0\0\xf0\x3f";
    vec![
        ("no body", post(), "matched"),
        ("an empty body without a length", post().piece(""), "matched"),
        ("one piece with a length", post().header("content-length", "4").piece("[42]"), "matched"),
        ("pieces", post().piece("[1,").piece("2").piece(",3]"), "matched"),
        ("bytes one by one", post().pieces(&noise(64), 1), "matched"),
        (
            "trailers",
            post()
                .header("te", "trailers")
                .header("trailer", "x-end, x-sum")
                .header("mirror-trailer", "x-end, x-sum")
                .piece("[1,")
                .piece("2]")
                .trailer("x-end", "yes")
                .trailer("x-sum", "3"),
            "matched",
        ),
        (
            "gzip",
            post()
                .header("mirror-content-type", "application/json")
                .header("mirror-content-encoding", "gzip")
                .pieces(GZIP, 20),
            "matched",
        ),
        ("a body at the limit", long(RESPONSE), "matched"),
        ("an announced body at the limit", announced(RESPONSE), "matched"),
        ("an answer over its limit", long(RESPONSE + 1), "too_large"),
        ("an announced answer over its limit", announced(RESPONSE + 1), "too_large"),
        ("a body over the limit", long(REQUEST + 1), "too_large"),
        ("an announced body over the limit", announced(REQUEST + 1), "too_large"),
        ("a body over the proxy's buffers", long(3 << 20), "too_large"),
        // Copies carry no trailers, so that the mirror gives the shadow's answer no status: that is UNKNOWN.
        ("unary gRPC", grpc(message).trailer("grpc-status", "0"), "mismatched"),
        ("a call of gRPC that ends without a status", grpc(message), "live_failed"),
        ("unary gRPC over the limit", grpc(&noise(REQUEST)), "too_large"),
        ("gRPC without a message", grpc(b"").header("mirror-grpc-status", "5"), "matched"),
        (
            "an answer before the request is over",
            post().header("mirror-status", "413").piece("[1,").piece("2]"),
            "orphaned",
        ),
        ("a client that hangs up", post().piece("[1,").piece("2").break_off(), "orphaned"),
    ]
}

/// One side's messages, without what no two exchanges share.
fn comparable(mut message: Message) -> Message {
    message.headers.retain(|(name, _)| !UNIQUE.contains(&name.as_str()));
    message
}

async fn exchanges_stay_the_same(
    downstream: Protocol,
    cluster: fn(&str, std::net::SocketAddr) -> Cluster,
) -> Result<()> {
    let (live, retrained) = (Mirror::start().await?, Mirror::start().await?);
    let without = gateway(json!({}), cluster, &live, &retrained).await?;
    let kib = |bytes: usize| format!("{}KiB", bytes >> 10);
    let limits = json!({"requestBytes": kib(REQUEST), "responseBytes": kib(RESPONSE)});
    // The mirror is told by headers what to answer, in a copy as well.
    let settings = shadow(json!({
        "cluster": "shadow", "path": PREDICTIONS, "limits": limits, "headers": {"keep": ["mirror-*"]},
    }));
    let with = gateway(settings, cluster, &live, &retrained).await?;

    let kinds = kinds();
    for (name, post, _) in &kinds {
        let mut seen = Vec::new();
        for gateway in [&without, &with] {
            // A new connection each: what ends early may take an HTTP/1.1 connection with it.
            let mut client = Client::connect(downstream, gateway.address).await?;
            let answer = comparable(client.exchange(post).await.context(*name)?);
            let received = live.take(1).await?.into_iter().map(comparable).next();
            seen.push((answer, received));
        }
        let [before, after] = &seen[..] else { anyhow::bail!("two exchanges were made") };
        ensure!(before == after, "{name}: not\n{before:?}\nbut\n{after:?}");
        let (answer, Some(received)) = after else { anyhow::bail!("{name}: nothing arrived") };
        // The mirror shows that the exchange without a shadow is what it is meant to be.
        if answer.start == "200" {
            ensure!(
                answer.body == post.body() && received.body == post.body(),
                "{name}: {after:?}"
            );
            ensure!(answer.trailers == received.trailers, "{name}: {after:?}");
        }
        ensure!(name != &"trailers" || answer.trailers.len() == 2, "{name}: {after:?}");
    }

    let of = |outcome: &'static str| kinds.iter().filter(move |(.., o)| *o == outcome);
    let stats = settled(&with, kinds.len() as f64).await?;
    for outcome in ["matched", "mismatched", "too_large", "orphaned", "live_failed"] {
        let counted = stats.sum(OUTCOMES, &[("outcome", outcome)]);
        let all: Vec<_> = stats.select(OUTCOMES, &[]).collect();
        ensure!(counted == of(outcome).count() as f64, "{outcome}: {all:?}");
    }
    let bodies = |outcome| of(outcome).map(|(_, post, _)| post.body());
    let compared: Vec<Vec<u8>> = bodies("matched").chain(bodies("mismatched")).collect();
    let copies = retrained.take(compared.len()).await?;
    let mut copied: Vec<Vec<u8>> = copies.into_iter().map(|copy| copy.body).collect();
    // A copy may have left before the live call failed.
    let mut failed: Vec<Vec<u8>> = bodies("live_failed").collect();
    for body in compared {
        let place = copied.iter().position(|copy| *copy == body);
        copied.swap_remove(place.context("a request has no copy of its body")?);
    }
    for body in copied {
        let place = failed.iter().position(|copy| *copy == body);
        failed.swap_remove(place.context("a copy has a body that no request had")?);
    }
    assert!(with.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn http1_to_http1() -> Result<()> {
    exchanges_stay_the_same(Protocol::Http1, Cluster::http1).await
}

#[tokio::test]
async fn http1_to_http2() -> Result<()> {
    exchanges_stay_the_same(Protocol::Http1, Cluster::http2).await
}

#[tokio::test]
async fn http2_to_http1() -> Result<()> {
    exchanges_stay_the_same(Protocol::Http2, Cluster::http1).await
}

#[tokio::test]
async fn http2_to_http2() -> Result<()> {
    exchanges_stay_the_same(Protocol::Http2, Cluster::http2).await
}

/// Many requests in one go over one HTTP/1.1 connection: the answers are the same bytes, in order.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() -> Result<()> {
    let echo = |request: &Received| {
        Answer::new(200, "application/json", request.body.clone())
            .header("x-number", &request.header("x-number").unwrap_or_default())
    };
    let (live, retrained) = (Upstream::start(echo).await?, Upstream::start(echo).await?);
    let settings = shadow(json!({"cluster": "shadow", "path": PREDICTIONS}));
    let mut answers = Vec::new();
    for settings in [json!({}), settings] {
        let gateway = Gateway::new()
            .extension(&WasmPlugin::with_config(open(settings)?)?.under_test()?)
            .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
            .cluster(Cluster::http1("live", live.address()))
            .cluster(Cluster::http1("shadow", retrained.address()))
            .start()
            .await?;
        let mut stream = TcpStream::connect(gateway.address).await?;
        stream.write_all(pipelined(20).as_bytes()).await?;
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(20), read).await??;
        let unique = |line: &&str| !UNIQUE.iter().any(|name| line.starts_with(name));
        answers.push(answer.lines().filter(unique).map(str::to_owned).collect::<Vec<_>>());
        if answers.len() == 2 {
            settled(&gateway, 20.0).await?;
        }
    }
    let [before, after] = &answers[..] else { anyhow::bail!("two connections were made") };
    assert_eq!(before, after);
    let numbers = after.iter().filter_map(|line| line.strip_prefix("x-number: ")?.parse().ok());
    assert_eq!(numbers.collect::<Vec<u32>>(), (0..20).collect::<Vec<_>>());
    assert_eq!(retrained.received().len(), 20);
    Ok(())
}

/// Every third with a chunked body; the last one closes the connection.
fn pipelined(count: usize) -> String {
    let request = |number: usize| {
        let close = if number + 1 == count { "connection: close\r\n" } else { "" };
        let head = format!(
            "POST {PREDICTIONS} HTTP/1.1\r\nhost: models.example.com\r\n\
             content-type: application/json\r\nx-number: {number}\r\n{close}"
        );
        if number.is_multiple_of(3) {
            format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n")
        } else {
            let body = format!("[{number}]");
            format!("{head}content-length: {}\r\n\r\n{body}", body.len())
        }
    };
    (0..count).map(request).collect()
}
