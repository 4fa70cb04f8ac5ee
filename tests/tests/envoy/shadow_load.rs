//! Many requests with a shadow: every one has its outcome, and what is held stays bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::client::Request;
use testbed::upstream::Fault;

use crate::site::{FRIENDLY, Site, open, predict, shadow};

const SELECTED: &str = "modelgate_shadow_selected_total";
const OUTCOMES: &str = "modelgate_shadow_outcomes_total";
const CALLERS: u64 = 8;
const MIB: f64 = 1024.0 * 1024.0;
/// `bufferedBytes` of the black hole.
const BOUND: f64 = MIB;

/// How many requests, or seconds: a few unless the environment asks for more.
fn extent(variable: &str, usual: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable} is no number: {text}")),
        Err(_) => Ok(usual),
    }
}

/// Callers that send the request over and over, each over its own connection, until told to stop.
struct Callers {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Result<()>>>,
}

impl Callers {
    fn start(site: &Site, request: &Request) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..CALLERS).map(|_| {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            let (address, request) = (site.gateway.address, request.clone());
            tokio::spawn(async move {
                let mut connection = request.connect(address).await?;
                while !stop.load(Ordering::Relaxed) {
                    let answer = connection.send(&request).await?;
                    ensure!(answer.status == 200, "the live answer is {answer:?}");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        let tasks = tasks.collect();
        Self { stop, sent, tasks }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many requests were answered in all.
    async fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await??;
        }
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

/// `MODELGATE_MANY` says how many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_requests_has_one_outcome() -> Result<()> {
    let many = extent("MODELGATE_MANY", 5_000)?;
    let settings = json!({
        "timeout": "300ms",
        "limits": {"inFlight": 8},
        "breaker": {"failures": 50, "retryAfter": "200ms"},
    });
    let site = Site::start(open(shadow(settings))?).await?;
    let callers = Callers::start(&site, &predict());
    let moods = [None, Some(Fault::Status(403)), Some(Fault::Reset), Some(Fault::Hang)];
    for mood in 0.. {
        site.retrained.set_fault(moods.get(mood % moods.len()).copied().flatten());
        tokio::time::sleep(Duration::from_millis(500)).await;
        site.live.forget();
        site.retrained.forget();
        if callers.sent() >= many {
            break;
        }
    }
    let sent = callers.finish().await?;
    let stats = site.settled(sent as f64).await?;
    let of = |outcome: &str| stats.sum(OUTCOMES, &[("outcome", outcome)]);
    let names =
        ["matched", "mismatched", "shadow_failed", "timeout", "breaker_open", "over_budget"];
    println!("{sent} requests: {:?}", names.map(|name| (name, of(name))));
    assert_eq!(stats.sum(SELECTED, &[]), stats.sum(OUTCOMES, &[]));
    assert!(of("mismatched") > 0.0 && of("shadow_failed") > 0.0);
    site.check_healthy().await
}

/// `MODELGATE_SOAK` says for how many seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_bounded() -> Result<()> {
    let seconds = extent("MODELGATE_SOAK", 10)?;
    let settings = json!({
        "timeout": "4s",
        // Many small copies: it is the bytes that run out.
        "limits": {"inFlight": 10_000, "bufferedBytes": "1MiB"},
        // The breaker would spare the gateway what this is about.
        "breaker": {"failures": 1_000_000_000u32},
    });
    let site = Site::start(open(shadow(settings))?).await?;
    site.retrained.set_fault(Some(Fault::Hang));
    let rows = vec![[6.0, 2.7, 4.2, 1.3]; 500];
    let request = Request::post_json(FRIENDLY, &json!({"data": {"ndarray": rows}}));
    let callers = Callers::start(&site, &request);
    let start = Instant::now();
    let (mut most_held, mut first, mut most) = (0.0f64, None, 0.0f64);
    while start.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        site.live.forget();
        site.retrained.forget();
        let held = site.gateway.envoy.stats().await?.sum("modelgate_shadow_buffered_bytes", &[]);
        most_held = most_held.max(held);
        ensure!(held <= BOUND, "{held} bytes are held, more than bufferedBytes");
        let resident = site.resident()?;
        // The first seconds are for what a gateway needs anyway.
        if first.is_none() && start.elapsed() > Duration::from_secs(5) {
            first = Some(resident);
        }
        most = most.max(resident);
    }
    let sent = callers.finish().await?;
    let stats = site.settled(sent as f64).await?;
    let first = first.unwrap_or(most);
    let of = |outcome: &str| stats.sum(OUTCOMES, &[("outcome", outcome)]);
    println!(
        "{sent} requests in {seconds} s: {} timeout, {} over_budget; held at most {:.2} MiB; resident \
         {:.1} MiB, at most {:.1} MiB",
        of("timeout"),
        of("over_budget"),
        most_held / MIB,
        first / MIB,
        most / MIB,
    );
    assert!(of("timeout") > 0.0 && of("over_budget") > 0.0);
    assert!(most_held > BOUND / 2.0, "only {most_held} bytes were held: nothing met the bound");
    // What the shadow may hold, once in the module and once in the proxy, and what an allocator wastes.
    assert!(most - first <= 8.0 * BOUND, "from {first} to {most} bytes");
    site.check_healthy().await
}
