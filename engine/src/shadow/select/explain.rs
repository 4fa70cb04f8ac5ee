//! Why a request is copied for a shadow or not, for people: by the same tests as select it. No filter calls it.

use super::super::id::ShadowId;
use super::super::settings::Shadows;
use super::{SampleBy, is_never_copied};
use crate::reasons::reasons;
use crate::request::Request;
use crate::routing::Address;

reasons! {
    /// Why a shadow of the request's model gets no copy of it.
    pub enum Unselected {
        NeverCopied = "the request is a copy itself, a preflight, a stream or CONNECT",
        Operation = "the operation is none of its operations",
        Predictor = "its path has {predictor}, and the address names none",
        Sample = "its percentage leaves the request out",
        When = "its conditions do not hold",
    }
}

/// What a shadow of the request's model makes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShadowView {
    /// Which one.
    pub id: ShadowId,
    /// Why it gets no copy; nothing where it gets one.
    pub unselected: Option<Unselected>,
    /// Which share is copied.
    pub percent: f64,
    /// Whether the caller is sampled, not the request.
    pub by_principal: bool,
}

impl Shadows {
    /// What each shadow of the request's model makes of it: see [`Shadows::select`].
    pub fn explain(
        &self,
        request: &Request<'_>,
        address: &Address,
        principal: Option<&[u8]>,
        trusted: impl Fn() -> bool,
        mut when: impl FnMut(ShadowId) -> bool,
    ) -> Vec<ShadowView> {
        let Some(model) = &address.model else { return Vec::new() };
        let is_copy =
            |mark: &[u8]| self.seal.is_mark(mark, request.attributes().now()) || trusted();
        let is_never_copied = is_never_copied(request, is_copy);
        let request_id = request.header(b"x-request-id").filter(|id| !id.is_empty());
        let each = self.of_model(&model.id).into_iter().filter_map(|id| {
            let shadow = self.get(id)?;
            let unselected = if is_never_copied {
                Some(Unselected::NeverCopied)
            } else if !shadow.operations.contains(&address.operation) {
                Some(Unselected::Operation)
            } else if self.asks_for_predictor(id, shadow) && model.predictor.is_none() {
                Some(Unselected::Predictor)
            } else if !self.samples(shadow, principal, request_id) {
                Some(Unselected::Sample)
            } else if !when(id) {
                Some(Unselected::When)
            } else {
                None
            };
            let by_principal = shadow.sample_by == SampleBy::Principal && principal.is_some();
            Some(ShadowView { id, unselected, percent: shadow.percent, by_principal })
        });
        each.collect()
    }
}
