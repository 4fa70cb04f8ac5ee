//! Copies for the retrained model: how answers compare, and what becomes of a shadow or a live model that fails.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::envoy::Taken;
use testbed::iris::Iris;
use testbed::stats::Stats;
use testbed::upstream::Fault;
use testbed::wait::until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::site::{FRIENDLY, PREDICTIONS, Site, flower, open, predict, shadow};

pub(crate) const OUTCOMES: &str = "modelgate_shadow_outcomes_total";
const DIFFERENCES: &str = "modelgate_shadow_differences_total";
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn outcomes(stats: &Stats, outcome: &str) -> f64 {
    stats.sum(OUTCOMES, &[("shadow", "iris-v2"), ("outcome", outcome)])
}

/// A flower to which the two models give different classes.
fn contested_flower() -> Result<Value> {
    let (main, retrained) = (Iris::main()?, Iris::shadow()?);
    for petal in 40..60 {
        for width in 10..22 {
            let flower = [6.0, 2.8, f64::from(petal) / 10.0, f64::from(width) / 10.0];
            if main.class(&flower)? != retrained.class(&flower)? {
                return Ok(json!({"data": {"ndarray": [flower]}}));
            }
        }
    }
    anyhow::bail!("the models agree about every flower")
}

#[tokio::test]
async fn a_shadow_slower_than_the_live_model_is_received_and_compared() -> Result<()> {
    let site = Site::with_same_shadow(open(shadow(json!({"timeout": "30s"})))?).await?;
    let direct =
        Request::post_json("/api/v1.0/predictions", &flower()).send(site.live.address()).await?;
    site.live.forget();
    // The live answer is here while the shadow holds its own back: nothing waited for it.
    site.retrained.hold();
    let answer = site.expect(predict(), 200, "ndarray").await?;
    assert_eq!(answer.body, direct.body, "the live answer is byte for byte what it was");
    let copies = site.retrained.wait_for(1, SOON).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    site.retrained.release();
    assert_eq!(copies[0].path, "/api/v1.0/predictions");
    assert_eq!(copies[0].body, flower().to_string());
    let stats = site.settled(1.0).await?;
    assert_eq!(outcomes(&stats, "matched"), 1.0);
    assert_eq!(site.live.received().len(), 1);
    site.check_healthy().await
}

#[tokio::test]
async fn a_shadow_faster_than_the_live_model_waits_to_be_compared() -> Result<()> {
    let site = Site::with_same_shadow(open(shadow(json!({})))?).await?;
    site.live.hold();
    let waiting = async {
        until("the shadow's answer to be kept", SOON, async || {
            let stats = site.gateway.envoy.stats().await?;
            let held = stats.sum("modelgate_shadow_buffered_bytes", &[]) > 0.0
                && stats.sum("modelgate_shadow_in_flight", &[]) == 0.0;
            Ok(held.then_some(stats))
        })
        .await
        .inspect(|_| site.live.release())
    };
    let (answer, stats) = tokio::try_join!(site.expect(predict(), 200, "ndarray"), waiting)?;
    assert_eq!(stats.sum(OUTCOMES, &[]), 0.0, "no outcome before the live answer");
    assert_eq!(site.retrained.received().len(), 1);
    let stats = site.settled(1.0).await?;
    assert_eq!(outcomes(&stats, "matched"), 1.0);
    let direct =
        Request::post_json("/api/v1.0/predictions", &flower()).send(site.live.address()).await?;
    assert_eq!(answer.body, direct.body, "the live answer is byte for byte what it was");
    site.check_healthy().await
}

#[tokio::test]
async fn different_answers_are_told_apart() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    site.expect(predict(), 200, "").await?;
    let stats = site.settled(1.0).await?;
    assert_eq!(outcomes(&stats, "mismatched"), 1.0);
    site.counted(DIFFERENCES, &[("kind", "class")], 0.0).await?;
    site.expect(Request::post_json(FRIENDLY, &contested_flower()?), 200, "").await?;
    site.settled(2.0).await?;
    site.counted(DIFFERENCES, &[("shadow", "iris-v2"), ("kind", "class")], 1.0).await?;
    site.retrained.set_fault(Some(Fault::Status(404)));
    site.expect(predict(), 200, "").await?;
    let stats = site.settled(3.0).await?;
    assert_eq!(outcomes(&stats, "mismatched"), 3.0);
    site.counted(DIFFERENCES, &[("kind", "status")], 1.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn tolerance_lets_answers_agree() -> Result<()> {
    let compare = json!({"absoluteTolerance": 1, "ignore": ["/meta"]});
    let site = Site::start(open(shadow(json!({"compare": compare})))?).await?;
    site.expect(predict(), 200, "").await?;
    assert_eq!(outcomes(&site.settled(1.0).await?, "matched"), 1.0);
    site.check_healthy().await
}

#[tokio::test]
async fn a_failing_shadow_never_reaches_the_caller() -> Result<()> {
    let mut site = Site::start(open(shadow(json!({"timeout": "300ms"})))?).await?;
    let fine = async |site: &Site| site.expect(predict(), 200, "ndarray").await;
    site.retrained.set_fault(Some(Fault::Status(403)));
    fine(&site).await?;
    assert_eq!(outcomes(&site.settled(1.0).await?, "shadow_failed"), 1.0);
    site.retrained.set_fault(Some(Fault::Reset));
    fine(&site).await?;
    assert_eq!(outcomes(&site.settled(2.0).await?, "shadow_failed"), 2.0);
    site.retrained.set_fault(Some(Fault::Hang));
    fine(&site).await?;
    assert_eq!(outcomes(&site.settled(3.0).await?, "timeout"), 1.0);
    site.retrained.stop().await;
    fine(&site).await?;
    assert_eq!(outcomes(&site.settled(4.0).await?, "shadow_failed"), 3.0);
    site.check_healthy().await
}

#[tokio::test]
async fn a_failing_live_model_is_no_disagreement() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    site.live.set_fault(Some(Fault::Status(500)));
    site.expect(predict(), 500, "").await?;
    assert_eq!(outcomes(&site.settled(1.0).await?, "live_failed"), 1.0);
    site.live.set_fault(Some(Fault::Reset));
    site.expect(predict(), 503, "").await?;
    assert_eq!(outcomes(&site.settled(2.0).await?, "live_failed"), 2.0);
    site.check_healthy().await
}

