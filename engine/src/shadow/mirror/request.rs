//! What the mirror is told about the request.

use super::super::comparable;
use super::super::settings::{are_other_pods, share_pods};
use super::{CopyState, Exchange, ExchangeId, Mirror, Outcome, ShadowId, ShadowObserver};

impl Mirror {
    /// More of the request's body.
    pub fn request_chunk(
        &mut self,
        id: ExchangeId,
        chunk: &[u8],
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) {
        self.clock = now;
        let Some(exchange) = self.exchanges.get_mut(id) else { return };
        exchange.receives(now);
        let shadow = exchange.shadow;
        let appended = self.with_room(shadow, Some(id), observer, |mirror| {
            match mirror.exchanges.get_mut(id).map(|exchange| &mut exchange.copy) {
                Some(CopyState::Receiving(copy)) => copy.body.append(chunk),
                _ => Ok(()),
            }
        });
        if let Err(outcome) = appended {
            self.settle(id, outcome, observer);
        }
    }

    /// Whether all bytes that were announced are there: the end of an HTTP/2 stream may come in a
    /// frame of its own, after the live answer.
    pub fn is_whole(&self, id: ExchangeId) -> bool {
        let copy = self.exchanges.get(id).and_then(Exchange::receiving);
        copy.is_some_and(|copy| copy.head.length == Some(copy.body.bytes().len()))
    }

    /// The request is complete, whose exchanges these are: the copies are queued, if there is room.
    /// `live` is the cluster that the live model is reached by, where that is known.
    ///
    /// A copy for the live model itself waits until its answer is complete: many servers work on
    /// one request at a time, and some break a stream off as soon as another request comes.
    pub fn request_complete(
        &mut self,
        ids: &[ExchangeId],
        live: Option<&[u8]>,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) {
        self.clock = now;
        let receiving = |id: &ExchangeId| self.exchanges.get(*id).and_then(Exchange::receiving);
        // What is left to be copied is the same for each.
        let body = ids.iter().find_map(receiving).map_or(&b""[..], |copy| copy.body.bytes());
        let is_stream = comparable::asks_for_stream(body);
        let bytes = body.len();
        for id in ids {
            if let Some(shadow) = self.exchanges.get(*id).map(|exchange| exchange.shadow) {
                self.work.pay_for_request(shadow, bytes, now);
            }
            self.received(*id, is_stream, live, now, observer);
        }
    }

    fn received(
        &mut self,
        id: ExchangeId,
        is_stream: bool,
        live: Option<&[u8]>,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) {
        let Some(exchange) =
            self.exchanges.get_mut(id).filter(|exchange| exchange.receiving().is_some())
        else {
            return;
        };
        exchange.receives(now);
        if is_stream {
            return self.leave_stream(id, observer);
        }
        let is_same = exchange.receiving().is_some_and(|copy| copy.head.is_same);
        let (Some(state), Some(rules), Some(open)) = (
            self.states.get_mut(exchange.shadow.index()),
            self.shadows.get(exchange.shadow),
            &exchange.open,
        ) else {
            return;
        };
        if exchange.copy.hold() {
            state.receiving = state.receiving.saturating_sub(1);
        }
        let live = live.and_then(|live| std::str::from_utf8(live).ok());
        let is_baseline = rules.baseline_of.is_some();
        if is_baseline && live.is_some_and(|live| are_other_pods(live, &rules.cluster)) {
            return self.leave_other_pods(id, observer);
        }
        if !is_baseline && is_same && live == Some(&*rules.cluster) {
            return self.leave_itself(id, observer);
        }
        let is_live = is_baseline || live.is_some_and(|live| share_pods(live, &rules.cluster));
        if !is_live || open.live_took.is_some() {
            self.enqueue(id, observer);
        }
    }

    /// Queues a copy whose request is complete.
    pub(super) fn enqueue(&mut self, id: ExchangeId, observer: &mut dyn ShadowObserver) {
        let Some(exchange) = self.exchanges.get_mut(id) else { return };
        let (Some(state), Some(rules)) =
            (self.states.get_mut(exchange.shadow.index()), self.shadows.get(exchange.shadow))
        else {
            return;
        };
        if !matches!(exchange.copy, CopyState::Held(_)) {
            return;
        }
        if state.is_full(rules) {
            return self.settle(id, Outcome::OverBudget, observer);
        }
        if exchange.copy.queue() {
            state.queued = state.queued.saturating_add(1);
            self.queue.push_back(id);
        }
    }

    /// What other pods answer says nothing of how far the live model is from itself.
    fn leave_other_pods(&mut self, id: ExchangeId, observer: &mut dyn ShadowObserver) {
        let Some(shadow) = self.exchanges.get(id).map(|exchange| exchange.shadow) else { return };
        self.settle(id, Outcome::Uncomparable, observer);
        let text = "is not asked: compare.baselineCluster names another subset than the live model's, \
                    which takes some requests or all";
        self.warn_once(Some(shadow), |warned| &mut warned.elsewhere, self.clock, observer, text);
    }

    /// The live model always agrees with itself: it would make its shadow better than it is.
    fn leave_itself(&mut self, id: ExchangeId, observer: &mut dyn ShadowObserver) {
        let Some(shadow) = self.exchanges.get(id).map(|exchange| exchange.shadow) else { return };
        self.settle(id, Outcome::Uncomparable, observer);
        let text = "is not asked where it is the live model itself: the live request's cluster, and no path, authority or \
                    header of its own";
        self.warn_once(Some(shadow), |warned| &mut warned.itself, self.clock, observer, text);
    }

    /// A stream of events has no answer that could be compared, and is not asked for twice.
    pub(super) fn leave_stream(&mut self, id: ExchangeId, observer: &mut dyn ShadowObserver) {
        let Some(shadow) = self.exchanges.get(id).map(|exchange| exchange.shadow) else { return };
        self.settle(id, Outcome::Uncomparable, observer);
        self.warn_of_stream(shadow, observer);
    }

    pub(super) fn warn_of_stream(&mut self, shadow: ShadowId, observer: &mut dyn ShadowObserver) {
        let text = "is not asked for streams of events, another protocol (`upgrade`), by HEAD and OPTIONS, or by GET \
                    without its query (query.keep): such requests are uncomparable";
        self.warn_once(Some(shadow), |warned| &mut warned.stream, self.clock, observer, text);
    }
}
