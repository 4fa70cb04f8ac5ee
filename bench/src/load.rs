//! A closed loop of requests over connections that are kept alive, as cheap as it can be: it shares
//! the machine with the gateway that it measures.
//!
//! One thread serves all connections in turn. While it waits for one, the others' requests are on
//! their way, so the gateway always has something to do.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Longer than any answer of the measured gateways.
const ANSWER_BYTES: usize = 16 * 1024;

/// A gateway that does not answer for so long is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Open connections, each with the request that it sends over and over.
#[derive(Debug)]
pub struct Load {
    connections: Vec<Connection>,
}

/// What a run of the loop did.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Requests answered with 200.
    pub requests: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Load {
    /// Opens a connection for each request.
    pub fn open(to: SocketAddr, requests: &[Vec<u8>]) -> Result<Self> {
        let connections = requests.iter().map(|request| Connection::open(to, request));
        Ok(Self { connections: connections.collect::<Result<_>>()? })
    }

    /// Sends for `duration`; an answer other than 200 is an error.
    pub fn run(&mut self, duration: Duration) -> Result<Sent> {
        let start = Instant::now();
        for connection in &mut self.connections {
            connection.send()?;
        }
        let mut requests = 0;
        let mut last = false;
        while !last {
            last = start.elapsed() >= duration;
            for connection in &mut self.connections {
                connection.receive()?;
                requests += 1;
                if !last {
                    connection.send()?;
                }
            }
        }
        Ok(Sent { requests, elapsed: start.elapsed() })
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(to: SocketAddr, request: &[u8]) -> Result<Self> {
        let stream = TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, request: request.to_vec(), buffer: vec![0; ANSWER_BYTES] })
    }

    fn send(&mut self) -> Result<()> {
        Ok(self.stream.write_all(&self.request)?)
    }

    fn receive(&mut self) -> Result<()> {
        let mut filled = 0;
        loop {
            let free = self.buffer.get_mut(filled..).unwrap_or_default();
            let read = self.stream.read(free).context("no answer from the gateway")?;
            filled += read;
            let answer = self.buffer.get(..filled).unwrap_or_default();
            if let Some(length) = complete(answer) {
                if !answer.starts_with(b"HTTP/1.1 200 ") || length != filled {
                    bail!("not the answer 200: {}", String::from_utf8_lossy(answer));
                }
                return Ok(());
            }
            if read == 0 {
                bail!("the gateway ended the connection: {}", String::from_utf8_lossy(answer));
            }
        }
    }
}

/// The length of the answer, once all of it is here.
fn complete(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let lines = answer.get(..head)?.split(|byte| *byte == b'\n');
    let value = lines.filter_map(|line| line.strip_prefix(b"content-length: ")).next();
    let length: usize = match value {
        Some(value) => std::str::from_utf8(value).ok()?.trim().parse().ok()?,
        None => 0,
    };
    (answer.len() >= head + length).then_some(head + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nserver: envoy\r\n\r\nok";
        for end in 0..answer.len() {
            assert_eq!(complete(&answer[..end]), None);
        }
        assert_eq!(complete(answer), Some(answer.len()));
        assert_eq!(complete(b"HTTP/1.1 204 No Content\r\n\r\n"), Some(27));
    }
}
