//! Bodies in pieces, with trailers, over HTTP/1.1 and HTTP/2: a server that sends each request back
//! while it comes, and a client that sends no piece before the last one is back.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::client::lines;
use crate::wait::until;

/// The longest that an exchange may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What one side has received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Path and query of a request, status of an answer.
    pub start: String,
    /// Header lines, names in lower case; lines of one name stand together.
    pub headers: Vec<(String, String)>,
    /// The pieces of the body as one.
    pub body: Vec<u8>,
    /// Trailer lines.
    pub trailers: Vec<(String, String)>,
}

impl Message {
    fn new(start: impl ToString, headers: &HeaderMap) -> Self {
        Self { start: start.to_string(), headers: lines(headers), ..Self::default() }
    }

    fn add(&mut self, frame: &Frame<Bytes>) {
        if let Some(piece) = frame.data_ref() {
            self.body.extend_from_slice(piece);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers.extend(lines(trailers));
        }
    }
}

/// A server on a free loopback port that answers 200 with the body and the trailers of the request,
/// as they come. Header lines `mirror-NAME` come back as `NAME`, `mirror-status` as the status of an
/// answer that waits for nothing. Stops when dropped.
#[derive(Debug)]
pub struct Mirror {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Message>>>,
    serving: JoinHandle<()>,
}

