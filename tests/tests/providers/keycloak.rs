//! Keycloak 26.7: a realm with a user and clients, made as an administrator makes them.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::process::free_ports;
use testbed::wait::until;

use crate::keys;
use crate::programs::{READY, forged, named, parts, start, text};
use crate::side_by_side::{Case, Expected, Fetched, Token, Who, compare};

struct Realm {
    at: SocketAddr,
    secret: String,
}

impl Realm {
    /// Tokens for this form; the issuer is the address that is asked.
    async fn tokens(&self, realm: &str, form: &str) -> Result<Value> {
        let path = format!("/realms/{realm}/protocol/openid-connect/token");
        let request = Request::new("POST", path)
            .authority(Some(&self.at.to_string()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        request.send(self.at).await?.json()
    }

    /// Those of the user, who logs in at this client.
    async fn log_in(&self, client: &str) -> Result<Value> {
        let secret = &self.secret;
        let form = format!(
            "grant_type=password&scope=openid&username=jane&password={secret}\
             &client_id={client}&client_secret={secret}"
        );
        self.tokens("ml", &form).await
    }

    async fn make(&self) -> Result<()> {
        let secret = &self.secret;
        let form =
            format!("grant_type=password&client_id=admin-cli&username=admin&password={secret}");
        let token = text(&self.tokens("master", &form).await?, "access_token")?;
        let client = |name: &str, mappers: Value, lightweight: bool| {
            json!({
                "clientId": name, "secret": secret, "publicClient": false,
                "serviceAccountsEnabled": true, "directAccessGrantsEnabled": true,
                "protocolMappers": mappers,
                "attributes": {
                    "client.use.lightweight.access.token.enabled": lightweight.to_string(),
                },
            })
        };
        let mappers = json!([
            {
                "name": "models", "protocol": "openid-connect",
                "protocolMapper": "oidc-audience-mapper",
                "config": {"included.custom.audience": "models", "access.token.claim": "true"},
            },
            {
                "name": "groups", "protocol": "openid-connect",
                "protocolMapper": "oidc-group-membership-mapper",
                "config": {"claim.name": "groups", "full.path": "true", "access.token.claim": "true"},
            },
        ]);
        let realm = json!({
            "realm": "ml", "enabled": true, "sslRequired": "none",
            "roles": {"realm": [{"name": "predictor"}]},
            "groups": [{"name": "team a"}],
            "clients": [
                client("nightly", mappers, false),
                client("plain", json!([]), false),
                client("light", json!([]), true),
            ],
            "users": [{
                "username": "jane", "enabled": true, "email": "jane@example.com",
                "firstName": "Jane", "lastName": "Doe", "emailVerified": true,
                "credentials": [{"type": "password", "value": secret}],
                "realmRoles": ["predictor", "default-roles-ml"], "groups": ["/team a"],
            }],
        });
        let made = Request::post_json("/admin/realms", &realm)
            .authority(Some(&self.at.to_string()))
            .bearer(&token)
            .send(self.at)
            .await?;
        ensure!(made.status == 201, "{made:?}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "MODELGATE_PROVIDERS=all cargo xtask test providers"]
async fn users_and_clients_of_a_realm() -> Result<()> {
    let [at, management] = free_ports()?;
    let realm = Realm { at, secret: keys::secret()? };
    let mut command = Command::new(named("KEYCLOAK")?.join("bin/kc.sh"));
    command
        .args(["start-dev", "--db=dev-mem", "--http-host=127.0.0.1"])
        .arg(format!("--http-port={}", at.port()))
        .args(["--http-management-host=127.0.0.1"])
        .arg(format!("--http-management-port={}", management.port()))
        .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
        .env("KC_BOOTSTRAP_ADMIN_PASSWORD", &realm.secret)
        .env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m");
    let mut process = start("keycloak", command)?;
    until("Keycloak to be ready", READY * 3, async || {
        process.check_running()?;
        let answer = Request::get("/realms/master").send(at).await;
        Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
    })
    .await?;
    realm.make().await?;
    let issuer = format!("http://{at}/realms/ml");
    let certificates = "/realms/ml/protocol/openid-connect/certs";
    let jwks = Request::get(certificates).send(at).await?.text();
    let set: Value = serde_json::from_str(&jwks)?;
    let mut kinds = keys::members(&set, ["kty", "use", "alg"]);
    // In no order that one could rely on.
    kinds.sort();
    ensure!(kinds == [["RSA", "enc", "RSA-OAEP"], ["RSA", "sig", "RS256"]], "{jwks}");

    let nightly = realm.log_in("nightly").await?;
    let access = text(&nightly, "access_token")?;
    let claims = parts(&access)?.1;
    ensure!(claims["typ"] == "Bearer" && claims["email_verified"] == true, "{claims}");
    let audiences = claims["aud"].as_array().context("aud is no list")?;
    ensure!(audiences.contains(&json!("models")) && audiences.contains(&json!("account")));
    ensure!(claims["groups"] == json!(["/team a"]), "{claims}");
    let plain = text(&realm.log_in("plain").await?, "access_token")?;
    ensure!(parts(&plain)?.1["aud"] == "account", "{plain}");
    let machine =
        format!("grant_type=client_credentials&client_id=nightly&client_secret={}", realm.secret);
    let machine = text(&realm.tokens("ml", &machine).await?, "access_token")?;
    let light = text(&realm.log_in("light").await?, "access_token")?;
    let claims = parts(&light)?.1;
    ensure!(
        ["sub", "aud", "realm_access"].iter().all(|name| claims.get(name).is_none()),
        "{claims}"
    );
    let refresh = text(&nightly, "refresh_token")?;
    ensure!(parts(&refresh)?.0["alg"] == "HS512", "{refresh}");

    let subject = parts(&access)?.1["sub"].as_str().context("no sub")?.to_owned();
    let wrong_audience = Expected::Refused(403, "Audiences in Jwt are not allowed");
    let no_key = Expected::Refused(401, "Jwks doesn't have key to match kid or alg from Jwt");
    let asking = vec![
        Token::bearer(
            "access token",
            &access,
            Expected::Passes(&["principal", "one", "role", "group", "scope", "presenter", "kind"]),
        ),
        Token::bearer(
            "service account",
            &machine,
            Expected::Passes(&["principal", "scope", "presenter", "kind"]),
        ),
        Token::bearer("ID token", &text(&nightly, "id_token")?, wrong_audience),
        Token::bearer("access token for no service", &plain, wrong_audience),
        Token::bearer(
            "forged",
            &forged(&access)?,
            Expected::Refused(401, "Jwt verification fails"),
        ),
    ];
    let not_asking = vec![
        Token::bearer(
            "ID token, no audience asked for",
            &text(&nightly, "id_token")?,
            Expected::Passes(&["principal", "one", "presenter"]),
        ),
        Token::bearer("refresh token", &refresh, no_key),
        // No principal at all.
        Token::bearer("lightweight token", &light, Expected::Passes(&["scope", "kind"])),
    ];
    let policies = || {
        vec![
            ("principal", Who::Principal(format!("{issuer}/*"))),
            ("one", Who::Principal(format!("{issuer}/{subject}"))),
            ("role", Who::When("request.auth.claims[realm_access][roles]", "predictor")),
            ("group", Who::When("request.auth.claims[groups]", "/team a")),
            ("scope", Who::When("request.auth.claims[scope]", "email")),
            ("presenter", Who::When("request.auth.presenter", "nightly")),
            ("kind", Who::When("request.auth.claims[typ]", "Bearer")),
            // A boolean: it is no string, and no text is equal to it.
            ("verified", Who::When("request.auth.claims[email_verified]", "true")),
        ]
    };
    let case = |rule: Value, tokens| Case {
        rule,
        jwks: jwks.clone(),
        fetched: Fetched { uri: format!("http://{at}{certificates}"), from: at, tls: None },
        policies: policies(),
        tokens,
    };
    compare(&[
        case(json!({"issuer": issuer, "audiences": ["models"]}), asking),
        case(json!({"issuer": issuer}), not_asking),
    ])
    .await
}
