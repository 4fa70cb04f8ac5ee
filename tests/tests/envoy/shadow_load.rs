//! Many requests with a shadow: every one has its outcome, and what is held stays bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::client::Request;
use testbed::gateway::{Cluster, Gateway, route_to};
use testbed::upstream::{Answer, Fault, Received, Upstream};
use testbed::wait::until;
use testbed::wasmplugin::WasmPlugin;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::shadow::OUTCOMES;
use crate::site::{FRIENDLY, Site, open, predict, resident_of, shadow};

const SELECTED: &str = "modelgate_shadow_selected_total";
const CALLERS: u64 = 8;
const MIB: f64 = 1024.0 * 1024.0;
/// `bufferedBytes` of the black hole.
const BOUND: f64 = MIB;

/// How many requests, or seconds: a few unless the environment asks for more.
fn extent(variable: &str, usual: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable} is not a number: {text}")),
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

/// Accepts connections and reads nothing. A peer that speaks HTTP/2 sends no more than the 64 KiB of
/// its first window, and keeps the rest; HTTP/1.1 would leave it to the kernel.
struct Unread {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Unread {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.push(connection);
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_no_shadow_takes_are_bounded() -> Result<()> {
    const SHADOWS: usize = 6;
    const ALL: f64 = 8.0 * MIB;
    let live = Upstream::start(|_| Answer::new(200, "application/json", "[1]")).await?;
    let unread = Unread::start().await?;
    let shadows: Vec<_> = (0..SHADOWS)
        .map(|n| {
            json!({
                "name": format!("s{n}"), "models": ["prod/iris"], "cluster": "shadow",
                "timeout": "60s", "limits": {"bufferedBytes": "4MiB"},
            })
        })
        .collect();
    let config = open(json!({"shadows": shadows, "shadowLimits": {"bufferedBytes": "8MiB"}}))?;
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
        .cluster(Cluster::http1("live", live.address()))
        .cluster(Cluster::http2("shadow", unread.address))
        .start()
        .await?;
    let resident = || resident_of(gateway.envoy.process_id());
    let send = async |size: usize| {
        let body = vec![b'1'; size];
        let request = Request::new("POST", "/seldon/prod/iris/api/v1.0/predictions").body(body);
        let answer = gateway.send(request).await?;
        ensure!(answer.status == 200, "the live answer is {answer:?}");
        Ok(())
    };
    // What the proxy and the module need anyway for bodies of this size: larger than is copied.
    for _ in 0..20 {
        send(1_100_000).await?;
    }
    live.forget();
    let first = resident()?;
    for _ in 0..60 {
        send(1_000_000).await?;
        live.forget();
    }
    let most = resident()?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let stats = gateway.envoy.stats().await?;
    let of = |outcome: &str| stats.sum(OUTCOMES, &[("outcome", outcome)]);
    let (held, in_flight) = (
        stats.sum("modelgate_shadow_buffered_bytes", &[]),
        stats.sum("modelgate_shadow_in_flight", &[]),
    );
    println!(
        "held {:.1} MiB for {in_flight} copies under way, {} over_budget; resident {:.1} MiB, then {:.1} MiB",
        held / MIB,
        of("over_budget"),
        first / MIB,
        most / MIB,
    );
    assert!((ALL / 2.0..=ALL).contains(&held), "{held} bytes are held");
    assert_eq!(stats.sum(SELECTED, &[]), 80.0 * SHADOWS as f64);
    assert_eq!(stats.sum(SELECTED, &[]), stats.sum(OUTCOMES, &[]) + in_flight);
    assert_eq!(of("over_budget"), 60.0 * SHADOWS as f64 - in_flight);
    // Once in the module, whose memory never shrinks, and once in the proxy.
    assert!(most - first <= 3.0 * ALL, "from {first} to {most} bytes");
    Ok(())
}

/// Clients that send a part of their request and then nothing, as many as hold all that a shadow may
/// hold, do not keep the requests of others from being copied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_clients_do_not_switch_a_shadow_off() -> Result<()> {
    let site = Site::with_same_shadow(open(shadow(json!({"timeout": "12s"})))?).await?;
    let mut idle = Vec::new();
    let sizes = (0..7).map(|_| 1_048_000).chain((0..18).map(|n| (64 << (n % 14)) - 1));
    for size in sizes {
        let head = format!(
            "POST {FRIENDLY} HTTP/1.1\r\nhost: models.example.com\r\ncontent-type: application/json\r\n\
             content-length: 1048576\r\n\r\n"
        );
        let mut stream = TcpStream::connect(site.gateway.address).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&vec![b' '; size]).await?;
        idle.push(stream);
    }
    site.counted(SELECTED, &[], 25.0).await?;
    let held = site.gateway.envoy.stats().await?.sum("modelgate_shadow_buffered_bytes", &[]);
    assert!(held > 7.0 * 1_048_000.0, "{held} bytes are held");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rows = vec![[6.0, 2.7, 4.2, 1.3]; 5_000];
    let large = Request::post_json(FRIENDLY, &json!({"data": {"ndarray": rows}}));
    for request in (0..10).flat_map(|_| [predict(), large.clone()]) {
        site.expect(request, 200, "ndarray").await?;
    }
    let stats = site.counted(OUTCOMES, &[("outcome", "matched")], 20.0).await?;
    println!("{} of the idle ones made room", stats.sum(OUTCOMES, &[("outcome", "over_budget")]));
    // By themselves they go, too, before the clients do.
    until("the idle requests to be given up", Duration::from_secs(40), async || {
        let stats = site.gateway.envoy.stats().await?;
        Ok((stats.sum(OUTCOMES, &[]) == 45.0).then_some(()))
    })
    .await?;
    let stats = site.settled(45.0).await?;
    assert!(stats.sum(OUTCOMES, &[("outcome", "orphaned")]) > 0.0);
    drop(idle);
    site.check_healthy().await
}

