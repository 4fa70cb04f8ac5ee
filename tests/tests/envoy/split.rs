//! Splits: which variant answers, by routes that match on the header.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::envoy::Taken;
use testbed::gateway::{Gateway, Running, own_loopback_address, route_to};
use testbed::seldon::Deployment;
use testbed::tokens::Issuer;
use testbed::upstream::Upstream;
use testbed::wasmplugin::WasmPlugin;

use crate::site::{PREDICTIONS, open, predict};

const HEADER: &str = "x-modelgate-variant";

/// prod/iris with two variants; whatever has no header, or another, goes to `main`.
struct Variants {
    main: Upstream,
    canary: Upstream,
    gateway: Running,
    /// The same filter in a sidecar before `main`.
    sidecar: SocketAddr,
}

impl Variants {
    async fn start(config: Value) -> Result<Self> {
        let (main, canary) = (Upstream::echo("main").await?, Upstream::echo("canary").await?);
        let iris = Deployment::new("prod", "iris")
            .unrouted("main", main.address())
            .unrouted("canary", canary.address());
        let route =
            |matching, predictor: &str| route_to(matching, &[(iris.cluster_name(predictor), 100)]);
        let exact = json!({"name": HEADER, "string_match": {"exact": "canary"}});
        let sidecar = (own_loopback_address(), 8000).into();
        let gateway = Gateway::new()
            .extension(&WasmPlugin::with_config(config)?.under_test()?)
            .deployment(&iris)
            .route(route(json!({"prefix": "/seldon/prod/iris/", "headers": [exact]}), "canary"))
            .route(route(json!({"prefix": "/"}), "main"))
            .inbound(sidecar, main.address())
            .start()
            .await?;
        Ok(Self { main, canary, gateway, sidecar })
    }

    async fn update(&self, config: Value) -> Result<()> {
        let plugin = WasmPlugin::with_config(config)?.under_test()?;
        ensure!(self.gateway.envoy.update(&plugin).await? == Taken::Yes, "refused");
        Ok(())
    }

    async fn send(&self, request: Request) -> Result<Response> {
        let answer = self.gateway.send(request).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(answer)
    }

    /// Which variant answered.
    async fn variant(&self, request: Request) -> Result<String> {
        Ok(self.send(request).await?.text())
    }

    /// Every upstream got its own variant in the one header that says so.
    fn check_headers(&self) -> Result<()> {
        for (upstream, name) in [(&self.main, "main"), (&self.canary, "canary")] {
            for received in upstream.received() {
                let lines: Vec<_> = received
                    .headers
                    .iter()
                    .filter(|(n, _)| n.replace('_', "-") == HEADER)
                    .map(|(_, value)| value.as_slice())
                    .collect();
                ensure!(lines == [name.as_bytes()], "{received:?}");
            }
        }
        Ok(())
    }

    async fn check_healthy(&self) -> Result<()> {
        let failures = self.gateway.envoy.wasm_failures().await?;
        ensure!(failures.is_empty(), "the module failed: {failures:?}");
        Ok(())
    }
}

/// 75/25 with these further settings.
fn split(more: Value) -> Value {
    let mut split =
        json!({"name": "iris-canary", "models": ["prod/iris"], "variants": weights(75, 25)});
    if let (Some(split), Value::Object(more)) = (split.as_object_mut(), more) {
        split.extend(more);
    }
    split
}

fn weights(main: u32, canary: u32) -> Value {
    json!([{"name": "main", "weight": main}, {"name": "canary", "weight": canary}])
}

fn config(splits: &[Value]) -> Result<Value> {
    open(json!({"splits": splits}))
}

#[tokio::test]
async fn requests_are_shared_out_by_weight() -> Result<()> {
    let site = Variants::start(config(&[split(json!({}))])?).await?;
    let mut connection = predict().connect(site.gateway.address).await?;
    for _ in 0..400 {
        let answer = connection.send(&predict()).await?;
        ensure!(answer.status == 200 && answer.header("set-cookie").is_none(), "{answer:?}");
    }
    // Five standard deviations of a binomial with 400 draws.
    let main = site.main.received().len();
    ensure!((256..=344).contains(&main), "{main} of 400");
    site.check_headers()?;
    site.check_healthy().await
}

