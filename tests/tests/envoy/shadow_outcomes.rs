//! What becomes of a selected request when something is in its way.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use serde_json::json;
use testbed::client::Request;
use testbed::envoy::Taken;
use testbed::gateway::{Cluster, Filter, Gateway, Running, own_loopback_address, route_to};
use testbed::stats::Stats;
use testbed::upstream::{Answer, Fault, Upstream};
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::shadow::OUTCOMES;
use crate::site::{FRIENDLY, Site, flower, open, predict, shadow};

const SOON: Duration = Duration::from_secs(20);

/// `{"data":{"ndarray":[[0.1,0.9],[0.1,0.9],[0.1,0.9]]}}`, by Python's gzip.
pub const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x4a, 0x49, 0x2c, 0x49,
    0x54, 0xb2, 0xaa, 0x56, 0xca, 0x4b, 0x49, 0x2c, 0x2a, 0x4a, 0xac, 0x54, 0xb2, 0x8a, 0x8e, 0x36,
    0xd0, 0x33, 0xd4, 0x31, 0xd0, 0xb3, 0x8c, 0xd5, 0xc1, 0xc2, 0x8a, 0xad, 0xad, 0x05, 0x00, 0x2b,
    0x6c, 0x30, 0xe3, 0x34, 0x00, 0x00, 0x00,
];

/// A gateway whose shadow is at the other address.
fn gateway(live: &Upstream, shadow: std::net::SocketAddr) -> Result<Gateway> {
    let config = open(crate::site::shadow(json!({"cluster": "shadow", "path": "/shadow"})))?;
    gateway_with(live, shadow, config)
}

fn gateway_with(
    live: &Upstream,
    shadow: std::net::SocketAddr,
    config: serde_json::Value,
) -> Result<Gateway> {
    Ok(Gateway::new()
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
        .cluster(Cluster::http1("live", live.address()))
        .cluster(Cluster::http1("shadow", shadow)))
}

/// Waits until one request was selected and has its outcome.
async fn one_outcome(gateway: &Running, outcome: &str) -> Result<Stats> {
    until(&format!("one outcome, {outcome}"), SOON, async || {
        let stats = gateway.envoy.stats().await?;
        let one = stats.sum(OUTCOMES, &[("outcome", outcome)]) == 1.0
            && stats.sum(OUTCOMES, &[]) == 1.0
            && stats.sum("modelgate_shadow_selected_total", &[]) == 1.0;
        Ok(one.then_some(stats))
    })
    .await
}

#[tokio::test]
async fn a_reload_orphans_what_is_under_way() -> Result<()> {
    let site = Site::start(open(shadow(json!({"timeout": "30s"})))?).await?;
    site.retrained.hold();
    site.expect(predict(), 200, "ndarray").await?;
    site.retrained.wait_for(1, SOON).await?;
    let other = open(shadow(json!({"timeout": "29s"})))?;
    assert_eq!(site.update(other).await?, Taken::Yes);
    site.counted(OUTCOMES, &[("outcome", "orphaned")], 1.0).await?;
    site.retrained.release();
    site.expect(predict(), 200, "ndarray").await?;
    let stats = site.settled(2.0).await?;
    assert_eq!(stats.sum(OUTCOMES, &[("outcome", "mismatched")]), 1.0);
    site.check_healthy().await
}

#[tokio::test]
async fn a_shadow_that_lets_nobody_in_is_told_once() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    for (copies, status) in [(1.0, 403), (2.0, 403), (3.0, 401)] {
        site.retrained.set_fault(Some(Fault::Status(status)));
        site.expect(predict(), 200, "ndarray").await?;
        let stats = site.settled(copies).await?;
        assert_eq!(stats.sum(OUTCOMES, &[("outcome", "shadow_failed")]), copies);
    }
    let log = site.gateway.envoy.logged("refuses its copies").await?;
    let told: Vec<&str> = log.lines().filter(|line| line.contains("refuses its copies")).collect();
    let [told] = told[..] else { anyhow::bail!("told {} times", told.len()) };
    for part in ["iris-v2", "403", "allow the gateway's principal"] {
        assert!(told.contains(part), "{told}");
    }
    site.check_healthy().await
}

