//! The gateway that is measured: one Envoy for each variant, with one worker. Where Seldon's operator
//! has its routes it answers by itself, unless there are models behind it.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::envoy::{Envoy, Extension};
use testbed::gateway::{Filter, LABELS};
use testbed::stats::Stats;
use testbed::tokens::Issuer;

use crate::variant::{Evidence, Modules, Variant};
use crate::workload::{headers, policies, tokens};

/// Deployments behind the gateway; the model that is called is the last.
const DEPLOYMENTS: usize = 10;

const LISTENER: &str = "ingress";

/// A running gateway of a variant.
#[derive(Debug)]
pub struct Gateway {
    /// The proxy.
    pub envoy: Envoy,
    /// Where clients reach it.
    pub address: std::net::SocketAddr,
}

impl Gateway {
    /// Starts one that answers by itself: a model behind it would only add the same to every variant.
    pub async fn start(filters: &[Filter]) -> Result<Self> {
        let answer = json!({"direct_response": {"status": 200, "body": {"inline_string": "{}"}}});
        Self::start_before(filters, &answer, &[]).await
    }

    /// Starts one with this action of its routes (Envoy's JSON), and these clusters.
    pub async fn start_before(
        filters: &[Filter],
        action: &Value,
        clusters: &[Value],
    ) -> Result<Self> {
        Self::start_with_routes(filters, &[], action, clusters).await
    }

    /// The same, with other actions for some models.
    pub async fn start_with_routes(
        filters: &[Filter],
        of_models: &[(&str, Value)],
        action: &Value,
        clusters: &[Value],
    ) -> Result<Self> {
        let extensions: Vec<Extension> = filters
            .iter()
            .filter_map(|filter| match filter {
                Filter::Extension(extension) => Some(extension.clone()),
                Filter::Fixed(_) => None,
            })
            .collect();
        let bootstrap = bootstrap(filters, &routes(of_models, action), clusters);
        let envoy = Envoy::start(&bootstrap, &extensions, 1).await?;
        let address = envoy.listener(LISTENER)?;
        Ok(Self { envoy, address })
    }

    /// Starts a variant and makes sure that it does what its name says: it lets members through and
    /// nobody else. `token` is a member's.
    pub async fn start_checked(
        variant: &Variant,
        issuer: &Issuer,
        token: &str,
        modules: Modules<'_>,
    ) -> Result<Self> {
        let gateway = Self::start(&variant.filters(issuer, modules)?).await?;
        let member = gateway.status(variant.path(), Some(token)).await?;
        ensure!(member == 200, "{}: {member} to a member, not 200", variant.name);
        if variant.refuses_strangers() {
            let anonymous = gateway.status(variant.path(), None).await?;
            ensure!(anonymous == 403, "{}: {anonymous} without a token, not 403", variant.name);
            let forged = tokens(Issuer::stranger()?, variant.algorithm, 1)?;
            let forger = gateway.status(variant.path(), forged.first().map(String::as_str)).await?;
            ensure!(forger == 401, "{}: {forger} to a forged token, not 401", variant.name);
        }
        Ok(gateway)
    }

    async fn status(&self, path: &str, token: Option<&str>) -> Result<u16> {
        let mut request = Request::new("POST", path);
        for (name, value) in headers(token, 0) {
            request = request.header(name, value);
        }
        Ok(request.send(self.address).await?.status)
    }

    /// How many requests brought a token that the variant knew.
    pub async fn known_tokens(&self, evidence: Evidence) -> Result<u64> {
        Ok(match evidence {
            Evidence::Counter(name) => self.envoy.counters(name).await?.values().sum(),
            Evidence::Metric(name) => {
                let page = self.envoy.stats().await?;
                page.sum(name, &[("result", "cached")]) as u64
            }
        })
    }
}

/// Outcomes of copies, and how many of each.
pub fn shadow_outcomes(stats: &Stats) -> Vec<(String, u64)> {
    let outcomes = stats.select("modelgate_shadow_outcomes_total", &[]);
    let outcomes = outcomes.filter(|sample| sample.value > 0.0).map(|sample| {
        let outcome = sample.labels.get("outcome").cloned().unwrap_or_default();
        (outcome, sample.value as u64)
    });
    outcomes.collect()
}

/// The last filter of every chain.
pub fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    })
}

fn bootstrap(filters: &[Filter], routes: &[Value], clusters: &[Value]) -> Value {
    let filters = filters.iter().map(|filter| match filter {
        Filter::Fixed(filter) => filter.clone(),
        Filter::Extension(extension) => extension.http_filter(),
    });
    let filters: Vec<Value> = filters.chain([router()]).collect();
    let tag = |name: &&str| json!({"tag_name": name, "regex": format!(r"({name}=\.=(.*?);\.;)")});
    json!({
        "node": {"id": "router~127.0.0.1~gateway.istio-system~istio-system.svc.cluster.local", "cluster": "gateway"},
        "stats_config": {"stats_tags": LABELS.iter().map(tag).collect::<Vec<_>>()},
        "static_resources": {
            "listeners": [listener(LISTENER, &filters, routes)],
            "clusters": clusters,
        },
    })
}

/// A listener on a free loopback port, as Istio configures those of a gateway.
pub fn listener(name: &str, filters: &[Value], routes: &[Value]) -> Value {
    let connection_manager = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "server_name": "istio-envoy",
            "use_remote_address": true,
            "normalize_path": true,
            "stream_idle_timeout": "0s",
            "http_filters": filters,
            "route_config": {
                "name": name,
                // Models that are an Envoy answer by themselves.
                "max_direct_response_body_size_bytes": 1_048_576,
                "virtual_hosts": [{"name": "*:80", "domains": ["*"], "routes": routes}],
            },
        },
    });
    json!({
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "traffic_direction": "OUTBOUND",
        "filter_chains": [{"filters": [connection_manager]}],
    })
}

/// For each deployment the prefix that the operator gives it.
fn routes(of_models: &[(&str, Value)], action: &Value) -> Vec<Value> {
    policies(DEPLOYMENTS)
        .iter()
        .map(|policy| {
            let own = of_models.iter().find(|(model, _)| *model == policy.model);
            let mut route = own.map_or(action, |(_, action)| action).clone();
            if let Some(route) = route.as_object_mut() {
                let prefix = format!("/seldon/prod/{}/", policy.model);
                route.insert("match".into(), json!({"prefix": prefix}));
            }
            route
        })
        .collect()
}
