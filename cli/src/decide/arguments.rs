//! The arguments of `modelgate decide`, and the request that they make.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::ask::decided::Bench;
use crate::ask::keys::{self, Keys};
use crate::ask::request::Asked;
use crate::ask::{access_log, curl, time};

use super::gateway;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Decide {
    /// The configuration: what `check` reads, with one configuration in it; `-` is standard input.
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,
    /// Which one, where there are several: the name of the WasmPlugin or TrafficExtension.
    #[arg(long, value_name = "NAME")]
    pub resource: Option<String>,
    /// The request as a curl command line.
    #[arg(long, value_name = "LINE", conflicts_with_all = ["access_log", "path", "method"])]
    curl: Option<String>,
    /// The request as a line of the gateway's access log, JSON or Istio's default text. What it does not tell, as
    /// tokens, is given besides.
    #[arg(long, value_name = "LINE", conflicts_with_all = ["path", "method"])]
    access_log: Option<String>,
    /// The method; without one GET, or POST with a body.
    #[arg(long)]
    method: Option<String>,
    /// The path with its query, or the whole address, as https://models.example.com/models/prod/iris:predict.
    #[arg(long, required_unless_present_any = ["curl", "access_log"])]
    path: Option<String>,
    /// The host, with a port where clients send one.
    #[arg(long)]
    host: Option<String>,
    /// A header; may be given several times.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// A token, put where the rule of its issuer looks for one; `@FILE` reads it from there.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Claims of a token that is made for the purpose, as {"sub": "alice"}: no signature is checked then. Issuer and
    /// audience are those of the first rule unless they are given.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["token", "jwks", "assume_verified"])]
    pub claims: Option<String>,
    /// An API key, put where the configuration has keys; `@FILE` reads it from there.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The body; `@FILE` reads it from there. Needed where it names the model.
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// The client's address; without it, what asks for it cannot be had.
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// The direct peer's address, where a proxy stands before the gateway.
    #[arg(long, value_name = "ADDRESS")]
    peer_ip: Option<IpAddr>,
    /// The port of the gateway's listener.
    #[arg(long)]
    port: Option<u16>,
    /// The URI in the client's certificate, as spiffe://cluster.local/ns/prod/sa/web.
    #[arg(long, value_name = "URI")]
    peer: Option<String>,
    /// The server name of the TLS handshake.
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// When the request comes: RFC 3339 or seconds since 1970; without it, now, or when the access log says.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Keys of an issuer that the gateway fetches; may be given several times.
    #[arg(long, value_name = "ISSUER=FILE", value_parser = Keys::pair)]
    jwks: Vec<(String, PathBuf)>,
    /// Takes tokens for signed whose issuers' keys the gateway fetches, and which --jwks does not give.
    #[arg(long)]
    assume_verified: bool,
    /// Asks a running gateway the same, as http://localhost:8080, and shows both side by side.
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// How the decision is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How a decision is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, stage by stage.
    Text,
    /// For programs; docs/decide.md has its fields.
    Json,
}

impl Decide {
    /// Where keys come from.
    pub fn keys(&self) -> Keys {
        Keys { files: self.jwks.clone(), assume: self.assume_verified }
    }

    /// The request.
    ///
    /// # Errors
    ///
    /// Something of it cannot be read.
    pub fn request(&self, bench: &Bench) -> Result<Asked> {
        let mut asked = self.given()?;
        let settings = &bench.configuration.settings;
        for line in &self.header {
            let (name, value) = line
                .split_once(':')
                .filter(|(name, _)| !name.trim().is_empty())
                .context("--header: there is no name, or no colon behind it: NAME: VALUE")?;
            asked.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        if let Some(token) = &self.token {
            let token = text_or_file(token).context("--token")?;
            ensure!(
                token.split('.').count() == 3,
                "--token: it is no JSON Web Token: three parts with dots between them"
            );
            keys::place(settings, token.trim(), &mut asked);
        }
        if let Some(claims) = &self.claims {
            let claims: Map<String, Value> = serde_json::from_str(claims)
                .context("--claims: they are no JSON object, as {\"sub\": \"alice\"}")?;
            ensure!(
                bench.assumed.is_any(),
                "--claims: the configuration has no jwtRules, which would read a token"
            );
            let payload = keys::payload(settings, &claims);
            let token = bench.assumed.sign(&Map::new(), &payload)?;
            keys::place(settings, &token, &mut asked);
        }
        if let Some(key) = &self.key {
            let key = text_or_file(key).context("--key")?;
            keys::place_key(settings, key.trim(), &mut asked);
        }
        Ok(asked)
    }

    /// What was given of it, without credentials.
    fn given(&self) -> Result<Asked> {
        let mut asked = match (&self.curl, &self.access_log) {
            (Some(line), _) => curl::read(line).context("--curl")?,
            (None, Some(line)) => access_log::read(line).context("--access-log")?.asked,
            (None, None) => Asked {
                method: self.method.clone().unwrap_or_default().to_ascii_uppercase(),
                path: self.path.clone().unwrap_or_default(),
                ..Asked::default()
            },
        };
        if let Some(host) = &self.host {
            asked.host.clone_from(host);
        }
        if let Some(url) = &self.gateway {
            gateway::complete(url, &mut asked)?;
        }
        if let Some(body) = &self.body {
            let body = text_or_file(body).context("--body")?;
            let is_typed =
                asked.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            let given = self.header.iter().any(|line| {
                line.split(':')
                    .next()
                    .is_some_and(|n| n.trim().eq_ignore_ascii_case("content-type"))
            });
            if !is_typed && !given {
                asked.headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
            asked.body = Some(body.into_bytes());
        }
        let connection = &mut asked.connection;
        connection.ip = self.ip.or(connection.ip);
        connection.peer_ip = self.peer_ip.or(connection.peer_ip);
        connection.port = self.port.or(connection.port);
        if let Some(sni) = &self.sni {
            connection.sni = Some(sni.clone());
        }
        if let Some(peer) = &self.peer {
            connection.peer = Some(peer.clone());
        }
        asked.at = match &self.at {
            Some(at) => time::read(at).context("--at")?,
            None if asked.at > 0 => asked.at,
            None => time::now()?,
        };
        if asked.path.is_empty() {
            bail!("there is no path: give --path /...");
        }
        Ok(asked)
    }
}

/// The text itself, or that of the file behind `@`.
fn text_or_file(text: &str) -> Result<String> {
    match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).with_context(|| file.to_owned()),
        None => Ok(text.to_owned()),
    }
}
