//! Keys that are fetched: rotations, issuers that fail in every way, and tokens that wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::envoy::Taken;
use testbed::tokens::Issuer;
use testbed::upstream::{Answer, Fault, Received, Upstream};
use testbed::wait::until;
use tokio::task::JoinSet;

use crate::site::{DENIED, Site, flower, open, predict};

const FETCHES: &str = "modelgate_jwks_fetches_total";
const NO_KEYS: &str = "Jwks remote fetch is failed";
/// One worker, and Envoy's main thread, which loads the filter as well and serves nothing.
const THREADS: usize = 2;
/// For what takes a refresh, or a retry.
const SOON: Duration = Duration::from_secs(20);

/// What the issuer answers.
#[derive(Clone)]
struct Served(Arc<Mutex<String>>);

impl Served {
    fn set(&self, body: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body.into();
    }
}

/// An issuer that serves this.
async fn idp(body: impl Into<String>) -> Result<(Upstream, Served)> {
    let served = Served(Arc::new(Mutex::new(body.into())));
    let answers = served.clone();
    let handler = move |_: &_| {
        let body = answers.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Answer::new(200, "application/json", body)
    };
    Ok((Upstream::start(handler).await?, served))
}

/// Anybody may call; tokens are verified with fetched keys.
fn remote(timeout: &str, refresh: &str) -> Result<Value> {
    let rule = json!({
        "issuer": "https://idp.example.com",
        "jwksUri": "https://idp.example.com/keys?v=1",
        "jwksCluster": "outbound|443||idp.example.com",
        "timeout": timeout,
    });
    open(json!({"authentication": {"jwtRules": [rule], "jwks": {"refresh": refresh}}}))
}

fn good() -> Result<String> {
    Ok(Issuer::shared()?.jwks())
}

fn known() -> Result<Request> {
    Ok(predict().bearer(&Issuer::shared()?.token("alice", &[])?))
}

async fn accepted(site: &Site, request: &Request) -> Result<()> {
    until("the token to be accepted", SOON, async || {
        Ok((site.send(request.clone()).await?.status == 200).then_some(()))
    })
    .await
}

async fn fetched(site: &Site, result: &str, at_least: f64) -> Result<f64> {
    until(&format!("{at_least} fetches that are {result}"), SOON, async || {
        let count = site.gateway.envoy.stats().await?.sum(FETCHES, &[("result", result)]);
        Ok((count >= at_least).then_some(count))
    })
    .await
}

/// Several at once, each on its own connection.
fn send_all(site: &Site, request: &Request, count: usize) -> JoinSet<Result<Response>> {
    let mut sent = JoinSet::new();
    for _ in 0..count {
        let (request, address) = (request.clone(), site.gateway.address);
        sent.spawn(async move { request.send(address).await });
    }
    sent
}

#[tokio::test]
async fn the_fetch_is_the_one_that_the_uri_says() -> Result<()> {
    let (idp, _) = idp(good()?).await?;
    let site = Site::with_idp(remote("5s", "5m")?, idp).await?;
    site.expect(known()?, 200, "ndarray").await?;
    let received = site.idp.wait_for(THREADS, SOON).await?;
    assert_eq!(received.len(), THREADS, "one fetch each: {received:?}");
    assert_eq!((&*received[0].method, &*received[0].path), ("GET", "/keys?v=1"));
    assert_eq!(received[0].authority, "idp.example.com");
    let accept = received[0].header("accept");
    assert_eq!(accept.as_deref(), Some("application/jwk-set+json, application/json"));
    let agent = received[0].header("user-agent").context("no user agent")?;
    ensure!(agent.starts_with("modelgate/"), "{agent}");
    site.check_healthy().await
}

