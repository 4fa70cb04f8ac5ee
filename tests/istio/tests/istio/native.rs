//! Istio's own authentication and authorization, instead of modelgate and beside it.

use anyhow::{Context as _, Result, ensure};
use cluster::{Cluster, Gateway, shipped};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::tokens::{Algorithm, Issuer, with};

use cluster::site::{DENIED, PLUGIN, Site, flower, predict};

/// The gateway that Istio guards.
const NATIVE: &str = "native-gateway";
const NATIVE_PORT: u16 = 8082;

/// Shipped native resources for another gateway, with the issuer's keys.
fn native(file: &str, gateway: Option<&str>) -> Result<Vec<Value>> {
    let mut resources = shipped::read(file)?;
    for resource in &mut resources {
        if let Some(label) = gateway {
            *resource.pointer_mut("/spec/selector/matchLabels").context("no selector")? =
                json!({"istio": label});
        }
        if let Some(keys) = resource.pointer_mut("/spec/jwtRules/0/jwks") {
            *keys = json!(Issuer::shared()?.jwks());
        }
    }
    Ok(resources)
}

/// Every combination of caller, method and address.
fn requests() -> Result<Vec<Request>> {
    let (issuer, stranger) = (Issuer::shared()?, Issuer::stranger()?);
    let odd = |claim: &str, value: Value| {
        issuer.mint(Algorithm::Rs256, &with(issuer.claims("alice"), claim, value))
    };
    let tokens = [
        None,
        Some(issuer.token("alice", &["data-science"])?),
        Some(issuer.token("bob", &["data-science", "suspended"])?),
        Some(issuer.token("carol", &["suspended"])?),
        Some(issuer.token("dave", &[])?),
        Some(odd("groups", json!("data-science"))?),
        Some(odd("groups", json!("other data-science"))?),
        Some(odd("groups", json!({"data-science": true}))?),
        Some(odd("iss", json!("https://elsewhere.example.com"))?),
        Some(issuer.expired("alice")?),
        Some(issuer.wrong_audience("alice")?),
        Some(stranger.token("alice", &["data-science"])?),
        Some(issuer.unsigned("alice", "")),
        Some("nonsense".to_owned()),
    ];
    let paths = [
        "/seldon/prod/iris/api/v1.0/predictions",
        "/seldon/prod/iris/api/v1.0/predictions?x=1",
        "/seldon/prod/iris/api/v1.0/feedback",
        "/seldon/prod/iris/api/v1.0/metadata",
        "/seldon/prod/iris/prometheus",
        "/seldon/prod/fraud/api/v1.0/predictions",
        "/seldon/prod/none/api/v1.0/predictions",
        // Not `/seldon/prod//iris/...`: Seldon and Envoy may read it differently, and modelgate answers 400.
        "/seldon/prod/iris/api/v1.0/predictions/",
        "/seldon/prod/x/../iris/api/v1.0/predictions",
        "/",
        "/elsewhere",
    ];
    let mut requests = Vec::new();
    for token in &tokens {
        for path in paths {
            for request in [Request::post_json(path, &flower()), Request::get(path)] {
                requests.push(match token {
                    Some(token) => request.bearer(token),
                    None => request,
                });
            }
        }
    }
    Ok(requests)
}