/// To compare large answers takes the worker's time. It takes little of it: most wait, in the end in
/// vain, and small ones are compared meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_take_turns_and_small_ones_do_not_wait() -> Result<()> {
    const LARGE: usize = 40;
    let large = format!("[{}1]", "1,".repeat(150_000));
    let answer = |end: &'static str| {
        let large = format!("{large}{end}");
        move |request: &Received| {
            let is_large = request.body == "\"large\"";
            Answer::new(
                200,
                "application/json",
                if is_large { large.clone() } else { "[1]".into() },
            )
        }
    };
    // White space is no difference, but has to be read.
    let live = Upstream::start(answer("")).await?;
    let shadow = Upstream::start(answer(" ")).await?;
    let config = open(json!({"shadows": [{
        "name": "s", "models": ["prod/iris"], "cluster": "shadow", "timeout": "2s",
        "limits": {"bufferedBytes": "32MiB"},
    }]}))?;
    let gateway = Gateway::new()
        .extension(&WasmPlugin::with_config(config)?.under_test()?)
        .route(route_to(json!({"prefix": "/"}), &[("live".to_owned(), 100)]))
        .cluster(Cluster::http1("live", live.address()))
        .cluster(Cluster::http1("shadow", shadow.address()))
        .start()
        .await?;
    let predict = |body: &'static str| {
        Request::new("POST", "/seldon/prod/iris/api/v1.0/predictions").body(body)
    };
    // What others wait, who ask for nothing that is copied.
    let others = async || {
        let mut waits = Vec::new();
        for _ in 0..400 {
            let began = Instant::now();
            gateway.send(Request::get("/nothing")).await?;
            waits.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        waits.sort();
        Ok::<_, anyhow::Error>((waits[200], waits[396]))
    };
    let quiet = others().await?;
    let asking = async {
        for _ in 0..LARGE {
            gateway.send(predict("\"large\"")).await?;
            gateway.send(predict("\"small\"")).await?;
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        Ok(())
    };
    let (busy, ()) = tokio::try_join!(others(), asking)?;
    println!("p50 and p99 of others: {quiet:?} in quiet, {busy:?} meanwhile");
    let stats = until("the small ones to be compared", Duration::from_secs(5), async || {
        let stats = gateway.envoy.stats().await?;
        let matched = stats.sum(OUTCOMES, &[("outcome", "matched")]);
        Ok((matched >= LARGE as f64).then_some(stats))
    })
    .await?;
    let matched = stats.sum(OUTCOMES, &[("outcome", "matched")]);
    println!("{} large ones were compared", matched - LARGE as f64);
    let stats = until("each to have its outcome", Duration::from_secs(60), async || {
        let stats = gateway.envoy.stats().await?;
        Ok((stats.sum(OUTCOMES, &[]) == 2.0 * LARGE as f64).then_some(stats))
    })
    .await?;
    let of = |outcome: &str| stats.sum(OUTCOMES, &[("outcome", outcome)]);
    println!("{} matched, {} over_budget in the end", of("matched"), of("over_budget"));
    assert_eq!(of("matched") + of("over_budget"), 2.0 * LARGE as f64);
    assert!(of("matched") > LARGE as f64, "none of the large ones had its turn");
    assert!(of("matched") < 1.5 * LARGE as f64, "{} were compared", of("matched"));
    assert_eq!(stats.sum("modelgate_shadow_buffered_bytes", &[]), 0.0);
    Ok(())
}
