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
use rustix::process::{Pid, Signal, kill_process_group};

/// A running child and its process group; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guard: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in the file `log`.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let guard = Command::new("sh")
            .args(["-c", r#"read -r _; kill -s KILL -- "-$0""#])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start sh to guard a child process")?;
        Ok(Self { child, guard, log: log.to_owned() })
    }

    /// The process id, which is also the id of the group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the end of the log if the child has ended.
    pub fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
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

impl Drop for Process {
    fn drop(&mut self) {
        // The guard first: later it could meet another group with the same id. Nothing can be done
        // about a failure here, and the processes may be gone already.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
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
    use std::time::Duration;

    use super::*;
    use crate::wait::until;

    /// A shell that waits for a child of its own: both belong to the group.
    fn family(folder: &Path) -> Result<Process> {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo started; wait"]);
        Process::start(command, &folder.join("log"))
    }

    #[tokio::test]
    async fn the_group_ends_when_the_parent_is_gone() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut process = family(folder.path())?;
        let limit = Duration::from_secs(10);
        until("the shell to start", limit, async || {
            Ok(process.log()?.contains("started").then_some(()))
        })
        .await?;
        process.check_running()?;
        // What the system does with the pipe of a parent that was killed.
        drop(process.guard.stdin.take());
        until("the group to end", limit, async || Ok(process.child.try_wait()?)).await?;
        assert!(process.check_running().is_err());
        Ok(())
    }
}
