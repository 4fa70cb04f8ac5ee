//! What a process has used so far: CPU time and memory, from `/proc`.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// CPU time of all threads that are still there, in user and kernel mode.
///
/// `schedstat` counts nanoseconds; the ticks of `stat` would be a hundredth of a second.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let path = thread?.path().join("schedstat");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if is_gone(&error) => continue,
            Err(error) => bail!("no CPU time in {}: {error}", path.display()),
        };
        let on_cpu = text.split(' ').next().unwrap_or_default();
        nanoseconds += on_cpu.parse::<u64>().context("not the format of schedstat")?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Whether a thread ended between its listing and its reading: the file is gone, or what it stood for is.
fn is_gone(error: &std::io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

impl Memory {
    /// Reads `VmRSS` and `VmHWM`.
    pub fn of(process: u32) -> Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let kibibytes = kibibytes.with_context(|| format!("no {name} in /proc/status"))?;
            Ok(kibibytes.parse::<u64>()? * 1024)
        };
        Ok(Self { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_time_and_memory() {
        let before = cpu_time(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while cpu_time(std::process::id()).unwrap() <= before {
            sum = std::hint::black_box(sum + 1);
        }
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
    }

    #[test]
    fn threads_that_end_meanwhile_are_no_error() {
        for _ in 0..200 {
            let thread = std::thread::spawn(|| ());
            cpu_time(std::process::id()).unwrap();
            thread.join().unwrap();
        }
    }
}
