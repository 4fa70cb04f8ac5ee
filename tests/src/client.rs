//! An HTTP/1.1 client that sends exactly the bytes it is given, and the same request over HTTP/2.
//!
//! Header values may hold any byte, names may repeat, paths may be nonsense. It stops reading at the
//! end of the body: Envoy keeps a connection that it refuses with an unread body open for a second.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// The longest that a request may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A request, as bytes.
#[derive(Clone)]
pub struct Request {
    method: String,
    path: Vec<u8>,
    authority: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
    source: Option<IpAddr>,
}

impl std::fmt::Debug for Request {
    /// As text, each part shortened: this is read by people whose test failed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, shown(&self.path))?;
        for (name, value) in &self.headers {
            write!(f, " | {name}: {}", shown(value))?;
        }
        write!(f, " | {}", shown(&self.body))
    }
}

impl Request {
    /// A request to `models.example.com` without further headers.
    pub fn new(method: &str, path: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            path: path.as_ref().to_vec(),
            authority: Some("models.example.com".to_owned()),
            headers: Vec::new(),
            body: Bytes::new(),
            source: None,
        }
    }

    /// A GET.
    pub fn get(path: impl AsRef<[u8]>) -> Self {
        Self::new("GET", path)
    }

    /// A POST of JSON.
    pub fn post_json(path: impl AsRef<[u8]>, body: &Value) -> Self {
        Self::new("POST", path).header("content-type", "application/json").body(body.to_string())
    }

    /// Adds a header line, also if there is one of this name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds `authorization: Bearer <token>`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sets the `Host` header; `None` leaves it out.
    #[must_use]
    pub fn authority(mut self, authority: Option<&str>) -> Self {
        self.authority = authority.map(str::to_owned);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends from this loopback address instead of 127.0.0.1.
    #[must_use]
    pub fn from(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// The address that it is sent from, if that is not left to the system.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// Sends over a new HTTP/1.1 connection.
    pub async fn send(&self, to: SocketAddr) -> Result<Response> {
        let sent = async {
            let mut connection = self.connect(to).await?;
            connection.send(self).await
        };
        tokio::time::timeout(LIMIT, sent).await.context("no complete answer in time")?
    }

    /// Opens a connection for several requests.
    pub async fn connect(&self, to: SocketAddr) -> Result<Connection> {
        Ok(Connection { stream: self.tcp(to).await?, unread: Vec::new() })
    }

    /// Sends over a new HTTP/2 connection without TLS, as gRPC clients in a test do.
    pub async fn send_http2(&self, to: SocketAddr) -> Result<Response> {
        let sent = async {
            let start = Instant::now();
            let stream = TokioIo::new(self.tcp(to).await?);
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
            let driver = tokio::spawn(connection);
            let path = std::str::from_utf8(&self.path).context("HTTP/2 paths here are text")?;
            let authority = self.authority.as_deref().unwrap_or("models.example.com");
            let mut request = hyper::Request::builder()
                .method(self.method.as_str())
                .uri(format!("http://{authority}{path}"));
            for (name, value) in &self.headers {
                request = request.header(name.as_str(), value.as_slice());
            }
            let answer = sender.send_request(request.body(Full::new(self.body.clone()))?).await?;
            let (parts, body) = answer.into_parts();
            let collected = body.collect().await?;
            let mut headers = lines(&parts.headers);
            headers.extend(collected.trailers().map(lines).unwrap_or_default());
            driver.abort();
            Ok(Response {
                status: parts.status.as_u16(),
                headers,
                body: collected.to_bytes().to_vec(),
                elapsed: start.elapsed(),
            })
        };
        tokio::time::timeout(LIMIT, sent).await.context("no complete answer in time")?
    }

    async fn tcp(&self, to: SocketAddr) -> Result<TcpStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(to).await.with_context(|| format!("cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The request as it goes over the wire.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.path);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        let mut line = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        if let Some(authority) = &self.authority {
            line("host", authority.as_bytes());
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        let framed = |name: &String| {
            name.eq_ignore_ascii_case("content-length")
                || name.eq_ignore_ascii_case("transfer-encoding")
        };
        let bodiless = self.body.is_empty() && matches!(self.method.as_str(), "GET" | "HEAD");
        if !bodiless && !self.headers.iter().any(|(name, _)| framed(name)) {
            line("content-length", self.body.len().to_string().as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An HTTP/1.1 connection that is kept alive.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    /// Sends a request and reads the answer, which may come before the request is sent as a whole.
    pub async fn send(&mut self, request: &Request) -> Result<Response> {
        let start = Instant::now();
        let bytes = request.to_bytes();
        let (mut reader, mut writer) = self.stream.split();
        let mut answer = Answer { reader: &mut reader, unread: &mut self.unread };
        let write = async {
            // A server that has refused the request may stop reading it: its answer is what counts.
            let _ = writer.write_all(&bytes).await;
            std::future::pending::<Result<Response>>().await
        };
        let mut response = tokio::select! {
            response = answer.read(request.method == "HEAD") => response?,
            never = write => never?,
        };
        response.elapsed = start.elapsed();
        Ok(response)
    }
}

/// Sends requests over a connection of any kind, one after the other, and returns the answers that came
/// before the server closed it.
pub async fn exchange<S>(stream: S, requests: &[Request]) -> Result<Vec<Response>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut unread = Vec::new();
    let mut answer = Answer { reader: &mut reader, unread: &mut unread };
    let mut responses = Vec::with_capacity(requests.len());
    let exchanged = async {
        for request in requests {
            let bytes = request.to_bytes();
            // A server that does not read on may still have answered.
            let _ = writer.write_all(&bytes).await;
            let _ = writer.flush().await;
            let Ok(response) = answer.read(request.method == "HEAD").await else { break };
            let last = response.header("connection") == Some("close");
            responses.push(response);
            if last {
                break;
            }
        }
    };
    tokio::time::timeout(LIMIT, exchanged).await.context("no complete answers in time")?;
    Ok(responses)
}

/// An answer that is being read.
struct Answer<'a, R> {
    reader: &'a mut R,
    unread: &'a mut Vec<u8>,
}

impl<R: tokio::io::AsyncRead + Unpin> Answer<'_, R> {
    async fn read(&mut self, head_only: bool) -> Result<Response> {
        let mut response = self.head().await?;
        while response.status < 200 {
            response = self.head().await?;
        }
        let bodiless = head_only || matches!(response.status, 204 | 304);
        let length = response.header("content-length").map(str::parse::<usize>).transpose()?;
        let chunked = response.header("transfer-encoding").is_some_and(|v| v.contains("chunked"));
        response.body = match (bodiless, length) {
            (true, _) => Vec::new(),
            (false, _) if chunked => self.chunks().await?,
            (false, Some(length)) => self.take(length).await?,
            (false, None) => self.rest().await?,
        };
        Ok(response)
    }

    async fn head(&mut self) -> Result<Response> {
        let status_line = self.line().await?;
        let status = status_line.split(' ').nth(1).unwrap_or_default();
        let status = status.parse().with_context(|| format!("not a status line: {status_line}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Response { status, headers, body: Vec::new(), elapsed: Duration::ZERO })
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.line().await?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).context("not the size of a chunk")?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size).await?);
            self.line().await?;
        }
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.unread.len() < length {
            self.more().await?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    async fn rest(&mut self) -> Result<Vec<u8>> {
        self.reader.read_to_end(self.unread).await?;
        Ok(std::mem::take(self.unread))
    }

    async fn more(&mut self) -> Result<()> {
        if self.reader.read_buf(self.unread).await? == 0 {
            bail!("the connection ended before the answer did");
        }
        Ok(())
    }
}

/// An answer.
#[derive(Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header lines in order, names in lower case; with HTTP/2 the trailers follow.
    pub headers: Vec<(String, String)>,
    /// The body, without chunking.
    pub body: Vec<u8>,
    /// From the first byte sent (with HTTP/2: from connecting) to the last byte received.
    pub elapsed: Duration,
}

impl std::fmt::Debug for Response {
    /// As text, each part shortened.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            write!(f, " | {name}: {}", shown(value.as_bytes()))?;
        }
        write!(f, " | {}", shown(&self.body))
    }
}

impl Response {
    /// The first line of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, not JSON: {}", self.status, self.text()))
    }
}

/// The first 200 bytes, escaped where they are no printable ASCII.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let start = bytes.get(..200).unwrap_or(bytes);
    let more = if start.len() < bytes.len() { "..." } else { "" };
    format!("{}{more}", start.escape_ascii())
}

pub(crate) fn lines(headers: &hyper::HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}
