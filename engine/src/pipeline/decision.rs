//! What a decision is: what is known of the request, and how it goes on or is answered.

use std::rc::Rc;

use crate::authn::{Identity, MissingKeys, TokenResults};
use crate::authz::{Effect, PolicyId};
use crate::quota::{CountId, Exceeded};
use crate::request::Edits;
use crate::routing::{Address, Operation};
use crate::shadow::{CopyHead, Outcome, ShadowId};
use crate::split::VariantId;
use crate::telemetry::Verdict;

/// What becomes of a request.
#[derive(Debug)]
pub struct Decision {
    /// What is known of it, for counters and logs.
    pub facts: Facts,
    /// What is done with it.
    pub next: Next,
}

/// What is known of a request once it is decided.
#[derive(Debug)]
pub struct Facts {
    /// How it is counted.
    pub verdict: Verdict,
    /// `namespace/name` of the model that is reached.
    pub model: Option<Rc<str>>,
    /// What is done with it.
    pub operation: Option<Operation>,
    /// Who is calling, where a token or key says so.
    pub identity: Option<Rc<Identity>>,
    /// The policy that decided.
    pub policy: Option<PolicyId>,
    /// Which of its rules did, or which bypass, from 0.
    pub rule: Option<usize>,
    /// The quota that is used up.
    pub exceeded: Option<Exceeded>,
    /// Claims that have an output header, and cannot stand in one.
    pub unwritable_claims: u32,
    /// What every policy that matched contributes to the counters.
    pub effects: Vec<(PolicyId, Effect)>,
    /// What every token contributes to the counters.
    pub tokens: TokenResults,
    /// Keys that authentication lacked. Where they can be waited for, this decision is what holds
    /// if they do not come in time: decide again when they may have come.
    pub missing_keys: Option<MissingKeys>,
}

/// One of them: nothing that is answered is changed or copied.
#[derive(Debug)]
pub enum Next {
    /// The request goes on.
    Forward(Forward),
    /// The filter answers it.
    Reply(LocalReply),
    /// Its headers go on, and the body says which model it is. Until that is decided, nothing of the body does.
    AwaitModel(Box<AwaitedModel>),
}

/// What is decided of a request before its model is known.
#[derive(Debug)]
pub struct AwaitedModel {
    /// What changes of its headers, `:path` and `:authority` included.
    pub edits: Edits,
    /// Whether its body is kept back meanwhile; else it is only looked at.
    pub keeps_body: bool,
    /// The edits that policies see.
    pub(super) seen: Edits,
    /// Those that the model will, also where they are only reported.
    pub(super) forwarded: Edits,
    pub(super) address: Address,
    /// The bypass that fits.
    pub(super) bypass: Option<usize>,
    /// Of a split for the model that the address names.
    pub(super) set_cookie: Option<Vec<u8>>,
    /// The same split's variant.
    pub(super) variant: Option<VariantId>,
}

/// A request that goes on.
#[derive(Debug, Default)]
pub struct Forward {
    /// What changes before, `:path` and `:authority` included.
    pub edits: Edits,
    /// A `Set-Cookie` that the response gets.
    pub set_cookie: Option<Vec<u8>>,
    /// The variant that it goes to.
    pub variant: Option<VariantId>,
    /// The shadows that it was selected for, as they stand in [`Plan::shadows`](super::Plan::shadows), and the heads of the
    /// copies, or the outcome that they have already. A baseline follows its shadow.
    pub copies: Vec<(ShadowId, Result<CopyHead, Outcome>)>,
    /// The counts of quotas that it belongs to, for [`Plan::limit`](super::Plan::limit).
    pub counts: Vec<CountId>,
}

/// A local reply: an answer that the filter gives itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalReply {
    /// HTTP status.
    pub code: u32,
    /// Plain text.
    pub body: &'static str,
    /// The challenge of a 401, or of authentication's 403.
    pub www_authenticate: Option<String>,
    /// For `%RESPONSE_CODE_DETAILS%`.
    pub details: String,
    /// In seconds: when a 429 may be tried again.
    pub retry_after: Option<u32>,
    /// Where Envoy's own mapping from the HTTP status would mislead.
    pub grpc_status: Option<u32>,
    /// The path for access logs, if the request's own has tokens in it.
    pub path: Option<Vec<u8>>,
}

impl Decision {
    /// The answer that the filter gives itself, if it gives one.
    pub fn reply(&self) -> Option<&LocalReply> {
        match &self.next {
            Next::Forward(_) | Next::AwaitModel(_) => None,
            Next::Reply(reply) => Some(reply),
        }
    }

    /// What changes of the request's headers, if it goes on.
    pub fn edits(&self) -> Option<&Edits> {
        match &self.next {
            Next::Forward(forward) => Some(&forward.edits),
            Next::AwaitModel(awaited) => Some(&awaited.edits),
            Next::Reply(_) => None,
        }
    }

    /// How the request goes on, if it does.
    pub fn forward(&self) -> Option<&Forward> {
        match &self.next {
            Next::Forward(forward) => Some(forward),
            Next::Reply(_) | Next::AwaitModel(_) => None,
        }
    }

    /// The same for a proxy that shows another path meanwhile than this one, which the request came with.
    #[must_use]
    pub fn with_path(mut self, path: Option<&[u8]>) -> Self {
        let edits = match &mut self.next {
            Next::Forward(forward) => Some(&mut forward.edits),
            Next::AwaitModel(awaited) => Some(&mut awaited.edits),
            Next::Reply(_) => None,
        };
        if let Some((edits, path)) = edits.zip(path)
            && !edits.added().any(|(name, _)| name == b":path")
        {
            edits.set(b":path", path);
        }
        self
    }

    /// Says what would have been, and changes nothing but counts of quotas. To be held is a change, too.
    pub(super) fn report_only(self) -> Self {
        let missing_keys =
            self.facts.missing_keys.map(|missing_keys| MissingKeys { wait: None, ..missing_keys });
        let next = match self.next {
            Next::AwaitModel(awaited) => Next::AwaitModel(Box::new(AwaitedModel {
                edits: Edits::default(),
                keeps_body: false,
                set_cookie: None,
                variant: None,
                ..*awaited
            })),
            Next::Forward(Forward { counts, .. }) => {
                Next::Forward(Forward { counts, ..Forward::default() })
            }
            Next::Reply(_) => Next::Forward(Forward::default()),
        };
        Self { facts: Facts { missing_keys, ..self.facts }, next }
    }
}
