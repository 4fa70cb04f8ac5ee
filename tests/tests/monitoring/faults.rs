//! Each fault brings about its alerts and no others, in the time that the documentation promises; where it is mended,
//! they go away. One Prometheus asks all gateways, each with a fault of its own and one without any.
//!
//! Ten minutes cannot be waited for: see [`MINUTE`](crate::documents::MINUTE).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::client::Request;
use testbed::envoy::Taken;
use testbed::tokens::{Algorithm, Issuer, with};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::dashboard;
use crate::documents::{promises, rules, text};
use crate::site::{
    Options, Site, as_shipped, chat, fetched, open, open_with, plugin, predict, shadow,
};
use crate::trap;
use crate::watch::{QUIET, Watch};

fn tokens(count: usize, make: impl Fn(&str) -> Result<String>) -> Result<Vec<Request>> {
    (0..count).map(|n| Ok(predict().bearer(&make(&format!("caller-{n}"))?))).collect()
}

/// All that is counted, and nothing wrong.
async fn healthy(watch: &Watch) -> Result<Site> {
    let issuer = Issuer::shared()?;
    let everything = json!({
        "authentication": {"jwtRules": [fetched()?], "jwks": {"refresh": "2s"}},
        "targets": {"families": ["seldon-v1", "openai"], "openai": [{"namespace": "llm", "hosts": [crate::site::LLM]}]},
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "predictions", "models": ["prod/iris"], "rules": [{"to": [{"operation": {"operations": ["predict", "status"]}}]}]},
            {"name": "chats", "models": ["llm/chat"], "rules": [{}]},
            {"name": "no-feedback", "action": "DENY", "models": ["prod/iris"], "rules": [{"to": [{"operation": {"operations": ["feedback"]}}]}]},
            {"name": "no-strangers", "action": "DENY", "dryRun": true, "models": ["prod/iris"], "rules": [{"from": [{"source": {"notRequestPrincipals": ["*"]}}]}]},
            {"name": "watched", "action": "AUDIT", "models": ["llm/chat"], "rules": [{}]},
        ]},
        "splits": [{"name": "iris", "models": ["prod/iris"], "variants": [{"name": "main", "weight": 75}, {"name": "canary", "weight": 25}]}],
        "shadows": [shadow()],
        "usage": {"models": ["llm/chat"], "claim": "team"},
        "quotas": [{"name": "all", "models": ["prod/iris"], "requests": 1_000_000_000, "by": "none"}],
    });
    let mut requests = tokens(8, |name| issuer.token(name, &[]))?;
    let team =
        |team: &str| issuer.mint(Algorithm::Es256, &with(issuer.claims(team), "team", json!(team)));
    requests.extend([
        chat(true).bearer(&team("fraud")?),
        chat(true).bearer(&team("search")?),
        predict(),
        Request::get("/seldon/prod/iris/ready"),
        Request::post_json("/seldon/prod/iris/api/v1.0/feedback", &json!({})),
    ]);
    watch.site("healthy", Options::new(everything, requests)?).await
}

async fn issuer_down(watch: &Watch) -> Result<()> {
    let issuer = Issuer::shared()?;
    let job = "issuer-down";
    let authentication =
        json!({"jwtRules": [fetched()?], "jwks": {"refresh": "1s", "maxStale": "35s"}});
    let requests = tokens(200, |name| issuer.token(name, &[]))?;
    let options = Options::new(open_with("authentication", authentication)?, requests)?;
    let mut site = watch.quiet(job, options).await?;
    site.idp.stop().await;
    let down = Instant::now();
    watch.fire(job, &["ModelgateKeysNotFetched"]).await?;
    // Then the keys that are there are too old.
    sleep(Duration::from_secs(33).saturating_sub(down.elapsed())).await;
    watch.fire(job, &["ModelgateKeysNotFetched", "ModelgateKeysUnavailable"]).await?;
    site.idp.restart().await?;
    // The next attempt may be half a minute away.
    watch.become_of(job, &[], Duration::from_secs(40)).await
}

