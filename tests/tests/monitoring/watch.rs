//! What the faults have in common: a Prometheus, its targets, and the time that alerts may take.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testbed::gateway::Running;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::documents::{MINUTE, RULES, promises, read, scaled};
use crate::prometheus::{Prometheus, Target};
use crate::site::{Options, Site};

/// What comes on top of a promise, whatever the scale: counts are handed over once a second, gateways asked and rules
/// evaluated every half second one after the other, and all that beside twenty processes on a few cores.
const ON_TOP: Duration = Duration::from_secs(8);

/// How long every gateway is quiet before its fault.
pub const QUIET: Duration = Duration::from_secs(8);

/// What all tasks share.
pub struct Watch {
    pub prometheus: Prometheus,
    targets: Mutex<Vec<Target>>,
    promises: BTreeMap<String, (String, u64)>,
    /// Gateways that may start at once: each compiles the module.
    starting: Semaphore,
}

impl Watch {
    /// A Prometheus without targets.
    pub async fn start() -> Result<Self> {
        Ok(Self {
            prometheus: Prometheus::start(&scaled(&read(RULES)?)).await?,
            targets: Mutex::default(),
            promises: promises()?,
            starting: Semaphore::new(2),
        })
    }

    /// Has a gateway scraped as the pod `<job>-<number>`; one of this name before is scraped no more.
    pub fn scrape(&self, job: &str, number: u32, gateway: &Running) -> Result<()> {
        let pod = format!("{job}-{number}");
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|target| target.pod != pod);
        targets.push(Target { job: job.to_owned(), pod, address: gateway.envoy.admin_address() });
        self.prometheus.scrape(&targets)
    }

    pub async fn site(&self, job: &str, options: Options) -> Result<Site> {
        let permit = self.starting.acquire().await?;
        let site = Site::start(options).await?;
        drop(permit);
        self.scrape(job, 0, &site.gateway)?;
        Ok(site)
    }

    /// A site that was quiet for a while.
    pub async fn quiet(&self, job: &str, options: Options) -> Result<Site> {
        let site = self.site(job, options).await?;
        sleep(QUIET).await;
        let firing = self.firing(job).await?;
        ensure!(firing.is_empty(), "{job}: {firing:?} before any fault");
        Ok(site)
    }

    async fn firing(&self, job: &str) -> Result<BTreeSet<String>> {
        Ok(self.prometheus.firing().await?.remove(job).unwrap_or_default())
    }

    /// Waits for the first scrape of a gateway.
    pub async fn scraped(&self, job: &str) -> Result<()> {
        self.prometheus.answers(&format!("up{{job=\"{job}\"}} == 1")).await
    }

    /// Waits until these alerts fire, as soon as the slowest of them promises.
    pub async fn fire(&self, job: &str, alerts: &[&str]) -> Result<()> {
        let promised = alerts.iter().map(|alert| {
            let (_, minutes) = self.promises.get(*alert).with_context(|| (*alert).to_owned())?;
            Ok(*minutes)
        });
        let minutes = promised.collect::<Result<Vec<u64>>>()?.into_iter().max().unwrap_or(0);
        let promise = MINUTE * u32::try_from(minutes)?;
        self.become_of(job, alerts, promise).await
    }

    /// Waits until nothing fires any more, for as long as the longest range of a rule but the hour.
    pub async fn calm(&self, job: &str) -> Result<()> {
        self.become_of(job, &[], 15 * MINUTE).await
    }

    pub async fn become_of(&self, job: &str, alerts: &[&str], promise: Duration) -> Result<()> {
        let wanted: BTreeSet<String> = alerts.iter().map(|&alert| alert.to_owned()).collect();
        let start = Instant::now();
        loop {
            let firing = self.firing(job).await?;
            if firing == wanted {
                println!("{job}: {wanted:?} after {:.1?} of {promise:?}", start.elapsed());
                return Ok(());
            }
            let is_late = start.elapsed() > promise + ON_TOP;
            ensure!(
                !is_late,
                "{job}: {firing:?}, not {wanted:?}, {promise:?} and {ON_TOP:?} after its fault"
            );
            sleep(Duration::from_millis(200)).await;
        }
    }
}
