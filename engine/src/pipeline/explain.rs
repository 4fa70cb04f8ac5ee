//! A decision with its reasons, for people: the way of a request, told by the parts that decide it. The filter calls
//! nothing of this.

use std::rc::Rc;

use super::copies::Admits;
use super::route::Route;
use super::watch::{Stage, Watch};
use super::{AwaitedModel, Decision, Facts, Plan};
use crate::authn::{CredentialsView, Identity, TokenCache};
use crate::authz::{BypassView, ListView, PoliciesView, PolicyOutline, Subject};
use crate::config::types::Mode;
use crate::header::{Classes, folded};
use crate::quota::QuotaView;
use crate::refusal::Refusal;
use crate::request::{Edits, Request};
use crate::rewrite::RewriteView;
use crate::routing::host::Host;
use crate::routing::{Address, Location, NamedBy};
use crate::shadow::ShadowView;
use crate::split::SplitView;

/// Everything that had a say.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// Where the request goes.
    pub route: RouteView,
    /// Clients' headers that went before anything was asked.
    pub removed: Vec<Removed>,
    /// Bypasses, unless an earlier answer made them needless.
    pub bypasses: Vec<BypassView>,
    /// The bypass that lets the request through.
    pub bypass: Option<usize>,
    /// Credentials, if they were asked for.
    pub credentials: Option<CredentialsView>,
    /// Whether it is a preflight, which is not asked for credentials.
    pub is_preflight: bool,
    /// Who is calling, as policies are told.
    pub identity: Option<Rc<Identity>>,
    /// Policies, if they were asked. Where the body names the model, those that were asked last.
    pub policies: Option<PoliciesView>,
    /// Splits, if they were asked.
    pub splits: Vec<SplitView>,
    /// The shadows of the model, if they were asked, each with its conditions.
    pub shadows: Vec<(ShadowView, ListView)>,
    /// Quotas, if they were asked.
    pub quotas: Vec<QuotaView>,
    /// What changes: lines that go, then those that come.
    pub edits: Vec<EditView>,
}

/// Where a request goes, and why.
#[derive(Debug, Clone, Default)]
pub struct RouteView {
    /// Whether its host is one of `exclude.hosts`, and the address no model's.
    pub excluded: bool,
    /// What each rewrite makes of it.
    pub rewrites: Vec<RewriteView>,
    /// The path after the rewrite, where it has another one.
    pub path: Option<Vec<u8>>,
    /// The authority, likewise.
    pub authority: Option<Vec<u8>>,
    /// The address that is reached.
    pub address: Option<Address>,
    /// What of the request names it.
    pub named_by: Option<NamedBy>,
    /// Why no server may see it.
    pub refusal: Option<Refusal>,
}

/// A client's header that goes before anything is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its name as it came.
    pub name: Vec<u8>,
    /// Why.
    pub why: &'static str,
}

/// One change of the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditView {
    /// What brought it about.
    pub stage: Stage,
    /// The name.
    pub name: Vec<u8>,
    /// The line that comes; nothing where lines of the name go.
    pub value: Option<Vec<u8>>,
    /// Whether the line is not for a page: it is a credential.
    pub is_secret: bool,
}

impl Plan {
    /// Decides a request as [`Plan::decide`] does, and says why. Shadows have room for every copy.
    pub fn explain(
        &self,
        request: &Request<'_>,
        cache: &mut TokenCache,
    ) -> (Decision, Explanation) {
        let mut recorder = Recorder::new(self);
        recorder.seen.route = self.explain_route(request);
        let decision = self.decide_before(request, cache, &mut recorder);
        (decision, recorder.seen)
    }

    /// The same where the body names this model: see [`Plan::decide_model`].
    pub fn explain_model(
        &self,
        request: &Request<'_>,
        awaited: &AwaitedModel,
        model: &str,
        facts: Facts,
        before: Explanation,
    ) -> (Decision, Explanation) {
        let mut recorder = Recorder { plan: self, seen: before };
        recorder.seen.route.address = Some(awaited.address.with_model(model));
        let decision = self.decide_model_before(request, awaited, model, facts, &mut recorder);
        (decision, recorder.seen)
    }

    /// Whether decisions are only reported.
    pub fn is_report_only(&self) -> bool {
        self.mode == Mode::Report
    }

    /// Every policy, in the order of evaluation, and the clauses of its rules.
    pub fn outline(&self) -> Vec<PolicyOutline> {
        self.authorizer.outline()
    }

    /// Whether a header's values are credentials, or may be by its name.
    pub fn is_secret(&self, name: &[u8]) -> bool {
        let plain = folded(name);
        let known = [&b"cookie"[..], b"set-cookie"];
        let credentials = self.authenticator.credential_headers();
        let parts =
            ["token", "secret", "passw", "credential", "session", "authorization", "api-key"];
        let holds = |part: &str| plain.windows(part.len()).any(|text| text == part.as_bytes());
        known.contains(&&*plain)
            || parts.into_iter().any(holds)
            || credentials.iter().any(|name| folded(name) == plain)
    }