async fn keys_replaced(watch: &Watch) -> Result<()> {
    let job = "keys-replaced";
    let issuer = Issuer::shared()?;
    let mut set: serde_json::Value = serde_json::from_str(&issuer.jwks())?;
    let keys = set.get_mut("keys").and_then(|keys| keys.as_array_mut()).context("no keys")?;
    keys.retain(|key| key.get("kty") == Some(&json!("RSA")));
    let rule = with(issuer.rule(), "jwks", json!(set.to_string()));
    let old = predict().bearer(&issuer.mint(Algorithm::Rs256, &issuer.claims("alice"))?);
    let options =
        Options::new(open_with("authentication", json!({"jwtRules": [rule]}))?, vec![old.clone()])?;
    let site = watch.quiet(job, options).await?;
    let new = predict().bearer(&issuer.token("bob", &[])?);
    site.load.becomes(vec![old.clone(), new]);
    watch.fire(job, &["ModelgateUnknownKeys"]).await?;
    site.load.becomes(vec![old]);
    watch.calm(job).await
}

async fn tokens_expired(watch: &Watch) -> Result<()> {
    let job = "tokens-expired";
    let issuer = Issuer::shared()?;
    let good = predict().bearer(&issuer.token("alice", &[])?);
    let site = watch.quiet(job, Options::new(open()?, vec![good.clone()])?).await?;
    site.load.becomes(vec![good.clone(), predict().bearer(&issuer.expired("alice")?)]);
    watch.fire(job, &["ModelgateTokensRefused"]).await?;
    site.load.becomes(vec![good]);
    watch.calm(job).await
}

async fn claims_unwritable(watch: &Watch) -> Result<()> {
    let job = "claims-unwritable";
    let issuer = Issuer::shared()?;
    let rule =
        with(issuer.rule(), "outputClaimToHeaders", json!([{"header": "x-note", "claim": "note"}]));
    let of = |note: &str| {
        issuer.mint(Algorithm::Es256, &with(issuer.claims("alice"), "note", json!(note)))
    };
    let good = predict().bearer(&of("fine")?);
    let options = Options::new(
        open_with("authentication", json!({"jwtRules": [rule]}))?,
        vec![good.clone()],
    )?;
    let site = watch.quiet(job, options).await?;
    site.load.becomes(vec![good.clone(), predict().bearer(&of("two\nlines")?)]);
    watch.fire(job, &["ModelgateClaimsDropped"]).await?;
    site.load.becomes(vec![good]);
    watch.calm(job).await
}

async fn flood_denied(watch: &Watch) -> Result<()> {
    let job = "flood-denied";
    let policies = json!({"defaultAction": "DENY", "policies": [{"name": "predictions", "models": ["prod/iris"], "rules": [
        {"to": [{"operation": {"operations": ["predict"]}}]},
    ]}]});
    let site = watch
        .quiet(job, Options::new(open_with("authorization", policies)?, vec![predict()])?)
        .await?;
    let denied = Request::post_json("/seldon/prod/iris/api/v1.0/feedback", &json!({}));
    site.load.becomes(vec![denied.clone(), denied, predict()]);
    watch.fire(job, &["ModelgateRequestsDenied"]).await?;
    site.load.becomes(vec![predict()]);
    watch.calm(job).await
}

async fn flood_refused(watch: &Watch) -> Result<()> {
    let job = "flood-refused";
    let site = watch.quiet(job, Options::new(open()?, vec![predict()])?).await?;
    site.load.becomes(vec![Request::get("/seldon/prod//iris"), predict()]);
    watch.fire(job, &["ModelgateAddressesRefused"]).await?;
    site.load.becomes(vec![predict()]);
    watch.calm(job).await
}

async fn shadow_down(watch: &Watch) -> Result<()> {
    let job = "shadow-down";
    let shadow = with(shadow(), "breaker", json!({"failures": 5, "retryAfter": "2s"}));
    let mut site = watch
        .quiet(job, Options::new(open_with("shadows", json!([shadow]))?, vec![predict()])?)
        .await?;
    site.shadow.stop().await;
    watch.fire(job, &["ModelgateShadowDown"]).await?;
    site.shadow.restart().await?;
    watch.calm(job).await
}

async fn shadow_disagrees(watch: &Watch) -> Result<()> {
    let job = "shadow-disagrees";
    let mut options = Options::new(open_with("shadows", json!([shadow()]))?, vec![predict()])?;
    options.same_shadow = false;
    let _site = watch.site(job, options).await?;
    watch.scraped(job).await?;
    // A hundred answers have to be compared first, which takes five seconds and is in no promise.
    sleep(Duration::from_secs(5)).await;
    watch.fire(job, &["ModelgateShadowDisagrees"]).await
}

