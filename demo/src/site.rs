//! Everything that runs: models, the gateway, and a little mesh around it.
//!
//! ```text
//! client ──> gateway (gateway.yaml) ══> sidecar (sidecar-prometheus.yaml) ──> prod/iris
//!              │  └────> prod/echo        ⇑
//!              ├ - - -> iris-v2           ╚══ sidecars of Prometheus and of a notebook
//!              └ - - -> the issuer, for its keys
//! ```
//! Double lines are mutual TLS with the identities that the resources name.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};
use testbed::gateway::{Cluster, Gateway, Running, own_loopback_address};
use testbed::model_servers::Weights;
use testbed::seldon::Deployment;
use testbed::tokens::Issuer;
use testbed::upstream::{Answer, Received, Upstream};
use testbed::wasmplugin::WasmPlugin;

use crate::args::Models;
use crate::certificates::Authority;
use crate::models::Server;
use crate::settings::{self, Change};
use crate::variables::{Place, Variables};

/// How much later than the live model the built-in shadow answers.
pub const SHADOW_DELAY: Duration = Duration::from_millis(20);

/// The cluster that the file names for the issuer's keys.
const ISSUER: &str = "outbound|443||idp.example.com";

/// Ports of a pod: the model's, and the one of its metrics.
const HTTP_PORT: u16 = 8000;
const METRICS_PORT: u16 = 6000;

/// What Envoy logs about a plugin that it cannot use.
const NOT_LOADED: &str = "failed to load";

/// Headers that prod/echo answers with.
const ECHOED: [&str; 5] =
    ["x-user", "x_user", "seldon-internal-model", "authorization", "x-experiment"];

/// Everything that runs; ends when dropped.
pub struct Site {
    /// The shipped resource of the gateway, with [`changes`](Self::changes).
    pub plugin: WasmPlugin,
    /// What had to be changed.
    pub changes: Vec<Change>,
    pub gateway: Running,
    pub variables: Variables,
    pub live: Server,
    pub retrained: Server,
    pub echo: Upstream,
    /// Where the pod of prod/iris is.
    pub pod: SocketAddr,
    /// The issuer's server, of whose keys the gateway asks.
    pub issuer: Upstream,
    _sidecar: Running,
    _mesh: Running,
}

impl Site {
    /// Starts everything.
    pub async fn start(models: Models) -> Result<Self> {
        let issuer = tokio::task::spawn_blocking(Issuer::shared).await??;
        let (live, retrained) = tokio::try_join!(
            Server::start(models, Weights::Main),
            Server::start(models, Weights::Shadow)
        )?;
        if let Some(model) = retrained.builtin() {
            model.set_delay(SHADOW_DELAY);
        }
        let echo = Upstream::start(echo).await?;
        let keys = issuer.jwks();
        let idp = Upstream::start(move |_| Answer::new(200, "application/json", keys.clone()));
        let idp = idp.await?;

        let authority = Authority::new()?;
        let pod = own_loopback_address();
        let (http, metrics) = ((pod, HTTP_PORT).into(), (pod, METRICS_PORT).into());
        let server = authority.workload("prod", "default")?.server();
        let inbound = |port: u16, to| Cluster::http1(&format!("inbound|{port}||"), to);
        let sidecar = Gateway::new()
            .extension(&WasmPlugin::shipped("sidecar-prometheus.yaml")?.under_test()?)
            .inbound_through(http, Some(&server), inbound(HTTP_PORT, live.http()))
            .inbound_through(metrics, Some(&server), inbound(METRICS_PORT, live.metrics()));

        let outside = own_loopback_address();
        let (prometheus, notebook) = ((outside, 6000).into(), (outside, 6001).into());
        let calls = |name: &str, namespace: &str| -> Result<Cluster> {
            let identity = authority.workload(namespace, name)?;
            Ok(Cluster::http1(name, metrics).transport_socket(&identity.client()))
        };
        let mesh = Gateway::new()
            .inbound_through(prometheus, None, calls("prometheus", "monitoring")?)
            .inbound_through(notebook, None, calls("notebook", "research")?);

        let mut plugin = WasmPlugin::shipped("gateway.yaml")?;
        let changes = settings::for_demo(&mut plugin, models)?;
        let identity = authority.workload("istio-system", "istio-ingressgateway")?.client();
        let iris = Deployment::single("prod", "iris", http);
        let gateway = iris.routes().into_iter().fold(Gateway::new(), Gateway::route);
        let gateway = iris
            .clusters()
            .into_iter()
            .fold(gateway, |gateway, cluster| gateway.cluster(cluster.transport_socket(&identity)));
        let shadow = Deployment::new("prod", "iris-v2").unrouted("default", retrained.http());
        let gateway = gateway
            .extension(&plugin.under_test()?)
            .cluster(Cluster::http1(ISSUER, idp.address()))
            .deployment(&Deployment::single("prod", "echo", echo.address()))
            .deployment(&shadow);
        let (gateway, sidecar, mesh) =
            tokio::try_join!(gateway.start(), sidecar.start(), mesh.start())
                .context("Envoy does not start")?;
        for proxy in [&gateway, &sidecar] {
            let log = proxy.envoy.log()?;
            let serious: Vec<&str> = crate::log::serious(&log).collect();
            ensure!(!log.contains(NOT_LOADED), "Envoy refuses the module:\n{}", serious.join("\n"));
        }

        let places = BTreeMap::from([
            (Place::Gateway, gateway.address),
            (Place::Prometheus, prometheus),
            (Place::Notebook, notebook),
            (Place::Admin, gateway.envoy.admin_address()),
        ]);
        let variables = Variables::new(issuer, places)?;
        Ok(Self {
            plugin,
            changes,
            gateway,
            variables,
            live,
            retrained,
            echo,
            pod: http,
            issuer: idp,
            _sidecar: sidecar,
            _mesh: mesh,
        })
    }
}

/// Answers with the headers that the tour talks about.
fn echo(request: &Received) -> Answer {
    let value = |name: &str| request.header(name).map_or(Value::Null, Value::from);
    let headers: Map<_, _> = ECHOED.iter().map(|name| ((*name).to_owned(), value(name))).collect();
    Answer::new(200, "application/json", Value::Object(headers).to_string())
}
