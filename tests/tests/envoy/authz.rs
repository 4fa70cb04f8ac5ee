//! Who may do what with which model.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::tokens::{Algorithm, Issuer, with};

use crate::site::{DENIED, PREDICTIONS, Site, anybody, config, flower, open, policies, predict};

fn fraud() -> Request {
    Request::post_json("/seldon/prod/fraud/api/v1.0/predictions", &flower())
}

fn metadata() -> Request {
    Request::get("/seldon/prod/iris/api/v1.0/metadata")
}

#[tokio::test]
async fn deny_comes_before_allow() -> Result<()> {
    let site = Site::start(policies(json!([
        {"name": "all", "rules": anybody()},
        {"name": "no-fraud", "action": "DENY", "models": ["prod/fraud"], "rules": anybody()},
        {"name": "not-here", "action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/private/*"]}}]}]},
    ]))?)
    .await?;
    site.expect(predict(), 200, "ndarray").await?;
    site.expect(fraud(), 403, DENIED).await?;
    // The model is what counts, not the address by which it is reached.
    site.expect(Request::post_json("/models/prod/fraud:predict", &flower()), 403, DENIED).await?;
    site.expect(Request::get("/public"), 200, "website").await?;
    site.expect(Request::get("/private/x"), 403, DENIED).await?;
    assert!(site.fraud.received().is_empty());
    site.check_healthy().await
}

