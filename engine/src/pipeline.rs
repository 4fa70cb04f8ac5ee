//! The one place that says in which order a request is rewritten, located, cleaned, authenticated,
//! authorized, split and shadowed.

use std::cell::RefCell;
use std::rc::Rc;

use crate::authn::remote::{KeyStore, Remotes};
use crate::authn::{self, Authenticator, TokenCache, TokenResults};
use crate::authz::{Authorization, Authorizer, Conditions, Models, PolicyId, Subject};
use crate::body;
use crate::config::types::{self, Mode};
use crate::header::{Classes, folded};
use crate::quota::Quotas;
use crate::refusal::Refusal;
use crate::request::{Edits, Request};
use crate::rewrite::{Rewrites, Rewritten};
use crate::routing::host::Hosts;
use crate::routing::{Address, Operation, Targets};
use crate::sanitize::Sanitizer;
use crate::shadow::{Outcome, ShadowId, Shadows};
use crate::split::{Choice, Splits, VariantId};
use crate::telemetry::{CallerLabels, Labels, ModelLabels, Verdict};
use crate::usage::Usage;

mod compile;
mod copies;
mod decision;
mod explain;
mod in_body;
mod limit;
mod names;
mod route;
mod upstream;
mod watch;

pub use decision::{AwaitedModel, Decision, Facts, Forward, LocalReply, Next};
pub use explain::{EditView, Explanation, Removed, RouteView};
pub use in_body::refused_body;
use route::{Route, Routes};
use upstream::{apply, identify};
pub use watch::Stage;
use watch::{Unwatched, Watch};

/// gRPC's INVALID_ARGUMENT: Envoy's own mapping of 400 is INTERNAL, which clients take for a fault
/// of the server.
const INVALID_ARGUMENT: u32 = 3;

/// A configuration, compiled once and used for every request.
#[derive(Debug)]
pub struct Plan {
    mode: Mode,
    excluded: Option<Hosts>,
    trusted_peers: Vec<String>,
    rewrites: Rewrites,
    targets: Targets,
    sanitizer: Sanitizer,
    /// Routing headers that rewrites set. A client's own chooses a route nowhere but where a family reads it.
    selectors: Vec<&'static [u8]>,
    authenticator: Authenticator,
    authorizer: Authorizer,
    splits: Splits,
    shadows: Rc<Shadows>,
    /// The conditions of each shadow.
    when: Vec<Conditions>,
    /// Models of which the body names an adapter.
    body_models: Models,
    body: types::Body,
    token_cache: types::TokenCache,
    telemetry: types::Telemetry,
    /// Whose answers are read for what they have cost.
    usage: Option<Usage>,
    quotas: Quotas,
    /// Models that the configuration names literally: they have labels from the start.
    named_models: Vec<String>,
    /// Where requests before went.
    routes: RefCell<Routes>,
}

/// Why a request does not go on.
enum Stop {
    /// No server may see its address: 400.
    Refused(Refusal),
    /// It is not authenticated, or not authorized.
    Reply(LocalReply),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What authentication leaves.
#[derive(Default)]
struct Credentials {
    /// The path with query, if a token was taken out of it.
    path: Option<Vec<u8>>,
    /// The rule that accepted, for [`Authenticator::strip`].
    accepted: Option<usize>,
}

impl Plan {
    /// An empty cache of the size that the configuration says, for one worker.
    pub fn token_cache(&self) -> TokenCache {
        TokenCache::new(&self.token_cache)
    }

    /// The key sets that are fetched.
    pub fn remotes(&self) -> &Remotes {
        self.authenticator.remotes()
    }

    /// Every variant that a split can choose.
    pub fn variants(&self) -> impl Iterator<Item = VariantId> {
        self.splits.variants()
    }

    /// Lets this configuration use the key sets that the worker already has.
    pub fn share_keys(&mut self, store: &mut KeyStore) {
        store.share(self.authenticator.remotes_mut());
    }

    /// The labels that models have from the start, and room for more.
    pub fn labels(&self) -> Labels {
        let named = self.named_models.iter().map(String::as_str);
        let models = ModelLabels::new(self.telemetry.model_labels.max, named);
        let max = self.usage.as_ref().map_or(0, |usage| usage.max_labels);
        Labels { models, callers: CallerLabels::new(max) }
    }

    /// Whether answers are read at all.
    #[inline]
    pub fn reads_answers(&self) -> bool {
        self.usage.is_some()
    }