async fn shadow_incomplete(watch: &Watch) -> Result<()> {
    let job = "shadow-incomplete";
    let shadow = with(shadow(), "limits", json!({"requestBytes": "200B"}));
    let site = watch
        .quiet(job, Options::new(open_with("shadows", json!([shadow]))?, vec![predict()])?)
        .await?;
    let rows: Vec<[f64; 4]> = vec![[6.0, 2.7, 4.2, 1.3]; 20];
    let large = Request::post_json(
        "/seldon/prod/iris/api/v1.0/predictions",
        &json!({"data": {"ndarray": rows}}),
    );
    site.load.becomes(vec![large, predict()]);
    watch.fire(job, &["ModelgateShadowIncomplete"]).await
}

async fn usage_not_said(watch: &Watch) -> Result<()> {
    let job = "usage-not-said";
    let mut settings = open_with("usage", json!({"models": ["llm/chat"]}))?;
    let targets = json!({"families": ["seldon-v1", "openai"], "openai": [{"namespace": "llm", "hosts": [crate::site::LLM]}]});
    settings.as_object_mut().context("no object")?.insert("targets".to_owned(), targets);
    let site = watch.quiet(job, Options::new(settings, vec![chat(true)])?).await?;
    site.load.becomes(vec![chat(true), chat(false)]);
    watch.fire(job, &["ModelgateUsageNotRead"]).await
}

async fn update_refused(watch: &Watch) -> Result<()> {
    let job = "update-refused";
    let site = watch.quiet(job, Options::new(open()?, vec![predict()])?).await?;
    let misspelt = plugin(json!({"authorisation": {}}))?.under_test()?;
    ensure!(site.gateway.envoy.update(&misspelt).await? == Taken::No, "taken");
    watch.fire(job, &["ModelgateUpdateRefused"]).await
}

/// A gateway that starts with them has none before.
async fn starts_refused(watch: &Watch) -> Result<()> {
    let job = "starts-refused";
    let options = Options::new(json!({"authorisation": {}}), vec![predict()])?;
    let site = watch.site(job, options).await?;
    let answer = site.gateway.send(predict()).await?;
    ensure!(answer.status >= 500, "not refused: {answer:?}");
    watch.scraped(job).await?;
    watch.fire(job, &["ModelgateUpdateRefused"]).await
}

async fn module_broken(watch: &Watch) -> Result<()> {
    let job = "module-broken";
    let site = watch.quiet(job, Options::new(open()?, vec![predict()])?).await?;
    let folder = tempfile::tempdir()?;
    let nonsense = folder.path().join("nonsense.wasm");
    std::fs::write(&nonsense, b"\0asm\x01\0\0\0nonsense")?;
    let broken = plugin(open()?)?.extension(&nonsense);
    ensure!(site.gateway.envoy.update(&broken).await? == Taken::No, "taken");
    watch.fire(job, &["ModelgateUpdateRefused"]).await
}

async fn module_traps(watch: &Watch) -> Result<()> {
    let job = "module-traps";
    let site = watch.quiet(job, Options::new(open()?, vec![predict()])?).await?;
    let folder = tempfile::tempdir()?;
    let trapping = plugin(open()?)?.extension(&trap::trapping(folder.path())?);
    ensure!(site.gateway.envoy.update(&trapping).await? == Taken::Yes, "refused");
    watch.fire(job, &["ModelgateModuleReloads"]).await
}

async fn module_replaced_in_one(watch: &Watch) -> Result<()> {
    let job = "module-replaced-in-one";
    let site = watch.site(job, Options::new(open()?, vec![predict()])?).await?;
    let second = Site::start(Options::new(open()?, vec![predict()])?).await?;
    watch.scrape(job, 1, &second.gateway)?;
    sleep(QUIET).await;
    let folder = tempfile::tempdir()?;
    let next = plugin(open()?)?.extension(&trap::next_version(folder.path())?);
    ensure!(site.gateway.envoy.update(&next).await? == Taken::Yes, "refused");
    watch.fire(job, &["ModelgateVersionsDiffer"]).await?;
    ensure!(second.gateway.envoy.update(&next).await? == Taken::Yes, "refused");
    watch.calm(job).await
}

