//! Both answers: kept until they can be compared, what is noise, and what comes of it.

use std::rc::Rc;

use super::super::body_buffer::BodyBuffer;
use super::super::compare::{About, Agreement, Comparison, Noise, Whole};
use super::super::exchange::{NoiseBaseline, Open, Stored};
use super::super::quota::Reservation;
use super::work::Size;
use super::{Exchange, ExchangeId, Head, Mirror, Outcome, ShadowObserver};

/// A shadow's complete answer.
#[derive(Debug)]
pub(super) struct Arrived<'a> {
    pub head: Head,
    pub body: &'a [u8],
    /// Nanoseconds since its copy was sent.
    pub took: u64,
}

impl Mirror {
    /// An exchange hears from its baseline what is noise, and waits for its turn if it only waited for that.
    pub(super) fn noise_known(
        &mut self,
        id: ExchangeId,
        noise: Noise,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) {
        let Some(shadow) = self.exchanges.get(id).map(|exchange| exchange.shadow) else { return };
        let Some(quota) = self.quota(shadow) else { return };
        let mut reservation = Reservation::new(&quota);
        let taken =
            self.with_room(shadow, Some(id), observer, |_| Ok(reservation.reserve(noise.bytes())?));
        if let Err(outcome) = taken {
            return self.settle(id, outcome, observer);
        }
        let Some(open) = self.open(id) else { return };
        open.noise = NoiseBaseline::Known { noise: Rc::new(noise), _reservation: reservation };
        self.ready(id, now, observer);
    }

    /// An exchange hears that its baseline cannot tell. It is uncomparable as soon as it could be
    /// compared, also if the answers agree: to count only those would make the shadow better than
    /// it is.
    pub(super) fn noise_unavailable(&mut self, id: ExchangeId, observer: &mut dyn ShadowObserver) {
        let Some(open) = self.open(id) else { return };
        open.noise = NoiseBaseline::Unavailable;
        if open.live_took.is_some() && open.answer.is_some() {
            self.settle(id, Outcome::Uncomparable, observer);
        }
    }

    /// A shadow's complete answer: compared, or kept until the live one is complete, or it is its turn.
    pub(super) fn answered(
        &mut self,
        id: ExchangeId,
        answer: Arrived<'_>,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) {
        let Arrived { head, body, took } = answer;
        let whole = Whole { head: &head, body };
        let is_complete = |open: &Open| open.live_took.is_some() && !open.waits_for_noise();
        let is_turn = self
            .exchanges
            .get(id)
            .and_then(|exchange| exchange.open.as_ref())
            .is_some_and(is_complete)
            && self.may_compare(id, whole, now);
        let Some(Exchange { shadow, open, .. }) = self.exchanges.get(id) else { return };
        let shadow = *shadow;
        let (Some(rules), Some(quota)) = (self.shadows.get(shadow), self.quota(shadow)) else {
            return;
        };
        match open {
            None => {
                self.exchanges.remove(id);
            }
            Some(_) if is_turn => {
                self.compare(id, whole, took, now, observer);
            }
            Some(_) => {
                let mut kept = BodyBuffer::new(&quota, rules.response_bytes);
                match self.with_room(shadow, Some(id), observer, |_| kept.append(body)) {
                    Ok(()) => {
                        if let Some(open) = self.open(id) {
                            open.answer = Some(Stored { head, body: kept, took });
                        }
                        self.ready(id, now, observer);
                    }
                    Err(outcome) => self.settle(id, outcome, observer),
                }
            }
        }
    }

    /// The outcome of an exchange, and the steps that it took.
    pub(super) fn compare(
        &mut self,
        id: ExchangeId,
        answer: Whole<'_>,
        took: u64,
        now: u64,
        observer: &mut dyn ShadowObserver,
    ) -> u32 {
        let Some(Exchange { shadow, serves, open: Some(open), .. }) = self.exchanges.remove(id)
        else {
            return 0;
        };
        if let Some(live) = &open.live_head {
            self.note_refusal(shadow, live, answer.head, now, observer);
        }
        let Some(rules) = self.shadows.get(shadow) else { return 0 };
        if !open.may_agree() {
            observer.outcome(shadow, Outcome::Uncomparable);
            return 0;
        }
        let (Some(head), Some(live_took)) = (&open.live_head, open.live_took) else { return 0 };
        let live = Whole { head, body: open.live_body.bytes() };
        let about = About {
            message: open.message,
            noise: match &open.noise {
                NoiseBaseline::Known { noise, .. } => Some(Rc::clone(noise)),
                _ => None,
            },
            is_baseline: rules.baseline_of.is_some(),
        };
        let compared = rules.compare.compare(live, answer, &about);
        let Comparison { agreement, max_score_delta, noise, steps } = compared;
        self.work.pay(Size::of_pair(&live, &answer), shadow, steps, now);

        observer.latencies(shadow, millis(live_took), millis(took));
        if let Some(delta) = max_score_delta {
            observer.score_difference(shadow, millionths(delta));
        }
        match agreement {
            Agreement::Matched => observer.outcome(shadow, Outcome::Matched),
            Agreement::Mismatched(report) => {
                observer.outcome(shadow, Outcome::Mismatched);
                for kind in &report.kinds {
                    observer.difference(shadow, *kind);
                }
                let text = format!("differs from the live model ({}): {report}", open.about);
                self.log(Some(shadow), now, observer, &text);
            }
            Agreement::Uncomparable(reason) => {
                observer.outcome(shadow, Outcome::Uncomparable);
                let text = format!("cannot be compared ({}): {reason}", open.about);
                self.log(Some(shadow), now, observer, &text);
            }
        }
        if let Some(served) = serves {
            match noise.filter(Noise::is_complete) {
                Some(noise) => self.noise_known(served, noise, now, observer),
                None => self.noise_unavailable(served, observer),
            }
        }
        steps
    }
}

/// Nanoseconds in milliseconds, to the nearest.
fn millis(nanos: u64) -> u64 {
    nanos.saturating_add(500_000) / 1_000_000
}

/// Larger ones would make a sum of them useless.
const MOST_MILLIONTHS: f64 = 1e15;

fn millionths(difference: f64) -> u64 {
    (difference * 1e6).round().min(MOST_MILLIONTHS) as u64
}
