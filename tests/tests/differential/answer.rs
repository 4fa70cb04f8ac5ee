//! What a client is told, and what the upstream saw.

use std::collections::BTreeMap;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use testbed::client::Response;
use testbed::upstream::{self, Received};

use crate::generate::OUTPUTS;

/// The header in which the upstream says what it saw.
const SEEN: &str = "x-seen";

/// The header in which Envoy says why it answered by itself.
pub const DETAILS: &str = "x-details";

/// Headers of an answer that are compared.
const COMPARED: [&str; 5] =
    ["www-authenticate", "content-type", "grpc-status", "grpc-message", DETAILS];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 0: the connection was closed without one.
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub seen: Option<Seen>,
}

/// A request as it reached the upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub authority: String,
    /// The lines of each name, in order; escaped where they are no ASCII.
    pub headers: BTreeMap<String, Vec<String>>,
}

impl Answer {
    /// No answer.
    pub fn none() -> Self {
        Self { status: 0, headers: BTreeMap::new(), body: String::new(), seen: None }
    }

    pub fn of(response: &Response) -> Result<Self> {
        let compared = COMPARED.iter().filter_map(|name| {
            response.header(name).map(|value| ((*name).to_owned(), value.to_owned()))
        });
        let seen = response.header(SEEN).map(serde_json::from_str::<Seen>).transpose()?;
        Ok(Self {
            status: response.status,
            headers: compared.collect(),
            body: response.text(),
            seen: seen.map(Seen::in_one_order),
        })
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

impl Seen {
    /// Lists and objects in claim headers as one text: Envoy writes the members of an object in any
    /// order.
    fn in_one_order(mut self) -> Self {
        for name in OUTPUTS {
            for line in self.headers.get_mut(name).into_iter().flatten() {
                let decoded = STANDARD.decode(&*line).ok();
                let value = decoded.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
                if let Some(value) = value.filter(|v| v.is_array() || v.is_object()) {
                    *line = format!("base64 of {}", as_doubles(value));
                }
            }
        }
        self
    }
}

/// Numbers as Envoy holds them.
fn as_doubles(value: Value) -> Value {
    match value {
        Value::Number(n) => n.as_f64().into(),
        Value::Array(list) => list.into_iter().map(as_doubles).collect(),
        Value::Object(object) => {
            object.into_iter().map(|(name, value)| (name, as_doubles(value))).collect()
        }
        other => other,
    }
}

/// An upstream's answer that tells what it received.
pub fn echo(received: &Received) -> upstream::Answer {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &received.headers {
        headers.entry(name.clone()).or_default().push(value.escape_ascii().to_string());
    }
    // Random, and of no one's concern.
    headers.remove("x-request-id");
    let seen = Seen {
        method: received.method.clone(),
        path: received.path.clone(),
        authority: received.authority.clone(),
        headers,
    };
    let seen = serde_json::to_string(&seen).unwrap_or_default();
    upstream::Answer::new(200, "text/plain", "").header(SEEN, &seen)
}
