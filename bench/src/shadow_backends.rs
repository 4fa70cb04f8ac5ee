//! What copies are sent to: a model that answers at once, one that takes seconds, a port that refuses,
//! and one behind which nothing happens. The live model is beside them.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use serde_json::{Value, json};
use testbed::envoy::Envoy;

use crate::gateway::{listener, router};

const LIVE: &str = "live";
const FAST: &str = "fast";
const SLOW: &str = "slow";

/// What every model answers.
const ANSWER: &str = r#"{"data":{"names":["t:0","t:1","t:2"],"ndarray":[[0.0145,0.9212,0.0643]]},"meta":{"requestPath":{"iris":"iris:1"}}}"#;

/// How a shadow behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Answers at once.
    Fast,
    /// Answers after five seconds.
    Slow,
    /// Nobody listens.
    Refusing,
    /// Connections are made, and nothing ever comes back.
    BlackHole,
}

/// All of them. They end when this is dropped.
#[derive(Debug)]
pub struct Backends {
    models: Envoy,
    refusing: SocketAddr,
    /// Nobody accepts: the kernel makes connections while the backlog lasts, and drops them then.
    black_hole: TcpListener,
}

impl Backends {
    /// Starts them. Models are another Envoy, with one worker: nothing that speaks HTTP is cheaper.
    pub async fn start() -> Result<Self> {
        let bootstrap = json!({"static_resources": {"listeners": [
            model(LIVE, None),
            model(FAST, None),
            model(SLOW, Some("5s")),
        ]}});
        let models = Envoy::start(&bootstrap, &[], 1).await?;
        // The port is free again as soon as nobody listens; nobody will within one run.
        let refusing = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Self { models, refusing, black_hole: TcpListener::bind("127.0.0.1:0")? })
    }

    /// Where the live model is.
    pub fn live(&self) -> Result<SocketAddr> {
        self.models.listener(LIVE)
    }

    /// Where a shadow is.
    pub fn address(&self, backend: Backend) -> Result<SocketAddr> {
        match backend {
            Backend::Fast => self.models.listener(FAST),
            Backend::Slow => self.models.listener(SLOW),
            Backend::Refusing => Ok(self.refusing),
            Backend::BlackHole => Ok(self.black_hole.local_addr()?),
        }
    }
}

/// Takes the whole request first: else its connection would end with the answer.
fn model(name: &str, delay: Option<&str>) -> Value {
    let mut filters = vec![json!({
        "name": "envoy.filters.http.buffer",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
            "max_request_bytes": 65536,
        },
    })];
    filters.extend(delay.map(|delay| {
        json!({
            "name": "envoy.filters.http.fault",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                "delay": {"fixed_delay": delay, "percentage": {"numerator": 100}},
            },
        })
    }));
    filters.push(router());
    let answer = json!({
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": ANSWER}},
        "response_headers_to_add": [{
            "header": {"key": "content-type", "value": "application/json"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }],
    });
    listener(name, &filters, &[answer])
}