    /// What is said of answers to requests like this one, if they are read: predictions of models that `usage` names.
    pub fn usage(&self, facts: &Facts) -> Option<&Usage> {
        let usage = self.usage.as_ref()?;
        let reads = facts.operation == Some(Operation::Predict)
            && facts.model.as_deref().is_some_and(|model| usage.reads(model));
        reads.then_some(usage)
    }

    /// A policy's label, the same for all that have none of their own.
    pub fn policy_label(&self, policy: PolicyId) -> u32 {
        let label = u32::try_from(policy.index()).unwrap_or(u32::MAX);
        if label < self.telemetry.policy_labels.max { label } else { u32::MAX }
    }

    /// A policy's `namespace/name`.
    pub fn policy_name(&self, policy: PolicyId) -> &str {
        self.authorizer.policy_name(policy)
    }

    /// The name of what decided, for access logs: a policy, the bypass that let the request through, or the quota that is
    /// used up.
    pub fn decided_by(&self, facts: &Facts) -> &str {
        if let Some(exceeded) = facts.exceeded {
            return self.quotas.name(exceeded.quota);
        }
        match (facts.policy, facts.rule) {
            (Some(policy), _) => self.authorizer.policy_name(policy),
            (None, Some(bypass)) => self.authorizer.bypass_name(bypass),
            (None, None) => "",
        }
    }

    /// Whether decisions are written to filter state for access logs.
    pub fn writes_access_log(&self) -> bool {
        self.telemetry.access_log
    }

    /// Whether the gateway alone sets this header, and only after policies were asked.
    pub(crate) fn is_set_later(&self, name: &[u8]) -> bool {
        let outputs = self.authenticator.output_headers();
        self.sanitizer.owns(name) && !outputs.iter().any(|output| output.eq_ignore_ascii_case(name))
    }

    /// Whether only the gateway sets this header.
    pub(crate) fn is_gateways(&self, name: &[u8]) -> bool {
        self.sanitizer.owns(name)
    }

    /// How many policies may concern one request at the most.
    pub(crate) fn most_policies(&self) -> usize {
        self.authorizer.most_policies()
    }

    /// Rewrites that never apply, each with an earlier one that takes all that it could take.
    pub(crate) fn hidden_rewrites(&self) -> Vec<(usize, usize)> {
        self.rewrites.hidden()
    }

    /// The shadows, compiled.
    pub fn shadows(&self) -> &Rc<Shadows> {
        &self.shadows
    }

    /// Decides one request. In REPORT mode the decision says what would have been, and changes
    /// nothing. `admits` says whether a shadow could get a copy now: what cannot leave is not made.
    pub fn decide(
        &self,
        request: &Request<'_>,
        cache: &mut TokenCache,
        admits: impl Fn(ShadowId) -> Result<(), Outcome>,
    ) -> Decision {
        self.decide_before(request, cache, &mut Unwatched(&admits))
    }

    /// The same before somebody who looks on.
    fn decide_before(
        &self,
        request: &Request<'_>,
        cache: &mut TokenCache,
        watch: &mut impl Watch,
    ) -> Decision {
        let mut facts = Facts {
            verdict: Verdict::Allowed,
            model: None,
            operation: None,
            identity: None,
            policy: None,
            rule: None,
            effects: Vec::new(),
            tokens: TokenResults::default(),
            missing_keys: None,
            unwritable_claims: 0,
            exceeded: None,
        };
        let next = match self.run(request, cache, &mut facts, watch) {
            Ok(next) => next,
            Err(Stop::Reply(reply)) => Next::Reply(reply),
            Err(Stop::Refused(refusal)) => {
                facts.verdict = Verdict::Refused;
                let path = self.shown_path(request);
                Next::Reply(refused(refusal, 400, "modelgate_refused_address", path))
            }
        };
        self.carried_out(Decision { facts, next })
    }