#[tokio::test]
async fn the_breaker_leaves_a_dead_shadow_alone() -> Result<()> {
    let breaker = json!({"failures": 3, "retryAfter": "10s"});
    let mut site = Site::with_same_shadow(open(shadow(json!({"breaker": breaker})))?).await?;
    site.retrained.stop().await;
    // Those that open it, and those that it stops: within the time that it stays open.
    for total in [3.0, 6.0] {
        for _ in 0..3 {
            site.expect(predict(), 200, "").await?;
        }
        site.settled(total).await?;
    }
    let stats = site.settled(6.0).await?;
    assert_eq!(outcomes(&stats, "shadow_failed"), 3.0);
    assert_eq!(outcomes(&stats, "breaker_open"), 3.0);
    site.retrained.restart().await?;
    // Envoy may remember the closed port for a while, and fail the first probe.
    let mut sent = 6.0;
    until("a probe to close the breaker", Duration::from_secs(60), async || {
        site.expect(predict(), 200, "").await?;
        sent += 1.0;
        let stats = site.settled(sent).await?;
        Ok((outcomes(&stats, "matched") >= 1.0).then_some(()))
    })
    .await?;
    site.check_healthy().await
}

#[tokio::test]
async fn histograms_tell_the_latencies_of_a_pair() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    site.expect(predict(), 200, "").await?;
    site.settled(1.0).await?;
    for name in ["modelgate_shadow_live_milliseconds_count", "modelgate_shadow_milliseconds_count"]
    {
        site.counted(name, &[("shadow", "iris-v2")], 1.0).await?;
    }
    site.check_healthy().await
}

#[tokio::test]
async fn a_baseline_tells_noise_from_change() -> Result<()> {
    let settings = shadow(json!({"compare": {
        "baselineCluster": "outbound|8000||iris-default.prod.svc.cluster.local",
        "absoluteTolerance": 1,
    }}));
    let site = Site::with_same_shadow(open(settings)?).await?;
    // Without a path of its own the baseline gets the one that goes upstream.
    let question = Request::post_json("/seldon/prod/iris/api/v1.0/predictions", &flower());
    site.expect(question, 200, "ndarray").await?;
    let stats = site.settled(2.0).await?;
    assert_eq!(outcomes(&stats, "matched"), 1.0);
    let baseline = [("shadow", "iris-v2/baseline"), ("outcome", "matched")];
    assert_eq!(stats.sum(OUTCOMES, &baseline), 1.0);
    let received = site.live.received();
    let marked = received.iter().filter(|r| r.header("x-modelgate-shadow").is_some());
    assert_eq!((received.len(), marked.count()), (2, 1));
    site.counted("modelgate_shadow_score_difference_millionths_count", &[], 2.0).await?;
    site.check_healthy().await
}

/// A server may break off its answer as soon as another request waits.
#[tokio::test]
async fn the_live_model_is_not_asked_again_before_it_has_answered() -> Result<()> {
    let live = "outbound|8000||iris-default.prod.svc.cluster.local";
    let question = || Request::post_json("/seldon/prod/iris/api/v1.0/predictions", &flower());
    // Its second copy, and a shadow in the same server, which a host of its own may choose there.
    for (settings, copies) in [
        (json!({"compare": {"baselineCluster": live}}), 2.0),
        (json!({"cluster": live, "authority": "iris-v2.example.com"}), 1.0),
    ] {
        let site = Site::with_same_shadow(open(shadow(settings))?).await?;
        site.live.hold();
        let waiting = async {
            site.counted("modelgate_shadow_selected_total", &[], copies).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(site.live.received().len(), 1, "the live answer is not there");
            site.live.release();
            Ok(())
        };
        tokio::try_join!(site.expect(question(), 200, "ndarray"), waiting)?;
        let stats = site.settled(copies).await?;
        assert_eq!(stats.sum(OUTCOMES, &[("outcome", "matched")]), copies);
        assert_eq!(site.live.received().len(), 2);
        // Where the live model fails there is nothing to ask it again.
        site.live.set_fault(Some(Fault::Status(500)));
        site.expect(question(), 500, "").await?;
        let stats = site.settled(2.0 * copies).await?;
        assert_eq!(stats.sum(OUTCOMES, &[("outcome", "live_failed")]), copies);
        assert_eq!(site.live.received().len(), 3);
        site.check_healthy().await?;
    }
    Ok(())
}

