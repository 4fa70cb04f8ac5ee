//! SPIRE 1.13: tokens of `spire-server jwt mint`, and the bundle of the trust domain.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::process::{Process, free_ports};
use testbed::wait::until;

use crate::keys;
use crate::programs::{READY, forged, named, names, output, parts, start};
use crate::side_by_side::{Case, Expected, Fetched, Token, Who, compare};

const TRUST_DOMAIN: &str = "example.org";
const ISSUER: &str = "https://spire.example.org";

struct Server {
    program: PathBuf,
    socket: PathBuf,
    bundle: std::net::SocketAddr,
    process: Process,
    _folder: TempDir,
}

impl Server {
    async fn start(issuer: Option<&str>) -> Result<Self> {
        let program = named("SPIRE")?.join("spire-server");
        let folder = tempfile::Builder::new().prefix("modelgate-spire-").tempdir()?;
        let state = folder.path();
        let [agents, bundle] = free_ports()?;
        let issuer = issuer.map(|issuer| format!("jwt_issuer = \"{issuer}\"")).unwrap_or_default();
        let config = format!(
            r#"
server {{
    bind_address = "127.0.0.1"
    bind_port = "{}"
    socket_path = "{}"
    trust_domain = "{TRUST_DOMAIN}"
    data_dir = "{}"
    {issuer}
    federation {{ bundle_endpoint {{
        address = "127.0.0.1"
        port = {}
        profile "https_spiffe" {{}}
    }} }}
}}
plugins {{
    DataStore "sql" {{ plugin_data {{
        database_type = "sqlite3"
        connection_string = "{}"
    }} }}
    KeyManager "memory" {{ plugin_data {{}} }}
    NodeAttestor "join_token" {{ plugin_data {{}} }}
}}
"#,
            agents.port(),
            state.join("api.sock").display(),
            state.display(),
            bundle.port(),
            state.join("data.sqlite3").display(),
        );
        let file = state.join("server.conf");
        fs::write(&file, config)?;
        let mut command = Command::new(&program);
        command.arg("run").arg("-config").arg(&file);
        let process = start("spire-server", command)?;
        let socket = state.join("api.sock");
        let mut server = Self { program, socket, bundle, process, _folder: folder };
        until("spire-server to be ready", READY, async || {
            server.process.check_running()?;
            Ok(server.run(&["healthcheck"]).await.ok())
        })
        .await?;
        Ok(server)
    }

    async fn run(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(words).arg("-socketPath").arg(&self.socket);
        output(command).await
    }

    async fn mint(&self, path: &str, audience: &str) -> Result<String> {
        let id = format!("spiffe://{TRUST_DOMAIN}{path}");
        self.run(&["jwt", "mint", "-spiffeID", &id, "-audience", audience]).await
    }

    async fn bundle(&self) -> Result<String> {
        self.run(&["bundle", "show", "-format", "spiffe"]).await
    }
}

/// The way to the bundle's endpoint, whose certificate is of the trust domain itself.
fn tls(authorities: &Path) -> Value {
    let server = format!("spiffe://{TRUST_DOMAIN}/spire/server");
    json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "spire.example.org",
        "common_tls_context": {"validation_context": {
            "trusted_ca": {"filename": authorities},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": server}}],
        }},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minted_by_the_server() -> Result<()> {
    let server = Server::start(Some(ISSUER)).await?;
    let jwks = server.bundle().await?;
    let set: Value = serde_json::from_str(&jwks)?;
    let kinds = keys::members(&set, ["use", "alg"]);
    ensure!(kinds.contains(&["x509-svid", "-"].map(String::from)), "{jwks}");
    ensure!(kinds.contains(&["jwt-svid", "-"].map(String::from)), "{jwks}");
    let authorities = server.socket.with_file_name("authorities.pem");
    fs::write(&authorities, server.run(&["bundle", "show", "-format", "pem"]).await?)?;

    let web = server.mint("/ns/prod/sa/web", "models").await?;
    let (header, claims) = parts(&web)?;
    ensure!(names(&header) == ["alg", "kid", "typ"], "{header}");
    ensure!(names(&claims) == ["aud", "exp", "iat", "iss", "sub"], "{claims}");
    let rows = vec![
        Token::bearer("of a workload", &web, Expected::Passes(&["subject", "namespace"])),
        Token::bearer(
            "of another workload",
            &server.mint("/ns/prod/sa/batch", "models").await?,
            Expected::Passes(&["namespace"]),
        ),
        Token::bearer(
            "for somebody else",
            &server.mint("/ns/prod/sa/web", "vault").await?,
            Expected::Refused(403, "Audiences in Jwt are not allowed"),
        ),
        Token::bearer("forged", &forged(&web)?, Expected::Refused(401, "Jwt verification fails")),
    ];
    compare(&[Case {
        rule: json!({"issuer": ISSUER, "audiences": ["models"]}),
        jwks,
        fetched: Fetched {
            uri: format!("{ISSUER}/"),
            from: server.bundle,
            tls: Some(tls(&authorities)),
        },
        policies: vec![
            (
                "subject",
                Who::When("request.auth.claims[sub]", "spiffe://example.org/ns/prod/sa/web"),
            ),
            ("namespace", Who::When("request.auth.claims[sub]", "spiffe://example.org/ns/prod/*")),
            // The last `/` divides issuer and subject.
            ("principal", Who::Principal(format!("{ISSUER}/spiffe://example.org/ns/prod/sa/web"))),
        ],
        tokens: rows,
    }])
    .await
}

/// Without `jwt_issuer` a token has no `iss`, and no rule with an issuer is its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_issuer() -> Result<()> {
    let server = Server::start(None).await?;
    let jwks = server.bundle().await?;
    let authorities = server.socket.with_file_name("authorities.pem");
    fs::write(&authorities, server.run(&["bundle", "show", "-format", "pem"]).await?)?;
    let web = server.mint("/ns/prod/sa/web", "models").await.context("mint")?;
    ensure!(parts(&web)?.1.get("iss").is_none(), "{web}");
    compare(&[Case {
        rule: json!({"issuer": ISSUER, "audiences": ["models"]}),
        jwks,
        fetched: Fetched {
            uri: format!("{ISSUER}/"),
            from: server.bundle,
            tls: Some(tls(&authorities)),
        },
        policies: Vec::new(),
        tokens: vec![Token::bearer(
            "without an issuer",
            &web,
            Expected::Refused(401, "Jwt issuer is not configured"),
        )],
    }])
    .await
}
