//! `modelgate report` of a gateway that counted.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::iris::{Agreement, flowers};
use testbed::report::{Reported, report};

use crate::site::{FRIENDLY, Site, open, shadow};

const COUNT: u32 = 100;

const TOLERANCE: f64 = 0.1;

/// A gateway that has copied and compared [`COUNT`] questions, each twice with its baseline.
async fn counted() -> Result<Site> {
    let settings = shadow(json!({"compare": {
        "relativeTolerance": 0,
        "absoluteTolerance": TOLERANCE,
        "baselineCluster": "outbound|8000||iris-default.prod.svc.cluster.local",
    }}));
    let site = Site::start(open(settings)?).await?;
    for flower in flowers(COUNT) {
        let question = json!({"data": {"ndarray": [flower]}});
        site.expect(Request::post_json(FRIENDLY, &question), 200, "ndarray").await?;
    }
    let copies = f64::from(2 * COUNT);
    site.settled(copies).await?;
    for histogram in [
        "modelgate_shadow_live_milliseconds_count",
        "modelgate_shadow_milliseconds_count",
        "modelgate_shadow_score_difference_millionths_count",
    ] {
        site.counted(histogram, &[], copies).await?;
    }
    Ok(site)
}

fn at<'v>(value: &'v Value, pointer: &str) -> Result<&'v Value> {
    value.pointer(pointer).with_context(|| format!("no {pointer} in {value}"))
}

#[tokio::test]
async fn the_report_holds_what_the_gateway_counted() -> Result<()> {
    let site = counted().await?;
    let admin = format!("http://{}", site.gateway.envoy.admin_address());
    let expected = Agreement::of(flowers(COUNT), TOLERANCE)?;

    let reported = report(&[&admin, "--format=json"])?;
    assert_eq!((reported.status, reported.errors.as_str()), (0, ""));
    let shadow = reported.shadow("iris-v2")?;
    assert_eq!(at(&shadow, "/selected")?, COUNT);
    assert_eq!(at(&shadow, "/inFlight")?, 0);
    assert_eq!(at(&shadow, "/outcomes/matched")?, expected.matched);
    assert_eq!(at(&shadow, "/outcomes/mismatched")?, expected.score + expected.class);
    assert_eq!(at(&shadow, "/classChanges/count")?, expected.class);
    assert_eq!(at(&shadow, "/baseline/outcomes/matched")?, COUNT);
    for (histogram, least) in
        [("milliseconds/live", 0.0), ("milliseconds/shadow", 0.0), ("scoreDifference", TOLERANCE)]
    {
        assert_eq!(at(&shadow, &format!("/{histogram}/count"))?, COUNT);
        let p99 = at(&shadow, &format!("/{histogram}/p99/value"))?.as_f64().unwrap_or_default();
        assert!(p99 > least, "{histogram}: {p99}");
    }

    // Two replicas of a gateway: the page of the same one, read twice.
    let page = site.gateway.envoy.admin("/stats/prometheus").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("stats.txt");
    std::fs::write(&file, page)?;
    let file = file.to_str().context("UTF-8")?;
    let refused = report(&[&admin, file])?;
    assert_eq!(refused.status, 2, "{}", refused.errors);
    assert!(refused.errors.contains("may be a later page"), "{}", refused.errors);
    let since = report(&[&admin, "--since", file, "--format=json"])?.shadow("iris-v2")?;
    assert_eq!(at(&since, "/selected")?, 0);
    let twice = report(&[&admin, file, "--distinct", "--format=json"])?.shadow("iris-v2")?;
    assert_eq!(at(&twice, "/selected")?, 2 * COUNT);
    assert_eq!(at(&twice, "/milliseconds/shadow/count")?, 2 * COUNT);
    site.check_healthy().await
}

#[tokio::test]
async fn the_exit_status_is_the_verdict() -> Result<()> {
    let site = counted().await?;
    let admin = format!("http://{}", site.gateway.envoy.admin_address());
    let Agreement { matched, .. } = Agreement::of(flowers(COUNT), TOLERANCE)?;
    let share = matched as f64 / f64::from(COUNT);
    for (requirement, status) in [
        (format!("agreement>={share},compared>={COUNT},drops<=0,failures<=0"), 0),
        (format!("agreement>{share}"), 1),
        (format!("compared>={COUNT},class-changes<=0"), 1),
        ("p95-ratio<=1000,score-p99>0.1".to_owned(), 0),
        ("agreement~0.9".to_owned(), 2),
    ] {
        let reported = report(&[&admin, "--require", &requirement])?;
        let Reported { text, errors, .. } = &reported;
        assert_eq!(reported.status, status, "{requirement}: {text}{errors}");
    }
    let nobody = report(&[&admin, "--shadow=iris-v3", "--require=agreement>=0"])?;
    assert_eq!(nobody.status, 1, "what nobody counted was found good: {}", nobody.text);
    drop(site);
    let gone = report(&[&admin, "--require=agreement>=0"])?;
    assert_eq!((gone.status, gone.text.as_str()), (2, ""));
    assert!(gone.errors.contains(&admin), "{}", gone.errors);
    Ok(())
}
