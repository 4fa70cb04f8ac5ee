//! Running commands: every line goes to a log, and as much of it to the terminal as helps.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How often something that prints nothing shows that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// How many lines of a failed step are shown.
const LINES_SHOWN: usize = 25;

/// The file that keeps what commands print.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Begins a new log.
    pub fn create(path: PathBuf) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("making the folder {}", folder.display()))?;
        }
        let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        Ok(Self { path, file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Runs a command and gives each line of its output to `on_line`, after writing it to the log; `None`
/// now and then while it prints nothing.
pub fn follow(
    command: &mut Command,
    log: &mut Log,
    mut on_line: impl FnMut(Option<&str>),
) -> Result<ExitStatus> {
    log.line(&format!("$ {}", shown(command)))?;
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program} cannot be run"))?;
    let lines = lines_of(&mut child);
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => {
                log.line(&line)?;
                on_line(Some(&line));
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => match ended {
                // A process that the command left behind may hold its output open for ever.
                Some((_, at)) if at.elapsed() > Duration::from_secs(2) => break,
                Some(_) => {}
                None => {
                    on_line(None);
                    ended = child.try_wait()?.map(|status| (status, Instant::now()));
                }
            },
        }
    }
    Ok(child.wait()?)
}

/// Runs a step that may take long: shows only that it lives, and the end of its output if it fails.
pub fn quietly(command: &mut Command, log: &mut Log) -> Result<()> {
    let start = Instant::now();
    let mut last_sign = start;
    let mut tail = VecDeque::new();
    let status = follow(command, log, |line| {
        if let Some(line) = line {
            if tail.len() == LINES_SHOWN {
                tail.pop_front();
            }
            tail.push_back(line.to_owned());
        }
        if last_sign.elapsed() >= SIGN_OF_LIFE {
            last_sign = Instant::now();
            let doing = tail.back().map_or("", |line: &String| line.trim());
            eprintln!("  {:>3} s  {doing}", start.elapsed().as_secs());
        }
    })?;
    if status.success() {
        return Ok(());
    }
    for line in tail {
        eprintln!("  {line}");
    }
    bail!("`{}` failed ({status}); its output is in {}", shown(command), log.path.display())
}

/// What a command prints, if it can be run and succeeds.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = command.get_program();
    let program = Path::new(program).file_name().unwrap_or(program);
    let words = std::iter::once(program).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        if word.contains([' ', '*']) { format!("'{word}'") } else { word.into_owned() }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// A time as a summary writes it.
pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let stdout = child.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>);
    let stderr = child.stderr.take().map(|s| Box::new(s) as Box<dyn Read + Send>);
    for stream in stdout.into_iter().chain(stderr) {
        let sender = sender.clone();
        thread::spawn(move || send_lines(stream, &sender));
    }
    receiver
}

fn send_lines(stream: Box<dyn Read + Send>, lines: &Sender<String>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if lines.send(text).is_err() {
            return;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn every_line_is_followed_and_logged() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(folder.path().join("deep/x.log")).unwrap();
        let mut seen = Vec::new();
        let status = follow(&mut sh("echo a; echo b >&2; printf c; exit 3"), &mut log, |line| {
            seen.extend(line.map(str::to_owned))
        })
        .unwrap();
        seen.sort();
        assert_eq!((seen, status.code()), (vec!["a".into(), "b".into(), "c".into()], Some(3)));
        let text = std::fs::read_to_string(log.path()).unwrap();
        assert!(text.starts_with("$ sh -c 'echo a;") && text.contains("\nb\n"), "{text}");
    }

    #[test]
    fn a_process_left_behind_does_not_hold_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(folder.path().join("x.log")).unwrap();
        let start = Instant::now();
        let status = follow(&mut sh("sleep 20 & echo a"), &mut log, |_| {}).unwrap();
        assert!(status.success() && start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_failure_names_the_command_and_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(folder.path().join("x.log")).unwrap();
        let error = quietly(&mut sh("exit 1"), &mut log).unwrap_err().to_string();
        assert!(error.contains("sh -c 'exit 1'") && error.contains("x.log"), "{error}");
        let error = quietly(&mut Command::new("no-such-program"), &mut log).unwrap_err();
        assert!(format!("{error:#}").starts_with("no-such-program cannot be run"));
    }
}
