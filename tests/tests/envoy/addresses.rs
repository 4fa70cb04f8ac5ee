//! Every row of the engine's table of addresses, sent through a real Envoy.
#![cfg(test)]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::{Request, Response};
use testbed::envoy::Taken;
use testbed::gateway::{Cluster, Gateway};
use testbed::upstream::Upstream;
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;

#[path = "../../../engine/src/routing/tests/addresses.rs"]
mod table;

#[tokio::test]
async fn every_address_of_the_table_reaches_what_it_says() -> Result<()> {
    let plugin = |targets: &str| {
        WasmPlugin::with_config(json!({
            "authorization": {"defaultAction": "ALLOW"},
            "targets": serde_json::from_str::<Value>(targets)?,
            "telemetry": {"accessLog": true},
        }))
    };
    let website = Upstream::echo("website").await?;
    let mut settings = "{}";
    let gateway = Gateway::new()
        .extension(&plugin(settings)?.under_test()?)
        .cluster(Cluster::http1("website", website.address()))
        .prefix("/", "website")
        .start()
        .await?;
    let sections = table::sections();
    let mut sent = Vec::new();
    for section in &sections {
        if section.targets != settings {
            settings = section.targets;
            let taken = gateway.envoy.update(&plugin(settings)?.under_test()?).await?;
            ensure!(taken == Taken::Yes, "not taken: {settings}");
        }
        for row in &section.rows {
            let request = Request::new(row.method, row.path).authority(Some(row.host));
            let headers = row.headers.iter();
            let request = headers.fold(request, |request, (n, v)| request.header(n, v));
            sent.push((section.title, row, gateway.send(request).await.context(row.text)?));
        }
    }
    let log = until("the access log", Duration::from_secs(10), async || {
        let log = gateway.envoy.access_log()?;
        Ok((log.len() >= sent.len()).then_some(log))
    })
    .await?;
    assert_eq!(log.len(), sent.len());
    let mut wrong = Vec::new();
    for ((title, row, answer), line) in sent.iter().zip(&log) {
        let found = found(answer, line);
        if !table::fits(&without_details(row.in_envoy.unwrap_or(row.reaches)), &found) {
            wrong.push(format!("{title}: {}\n  found {found}: {line}", row.text));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), sent.len(), wrong.join("\n"));
    Ok(())
}

/// What was decided, in the words of the table: model and operation.
fn found(answer: &Response, line: &Value) -> String {
    let logged = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    match (logged("modelgate.decision"), logged("modelgate.model"), logged("modelgate.operation")) {
        ("", ..) => format!("Envoy {}", answer.status),
        ("refused", ..) => format!("400 {}", answer.text()),
        (_, "none", "none") => "outside".to_owned(),
        (_, "none", operation) => format!("- {operation}"),
        (_, model, operation) => format!("{model} {operation}"),
    }
}

/// The access log does not say which family's address it was, nor which predictor's.
fn without_details(expected: &str) -> String {
    match expected.split(' ').collect::<Vec<_>>()[..] {
        ["seldon-v1" | "seldon-v2" | "kserve" | "llmisvc", model, .., operation] => {
            format!("{model} {operation}")
        }
        _ => expected.to_owned(),
    }
}