/// A live model that a shadow's settings name: it would agree with itself in all that it does.
#[tokio::test]
async fn the_live_model_is_not_its_own_shadow() -> Result<()> {
    let live = json!({"cluster": "outbound|8000|default|iris-default.prod.svc.cluster.local"});
    let site = Site::with_same_shadow(open(shadow(live))?).await?;
    // By Seldon's address, whose prefix the route takes off: the copy has the path that the live model gets.
    let question = || Request::post_json(PREDICTIONS, &flower());
    for n in 1..=3 {
        site.expect(question(), 200, "ndarray").await?;
        let stats = site.settled(f64::from(n)).await?;
        assert_eq!(outcomes(&stats, "uncomparable"), f64::from(n));
    }
    assert_eq!(site.live.received().len(), 3, "it is asked once");
    let log = site.gateway.envoy.logged("the live model itself").await?;
    assert_eq!(log.matches("the live model itself").count(), 1, "{log}");
    // With pods of its own it is another one.
    assert_eq!(site.update(open(shadow(json!({})))?).await?, Taken::Yes);
    site.expect(question(), 200, "ndarray").await?;
    let stats = site.settled(4.0).await?;
    assert_eq!(outcomes(&stats, "matched"), 1.0);
    site.check_healthy().await
}

/// A client that takes its time to send a request does not make the live model slow, and so the shadow
/// fast beside it.
#[tokio::test]
async fn what_a_client_takes_to_send_a_request_is_not_the_live_models_time() -> Result<()> {
    const LIVE: &str = "modelgate_shadow_live_milliseconds";
    let site = Site::with_same_shadow(open(shadow(json!({})))?).await?;
    let body = flower().to_string();
    let (begin, rest) = body.split_at(body.len() / 2);
    let (length, size) = (format!("content-length: {}", body.len()), body.len());
    // The rest of the body comes late, or only what says that there is no more of it.
    for (framing, first, late) in [
        (&*length, begin.to_owned(), rest.to_owned()),
        ("transfer-encoding: chunked", format!("{size:x}\r\n{body}\r\n"), "0\r\n\r\n".into()),
    ] {
        let mut stream = TcpStream::connect(site.gateway.address).await?;
        let head = format!(
            "POST {FRIENDLY} HTTP/1.1\r\nhost: models.example.com\r\nconnection: close\r\n\
             content-type: application/json\r\n{framing}\r\n\r\n{first}"
        );
        stream.write_all(head.as_bytes()).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        stream.write_all(late.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("ndarray"), "{answer}");
    }
    site.settled(2.0).await?;
    let stats = site.counted(&format!("{LIVE}_count"), &[], 2.0).await?;
    let within = stats.sum(&format!("{LIVE}_bucket"), &[("le", "1000")]);
    assert_eq!(within, 2.0, "of the live model's answers took at most a second");
    site.check_healthy().await
}

#[tokio::test]
async fn a_baseline_at_another_path_is_told_with_a_remedy() -> Result<()> {
    let live = "outbound|8000||iris-default.prod.svc.cluster.local";
    // The path that goes upstream, unless said otherwise, and this server does not know it.
    let compare = json!({"baselineCluster": live, "baselinePath": "/nowhere"});
    let site = Site::with_same_shadow(open(shadow(json!({"compare": compare})))?).await?;
    for n in 1..=2 {
        site.expect(predict(), 200, "ndarray").await?;
        site.settled(2.0 * f64::from(n)).await?;
    }
    let log = site.gateway.envoy.logged("compare.baselinePath").await?;
    assert_eq!(log.matches("compare.baselinePath").count(), 1, "{log}");
    let compare = json!({"baselineCluster": live, "baselinePath": "/api/v1.0/predictions"});
    assert_eq!(site.update(open(shadow(json!({"compare": compare})))?).await?, Taken::Yes);
    site.live.forget();
    site.expect(predict(), 200, "ndarray").await?;
    let stats = site.settled(6.0).await?;
    let baseline = |outcome| [("shadow", "iris-v2/baseline"), ("outcome", outcome)];
    assert_eq!(stats.sum(OUTCOMES, &baseline("mismatched")), 2.0);
    assert_eq!(stats.sum(OUTCOMES, &baseline("matched")), 1.0);
    assert!(site.live.received().iter().all(|r| r.path == "/api/v1.0/predictions"));
    site.check_healthy().await
}
