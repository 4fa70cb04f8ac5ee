//! What is being done, and how long it took the last time.
//!
//! On standard error: standard output belongs to the harness, whose lines other programs read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;

/// Seconds of each step, kept beside the logs from one run to the next.
#[derive(Debug)]
pub struct Progress {
    file: PathBuf,
    times: BTreeMap<String, f64>,
}

impl Progress {
    /// Remembers the last run.
    pub fn open(logs: &Path) -> Self {
        let file = logs.with_extension("times.json");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        Self { file, times: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// Says what begins, waits for it, says how long it took.
    pub async fn step<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.times.get(name) {
            Some(last) => eprintln!("{name} ... (last time {last:.1} s)"),
            None => eprintln!("{name} ..."),
        }
        let start = Instant::now();
        let result = work.await?;
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("{name}: {seconds:.1} s");
        self.times.insert(name.to_owned(), seconds);
        // Only a convenience: without it the next run cannot compare.
        if let Ok(text) = serde_json::to_string(&self.times) {
            let _ = std::fs::write(&self.file, text);
        }
        Ok(result)
    }
}
