//! Requests that nobody sends by accident. After each, the next one is served.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testbed::client::Request;
use testbed::tokens::Issuer;
use testbed::upstream::Fault;
use testbed::wait::until;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::site::{
    CHAT, DENIED, FRIENDLY, PREDICTIONS, Site, anybody, config, flower, open, predict, shadow,
};

#[tokio::test]
async fn every_byte_in_a_header_value_is_survived() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    let odd: Vec<u8> = (0x80..=0xff).collect();
    let with_prefix = [b"Bearer ".as_slice(), &odd].concat();
    for request in [
        predict().header("x-odd", &odd),
        predict().header("x-request-id", &odd),
        predict().header("cookie", &odd),
        predict().header("origin", &odd),
        predict().header("x-api-key", &odd),
        predict().header("x-forwarded-for", &odd),
        predict().header("traceparent", &odd).header("user-agent", &odd),
        predict().header("x-empty", ""),
    ] {
        site.expect(request, 200, "ndarray").await?;
    }
    assert!(site.live.received()[0].lines("x-odd").eq([odd.as_slice()]));
    for authorization in
        [odd.as_slice(), &with_prefix, b"Bearer ", b"Bearer", b"Bearer ..", b"\xff.\xff.\xff"]
    {
        let answer = site.send(predict().header("authorization", authorization)).await?;
        assert!(matches!(answer.status, 200 | 401), "{}", answer.status);
    }
    for name in ["seldon", "namespace", "seldon-model"] {
        let answer = site.send(predict().header(name, &odd)).await?;
        assert!(matches!(answer.status, 200 | 400), "{name}: {}", answer.status);
    }
    site.check_healthy().await
}

#[tokio::test]
async fn odd_requests_are_survived() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    let long = "a".repeat(20_000);
    let many = (0..90).fold(predict(), |request, n| request.header(&format!("x-{n}"), "value"));
    for request in [
        many,
        predict().header("x-long", &long),
        Request::get(format!("/seldon/prod/iris/{long}")),
        Request::get(format!("/seldon/{}", "a/".repeat(5_000))),
        Request::get(format!("/models/{}", "{".repeat(1_000))),
        Request::get(b"/seldon/prod/iris/\xff\xfe".as_slice()),
        Request::get("/seldon/prod/iris/%00"),
        Request::get("/seldon/prod/iris/%ff%fe%"),
        Request::get("//"),
        Request::get("/seldon"),
        Request::get("/?:predict"),
        Request::new("OPTIONS", "*"),
        Request::new("BREW", PREDICTIONS),
        predict().authority(Some("")),
        predict().authority(Some("models.example.com.")),
        predict().authority(Some("[::1]:80")),
        Request::new("POST", FRIENDLY),
        Request::post_json(FRIENDLY, &json!("not a question")),
        Request::new("POST", FRIENDLY).header("content-type", "application/grpc").body("\0"),
        Request::new("POST", FRIENDLY)
            .header("transfer-encoding", "chunked")
            .body("2\r\nhi\r\n0\r\n\r\n"),
    ] {
        let answer = site.send(request).await?;
        assert!((200..500).contains(&answer.status), "{answer:?}");
    }
    site.check_healthy().await
}

#[tokio::test]
async fn deep_and_odd_tokens_are_survived() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    let issuer = Issuer::shared()?;
    let mut deep = json!("bottom");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    for (name, value) in [
        ("deep", deep),
        ("exp", json!(1e300)),
        ("exp", json!(-1)),
        ("exp", json!("tomorrow")),
        ("aud", json!({"models": true})),
        ("sub", json!(["a"])),
        ("sub", json!("\u{0}\n\u{7f}")),
    ] {
        let claims = testbed::tokens::with(issuer.claims("alice"), name, value);
        let token = issuer.mint(testbed::tokens::Algorithm::Es256, &claims)?;
        let answer = site.send(predict().bearer(&token)).await?;
        assert!(matches!(answer.status, 200 | 401 | 403), "{name}: {}", answer.status);
    }
    site.check_healthy().await
}

