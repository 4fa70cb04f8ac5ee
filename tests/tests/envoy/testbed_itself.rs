//! The testbed without the module: if these fail, nothing else here means anything.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::envoy::{Extension, Taken};
use testbed::gateway::Gateway;
use testbed::model::Model;
use testbed::seldon::Deployment;
use testbed::upstream::{Answer, Upstream};

const PREDICTIONS: &str = "/seldon/prod/iris/api/v1.0/predictions";

fn flower() -> Value {
    json!({"data": {"ndarray": [[6.0, 2.7, 4.2, 1.3]]}})
}

/// Envoy's own RBAC filter with this action for every request.
fn rbac(action: &str) -> Extension {
    let any = json!({"any": true});
    Extension {
        name: "rbac".to_owned(),
        typed_config: json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "action": action,
                "policies": {"all": {"permissions": [any], "principals": [any]}},
            },
        }),
    }
}

#[tokio::test]
async fn routes_as_the_operator_does() -> Result<()> {
    let model = Model::live().await?;
    let gateway = Gateway::new()
        .deployment(&Deployment::single("prod", "iris", model.address()))
        .start()
        .await?;
    let answer = gateway.send(Request::post_json(PREDICTIONS, &flower())).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = model.received();
    assert_eq!(received[0].path, "/api/v1.0/predictions");
    assert!(received[0].header("x-request-id").is_some());
    assert_eq!(received[0].header("x-forwarded-for").map(|x| x.is_empty()), Some(false));
    let grpc = Request::new("POST", "/seldon.protos.Seldon/Predict")
        .header("seldon", "iris")
        .header("namespace", "prod")
        .header("content-type", "application/grpc");
    grpc.send_http2(gateway.address).await?;
    assert_eq!(model.received()[1].path, "/seldon.protos.Seldon/Predict");
    assert_eq!(gateway.send(Request::get("/seldon/prod/iris")).await?.status, 404);
    assert_eq!(gateway.send(Request::get("/seldon/prod/iris/ready#x")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn weights_decide() -> Result<()> {
    let (main, canary) = (Upstream::echo("main").await?, Upstream::echo("canary").await?);
    let deployment = Deployment::new("prod", "iris")
        .predictor("main", main.address(), 75)
        .predictor("canary", canary.address(), 25);
    let gateway = Gateway::new().deployment(&deployment).start().await?;
    let mut connection = Request::get("/").connect(gateway.address).await?;
    for _ in 0..200 {
        connection.send(&Request::get("/seldon/prod/iris/x")).await?;
    }
    let share = canary.received().len();
    assert!((20..=80).contains(&share), "{share} of 200");
    assert_eq!(share + main.received().len(), 200);
    Ok(())
}

#[tokio::test]
async fn new_configurations_reach_a_running_proxy() -> Result<()> {
    let model = Model::live().await?;
    let gateway = Gateway::new()
        .extension(&rbac("ALLOW"))
        .deployment(&Deployment::single("prod", "iris", model.address()))
        .start()
        .await?;
    let status =
        async || anyhow::Ok(gateway.send(Request::get("/seldon/prod/iris/ready")).await?.status);
    assert_eq!(status().await?, 200);
    assert_eq!(gateway.envoy.update(&rbac("DENY")).await?, Taken::Yes);
    assert_eq!(status().await?, 403);
    let mut invalid = rbac("ALLOW");
    invalid.typed_config["rules"]["policies"]["all"]["principals"] = json!([]);
    assert_eq!(gateway.envoy.update(&invalid).await?, Taken::No);
    assert_eq!(status().await?, 403);
    assert_eq!(gateway.envoy.update(&rbac("ALLOW")).await?, Taken::Yes);
    assert_eq!(status().await?, 200);
    let ended = testbed::wait::until("the access log", Duration::from_secs(15), async || {
        let lines = gateway.envoy.access_log()?;
        Ok((lines.len() >= 4).then_some(lines))
    });
    assert_eq!(ended.await?[1]["code"], 403);
    Ok(())
}

#[tokio::test]
async fn inbound_listeners_have_their_own_ports() -> Result<()> {
    let workload = Upstream::echo("metrics").await?;
    let at: std::net::Ipv4Addr = testbed::gateway::own_loopback_address();
    let gateway = Gateway::new()
        .inbound((at, 6000).into(), workload.address())
        .inbound((at, 8000).into(), workload.address())
        .start()
        .await?;
    for port in [6000, 8000] {
        let answer = Request::get("/prometheus").send((at, port).into()).await?;
        assert_eq!(answer.text(), "metrics");
    }
    assert_eq!(gateway.send(Request::get("/prometheus")).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn bytes_arrive_as_they_were_sent() -> Result<()> {
    let upstream =
        Upstream::start(|request| Answer::new(200, "text/plain", request.body.clone())).await?;
    let gateway = Gateway::new()
        .cluster(testbed::gateway::Cluster::http1("upstream", upstream.address()))
        .prefix("/", "upstream")
        .start()
        .await?;
    let odd: Vec<u8> = (0x80..=0xff).collect();
    let body = vec![7; 5 << 20];
    let request = Request::new("POST", "/a//b?c=%2F")
        .header("x-odd", &odd)
        .header("x-twice", "one")
        .header("x-twice", "two")
        .body(body.clone());
    let answer = gateway.send(request).await?;
    assert!(answer.status == 200 && answer.body == body);
    let received = &upstream.received()[0];
    assert_eq!(received.path, "/a//b?c=%2F");
    assert_eq!(received.lines("x-odd").collect::<Vec<_>>(), [odd.as_slice()]);
    assert_eq!(received.lines("x-twice").count(), 2);
    Ok(())
}

#[tokio::test]
async fn statistics_have_labels() -> Result<()> {
    let gateway = Gateway::new().prefix("/", "nowhere").start().await?;
    gateway.send(Request::get("/")).await?;
    let stats = gateway.envoy.stats().await?;
    let name = "envoy_http_downstream_rq_total";
    let labels = [("envoy_http_conn_manager_prefix", "ingress")];
    assert_eq!(stats.sum(name, &labels), 1.0);
    assert!(gateway.envoy.config_dump().await?["configs"].is_array());
    assert!(gateway.envoy.log()?.contains("starting main dispatch loop"));
    Ok(())
}