#[tokio::test]
async fn models_and_operations_limit_a_policy() -> Result<()> {
    let site = Site::start(policies(json!([
        {
            "name": "iris-predictions",
            "models": ["prod/iris"],
            "rules": [{"to": [{"operation": {"operations": ["predict"]}}]}],
        },
        {
            "name": "fraud-all-but-feedback",
            "rules": [{"to": [{"operation": {"models": ["prod/fra*"], "notOperations": ["feedback"]}}]}],
        },
    ]))?)
    .await?;
    site.expect(predict(), 200, "ndarray").await?;
    site.expect(metadata(), 403, DENIED).await?;
    site.expect(fraud(), 200, "fraud").await?;
    let feedback = Request::post_json("/seldon/prod/fraud/api/v1.0/feedback", &json!({}));
    site.expect(feedback, 403, DENIED).await?;
    site.expect(Request::get("/seldon/prod/fraud/api/v1.0/metadata"), 200, "fraud").await?;
    site.expect(Request::get("/"), 403, DENIED).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn strings_match_by_prefix_suffix_and_presence() -> Result<()> {
    let site = Site::start(policies(json!([
        {"name": "prefix", "rules": [{"to": [{"operation": {"paths": ["/a/*"]}}]}]},
        {"name": "suffix", "rules": [{"to": [{"operation": {"paths": ["*.css"]}}]}]},
        {"name": "exact", "rules": [{"to": [{"operation": {"paths": ["/exact"], "methods": ["GET"]}}]}]},
        {"name": "present", "rules": [{
            "from": [{"source": {"requestPrincipals": ["*"]}}],
            "to": [{"operation": {"paths": ["/members"]}}],
        }]},
        {"name": "header", "rules": [{
            "to": [{"operation": {"paths": ["/header"]}}],
            "when": [{"key": "request.headers[x-team]", "values": ["vision-*"]}],
        }]},
    ]))?)
    .await?;
    let get = |path: &str| Request::get(path);
    for (request, status) in [
        (get("/a/b?c=/d"), 200),
        (get("/a"), 403),
        (get("/x.css"), 200),
        (get("/x.css2"), 403),
        (get("/x?.css"), 403),
        (get("/exact"), 200),
        (get("/exact/"), 403),
        (Request::new("PUT", "/exact"), 403),
        (get("/members"), 403),
        (get("/members").bearer(&Issuer::shared()?.token("alice", &[])?), 200),
        (get("/header"), 403),
        (get("/header").header("x-team", "vision-1"), 200),
        (get("/header").header("x-team", "audio").header("x-team", "vision-2"), 200),
    ] {
        site.expect(request, status, "").await?;
    }
    site.check_healthy().await
}

#[tokio::test]
async fn conditions_read_claims() -> Result<()> {
    let rule = |name: &str, path: &str, condition: Value| json!({"name": name, "rules": [{"to": [{"operation": {"paths": [path]}}], "when": [condition]}]});
    let site = Site::start(policies(json!([
        rule("list", "/list", json!({"key": "request.auth.claims[groups]", "values": ["ds"]})),
        rule(
            "nested",
            "/nested",
            json!({"key": "request.auth.claims[org][team]", "values": ["vision"]})
        ),
        rule("scope", "/scope", json!({"key": "request.auth.claims[scope]", "values": ["write"]})),
        rule(
            "not",
            "/not",
            json!({"key": "request.auth.claims[groups]", "notValues": ["suspended"]})
        ),
        rule("number", "/number", json!({"key": "request.auth.claims[level]", "values": ["7"]})),
        rule(
            "audience",
            "/audience",
            json!({"key": "request.auth.audiences", "values": ["models"]})
        ),
    ]))?)
    .await?;
    let issuer = Issuer::shared()?;
    let mut claims = issuer.claims("alice");
    for (name, value) in [
        ("groups", json!(["ds", "staff"])),
        ("org", json!({"team": "vision"})),
        ("scope", json!("read write")),
        ("level", json!(7)),
    ] {
        claims = with(claims, name, value);
    }
    let token = issuer.mint(Algorithm::Es256, &claims)?;
    let suspended = issuer.token("mallory", &["suspended"])?;
    for (path, token, status) in [
        ("/list", &token, 200),
        ("/list", &suspended, 403),
        ("/nested", &token, 200),
        ("/nested", &suspended, 403),
        ("/scope", &token, 200),
        ("/not", &token, 200),
        ("/not", &suspended, 403),
        // As in Istio: numbers never match.
        ("/number", &token, 403),
        ("/audience", &token, 200),
    ] {
        site.expect(Request::get(path).bearer(token), status, "").await?;
    }
    site.check_healthy().await
}

#[tokio::test]
async fn metrics_admin_and_the_unknown_stay_closed_under_default_allow() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    site.expect(predict(), 200, "ndarray").await?;
    site.expect(Request::get("/seldon/prod/iris/ready"), 200, "").await?;
    for request in [
        Request::get("/seldon/prod/iris/prometheus"),
        Request::get("/seldon/prod/iris/prometheus/"),
        Request::get("/seldon/prod/iris/%70rometheus"),
        Request::get("/seldon/prod/iris/metrics"),
        Request::new("POST", "/seldon/prod/iris/prometheus"),
        Request::get("/seldon/prod/iris/whatever"),
        Request::new("POST", "/v2/repository/index"),
        Request::new("POST", "/v2/repository/models/iris/unload"),
    ] {
        site.expect(request, 403, DENIED).await?;
    }
    assert!(site.website.received().is_empty());
    site.check_healthy().await
}

#[tokio::test]
async fn closed_operations_open_for_a_policy_that_names_them() -> Result<()> {
    let site = Site::start(policies(json!([
        {"name": "all", "models": ["prod/iris"], "rules": anybody()},
        {
            "name": "scrapers",
            "models": ["prod/iris"],
            "rules": [{
                "from": [{"source": {"requestPrincipals": ["https://idp.example.com/prometheus"]}}],
                "to": [{"operation": {"operations": ["metrics"], "methods": ["GET"]}}],
            }],
        },
    ]))?)
    .await?;
    let scrape = || Request::get("/seldon/prod/iris/prometheus");
    site.expect(scrape(), 403, DENIED).await?;
    let token = Issuer::shared()?.token("prometheus", &[])?;
    site.expect(scrape().bearer(&token), 200, "seldon_api_executor").await?;
    site.check_healthy().await
}

