//! Who makes room for another exchange: those that a client keeps waiting, or that are late to be compared.
//!
//! A client may take as long as it likes to send a request, or to read an answer. Its exchange keeps its
//! bytes meanwhile, but only as long as nobody else needs them: a few idle connections would else
//! switch a shadow off.

use super::super::body_buffer::Missed;
use super::{Exchange, ExchangeId, Mirror, Outcome, ShadowId, ShadowObserver};
use crate::time::SECOND;

/// How long a client may take before its exchange makes room for others, in nanoseconds. To drop exchanges at
/// once, whenever there are more than fit, would let none of them become complete.
pub(super) const PATIENCE: u64 = SECOND;

/// Requests that may arrive at once, for each copy that may be under way: most arrive in an instant,
/// some take a while.
pub(super) const ARRIVING: usize = 4;

impl Mirror {
    /// Tries until there is room, as long as others can make some; `except` stays.
    pub(super) fn with_room<T>(
        &mut self,
        shadow: ShadowId,
        except: Option<ExchangeId>,
        observer: &mut dyn ShadowObserver,
        mut attempt: impl FnMut(&mut Self) -> Result<T, Missed>,
    ) -> Result<T, Outcome> {
        loop {
            let missed = match attempt(self) {
                Ok(done) => return Ok(done),
                Err(missed) => missed,
            };
            let made = match missed {
                Missed::TooLarge => false,
                Missed::Own => {
                    self.make_room(except, observer, |exchange| exchange.shadow == shadow)
                }
                Missed::Whole => self.make_room(except, observer, |_| true),
            };
            if !made {
                return Err(missed.into());
            }
        }
    }

    /// Whether one more request may arrive.
    pub(super) fn has_place(
        &mut self,
        shadow: ShadowId,
        observer: &mut dyn ShadowObserver,
    ) -> bool {
        let most = self.shadows.get(shadow).map_or(0, |rules| rules.in_flight);
        let most = most.saturating_mul(ARRIVING);
        let is_arriving =
            |exchange: &Exchange| exchange.shadow == shadow && exchange.receiving().is_some();
        self.states.get(shadow.index()).is_some_and(|state| state.receiving < most)
            || self.make_room(None, observer, is_arriving)
    }

    /// Drops the exchange that has waited longest for its client or its turn, among these and for long enough.
    fn make_room(
        &mut self,
        except: Option<ExchangeId>,
        observer: &mut dyn ShadowObserver,
        among: impl Fn(&Exchange) -> bool,
    ) -> bool {
        let now = self.clock;
        let slow = |(id, exchange): (ExchangeId, &Exchange)| {
            let since =
                exchange.gives_way_since().filter(|_| among(exchange) && Some(id) != except)?;
            // After a clock that was set back, too.
            (now.abs_diff(since) > PATIENCE).then_some((since, id))
        };
        let slowest = self.exchanges.iter().filter_map(slow).min();
        let Some((_, id)) = slowest else { return false };
        self.settle(id, Outcome::OverBudget, observer);
        true
    }
}
