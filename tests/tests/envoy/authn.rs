//! Who is calling: tokens and API keys, with the answers that Envoy's own filter gives.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::model::Model;
use testbed::tokens::{Algorithm, Issuer, with};
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;

use crate::site::{DENIED, FRIENDLY, PREDICTIONS, Site, config, flower, open, policies, predict};

/// Envoy's text for what is no JWS in compact serialization.
const MALFORMED: &str =
    "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";

/// Everybody with a token of the issuer may predict.
fn known_callers() -> Value {
    json!([{
        "name": "known-callers",
        "models": ["prod/*"],
        "rules": [{
            "from": [{"source": {"requestPrincipals": ["https://idp.example.com/*"]}}],
            "to": [{"operation": {"operations": ["predict"]}}],
        }],
    }])
}

#[tokio::test]
async fn valid_tokens_reach_the_model_by_a_friendly_address() -> Result<()> {
    let site = Site::start(policies(known_callers())?).await?;
    let issuer = Issuer::shared()?;
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let token = issuer.mint(algorithm, &issuer.claims("alice"))?;
        // Twice: the second time the token has been seen before.
        for _ in 0..2 {
            let answer = site.expect(predict().bearer(&token), 200, "ndarray").await?;
            assert_eq!(answer.json()?["data"]["names"][0], "setosa");
        }
    }
    let received = site.live.received();
    assert_eq!(received.len(), 4);
    for request in received {
        assert_eq!(request.path, "/api/v1.0/predictions");
        assert_eq!(request.header("authorization"), None, "the token stays at the gateway");
    }
    site.check_healthy().await
}

#[tokio::test]
async fn the_shipped_gateway_resource_works_unchanged() -> Result<()> {
    let plugin = WasmPlugin::shipped("gateway.yaml")?;
    let site = Site::with_plugin(&plugin, Model::retrained().await?).await?;
    let issuer = Issuer::shared()?;
    let scientist = issuer.token("alice", &["data-science"])?;
    site.expect(predict().bearer(&scientist), 200, "ndarray").await?;
    let received = site.live.received();
    assert_eq!(received[0].header("x-user").as_deref(), Some("alice"));
    let fraud = || Request::post_json("/models/prod/fraud:predict", &flower());
    site.expect(fraud().bearer(&scientist), 403, DENIED).await?;
    let application = issuer.token("shop", &["applications"])?;
    site.expect(fraud().bearer(&application), 200, "fraud").await?;
    let suspended = issuer.token("mallory", &["data-science", "suspended"])?;
    site.expect(predict().bearer(&suspended), 403, DENIED).await?;
    site.expect(predict(), 403, DENIED).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn bad_tokens_get_envoys_own_answers() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    let (issuer, stranger) = (Issuer::shared()?, Issuer::stranger()?);
    let elsewhere = with(issuer.claims("alice"), "iss", json!("https://elsewhere.example.com"));
    let early = with(issuer.claims("alice"), "nbf", json!(testbed::tokens::now() + 3600));
    for (token, status, text) in [
        (issuer.expired("alice")?, 401, "Jwt is expired"),
        (issuer.mint(Algorithm::Es256, &early)?, 401, "Jwt not yet valid"),
        (stranger.token("alice", &[])?, 401, "Jwt verification fails"),
        (
            stranger.mint(Algorithm::Rs256, &stranger.claims("alice"))?,
            401,
            "Jwt verification fails",
        ),
        (issuer.wrong_audience("alice")?, 403, "Audiences in Jwt are not allowed"),
        (issuer.unsigned("alice", "AAAA"), 401, "Jwt header [alg] is not supported"),
        (issuer.unsigned("alice", ""), 401, MALFORMED),
        (issuer.mint(Algorithm::Es256, &elsewhere)?, 401, "Jwt issuer is not configured"),
        ("nonsense".to_owned(), 401, MALFORMED),
    ] {
        let answer = site.expect(predict().bearer(&token), status, "").await?;
        assert_eq!(answer.text(), text);
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        let challenge = answer.header("www-authenticate").context("no challenge")?;
        assert_eq!(
            challenge,
            format!(r#"Bearer realm="http://models.example.com{FRIENDLY}", error="invalid_token""#)
        );
    }
    assert!(site.live.received().is_empty());
    site.check_healthy().await
}

#[tokio::test]
async fn repeated_authorization_is_refused() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    let expired = Issuer::shared()?.expired("alice")?;
    // Envoy reads the lines as one, with a comma between them.
    for (first, second) in [(&token, &token), (&token, &expired), (&expired, &token)] {
        site.expect(predict().bearer(first).bearer(second), 401, MALFORMED).await?;
    }
    site.check_healthy().await
}

#[tokio::test]
async fn without_a_token_authorization_decides() -> Result<()> {
    let closed = Site::start(policies(known_callers())?).await?;
    closed.expect(predict(), 403, DENIED).await?;
    // Not the scheme that carries tokens: anonymous, as in Envoy.
    closed.expect(predict().header("authorization", "Basic eDp5"), 403, DENIED).await?;
    let open = Site::start(open(json!({}))?).await?;
    open.expect(predict(), 200, "ndarray").await?;
    open.check_healthy().await
}

