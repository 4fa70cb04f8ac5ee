//! The second half of a decision, where the body names the model: what the headers alone decide comes first, and what the
//! model decides when it is known.

use super::copies::Copies;
use super::watch::{Unwatched, Watch};
use super::{AwaitedModel, Decision, Facts, Forward, LocalReply, Next, Plan};
use crate::authz::Subject;
use crate::config::types::Mode;
use crate::quota::CountId;
use crate::refusal::Refusal;
use crate::request::{Edits, Request};
use crate::shadow::{Outcome, ShadowId};
use crate::telemetry::Verdict;

const OTHER_HEADER: Refusal = Refusal::new("a routing header names another model than the body");

/// What is answered where more of a body would have to be kept back than may be.
const TOO_LARGE: Refusal = Refusal::new("the body does not name its model soon enough");

impl Plan {
    /// Refuses what no model could let through.
    pub(super) fn authorize_any_model(
        &self,
        subject: &Subject<'_>,
        facts: &mut Facts,
    ) -> Result<(), LocalReply> {
        match self.authorizer.refuses_any_model(subject) {
            Some(authorization) => Err(self.denied(subject.request, authorization, facts)),
            None => Ok(()),
        }
    }

    /// Decides a request of which the headers have gone on, and the body names this model. The facts are those that
    /// came with `awaited`. What goes on has no edits: no header can be changed any more, so no split applies.
    pub fn decide_model(
        &self,
        request: &Request<'_>,
        awaited: &AwaitedModel,
        model: &str,
        facts: Facts,
        admits: impl Fn(ShadowId) -> Result<(), Outcome>,
    ) -> Decision {
        self.decide_model_before(request, awaited, model, facts, &mut Unwatched(&admits))
    }

    /// The same before somebody who looks on.
    pub(super) fn decide_model_before(
        &self,
        request: &Request<'_>,
        awaited: &AwaitedModel,
        model: &str,
        mut facts: Facts,
        watch: &mut impl Watch,
    ) -> Decision {
        let next = match self.run_model(request, awaited, model, &mut facts, watch) {
            Ok((copies, counts)) => {
                let (set_cookie, variant) = (awaited.set_cookie.clone(), awaited.variant);
                let edits = Edits::default();
                Next::Forward(Forward { edits, set_cookie, variant, copies, counts })
            }
            Err(reply) => Next::Reply(reply),
        };
        self.carried_out(Decision { facts, next })
    }

    fn run_model(
        &self,
        request: &Request<'_>,
        awaited: &AwaitedModel,
        model: &str,
        facts: &mut Facts,
        watch: &mut impl Watch,
    ) -> Result<(Copies, Vec<CountId>), LocalReply> {
        // By these a gateway behind this one may choose another pool than the body's, unless the address is their own.
        let names = [&b"x-gateway-model-name"[..], b"x-gateway-base-model-name"];
        let mut named = names.iter().flat_map(|name| awaited.forwarded.lines(request, name));
        let is_other =
            |line: &[u8]| line != model.as_bytes() && !awaited.address.is_published_as(line);
        if named.any(is_other) {
            facts.verdict = Verdict::Refused;
            return Err(refused_body(OTHER_HEADER));
        }
        let address = awaited.address.with_model(model);
        facts.model = address.model.as_ref().map(|model| model.id.clone());
        let identity = facts.identity.clone();
        let (edits, address) = (&awaited.seen, Some(&address));
        let subject = Subject { request, edits, address, identity: identity.as_deref() };
        watch.authorizes(&subject, awaited.bypass.is_some());
        self.authorize(&subject, awaited.bypass, facts)?;
        watch.selects(&subject);
        let shadows = self.select(&subject);
        let counts = self.counts(&subject, facts, watch);
        let subject = Subject { edits: &awaited.forwarded, ..subject };
        Ok((self.copies(&subject, &shadows, watch.admits()), counts))
    }

    /// A request whose body names no model, or more than one, or nothing that can be read.
    pub fn refuse_body(&self, mut facts: Facts, refusal: Refusal) -> Decision {
        facts.verdict = Verdict::Refused;
        let next = Next::Reply(refused_body(refusal));
        self.carried_out(Decision { facts, next })
    }

    /// A request of which too much would have to be kept back.
    pub fn refuse_large_body(&self, mut facts: Facts) -> Decision {
        facts.verdict = Verdict::Refused;
        let next = Next::Reply(super::refused(TOO_LARGE, 413, "modelgate_large_body", None));
        self.carried_out(Decision { facts, next })
    }

    /// Bytes of bodies that may be kept back: of one request, and of all.
    pub fn kept_bytes(&self) -> (usize, usize) {
        (self.body.max_kept.0, self.body.total.0)
    }

    /// In REPORT mode only what would have been.
    pub(super) fn carried_out(&self, decision: Decision) -> Decision {
        if self.mode == Mode::Report { decision.report_only() } else { decision }
    }
}

/// The answer to a request whose body no server may see, or not to its end.
pub fn refused_body(refusal: Refusal) -> LocalReply {
    super::refused(refusal, 400, "modelgate_refused_body", None)
}