impl Mirror {
    /// Starts one that speaks HTTP/1.1 and HTTP/2.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let received = Arc::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&received)));
        Ok(Self { address, received, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until this many requests came and ended, whole or not, and hands them over in the order
    /// in which they ended.
    pub async fn take(&self, count: usize) -> Result<Vec<Message>> {
        until(&format!("{count} requests at the mirror"), LIMIT, async || {
            let mut received = lock(&self.received);
            Ok((received.len() >= count).then(|| std::mem::take(&mut *received)))
        })
        .await
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, received: Arc<Mutex<Vec<Message>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let received = Arc::clone(&received);
        connections.spawn(async move {
            // Nagle's algorithm would hold small pieces back.
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| {
                std::future::ready(reflect(request, Arc::clone(&received)))
            });
            // A peer that hangs up is no failure of the server.
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn reflect(
    request: Request<Incoming>,
    received: Arc<Mutex<Vec<Message>>>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let mut record = Record { message: Message::new(path, &parts.headers), into: received };
    let mut response = Response::builder();
    for (name, value) in &parts.headers {
        match name.as_str().strip_prefix("mirror-") {
            Some("status") => {
                let empty = Empty::new().map_err(|never| match never {}).boxed();
                return Ok(response.status(value.as_bytes()).body(empty)?);
            }
            Some(name) => response = response.header(name, value),
            None => {}
        }
    }
    Ok(response.body(body.inspect_frame(move |frame| record.message.add(frame)).boxed())?)
}

/// A request that is being received: kept with the others when it is over.
struct Record {
    message: Message,
    into: Arc<Mutex<Vec<Message>>>,
}

impl Drop for Record {
    fn drop(&mut self) {
        lock(&self.into).push(std::mem::take(&mut self.message));
    }
}

/// A POST to be sent.
#[derive(Debug, Clone, Default)]
pub struct Post {
    path: String,
    headers: Vec<(String, String)>,
    pieces: Vec<Bytes>,
    trailers: Vec<(String, String)>,
    breaks_off: bool,
}

impl Post {
    /// A POST to `models.example.com` without a body.
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    /// Adds a header line. Without a `content-length` a body has no announced length.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a piece to the body.
    #[must_use]
    pub fn piece(mut self, piece: impl Into<Bytes>) -> Self {
        self.pieces.push(piece.into());
        self
    }

    /// Adds these bytes in pieces of at most `size`.
    #[must_use]
    pub fn pieces(mut self, bytes: &[u8], size: usize) -> Self {
        self.pieces.extend(bytes.chunks(size).map(Bytes::copy_from_slice));
        self
    }

    /// Adds a trailer line.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Resets the stream (HTTP/2) or the connection (HTTP/1.1) in place of the end.
    #[must_use]
    pub fn break_off(mut self) -> Self {
        self.breaks_off = true;
        self
    }

    /// The whole body.
    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    fn request(
        &self,
        body: BoxBody<Bytes, io::Error>,
    ) -> Result<Request<BoxBody<Bytes, io::Error>>> {
        let mut request = Request::post(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(body)?)
    }
}

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    Http2,
}

/// A connection for one exchange after another.
#[derive(Debug)]
pub struct Client {
    sender: Sender,
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<BoxBody<Bytes, io::Error>>),
    Http2(http2::SendRequest<BoxBody<Bytes, io::Error>>),
}

impl Client {
    /// Connects.
    pub async fn connect(protocol: Protocol, to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let stream = TokioIo::new(stream);
        // How a connection ended shows in its exchanges.
        Ok(match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                let driver = tokio::spawn(async { drop(connection.await) });
                Self { sender: Sender::Http1(sender), driver }
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                let driver = tokio::spawn(async { drop(connection.await) });
                Self { sender: Sender::Http2(sender), driver }
            }
        })
    }

    /// Sends the request, each piece after the one before has come back, and returns the answer.
    /// An answer may end before the request does.
    pub async fn exchange(&mut self, post: &Post) -> Result<Message> {
        let exchange = tokio::time::timeout(LIMIT, self.take_turns(post));
        exchange.await.context("no complete answer in time")?
    }

    async fn take_turns(&mut self, post: &Post) -> Result<Message> {
        let (mut pieces, body) = Channel::<Bytes, io::Error>::new(1);
        let bodiless = post.pieces.is_empty() && post.trailers.is_empty() && !post.breaks_off;
        let body = if bodiless {
            Empty::new().map_err(|never| match never {}).boxed()
        } else {
            body.boxed()
        };
        let answer = self.send(post.request(body)?).await?;
        let mut message = Message::new(answer.status().as_u16(), answer.headers());
        let mut answer = answer.into_body();
        let mut sent = 0;
        for piece in &post.pieces {
            sent += piece.len();
            // A server that has answered in full may stop reading.
            let _ = pieces.send_data(piece.clone()).await;
            while message.body.len() < sent {
                let Some(frame) = answer.frame().await else { return Ok(message) };
                message.add(&frame?);
            }
        }
        if post.breaks_off {
            pieces.abort(io::Error::other("breaking off as told"));
            return Ok(message);
        }
        if !post.trailers.is_empty() {
            let mut trailers = HeaderMap::new();
            for (name, value) in &post.trailers {
                trailers.append(hyper::header::HeaderName::try_from(name)?, value.parse()?);
            }
            let _ = pieces.send_trailers(trailers).await;
        }
        drop(pieces);
        while let Some(frame) = answer.frame().await {
            message.add(&frame?);
        }
        Ok(message)
    }

    async fn send(
        &mut self,
        mut request: Request<BoxBody<Bytes, io::Error>>,
    ) -> Result<Response<Incoming>> {
        const AUTHORITY: &str = "models.example.com";
        Ok(match &mut self.sender {
            Sender::Http1(sender) => {
                request.headers_mut().insert(hyper::header::HOST, AUTHORITY.parse()?);
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                *request.uri_mut() = format!("http://{AUTHORITY}{}", request.uri()).parse()?;
                sender.ready().await?;
                sender.send_request(request).await?
            }
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The data stay usable if a task panicked: the test fails anyway.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_and_trailers_come_back() -> Result<()> {
        let mirror = Mirror::start().await?;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut client = Client::connect(protocol, mirror.address()).await?;
            let post = Post::new("/a?b")
                .header("te", "trailers")
                .header("trailer", "x-end")
                .header("mirror-trailer", "x-end")
                .piece("one")
                .piece("two")
                .trailer("x-end", "now");
            let answer = client.exchange(&post).await?;
            let end = [("x-end".to_owned(), "now".to_owned())];
            assert_eq!((&*answer.start, &*answer.body), ("200", &b"onetwo"[..]), "{protocol:?}");
            assert_eq!(answer.trailers, end, "{protocol:?}");
            let received = mirror.take(1).await?;
            assert_eq!((&*received[0].start, &*received[0].body), ("/a?b", &b"onetwo"[..]));
            assert_eq!(received[0].trailers, end, "{protocol:?}");
            let early = client.exchange(&post.clone().header("mirror-status", "413")).await?;
            assert_eq!((&*early.start, &*early.body), ("413", &b""[..]));
            mirror.take(1).await?;
            let mut client = Client::connect(protocol, mirror.address()).await?;
            assert_eq!(client.exchange(&Post::new("/").piece("x").break_off()).await?.body, b"x");
            assert_eq!(mirror.take(1).await?[0].body, b"x");
            let mut client = Client::connect(protocol, mirror.address()).await?;
            assert_eq!(client.exchange(&Post::new("/")).await?.body, b"");
            assert_eq!(mirror.take(1).await?[0].start, "/");
        }
        Ok(())
    }
}
