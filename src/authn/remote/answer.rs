//! What an answer to a fetch means.

use super::super::jwks::{KeySet, Note};
use super::schedule;
use crate::config::read::words;
use crate::request::Header;

words! {
    /// What became of a fetch: the `result` of `modelgate_jwks_fetches_total`.
    pub enum FetchResult {
        /// A key set.
        Ok = "ok",
        /// Nobody could be reached, or the answer was not 200.
        Failed = "failed",
        /// No answer in time.
        Timeout = "timeout",
        /// More bytes than are read.
        TooLarge = "too_large",
        /// Not a key set, or one without a key that can verify. Never a rotation: an issuer that
        /// serves an empty set by mistake would lock everybody out.
        Unusable = "unusable",
    }
}

/// The most keys of a set: a token without a key id has each of them tried.
const MAX_KEYS: usize = 256;

/// An answer.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// Header lines; none at all for a connection that was reset.
    pub headers: &'a [Header<'a>],
    /// The body, or nothing where it is longer than [`Remote::max_bytes`](super::Remote::max_bytes).
    pub body: &'a [u8],
    /// How long the whole body is.
    pub body_len: usize,
}

impl std::fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("body_len", &self.body_len).finish_non_exhaustive()
    }
}

/// A set that was read.
#[derive(Debug)]
pub struct Good {
    pub set: KeySet,
    /// The issuer's wish, in nanoseconds.
    pub max_age: Option<u64>,
    /// How many keys are left out, and why the first of them.
    pub left_out: Option<(usize, &'static str)>,
}

/// Why there is no set.
#[derive(Debug)]
pub struct Failed {
    pub result: FetchResult,
    /// For the log.
    pub what: String,
}

impl Failed {
    fn new(result: FetchResult, what: impl Into<String>) -> Self {
        Self { result, what: what.into() }
    }

    /// The proxy could not even try.
    pub fn unreachable() -> Self {
        let what = "there is no such cluster, or it has no endpoint";
        Self::new(FetchResult::Failed, what)
    }
}

impl Answer<'_> {
    /// The set, or why there is none. `late`: the timeout has passed.
    pub fn read(&self, max_bytes: usize, late: bool) -> Result<Good, Failed> {
        use FetchResult as R;
        let first = |name: &[u8]| self.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        // Envoy's own answers lack this line.
        let from_upstream = first(b"x-envoy-upstream-service-time").is_some();
        match first(b":status") {
            Some(b"200") => {}
            Some(b"504") if !from_upstream => {
                return Err(Failed::new(R::Timeout, "no answer in time"));
            }
            _ if late && !from_upstream => {
                return Err(Failed::new(R::Timeout, "no answer in time"));
            }
            None => return Err(Failed::new(R::Failed, "the connection was closed")),
            Some(b"503") if !from_upstream => {
                return Err(Failed::new(R::Failed, "the cluster cannot be reached, or broke off"));
            }
            Some(status) => {
                let status = String::from_utf8_lossy(status.get(..3).unwrap_or(status));
                let what = format!("the answer was {}", status.escape_debug());
                return Err(Failed::new(R::Failed, what));
            }
        }
        if self.body_len > max_bytes {
            let what = format!("the answer has {} bytes, more than jwks.maxBytes", self.body_len);
            return Err(Failed::new(R::TooLarge, what));
        }
        let mut left_out = None;
        let set = KeySet::read(self.body, &mut |_, note| {
            if let Note::LeftOut(what) = note {
                let (count, first) = left_out.unwrap_or((0_usize, what));
                left_out = Some((count.saturating_add(1), first));
            }
        });
        let set = set.map_err(|unusable| Failed::new(R::Unusable, format!("it {unusable}")))?;
        if set.len() > MAX_KEYS {
            return Err(Failed::new(R::Unusable, format!("it has more than {MAX_KEYS} keys")));
        }
        Ok(Good { set, max_age: schedule::max_age(self.headers), left_out })
    }
}
