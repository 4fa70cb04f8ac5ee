//! `modelgate run`: a gateway that the command starts, asked as its users ask it.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::tokens::Issuer;
use testbed::upstream::Upstream;
use testbed::wait::until;

const SOON: Duration = Duration::from_secs(60);

const FRIENDLY: &str = "/models/prod/iris:predict";

/// The command while it runs, and what it said.
pub struct Run {
    child: Child,
    folder: tempfile::TempDir,
    requests: Arc<Mutex<String>>,
    said: Arc<Mutex<String>>,
}

fn gather(stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let all = Arc::clone(&text);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.push_str(&line);
            all.push('\n');
        }
    });
    text
}

impl Run {
    /// Starts it in a folder of its own with these files, which is also where it leaves what it leaves.
    fn start(files: &[(&str, &str)], arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().context("a folder")?)?;
            std::fs::write(path, text)?;
        }
        let command = std::env::var_os("MODELGATE").context("MODELGATE is not set")?;
        let mut command = Command::new(std::path::absolute(command)?);
        command.arg("run").args(arguments).current_dir(folder.path());
        Self::spawn(folder, command)
    }

    /// The same of a command as it is, whose folder it gets.
    pub fn spawn(folder: tempfile::TempDir, mut command: Command) -> Result<Self> {
        let mut child = command
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let requests = gather(child.stdout.take().context("a pipe")?);
        let said = gather(child.stderr.take().context("a pipe")?);
        Ok(Self { child, folder, requests, said })
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn requests(&self) -> String {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn says(&self, text: &str) -> Result<()> {
        let waited = until(text, SOON, async || Ok(self.said().contains(text).then_some(()))).await;
        waited.with_context(|| self.said())
    }

    pub async fn shows(&self, text: &str) -> Result<()> {
        let waited = until(text, SOON, async || Ok(self.requests().contains(text).then_some(())));
        waited.await.with_context(|| format!("{}{}", self.requests(), self.said()))
    }

    pub async fn gateway(&self) -> Result<SocketAddr> {
        self.says("Ctrl-C").await?;
        let said = self.said();
        let line = said.lines().find_map(|line| line.trim().strip_prefix("gateway  http://"));
        Ok(line.context("no address")?.parse()?)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join(name), text)?)
    }

    /// The process of Envoy, and its folder.
    fn envoy(&self) -> Result<(Pid, PathBuf)> {
        let folder = std::fs::read_dir(self.folder.path())?.flatten().map(|entry| entry.path());
        let is_own = |path: &PathBuf| path.to_string_lossy().contains("modelgate-run-");
        let folder = folder.filter(|path| path.is_dir()).find(is_own).context("no folder")?;
        for process in std::fs::read_dir("/proc")?.flatten() {
            let number = process.file_name().to_string_lossy().parse::<i32>().ok();
            let works_in = std::fs::read_link(process.path().join("cwd")).ok();
            if let (Some(number), true) = (number, works_in.as_deref() == Some(&*folder)) {
                return Ok((Pid::from_raw(number).context("a process")?, folder));
            }
        }
        anyhow::bail!("no Envoy works in {}", folder.display())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let own = Pid::from_raw(i32::try_from(self.child.id())?).context("a process")?;
        Ok(kill_process(own, signal)?)
    }

    async fn status(&mut self) -> Result<Option<i32>> {
        let status = until("the command to end", SOON, async || Ok(self.child.try_wait()?)).await?;
        Ok(status.code())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What it started ends with it: that is tested.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn is_gone((envoy, folder): &(Pid, PathBuf)) -> Result<()> {
    until("everything to be gone", SOON, async || {
        let is_gone = test_kill_process(*envoy).is_err() && !folder.exists();
        Ok(is_gone.then_some(()))
    })
    .await
}

/// What another verb of the command prints.
fn modelgate(folder: &Path, arguments: &[&str]) -> Result<String> {
    let command = std::env::var_os("MODELGATE").context("MODELGATE is not set")?;
    let mut command = Command::new(std::path::absolute(command)?);
    let output = command.args(arguments).current_dir(folder).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code().is_some_and(|code| code < 2), "{arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

fn shipped() -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Ok(std::fs::read_to_string(root.join("wasmplugin/gateway.yaml"))?)
}

fn question() -> Value {
    json!({"data": {"ndarray": [[6.0, 2.7, 4.2, 1.3]]}})
}

/// Everybody may predict, or may not.
fn small(action: &str) -> String {
    let settings = json!({
        "authorization": {"defaultAction": action},
        "targets": {"families": ["seldon-v1"]},
    });
    settings.to_string()
}

const PREDICT: &str = "/seldon/prod/iris/api/v1.0/predictions";

#[tokio::test]
async fn the_shipped_configuration_runs_with_keys_from_a_file() -> Result<()> {
    let issuer = Issuer::shared()?;
    let plugin = shipped()?.replace("https://idp.example.com\n", &format!("{}\n", issuer.name()));
    let plugin = plugin.replace("https://idp.example.com/*", &format!("{}/*", issuer.name()));
    let plugin = plugin.replace("percent: 10", "percent: 100");
    let keys = format!("{}=jwks.json", issuer.name());
    let mut run = Run::start(
        &[("gateway.yaml", &plugin), ("jwks.json", &issuer.jwks())],
        &["gateway.yaml", "--jwks", &keys],
    )?;
    let gateway = run.gateway().await?;
    for part in ["keys from a file", "shadow iris-v2: the built-in iris model, retrained"] {
        ensure!(run.said().contains(part), "{part}: {}", run.said());
    }
    let refused = Request::post_json(FRIENDLY, &question()).send(gateway).await?;
    assert_eq!((refused.status, refused.text().as_str()), (403, "RBAC: access denied"));
    let token = issuer.token("alice", &["data-science"])?;
    let asked = Request::post_json(format!("{FRIENDLY}?x=secret"), &question());
    let answer = asked.header("authorization", format!("Bearer {token}")).send(gateway).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    ensure!(answer.text().contains("versicolor"), "{}", answer.text());
    run.shows("allowed").await?;
    let lines = run.requests();
    for part in [
        "403 denied          POST /models/prod/iris:predict  prod/iris predict  (rbac_access_denied",
        &format!(
            "200 allowed         POST {FRIENDLY}  prod/iris predict  by prod/data-science  for {}/alice  copied to iris-v2",
            issuer.name()
        ),
    ] {
        ensure!(lines.contains(part), "{part}: {lines}");
    }
    ensure!(!lines.contains("secret") && !lines.contains(&token), "{lines}");
    let envoy = run.envoy()?;
    run.signal(Signal::INT)?;
    assert_eq!(run.status().await?, Some(0), "{}", run.said());
    is_gone(&envoy).await
}

#[tokio::test]
async fn a_change_is_loaded_and_a_bad_one_is_told() -> Result<()> {
    let mut run =
        Run::start(&[("c.yaml", &small("DENY"))], &["--watch", "--format=json", "c.yaml"])?;
    let gateway = run.gateway().await?;
    let status = async || -> Result<u16> {
        Ok(Request::post_json(PREDICT, &question()).send(gateway).await?.status)
    };
    assert_eq!(status().await?, 403);
    run.write("c.yaml", &small("ALLOW"))?;
    run.says("c.yaml: reloaded").await?;
    assert_eq!(status().await?, 200, "{}", run.said());
    run.write("c.yaml", &small("MAYBE"))?;
    run.says("the gateway keeps what it had").await?;
    ensure!(run.said().contains("c.yaml:1:"), "no place: {}", run.said());
    assert_eq!(status().await?, 200);
    // A shadow whose cluster was not there before.
    let shadow = json!({"name": "two", "models": ["prod/iris"], "percent": 100, "cluster": "outbound|9000||two.prod.svc.cluster.local"});
    let mut settings: Value = serde_json::from_str(&small("ALLOW"))?;
    settings["shadows"] = json!([shadow]);
    run.write("c.yaml", &settings.to_string())?;
    until("the shadow", SOON, async || {
        let reloaded = run.said().matches("c.yaml: reloaded").count();
        Ok((reloaded == 2).then_some(()))
    })
    .await?;
    assert_eq!(status().await?, 200);
    run.shows("\"modelgate_shadow\":\"two\"").await?;
    let lines: Vec<Value> =
        run.requests().lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let decisions: Vec<&str> =
        lines.iter().filter_map(|line| line["modelgate_decision"].as_str()).collect();
    assert_eq!(decisions, ["denied", "allowed", "allowed", "allowed"]);
    // What it wrote is an access log: what would change if nobody were allowed?
    for (name, text) in
        [("old.yaml", small("ALLOW")), ("new.yaml", small("DENY")), ("access.log", run.requests())]
    {
        run.write(name, &text)?;
    }
    let found = modelgate(
        run.folder.path(),
        &["diff", "old.yaml", "new.yaml", "--access-log=access.log", "--format=json"],
    )?;
    let found: Value = serde_json::from_str(&found)?;
    let group = found.pointer("/requests/groups/0").context("no group")?;
    assert_eq!((&group["count"], &group["model"]), (&json!(3), &json!("prod/iris")), "{found}");
    assert_eq!(found["requests"]["notJudged"], 1, "the first was denied: {found}");
    let envoy = run.envoy()?;
    run.signal(Signal::TERM)?;
    assert_eq!(run.status().await?, Some(0));
    is_gone(&envoy).await
}

#[tokio::test]
async fn nothing_is_left_of_a_command_that_was_killed() -> Result<()> {
    let mut run = Run::start(&[("c.yaml", &small("DENY"))], &["c.yaml"])?;
    run.gateway().await?;
    let envoy = run.envoy()?;
    test_kill_process(envoy.0)?;
    run.signal(Signal::KILL)?;
    assert_eq!(run.status().await?, None);
    is_gone(&envoy).await
}

#[tokio::test]
async fn an_envoy_that_ends_is_told() -> Result<()> {
    let mut run = Run::start(&[("c.yaml", &small("DENY"))], &["c.yaml"])?;
    run.gateway().await?;
    kill_process(run.envoy()?.0, Signal::KILL)?;
    assert_eq!(run.status().await?, Some(2));
    ensure!(run.said().contains("Envoy has ended"), "{}", run.said());
    Ok(())
}

#[tokio::test]
async fn servers_of_the_user_answer_for_models_variants_and_shadows() -> Result<()> {
    let (all, own, canary, shadow) = tokio::try_join!(
        Upstream::echo("all"),
        Upstream::echo("own"),
        Upstream::echo("canary"),
        Upstream::echo("shadow")
    )?;
    let settings = json!({
        "authorization": {"defaultAction": "ALLOW"},
        "targets": {"families": ["seldon-v1"]},
        "splits": [{"name": "s", "models": ["prod/split"], "stickyBy": "principal",
            "variants": [{"name": "main", "weight": 0}, {"name": "canary", "weight": 100}]}],
        "shadows": [{"name": "copy", "models": ["prod/copied"], "percent": 100, "cluster": "outbound|80||copy.prod.svc.cluster.local"}],
    });
    let upstream = |name: &str, server: &Upstream| format!("--upstream={name}{}", server.address());
    let arguments = [
        upstream("", &all),
        upstream("prod/own=", &own),
        upstream("canary=", &canary),
        upstream("copy=", &shadow),
        "c.json".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = Run::start(&[("c.json", &settings.to_string())], &arguments)?;
    let gateway = run.gateway().await?;
    for (model, answer) in
        [("own", "own"), ("other", "all"), ("split", "canary"), ("copied", "all")]
    {
        let path = format!("/seldon/prod/{model}/api/v1.0/predictions");
        let got = Request::post_json(&path, &question()).send(gateway).await?;
        assert_eq!(got.text(), answer, "{model}: {}", run.said());
    }
    // As the operator's routes have it, the deployment's prefix is taken off.
    assert_eq!(own.received()[0].path, "/api/v1.0/predictions");
    shadow.wait_for(1, SOON).await?;
    Ok(())
}

#[tokio::test]
async fn keys_come_through_the_service_entry_beside_the_configuration() -> Result<()> {
    let issuer = Issuer::shared()?;
    let keys = issuer.jwks();
    let server = Upstream::start(move |_| {
        testbed::upstream::Answer::new(200, "application/json", keys.clone())
    })
    .await?;
    let plugin = shipped()?.replace("https://idp.example.com\n", &format!("{}\n", issuer.name()));
    let plugin = plugin.replace("https://idp.example.com/*", &format!("{}/*", issuer.name()));
    let entry = json!({"kind": "ServiceEntry", "spec": {
        "hosts": ["idp.example.com"], "resolution": "STATIC",
        "ports": [{"number": 443, "name": "https", "protocol": "HTTPS"}],
        "endpoints": [{"address": "127.0.0.1", "ports": {"https": server.address().port()}}],
    }});
    let with = format!("{plugin}\n---\n{entry}\n");
    let ask = async |run: &Run| -> Result<u16> {
        let token = issuer.token("alice", &["data-science"])?;
        let asked = Request::post_json(FRIENDLY, &question());
        let asked = asked.header("authorization", format!("Bearer {token}"));
        Ok(asked.send(run.gateway().await?).await?.status)
    };
    let run = Run::start(&[("c.yaml", &with)], &["c.yaml"])?;
    assert_eq!(ask(&run).await?, 200, "{}", run.said());
    // Without it, nobody can be authenticated, and that is said.
    let run = Run::start(&[("c.yaml", &plugin)], &["c.yaml"])?;
    assert_ne!(ask(&run).await?, 200, "{}", run.said());
    run.says("not reached: no ServiceEntry in the file has the host idp.example.com").await
}

#[tokio::test]
async fn the_shipped_way_to_an_issuer_is_taken_with_tls() -> Result<()> {
    let issuer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/issuer.yaml");
    let both = format!("{}\n---\n{}", shipped()?, std::fs::read_to_string(issuer)?);
    let run = Run::start(&[("c.yaml", &both)], &["c.yaml"])?;
    run.gateway().await?;
    run.says("keys of https://idp.example.com: idp.example.com:443, TLS SIMPLE").await?;
    let said = run.said();
    let admin = said.lines().find_map(|line| line.trim().strip_prefix("admin    http://"));
    let admin: SocketAddr = admin.context("no address")?.parse()?;
    let dump = Request::get("/config_dump?resource=dynamic_active_clusters").send(admin).await?;
    let sni = dump.text().contains(r#""sni": "idp.example.com""#);
    ensure!(sni, "Envoy has no such cluster: {}", dump.text());
    Ok(())
}

#[tokio::test]
async fn what_convert_makes_of_istios_policies_runs() -> Result<()> {
    let issuer = Issuer::shared()?;
    let folder = tempfile::tempdir()?;
    let native = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/native");
    for entry in std::fs::read_dir(native)? {
        let entry = entry?;
        let text = std::fs::read_to_string(entry.path())?;
        let text = text.replace("https://idp.example.com", issuer.name());
        // The key set of the file is an example, whose private half nobody has.
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if let Some(at) = lines.iter().position(|line| line.trim_start().starts_with("jwks:")) {
            let indent: String = lines[at].chars().take_while(|c| *c == ' ').collect();
            let is_deeper = |line: &String| line.starts_with(&format!("{indent}  "));
            let end = lines.iter().skip(at + 1).position(|line| !is_deeper(line));
            let end = end.map_or(lines.len(), |end| at + 1 + end);
            lines.splice(at..end, [format!("{indent}jwks: '{}'", issuer.jwks())]);
        }
        std::fs::write(folder.path().join(entry.file_name()), lines.join("\n"))?;
    }
    let converted = modelgate(folder.path(), &["convert", "."])?;
    let run = Run::start(&[("converted.yaml", &converted)], &["converted.yaml"])?;
    let gateway = run.gateway().await?;
    let token = issuer.token("alice", &["data-science"])?;
    let suspended = issuer.token("bob", &["data-science", "suspended"])?;
    for (token, status) in [(None, 403), (Some(&token), 200), (Some(&suspended), 403)] {
        let mut asked = Request::post_json(PREDICT, &question());
        if let Some(token) = token {
            asked = asked.header("authorization", format!("Bearer {token}"));
        }
        let answer = asked.send(gateway).await?;
        assert_eq!(answer.status, status, "{}{}", answer.text(), run.said());
    }
    Ok(())
}

/// Copies a program by another process: one that another test starts while this one writes would keep it from being run (ETXTBSY).
pub fn copy_program(from: impl AsRef<Path>, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg(from.as_ref()).arg(to).status()?.success();
    ensure!(copied, "{} cannot be copied", from.as_ref().display());
    Ok(())
}

#[tokio::test]
async fn without_a_module_it_is_said_how_to_get_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let command = std::env::var_os("MODELGATE").context("MODELGATE is not set")?;
    // Somewhere else, with nothing beside it.
    let own = folder.path().join("bin/modelgate");
    std::fs::create_dir(folder.path().join("bin"))?;
    copy_program(command, &own)?;
    std::fs::write(folder.path().join("c.yaml"), small("DENY"))?;
    let output = Command::new(&own)
        .args(["run", "c.yaml"])
        .current_dir(folder.path())
        .env_remove("MODELGATE_WASM")
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["bin/modelgate.wasm", "cargo xtask build", "--module PATH"] {
        ensure!(said.contains(part), "{part}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_taught() -> Result<()> {
    let config = small("DENY");
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = format!("--port={}", taken.local_addr()?.port());
    for (arguments, told) in [
        (&["c.yaml", &port][..], "is taken: give another --port"),
        (&["none.yaml"], "none.yaml cannot be read"),
        (&["c.yaml", "--module", "none.wasm"], "none.wasm"),
        (&["c.yaml", "--module", "c.yaml"], "is no WebAssembly module"),
        (&["c.yaml", "--envoy", "/bin/true"], "is no Envoy that runs here"),
        (
            &["c.yaml", "--upstream", "nobody=localhost:1"],
            "nothing in the configuration has this name",
        ),
        (&["c.yaml", "--jwks", "https://i=c.yaml"], "keys of https://i are not fetched"),
        (&["-", "--watch"], "--watch is for files"),
    ] {
        let mut run = Run::start(&[("c.yaml", &config)], arguments)?;
        assert_eq!(run.status().await?, Some(2), "{arguments:?}: {}", run.said());
        run.says(told).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_examples_of_the_help_run() -> Result<()> {
    let command = std::env::var_os("MODELGATE").context("MODELGATE is not set")?;
    let help = String::from_utf8(Command::new(&command).args(["run", "--help"]).output()?.stdout)?;
    let examples = help.split("Examples:").nth(1).context("no examples")?;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/run.md");
    let page = std::fs::read_to_string(page)?;
    let lines = examples.lines().chain(page.lines().filter(|line| line.starts_with("    ")));
    let mut examples: Vec<&str> =
        lines.filter_map(|line| line.trim().strip_prefix("modelgate run ")).collect();
    examples.sort_unstable();
    examples.dedup();
    ensure!(examples.len() >= 4, "{examples:?}");
    let (plugin, keys) = (shipped()?, Issuer::shared()?.jwks());
    for example in examples {
        let words: Vec<&str> = example.split(' ').take_while(|word| *word != ">").collect();
        // The port of the example may be somebody's.
        let words: Vec<&str> =
            words.into_iter().map(|word| if word == "8080" { "0" } else { word }).collect();
        let files = [("wasmplugin/gateway.yaml", plugin.as_str()), ("jwks.json", keys.as_str())];
        let mut run = Run::start(&files, &words)?;
        run.gateway().await.with_context(|| example.to_owned())?;
        run.signal(Signal::INT)?;
        assert_eq!(run.status().await?, Some(0), "{example}: {}", run.said());
    }
    Ok(())
}
