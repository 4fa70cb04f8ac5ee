//! A server of OpenAI's and Anthropic's kind whose answers are made up, and whose accounts are not: it knows what each
//! answer has cost. Streams come an event at a time.

use std::collections::BTreeMap;
use std::io::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// What a model has cost, by `token_type`.
pub type Accounts = BTreeMap<(String, &'static str), u64>;

/// A running server; stops when dropped. It answers what the body of a request asks for:
///
/// | member | meaning |
/// |---|---|
/// | `stream`, `stream_options` | as in OpenAI's protocol |
/// | `max_tokens` | so many are generated |
/// | `prompt_tokens`, `cached_tokens`, `reasoning_tokens` | so many are counted |
/// | `pause` | milliseconds between events |
/// | `breaks_off` | the connection is closed in place of the last event |
#[derive(Debug)]
pub struct Completions {
    address: SocketAddr,
    accounts: Arc<Mutex<Accounts>>,
    serving: JoinHandle<()>,
}

impl Completions {
    /// Starts one on a free loopback port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accounts = Arc::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&accounts)));
        Ok(Self { address, accounts, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What all answers so far have cost.
    pub fn accounts(&self) -> Accounts {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, accounts: Arc<Mutex<Accounts>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let accounts = Arc::clone(&accounts);
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| answer(request, Arc::clone(&accounts)));
            // A peer that hangs up is no failure of the server.
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// A request for an answer.
struct Asked {
    path: String,
    body: Value,
}

impl Asked {
    fn number(&self, name: &str) -> u64 {
        self.body.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }

    fn is(&self, pointer: &str) -> bool {
        self.body.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
    }

    /// What it costs, as the protocol says it.
    fn usage(&self) -> Value {
        let (input, output) = (self.number("prompt_tokens"), self.number("max_tokens"));
        let (cached, reasoning) = (self.number("cached_tokens"), self.number("reasoning_tokens"));
        match &*self.path {
            "/v1/embeddings" => json!({"prompt_tokens": input, "total_tokens": input}),
            "/v1/responses" => json!({
                "input_tokens": input, "input_tokens_details": {"cached_tokens": cached},
                "output_tokens": output, "output_tokens_details": {"reasoning_tokens": reasoning},
                "total_tokens": input + output,
            }),
            "/v1/messages" => json!({
                "input_tokens": input - cached, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": cached, "output_tokens": output,
            }),
            _ => json!({
                "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
                "prompt_tokens_details": {"cached_tokens": cached},
                "completion_tokens_details": {"reasoning_tokens": reasoning},
            }),
        }
    }

    fn count(&self, accounts: &Mutex<Accounts>) {
        let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let model = self.text("model").unwrap_or_default();
        for (token_type, member) in [
            ("input", "prompt_tokens"),
            ("output", "max_tokens"),
            ("cached", "cached_tokens"),
            ("reasoning", "reasoning_tokens"),
        ] {
            let says = match (&*self.path, token_type) {
                ("/v1/embeddings", of) => of == "input",
                ("/v1/messages", of) => of != "reasoning",
                _ => true,
            };
            if says {
                *accounts.entry((model.to_owned(), token_type)).or_default() += self.number(member);
            }
        }
    }

    /// The whole answer.
    fn whole(&self) -> Value {
        let text = "word ".repeat(usize::try_from(self.number("max_tokens")).unwrap_or(0));
        match &*self.path {
            "/v1/embeddings" => {
                json!({"object": "list", "data": [{"embedding": [0.5, -1e-3], "index": 0}], "usage": self.usage()})
            }
            "/v1/responses" => {
                json!({"object": "response", "output": [{"content": [{"text": text}]}], "usage": self.usage()})
            }
            "/v1/messages" => {
                json!({"type": "message", "content": [{"type": "text", "text": text}], "usage": self.usage()})
            }
            _ => {
                json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "text": text}], "usage": self.usage()})
            }
        }
    }

    /// The events of the answer, and whether they say what it costs.
    fn events(&self) -> (Vec<String>, bool) {
        let named = |event: &Value| {
            let name = event["type"].as_str().unwrap_or_default();
            format!("event: {name}\ndata: {event}\n\n")
        };
        let plain = |event: &Value| format!("data: {event}\n\n");
        let words = (0..self.number("max_tokens")).map(|n| format!(" \"w{n}\"{{\n"));
        let mut events = Vec::new();
        let says = match &*self.path {
            "/v1/responses" => {
                events
                    .push(named(&json!({"type": "response.created", "response": {"usage": null}})));
                events
                    .extend(words.map(|w| {
                        named(&json!({"type": "response.output_text.delta", "delta": w}))
                    }));
                events.push(named(&json!({"type": "response.completed", "response": {"output": [], "usage": self.usage()}})));
                true
            }
            "/v1/messages" => {
                let mut first = self.usage();
                if let Some(output) = first.get_mut("output_tokens") {
                    *output = json!(1);
                }
                events.push(named(&json!({"type": "message_start", "message": {"usage": first}})));
                events.extend(words.map(|w| named(&json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": w}}))));
                events.push(named(&json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": self.number("max_tokens")}})));
                events.push(named(&json!({"type": "message_stop"})));
                true
            }
            path => {
                let choice = |word: &str| match path {
                    "/v1/completions" => json!({"index": 0, "text": word}),
                    _ => json!({"index": 0, "delta": {"content": word}}),
                };
                events.push(plain(&json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})));
                events
                    .extend(words.map(|w| plain(&json!({"choices": [choice(&w)], "usage": null}))));
                let says = self.is("/stream_options/include_usage");
                if says {
                    events.push(plain(&json!({"choices": [], "usage": self.usage()})));
                }
                events.push("data: [DONE]\n\n".to_owned());
                says
            }
        };
        (events, says)
    }
}

async fn answer(
    request: Request<Incoming>,
    accounts: Arc<Mutex<Accounts>>,
) -> Result<Response<Channel<Bytes, Error>>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let asked = Asked { path, body: serde_json::from_slice(&body).unwrap_or_default() };
    let (sender, body) = Channel::<Bytes, Error>::new(1);
    let response = Response::builder();
    if asked.is("/stream") {
        tokio::spawn(async move {
            // The client may hang up.
            let _ = send_events(sender, &asked, &accounts).await;
        });
        return Ok(response
            .header("content-type", "text/event-stream; charset=utf-8")
            .body(body)?);
    }
    asked.count(&accounts);
    let coding = asked.text("content_encoding").unwrap_or("identity").to_owned();
    let whole = asked.whole().to_string();
    let mut sender = sender;
    tokio::spawn(async move { sender.send_data(whole.into()).await });
    let response = response.header("content-type", "application/json");
    Ok(response.header("content-encoding", coding).body(body)?)
}

async fn send_events(
    mut sender: Sender<Bytes, Error>,
    asked: &Asked,
    accounts: &Mutex<Accounts>,
) -> Result<()> {
    let (mut events, says) = asked.events();
    let breaks_off = asked.is("/breaks_off");
    if breaks_off {
        events.pop();
    } else if says {
        asked.count(accounts);
    }
    for event in events {
        sender.send_data(event.into()).await?;
        sleep(Duration::from_millis(asked.number("pause"))).await;
    }
    if breaks_off {
        sender.abort(Error::other("breaks off"));
    }
    Ok(())
}