#[tokio::test]
async fn ambiguous_addresses_are_refused() -> Result<()> {
    let site = Site::start(open(json!({}))?).await?;
    for path in [
        "/seldon/prod//iris/api/v1.0/predictions",
        "/seldon//prod/iris/api/v1.0/predictions",
        "/seldon/prod/iris/api//v1.0/predictions",
        "/seldon/prod/iris%2Fapi/v1.0/predictions",
        "/seldon/prod/iris%2fapi/v1.0/predictions",
        "/seldon/prod/iris/x%5C..%5Cprometheus",
        "/seldon/prod/iris/%2570rometheus",
        "/seldon/prod/iris/api;v=1/v1.0/predictions",
        "/seldon/prod/IRIS/api/v1.0/predictions",
        "/seldon/prod/iris/api/v1.0/predictions%0a",
    ] {
        site.expect(Request::post_json(path, &flower()), 400, "").await?;
    }
    let grpc = || {
        Request::new("POST", "/inference-x").header("seldon", "iris").header("namespace", "prod")
    };
    for request in [
        grpc().header("seldon", "fraud"),
        grpc().header("namespace", "test"),
        Request::post_json("/seldon/prod/iris/v2/models/inference", &flower())
            .header("seldon", "fraud")
            .header("namespace", "prod"),
    ] {
        site.expect(request, 400, "").await?;
    }
    assert!(site.live.received().is_empty() && site.fraud.received().is_empty());
    // Normalised by Envoy before anybody sees it.
    site.expect(
        Request::post_json("/seldon/prod/x/../iris/api/v1.0/predictions", &flower()),
        200,
        "",
    )
    .await?;
    site.check_healthy().await
}

#[tokio::test]
async fn dry_runs_and_audits_are_counted_only() -> Result<()> {
    let site = Site::start(policies(json!([
        {"name": "all", "namespace": "prod", "rules": anybody()},
        {"name": "would-deny", "namespace": "prod", "action": "DENY", "dryRun": true, "rules": anybody()},
        {"name": "noted", "namespace": "prod", "action": "AUDIT", "rules": anybody()},
    ]))?)
    .await?;
    site.expect(predict(), 200, "ndarray").await?;
    let total = "modelgate_policy_total";
    site.counted(total, &[("effect", "dry_run_denied")], 1.0).await?;
    site.counted(total, &[("effect", "audited")], 1.0).await?;
    site.counted(total, &[("effect", "denied")], 0.0).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn addresses_are_those_of_the_connection_and_of_forwarded_for() -> Result<()> {
    let site = Site::start(policies(json!([
        {"name": "peer", "rules": [{
            "from": [{"source": {"ipBlocks": ["127.0.7.0/24"]}}],
            "to": [{"operation": {"paths": ["/peer"]}}],
        }]},
        {"name": "remote", "rules": [{
            "from": [{"source": {"remoteIpBlocks": ["127.0.7.0/24"]}}],
            "to": [{"operation": {"paths": ["/remote"]}}],
        }]},
    ]))?)
    .await?;
    let (inside, outside) = ([127, 0, 7, 9].into(), [127, 0, 8, 9].into());
    for path in ["/peer", "/remote"] {
        site.expect(Request::get(path).from(inside), 200, "").await?;
        site.expect(Request::get(path).from(outside), 403, DENIED).await?;
        // No hop before the gateway is trusted.
        let forged = Request::get(path).header("x-forwarded-for", "127.0.7.9").from(outside);
        site.expect(forged, 403, DENIED).await?;
    }
    site.check_healthy().await
}

#[tokio::test]
async fn report_mode_changes_nothing() -> Result<()> {
    let site = Site::start(config(json!({
        "mode": "REPORT",
        "authorization": {"defaultAction": "DENY"},
    }))?)
    .await?;
    let denied =
        Request::post_json(PREDICTIONS, &flower()).bearer("nonsense").header("x-user", "me");
    site.expect(denied, 200, "ndarray").await?;
    let received = &site.live.received()[0];
    assert_eq!(received.header("authorization").as_deref(), Some("Bearer nonsense"));
    assert_eq!(received.header("x-user").as_deref(), Some("me"));
    // Not rewritten either.
    site.expect(predict(), 200, "website").await?;
    let total = "modelgate_requests_total";
    site.counted(total, &[("decision", "unauthenticated")], 1.0).await?;
    site.counted(total, &[("decision", "denied")], 1.0).await?;
    site.check_healthy().await
}
