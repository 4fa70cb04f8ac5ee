//! Requests over connections that are kept alive, as cheap as it can be: it shares the machine with
//! the gateway that it measures.
//!
//! In a closed loop one thread serves all connections in turn. While it waits for one, the others'
//! requests are on their way, so the gateway always has something to do. In an open loop each
//! connection has a thread, and whichever is free takes the next request of a timetable, which does not
//! care how fast the answers come. Requests are due at random, as those of many callers who know
//! nothing of each other (a Poisson process).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

/// Longer than any answer of the measured gateways, with its headers.
const ANSWER_BYTES: usize = 1024 * 1024 + 16 * 1024;

/// A gateway that does not answer for so long is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Open connections, each with the request that it sends over and over.
#[derive(Debug)]
pub struct Load {
    connections: Vec<Connection>,
}

/// In which the threads of an open loop start.
const LEAD: Duration = Duration::from_millis(20);

/// What a run of the closed loop did.
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

    /// Sends so many requests over the first connection, one after the other.
    pub fn send(&mut self, requests: u64) -> Result<()> {
        let connection = self.connections.first_mut().context("no connection is open")?;
        for _ in 0..requests {
            connection.send()?;
            connection.receive()?;
        }
        Ok(())
    }

    /// Sends so many requests a second for `duration`, and returns how many seconds each took from
    /// the time at which it was due. One that cannot leave because all connections wait for answers
    /// has waited all the same: latencies that leave that out are too good. The same `seed` gives the
    /// same timetable.
    pub fn at_rate(&mut self, rate: f64, duration: Duration, seed: u64) -> Result<Vec<f64>> {
        let timetable = Mutex::new(timetable(seed, rate, duration));
        let start = Instant::now() + LEAD;
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .connections
                .iter_mut()
                .map(|connection| {
                    let next = || timetable.lock().unwrap_or_else(PoisonError::into_inner).next();
                    scope.spawn(move || connection.keep_to(start, next))
                })
                .collect();
            let mut all = Vec::new();
            for thread in threads {
                all.extend(thread.join().map_err(|_| anyhow!("a thread of the load died"))??);
            }
            Ok(all)
        })
    }
}

/// When requests are due, after the start: so many a second on the average.
fn timetable(seed: u64, rate: f64, duration: Duration) -> impl Iterator<Item = Duration> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut due = 0.0;
    let next = std::iter::repeat_with(move || {
        // Gaps of the exponential distribution; 1 - f64() is never 0.
        due -= (1.0 - random.f64()).ln() / rate;
        Duration::from_secs_f64(due)
    });
    next.take_while(move |due| *due < duration)
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

    fn keep_to(&mut self, start: Instant, next: impl Fn() -> Option<Duration>) -> Result<Vec<f64>> {
        let mut latencies = Vec::new();
        while let Some(after) = next() {
            let due = start + after;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.send()?;
            self.receive()?;
            latencies.push(due.elapsed().as_secs_f64());
        }
        Ok(latencies)
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
    if lines.clone().any(|line| line == b"transfer-encoding: chunked\r") {
        // The last chunk, behind another or the headers.
        return answer.ends_with(b"\r\n0\r\n\r\n").then_some(answer.len());
    }
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
    fn an_answer_ends_with_its_length_or_its_last_chunk() {
        for (answer, is_whole) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", false),
        ] {
            let length = is_whole.then_some(answer.len());
            assert_eq!(complete(answer.as_bytes()), length, "{answer:?}");
        }
    }

    #[test]
    fn a_request_that_was_held_up_has_waited() -> Result<()> {
        const STALL: Duration = Duration::from_millis(300);
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let to = listener.local_addr()?;
        let server = std::thread::spawn(move || -> Result<u32> {
            let (mut stream, _) = listener.accept()?;
            let mut answered = 0;
            while stream.read(&mut [0; 64])? > 0 {
                if answered == 0 {
                    std::thread::sleep(STALL);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
                answered += 1;
            }
            Ok(answered)
        });
        let mut load = Load::open(to, &[b"GET / HTTP/1.1\r\n\r\n".to_vec()])?;
        let latencies = load.at_rate(100.0, Duration::from_secs(1), 1)?;
        drop(load);
        assert_eq!(server.join().unwrap()? as usize, latencies.len());
        // Only the first was slow, but about ten more were due in each tenth of a second of its stall.
        let waited = latencies.iter().filter(|seconds| **seconds > 0.1).count();
        assert!(waited >= 10, "{waited}");
        Ok(())
    }

    #[test]
    fn a_timetable_keeps_its_rate_and_its_seed() {
        let dues =
            |seed| -> Vec<Duration> { timetable(seed, 100.0, Duration::from_secs(100)).collect() };
        let (one, two) = (dues(1), dues(2));
        assert!((9_700..10_300).contains(&one.len()), "{}", one.len());
        assert!(one.is_sorted() && one == dues(1) && one != two);
        // Gaps of an exponential distribution: 1 in e is longer than the mean.
        let gaps = one.windows(2).filter(|pair| pair[1] - pair[0] > Duration::from_millis(10));
        assert!((3_400..4_000).contains(&gaps.count()));
    }

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
