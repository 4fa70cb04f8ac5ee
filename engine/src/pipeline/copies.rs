//! Which shadows get a copy, and the heads of the copies.

use super::Plan;
use crate::authn::Identity;
use crate::authz::Subject;
use crate::path::{without_fragment, without_query};
use crate::routing::is_stream;
use crate::shadow::{self, CopyHead, Outcome, ShadowId};

/// The shadows that a request was selected for, as they stand in [`Plan::shadows`], and the heads of the copies, or the
/// outcome that they have already. A baseline follows its shadow.
pub(super) type Copies = Vec<(ShadowId, Result<CopyHead, Outcome>)>;

/// Whether a shadow could get a copy now. By reference: the way of a request is in the module once.
pub(super) type Admits<'a> = &'a dyn Fn(ShadowId) -> Result<(), Outcome>;

impl Plan {
    /// The shadows that get a copy.
    pub(super) fn select(&self, subject: &Subject<'_>) -> Vec<ShadowId> {
        let Some(address) = subject.address.filter(|_| !self.shadows.is_empty()) else {
            return Vec::new();
        };
        let principal = subject.identity.and_then(Identity::principal);
        self.shadows.select(
            subject.request,
            address,
            principal.as_deref().map(str::as_bytes),
            || self.is_trusted(subject.request),
            |shadow| self.when.get(shadow.index()).is_some_and(|when| when.matches(subject)),
        )
    }

    /// Prepares the copies, from what goes upstream: the subject's edits are those that the model sees.
    pub(super) fn copies(
        &self,
        subject: &Subject<'_>,
        shadows: &[ShadowId],
        admits: Admits<'_>,
    ) -> Copies {
        let mut copies = Vec::new();
        let (request, edits) = (subject.request, subject.edits);
        let Some(address) = subject.address.filter(|_| !shadows.is_empty()) else { return copies };
        let Some(model) = &address.model else { return copies };
        let lines = shadow::upstream(request, edits, address.routed);
        // Where a rewrite leads to one, too.
        let path = lines.iter().find(|(name, _)| *name == b":path").map(|(_, path)| *path);
        if path.is_some_and(|path| is_stream(without_query(path))) {
            return copies;
        }
        let now = request.attributes().now();
        let uncomparable = shadow::is_uncomparable(&lines).then_some(Outcome::Uncomparable);
        // `GET` says all that it asks in its query: without it the shadow would be asked something else.
        let asks = request.method == b"GET" && path.is_some_and(has_query);
        let prepare = |shadow| match uncomparable.map_or_else(|| admits(shadow), Err) {
            Ok(()) => {
                let copy = self.shadows.prepare_copy(shadow, &lines, model, now)?;
                Some(if asks && !copy.has_query() { Err(Outcome::Uncomparable) } else { Ok(copy) })
            }
            Err(outcome) => Some(Err(outcome)),
        };
        for shadow in shadows {
            let Some(copy) = prepare(*shadow) else { continue };
            let baseline = self.shadows.baseline(*shadow).filter(|_| copy.is_ok());
            let with_baseline = baseline.and_then(|baseline| Some((baseline, prepare(baseline)?)));
            copies.push((*shadow, copy));
            copies.extend(with_baseline);
        }
        copies
    }
}

/// Whether a path has a query that is not empty.
fn has_query(path: &[u8]) -> bool {
    without_fragment(path).len() > without_query(path).len().saturating_add(1)
}
