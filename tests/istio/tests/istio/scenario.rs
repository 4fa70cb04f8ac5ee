//! What scenarios are, and the control plane that they share.

use std::path::{Path, PathBuf};
use std::pin::Pin;

use anyhow::{Context as _, Result, anyhow};
use cluster::Cluster;
use cluster::progress::Progress;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// A named test.
pub struct Scenario {
    pub name: &'static str,
    pub run: Run,
}

pub type Run = for<'c> fn(&'c mut Cluster) -> Pin<Box<dyn Future<Output = Result<()>> + 'c>>;

/// `scenario!(module::function)`.
macro_rules! scenario {
    ($module:ident :: $name:ident) => {
        Scenario {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |cluster| Box::pin(crate::$module::$name(cluster)),
        }
    };
}

/// In the order in which they run.
pub fn all() -> Vec<Scenario> {
    vec![
        scenario!(gateway::the_shipped_overlay_guards_the_models),
        scenario!(gateway_api::both_gateways_guard_the_models),
        scenario!(gateway_api::splits_and_services_of_kserve_are_routed),
        scenario!(issuer::keys_are_believed_only_with_the_right_certificate),
        scenario!(updates::an_image_is_fetched_and_its_digest_checked),
        scenario!(updates::nothing_is_lost_while_configuration_and_module_change),
        scenario!(updates::a_broken_configuration_leaves_the_old_one_in_force),
        scenario!(seldon::every_kind_of_deployment_is_routed),
        scenario!(seldon::annotations_choose_gateway_host_and_retries),
        scenario!(splits::a_canary_keeps_its_callers),
        scenario!(splits::blue_green_is_tested_and_switched),
        scenario!(splits::an_ab_test_keeps_its_browsers),
        scenario!(addresses::friendly_urls_reach_the_operators_routes),
        scenario!(addresses::several_versions_share_a_host),
        scenario!(addresses::a_plain_server_does_not_see_the_prefix),
        scenario!(https::a_self_signed_certificate_serves_http1_http2_and_grpc),
        scenario!(report::the_upstream_sees_what_it_saw_without_the_plugin),
        scenario!(sidecar::strict_mtls_and_prometheus_at_the_sidecar),
        scenario!(sidecar::a_prometheus_outside_the_mesh_reaches_excluded_ports_only),
        scenario!(sidecar::clients_in_the_mesh_call_a_canary),
        scenario!(native::modelgate_decides_as_istio_does),
        scenario!(native::both_must_allow_on_one_gateway),
        scenario!(converted::the_gateways_policies_decide_alike),
        scenario!(converted::the_policies_of_pods_decide_alike),
        scenario!(operations::another_application_shares_the_gateway),
        scenario!(operations::ten_thousand_policies_are_enforced),
        scenario!(operations::gateways_serve_on_without_istiod_and_one_is_restarted),
        scenario!(operations::a_traffic_extension_serves_the_same),
        scenario!(chart::it_renders_what_the_overlays_are),
        scenario!(chart::a_gateway_is_named_and_issuers_are_public),
        scenario!(chart::the_pages_values_are_taken),
        scenario!(chart::mistakes_in_values_are_said),
        scenario!(chart::a_release_guards_the_models),
        scenario!(manifests::the_prometheus_operator_gets_rules_scrapes_and_dashboard),
        scenario!(manifests::the_api_server_and_istioctl_accept_all_of_them),
    ]
}

/// The control plane, started by the first scenario that runs.
pub struct Suite {
    runtime: Runtime,
    state: PathBuf,
    cluster: Mutex<Shared>,
}

enum Shared {
    NotYet,
    Running(Box<Cluster>),
    Failed(String),
}

impl Suite {
    pub fn new(state: &Path) -> Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build()?;
        runtime.spawn(cluster::isolation::end_on_signal());
        Ok(Self { runtime, state: state.to_owned(), cluster: Mutex::new(Shared::NotYet) })
    }

    pub fn run(&self, scenario: &Scenario) -> Result<()> {
        self.runtime.block_on(async {
            let mut shared = self.cluster.lock().await;
            if matches!(*shared, Shared::NotYet) {
                *shared = match Cluster::start(&self.state).await {
                    Ok(cluster) => Shared::Running(Box::new(cluster)),
                    Err(error) => Shared::Failed(format!("{error:#}")),
                };
            }
            let cluster = match &mut *shared {
                Shared::Running(cluster) => cluster,
                Shared::Failed(why) => return Err(anyhow!("no control plane: {why}")),
                Shared::NotYet => return Err(anyhow!("no control plane")),
            };
            let logs = cluster.tools.logs.clone();
            // A test may panic in an assertion: the next one still needs a clean cluster.
            let running = futures_catch(std::panic::AssertUnwindSafe((scenario.run)(cluster)));
            let result = Progress::open(&logs).step(scenario.name, running).await;
            let cleared = cluster.kubectl.clear().await.context("clearing the cluster");
            result
                .and(cleared)
                .with_context(|| format!("logs of every component are in {}", logs.display()))
        })
    }
}

/// A panic as an error.
async fn futures_catch<F: Future<Output = Result<()>>>(
    future: std::panic::AssertUnwindSafe<F>,
) -> Result<()> {
    let mut future = Box::pin(future.0);
    std::future::poll_fn(move |context| {
        let poll = std::panic::AssertUnwindSafe(|| future.as_mut().poll(context));
        match std::panic::catch_unwind(poll) {
            Ok(poll) => poll,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                std::task::Poll::Ready(Err(anyhow!(text.unwrap_or_else(|| "a panic".into()))))
            }
        }
    })
    .await
}