#[tokio::test]
async fn a_client_that_hangs_up_orphans_its_copy() -> Result<()> {
    let site = Site::start(open(shadow(json!({"timeout": "30s"})))?).await?;
    let body = flower().to_string();
    let head = |length: usize| {
        format!(
            "POST {FRIENDLY} HTTP/1.1\r\nhost: models.example.com\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    };
    // Before the live answer; the shadow's comes all the same.
    site.live.hold();
    let mut stream = TcpStream::connect(site.gateway.address).await?;
    stream.write_all(head(body.len()).as_bytes()).await?;
    site.live.wait_for(1, SOON).await?;
    site.retrained.wait_for(1, SOON).await?;
    drop(stream);
    site.counted(OUTCOMES, &[("outcome", "orphaned")], 1.0).await?;
    site.live.release();
    // In the midst of its body: there is nothing whole to send.
    let mut stream = TcpStream::connect(site.gateway.address).await?;
    stream.write_all(head(body.len() + 100).as_bytes()).await?;
    stream.flush().await?;
    site.counted("modelgate_shadow_selected_total", &[], 2.0).await?;
    drop(stream);
    let stats = site.settled(2.0).await?;
    assert_eq!(stats.sum(OUTCOMES, &[("outcome", "orphaned")]), 2.0);
    assert_eq!(site.retrained.received().len(), 1);
    site.check_healthy().await
}

#[tokio::test]
async fn a_compressed_live_answer_is_inflated() -> Result<()> {
    let live = Upstream::start(|_| {
        Answer::new(200, "application/json", Bytes::from_static(GZIP))
            .header("content-encoding", "gzip")
    })
    .await?;
    let plain = r#"{"data":{"ndarray":[[0.1,0.9],[0.1,0.9],[0.1,0.9]]}}"#;
    let shadow = Upstream::start(move |_| Answer::new(200, "application/json", plain)).await?;
    let gateway = gateway(&live, shadow.address())?.start().await?;
    let answer = gateway.send(predict().header("accept-encoding", "gzip")).await?;
    assert_eq!(answer.body, GZIP, "the live answer is byte for byte what it was");
    one_outcome(&gateway, "matched").await?;
    Ok(())
}

#[tokio::test]
async fn tensors_behind_the_json_of_an_answer_are_compared_by_value() -> Result<()> {
    let answer = |id: &str, scores: [f64; 2]| {
        let head = format!(
            r#"{{"id":"{id}","outputs":[{{"name":"p","datatype":"FP64","shape":[1,2],"parameters":{{"binary_data_size":16}}}}]}}"#
        );
        let tail: Vec<u8> = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
        Answer::new(200, "application/octet-stream", [head.as_bytes(), &tail].concat())
            .header("inference-header-content-length", &head.len().to_string())
    };
    for (scores, outcome) in [([0.1, 0.9], "matched"), ([0.9, 0.1], "mismatched")] {
        let (a, b) = (answer("a", [0.1, 0.9]), answer("b", scores));
        let live = Upstream::start(move |_| a.clone()).await?;
        let shadow = Upstream::start(move |_| b.clone()).await?;
        let gateway = gateway(&live, shadow.address())?.start().await?;
        gateway.send(predict()).await?;
        one_outcome(&gateway, outcome).await?;
    }
    Ok(())
}

#[tokio::test]
async fn streams_of_events_are_not_compared() -> Result<()> {
    let events = |id: u8| format!("data: {{\"id\":{id}}}\n\ndata: [DONE]\n\n");
    // Equal ones neither: to count only those would make the shadow better than it is.
    for id in [1, 2] {
        let (a, b) = (events(1), events(id));
        let [a, b] = [a, b].map(|text| Answer::new(200, "text/event-stream", text));
        let live = Upstream::start(move |_| a.clone()).await?;
        let shadow = Upstream::start(move |_| b.clone()).await?;
        let gateway = gateway(&live, shadow.address())?.start().await?;
        gateway.send(predict()).await?;
        one_outcome(&gateway, "uncomparable").await?;
    }
    Ok(())
}

/// Seldon's wrapper reads the payload from the query by `GET`; by `HEAD` any two models answer alike.
#[tokio::test]
async fn what_says_nothing_of_the_models_is_counted_and_not_copied() -> Result<()> {
    const WRAPPED: &str = "/seldon/prod/iris/predict";
    let wrapper = |scores: &str| {
        let answer = format!(r#"{{"data":{{"ndarray":[{scores}]}}}}"#);
        Upstream::start(move |request| match request.path.contains("json=") {
            true => Answer::new(200, "application/json", answer.clone()),
            false => Answer::new(400, "application/json", r#"{"status":"no payload"}"#),
        })
    };
    let asked = format!("{WRAPPED}?json=%7B%22data%22%3A%7B%22ndarray%22%3A%5B1%5D%7D%7D&token=x");
    let other = format!("{WRAPPED}?token=x");
    for (request, scores, outcome, copies) in [
        (Request::get(&asked), "0.1,0.9", "matched", 1),
        (Request::get(&asked), "0.9,0.1", "mismatched", 1),
        (Request::get(&other), "0.1,0.9", "uncomparable", 0),
        (Request::new("HEAD", &asked), "0.9,0.1", "uncomparable", 0),
        (Request::new("OPTIONS", &asked), "0.9,0.1", "uncomparable", 0),
    ] {
        let (live, shadow) = (wrapper("0.1,0.9").await?, wrapper(scores).await?);
        let gateway = gateway(&live, shadow.address())?.start().await?;
        gateway.send(request).await?;
        one_outcome(&gateway, outcome).await?;
        let received = shadow.received();
        assert_eq!(received.len(), copies, "{outcome}");
        assert!(
            received
                .iter()
                .all(|copy| copy.path.starts_with("/shadow?json=%7B")
                    && !copy.path.contains("token")),
            "{received:?}"
        );
    }
    Ok(())
}

/// A message of a mebibyte with as many names as fit: its comparison is done in no time to speak of.
#[tokio::test]
async fn an_answer_of_many_names_holds_nobody_up() -> Result<()> {
    let entry = |i: usize| [&[0x22, 7, 0x0a, 5][..], format!("{i:05}").as_bytes()].concat();
    let names: Vec<u8> = (0..100_000).flat_map(entry).collect();
    let answer = |message: &[u8]| {
        let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
        let body = [&[0], &length[..], message].concat();
        Answer::new(200, "application/grpc", body).header("grpc-status", "0")
    };
    let (small, large) = (answer(b""), answer(&names));
    let live = Upstream::start(move |_| small.clone()).await?;
    let shadow = Upstream::start(move |_| large.clone()).await?;
    let gateway = gateway(&live, shadow.address())?.start().await?;
    let question = Request::new("POST", "/inference.GRPCInferenceService/ModelInfer")
        .header("content-type", "application/grpc")
        .header("seldon", "iris")
        .header("namespace", "prod");
    let began = std::time::Instant::now();
    gateway.send(question).await?;
    one_outcome(&gateway, "mismatched").await?;
    // It was minutes where each name was looked for among all of them.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    Ok(())
}

/// The filter sees an answer only when Envoy has all of it, so Envoy's limit is the one that holds.
#[tokio::test]
async fn an_endless_answer_of_a_shadow_is_cut_off() -> Result<()> {
    const MIB: usize = 1024 * 1024;
    let live = Upstream::start(|_| Answer::new(200, "application/json", "[1]")).await?;
    for (size, outcome) in [(16 * MIB, "too_large"), (33 * MIB, "shadow_failed")] {
        let answer = Answer::new(200, "application/json", vec![b' '; size]);
        let shadow = Upstream::start(move |_| answer.clone()).await?;
        let gateway = gateway(&live, shadow.address())?.start().await?;
        assert_eq!(gateway.send(predict()).await?.text(), "[1]");
        one_outcome(&gateway, outcome).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_native_policy_behind_the_filter_withdraws_the_copy() -> Result<()> {
    let (live, shadow) = (Upstream::echo("live").await?, Upstream::echo("shadow").await?);
    let deny = json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": {"all": {
                "permissions": [{"any": true}], "principals": [{"any": true}],
            }}},
        },
    });
    let gateway = gateway(&live, shadow.address())?.filter(Filter::Fixed(deny)).start().await?;
    assert_eq!(gateway.send(predict()).await?.status, 403);
    one_outcome(&gateway, "live_failed").await?;
    assert!(shadow.received().is_empty() && live.received().is_empty());
    Ok(())
}