pub async fn modelgate_decides_as_istio_does(cluster: &mut Cluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let site = Site::start(cluster).await?;
    // The same policies, in modelgate's words.
    let rules = |file: &str, at: usize| -> Result<Value> {
        let policy = shipped::read(file)?.get(at).and_then(|p| p.get("spec")).cloned();
        let policy = policy.context("no policy")?;
        let name = format!("native-{at}");
        Ok(json!({"name": name, "action": policy["action"], "rules": policy["rules"]}))
    };
    let file = "deploy/native/authorization.yaml";
    let policies = json!([rules(file, 0)?, rules(file, 1)?]);
    let keep = "/spec/pluginConfig/authentication/jwtRules/0/forwardOriginalToken";
    let changes = [
        (
            "/spec/pluginConfig/authorization",
            json!({"defaultAction": "DENY", "policies": policies}),
        ),
        (keep, json!(true)),
        ("/spec/pluginConfig/shadows", json!([])),
        ("/spec/pluginConfig/rewrites", json!([])),
    ];
    kubectl.patch_plugin(PLUGIN, &changes).await?;

    let labels = json!({"istio": NATIVE});
    let second = Gateway::labelled(cluster, NATIVE, labels, 1, NATIVE_PORT).await?;
    let mut gateway = shipped::read("deploy/gateway-http.yaml")?;
    let gateway = gateway.first_mut().context("no gateway")?;
    gateway["metadata"]["name"] = json!(NATIVE);
    gateway["spec"]["selector"] = json!({"istio": NATIVE});
    gateway["spec"]["servers"][0]["port"]["number"] = json!(NATIVE_PORT);
    let mut resources = vec![gateway.clone()];
    for name in ["iris", "fraud"] {
        let mut routes = cluster::models::seldon_routes(name);
        let routes = routes.first_mut().context("no routes")?;
        routes["metadata"]["name"] = json!(format!("native-{name}"));
        routes["spec"]["gateways"] = json!([format!("istio-system/{NATIVE}")]);
        resources.push(routes.clone());
    }
    resources.extend(native("deploy/native/authentication.yaml", Some(NATIVE))?);
    resources.extend(native(file, Some(NATIVE))?);
    kubectl.apply(&resources).await?;

    let requests = requests()?;
    ensure!(requests.len() >= 300, "only {} requests", requests.len());
    let question = || Request::post_json("/seldon/prod/iris/api/v1.0/predictions", &flower());
    let alice = Issuer::shared()?.token("alice", &["data-science"])?;
    for gateway in [&site.gateway, &second] {
        gateway.becomes(&question(), 403, DENIED).await?;
        gateway.becomes(&question().bearer(&alice), 200, "ndarray").await?;
    }
    site.gateway.becomes(&predict().bearer(&alice), 403, DENIED).await?;
    let mut different = Vec::new();
    let mut seen = std::collections::BTreeMap::<u16, usize>::new();
    for request in &requests {
        let (ours, theirs) = tokio::try_join!(site.gateway.send(request), second.send(request))?;
        *seen.entry(theirs.status).or_default() += 1;
        if ours.status != theirs.status {
            different
                .push(format!("modelgate {}, Istio {}: {request:?}", ours.status, theirs.status));
        }
    }
    eprintln!("  {} requests, by status: {seen:?}", requests.len());
    ensure!(seen.len() >= 3, "too little variety: {seen:?}");
    ensure!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    site.gateway.check_healthy().await
}

pub async fn both_must_allow_on_one_gateway(cluster: &mut Cluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let site = Site::start(cluster).await?;
    let keep = "/spec/pluginConfig/authentication/jwtRules/0/forwardOriginalToken";
    kubectl.patch_plugin(PLUGIN, &[(keep, json!(true))]).await?;
    kubectl.apply(&native("deploy/native/authentication.yaml", None)?).await?;
    kubectl.apply(&native("deploy/native/authorization.yaml", None)?).await?;
    let issuer = Issuer::shared()?;
    // modelgate allows applications, Istio does not.
    let application = issuer.token("shop", &["applications"])?;
    site.gateway.becomes(&predict().bearer(&application), 403, DENIED).await?;
    // Both allow, and Istio's policy names the address into which modelgate has turned the friendly one.
    let both = issuer.token("alice", &["data-science"])?;
    site.gateway.becomes(&predict().bearer(&both), 200, "ndarray").await?;
    let live = site.models.iris.received().last().cloned().context("nothing received")?;
    ensure!(live.header("authorization").is_some(), "the token is needed twice: {live:?}");
    // Istio allows, modelgate does not any more.
    let group = "/spec/pluginConfig/authorization/policies/0/rules/0/when/0/values";
    kubectl.patch_plugin(PLUGIN, &[(group, json!(["somebody-else"]))]).await?;
    site.gateway.becomes(&predict().bearer(&both), 403, DENIED).await?;
    site.gateway.check_healthy().await
}
