//! What came back for a copy, and whether it is an answer.

use super::{Head, Header, Mirror, Outcome, REFUSALS, ShadowId, ShadowObserver};

/// What came back for a copy.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// Header lines; none at all for a connection that was reset.
    pub headers: &'a [Header<'a>],
    /// Trailer lines.
    pub trailers: &'a [Header<'a>],
    /// The body, or as much of it as [`Mirror::wanted`](super::Mirror::wanted) said.
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

impl Mirror {
    /// Tells the remedy where a shadow, or the live model itself, refuses what the live model answers:
    /// more likely it is not reached rightly than that it knows better.
    pub(super) fn note_refusal(
        &mut self,
        shadow: ShadowId,
        live: &Head,
        answer: &Head,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) {
        let (Some(state), Some(rules)) =
            (self.states.get_mut(shadow.index()), self.shadows.get(shadow))
        else {
            return;
        };
        let status = answer.effective_status();
        let is_refusal =
            (200..300).contains(&live.effective_status()) && (400..500).contains(&status);
        state.refusals = if is_refusal { state.refusals.saturating_add(1) } else { 0 };
        let text = if rules.baseline_of.is_some() && status == 404 && is_refusal {
            "answered 404 to what the live model has answered: copies do not follow what a route \
             rewrites, the path of this one belongs into compare.baselinePath"
                .to_owned()
        } else if state.refusals >= REFUSALS {
            format!(
                "answered {REFUSALS} copies in a row with 4xx, the last one with {status}, that the \
                 live model answered with 2xx: is its path another one behind the route, its model's \
                 name (gRPC has it in the message), or does it ask for a credential of its own?"
            )
        } else {
            return;
        };
        self.warn_once(Some(shadow), |warned| &mut warned.elsewhere, now, observer, &text);
    }
}

/// Whether so long was the whole timeout. Envoy counts it from when its event loop last looked at the clock, which is
/// before the call: seen from here it ends early, the more so the busier the worker is.
pub(super) fn is_late(took: u64, timeout: u64) -> bool {
    took >= timeout.saturating_sub(timeout / 8)
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