#[tokio::test]
async fn a_caller_keeps_its_variant_until_the_weights_say_otherwise() -> Result<()> {
    let by_principal = |main, canary| {
        config(&[split(json!({"stickyBy": "principal", "variants": weights(main, canary)}))])
    };
    let site = Variants::start(by_principal(50, 50)?).await?;
    let issuer = Issuer::shared()?;
    let mut before = Vec::new();
    for caller in 0..24 {
        let token = issuer.token(&format!("user-{caller}"), &[])?;
        let first = site.variant(predict().bearer(&token)).await?;
        for _ in 0..2 {
            // By another address, too.
            let again = Request::post_json(PREDICTIONS, &json!({})).bearer(&token);
            ensure!(site.variant(again).await? == first, "user-{caller} moved");
        }
        before.push((token, first));
    }
    ensure!(before.iter().any(|(_, v)| v == "main") && before.iter().any(|(_, v)| v == "canary"));
    site.update(by_principal(25, 75)?).await?;
    for (token, first) in &before {
        let now = site.variant(predict().bearer(token)).await?;
        ensure!(now == *first || now == "canary", "moved to the variant that shrank");
    }
    site.update(by_principal(0, 100)?).await?;
    for (token, _) in &before {
        ensure!(site.variant(predict().bearer(token)).await? == "canary");
    }
    site.check_headers()?;
    site.check_healthy().await
}

#[tokio::test]
async fn a_cookie_is_set_once_and_honoured() -> Result<()> {
    let sticky =
        json!({"stickyBy": "cookie:iris", "cookie": {"maxAge": "1h"}, "variants": weights(1, 1)});
    let site = Variants::start(config(&[split(sticky)])?).await?;
    let mut seen = BTreeSet::new();
    for _ in 0..16 {
        let first = site.send(predict()).await?;
        let set: Vec<_> = first.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
        let [(_, line)] = set[..] else { anyhow::bail!("{first:?}") };
        let (cookie, attributes) = line.split_once("; ").context("no attributes")?;
        ensure!(attributes == "Max-Age=3600; Path=/; HttpOnly; SameSite=Lax", "{line}");
        for _ in 0..3 {
            let again = site.send(predict().header("cookie", format!("a=b; {cookie}"))).await?;
            ensure!(again.text() == first.text(), "{cookie} moved");
            ensure!(again.header("set-cookie").is_none(), "set again: {again:?}");
        }
        seen.insert(first.text());
    }
    ensure!(seen.len() == 2, "{seen:?}");
    // The gateway knows how it was reached, whatever the client says; a sidecar believes the gateway.
    let https = predict().header("x-forwarded-proto", "https");
    let at_gateway = site.send(https.clone()).await?;
    let behind = https.send(site.sidecar).await?;
    for (answer, secure) in [(at_gateway, false), (behind, true)] {
        let line = answer.header("set-cookie").context("no cookie")?;
        ensure!(line.ends_with("; SameSite=Lax; Secure") == secure, "{line}");
    }
    // An answer of the proxy's own: nobody is there.
    let mut site = site;
    site.main.stop().await;
    site.canary.stop().await;
    let answer = site.gateway.send(predict()).await?;
    ensure!(answer.status == 503 && answer.header("set-cookie").is_some(), "{answer:?}");
    site.check_healthy().await
}

#[tokio::test]
async fn the_callers_header_never_decides_and_conditions_do() -> Result<()> {
    let testers = split(json!({
        "name": "testers",
        "when": [{"key": "request.auth.claims[groups]", "values": ["testers"]}],
        "variants": [{"name": "canary", "weight": 1}],
    }));
    let everybody = split(json!({"variants": weights(100, 0)}));
    let site = Variants::start(config(&[testers, everybody])?).await?;
    for forged in [HEADER, "X-Modelgate-Variant", "x_modelgate_variant", "x-modelgate_variant"] {
        let request = predict().header(forged, "canary").header(HEADER, "canary");
        ensure!(site.variant(request).await? == "main", "{forged} decided");
    }
    let tester = Issuer::shared()?.token("tester", &["testers"])?;
    let forged = predict().bearer(&tester).header(HEADER, "main");
    ensure!(site.variant(forged).await? == "canary");
    site.check_headers()?;
    // Where no split applies there is no header, whatever the client says.
    site.main.forget();
    site.variant(Request::get("/home").header(HEADER, "canary")).await?;
    let received = site.main.received();
    ensure!(received.iter().all(|r| r.header(HEADER).is_none()), "{received:?}");
    site.check_healthy().await
}

#[tokio::test]
async fn report_mode_leaves_header_and_cookie_alone() -> Result<()> {
    let sticky = split(json!({"stickyBy": "cookie:iris", "variants": weights(1, 0)}));
    let site = Variants::start(open(json!({"mode": "REPORT", "splits": [sticky]}))?).await?;
    let request = Request::post_json(PREDICTIONS, &json!({})).header(HEADER, "canary");
    let answer = site.send(request).await?;
    ensure!(answer.text() == "canary" && answer.header("set-cookie").is_none(), "{answer:?}");
    site.check_healthy().await
}
