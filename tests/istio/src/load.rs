//! Requests all the time, while something changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use testbed::client::Request;
use tokio::task::JoinHandle;

/// Connections for each kind of request.
const CONNECTIONS: usize = 4;
/// Between two requests of a connection.
const PAUSE: Duration = Duration::from_millis(10);

/// When a request was sent, and the status of its answer.
pub type Seen = (Instant, u16);

/// Kept-alive connections that repeat a request until they are stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    connections: Vec<JoinHandle<Result<Vec<Seen>>>>,
    since: Instant,
}

impl Load {
    /// Begins.
    pub fn start(request: &Request, to: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let connections =
            (0..CONNECTIONS).map(|_| tokio::spawn(repeat(request.clone(), to, Arc::clone(&stop))));
        Self { connections: connections.collect(), stop, since: Instant::now() }
    }

    /// Ends it; what each connection saw, in order.
    ///
    /// # Errors
    /// If a single request got no answer, or a connection was lost.
    pub async fn stop(self) -> Result<Vec<Vec<Seen>>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = Vec::new();
        for connection in self.connections {
            seen.push(connection.await??);
        }
        let (count, time) = (seen.iter().map(Vec::len).sum::<usize>(), self.since.elapsed());
        eprintln!("  {count} requests in {:.1} s", time.as_secs_f64());
        ensure!(count > 0, "no load");
        Ok(seen)
    }
}

async fn repeat(request: Request, to: SocketAddr, stop: Arc<AtomicBool>) -> Result<Vec<Seen>> {
    let mut connection = request.connect(to).await?;
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let at = Instant::now();
        let answer = connection.send(&request).await;
        let answer = answer
            .with_context(|| format!("request {} of a connection to {to}", seen.len() + 1))?;
        seen.push((at, answer.status));
        // Announced, as of every refused request whose body the proxy has not read: nothing is lost by it.
        if answer.header("connection") == Some("close") {
            connection = request.connect(to).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(seen)
}

/// That every connection saw first one status and then the other, and when the last of them first saw the other.
pub fn turned(seen: &[Vec<Seen>], from: u16, to: u16) -> Result<Instant> {
    let mut latest = None;
    for connection in seen {
        let turn =
            connection.iter().position(|(_, status)| *status == to).unwrap_or(connection.len());
        let (before, after) = connection.split_at(turn);
        let odd = before.iter().find(|(_, status)| *status != from);
        if let Some(odd) = odd.or_else(|| after.iter().find(|(_, status)| *status != to)) {
            bail!("{} where it turned from {from} to {to}", odd.1);
        }
        let Some((at, _)) = after.first() else { bail!("never {to}") };
        latest = latest.max(Some(*at));
    }
    latest.ok_or_else(|| anyhow::anyhow!("no load"))
}
