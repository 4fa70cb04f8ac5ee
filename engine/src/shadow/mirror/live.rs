//! What the mirror is told about the live answer.

use super::{Exchange, ExchangeId, Head, Header, Mirror, Outcome, ShadowObserver};

impl Mirror {
    /// The live model's headers.
    pub fn live_head(
        &mut self,
        id: ExchangeId,
        head: &Head,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) {
        let Some(open) = self.open(id) else { return };
        if head.effective_status() >= 500 {
            self.settle(id, Outcome::LiveFailed, observer);
        } else if head.is_stream() {
            self.leave_stream(id, observer);
        } else if !open.live_body.admits(head.length) {
            self.settle(id, Outcome::TooLarge, observer);
        } else {
            open.live_since = now;
            open.live_head = Some(head.clone());
        }
    }

    /// More of the live model's body.
    pub fn live_chunk(&mut self, id: ExchangeId, chunk: &[u8], observer: &mut dyn ShadowObserver) {
        let Some(shadow) = self.exchanges.get(id).map(|exchange| exchange.shadow) else { return };
        let appended = self.with_room(shadow, Some(id), observer, |mirror| {
            let open = mirror.open(id).filter(|open| open.live_took.is_none());
            open.map_or(Ok(()), |open| open.live_body.append(chunk))
        });
        if let Err(outcome) = appended {
            self.settle(id, outcome, observer);
        }
    }

    /// The live model's trailers.
    pub fn live_trailers(&mut self, id: ExchangeId, trailers: &[Header<'_>]) {
        if let Some(head) = self.open(id).and_then(|open| open.live_head.as_mut()) {
            head.add_trailers(trailers);
        }
    }

    /// The live answer is complete. A copy that waited for it is queued. Its last bytes have not been
    /// passed on, so nothing is compared here.
    pub fn live_complete(&mut self, id: ExchangeId, now: u64, observer: &mut dyn ShadowObserver) {
        self.clock = now;
        let Some(exchange) = self.exchanges.get_mut(id) else { return };
        let took = now.saturating_sub(exchange.received);
        let Some(open) = exchange.open.as_mut().filter(|open| open.live_took.is_none()) else {
            return;
        };
        // What is known of gRPC may have come with the trailers.
        let has_failed = |head: &Head| head.effective_status() >= 500 || head.lacks_status();
        if open.live_head.as_ref().is_none_or(has_failed) {
            return self.settle(id, Outcome::LiveFailed, observer);
        }
        open.live_took = Some(took);
        self.ready(id, now, observer);
        self.enqueue(id, observer);
    }

    /// Whether the live answer has yet to become complete.
    pub fn awaits_live(&self, id: ExchangeId) -> bool {
        let open = self.exchanges.get(id).and_then(|exchange| exchange.open.as_ref());
        open.is_some_and(|open| open.live_took.is_none())
    }

    /// The live answer is not the model's: a local reply (`response.code_details` other than
    /// `via_upstream`), or the model broke off.
    pub fn live_failed(&mut self, id: ExchangeId, observer: &mut dyn ShadowObserver) {
        if self.awaits_live(id) {
            self.settle(id, Outcome::LiveFailed, observer);
        }
    }

    /// The live stream is over: what it did not complete it never will.
    pub fn closed(&mut self, id: ExchangeId, observer: &mut dyn ShadowObserver) {
        let unfinished = |exchange: &Exchange| {
            exchange.receiving().is_some()
                || exchange.open.as_ref().is_some_and(|open| open.live_took.is_none())
        };
        if self.exchanges.get(id).is_some_and(unfinished) {
            self.settle(id, Outcome::Orphaned, observer);
        }
    }
}