    fn run(
        &self,
        request: &Request<'_>,
        cache: &mut TokenCache,
        facts: &mut Facts,
        watch: &mut impl Watch,
    ) -> Result<Next, Stop> {
        let route = self.route(request)?;
        watch.routed(&route);
        if route.excluded {
            facts.verdict = Verdict::Excluded;
            return Ok(self.excluded(request, &route, watch));
        }
        let address = route.address.as_ref();
        let in_body = address.filter(|address| address.in_body.is_some());
        let unknown = in_body.map(|address| Address { model: None, ..address.clone() });
        let address = unknown.as_ref().or(address);
        facts.operation = address.map(|address| address.operation);
        facts.model = address.and_then(|address| Some(Rc::clone(&address.model.as_ref()?.id)));

        let mut edits = self.sanitized(request, &route);
        watch.edited(Stage::Sanitized, &edits);
        let subject = Subject { request, edits: &edits, address, identity: None };
        let bypass = self.authorizer.bypass(&subject);
        watch.bypasses(&subject, bypass);
        let credentials = self.credentials(request, cache, bypass, facts, &mut edits)?;
        // Policies see the request as authentication leaves it, a condition on `:path` too.
        if let Some(path) = &credentials.path {
            edits.set(b":path", path.clone());
        }
        watch.edited(Stage::Authenticated, &edits);
        let identity = facts.identity.clone();
        let subject = Subject { request, edits: &edits, address, identity: identity.as_deref() };
        let rewritten = route.rewritten.as_ref();
        if let Some(address) = in_body {
            self.authorize_any_model(&subject, facts).map_err(Stop::Reply)?;
            body::check_head(request)?;
            // Headers can say the variant of the deployment, not of what the body names.
            let of_deployment = Subject { address: Some(address), ..subject };
            watch.splits(&of_deployment);
            let choice = self.splits.choose(&of_deployment);
            let (seen, address) = (edits.clone(), address.clone());
            self.clean(request, bypass, credentials, rewritten, &mut edits);
            self.read_answer(self.quotas.has_tokens(), &mut edits);
            let (set_cookie, variant) = name(request, true, choice, &mut edits, watch);
            let forwarded = edits.clone();
            return Ok(Next::AwaitModel(Box::new(AwaitedModel {
                edits,
                keeps_body: true,
                seen,
                forwarded,
                address,
                bypass,
                set_cookie,
                variant,
            })));
        }
        watch.authorizes(&subject, bypass.is_some());
        self.authorize(&subject, bypass, facts).map_err(Stop::Reply)?;
        watch.selects(&subject);
        let shadows = self.select(&subject);
        watch.splits(&subject);
        let choice = self.splits.choose(&subject);
        let counts = self.counts(&subject, facts, watch);
        self.clean(request, bypass, credentials, rewritten, &mut edits);
        self.read_answer(counts.iter().any(|count| count.has_tokens), &mut edits);
        let (set_cookie, variant) = name(request, facts.model.is_some(), choice, &mut edits, watch);
        let subject = Subject { request, edits: &edits, address, identity: None };
        let copies = self.copies(&subject, &shadows, watch.admits());
        Ok(Next::Forward(Forward { edits, set_cookie, variant, copies, counts }))
    }

    /// A request for another application.
    fn excluded(&self, request: &Request<'_>, route: &Route, watch: &mut impl Watch) -> Next {
        let edits = self.sanitized(request, route);
        watch.edited(Stage::Sanitized, &edits);
        Next::Forward(Forward { edits, ..Forward::default() })
    }

    /// What authentication makes of the request, if it is asked.
    fn credentials(
        &self,
        request: &Request<'_>,
        cache: &mut TokenCache,
        bypass: Option<usize>,
        facts: &mut Facts,
        edits: &mut Edits,
    ) -> Result<Credentials, Stop> {
        if bypass.is_some() {
            let path = self.authenticator.strip_bypassed(request, edits);
            Ok(Credentials { path, accepted: None })
        } else if request.is_preflight() {
            Ok(Credentials::default())
        } else {
            self.authenticate(request, cache, facts, edits).map_err(Stop::Reply)
        }
    }

    /// Policies have seen what nobody read, as in Istio: a preflight's credentials, and those beside the
    /// ones that were accepted. The model does not. And the rewrite is carried out.
    fn clean(
        &self,
        request: &Request<'_>,
        bypass: Option<usize>,
        Credentials { path, accepted }: Credentials,
        rewritten: Option<&Rewritten>,
        edits: &mut Edits,
    ) {
        let path = match bypass {
            Some(_) => path,
            None => self.authenticator.strip(request, path, accepted, edits),
        };
        apply(request, rewritten, path, edits);
    }

    /// Who is calling. Takes what was accepted off the request.
    fn authenticate(
        &self,
        request: &Request<'_>,
        cache: &mut TokenCache,
        facts: &mut Facts,
        edits: &mut Edits,
    ) -> Result<Credentials, LocalReply> {
        let result = self.authenticator.authenticate(request, cache, edits);
        facts.tokens = result.tokens;
        facts.missing_keys = result.missing_keys;
        facts.unwritable_claims = result.unwritable_claims;
        match result.identification {
            authn::Identification::Anonymous => {}
            authn::Identification::Identified(identity) => facts.identity = Some(identity),
            authn::Identification::Refused(failure) => {
                facts.verdict = Verdict::Unauthenticated;
                return Err(LocalReply {
                    code: u32::from(failure.code),
                    body: failure.text,
                    www_authenticate: Some(failure.www_authenticate),
                    details: failure.details,
                    retry_after: None,
                    grpc_status: None,
                    path: failure.path,
                });
            }
        }
        Ok(Credentials { path: result.path, accepted: result.rule })
    }

