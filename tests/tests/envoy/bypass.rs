//! Prometheus: scrapes come in where the operator says so, and nowhere else.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::gateway::{Gateway, Running, own_loopback_address};
use testbed::model::Model;
use testbed::tokens::Issuer;
use testbed::wasmplugin::WasmPlugin;

use crate::site::{DENIED, Site, anybody, config};

/// A sidecar before a model, with the ports of a Seldon pod and one more.
struct Pod {
    model: Model,
    sidecar: Running,
    address: Ipv4Addr,
}

impl Pod {
    async fn start(plugin: &WasmPlugin) -> Result<Self> {
        let model = Model::live().await?;
        let address = own_loopback_address();
        let ports = [6000, 6001, 8000, 9000];
        let sidecar = ports
            .iter()
            .fold(Gateway::new(), |sidecar, port| {
                sidecar.inbound((address, *port).into(), model.address())
            })
            .extension(&plugin.under_test()?)
            .start()
            .await?;
        Ok(Self { model, sidecar, address })
    }

    async fn expect(&self, port: u16, request: Request, status: u16) -> Result<()> {
        let to: SocketAddr = (self.address, port).into();
        let answer = request.send(to).await?;
        assert_eq!(answer.status, status, "{request:?} at {port}: {}", answer.text());
        Ok(())
    }

    async fn check_healthy(&self) -> Result<()> {
        assert!(self.sidecar.envoy.wasm_failures().await?.is_empty());
        Ok(())
    }
}

/// The rule of Seldon's documentation, without `from`.
fn documented(authorization: Value) -> Value {
    json!({
        "bypass": [{
            "name": "prometheus",
            "to": [{"operation": {
                "methods": ["GET"], "paths": ["/prometheus"], "ports": ["6000", "8000", "6001"],
            }}],
        }],
        "targets": {"families": []},
        "authorization": authorization,
    })
}

fn scrape() -> Request {
    Request::get("/prometheus")
}

#[tokio::test]
async fn scrapes_come_in_at_the_documented_ports_and_nowhere_else() -> Result<()> {
    let plugin = WasmPlugin::with_config(documented(json!({"defaultAction": "DENY"})))?;
    let pod = Pod::start(&plugin).await?;
    for port in [6000, 6001, 8000] {
        pod.expect(port, scrape(), 200).await?;
        pod.expect(port, Request::new("POST", "/prometheus"), 403).await?;
        pod.expect(port, Request::get("/prometheus/"), 403).await?;
        pod.expect(port, Request::get("/prometheus-x"), 403).await?;
        pod.expect(port, Request::get("//prometheus"), 403).await?;
        pod.expect(port, Request::get("/api/v1.0/metadata"), 403).await?;
    }
    pod.expect(9000, scrape(), 403).await?;
    // Somebody else's token is none of the rule's business.
    pod.expect(6000, scrape().bearer("nonsense"), 200).await?;
    assert_eq!(pod.model.received().len(), 4);
    pod.check_healthy().await
}

#[tokio::test]
async fn deny_counts_for_scrapes_too() -> Result<()> {
    let authorization = json!({"defaultAction": "DENY", "policies": [{
        "name": "not-6001",
        "action": "DENY",
        "rules": [{"to": [{"operation": {"ports": ["6001"]}}]}],
    }]});
    let pod = Pod::start(&WasmPlugin::with_config(documented(authorization))?).await?;
    pod.expect(6000, scrape(), 200).await?;
    pod.expect(6001, scrape(), 403).await?;
    pod.check_healthy().await
}

#[tokio::test]
async fn the_shipped_sidecar_resource_refuses_who_has_no_identity() -> Result<()> {
    let pod = Pod::start(&WasmPlugin::shipped("sidecar-prometheus.yaml")?).await?;
    for port in [6000, 6001, 8000, 9000] {
        pod.expect(port, scrape(), 403).await?;
        pod.expect(port, Request::get("/api/v1.0/metadata"), 403).await?;
    }
    pod.check_healthy().await
}

#[tokio::test]
async fn the_gateway_port_is_none_of_the_documented_ones() -> Result<()> {
    let mut settings = documented(json!({"defaultAction": "DENY"}));
    settings["targets"] = json!({});
    let site = Site::start(settings).await?;
    site.expect(scrape(), 403, DENIED).await?;
    site.expect(Request::get("/seldon/prod/iris/prometheus"), 403, DENIED).await?;
    site.check_healthy().await
}

#[tokio::test]
async fn a_bypassed_request_is_anonymous() -> Result<()> {
    let site = Site::start(config(json!({
        "bypass": [{"name": "ready", "to": [{"operation": {"paths": ["/seldon/prod/iris/ready"]}}]}],
        "authorization": {"defaultAction": "DENY", "policies": [
            {"name": "no-alice", "models": ["prod/iris"], "action": "DENY", "rules": [
                {"from": [{"source": {"requestPrincipals": ["*/alice"]}}]},
            ]},
            {"name": "all-others", "models": ["prod/fraud"], "rules": anybody()},
        ]},
    }))?)
    .await?;
    let token = Issuer::shared()?.token("alice", &[])?;
    site.expect(Request::get("/seldon/prod/iris/ready").bearer(&token), 200, "").await?;
    assert_eq!(site.live.received()[0].header("authorization"), None);
    let total = "modelgate_requests_total";
    site.counted(total, &[("decision", "bypassed"), ("model", "prod/iris")], 1.0).await?;
    site.check_healthy().await
}
