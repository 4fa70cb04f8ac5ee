//! Quotas: asked last, when a request is allowed, and charged when its answer is over.

use super::watch::Watch;
use super::{Decision, Facts, LocalReply, Next, Plan};
use crate::authz::Subject;
use crate::config::types::Mode;
use crate::quota::{CountId, Exceeded, SharedData};
use crate::request::Edits;
use crate::telemetry::Verdict;
use crate::usage::Report;

/// gRPC's RESOURCE_EXHAUSTED, which clients take for a quota: Envoy's own mapping of 429 is UNAVAILABLE.
const RESOURCE_EXHAUSTED: u32 = 8;

impl Plan {
    /// The counts that an allowed request belongs to. What a bypass lets through counts nowhere; nor does a preflight, which asks
    /// for no prediction: nobody is known by it, so that browsers would use up each other's.
    #[inline]
    pub(super) fn counts(
        &self,
        subject: &Subject<'_>,
        facts: &Facts,
        watch: &mut impl Watch,
    ) -> Vec<CountId> {
        let counts = !self.quotas.is_empty() && facts.verdict == Verdict::Allowed;
        if !counts || subject.request.is_preflight() {
            return Vec::new();
        }
        watch.limits(subject);
        self.quotas.of(subject)
    }

    /// An answer that is to be read comes without a content coding.
    pub(super) fn read_answer(&self, reads: bool, edits: &mut Edits) {
        if reads {
            edits.remove(b"accept-encoding");
        }
    }

    /// Counts a request that goes on. Where a quota is used up it does not, unless decisions are only reported.
    pub fn limit(&self, decision: &mut Decision, data: &dyn SharedData, now: u64) {
        let Next::Forward(forward) = &mut decision.next else { return };
        let Err(exceeded) = self.quotas.take(&forward.counts, data, now) else { return };
        decision.facts.verdict = Verdict::Limited;
        decision.facts.exceeded = Some(exceeded);
        forward.counts.clear();
        if self.mode != Mode::Report {
            decision.next = Next::Reply(self.exceeded(exceeded));
        }
    }

    fn exceeded(&self, exceeded: Exceeded) -> LocalReply {
        LocalReply {
            code: 429,
            body: "quota exceeded",
            www_authenticate: None,
            details: format!("modelgate_quota_exceeded[{}]", self.quotas.name(exceeded.quota)),
            retry_after: Some(exceeded.retry_after),
            grpc_status: Some(RESOURCE_EXHAUSTED),
            path: None,
        }
    }

    /// Charges the answer to a request that was counted.
    pub fn charge(&self, counts: &[CountId], report: &Report, data: &dyn SharedData, now: u64) {
        self.quotas.charge(counts, report, data, now);
    }

    /// How many quotas there are.
    pub fn quotas(&self) -> usize {
        self.quotas.len()
    }
}
