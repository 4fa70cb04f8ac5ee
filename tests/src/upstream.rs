//! A server on a free loopback port that records what it receives, and is slow or fails on demand.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::shown;
use crate::wait::until;

/// A request as it arrived.
#[derive(Clone)]
pub struct Received {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `Host`, or `:authority`.
    pub authority: String,
    /// Header lines, names in lower case; lines of one name stand together.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Bytes,
    /// When the body was complete.
    pub at: Instant,
}

impl std::fmt::Debug for Received {
    /// As text, each part shortened.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}{}", self.method, self.authority, self.path)?;
        for (name, value) in &self.headers {
            write!(f, " | {name}: {}", shown(value))?;
        }
        write!(f, " | {}", shown(&self.body))
    }
}

impl Received {
    /// The first line of this name (in lower case), as text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.lines(name).next().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Every line of this name (in lower case).
    pub fn lines<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_slice())
    }
}

/// What the server answers.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// An answer with a content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// How a server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answers this status without asking the handler.
    Status(u16),
    /// Closes the connection without an answer.
    Reset,
    /// Never answers.
    Hang,
}

type Handler = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

#[derive(Debug, Default)]
struct Behaviour {
    delay: Duration,
    fault: Option<Fault>,
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    behaviour: Mutex<Behaviour>,
    held: watch::Sender<bool>,
}

/// A running server, HTTP/1.1 and HTTP/2 without TLS; stops when dropped. Needs a Tokio runtime.
pub struct Upstream {
    address: SocketAddr,
    handler: Handler,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Upstream {
    /// Starts a server with these answers.
    pub async fn start(
        handler: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), handler).await
    }

    /// Starts a server at an address of the caller's own network.
    pub async fn start_at(
        address: SocketAddr,
        handler: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let handler: Handler = Arc::new(handler);
        let state = Arc::new(State::default());
        let serving = tokio::spawn(serve(listener, Arc::clone(&handler), Arc::clone(&state)));
        Ok(Self { address, handler, state, serving })
    }

    /// A server that answers 200 with a text that names it: which upstream was reached?
    pub async fn echo(name: &str) -> Result<Self> {
        let name = name.to_owned();
        Self::start(move |_| Answer::new(200, "text/plain", name.clone())).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits this long before each answer from now on.
    pub fn set_delay(&self, delay: Duration) {
        lock(&self.state.behaviour).delay = delay;
    }

    /// Keeps every answer back from now on, until [`release`](Self::release).
    pub fn hold(&self) {
        self.state.held.send_replace(true);
    }

    /// Answers what was held, and whatever comes.
    pub fn release(&self) {
        self.state.held.send_replace(false);
    }

    /// Fails this way from now on; `None` heals it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        lock(&self.state.behaviour).fault = fault;
    }

    /// Closes the port and every connection.
    pub async fn stop(&mut self) {
        self.serving.abort();
        // An aborted task ends with an error; what counts is that it has ended.
        let _ = (&mut self.serving).await;
    }

    /// Listens on the same port again after [`stop`](Self::stop).
    pub async fn restart(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await.context("the port is taken by now")?;
        let (handler, state) = (Arc::clone(&self.handler), Arc::clone(&self.state));
        self.serving = tokio::spawn(serve(listener, handler, state));
        Ok(())
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.received).clone()
    }

    /// Forgets what was received.
    pub fn forget(&self) {
        lock(&self.state.received).clear();
    }

    /// Waits until `count` requests were received.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> Result<Vec<Received>> {
        until(&format!("{count} requests at {}", self.address), limit, async || {
            let received = self.received();
            Ok((received.len() >= count).then_some(received))
        })
        .await
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Connections are tasks of a set that is dropped, and with it they are, when this is aborted.
async fn serve(listener: TcpListener, handler: Handler, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (handler, state) = (Arc::clone(&handler), Arc::clone(&state));
        connections.spawn(async move {
            // Nagle's algorithm would add its delay to the latencies that tests measure.
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| {
                answer(request, Arc::clone(&handler), Arc::clone(&state))
            });
            let server = Builder::new(TokioExecutor::new());
            // A peer that hangs up is no failure of the server.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An error closes the connection without an answer.
async fn answer(
    request: hyper::Request<Incoming>,
    handler: Handler,
    state: Arc<State>,
) -> Result<hyper::Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let lines = parts.headers.iter();
    let headers: Vec<_> = lines.map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
    let host =
        parts.headers.get("host").map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let received = Received {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        authority: parts.uri.authority().map(ToString::to_string).or(host).unwrap_or_default(),
        headers,
        body,
        at: Instant::now(),
    };
    let (delay, fault) = {
        let behaviour = lock(&state.behaviour);
        (behaviour.delay, behaviour.fault)
    };
    lock(&state.received).push(received.clone());
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    state.held.subscribe().wait_for(|held| !held).await?;
    let answer = match fault {
        None => handler(&received),
        Some(Fault::Status(status)) => Answer::new(status, "text/plain", "failing as told"),
        Some(Fault::Reset) => anyhow::bail!("resetting as told"),
        Some(Fault::Hang) => std::future::pending().await,
    };
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(answer.body))?)
}

/// The data stay usable if a handler panicked: the test fails anyway.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
