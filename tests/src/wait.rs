//! Waiting for something to become true, without sleeping longer than needed.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long to sleep between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer; an error ends the waiting.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if start.elapsed() >= limit {
            bail!("waited {limit:?} for {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