/// As kube-apiserver serves the keys of ServiceAccounts, and as some firewalls let nobody through
/// who does not say what they are.
#[tokio::test]
async fn an_issuer_that_serves_key_sets_only_and_wants_to_know_who_asks() -> Result<()> {
    let good = good()?;
    let handler = move |request: &Received| {
        let accept = request.header("accept").unwrap_or_default();
        let types: Vec<&str> = accept.split(',').map(str::trim).collect();
        if request.header("user-agent").is_none_or(|agent| agent.is_empty()) {
            Answer::new(403, "text/plain", "who are you?")
        } else if types.contains(&"application/jwk-set+json") || types.contains(&"*/*") {
            Answer::new(200, "application/jwk-set+json", good.clone())
        } else {
            Answer::new(406, "text/plain", "only application/jwk-set+json here")
        }
    };
    let site = Site::with_idp(remote("5s", "5m")?, Upstream::start(handler).await?).await?;
    site.expect(known()?, 200, "ndarray").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn a_compressed_set_is_read_and_a_redirect_is_named() -> Result<()> {
    let coded = Arc::new(Mutex::new(Answer::new(302, "text/plain", "")));
    let answers = Arc::clone(&coded);
    let handler = move |_: &_| answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let set = |answer: Answer| *coded.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    set(Answer::new(302, "text/plain", "")
        .header("location", "https://login.example.com/keys?code=secret"));
    let site = Site::with_idp(remote("5s", "5m")?, Upstream::start(handler).await?).await?;
    site.expect(known()?, 401, NO_KEYS).await?;
    site.gateway
        .envoy
        .logged("jwksUri and jwksCluster must lead to https://login.example.com/keys; until")
        .await?;
    let good = good()?;
    set(Answer::new(200, "application/json", good.clone()).header("content-encoding", "br"));
    site.gateway.envoy.logged("its content-encoding is not gzip or deflate").await?;
    site.expect(known()?, 401, NO_KEYS).await?;
    set(Answer::new(200, "application/json", gzip(&good)?).header("content-encoding", "gzip"));
    accepted(&site, &known()?).await?;
    site.check_healthy().await
}

/// RFC 1952 in one stored block, as a server without patience would write it.
fn gzip(plain: &str) -> Result<Vec<u8>> {
    let length = u16::try_from(plain.len())?;
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(plain.as_bytes());
    let crc = plain.bytes().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xedb8_8320,
            _ => crc >> 1,
        })
    });
    out.extend((!crc).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    Ok(out)
}

#[tokio::test]
async fn each_key_that_is_left_out_is_in_the_log() -> Result<()> {
    let mut set: Value = serde_json::from_str(&good()?)?;
    let keys = set["keys"].as_array_mut().context("no keys")?;
    let mut signer = keys[0].clone();
    (signer["kid"], signer["key_ops"]) = (json!("signer"), json!(["sign"]));
    let mut leaked = keys[0].clone();
    (leaked["kid"], leaked["d"]) = (json!("leaked"), json!("AAAA"));
    keys.extend([json!({"kty": "RSA", "use": "enc", "kid": "encrypts"}), signer, leaked]);
    let (idp, _) = idp(set.to_string()).await?;
    let site = Site::with_idp(remote("5s", "2s")?, idp).await?;
    site.expect(known()?, 200, "ndarray").await?;
    let named = site.gateway.envoy.logged("(kid signer): its key_ops do not list verify").await?;
    ensure!(named.contains("private keys are served") && named.contains("(kid leaked)"), "{named}");
    ensure!(!named.contains("encrypts") && !named.contains("AAAA"), "{named}");
    // As often as it is news, not as often as it is fetched.
    fetched(&site, "ok", 3.0 * THREADS as f64).await?;
    let lines = site.gateway.envoy.log()?.matches("(kid signer)").count();
    ensure!(lines <= THREADS, "said {lines} times");
    site.check_healthy().await
}

