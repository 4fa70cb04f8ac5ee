//! Images, and what changes while requests come in.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster::agent::IN_FORCE;
use cluster::load::{Load, turned};
use cluster::registry::{ADDRESS, Registry};
use cluster::{Cluster, shipped};
use modelgate_image::{Image, push};
use serde_json::json;
use testbed::wait::until;

use cluster::site::{DENIED, PLUGIN, Site, application, own_values, predict, scientist};

/// Pushes the module under this tag; `note` makes another module of it. The image's digest, in hexadecimal.
async fn pushed(cluster: &Cluster, tag: &str, note: &str) -> Result<String> {
    let mut module = std::fs::read(&cluster.tools.module)?;
    if !note.is_empty() {
        // A custom section (WebAssembly core specification §5.5.3): id 0, length, name.
        let length = u8::try_from(note.len())?;
        module.extend([0, length + 1, length]);
        module.extend(note.as_bytes());
    }
    let image = Image::new(&module, tag)?;
    push(&image, &format!("{ADDRESS}/modelgate:{tag}"), true).await?;
    Ok(image.digest().trim_start_matches("sha256:").to_owned())
}

pub async fn an_image_is_fetched_and_its_digest_checked(cluster: &mut Cluster) -> Result<()> {
    let _registry = Registry::start(cluster).await?;
    let digest = pushed(cluster, "v1", "").await?;
    let kubectl = &cluster.kubectl;
    let site = Site::without_plugin(cluster).await?;
    let address = format!("oci://{ADDRESS}/modelgate:v1");
    let own = own_values(&address)?;
    shipped::apply_kustomization(kubectl, "wasmplugin/overlays/gateway", &[own]).await?;
    kubectl.patch_plugin(PLUGIN, &[("/spec/sha256", json!(digest))]).await?;
    let allowed = predict().bearer(&scientist()?);
    site.gateway.becomes(&allowed, 200, "ndarray").await?;
    site.gateway.expect(predict(), 403, DENIED).await?;
    site.gateway.check_healthy().await?;
    // Another image than the one that was meant: nothing is let through.
    let wrong = "0".repeat(64);
    kubectl.patch_plugin(PLUGIN, &[("/spec/sha256", json!(wrong))]).await?;
    site.gateway.becomes(&allowed, 403, DENIED).await?;
    kubectl.patch_plugin(PLUGIN, &[("/spec/sha256", json!(digest))]).await?;
    site.gateway.becomes(&allowed, 200, "ndarray").await?;
    // An image that is nowhere.
    let nowhere = json!(format!("oci://{ADDRESS}/modelgate:nowhere"));
    kubectl.patch_plugin(PLUGIN, &[("/spec/url", nowhere), ("/spec/sha256", json!(""))]).await?;
    site.gateway.becomes(&allowed, 403, DENIED).await
}

pub async fn nothing_is_lost_while_configuration_and_module_change(
    cluster: &mut Cluster,
) -> Result<()> {
    let _registry = Registry::start(cluster).await?;
    pushed(cluster, "v1", "").await?;
    let next = pushed(cluster, "v2", "the next version").await?;
    let site = Site::start(cluster).await?;
    let kubectl = &cluster.kubectl;
    let first = json!(format!("oci://{ADDRESS}/modelgate:v1"));
    kubectl.patch_plugin(PLUGIN, &[("/spec/url", first)]).await?;
    let (application, scientist) = (application()?, scientist()?);
    let to = site.gateway.address();
    let always = Load::start(&predict().bearer(&application), to);
    let turning = Load::start(&predict().bearer(&scientist), to);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The scientist's policy now allows somebody else.
    let group = "/spec/pluginConfig/authorization/policies/0/rules/0/when/0/values";
    let applied = Instant::now();
    kubectl.patch_plugin(PLUGIN, &[(group, json!(["somebody-else"]))]).await?;
    site.gateway.becomes(&predict().bearer(&scientist), 403, DENIED).await?;
    let second = json!(format!("oci://{ADDRESS}/modelgate:v2"));
    kubectl.patch_plugin(PLUGIN, &[("/spec/url", second)]).await?;
    until("the next module to be loaded", IN_FORCE, async || {
        let extensions = site.gateway.admin("/config_dump?resource=ecds_filters").await?;
        Ok(extensions.contains(&next).then_some(()))
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let turned = turned(&turning.stop().await?, 200, 403)?.duration_since(applied);
    // Shown, not judged: what is slow on a busy machine is not wrong.
    eprintln!("  the new decision was in force after {:.1} s", turned.as_secs_f64());
    let seen = always.stop().await?;
    let failed = seen.iter().flatten().filter(|(_, status)| *status != 200).count();
    ensure!(failed == 0, "{failed} requests failed");
    site.gateway.check_healthy().await
}

pub async fn a_broken_configuration_leaves_the_old_one_in_force(
    cluster: &mut Cluster,
) -> Result<()> {
    let site = Site::start(cluster).await?;
    let path = "/spec/pluginConfig/authorization/defaultAction";
    cluster.kubectl.patch_plugin(PLUGIN, &[(path, json!("MAYBE"))]).await?;
    let refused = cluster.istiod_logged("ECDS: ACK ERROR").await?;
    ensure!(refused.contains("Unable to create Wasm plugin"), "{refused}");
    site.gateway.logs("authorization.defaultAction").await?;
    // By the names that alerts and the dashboard know, which Istio shows with the shipped values of the mesh only.
    let stats = site.gateway.stats().await?;
    let of_plugin = |start: &str, end: &str| -> Option<f64> {
        let named = |name: &str| name.contains("modelgate") && name.ends_with(end);
        let found = stats.starting_with(start).filter(|sample| named(&sample.name));
        found.map(|sample| sample.value).reduce(f64::max)
    };
    let refused = of_plugin("envoy_extension_config_discovery_http_filter_", "_config_fail");
    ensure!(refused.is_some_and(|times| times > 0.0), "refused updates: {refused:?}");
    ensure!(of_plugin("envoy_wasm_", "_vm_reload_success") == Some(0.0), "no count of reloads");
    ensure!(stats.sum("envoy_server_memory_physical_size", &[]) > 0.0, "no memory");
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    ensure!(stats.sum("modelgate_build_info", &version) == 1.0, "no version");
    site.gateway.expect(predict().bearer(&scientist()?), 200, "ndarray").await?;
    site.gateway.expect(predict(), 403, DENIED).await.map(drop)
}
