//! oauth2-proxy/mockoidc: the authorization code flow, as oauth2-proxy goes through it.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::Request;

use crate::keys;
use crate::programs::{forged, line, named, parts, start, text};
use crate::side_by_side::{Case, Expected, Fetched, Token, Who, compare};

/// The provider's settings.
struct Provider {
    at: SocketAddr,
    issuer: String,
    client: String,
    secret: String,
}

impl Provider {
    /// The tokens of the one user that it knows, who logged in two hours ago or does now.
    async fn log_in(&self, ago: &str) -> Result<Value> {
        let path = format!(
            "/oidc/authorize?client_id={}&response_type=code&scope=openid%20profile%20email%20groups\
             &state=s&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback",
            self.client
        );
        let answer = Request::get(path).header("x-ago", ago).send(self.at).await?;
        let location = answer.header("location").context("no redirect")?;
        let (_, query) = location.split_once('?').context("no query")?;
        let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
        let form = format!(
            "grant_type=authorization_code&client_id={}&client_secret={}&code={}",
            self.client,
            self.secret,
            code.context("no code")?
        );
        let request = Request::new("POST", "/oidc/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-ago", ago)
            .body(form);
        request.send(self.at).await?.json()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorization_code() -> Result<()> {
    let mut process = start("mockoidc", Command::new(named("MOCKOIDC")?.join("mockoidc")))?;
    let settings =
        line(&mut process, "mockoidc to listen", |line| serde_json::from_str::<Value>(line).ok())
            .await?;
    let setting = |name: &str| text(&settings, name);
    let issuer = setting("Issuer")?;
    let at = issuer.trim_start_matches("http://").trim_end_matches("/oidc").parse()?;
    let provider =
        Provider { at, issuer, client: setting("ClientID")?, secret: setting("ClientSecret")? };
    let issuer = &provider.issuer;

    let now = provider.log_in("0s").await?;
    let before = provider.log_in("2h").await?;
    let jwks = Request::get("/oidc/.well-known/jwks.json").send(at).await?.text();
    let set: Value = serde_json::from_str(&jwks)?;
    ensure!(keys::members(&set, ["kty", "use", "alg"]) == [["RSA", "sig", "RS256"]], "{jwks}");
    ensure!(now["token_type"] == "bearer", "{now}");
    let id = text(&now, "id_token")?;
    let access = text(&now, "access_token")?;
    ensure!(parts(&id)?.1["groups"].is_array() && parts(&id)?.1["email_verified"] == true);
    ensure!(parts(&access)?.1.get("groups").is_none());

    let subject = parts(&id)?.1["sub"].as_str().context("no sub")?.to_owned();
    let without_groups = Expected::Passes(&["principal"]);
    let rows = vec![
        Token::bearer("ID token", &id, Expected::Passes(&["groups", "mail", "principal"])),
        Token::bearer("access token", &access, without_groups),
        // Nothing tells it from an access token: the same key, and the same claims.
        Token::bearer("refresh token", &text(&now, "refresh_token")?, without_groups),
        Token::bearer(
            "expired",
            &text(&before, "id_token")?,
            Expected::Refused(401, "Jwt is expired"),
        ),
        Token::bearer("forged", &forged(&id)?, Expected::Refused(401, "Jwt verification fails")),
        // The scheme as `token_type` spells it: no token at all.
        Token::carried("bearer", ("authorization", format!("bearer {id}")), Expected::Passes(&[])),
        Token::bearer(
            "opaque",
            "ory_at_bm90IGEgdG9rZW4.c2lnbmF0dXJl",
            Expected::Refused(
                401,
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            ),
        ),
    ];
    compare(&[Case {
        rule: json!({"issuer": issuer, "audiences": [provider.client]}),
        jwks,
        fetched: Fetched { uri: format!("{issuer}/.well-known/jwks.json"), from: at, tls: None },
        policies: vec![
            ("principal", Who::Principal(format!("{issuer}/{subject}"))),
            ("groups", Who::When("request.auth.claims[groups]", "engineering")),
            ("mail", Who::When("request.auth.claims[email]", "jane.doe@example.com")),
            // A boolean: it is no string, and no text is equal to it.
            ("verified", Who::When("request.auth.claims[email_verified]", "true")),
        ],
        tokens: rows,
    }])
    .await
}
