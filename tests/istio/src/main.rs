//! `cargo xtask istio`: the cluster of the scenarios to try things by hand. Every line that it offers it runs first.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use cluster::site::{application, scientist};
use cluster::tools::repository;
use cluster::{Cluster, Site, isolation};
use tokio::process::Command;

/// What is shown, the line to paste, and what its output must contain.
const TOUR: [(&str, &str, &str); 9] = [
    (
        "What was applied: the shipped plugin, and Seldon's routes",
        "kubectl get wasmplugins,gateways.networking.istio.io,virtualservices -A",
        "wasmplugin.extensions.istio.io/modelgate",
    ),
    (
        "What the gateway has taken is read again by the filter's own engine",
        "kubectl get wasmplugin modelgate -n istio-system -o yaml | cargo run -q -p modelgate-cli -- check -",
        "accepted",
    ),
    ("Istio's own judgement", "istioctl validate -f wasmplugin/gateway.yaml", "is valid"),
    (
        "The gateway's routes, as istiod made them of Seldon's",
        "curl -s localhost:$ADMIN/config_dump | istioctl proxy-config routes --file -",
        "iris.prod",
    ),
    (
        "A data scientist asks prod/iris, at its friendly address",
        r#"curl -si localhost/models/prod/iris:predict -H "authorization: Bearer $ALICE" -d "$FLOWER""#,
        "ndarray",
    ),
    ("Nobody does", r#"curl -si localhost/models/prod/iris:predict -d "$FLOWER""#, "403 Forbidden"),
    (
        "She may not ask prod/fraud; an application may",
        r#"for token in "$ALICE" "$SHOP"; do curl -si localhost/models/prod/fraud:predict -H "authorization: Bearer $token" -d "$FLOWER"; echo; done"#,
        "fraud",
    ),
    (
        "The model's metrics stay closed",
        r#"curl -si localhost/seldon/prod/iris/prometheus -H "authorization: Bearer $ALICE""#,
        "403 Forbidden",
    ),
    (
        "What was counted",
        "sleep 2; curl -s localhost:$ADMIN/stats/prometheus | grep ^modelgate_requests_total",
        "decision=\"denied\"",
    ),
];

/// A change to make by hand: the policy names another group.
const CHANGE: &str = r#"kubectl patch wasmplugin modelgate -n istio-system --type=json -p '[{"op": "replace", "path": "/spec/pluginConfig/authorization/policies/0/rules/0/when/0/values", "value": ["somebody-else"]}]'"#;

fn main() -> ExitCode {
    let keep = std::env::args().any(|argument| argument == "--keep");
    let run = || {
        let state = isolation::enter()?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build()?;
        runtime.spawn(isolation::end_on_signal());
        runtime.block_on(run(&state, keep))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(state: &Path, keep: bool) -> Result<()> {
    let cluster = Cluster::start(state).await?;
    let site = Site::start(&cluster).await?;
    let enter = way_in(&cluster, &site)?;
    for (about, line, expected) in TOUR {
        println!("\n{about}:\n$ {line}");
        let shell = Command::new(&enter).args(["sh", "-c", line]).kill_on_drop(true).output();
        let output = shell.await?;
        // istioctl says what it found on standard error.
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        println!("{}", said.trim_end());
        ensure!(said.contains(expected), "the answer does not contain {expected:?}");
    }
    if !keep {
        println!("\nThat was all; with --keep it stays, to paste these lines and your own.");
        return Ok(());
    }
    println!("\nIt stays until Ctrl-C. In another terminal:\n\n    {}\n", enter.display());
    println!(
        "opens a shell inside, in which every line above works. Then change something, and ask again:"
    );
    println!("\n$ {CHANGE}\n\nLogs are in {}.", cluster.tools.logs.display());
    std::future::pending().await
}

/// Writes the script that opens a shell in the mesh, or runs what follows its name there.
fn way_in(cluster: &Cluster, site: &Site) -> Result<std::path::PathBuf> {
    let path = std::env::var("PATH").context("PATH")?;
    let tools = [cluster.tools.kubernetes(""), cluster.tools.istio("")];
    let tools: String = tools.iter().map(|folder| format!("{}:", folder.display())).collect();
    let variables = [
        ("KUBECONFIG", cluster.kubectl.config().display().to_string()),
        ("PATH", tools + &path),
        ("ADMIN", site.gateway.admin_port().to_string()),
        ("ALICE", scientist()?),
        ("SHOP", application()?),
        ("FLOWER", cluster::site::flower().to_string()),
        ("PS1", "mesh$ ".to_owned()),
    ];
    let variables: String =
        variables.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    let script = format!(
        "#!/bin/sh\n# Into the mesh of `cargo xtask istio --keep`: a shell, or the command that follows.\n\
         {variables}[ $# -gt 0 ] || set -- sh\n\
         exec nsenter {} -- sh -c 'cd \"$0\" && exec \"$@\"' '{}' \"$@\"\n",
        isolation::nsenter_options()?.join(" "),
        repository().display(),
    );
    let file = cluster.tools.logs.join("enter");
    fs::write(&file, script)?;
    // Tokens are secrets, even those of an hour.
    fs::set_permissions(&file, Permissions::from_mode(0o700))?;
    Ok(file)
}
