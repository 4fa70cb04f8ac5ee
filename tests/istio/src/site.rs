//! What most scenarios stand on: the shipped gateway overlay, models, and Seldon's routes to them.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::tokens::Issuer;

use crate::kubectl::patch;
use crate::models::seldon_routes;
use crate::{Cluster, Gateway, Models, shipped};

/// Istio's and modelgate's text for 403.
pub const DENIED: &str = "RBAC: access denied";

/// The shipped plugin's name.
pub const PLUGIN: &str = "modelgate";

/// A gateway that serves prod/iris and prod/fraud.
#[derive(Debug)]
pub struct Site {
    /// What answers.
    pub models: Models,
    /// istio-ingressgateway.
    pub gateway: Gateway,
}

impl Site {
    /// With the shipped overlay, and the module from a local file.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let own = own_values(&local_module(cluster))?;
        shipped::apply_kustomization(&cluster.kubectl, "wasmplugin/overlays/gateway", &[own])
            .await?;
        let site = Self::without_plugin(cluster).await?;
        site.gateway.becomes(&predict().bearer(&scientist()?), 200, "ndarray").await?;
        let fraud = predict_by("fraud").bearer(&application()?);
        site.gateway.becomes(&fraud, 200, "fraud").await?;
        Ok(site)
    }

    /// Gateway, models and routes.
    pub async fn without_plugin(cluster: &Cluster) -> Result<Self> {
        Self::in_front_of(cluster, Models::start(cluster).await?).await
    }

    /// Gateway and routes for these models.
    pub async fn in_front_of(cluster: &Cluster, models: Models) -> Result<Self> {
        shipped::apply(&cluster.kubectl, "deploy/gateway-http.yaml").await?;
        shipped::apply(&cluster.kubectl, "deploy/seldon/model.yaml").await?;
        cluster.kubectl.apply(&seldon_routes("fraud")).await?;
        Ok(Self { models, gateway: Gateway::start(cluster).await? })
    }
}

/// The address of the module under test.
pub fn local_module(cluster: &Cluster) -> String {
    format!("file://{}", cluster.tools.module.display())
}

/// The rule of the shipped gateway plugin with the keys themselves: this mesh has no way to the issuer.
pub fn own_rules() -> Result<Value> {
    let mut rule = Issuer::shared()?.rule();
    let claims = json!([{"header": "x-user", "claim": "sub"}]);
    rule.as_object_mut().context("no object")?.insert("outputClaimToHeaders".into(), claims);
    Ok(json!([rule]))
}

/// A user's own values in the shipped gateway plugin: where the module comes from, and the issuer's keys.
pub fn own_values(module: &str) -> Result<Value> {
    Ok(patch("WasmPlugin", &own(module)?))
}

/// Applies a shipped file with a user's own values in its plugin.
pub async fn apply_with_own_values(cluster: &Cluster, file: &str) -> Result<()> {
    let mut documents = shipped::read(file)?;
    let own = own(&local_module(cluster))?;
    let plugins = documents.iter_mut().filter(|d| d.get("kind") == Some(&json!("WasmPlugin")));
    for plugin in plugins {
        for (path, value) in &own {
            *plugin.pointer_mut(path).with_context(|| format!("{file}: no {path}"))? =
                value.clone();
        }
    }
    cluster.kubectl.apply(&documents).await
}

fn own(module: &str) -> Result<[(&'static str, Value); 2]> {
    let rules = "/spec/pluginConfig/authentication/jwtRules";
    Ok([("/spec/url", json!(module)), (rules, own_rules()?)])
}

/// A token that the shipped policies allow for prod/iris.
pub fn scientist() -> Result<String> {
    Issuer::shared()?.token("alice", &["data-science"])
}

/// A token that the shipped policies allow for predictions of every model in prod.
pub fn application() -> Result<String> {
    Issuer::shared()?.token("shop", &["applications"])
}

/// A question to the iris model.
pub fn flower() -> Value {
    json!({"data": {"ndarray": [[6.0, 2.7, 4.2, 1.3]]}})
}

/// The question to this model of prod, at its friendly address.
pub fn predict_by(model: &str) -> Request {
    Request::post_json(format!("/models/prod/{model}:predict"), &flower())
}

/// The question to prod/iris.
pub fn predict() -> Request {
    predict_by("iris")
}