    /// Whether they may.
    fn authorize(
        &self,
        subject: &Subject<'_>,
        bypass: Option<usize>,
        facts: &mut Facts,
    ) -> Result<(), LocalReply> {
        let bypassed = bypass.is_some();
        let authorization = self.authorizer.decide(subject, bypassed);
        if !authorization.allowed {
            return Err(self.denied(subject.request, authorization, facts));
        }
        facts.policy = authorization.policy;
        facts.rule = authorization.rule.or(bypass);
        facts.effects = authorization.effects;
        if bypassed {
            facts.verdict = Verdict::Bypassed;
        }
        Ok(())
    }

    /// The answer to a request that is not authorized.
    fn denied(
        &self,
        request: &Request<'_>,
        authorization: Authorization,
        facts: &mut Facts,
    ) -> LocalReply {
        facts.verdict = Verdict::Denied;
        facts.policy = authorization.policy;
        facts.rule = authorization.rule;
        let details = self.authorizer.details(&authorization);
        facts.effects = authorization.effects;
        LocalReply {
            code: 403,
            body: "RBAC: access denied",
            www_authenticate: None,
            details,
            retry_after: None,
            grpc_status: None,
            path: self.shown_path(request),
        }
    }

    /// Without client copies of headers that only the gateway may set, unless the peer is a gateway.
    fn sanitized(&self, request: &Request<'_>, route: &Route) -> Edits {
        let mut edits = Edits::default();
        if self.is_trusted(request) {
            return edits;
        }
        self.sanitizer.apply(request, &mut edits);
        for name in self.selectors.iter().filter(|name| request.may_have(name)) {
            let new = route.rewritten.as_ref().and_then(|rewritten| rewritten.path.as_deref());
            let (path, address) = (new.unwrap_or(request.path_only()), route.address.as_ref());
            if !self.targets.reads_header(name, path, address) {
                edits.remove(name);
            }
        }
        edits
    }

    /// The path of a request that is not forwarded, as access logs may show it: absent where it holds no
    /// token.
    pub fn shown_path(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        self.authenticator.shown_path(request)
    }

    /// Whether a request's trailer of this name goes: servers that merge trailers into the headers would
    /// take it for what was decided about. Trailers carry no identity and select no route, so what does
    /// goes on every way but to an `excluded` host, which keeps its own.
    pub fn drops_trailer(&self, name: &[u8], excluded: bool) -> bool {
        self.mode != Mode::Report
            && (self.sanitizer.owns(name) || (!excluded && self.is_no_trailer(&folded(name))))
    }

    fn is_no_trailer(&self, plain: &[u8]) -> bool {
        let credentials = self.authenticator.credential_headers();
        Classes::of(plain).any(Classes::NO_TRAILER)
            || credentials.iter().any(|name| *folded(name) == *plain)
    }

    /// Whether the peer is another gateway.
    fn is_trusted(&self, request: &Request<'_>) -> bool {
        !self.trusted_peers.is_empty()
            && request.attributes().peer().and_then(|peer| peer.uri_sans.first()).is_some_and(
                |id| self.trusted_peers.iter().any(|trusted| trusted.as_bytes() == *id),
            )
    }
}

/// Gives a request for a model its identifier and its variant, after all else: no rewrite may say another. What the
/// response has to carry, and the variant, are left.
fn name(
    request: &Request<'_>,
    has_model: bool,
    choice: Option<Choice<'_>>,
    edits: &mut Edits,
    watch: &mut impl Watch,
) -> (Option<Vec<u8>>, Option<VariantId>) {
    watch.edited(Stage::Rewritten, edits);
    if has_model {
        identify(request, edits);
    }
    watch.edited(Stage::Identified, edits);
    let variant = choice.as_ref().map(|choice| choice.id);
    let set_cookie = choice.and_then(|choice| choice.write(edits));
    watch.edited(Stage::Varied, edits);
    (set_cookie, variant)
}

/// The answer to a request that no server may see.
fn refused(refusal: Refusal, code: u32, details: &str, path: Option<Vec<u8>>) -> LocalReply {
    LocalReply {
        code,
        body: refusal.reason,
        www_authenticate: None,
        details: details.to_owned(),
        retry_after: None,
        grpc_status: Some(INVALID_ARGUMENT),
        path,
    }
}

#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod rewritten;
#[cfg(test)]
mod tests;
