//! Who looks on while a request is decided: in the gateway nobody, and of these calls nothing is left in the module.

use super::copies::Admits;
use super::route::Route;
use crate::authz::Subject;
use crate::request::Edits;

/// How far a request has come when its edits are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Clients' copies of what only the gateway may set have gone.
    Sanitized,
    /// What was accepted has gone, and claims have come.
    Authenticated,
    /// Every other credential has gone, and the rewrite is carried out.
    Rewritten,
    /// It has the id that Seldon's servers log.
    Identified,
    /// Its variant stands in a header.
    Varied,
}

/// Who looks on.
pub(super) trait Watch {
    /// Whether a shadow could get a copy now.
    fn admits(&self) -> Admits<'_>;
    /// Where it goes is known.
    fn routed(&mut self, _: &Route) {}
    /// Bypasses are asked about this, and then, unless one matches, authentication.
    fn bypasses(&mut self, _: &Subject<'_>, _: Option<usize>) {}
    /// Policies are asked about this.
    fn authorizes(&mut self, _: &Subject<'_>, _bypassed: bool) {}
    /// Shadows are.
    fn selects(&mut self, _: &Subject<'_>) {}
    /// Splits are.
    fn splits(&mut self, _: &Subject<'_>) {}
    /// Quotas are.
    fn limits(&mut self, _: &Subject<'_>) {}
    /// What changes, as of now.
    fn edited(&mut self, _: Stage, _: &Edits) {}
}

/// Nobody looks on.
pub(super) struct Unwatched<'a>(pub(super) Admits<'a>);

impl Watch for Unwatched<'_> {
    fn admits(&self) -> Admits<'_> {
        self.0
    }
}