async fn plugin_gone(watch: &Watch) -> Result<()> {
    let job = "plugin-gone";
    let _site = watch.quiet(job, Options::new(open()?, vec![predict()])?).await?;
    // The pod comes back without the plugin.
    let plain = as_shipped()?.start().await?;
    watch.scrape(job, 0, &plain)?;
    // Prometheus takes up new targets every five seconds.
    watch
        .prometheus
        .answers(r#"up{job="plugin-gone"} == 1 unless on (job) modelgate_build_info"#)
        .await?;
    watch.fire(job, &["ModelgateNotLoaded"]).await
}

async fn labels_unknown(watch: &Watch) -> Result<()> {
    let job = "labels-unknown";
    let mut options = Options::new(open()?, vec![predict()])?;
    options.without_labels = true;
    let _site = watch.site(job, options).await?;
    watch.scraped(job).await?;
    watch.fire(job, &["ModelgateLabelsMissing"]).await
}

/// What fires in all, by the fault. Where more than one does, the second follows from the first.
fn expected() -> BTreeMap<String, BTreeSet<String>> {
    let list: [(&str, &[&str]); 18] = [
        ("", &["ModelgateAbsent"]),
        ("claims-unwritable", &["ModelgateClaimsDropped"]),
        ("flood-denied", &["ModelgateRequestsDenied"]),
        ("flood-refused", &["ModelgateAddressesRefused"]),
        ("issuer-down", &["ModelgateKeysNotFetched", "ModelgateKeysUnavailable"]),
        ("keys-replaced", &["ModelgateUnknownKeys"]),
        ("labels-unknown", &["ModelgateLabelsMissing"]),
        ("module-broken", &["ModelgateUpdateRefused"]),
        ("module-replaced-in-one", &["ModelgateVersionsDiffer"]),
        ("module-traps", &["ModelgateModuleReloads"]),
        ("plugin-gone", &["ModelgateNotLoaded"]),
        ("shadow-disagrees", &["ModelgateShadowDisagrees"]),
        ("shadow-down", &["ModelgateShadowDown"]),
        ("shadow-incomplete", &["ModelgateShadowIncomplete"]),
        ("starts-refused", &["ModelgateUpdateRefused"]),
        ("tokens-expired", &["ModelgateTokensRefused"]),
        ("update-refused", &["ModelgateUpdateRefused"]),
        ("usage-not-said", &["ModelgateUsageNotRead"]),
    ];
    let names = |alerts: &[&str]| alerts.iter().map(|&alert| alert.to_owned()).collect();
    list.iter().map(|(job, alerts)| ((*job).to_owned(), names(alerts))).collect()
}

/// Of all alerts only this one has no fault here: nothing that a client or an operator does makes the filter fail.
const NOT_HERE: &str = "ModelgateErrors";

#[test]
fn every_alert_has_a_fault() -> Result<()> {
    let fired: BTreeSet<String> = expected().into_values().flatten().collect();
    let missing: Vec<String> =
        promises()?.into_keys().filter(|name| !fired.contains(name)).collect();
    ensure!(missing == [NOT_HERE], "{missing:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_brings_about_its_alerts_and_no_others() -> Result<()> {
    LocalSet::new().run_until(all_faults()).await
}

async fn all_faults() -> Result<()> {
    let watch = Rc::new(Watch::start().await?);
    watch.fire("", &["ModelgateAbsent"]).await?;
    let _healthy = healthy(&watch).await?;
    watch.calm("").await?;
    let mut faults = JoinSet::new();
    macro_rules! make {
        ($($fault:ident),*) => {$({
            let watch = Rc::clone(&watch);
            faults.spawn_local(async move { $fault(&watch).await.context(stringify!($fault)) });
        })*};
    }
    make!(
        issuer_down,
        module_replaced_in_one,
        keys_replaced,
        tokens_expired,
        claims_unwritable,
        flood_denied,
        flood_refused,
        shadow_down,
        shadow_disagrees,
        shadow_incomplete,
        usage_not_said,
        update_refused,
        starts_refused,
        module_broken,
        module_traps,
        plugin_gone,
        labels_unknown
    );
    let mut wrong = Vec::new();
    while let Some(ended) = faults.join_next().await {
        if let Err(error) = ended? {
            wrong.push(format!("{error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let fired = watch.prometheus.ever_fired().await?;
    ensure!(fired == expected(), "in all, there fired {fired:#?}");
    let errors = watch.prometheus.rule_errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    let expressions = rules()?;
    let expressions: Vec<&str> =
        expressions.iter().map(|rule| text(rule, "expr")).collect::<Result<_>>()?;
    dashboard::each_metric_exists(&watch.prometheus, &expressions).await?;
    dashboard::the_page_lists_each_metric(&watch.prometheus).await?;
    dashboard::each_panel_has_data(&watch.prometheus).await
}
