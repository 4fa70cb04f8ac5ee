//! A headless Chromium, steered by the DevTools protocol over a pair of pipes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// For one answer; a browser on a loaded machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The protocol wants descriptors 3 and 4; a shell can move the standard ones there.
const MOVE_PIPES: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >&2"#;

/// A browser with one page. It ends with its pipes, so also if the test is killed.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    events: Vec<Value>,
    session: String,
    last: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts the Chromium that the variable `CHROMIUM` names, with an empty page.
    pub fn start() -> Result<Self> {
        let chromium = std::env::var_os("CHROMIUM").context(
            "CHROMIUM is not set: a Chromium or Chrome (`cargo xtask test browser` installs one)",
        )?;
        let profile = tempfile::Builder::new().prefix("modelgate-browser-").tempdir()?;
        let mut command = Command::new("sh");
        command.args(["-c", MOVE_PIPES, "sh"]).arg(&chromium);
        // No sandbox: root has none to use, and the page is our own.
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn().context("CHROMIUM does not start")?;
        let to = child.stdin.take().context("a pipe")?;
        let output = child.stdout.take().context("a pipe")?;
        let (send, from) = channel();
        std::thread::spawn(move || {
            // Messages end with a zero byte.
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { break };
                if send.send(message).is_err() {
                    break;
                }
            }
        });
        let (session, events) = (String::new(), Vec::new());
        let mut browser = Self { child, to, from, events, session, last: 0, _profile: profile };
        let page = browser.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let target = page.get("targetId").context("no page")?;
        let attach = json!({"targetId": target, "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach)?;
        let session = attached.get("sessionId").and_then(Value::as_str);
        browser.session = session.context("no session")?.to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path) -> Result<()> {
        let url = format!("file://{}", std::path::absolute(file)?.display());
        self.events.clear();
        let answer = self.call("Page.navigate", json!({"url": url}))?;
        ensure!(answer.get("errorText").is_none(), "{url}: {answer}");
        while self.seen("Page.loadEventFired").is_empty() {
            let message = self.next()?;
            self.events.push(message);
        }
        Ok(())
    }

    /// The value of a JavaScript expression on the page.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let call = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", call)?;
        ensure!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer.pointer("/result/value").cloned().with_context(|| format!("{expression}: no value"))
    }

    /// Whether the reader likes `light` or `dark`.
    pub fn prefer(&mut self, scheme: &str) -> Result<()> {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features).map(|_| ())
    }

    /// What the browser told since the page was opened, by the name of the event.
    pub fn seen(&self, event: &str) -> Vec<&Value> {
        self.events
            .iter()
            .filter(|message| message.get("method").is_some_and(|m| m == event))
            .collect()
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.last += 1;
        let id = self.last;
        let message = match self.session.as_str() {
            "" => json!({"id": id, "method": method, "params": params}),
            session => {
                json!({"id": id, "method": method, "params": params, "sessionId": session})
            }
        };
        write!(self.to, "{message}\0").context("the browser is gone")?;
        loop {
            let answer = self.next()?;
            if answer.get("id").is_none_or(|answered| *answered != id) {
                self.events.push(answer);
                continue;
            }
            return match answer.get("result") {
                Some(result) => Ok(result.clone()),
                None => bail!("{method}: {answer}"),
            };
        }
    }

    fn next(&self) -> Result<Value> {
        self.from.recv_timeout(PATIENCE).context("the browser says nothing more")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the processes may be gone already.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
