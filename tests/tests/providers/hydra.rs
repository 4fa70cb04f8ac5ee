//! ORY Hydra 2.3: client credentials, with access tokens as JWTs and opaque ones.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::process::free_ports;
use testbed::wait::until;

use crate::keys;
use crate::programs::{READY, forged, named, parts, start, text};
use crate::side_by_side::{Case, Expected, Fetched, Token, Who, compare};

/// A client gets a token; with `audience` it asks for that one.
async fn token(at: SocketAddr, client: &str, secret: &str, audience: &str) -> Result<String> {
    let credentials = STANDARD.encode(format!("{client}:{secret}"));
    let answer = Request::new("POST", "/oauth2/token")
        .header("authorization", format!("Basic {credentials}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("grant_type=client_credentials&scope=predict&audience={audience}"))
        .send(at)
        .await?
        .json()?;
    ensure!(text(&answer, "token_type")? == "bearer", "{answer}");
    text(&answer, "access_token")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "MODELGATE_PROVIDERS=all cargo xtask test providers"]
async fn client_credentials() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("modelgate-hydra-").tempdir()?;
    let [public, admin] = free_ports()?;
    let issuer = format!("http://{public}");
    let secret = keys::secret()?;
    let serve = |at: SocketAddr| json!({"host": at.ip(), "port": at.port()});
    let config = json!({
        "dsn": "memory",
        "serve": {"public": serve(public), "admin": serve(admin)},
        "urls": {"self": {"issuer": issuer}},
        "secrets": {"system": [secret]},
        "strategies": {"access_token": "jwt"},
        "sqa": {"opt_out": true},
    });
    // JSON is YAML.
    let file = folder.path().join("hydra.yaml");
    fs::write(&file, config.to_string())?;
    let mut command = Command::new(named("HYDRA")?.join("hydra"));
    command.args(["serve", "all", "--dev", "--config"]).arg(&file);
    let mut process = start("hydra", command)?;
    until("hydra to be ready", READY, async || {
        process.check_running()?;
        let answer = Request::get("/health/ready").send(admin).await;
        Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
    })
    .await?;
    for (client, strategy) in [("nightly", "jwt"), ("opaque", "opaque")] {
        let made = Request::post_json(
            "/admin/clients",
            &json!({
                "client_id": client,
                "client_secret": secret,
                "grant_types": ["client_credentials"],
                "audience": ["models"],
                "scope": "predict explain",
                "access_token_strategy": strategy,
            }),
        );
        let made = made.send(admin).await?;
        ensure!(made.status == 201, "{made:?}");
    }
    let jwks = Request::get("/.well-known/jwks.json").send(public).await?.text();
    let set: Value = serde_json::from_str(&jwks)?;
    let kinds = keys::members(&set, ["kty", "use", "alg"]);
    ensure!(kinds == [["RSA", "sig", "RS256"], ["RSA", "sig", "RS256"]], "{jwks}");

    let good = token(public, "nightly", &secret, "models").await?;
    let claims = parts(&good)?.1;
    ensure!(claims["scp"] == json!(["predict"]) && claims.get("azp").is_none(), "{claims}");
    let without = token(public, "nightly", &secret, "").await?;
    ensure!(parts(&without)?.1["aud"] == json!([]), "{without}");
    let opaque = token(public, "opaque", &secret, "models").await?;
    ensure!(opaque.starts_with("ory_at_"), "{opaque}");
    let rows = vec![
        Token::bearer("for models", &good, Expected::Passes(&["client", "principal", "scope"])),
        Token::bearer(
            "for nobody",
            &without,
            Expected::Refused(403, "Audiences in Jwt are not allowed"),
        ),
        Token::bearer(
            "opaque",
            &opaque,
            Expected::Refused(
                401,
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            ),
        ),
        Token::bearer("forged", &forged(&good)?, Expected::Refused(401, "Jwt verification fails")),
    ];
    compare(&[Case {
        rule: json!({"issuer": issuer, "audiences": ["models"]}),
        jwks,
        fetched: Fetched {
            uri: format!("{issuer}/.well-known/jwks.json"),
            from: public,
            tls: None,
        },
        policies: vec![
            ("client", Who::When("request.auth.claims[client_id]", "nightly")),
            ("principal", Who::Principal(format!("{issuer}/nightly"))),
            ("scope", Who::When("request.auth.claims[scp]", "predict")),
            ("presenter", Who::When("request.auth.presenter", "nightly")),
        ],
        tokens: rows,
    }])
    .await
}
