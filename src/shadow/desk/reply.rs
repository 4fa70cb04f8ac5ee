//! What came back for a copy, and whether it is an answer.

use super::{Head, Header, Outcome};

/// What came back for a copy.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// Header lines; none at all for a connection that was reset.
    pub headers: &'a [Header<'a>],
    /// Trailer lines.
    pub trailers: &'a [Header<'a>],
    /// The body, or as much of it as [`Desk::wanted`](super::Desk::wanted) said.
    pub body: &'a [u8],
    /// How long the whole body is.
    pub body_len: usize,
}

impl std::fmt::Debug for Answer<'_> {
    /// Never shows what a model said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("body_len", &self.body_len).finish_non_exhaustive()
    }
}

/// What an answer is, if it is not the model's. `late`: the timeout has passed.
///
/// Envoy answers a call itself with 504 when it took too long and with 503 when nobody could be
/// reached (for gRPC, 200 with the status that stands for it); such answers lack
/// `x-envoy-upstream-service-time`. A reset (status 0) after the timeout counts as too late, too. A
/// shadow that lets nobody in (401, 403) says nothing about its model.
pub(super) fn failure(head: &Head, late: bool) -> Option<Outcome> {
    match head.effective_status() {
        504 if !head.from_upstream => Some(Outcome::Timeout),
        0 if late => Some(Outcome::Timeout),
        503 if late && !head.from_upstream => Some(Outcome::Timeout),
        503 if !head.from_upstream => Some(Outcome::ShadowFailed),
        0 | 401 | 403 => Some(Outcome::ShadowFailed),
        _ => None,
    }
}