#[tokio::test]
async fn a_body_of_five_mebibytes_passes() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    let rows = vec![[6.0, 2.7, 4.2, 1.3]; 320_000];
    let large = json!({"data": {"ndarray": rows}});
    assert!(large.to_string().len() > 5 << 20);
    site.expect(Request::post_json(FRIENDLY, &large), 200, "ndarray").await?;
    assert_eq!(site.live.received()[0].body.len(), large.to_string().len());
    site.settled(1.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn a_killed_model_is_an_answer_of_envoy() -> Result<()> {
    let mut site = Site::start(open(shadow(json!({})))?).await?;
    site.expect(predict(), 200, "ndarray").await?;
    site.live.stop().await;
    site.expect(predict(), 503, "").await?;
    site.live.restart().await?;
    until("the model to be back", Duration::from_secs(10), async || {
        Ok((site.send(predict()).await?.status == 200).then_some(()))
    })
    .await?;
    site.live.set_fault(Some(Fault::Reset));
    site.expect(predict(), 503, "").await?;
    site.live.set_fault(None);
    site.expect(predict(), 200, "ndarray").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn clients_that_hang_up_are_survived() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    site.live.hold();
    let mut sent = 0.0;
    for part in [
        "POST /models/prod/iris:predict HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{",
        "POST /models/prod/iris:predict HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}",
        "POST /models/prod/iris:predict HT",
    ] {
        let mut stream = TcpStream::connect(site.gateway.address).await?;
        stream.write_all(part.as_bytes()).await?;
        sent += part.len() as f64;
        let read = [("envoy_http_conn_manager_prefix", "ingress")];
        site.counted("envoy_http_downstream_cx_rx_bytes_total", &read, sent).await?;
        drop(stream);
    }
    site.live.release();
    site.expect(predict(), 200, "ndarray").await?;
    // The first and the third were never complete.
    until("every selected copy to have its outcome", Duration::from_secs(10), async || {
        let stats = site.gateway.envoy.stats().await?;
        let selected = stats.sum("modelgate_shadow_selected_total", &[]);
        let ended = stats.sum("modelgate_shadow_outcomes_total", &[]);
        Ok((selected == ended && selected >= 2.0).then_some(()))
    })
    .await?;
    site.check_healthy().await
}

#[tokio::test]
async fn secrets_are_in_no_log() -> Result<()> {
    let site = Site::start(config(json!({
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "nobody", "action": "DENY", "rules": anybody()},
        ]},
    }))?)
    .await?;
    let token = Issuer::shared()?.token("alice", &["ds"])?;
    site.expect(predict().bearer(&token).header("cookie", "s=s3cr3t-cookie"), 403, "").await?;
    let wrong = format!("{token}x");
    site.expect(Request::post_json(FRIENDLY, &flower()).bearer(&wrong), 401, "").await?;
    let log = site.gateway.envoy.log()?;
    assert!(!log.contains(&token) && !log.contains("s3cr3t-cookie"));
    site.check_healthy().await
}

/// Envoy looks for the virtual host by what stands before the last colon, and takes any text for the
/// port. A host that ends like an excluded one is that of the model all the same.
#[tokio::test]
async fn no_port_hides_the_host_of_a_model() -> Result<()> {
    let site = Site::start(config(json!({
        "exclude": {"hosts": ["*.apps.example.com"]},
        "targets": {"fixed": [{"hosts": [CHAT], "model": "prod/chat"}]},
        "authorization": {"defaultAction": "DENY"},
    }))?)
    .await?;
    for port in ["", ":80", ":", ":x", ":.apps.example.com", ":@x.apps.example.com"] {
        let host = format!("{CHAT}{port}");
        let chat = Request::new("POST", "/v1/chat/completions").authority(Some(&host));
        site.expect(chat, 403, DENIED).await?;
    }
    // The `*` of a virtual host stands for something: the routes of every host take what is left of it.
    for host in [".apps.example.com", ".apps.example.com:80", ".APPS.example.com"] {
        site.expect(Request::get("/").authority(Some(host)), 403, DENIED).await?;
    }
    let other = Request::get("/").authority(Some("www.apps.example.com:80"));
    site.expect(other, 200, "website").await?;
    site.check_healthy().await
}

/// Envoy's virtual hosts know no dot at the end: the routes of every host take such a request, although
/// by its name an exclusion, or a rule for one host, would let it pass.
#[tokio::test]
async fn a_host_with_a_dot_at_its_end_is_refused_everywhere() -> Result<()> {
    let site = Site::start(config(json!({
        "exclude": {"hosts": ["www.apps.example.com", "*.other.example.com"]},
        "targets": {"families": ["seldon-v1"], "fixed": [{"hosts": [CHAT], "model": "prod/chat"}]},
        "bypass": [{"name": "open", "to": [{"operation": {"paths": ["/open"]}}]}],
        "authorization": {"defaultAction": "DENY"},
        "rewrites": [{
            "name": "servers",
            "match": {"path": "/servers/{rest=**}", "hosts": ["servers.example.com"]},
            "path": "/{rest}",
            "target": {"namespace": "prod", "model": "iris"},
        }],
    }))?)
    .await?;
    let hosts = ["www.apps.example.com", "x.other.example.com", "servers.example.com", CHAT, "any"];
    for host in hosts {
        for end in [".", "..", ".:80", ".:", ".:x"] {
            for path in ["/admin", "/open", "/servers/api/v1.0/predictions", PREDICTIONS] {
                let host = format!("{}{end}", host.to_uppercase());
                let request = Request::get(path).authority(Some(&host));
                site.expect(request, 400, "the host ends with a dot").await?;
            }
        }
    }
    let excluded = Request::get("/").authority(Some("www.apps.example.com:80"));
    site.expect(excluded, 200, "website").await?;
    let bypassed = Request::get("/open").authority(Some("any"));
    site.expect(bypassed, 200, "website").await?;
    site.check_healthy().await
}
