//! Children that never outlive their parent, however it ends.
//!
//! Each child leads a process group. Beside it runs a guard, a shell that reads from a pipe of which
//! only the parent holds the other end: when the parent is gone, even by SIGKILL, the guard reads
//! the end of the file and kills the group.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// A running child and its process group; killed when dropped.
#[derive(Debug)]
pub struct Guarded {
    /// The child.
    pub child: Child,
    guard: Child,
}

impl Guarded {
    /// Starts `command`. The guard also removes `folder`, if the parent does not live to do it.
    ///
    /// # Errors
    ///
    /// It, or the shell that guards it, cannot be started.
    pub fn start(mut command: Command, folder: Option<&Path>) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let guard = Command::new("sh")
            .args(["-c", r#"read -r _; kill -s KILL -- "-$0"; [ -z "$1" ] || rm -rf -- "$1""#])
            .arg(child.id().to_string())
            .args(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start sh to guard a child process")?;
        Ok(Self { child, guard })
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The guard kills the group, whose id is taken until the child was waited for.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
        // Where somebody ended the guard.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child whose output is in a file.
#[derive(Debug)]
pub struct Process {
    running: Guarded,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in the file `log`.
    ///
    /// # Errors
    ///
    /// It cannot be started, or the file not be written.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(out.try_clone()?).stderr(out);
        Ok(Self { running: Guarded::start(command, None)?, log: log.to_owned() })
    }

    /// The process id, which is also the id of the group.
    pub fn id(&self) -> u32 {
        self.running.child.id()
    }

    /// Fails with the end of the log if the child has ended.
    pub fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.running.child.try_wait()? {
            anyhow::bail!("ended with {status}\n{}", self.log_tail()?);
        }
        Ok(())
    }

    /// What the child wrote so far.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log)
            .with_context(|| format!("cannot read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines of the log.
    pub fn log_tail(&self) -> Result<String> {
        let log = self.log()?;
        let lines: Vec<&str> = log.lines().collect();
        Ok(lines
            .iter()
            .skip(lines.len().saturating_sub(20))
            .copied()
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

/// Ports that are free now, on loopback: for programs that cannot choose their own.
pub fn free_ports<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for port in &mut ports {
        let listener = TcpListener::bind(*port)?;
        *port = listener.local_addr()?;
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn until(mut is_so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(10), "waited too long");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn the_group_ends_when_the_parent_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        std::fs::create_dir(&own).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        // A shell that waits for a child of its own: both belong to the group.
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo started; wait"]).stdout(log);
        let mut process = Guarded::start(command, Some(&own)).unwrap();
        until(|| std::fs::read_to_string(folder.path().join("log")).unwrap().contains("started"));
        assert!(process.child.try_wait().unwrap().is_none() && own.exists());
        // What the system does with the pipe of a parent that was killed.
        drop(process.guard.stdin.take());
        until(|| process.child.try_wait().unwrap().is_some());
        until(|| !own.exists());
    }
}
