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
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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
        "headers": {
            "set": {"x-shadow": "true"}, "remove": ["x-note-internal"], "keep": ["x-team", "x-note*"],
        },
    }));
    settings["authentication"] = json!({"jwtRules": [rule]});
    let site = Site::start(open(settings)?).await?;
    let claims = testbed::tokens::with(issuer.claims("alice"), "team", json!("vision"));
    let token = issuer.mint(testbed::tokens::Algorithm::Es256, &claims)?;
    let request = predict()
        .bearer(&token)
        .header("cookie", "session=secret")
        .header("x-note-internal", "secret")
        .header("x-forwarded-client-cert", "secret")
        .header("proxy-authorization", "Basic secret")
        .header("accept-encoding", "gzip")
        .header("x-note", "kept");
    site.expect(request, 200, "").await?;
    let copy = &site.retrained.wait_for(1, SOON).await?[0];
    for name in [
        "authorization",
        "cookie",
        "x-note-internal",
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
    let mark = copy.header("x-modelgate-shadow").context("no mark")?;
    assert!(mark.starts_with("iris-v2;"), "{mark}");
    let live = &site.live.received()[0];
    assert_eq!(live.header("x-shadow"), None);
    assert_eq!(live.header("x-modelgate-shadow"), None);
    assert_eq!(live.header("accept-encoding").as_deref(), Some("gzip"));
    // Both answers can be joined by one id.
    assert_eq!(copy.header("seldon-puid"), live.header("seldon-puid"));
    site.settled(1.0).await?;
    site.check_healthy().await
}

/// Credentials and identities that no rule names, at the shadow and at the live model's second copy.
#[tokio::test]
async fn copies_carry_no_credentials_that_no_rule_names() -> Result<()> {
    const SECRETS: [&str; 27] = [
        "x-api-key",
        "api-key",
        "ocp-apim-subscription-key",
        "x-goog-api-key",
        "x-auth-token",
        "x-access-token",
        "x-id-token",
        "x-forwarded-access-token",
        "x-forwarded-authorization",
        "x-auth-request-access-token",
        "x-amzn-oidc-accesstoken",
        "x-amzn-oidc-data",
        "x-amz-security-token",
        "x-goog-iap-jwt-assertion",
        "cf-access-jwt-assertion",
        "x-ms-token-aad-access-token",
        "dpop",
        "private-token",
        "x-vault-token",
        "x-client-cert",
        "x-forwarded-user",
        "x-forwarded-email",
        "kubeflow-userid",
        "x-forwarded-path",
        "x-original-path",
        "authorization",
        "baggage",
    ];
    const QUERY: &str = "access_token=secret&api_key=secret&key=secret&token=secret&sig=secret";
    let mut settings = shadow(json!({
        "query": {"keep": ["version"]},
        "compare": {"baselineCluster": "outbound|8000||iris-default.prod.svc.cluster.local"},
    }));
    settings["authentication"] = json!({"jwtRules": []});
    let site = Site::start(open(settings)?).await?;
    let path = format!("/seldon/prod/iris/api/v1.0/predictions?{QUERY}&version=2");
    let question = Request::post_json(path, &flower()).header("traceparent", "00-1-2-01");
    let question = SECRETS.iter().fold(question, |question, name| question.header(name, "secret"));
    site.expect(question, 200, "ndarray").await?;
    site.settled(2.0).await?;
    let is_copy = |r: &&testbed::upstream::Received| r.header("x-modelgate-shadow").is_some();
    let (live, shadow) = (site.live.received(), site.retrained.received());
    // The live model itself gets what it always got.
    let whole = live.iter().find(|r| !is_copy(r)).context("no live request")?;
    assert!(SECRETS.iter().all(|name| whole.header(name).is_some()), "{whole:?}");
    let copies: Vec<_> = live.iter().chain(&shadow).filter(is_copy).collect();
    assert_eq!(copies.len(), 2);
    for copy in copies {
        assert!(!format!("{copy:?}").contains("secret"), "{copy:?}");
        assert!(SECRETS.iter().all(|name| copy.header(name).is_none()), "{copy:?}");
        assert_eq!(copy.path, "/api/v1.0/predictions?version=2");
        assert_eq!(copy.header("traceparent").as_deref(), Some("00-1-2-01"));
        assert_eq!(copy.header("content-type").as_deref(), Some("application/json"));
    }
    site.check_healthy().await
}

