//! The same model under two names and a retrained one, behind a gateway that compares both with the
//! live model as it does by default: the same always agrees, the retrained one never does unseen.

mod baseline;
mod kserve;
mod litserve;
mod mlflow;
mod mlserver;
mod seldon;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::gateway::{Cluster, Gateway, Running};
use testbed::iris::Iris;
use testbed::model_servers::ModelServer;
use testbed::stats::Stats;
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;

use crate::support::FLOWER;

/// The shadow that runs the live model under another name.
const SAME: &str = "same";

/// The shadow that runs the retrained one.
const RETRAINED: &str = "retrained";

/// The models give [`FLOWER`] the same class with other scores, and this one another class.
const CLASS_CHANGES: [f64; 4] = [6.0, 2.7, 4.9, 1.7];

/// One of each kind.
const FLOWERS: [[f64; 4]; 2] = [FLOWER, CLASS_CHANGES];

/// Where a gateway sends requests and their copies. All three speak the same protocol.
struct Servers {
    live: SocketAddr,
    same: SocketAddr,
    retrained: SocketAddr,
    http2: bool,
}

impl Servers {
    /// By HTTP/1.1: the live model, the same once more, and the retrained one.
    fn of([live, same, retrained]: [&ModelServer; 3]) -> Self {
        Self { live: live.http, same: same.http, retrained: retrained.http, http2: false }
    }
}

/// The host of a model that has one to itself.
const HOST: &str = "iris.example.com";

/// How a gateway knows the model.
struct Site {
    targets: Value,
    model: &'static str,
    /// Where a copy goes if not to the path of the request.
    same_path: Option<&'static str>,
    retrained_path: Option<&'static str>,
}

impl Site {
    /// A model that has a host to itself.
    fn alone() -> Self {
        Self {
            targets: json!({"families": [], "fixed": [{"hosts": [HOST], "model": "prod/iris"}]}),
            model: "prod/iris",
            same_path: None,
            retrained_path: None,
        }
    }

    /// Asks a model of a host of its own about the two flowers: the same agrees, the retrained one does not.
    async fn agrees(&self, servers: &Servers, path: &str, field: &str) -> Result<()> {
        let gateway = self.gateway(servers).await?;
        let mut answers = Vec::new();
        for flower in FLOWERS {
            let question = Request::post_json(path, &json!({field: [flower]}));
            let answer = gateway.send(question.authority(Some(HOST))).await?;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answers.push(answer.json()?.pointer("/predictions/0").cloned().context("no data")?);
        }
        assert_live(&answers)?;
        agrees_with_itself_only(&gateway, 1).await
    }

    fn shadow(&self, name: &str, path: Option<&str>) -> Value {
        let mut shadow = json!({
            "name": name,
            "models": [self.model],
            "cluster": name,
            "authority": format!("{name}.example.com"),
            "timeout": "20s",
            "logValues": true,
        });
        if let (Some(shadow), Some(path)) = (shadow.as_object_mut(), path) {
            shadow.insert("path".to_owned(), path.into());
        }
        shadow
    }

    /// A gateway with nothing said about how to compare.
    async fn gateway(&self, servers: &Servers) -> Result<Running> {
        let config = json!({
            "authorization": {"defaultAction": "ALLOW"},
            "targets": self.targets,
            "shadows": [
                self.shadow(SAME, self.same_path),
                self.shadow(RETRAINED, self.retrained_path),
            ],
        });
        let cluster = if servers.http2 { Cluster::http2 } else { Cluster::http1 };
        Gateway::new()
            .extension(&WasmPlugin::with_config(config)?.under_test()?)
            .cluster(cluster("live", servers.live))
            .cluster(cluster(SAME, servers.same))
            .cluster(cluster(RETRAINED, servers.retrained))
            .route(json!({
                "match": {"prefix": "/seldon/prod/iris/"},
                "route": {"cluster": "live", "prefix_rewrite": "/"},
            }))
            .prefix("/", "live")
            .start()
            .await
    }
}