#[tokio::test]
async fn tokens_and_claims_go_on_where_the_rule_says_so() -> Result<()> {
    let issuer = Issuer::shared()?;
    let mut rule = issuer.rule();
    rule["forwardOriginalToken"] = json!(true);
    rule["outputClaimToHeaders"] = json!([
        {"header": "x-user", "claim": "sub"},
        {"header": "x-team", "claim": "org.team"},
    ]);
    rule["outputPayloadToHeader"] = json!("x-payload");
    let site = Site::start(open(json!({"authentication": {"jwtRules": [rule]}}))?).await?;
    let claims = with(issuer.claims("alice"), "org", json!({"team": "vision"}));
    let token = issuer.mint(Algorithm::Es256, &claims)?;
    let forged = predict().header("x-user", "root").header("x-team", "root");
    site.expect(forged.bearer(&token), 200, "").await?;
    let received = &site.live.received()[0];
    assert_eq!(received.header("authorization"), Some(format!("Bearer {token}")));
    assert_eq!(received.lines("x-user").collect::<Vec<_>>(), [b"alice"]);
    assert_eq!(received.lines("x-team").collect::<Vec<_>>(), [b"vision"]);
    assert_eq!(received.header("x-payload").as_deref(), token.split('.').nth(1));
    site.check_healthy().await
}

#[tokio::test]
async fn grpc_refusals_are_grpc_answers() -> Result<()> {
    let site = Site::start(policies(known_callers())?).await?;
    let call = || {
        Request::new("POST", "/seldon.protos.Seldon/Predict")
            .header("content-type", "application/grpc")
            .header("seldon", "iris")
            .header("namespace", "prod")
    };
    let issuer = Issuer::shared()?;
    for (request, status) in [
        (call(), "7"),
        (call().bearer(&issuer.expired("alice")?), "16"),
        (call().header("seldon", "fraud"), "3"),
    ] {
        let answer = request.send_http2(site.gateway.address).await?;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("grpc-status"), Some(status), "{answer:?}");
    }
    assert!(site.live.received().is_empty() && site.fraud.received().is_empty());
    call().bearer(&issuer.token("alice", &[])?).send_http2(site.gateway.address).await?;
    assert_eq!(site.live.received()[0].path, "/seldon.protos.Seldon/Predict");
    site.check_healthy().await
}

#[tokio::test]
async fn api_keys_identify_machines() -> Result<()> {
    const KEY: &str = "b1946ac92492d2347c6235b4d2611184";
    // SHA-256 of KEY.
    let sha256 = sha256_hex(KEY);
    let site = Site::start(config(json!({
        "authentication": {"apiKeys": {"keys": [
            {"name": "nightly-batch", "sha256": sha256, "claims": {"groups": ["batch"]}},
        ]}},
        "authorization": {"defaultAction": "DENY", "policies": [{
            "name": "batch",
            "rules": [{
                "from": [{"source": {"requestPrincipals": ["apikey/nightly-batch"]}}],
                "when": [{"key": "request.auth.claims[groups]", "values": ["batch"]}],
            }],
        }]},
    }))?)
    .await?;
    let with_key = || predict().header("x-api-key", KEY);
    site.expect(with_key(), 200, "ndarray").await?;
    assert_eq!(site.live.received()[0].header("x-api-key"), None);
    site.expect(predict().header("x-api-key", "wrong"), 401, "").await?;
    site.expect(with_key().header("x-api-key", KEY), 401, "").await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    site.expect(with_key().bearer(&token), 401, "").await?;
    site.expect(predict(), 403, DENIED).await?;
    let claims = with(Issuer::shared()?.claims("nightly-batch"), "iss", json!("apikey"));
    let forged = Issuer::shared()?.mint(Algorithm::Es256, &claims)?;
    site.expect(predict().bearer(&forged), 401, "").await?;
    assert!(!site.gateway.envoy.log()?.contains(KEY), "a key is in the log");
    site.check_healthy().await
}

#[tokio::test]
async fn preflights_skip_authentication_only() -> Result<()> {
    let preflight = || {
        Request::new("OPTIONS", PREDICTIONS)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST")
            .bearer("nonsense")
    };
    let open = Site::start(open(json!({}))?).await?;
    open.expect(preflight(), 200, "").await?;
    let closed = Site::start(policies(known_callers())?).await?;
    closed.expect(preflight(), 403, DENIED).await?;
    closed.check_healthy().await
}

#[tokio::test]
async fn tokens_wait_for_keys_and_fail_without_them() -> Result<()> {
    let rule = json!({
        "issuer": "https://idp.example.com",
        "jwksUri": "https://idp.example.com/jwks.json",
        "jwksCluster": "outbound|443||idp.example.com",
        "timeout": "2s",
    });
    let mut site = Site::start(open(json!({"authentication": {"jwtRules": [rule]}}))?).await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    site.idp.stop().await;
    let failed = site.send(predict().bearer(&token)).await?;
    // The keys may have been fetched while the site was built.
    if failed.status != 200 {
        assert_eq!((failed.status, failed.text().as_str()), (401, "Jwks remote fetch is failed"));
    }
    site.expect(predict(), 200, "ndarray").await?;
    site.idp.restart().await?;
    until("the keys to be fetched", Duration::from_secs(30), async || {
        Ok((site.send(predict().bearer(&token)).await?.status == 200).then_some(()))
    })
    .await?;
    site.check_healthy().await
}

fn sha256_hex(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