/// Whoever could turn copying off could keep what a new model fails at out of its verdict.
#[tokio::test]
async fn clients_do_not_turn_copying_off() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    for (n, request) in [
        predict().header("x-modelgate-shadow", "1"),
        predict().header("x_modelgate_shadow", "iris-v2"),
        predict().header("accept", "application/json, text/event-stream;q=0"),
    ]
    .into_iter()
    .enumerate()
    {
        site.expect(request, 200, "ndarray").await?;
        let last = site.live.received().into_iter().last().context("none")?;
        assert_eq!(
            (last.header("x-modelgate-shadow"), last.header("x_modelgate_shadow")),
            (None, None)
        );
        site.settled(n as f64 + 1.0).await?;
    }
    assert_eq!(site.retrained.received().len(), 3);
    site.check_healthy().await
}

#[tokio::test]
async fn a_shadow_may_have_a_credential_of_its_own() -> Result<()> {
    let settings = shadow(json!({
        "headers": {"set": {"authorization": "Bearer own"}},
        "compare": {"baselineCluster": "outbound|8000||iris-default.prod.svc.cluster.local"},
    }));
    let site = Site::start(open(settings)?).await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    let question = Request::post_json("/seldon/prod/iris/api/v1.0/predictions", &flower());
    site.expect(question.bearer(&token), 200, "ndarray").await?;
    site.settled(2.0).await?;
    let copy = &site.retrained.received()[0];
    assert_eq!(copy.header("authorization").as_deref(), Some("Bearer own"));
    let live = site.live.received();
    assert!(
        live.len() == 2 && live.iter().all(|r| r.header("authorization").is_none()),
        "{live:?}"
    );
    let log = site.gateway.envoy.logged("may hold a secret in plain text").await?;
    assert!(!log.contains("Bearer own"));
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
    // Each series is there before anything is counted: Prometheus sees no first value.
    until("all series", Duration::from_secs(10), async || {
        let stats = site.gateway.envoy.stats().await?;
        let of_class =
            stats.select("modelgate_shadow_differences_total", &[("kind", "class")]).count();
        let outcomes = stats.select(OUTCOMES, &[("outcome", "mismatched")]).count();
        Ok(((of_class, outcomes) == (1, 1)).then_some(()))
    })
    .await?;
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

/// A server may break off its answer as soon as another request waits.
#[tokio::test]
async fn the_live_model_is_not_asked_again_before_it_has_answered() -> Result<()> {
    let live = "outbound|8000||iris-default.prod.svc.cluster.local";
    let question = || Request::post_json("/seldon/prod/iris/api/v1.0/predictions", &flower());
    // Its second copy, and a shadow in the same server.
    for (settings, copies) in
        [(json!({"compare": {"baselineCluster": live}}), 2.0), (json!({"cluster": live}), 1.0)]
    {
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

/// As OpenAI's clients ask for a stream: in the body, and with an `accept` of JSON.
#[tokio::test]
async fn streams_are_not_copied() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    let mut body = flower();
    body["stream"] = json!(true);
    let asks = Request::post_json(FRIENDLY, &body).header("accept", "application/json");
    site.expect(asks, 200, "ndarray").await?;
    let stats = site.settled(1.0).await?;
    assert_eq!(outcomes(&stats, "uncomparable"), 1.0);
    for tail in ["infer_stream", "infer_stream/chat/completions", "generate_stream/embeddings"] {
        let path = format!("/seldon/prod/iris/v2/models/iris/{tail}");
        site.send(Request::post_json(path, &flower())).await?;
    }
    site.settled(1.0).await?;
    assert!(site.retrained.received().is_empty());
    site.check_healthy().await
}

#[tokio::test]
async fn who_accepts_a_stream_is_counted_and_not_copied() -> Result<()> {
    let site = Site::start(open(shadow(json!({})))?).await?;
    for n in 1..=3 {
        let asks = predict().header("accept", "application/json, text/event-stream");
        site.expect(asks, 200, "ndarray").await?;
        let stats = site.settled(f64::from(n)).await?;
        assert_eq!(outcomes(&stats, "uncomparable"), f64::from(n));
    }
    let log = site.gateway.envoy.logged("streams of events").await?;
    assert_eq!(log.matches("streams of events").count(), 1, "{log}");
    assert!(site.retrained.received().is_empty());
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