/// How many copies of a shadow ended how, and how many of them showed which kinds of difference.
type Verdict = BTreeMap<String, u32>;

/// Waits until both shadows have so many outcomes.
async fn verdicts(gateway: &Running, count: u32) -> Result<[Verdict; 2]> {
    let settled = until("the copies to be compared", Duration::from_secs(45), async || {
        let stats = gateway.envoy.stats().await?;
        let ended = |shadow| {
            stats.sum("modelgate_shadow_outcomes_total", &[("shadow", shadow)]) == f64::from(count)
        };
        Ok((ended(SAME) && ended(RETRAINED)).then_some(stats))
    });
    let stats = match settled.await {
        Ok(stats) => stats,
        Err(error) => return Err(error.context(said(gateway)?)),
    };
    Ok([verdict(&stats, SAME), verdict(&stats, RETRAINED)])
}

fn verdict(stats: &Stats, shadow: &str) -> Verdict {
    const OUTCOMES: [&str; 10] = [
        "matched",
        "mismatched",
        "uncomparable",
        "live_failed",
        "shadow_failed",
        "timeout",
        "too_large",
        "over_budget",
        "breaker_open",
        "orphaned",
    ];
    const KINDS: [&str; 9] =
        ["status", "content_type", "class", "score", "shape", "missing", "extra", "value", "bytes"];
    let outcomes = OUTCOMES.map(|name| ("modelgate_shadow_outcomes_total", "outcome", name));
    let kinds = KINDS.map(|name| ("modelgate_shadow_differences_total", "kind", name));
    let counts = outcomes.into_iter().chain(kinds).map(|(metric, label, name)| {
        (name.to_owned(), stats.sum(metric, &[("shadow", shadow), (label, name)]) as u32)
    });
    counts.filter(|(_, count)| *count > 0).collect()
}

/// The module's lines in Envoy's log.
fn said(gateway: &Running) -> Result<String> {
    let log = gateway.envoy.log()?;
    Ok(log.lines().filter(|line| line.contains("modelgate: ")).collect::<Vec<_>>().join("\n"))
}

/// The two flowers were asked about in each of so many forms: the same model agrees about both, the
/// retrained one shows another class for one and other scores for the other.
async fn agrees_with_itself_only(gateway: &Running, forms: u32) -> Result<()> {
    let [same, retrained] = verdicts(gateway, 2 * forms).await?;
    let said = said(gateway)?;
    let expected = |pairs: &[(&str, u32)]| -> Verdict {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    assert_eq!(same, expected(&[("matched", 2 * forms)]), "{said}");
    let class = retrained.get("class").copied();
    assert_eq!((retrained.get("mismatched"), class), (Some(&(2 * forms)), Some(forms)), "{said}");
    // The answer with another class may have other scores as well.
    let score = retrained.get("score").copied().context("no score moved")?;
    assert!((forms..=2 * forms).contains(&score), "{retrained:?}\n{said}");
    assert_eq!(retrained.len(), 3, "{retrained:?}\n{said}");
    assert!(gateway.envoy.wasm_failures().await?.is_empty());
    Ok(())
}

/// The answers are those of the live model.
fn assert_live(answers: &[Value]) -> Result<()> {
    assert_eq!(answers.len(), FLOWERS.len());
    for (answer, flower) in answers.iter().zip(FLOWERS) {
        crate::support::assert_close(Some(answer), &Iris::main()?.predict(&flower)?)?;
    }
    Ok(())
}

#[test]
fn the_flowers_are_what_they_are_here_for() -> Result<()> {
    let (live, retrained) = (Iris::main()?, Iris::shadow()?);
    assert_eq!(live.class(&FLOWER)?, retrained.class(&FLOWER)?);
    assert_ne!(live.class(&CLASS_CHANGES)?, retrained.class(&CLASS_CHANGES)?);
    Ok(())
}