#[tokio::test]
async fn a_rotation_is_followed_and_a_removed_key_refused_even_for_tokens_seen_before() -> Result<()>
{
    let (idp, served) = idp(good()?).await?;
    let site = Site::with_idp(remote("5s", "2s")?, idp).await?;
    let (old, new) = (Issuer::shared()?, Issuer::stranger()?);
    let (first, second) = (known()?, predict().bearer(&new.token("alice", &[])?));
    for _ in 0..2 {
        site.expect(first.clone(), 200, "ndarray").await?;
    }
    site.expect(second.clone(), 401, "Jwt verification fails").await?;
    // Both at once, as an issuer begins a rotation.
    let keys = |issuer: &Issuer| -> Result<Vec<Value>> {
        let set: Value = serde_json::from_str(&issuer.jwks())?;
        Ok(set["keys"].as_array().context("no keys")?.clone())
    };
    let both = [keys(old)?, keys(new)?].concat();
    served.set(json!({"keys": both}).to_string());
    accepted(&site, &second).await?;
    for _ in 0..2 {
        site.expect(first.clone(), 200, "ndarray").await?;
    }
    served.set(new.jwks());
    until("the removed key to be refused", SOON, async || {
        Ok((site.send(first.clone()).await?.status == 401).then_some(()))
    })
    .await?;
    site.expect(first, 401, "Jwt verification fails").await?;
    site.expect(second, 200, "ndarray").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn an_issuer_that_is_dead_from_the_start_costs_tokens_only() -> Result<()> {
    let (mut idp, _) = idp(good()?).await?;
    idp.stop().await;
    let mut site = Site::with_idp(remote("2s", "5m")?, idp).await?;
    let refused = site.expect(known()?, 401, NO_KEYS).await?;
    assert!(refused.header("www-authenticate").is_some_and(|v| v.contains("invalid_token")));
    site.expect(predict(), 200, "ndarray").await?;
    fetched(&site, "failed", 1.0).await?;
    site.gateway.envoy.logged("the keys of https://idp.example.com through").await?;
    site.idp.restart().await?;
    accepted(&site, &known()?).await?;
    fetched(&site, "ok", 1.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn an_issuer_that_talks_nonsense_from_the_start_costs_tokens_only() -> Result<()> {
    const LARGE: usize = 10 << 20;
    // A good set, but for its size.
    let large = " ".repeat(LARGE) + &good()?;
    for (body, result) in [("<html>hello</html>".to_owned(), "unusable"), (large, "too_large")] {
        let (idp, served) = idp(body).await?;
        let site = Site::with_idp(remote("5s", "5m")?, idp).await?;
        site.expect(known()?, 401, NO_KEYS).await?;
        site.expect(predict(), 200, "ndarray").await?;
        fetched(&site, result, THREADS as f64).await?;
        site.gateway.envoy.logged("the keys of https://idp.example.com through").await?;
        let before = site.resident()?;
        // Further attempts leave nothing behind.
        fetched(&site, result, 3.0 * THREADS as f64).await?;
        let more = site.resident()? - before;
        ensure!(more < 2.0 * LARGE as f64, "{more} bytes more after more of {result}");
        site.expect(known()?, 401, NO_KEYS).await?;
        site.expect(predict(), 200, "ndarray").await?;
        served.set(good()?);
        accepted(&site, &known()?).await?;
        site.check_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn tokens_wait_for_a_slow_issuer_and_go_on_whole() -> Result<()> {
    let (idp, _) = idp(good()?).await?;
    idp.hold();
    let site = Site::with_idp(remote("60s", "5m")?, idp).await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    // More than Envoy buffers: a held body is held back at the client.
    let large = json!({"data": {"ndarray": vec![0.5; 800_000]}});
    let fraud = Request::post_json("/models/prod/fraud:predict", &large).bearer(&token);
    let waiting = send_all(&site, &fraud, 8).join_all();
    let others = async {
        // Who shows no token is served although the issuer has not answered.
        site.expect(predict(), 200, "ndarray").await?;
        assert!(site.fraud.received().is_empty(), "a token was not held");
        site.idp.release();
        anyhow::Ok(())
    };
    let (waited, others) = tokio::join!(waiting, others);
    others?;
    for answer in waited {
        let answer = answer?;
        assert_eq!((answer.status, answer.text().as_str()), (200, "fraud"));
    }
    let received = site.fraud.received();
    assert_eq!(received.len(), 8);
    for request in received {
        assert_eq!(request.body, large.to_string().as_bytes());
        assert_eq!(request.path, "/api/v1.0/predictions", "the rewrite holds for held requests");
        assert_eq!(request.header("authorization"), None);
    }
    assert_eq!(site.idp.received().len(), THREADS);
    site.counted("modelgate_requests_total", &[("decision", "allowed")], 9.0).await?;
    site.counted("modelgate_tokens_total", &[], 8.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn bodies_that_name_models_are_read_after_a_wait_too() -> Result<()> {
    let (idp, _) = idp(good()?).await?;
    idp.hold();
    let mut config = remote("60s", "5m")?;
    let server = json!({"namespace": "llm", "hosts": ["models.example.com"]});
    config["targets"] = json!({"families": ["openai"], "openai": [server]});
    config["authorization"] = json!({"defaultAction": "DENY", "policies": [
        {"name": "one", "models": ["llm/gpt-oss:20b"], "rules": [{}]},
    ]});
    let site = Site::with_idp(config, idp).await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    let chat = |model: &str| {
        let prompt = "x".repeat(300_000);
        Request::post_json("/v1/chat/completions", &json!({"a": prompt, "model": model}))
            .authority(Some("models.example.com"))
            .bearer(&token)
    };
    let (known, other) = (chat("gpt-oss:20b"), chat("gpt-oss:120b"));
    let waiting = async { tokio::join!(site.send(known.clone()), site.send(other)) };
    let released = async {
        site.expect(Request::new("GET", "/"), 403, DENIED).await?;
        assert!(site.website.received().is_empty(), "a token was not held");
        site.idp.release();
        anyhow::Ok(())
    };
    let ((known, other), released) = tokio::join!(waiting, released);
    released?;
    assert_eq!((known?.status, other?.status), (200, 403));
    let bodies: Vec<usize> = site.website.received().iter().map(|r| r.body.len()).collect();
    assert!(bodies.iter().max().is_some_and(|most| *most > 300_000), "{bodies:?}");
    assert_eq!(bodies.iter().filter(|length| **length > 0).count(), 1, "{bodies:?}");
    site.check_healthy().await
}

#[tokio::test]
async fn held_calls_of_grpc_get_answers_of_grpc() -> Result<()> {
    let (idp, _) = idp(good()?).await?;
    idp.set_delay(Duration::from_secs(3));
    let mut config = remote("1s", "5m")?;
    config["telemetry"] = json!({"accessLog": true});
    let site = Site::with_idp(config, idp).await?;
    let call = Request::new("POST", "/seldon.protos.Seldon/Predict")
        .header("content-type", "application/grpc")
        .header("seldon", "iris")
        .header("namespace", "prod")
        .bearer(&Issuer::shared()?.token("alice", &[])?);
    let refused = call.clone().send_http2(site.gateway.address).await?;
    assert_eq!(refused.header("grpc-status"), Some("16"), "{refused:?}");
    assert!(site.live.received().is_empty());
    site.idp.set_delay(Duration::from_millis(700));
    // The next attempts are slow enough to be waited for, and quick enough to be had.
    until("the call to be accepted", SOON, async || {
        call.clone().send_http2(site.gateway.address).await?;
        Ok((!site.live.received().is_empty()).then_some(()))
    })
    .await?;
    let lines = site.gateway.envoy.access_log_of(1).await?;
    let first = lines.first().context("no line in the access log")?;
    assert_eq!(first["modelgate.decision"], "unauthenticated");
    assert_eq!(first["details"], "jwt_authn_access_denied{Jwks_remote_fetch_is_failed}");
    site.check_healthy().await
}

#[tokio::test]
async fn who_only_reports_holds_nobody() -> Result<()> {
    let (idp, _) = idp(good()?).await?;
    idp.set_fault(Some(Fault::Hang));
    let mut config = remote("10s", "5m")?;
    config["mode"] = json!("REPORT");
    let site = Site::with_idp(config, idp).await?;
    let path = "/seldon/prod/iris/api/v1.0/predictions";
    site.expect(Request::post_json(path, &flower()).bearer("x"), 200, "ndarray").await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    site.expect(Request::post_json(path, &flower()).bearer(&token), 200, "").await?;
    // The fetch that it would have been held for is still under way.
    let stats = site.gateway.envoy.stats().await?;
    assert_eq!(stats.sum("modelgate_jwks_fetches_total", &[]), 0.0);
    site.counted("modelgate_requests_total", &[("decision", "unauthenticated")], 2.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn tokens_wait_no_longer_than_the_rule_says() -> Result<()> {
    let (idp, _) = idp(good()?).await?;
    idp.set_fault(Some(Fault::Hang));
    let site = Site::with_idp(remote("1500ms", "5m")?, idp).await?;
    for answer in send_all(&site, &known()?, 4).join_all().await {
        let answer = answer?;
        assert_eq!((answer.status, answer.text().as_str()), (401, NO_KEYS));
    }
    fetched(&site, "timeout", 1.0).await?;
    site.expect(predict(), 200, "ndarray").await?;
    site.idp.set_fault(None);
    accepted(&site, &known()?).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn only_so_many_are_held_and_those_that_hang_up_are_counted() -> Result<()> {
    const MOST: usize = 256;
    let (idp, _) = idp(good()?).await?;
    idp.hold();
    let site = Site::with_idp(remote("60s", "5m")?, idp).await?;
    let gone = tokio::time::timeout(Duration::from_millis(500), site.send(known()?)).await;
    assert!(gone.is_err(), "was not held: {gone:?}");
    site.counted("modelgate_requests_total", &[("decision", "unauthenticated")], 1.0).await?;
    let mut sent = send_all(&site, &known()?, MOST + 44);
    for _ in 0..44 {
        let refused = sent.join_next().await.context("none was refused at once")???;
        assert_eq!((refused.status, refused.text().as_str()), (401, NO_KEYS));
    }
    site.idp.release();
    for held in sent.join_all().await {
        assert_eq!(held?.status, 200);
    }
    let refused = [("decision", "unauthenticated")];
    site.counted("modelgate_requests_total", &refused, 45.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn what_an_issuer_answers_later_cannot_take_the_keys_away() -> Result<()> {
    let (idp, served) = idp(good()?).await?;
    let mut site = Site::with_idp(remote("1s", "1s")?, idp).await?;
    site.expect(known()?, 200, "ndarray").await?;
    for (body, result) in [
        (r#"{"keys": []}"#.to_owned(), "unusable"),
        ("<html>maintenance</html>".to_owned(), "unusable"),
        (" ".repeat(10 << 20) + &good()?, "too_large"),
    ] {
        served.set(body);
        let before = site.gateway.envoy.stats().await?.sum(FETCHES, &[("result", result)]);
        fetched(&site, result, before + 1.0).await?;
        site.expect(known()?, 200, "ndarray").await?;
        // A fetch that works resets the distance to the next.
        served.set(good()?);
        let ok = site.gateway.envoy.stats().await?.sum(FETCHES, &[("result", "ok")]);
        fetched(&site, "ok", ok + 1.0).await?;
    }
    for (fault, result) in
        [(Fault::Status(500), "failed"), (Fault::Reset, "failed"), (Fault::Hang, "timeout")]
    {
        site.idp.set_fault(Some(fault));
        let before = site.gateway.envoy.stats().await?.sum(FETCHES, &[("result", result)]);
        fetched(&site, result, before + 1.0).await?;
        site.expect(known()?, 200, "ndarray").await?;
        site.idp.set_fault(None);
        let ok = site.gateway.envoy.stats().await?.sum(FETCHES, &[("result", "ok")]);
        fetched(&site, "ok", ok + 1.0).await?;
    }
    site.idp.stop().await;
    let failed = site.gateway.envoy.stats().await?.sum(FETCHES, &[("result", "failed")]);
    fetched(&site, "failed", failed + 2.0).await?;
    site.expect(known()?, 200, "ndarray").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn stale_keys_end() -> Result<()> {
    let (idp, _) = idp(good()?).await?;
    let mut config = remote("1s", "1s")?;
    config["authentication"]["jwks"]["maxStale"] = json!("4s");
    let mut site = Site::with_idp(config, idp).await?;
    site.expect(known()?, 200, "ndarray").await?;
    site.idp.stop().await;
    let token = known()?;
    until("the keys to be too old", SOON, async || {
        Ok((site.send(token.clone()).await?.text() == NO_KEYS).then_some(()))
    })
    .await?;
    site.expect(predict(), 200, "ndarray").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn keys_outlive_the_configuration() -> Result<()> {
    let (idp, _) = idp(good()?).await?;
    let mut site = Site::with_idp(remote("2s", "5m")?, idp).await?;
    site.expect(known()?, 200, "ndarray").await?;
    site.idp.wait_for(THREADS, SOON).await?;
    site.idp.stop().await;
    for round in 0..3 {
        let mut config = remote("2s", "5m")?;
        config["targets"] = json!({"metricsPaths": [format!("/prometheus-{round}")]});
        assert_eq!(site.update(config).await?, Taken::Yes);
        site.expect(known()?, 200, "ndarray").await?;
    }
    assert_eq!(site.idp.received().len(), THREADS);
    assert_eq!(site.gateway.envoy.stats().await?.sum(FETCHES, &[("result", "failed")]), 0.0);
    site.check_healthy().await
}

#[tokio::test]
async fn a_configuration_that_comes_while_tokens_wait_lets_them_down_gently() -> Result<()> {
    let (idp, _) = idp(good()?).await?;
    idp.set_delay(Duration::from_secs(4));
    let site = Site::with_idp(remote("10s", "5m")?, idp).await?;
    let token = known()?;
    let waiting = send_all(&site, &token, 5).join_all();
    let update = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut config = remote("10s", "5m")?;
        config["targets"] = json!({"metricsPaths": ["/other"]});
        site.update(config).await
    };
    let (answers, taken) = tokio::join!(waiting, update);
    assert_eq!(taken?, Taken::Yes);
    for answer in answers {
        assert_eq!(answer?.status, 200);
    }
    site.expect(token, 200, "ndarray").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn an_unknown_key_id_is_looked_for_once() -> Result<()> {
    let renamed = Issuer::stranger()?.jwks().replace("\"kid\":\"", "\"kid\":\"old-");
    let (idp, served) = idp(renamed).await?;
    let site = Site::with_idp(remote("2s", "5m")?, idp).await?;
    fetched(&site, "ok", 2.0).await?;
    served.set(good()?);
    let text = "Jwks doesn't have key to match kid or alg from Jwt";
    site.expect(known()?, 401, text).await?;
    accepted(&site, &known()?).await?;
    assert_eq!(site.idp.received().len(), THREADS + 1);
    // Others that are unknown have to wait for their turn.
    served.set(r#"{"keys": []}"#);
    site.expect(predict().bearer(&unknown_key_id()?), 401, text).await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(site.idp.received().len(), THREADS + 1);
    site.check_healthy().await
}

/// A token whose header names a key that nobody has.
fn unknown_key_id() -> Result<String> {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = Issuer::shared()?.claims("alice").to_string();
    Ok(format!("{}.{}.AAAA", encode(r#"{"alg":"ES256","kid":"nobodys"}"#), encode(&claims)))
}
