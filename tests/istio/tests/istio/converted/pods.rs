//! Policies of a model's pods, decided behind the gateway by the model's sidecar, and at the gateway by what is made of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use cluster::sidecar::Pod;
use cluster::site::local_module;
use cluster::{Cluster, Gateway, Sidecar, plain, shipped};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::tokens::Issuer;
use testbed::upstream::Upstream;
use testbed::wait::until;

use super::requests::Issuers;
use super::{CONVERTED, IN_FORCE, Trial, converted_cases, in_force, plain_services};

const IRIS: Pod<'static> = Pod { namespace: "prod", app: "iris" };

/// REST and gRPC.
const PORTS: [u16; 2] = [8000, 5001];

pub async fn the_policies_of_pods_decide_alike(cluster: &mut Cluster) -> Result<()> {
    let other = Issuer::new("https://other.example.com")?;
    let issuers =
        Issuers { shared: Issuer::shared()?, stranger: Issuer::stranger()?, other: &other };
    let mut cases = converted_cases()?;
    cases.retain(|case| case.text.contains("namespace: prod"));
    let numbered = cases.into_iter().zip(0u16..);
    let trials: Vec<Trial> =
        numbered.map(|(case, number)| Trial::new(case, number, &issuers)).collect::<Result<_>>()?;
    ensure!(trials.len() >= 12, "only {} cases", trials.len());

    let upstream = Upstream::echo("served").await?;
    let labels = json!({"app": "iris", "seldon-deployment-id": "iris"});
    let sidecar = Sidecar::start(cluster, "prod", "iris", labels).await?;
    sidecar.inbound(cluster, &IRIS, &PORTS, upstream.address()).await?;
    let kubectl = &cluster.kubectl;
    shipped::apply(kubectl, "deploy/gateway-http.yaml").await?;
    let mut resources = super::gateways(&trials);
    resources.push(IRIS.service("iris-default", "default", "iris", &PORTS, sidecar.ip));
    resources.push(cluster::models::service("echo", "default", upstream.address()));
    resources.extend(cluster::models::seldon_routes("iris"));
    resources.push(everything_else());
    // The gateway of the originals speaks mutual TLS, and has another namespace.
    resources.push(plain_services("default"));
    for trial in &trials {
        resources.push(trial.extension(&local_module(cluster))?);
    }
    kubectl.apply(&resources).await?;
    let gateway = Gateway::start(cluster).await?;
    let converted = plain::gateway("default", CONVERTED, &json!({"istio": CONVERTED})).await?;
    let predict = Request::new("POST", "/seldon/prod/iris/api/v1.0/predictions");
    gateway.becomes(&predict, 200, "served").await?;

    let mut seen = BTreeMap::new();
    let mut wrong = Vec::new();
    for trial in &trials {
        let originals = trial.renamed();
        kubectl.apply(&originals).await?;
        until("the originals to be in force", IN_FORCE, async || {
            let (front, behind) =
                tokio::try_join!(gateway.admin("/config_dump"), sidecar.admin("/config_dump"),)?;
            let of = |is: fn(&Value) -> bool| originals.iter().filter(move |one| is(one)).collect();
            let (gateways, pods): (Vec<&Value>, Vec<&Value>) = (of(is_gateways), of(is_pods));
            Ok((in_force(&front, &gateways) && in_force(&behind, &pods)).then_some(()))
        })
        .await
        .with_context(|| trial.case.name.clone())?;
        let compared = trial.compare(gateway.address(), agree, &mut seen).await;
        wrong.extend(compared.with_context(|| trial.case.name.clone())?);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": originals});
        kubectl.with_input(&["delete", "-f", "-"], &list.to_string()).await?;
        upstream.forget();
    }
    let total: usize = seen.values().sum();
    eprintln!("  {} cases, {total} requests, by status of the originals: {seen:?}", trials.len());
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    let failures = converted.wasm_failures().await?;
    ensure!(failures.is_empty(), "the module failed: {failures:?}");
    sidecar.check_healthy().await
}

fn is_gateways(one: &Value) -> bool {
    let selector = one.pointer("/spec/selector/matchLabels/istio");
    selector == Some(&json!("ingressgateway"))
}

/// Whether it is for the pod: all labels of its selector are the pod's.
fn is_pods(one: &Value) -> bool {
    let labels = one.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let mut labels = labels.into_iter().flatten();
    let is_attached = one.pointer("/spec/targetRefs").is_some();
    one.pointer("/metadata/namespace") == Some(&json!("prod"))
        && !is_attached
        && labels.all(|(name, _)| name == "seldon-deployment-id")
}

/// Predictions and feedback of the model are let through by both or by neither. Elsewhere the conversion may be stricter,
/// as the remarks say: closed operations, and tokens that are checked on every address.
fn agree(trial: &Trial, i: usize, original: u16, conversion: u16) -> bool {
    let (original, conversion) = (original == 200, conversion == 200);
    let ask = trial.asks.get(i).map(|ask| format!("{ask:?}")).unwrap_or_default();
    let is_exact = ["predictions", "feedback"].iter().any(|operation| {
        let path = format!("POST /seldon/prod/iris/api/v1.0/{operation}");
        ask.strip_prefix(&path).is_some_and(|rest| rest.starts_with([' ', '?']))
    });
    original == conversion || (original && !is_exact)
}

/// What is no address of the model, at the gateway of the originals.
fn everything_else() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "others", "namespace": "prod"},
        "spec": {
            "gateways": ["istio-system/seldon-gateway"],
            "hosts": ["*"],
            "http": [{"route": [{"destination": {"host": "echo.prod.svc.cluster.local", "port": {"number": 8000}}}]}],
        },
    })
}
