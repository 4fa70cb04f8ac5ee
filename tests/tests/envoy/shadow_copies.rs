//! Which requests are copied, and what a copy carries.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use testbed::client::Request;
use testbed::envoy::Taken;
use testbed::tokens::Issuer;
use testbed::wait::until;

use crate::shadow::{OUTCOMES, SOON, outcomes};
use crate::site::{FRIENDLY, PREDICTIONS, Site, flower, open, predict, shadow};

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
