//! node oidc-provider: access tokens for machines, by each kind of key.

use std::process::Command;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testbed::client::Request;

use crate::keys;
use crate::programs::{forged, line, named, parts, source, start, text};
use crate::side_by_side::{Case, Expected, Fetched, Token, Who, compare};

const CLIENT: &str = "nightly";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_credentials() -> Result<()> {
    let secret = keys::secret()?;
    let mut command = Command::new(named("NODE")?);
    command
        .current_dir(named("OIDC_PROVIDER")?)
        .arg(source("oidc-provider/issuer.mjs"))
        .env("CLIENT_SECRET", &secret);
    let mut process = start("oidc-provider", command)?;
    let issuer = line(&mut process, "oidc-provider to listen", |line| {
        line.starts_with("http://").then(|| line.to_owned())
    })
    .await?;
    let at = issuer.trim_start_matches("http://").parse()?;
    let credentials = STANDARD.encode(format!("{CLIENT}:{secret}"));
    let token = async |word: &str| -> Result<String> {
        let resource = format!("https%3A%2F%2Fmodels.example.com%2F{word}");
        let request = Request::new("POST", "/token")
            .header("authorization", format!("Basic {credentials}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!(
                "grant_type=client_credentials&scope=predict%20explain&resource={resource}"
            ));
        text(&request.send(at).await?.json()?, "access_token")
    };
    let jwks = Request::get("/jwks").send(at).await?.text();
    let set: Value = serde_json::from_str(&jwks)?;
    let kinds = [["RSA", "sig", "-"], ["EC", "sig", "ES256"], ["OKP", "sig", "-"]];
    ensure!(keys::members(&set, ["kty", "use", "alg"]) == kinds, "{jwks}");

    let good = Expected::Passes(&["machine", "scope", "client"]);
    let rs256 = token("RS256").await?;
    let (header, claims) = parts(&rs256)?;
    ensure!(header["typ"] == "at+jwt" && claims["client_id"] == CLIENT, "{header} {claims}");
    let rows = vec![
        Token::bearer("RS256", &rs256, good),
        Token::bearer("PS256", &token("PS256").await?, good),
        Token::bearer("ES256", &token("ES256").await?, good),
        Token::bearer("EdDSA", &token("EdDSA").await?, good),
        Token::bearer(
            "for somebody else",
            &token("elsewhere").await?,
            Expected::Refused(403, "Audiences in Jwt are not allowed"),
        ),
        Token::bearer("forged", &forged(&rs256)?, Expected::Refused(401, "Jwt verification fails")),
    ];
    compare(&[Case {
        rule: json!({"issuer": issuer, "audiences": ["models"]}),
        jwks,
        fetched: Fetched { uri: format!("{issuer}/jwks"), from: at, tls: None },
        policies: vec![
            ("machine", Who::Principal(format!("{issuer}/{CLIENT}"))),
            // A string of words: `scope` is taken apart at its spaces.
            ("scope", Who::When("request.auth.claims[scope]", "explain")),
            ("client", Who::When("request.auth.claims[client_id]", CLIENT)),
            // There is no `azp`.
            ("presenter", Who::When("request.auth.presenter", CLIENT)),
        ],
        tokens: rows,
    }])
    .await
}
