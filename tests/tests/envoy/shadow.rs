//! Copies for the retrained model: who is copied, what the copy carries, and how answers compare.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::envoy::Taken;
use testbed::iris::Iris;
use testbed::stats::Stats;
use testbed::tokens::Issuer;
use testbed::upstream::Fault;
use testbed::wait::until;

use crate::site::{FRIENDLY, PREDICTIONS, Site, flower, open, predict, shadow};

const OUTCOMES: &str = "modelgate_shadow_outcomes_total";
const DIFFERENCES: &str = "modelgate_shadow_differences_total";
const SOON: Duration = Duration::from_secs(10);

fn outcomes(stats: &Stats, outcome: &str) -> f64 {
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
async fn copies_carry_no_credentials() -> Result<()> {
    let issuer = Issuer::shared()?;
    let mut rule = issuer.rule();
    rule["forwardOriginalToken"] = json!(true);
    rule["outputClaimToHeaders"] =
        json!([{"header": "x-user", "claim": "sub"}, {"header": "x-team", "claim": "team"}]);
    let mut settings = shadow(json!({
        "headers": {"set": {"x-shadow": "true"}, "remove": ["x-internal"], "keep": ["x-team"]},
    }));
    settings["authentication"] = json!({"jwtRules": [rule]});
    let site = Site::start(open(settings)?).await?;
    let claims = testbed::tokens::with(issuer.claims("alice"), "team", json!("vision"));
    let token = issuer.mint(testbed::tokens::Algorithm::Es256, &claims)?;
    let request = predict()
        .bearer(&token)
        .header("cookie", "session=secret")
        .header("x-internal", "secret")
        .header("x-forwarded-client-cert", "secret")
        .header("proxy-authorization", "Basic secret")
        .header("accept-encoding", "gzip")
        .header("x-note", "kept");
    site.expect(request, 200, "").await?;
    let copy = &site.retrained.wait_for(1, SOON).await?[0];
    for name in [
        "authorization",
        "cookie",
        "x-internal",
        "x-user",
        "x-forwarded-client-cert",
        "proxy-authorization",
        "x-api-key",
    ] {
        assert_eq!(copy.header(name), None, "{name} reached the shadow");
    }
    assert_eq!(copy.header("x-team").as_deref(), Some("vision"));
    assert_eq!(copy.header("x-shadow").as_deref(), Some("true"));
    assert_eq!(copy.header("x-note").as_deref(), Some("kept"));
    assert_eq!(copy.header("accept-encoding").as_deref(), Some("identity"));
    assert_eq!(copy.header("content-type").as_deref(), Some("application/json"));
    assert!(copy.header("x-modelgate-shadow").is_some());
    let live = &site.live.received()[0];
    assert_eq!(live.header("x-shadow"), None);
    assert_eq!(live.header("x-modelgate-shadow"), None);
    assert_eq!(live.header("accept-encoding").as_deref(), Some("gzip"));
    // Both answers can be joined by one id.
    assert_eq!(copy.header("seldon-puid"), live.header("seldon-puid"));
    site.settled(1.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn api_keys_stay_from_copies() -> Result<()> {
    let mut settings = shadow(json!({}));
    // SHA-256 of "abc" (FIPS 180-2, appendix B.1); the key is weak on purpose.
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    settings["authentication"] = json!({"apiKeys": {"header": "x-machine-key", "keys": [{"name": "batch", "sha256": sha256}]}});
    let site = Site::start(open(settings)?).await?;
    site.expect(predict().header("x-machine-key", "abc"), 200, "").await?;
    let copy = &site.retrained.wait_for(1, SOON).await?[0];
    assert_eq!(copy.header("x-machine-key"), None);
    site.settled(1.0).await?;
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
async fn bodies_over_the_limit_are_not_copied() -> Result<()> {
    let limits = json!({"requestBytes": "1KiB"});
    let site = Site::start(open(shadow(json!({"limits": limits})))?).await?;
    let rows = vec![[6.0, 2.7, 4.2, 1.3]; 1000];
    let large = Request::post_json(FRIENDLY, &json!({"data": {"ndarray": rows}}));
    site.expect(large, 200, "ndarray").await?;
    assert_eq!(outcomes(&site.settled(1.0).await?, "too_large"), 1.0);
    assert!(site.retrained.received().is_empty());
    site.check_healthy().await
}

#[tokio::test]
async fn copies_under_way_are_bounded() -> Result<()> {
    let settings = json!({"timeout": "30s", "limits": {"inFlight": 2}});
    let site = Site::with_same_shadow(open(shadow(settings))?).await?;
    site.retrained.hold();
    for _ in 0..5 {
        site.expect(predict(), 200, "").await?;
    }
    site.counted(OUTCOMES, &[("outcome", "over_budget")], 3.0).await?;
    site.retrained.release();
    let stats = site.settled(5.0).await?;
    assert_eq!(outcomes(&stats, "over_budget"), 3.0);
    assert_eq!(outcomes(&stats, "matched"), 2.0);
    site.check_healthy().await
}

#[tokio::test]
async fn only_selected_requests_are_copied() -> Result<()> {
    let settings = shadow(json!({
        "when": [{"key": "request.auth.claims[groups]", "values": ["beta"]}],
    }));
    let site = Site::start(open(settings)?).await?;
    let issuer = Issuer::shared()?;
    let (beta, other) = (issuer.token("alice", &["beta"])?, issuer.token("bob", &["other"])?);
    site.expect(predict().bearer(&other), 200, "").await?;
    site.expect(predict(), 200, "").await?;
    let feedback = Request::post_json("/seldon/prod/iris/api/v1.0/feedback", &json!({}));
    site.expect(feedback.bearer(&beta), 200, "").await?;
    let fraud = Request::post_json("/models/prod/fraud:predict", &flower());
    site.expect(fraud.bearer(&beta), 200, "fraud").await?;
    // A mark from outside only ever turns shadowing off.
    let marked = predict().bearer(&beta).header("x-modelgate-shadow", "1");
    site.expect(marked, 200, "").await?;
    assert_eq!(site.live.received().last().context("none")?.header("x-modelgate-shadow"), None);
    site.expect(predict().bearer(&beta), 200, "").await?;
    site.settled(1.0).await?;
    assert_eq!(site.retrained.received().len(), 1);
    site.check_healthy().await
}

#[tokio::test]
async fn a_share_of_the_requests_is_copied() -> Result<()> {
    let site = Site::start(open(shadow(json!({"percent": 0})))?).await?;
    let mut connection = predict().connect(site.gateway.address).await?;
    for _ in 0..50 {
        connection.send(&predict()).await?;
    }
    site.settled(0.0).await?;
    assert_eq!(site.update(open(shadow(json!({"percent": 25})))?).await?, Taken::Yes);
    for _ in 0..400 {
        connection.send(&predict()).await?;
    }
    let stats = site.counted("modelgate_requests_total", &[], 450.0).await?;
    let share = stats.sum("modelgate_shadow_selected_total", &[]);
    assert_eq!(share, outcomes(&site.settled(share).await?, "mismatched"));
    // 100 expected; 5 standard deviations of 8.7.
    assert!((50.0..=145.0).contains(&share), "{share} of 400");
    site.check_healthy().await
}

#[tokio::test]
async fn report_mode_copies_nothing() -> Result<()> {
    let mut settings = shadow(json!({}));
    settings["mode"] = json!("REPORT");
    let site = Site::start(open(settings)?).await?;
    site.expect(Request::post_json(PREDICTIONS, &flower()), 200, "ndarray").await?;
    site.counted("modelgate_requests_total", &[], 1.0).await?;
    assert!(site.retrained.received().is_empty());
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
