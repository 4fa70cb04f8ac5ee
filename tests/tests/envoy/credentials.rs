//! Credentials end at the gateway: they reach neither models nor logs, by whichever way a request goes.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::gateway::SHIPPED_PATH;
use testbed::tokens::{Issuer, with};
use testbed::upstream::Received;

use crate::site::{DENIED, FRIENDLY, PREDICTIONS, Site, config, flower, predict};

fn settings(mode: &str) -> Result<Value> {
    let rule = with(Issuer::shared()?.rule(), "fromCookies", json!(["session"]));
    let rule = with(rule, "fromParams", json!(["access_token"]));
    let bearer = json!([{"name": "authorization", "prefix": "Bearer "}]);
    config(json!({
        "mode": mode,
        "authentication": {
            "jwtRules": [with(rule, "fromHeaders", bearer)],
            "apiKeys": {"keys": [{"name": "batch", "sha256": "ab".repeat(32)}]},
        },
        "bypass": [{"name": "ready", "to": [{"operation": {"paths": ["/seldon/prod/iris/ready"]}}]}],
        "authorization": {"defaultAction": "ALLOW", "policies": [{
            "name": "no-fraud", "action": "DENY", "models": ["prod/fraud"], "rules": [{}],
        }]},
    }))
}

/// The request with the token at one place.
fn placed(request: &str, place: &str, token: &str) -> Request {
    let (method, path) = request.split_once(' ').unwrap_or(("GET", request));
    let query = format!("{path}?a=1&access_token={token}");
    let path = if place == "query" { &query } else { path };
    let request = match method {
        "POST" => Request::post_json(path, &flower()),
        _ => Request::new(method, path)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST"),
    };
    match place {
        "header" => request.bearer(token),
        "cookie" => request.header("cookie", format!("theme=dark; session={token}")),
        "cookie alone" => request.header("cookie", format!("session={token}")),
        "key" => request.header("x-api-key", token),
        _ => request,
    }
}

fn shows(received: &Received, secret: &str) -> bool {
    let line = |value: &[u8]| String::from_utf8_lossy(value).contains(secret);
    received.path.contains(secret) || received.headers.iter().any(|(_, value)| line(value))
}

const PLACES: [&str; 5] = ["header", "query", "cookie", "cookie alone", "key"];

#[tokio::test]
async fn a_token_reaches_neither_a_model_nor_the_access_log() -> Result<()> {
    let token = Issuer::shared()?.token("alice", &[])?;
    let preflight = format!("OPTIONS {PREDICTIONS}");
    let valid = format!("POST {FRIENDLY}");
    let site = Site::start(settings("ENFORCE")?).await?;
    let mut sent = 0;
    for place in PLACES {
        for (request, status) in [
            (valid.as_str(), 200),
            ("POST /seldon/prod/iris/ready", 200),
            (preflight.as_str(), 200),
            ("POST /models/prod/fraud:predict", 403),
            ("POST /seldon/prod/iris%2f/x", 400),
        ] {
            // Where nobody looks, keys need not be right.
            let status = match (place, request.contains("predict"), status) {
                ("key", true, 200 | 403) if request != preflight => 401,
                _ => status,
            };
            site.live.forget();
            site.expect(placed(request, place, &token), status, "").await?;
            sent += 1;
            for received in site.live.received() {
                ensure!(!shows(&received, &token), "{request}, {place}: {received:?}");
                let theme = received.header("cookie");
                let want = (place == "cookie").then_some("theme=dark");
                ensure!(theme.as_deref() == want, "{request}, {place}: {theme:?}");
            }
            ensure!(site.live.received().len() == usize::from(status == 200), "{request}, {place}");
        }
        // One that is not good is nobody else's business either.
        let bad = token.replacen("ey", "ez", 1);
        if place != "key" {
            site.expect(placed(&valid, place, &bad), 401, "").await?;
            sent += 1;
        }
    }
    let log = serde_json::to_string(&site.gateway.envoy.access_log_of(sent).await?)?;
    ensure!(log.contains("a=1"), "queries are not logged at all: {log}");
    ensure!(!log.contains("access_token=e"), "a token is in the access log: {log}");
    site.check_healthy().await
}

#[tokio::test]
async fn who_only_reports_changes_nothing_and_the_shipped_log_has_no_queries() -> Result<()> {
    let token = Issuer::shared()?.token("alice", &[])?;
    let site = Site::start(settings("REPORT")?).await?;
    for place in PLACES {
        site.live.forget();
        site.expect(placed(&format!("POST {PREDICTIONS}"), place, &token), 200, "").await?;
        let received = site.live.received();
        ensure!(received.iter().all(|request| shows(request, &token)), "{place}: {received:?}");
    }
    let shipped = include_str!("../../../wasmplugin/mesh/values.yaml");
    ensure!(
        shipped.contains(&format!("path: \"{SHIPPED_PATH}\"")),
        "the shipped format is another"
    );
    for line in site.gateway.envoy.access_log_of(PLACES.len()).await? {
        ensure!(line["shipped_path"] == PREDICTIONS, "{line}");
    }
    site.check_healthy().await
}

