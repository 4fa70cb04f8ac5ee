//! What an answer to a fetch means.

use std::borrow::Cow;

use super::super::jwks::KeySet;
use super::super::remarks::Remarks;
use super::schedule;
use crate::config::declare::words;
use crate::encoding::{self, Encoding};
use crate::path::without_query;
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

/// How many characters of a redirect's target are shown.
const TARGET_SHOWN: usize = 128;

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
    /// What an operator should know of its keys.
    pub remarks: Option<String>,
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
                let mut what = format!("the answer was {}", status.escape_debug());
                if let Some(target) = first(b"location").filter(|_| status.starts_with('3')) {
                    // Query and fragment are not for a log.
                    let target = String::from_utf8_lossy(without_query(target));
                    what.push_str(
                        ", and redirects are not followed: jwksUri and jwksCluster must lead to ",
                    );
                    what.extend(target.escape_debug().take(TARGET_SHOWN));
                }
                return Err(Failed::new(R::Failed, what));
            }
        }
        if self.body_len > max_bytes {
            let what = format!("the answer has {} bytes, more than jwks.maxBytes", self.body_len);
            return Err(Failed::new(R::TooLarge, what));
        }
        let body = self.inflated(max_bytes, first(b"content-encoding"))?;
        let mut remarks = Remarks::default();
        let set = KeySet::read(&body, &mut remarks)
            .map_err(|unusable| Failed::new(R::Unusable, format!("it {unusable}")))?;
        Ok(Good { set, max_age: schedule::max_age(self.headers), remarks: remarks.of_fetched() })
    }

    /// The body without its coding: some servers compress unasked.
    fn inflated(&self, max_bytes: usize, coding: Option<&[u8]>) -> Result<Cow<'_, [u8]>, Failed> {
        let coding = coding.map_or(Encoding::Identity, Encoding::of);
        encoding::decode(coding, self.body, max_bytes).ok_or_else(|| {
            let what = "its content-encoding is not gzip or deflate, or it does not inflate within \
                        jwks.maxBytes";
            Failed::new(FetchResult::Unusable, what)
        })
    }
}