/// The shadow's cluster is a listener of the same gateway, with the same filter.
#[tokio::test]
async fn a_shadow_that_leads_back_is_copied_once() -> Result<()> {
    let live = Upstream::start(|_| Answer::new(200, "application/json", "[1]")).await?;
    let back = std::net::SocketAddr::from((own_loopback_address(), 18_080));
    let same = json!({"cluster": "shadow", "path": "/seldon/prod/iris/api/v1.0/predictions"});
    let gateway = gateway_with(&live, back, open(shadow(same))?)?
        .inbound(back, live.address())
        .start()
        .await?;
    assert_eq!(gateway.send(predict()).await?.text(), "[1]");
    one_outcome(&gateway, "matched").await?;
    let received = live.received();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|r| r.header("x-modelgate-shadow").is_none()));
    Ok(())
}

#[tokio::test]
async fn bodies_of_every_kind_pass_as_they_are() -> Result<()> {
    let echo = |r: &testbed::upstream::Received| {
        let path = r.path.clone();
        let body = [path.as_bytes(), b"\n", &r.body].concat();
        Answer::new(200, "application/octet-stream", body)
    };
    let (live, shadow) = (Upstream::start(echo).await?, Upstream::start(echo).await?);
    let gateway = gateway(&live, shadow.address())?.start().await?;
    let large: Vec<u8> = (0..300_000u32).map(|n| n.wrapping_mul(2_654_435_761) as u8).collect();
    let post = || Request::new("POST", "/seldon/prod/iris/api/v1.0/predictions");
    let chunked = post()
        .header("transfer-encoding", "chunked")
        .body("4\r\n\0\x01\x02\x03\r\n1\r\nx\r\n0\r\n\r\n");
    let mut connection = post().connect(gateway.address).await?;
    for (request, body) in [
        (post().body(large.clone()), large.as_slice()),
        (post(), b""),
        (chunked, b"\0\x01\x02\x03x"),
        (post().body("small"), b"small"),
    ] {
        let expected = [b"/seldon/prod/iris/api/v1.0/predictions\n", body].concat();
        // In order over one connection, and over HTTP/2.
        assert!(connection.send(&request).await?.body == expected, "{request:?}");
        if !format!("{request:?}").contains("chunked") {
            assert!(request.send_http2(gateway.address).await?.body == expected, "{request:?}");
        }
    }
    let copies = shadow.wait_for(7, SOON).await?;
    let mut sizes: Vec<usize> = copies.iter().map(|copy| copy.body.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 0, 5, 5, 5, large.len(), large.len()]);
    Ok(())
}
