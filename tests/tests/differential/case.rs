//! What is compared: a set of rules and policies, and a request.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testbed::client::Request;

use crate::keys;
use crate::token::Token;

/// Rules and policies in the words of `pluginConfig`, but for `jwks`, which describes a key set
/// ([`keys::jwks`]), and `{port}`, which is the listener's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Set {
    #[serde(rename = "jwtRules")]
    pub rules: Vec<Value>,
    pub policies: Vec<Value>,
    /// Proxies in front of the gateway that are trusted.
    pub hops: u32,
    /// Whether clients speak TLS.
    pub tls: bool,
}

/// A request, with `<0>` where the text of the first token belongs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    pub method: String,
    pub path: String,
    pub host: String,
    pub headers: Vec<(String, String)>,
    pub tokens: Vec<Token>,
    pub client: Client,
}

/// Who opens the connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Client {
    /// The last byte of its address; 0 is 127.0.0.1.
    pub address: u8,
    pub tls: bool,
    /// Its certificate, by name, if it shows one.
    pub certificate: String,
    /// The server name of its handshake, if it says one.
    pub sni: String,
}

impl Set {
    /// The same for a listener at this port.
    pub fn at_port(&self, port: u16) -> Result<Self> {
        let text = serde_json::to_string(self)?.replace("{port}", &port.to_string());
        Ok(serde_json::from_str(&text)?)
    }

    /// The same with rules that leave verified tokens on the request.
    pub fn keeping_tokens(&self) -> Self {
        let mut set = self.clone();
        for rule in set.rules.iter_mut().filter_map(Value::as_object_mut) {
            rule.insert("forwardOriginalToken".into(), true.into());
        }
        set
    }

    /// The rules with their key sets.
    pub fn rules(&self) -> Result<Vec<Value>> {
        let with_keys = |rule: &Value| {
            let mut rule = rule.clone();
            if let Some(jwks) = rule.get_mut("jwks") {
                *jwks = keys::jwks(jwks)?.into();
            }
            Ok(rule)
        };
        self.rules.iter().map(with_keys).collect()
    }

    /// The module's configuration. There are no models: a path is a path, as for Istio.
    pub fn plugin_config(&self) -> Result<Value> {
        Ok(json!({
            "authentication": {"jwtRules": self.rules()?},
            "authorization": {"policies": self.policies},
            "targets": {"families": []},
        }))
    }
}

impl Ask {
    /// The texts of its tokens.
    pub fn texts(&self) -> Result<Vec<String>> {
        self.tokens.iter().map(Token::text).collect()
    }

    /// The request with these tokens.
    pub fn with(&self, tokens: &[String]) -> Result<Request> {
        let mut request =
            Request::new(&self.method, filled(&self.path, tokens)?).authority(Some(&self.host));
        for (name, value) in &self.headers {
            request = request.header(name, filled(value, tokens)?);
        }
        Ok(request)
    }
}

/// The text with the tokens in their places.
pub fn filled(text: &str, tokens: &[String]) -> Result<String> {
    let mut out = text.to_owned();
    for (i, token) in tokens.iter().enumerate() {
        out = out.replace(&format!("<{i}>"), token);
    }
    (!out.contains('<')).then_some(out).context("a token is missing")
}