/// As clients of OpenAI's API send their keys.
#[tokio::test]
async fn a_key_is_a_bearer_beside_tokens() -> Result<()> {
    const KEY: &str = "mg_b1946ac92492d2347c6235b4d2611184";
    let sha256: String = {
        use sha2::Digest as _;
        sha2::Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let site = Site::start(config(json!({
        "authentication": {"apiKeys": {
            "header": "authorization", "prefix": "Bearer ", "keys": [{"name": "app", "sha256": sha256}],
        }},
        "authorization": {"defaultAction": "DENY", "policies": [{
            "name": "known", "rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}],
        }]},
    }))?)
    .await?;
    site.expect(predict().bearer(KEY), 200, "ndarray").await?;
    site.expect(predict().bearer(&Issuer::shared()?.token("alice", &[])?), 200, "ndarray").await?;
    let received = site.live.received();
    ensure!(received.len() == 2 && received.iter().all(|r| r.header("authorization").is_none()));
    let refused = site.expect(predict().bearer("mg_other"), 401, "API key is not valid").await?;
    ensure!(refused.header("www-authenticate").is_some_and(|v| v.starts_with("ApiKey realm=")));
    site.expect(predict().bearer("sk-other"), 401, "Jwt is not in the form of").await?;
    site.expect(predict(), 403, DENIED).await?;
    site.check_healthy().await
}

/// Beside the one that was accepted, and in spellings that only other servers read.
#[tokio::test]
async fn what_nobody_read_ends_at_the_gateway_too() -> Result<()> {
    let (issuer, other) = (Issuer::shared()?, Issuer::new("https://zz.example.com")?);
    let second = with(other.rule(), "fromHeaders", json!([{"name": "x-second"}]));
    let second = with(second, "fromParams", json!(["second"]));
    let site = Site::start(config(json!({
        "authentication": {
            "jwtRules": [issuer.rule(), with(second, "fromCookies", json!(["second"]))],
            "apiKeys": {"header": "authorization", "prefix": "Bearer ",
                "keys": [{"name": "batch", "sha256": "ab".repeat(32)}]},
        },
        "bypass": [{"name": "ready", "to": [{"operation": {"paths": ["/seldon/prod/iris/ready"]}}]}],
        "authorization": {"defaultAction": "ALLOW"},
    }))?)
    .await?;
    let (good, two) = (issuer.token("alice", &[])?, other.token("bob", &[])?);
    let key = "mg_b1946ac92492d2347c6235b4d2611184";
    let post = |path: &str| Request::post_json(path, &flower());
    let preflight = || {
        Request::new("OPTIONS", PREDICTIONS)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST")
    };
    for (request, secret) in [
        (predict().bearer(&good).header("x-second", &two), &two),
        (predict().bearer(&good).header("cookie", format!("a=1; second={two}")), &two),
        (post(&format!("{PREDICTIONS}?a=1&second={two}")).bearer(&good), &two),
        (predict().header("authorization", format!("bearer {good}")), &good),
        (predict().header("authorization", format!("bearer {key}")), &key.to_owned()),
        (predict().header("authorization", format!("BEARER   {key}")), &key.to_owned()),
        (preflight().header("authorization", format!("bearer \t{key}")), &key.to_owned()),
        (
            post("/seldon/prod/iris/ready").header("authorization", format!("bEARER {key}")),
            &key.to_owned(),
        ),
        (post("/seldon/prod/iris/ready").header("x-second", &two).bearer(&good), &two),
        // Names and marks that other servers take for the same.
        (predict().bearer(&good).header("x_second", &two), &two),
        (predict().bearer(&good).header("cookie", format!("a=1,second={two}")), &two),
        (predict().bearer(&good).header("cookie", format!("\"second\"={two}")), &two),
        (post(&format!("{PREDICTIONS}?a=1;second={two}")).bearer(&good), &two),
        (predict().header("authorization", &good), &good),
        (predict().header("authorization", format!("JWT {good}")), &good),
        (predict().header("authorization", format!("Bearer:{good}")), &good),
        (predict().header("authorization", format!("Basic eA==, bearer {good}")), &good),
        (preflight().header("authorization", format!("Token {good}")), &good),
        (post("/seldon/prod/iris/ready").header("x_second", &two), &two),
    ] {
        site.live.forget();
        let shown = format!("{request:?}");
        site.expect(request, 200, "").await?;
        let received = site.live.received();
        let [received] = received.as_slice() else { anyhow::bail!("{shown}: {received:?}") };
        ensure!(!shows(received, secret) && !shows(received, &good), "{shown}: {received:?}");
    }
    site.check_healthy().await
}