    fn explain_route(&self, request: &Request<'_>) -> RouteView {
        let mut view = RouteView::default();
        let route = self.find_route(request);
        let Ok(host) = Host::new(request.authority) else {
            view.refusal = route.err();
            return view;
        };
        view.rewrites = self.rewrites.explain(request, &host);
        let Ok(rewritten) = self.rewrites.choose(request, &host) else {
            view.refusal = route.err();
            return view;
        };
        let new = rewritten.as_ref().and_then(|one| one.new_address(request, &host).ok());
        match route {
            Err(refusal) => view.refusal = Some(refusal),
            Ok(route) if route.excluded => {
                view.excluded = true;
                view.rewrites.clear();
            }
            Ok(route) => {
                let came = Location::of(request, &host);
                let address = route.address.as_ref();
                let by_new = new.as_ref().map(|new| self.targets.explain(&new.at, address));
                // Where the new path is the server's own, the old one names the model.
                let by_new = by_new.filter(|by| *by != NamedBy::Rewrite);
                let by_old = || self.targets.explain(&came, address);
                view.named_by = Some(by_new.unwrap_or_else(by_old));
                view.address.clone_from(&route.address);
            }
        }
        if !view.excluded {
            view.path = rewritten.as_ref().and_then(|one| one.path.clone());
            view.authority = rewritten.and_then(|one| one.authority);
        }
        view
    }

    /// Why a client's header goes before anything is asked.
    fn why_removed(&self, name: &[u8]) -> &'static str {
        let plain = folded(name);
        let is = |other: &[u8]| *folded(other) == *plain;
        if self.authenticator.output_headers().iter().any(|output| is(output)) {
            "it is for claims, which only the gateway writes"
        } else if self.splits.headers().any(is) {
            "it says the variant, which only the gateway chooses"
        } else if Classes::of(&plain).any(Classes::GATEWAY) {
            "only gateways set it"
        } else if self.sanitizer.owns(name) {
            "a rewrite sets it"
        } else {
            "a rewrite sets it to choose a route, and this address does not read it"
        }
    }
}

/// Keeps what it sees.
struct Recorder<'p> {
    plan: &'p Plan,
    seen: Explanation,
}

impl<'p> Recorder<'p> {
    fn new(plan: &'p Plan) -> Self {
        Self { plan, seen: Explanation::default() }
    }
}

impl Watch for Recorder<'_> {
    fn admits(&self) -> Admits<'_> {
        &|_| Ok(())
    }

    fn routed(&mut self, route: &Route) {
        self.seen.route.excluded = route.excluded;
    }

    fn bypasses(&mut self, subject: &Subject<'_>, bypass: Option<usize>) {
        let secret = |name: &[u8]| self.plan.is_secret(name);
        self.seen.bypasses = self.plan.authorizer.explain_bypass(subject, &secret);
        self.seen.bypass = bypass;
        self.seen.is_preflight = subject.request.is_preflight();
        if bypass.is_none() && !self.seen.is_preflight {
            let mut cache = self.plan.token_cache();
            let credentials = self.plan.authenticator.explain(subject.request, &mut cache);
            self.seen.credentials = Some(credentials);
        }
    }

    fn authorizes(&mut self, subject: &Subject<'_>, bypassed: bool) {
        let secret = |name: &[u8]| self.plan.is_secret(name);
        self.seen.identity = subject.identity.cloned().map(Rc::new);
        self.seen.policies = Some(self.plan.authorizer.explain(subject, bypassed, &secret));
    }

    fn selects(&mut self, subject: &Subject<'_>) {
        let Some(address) = subject.address else { return };
        let plan = self.plan;
        let secret = |name: &[u8]| plan.is_secret(name);
        let principal = subject.identity.and_then(Identity::principal);
        let views = plan.shadows.explain(
            subject.request,
            address,
            principal.as_deref().map(str::as_bytes),
            || plan.is_trusted(subject.request),
            |shadow| plan.when.get(shadow.index()).is_some_and(|when| when.matches(subject)),
        );
        let with_conditions = views.into_iter().map(|view| {
            let when = plan.when.get(view.id.index());
            (view, when.map(|when| when.explain(subject, &secret)).unwrap_or_default())
        });
        self.seen.shadows = with_conditions.collect();
    }

    fn splits(&mut self, subject: &Subject<'_>) {
        let secret = |name: &[u8]| self.plan.is_secret(name);
        self.seen.splits = self.plan.splits.explain(subject, &secret);
    }

    fn limits(&mut self, subject: &Subject<'_>) {
        let secret = |name: &[u8]| self.plan.is_secret(name);
        self.seen.quotas = self.plan.quotas.explain(subject, &secret);
    }

    fn edited(&mut self, stage: Stage, edits: &Edits) {
        let gone = edits.removed().map(|name| (name, None));
        let came = edits.added().map(|(name, value)| (name, Some(value)));
        let mut before = std::mem::take(&mut self.seen.edits);
        for (name, value) in gone.chain(came) {
            let is = |view: &EditView| view.name == name && view.value.as_deref() == value;
            let view = match before.iter().position(is) {
                Some(known) => before.remove(known),
                None => EditView {
                    stage,
                    name: name.to_vec(),
                    value: value.map(<[u8]>::to_vec),
                    is_secret: self.plan.is_secret(name),
                },
            };
            self.seen.edits.push(view);
        }
        if stage == Stage::Sanitized {
            let removed = edits
                .removed()
                .map(|name| Removed { name: name.to_vec(), why: self.plan.why_removed(name) });
            self.seen.removed = removed.collect();
        }
    }
}
