//! The live model, and what copies are sent to: a model that answers at once, one that takes seconds, a
//! port that refuses, and one behind which nothing happens.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};
use testbed::client::Request;
use testbed::envoy::Envoy;
use testbed::model_servers::{ModelServer, Weights};

use crate::gateway::{listener, router};

/// What answers as the live model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Live {
    /// Another Envoy, which answers after 5 ms, more steadily than any model: small differences show
    Steady,
    /// The same, which answers at once: the gateway has to do as much as it can
    Instant,
    /// MLServer with the iris model
    Mlserver,
}

const LIVE: &str = "live";
const FAST: &str = "fast";
const SLOW: &str = "slow";

const QUESTION: &str = r#"{"data":{"names":["sl","sw","pl","pw"],"ndarray":[[6.0,2.7,4.2,1.3]]}}"#;

/// The same in the Open Inference Protocol.
const V2_QUESTION: &str =
    r#"{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[6.0,2.7,4.2,1.3]}]}"#;

/// What every model answers that is an Envoy, unless the live one is a real model.
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

/// The live model.
#[derive(Debug)]
enum Model {
    Server(ModelServer),
    Envoy(Envoy),
}

/// All of them. They end when this is dropped.
#[derive(Debug)]
pub struct Backends {
    /// What the live model is.
    pub live: Live,
    model: Model,
    shadows: Envoy,
    refusing: SocketAddr,
    /// Nobody accepts: the kernel makes connections while the backlog lasts, and drops them then.
    black_hole: TcpListener,
}

impl Backends {
    /// Starts them. Models that answer at once are another Envoy, with one worker: nothing that
    /// speaks HTTP is cheaper. What they say is what the live one says.
    pub async fn start(live: Live) -> Result<Self> {
        let live_model = match live {
            Live::Mlserver => Model::Server(ModelServer::mlserver(Weights::Main).await?),
            Live::Steady => Model::Envoy(models(&[model(LIVE, Some("0.005s"), ANSWER)]).await?),
            Live::Instant => Model::Envoy(models(&[model(LIVE, None, ANSWER)]).await?),
        };
        let answer = match &live_model {
            Model::Server(server) => real_answer(server).await?,
            Model::Envoy(_) => ANSWER.to_owned(),
        };
        let shadows = [model(FAST, None, &answer), model(SLOW, Some("5s"), &answer)];
        let shadows = models(&shadows).await?;
        // The port is free again as soon as nobody listens; nobody will within one run.
        let refusing = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let black_hole = TcpListener::bind("127.0.0.1:0")?;
        Ok(Self { live, model: live_model, shadows, refusing, black_hole })
    }

    /// Where the live model is.
    pub fn live_address(&self) -> Result<SocketAddr> {
        match &self.model {
            Model::Server(server) => Ok(server.http),
            Model::Envoy(envoy) => envoy.listener(LIVE),
        }
    }

    /// What is asked for.
    pub fn question(&self) -> &'static str {
        match self.live {
            Live::Mlserver => V2_QUESTION,
            Live::Steady | Live::Instant => QUESTION,
        }
    }

    /// Where a shadow is.
    pub fn address(&self, backend: Backend) -> Result<SocketAddr> {
        match backend {
            Backend::Fast => self.shadows.listener(FAST),
            Backend::Slow => self.shadows.listener(SLOW),
            Backend::Refusing => Ok(self.refusing),
            Backend::BlackHole => Ok(self.black_hole.local_addr()?),
        }
    }
}

/// What the live model says. Each answer has another `id`, so that those of a shadow are never the
/// same byte for byte, and have to be compared value by value.
async fn real_answer(server: &ModelServer) -> Result<String> {
    let question = Request::new("POST", "/v2/models/iris/infer")
        .header("content-type", "application/json")
        .body(V2_QUESTION);
    let answer = question.send(server.http).await?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status == 200, "the live model answers {}: {text}", answer.status);
    Ok(text)
}

/// Models that are one Envoy with one worker.
pub async fn models(listeners: &[Value]) -> Result<Envoy> {
    Envoy::start(&json!({"static_resources": {"listeners": listeners}}), &[], 1).await
}

/// Takes the whole request first: else its connection would end with the answer.
pub fn model(name: &str, delay: Option<&str>, answer: &str) -> Value {
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
        "direct_response": {"status": 200, "body": {"inline_string": answer}},
        "response_headers_to_add": [{
            "header": {"key": "content-type", "value": "application/json"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }],
    });
    listener(name, &filters, &[answer])
}
