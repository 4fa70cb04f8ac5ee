//! Whether the caller may: Istio's `AuthorizationPolicy`, with models and operations.
//!
//! AUDIT policies are counted, then DENY policies refuse, then ALLOW policies let through. Dry-run
//! policies are counted only. Every field means what it means in Istio, with three additions:
//! `models` as a policy's scope, and `models` and `operations` in a rule.
//!
//! What cannot be had of a connection (`source.ip` at an inbound listener, or any address that the
//! proxy does not tell) matches in DENY and AUDIT and nowhere else, for the `not` forms as well.

mod bypass;
mod claim;
mod clause;
mod compile;
mod condition;
mod explain;
mod index;
mod ip;
mod models;
mod operation;
mod peer;
mod policy;
mod principal;
mod source;
#[cfg(test)]
mod tests;
mod values;

use crate::authn::Identity;
use crate::config::types::{self, DefaultAction, SourceAddress};
use crate::config::{Errors, Path};
use crate::order;
use crate::request::{Edits, Request};
use crate::routing::Address;

use bypass::Bypass;
use compile::{Compiler, Purpose};
use policy::Policy;

pub(crate) use claim::claim_path;
pub use condition::Conditions;
pub use explain::{
    BypassView, ClauseView, Had, IsSecret, ListView, NoPolicy, PoliciesView, PolicyOutline,
    PolicyView, RuleView,
};
pub use index::ModelMap;
pub use models::{ModelNames, Models};
pub(crate) use principal::RequestPrincipal;

/// What is decided about.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The request as the client sent it.
    pub request: &'a Request<'a>,
    /// What authentication changes of its headers: conditions see the result.
    pub edits: &'a Edits,
    /// Its address in a family's territory.
    pub address: Option<&'a Address>,
    /// Who is calling; absent: anonymous.
    pub identity: Option<&'a Identity>,
}

impl std::fmt::Debug for Subject<'_> {
    /// Never shows headers or claims.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Names a policy of one [`Authorizer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(usize);

impl PolicyId {
    /// The policy with this index.
    pub fn new(index: usize) -> Self {
        Self(index)
    }

    /// Position in the order of evaluation, from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a policy that matched did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Let the request through.
    Allowed,
    /// Refused it.
    Denied,
    /// Counted it.
    Audited,
    /// Would have let it through.
    DryRunAllowed,
    /// Would have refused it.
    DryRunDenied,
}

impl Effect {
    /// The label of `modelgate_policy_total`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Audited => "audited",
            Self::DryRunAllowed => "dry_run_allowed",
            Self::DryRunDenied => "dry_run_denied",
        }
    }
}

/// The answer, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Whether the request may go on.
    pub allowed: bool,
    /// The policy that decided; absent where none did.
    pub policy: Option<PolicyId>,
    /// The rule of that policy that matched, counted from 0.
    pub rule: Option<usize>,
    /// Every policy that is to be counted, in the order of evaluation.
    pub effects: Vec<(PolicyId, Effect)>,
}

/// Compiled policies and bypass rules.
#[derive(Debug)]
pub struct Authorizer {
    default_action: DefaultAction,
    /// In the order of evaluation: AUDIT, DENY, ALLOW; within each, dry-run policies first; then as
    /// they were written. A position in it is a [`PolicyId`].
    policies: Vec<Policy>,
    index: ModelMap,
    /// Whether an enforced ALLOW policy applies to every request.
    allow_everywhere: bool,
    bypass: Vec<Bypass>,
}

/// Where a policy stands among the others: audits first, then refusals; tried ones before real ones.
fn rank(policy: &Policy) -> (u8, bool) {
    let phase = match policy.purpose {
        Purpose::Audit => 0,
        Purpose::Deny => 1,
        _ => 2,
    };
    (phase, !policy.dry_run)
}

// === impl Authorizer ===

impl Authorizer {
    /// Compiles `authorization` and `bypass`; `None` after at least one error was recorded.
    pub fn compile(
        settings: &types::Authorization,
        bypass: &[types::Bypass],
        source_address: SourceAddress,
        names: ModelNames,
        errors: &mut Errors,
    ) -> Option<Self> {
        let mut compiler = Compiler::new(source_address, errors);
        compiler.names = names;
        let policies = compile_policies(&settings.policies, &mut compiler);
        let bypass = bypass::compile(bypass, &mut compiler);
        let (policies, bypass) = (policies?, bypass?);
        let policies = order::stable_by(policies, |a, b| rank(a).cmp(&rank(b)));
        let allow_everywhere =
            policies.iter().any(|policy| policy.demands_allow() && policy.scope.is_none());
        let mut index = ModelMap::default();
        for (position, policy) in policies.iter().enumerate() {
            index.add(position, policy.models());
        }
        let default_action = settings.default_action;
        Some(Self { default_action, policies, index, allow_everywhere, bypass })
    }

    /// The first bypass rule that matches, by its place in the list. Identities of tokens play no part.
    pub fn bypass(&self, subject: &Subject<'_>) -> Option<usize> {
        self.bypass.iter().position(|rule| rule.matches(subject))
    }

    /// The name of a bypass rule, for logs.
    pub fn bypass_name(&self, at: usize) -> &str {
        self.bypass.get(at).map_or("", |rule| &*rule.name)
    }

    /// Decides. A bypassed request needs no ALLOW and is anonymous, whoever sent it.
    pub fn decide(&self, subject: &Subject<'_>, bypassed: bool) -> Authorization {
        let subject = Subject { identity: subject.identity.filter(|_| !bypassed), ..*subject };
        let address = subject.address;
        let model = address.and_then(|a| a.model.as_ref());
        let closed = !bypassed && address.is_some_and(|a| a.operation.is_closed());
        let mut effects = Vec::new();
        // Bodies name whatever their senders like, also a known model by another name.
        let is_in_body = address.is_some_and(|address| address.in_body.is_some());
        let mut needs_allow = self.allow_everywhere || (is_in_body && !self.policies.is_empty());
        for position in self.index.candidates(model.map(|model| &*model.id)) {
            let Some(policy) = self.policies.get(position) else { continue };
            let allows = policy.purpose == Purpose::Allow;
            if allows && bypassed {
                break;
            }
            if !policy.applies(&subject) {
                continue;
            }
            needs_allow |= policy.demands_allow();
            let Some(rule) = policy.matching_rule(&subject, closed && allows) else { continue };
            let id = PolicyId(position);
            let effect = policy.effect();
            effects.push((id, effect));
            if matches!(effect, Effect::Allowed | Effect::Denied) {
                let allowed = effect == Effect::Allowed;
                let (policy, rule) = (Some(id), Some(rule));
                return Authorization { allowed, policy, rule, effects };
            }
        }
        let open = !closed && !needs_allow && self.default_action == DefaultAction::Allow;
        Authorization { allowed: bypassed || open, policy: None, rule: None, effects }
    }

    /// The DENY policy that refuses a request whatever its model is, which is not known yet.
    pub fn refuses_any_model(&self, subject: &Subject<'_>) -> Option<Authorization> {
        self.index.candidates(None).find_map(|position| {
            let policy = self.policies.get(position)?;
            if policy.effect() != Effect::Denied || policy.asks_for_model {
                return None;
            }
            let rule = policy.matching_rule(subject, false)?;
            let id = PolicyId(position);
            let (policy, rule) = (Some(id), Some(rule));
            Some(Authorization {
                allowed: false,
                policy,
                rule,
                effects: vec![(id, Effect::Denied)],
            })
        })
    }

    /// The most policies that may concern one request, or more.
    pub(crate) fn most_policies(&self) -> usize {
        self.index.most()
    }

    /// `namespace/name`, or `name` of a policy without namespace, for metrics and logs.
    pub fn policy_name(&self, id: PolicyId) -> &str {
        self.policies.get(id.0).map_or("", |policy| &policy.id)
    }

    /// The response code details of a refusal, as Envoy's RBAC filter writes them for Istio.
    pub fn details(&self, decision: &Authorization) -> String {
        let Some((id, rule)) = decision.policy.zip(decision.rule) else {
            return "rbac_access_denied_matched_policy[none]".to_owned();
        };
        let id = self.policy_name(id);
        let (namespace, name) = id.split_once('/').unwrap_or(("", id));
        format!("rbac_access_denied_matched_policy[ns[{namespace}]-policy[{name}]-rule[{rule}]]")
    }
}

impl Policy {
    /// Whether requests for which the policy exists need an ALLOW policy that matches.
    fn demands_allow(&self) -> bool {
        self.purpose == Purpose::Allow && !self.dry_run
    }

    fn effect(&self) -> Effect {
        match (self.purpose, self.dry_run) {
            (Purpose::Deny, false) => Effect::Denied,
            (Purpose::Deny, true) => Effect::DryRunDenied,
            (Purpose::Audit, _) => Effect::Audited,
            (_, false) => Effect::Allowed,
            (_, true) => Effect::DryRunAllowed,
        }
    }
}

fn compile_policies<'c>(
    settings: &'c [types::Policy],
    compiler: &mut Compiler<'c, '_>,
) -> Option<Vec<Policy>> {
    let root = Path::ROOT.field("authorization");
    let list = root.field("policies");
    let ids: Vec<String> = settings.iter().map(policy::id).collect();
    let fix = "a name of its own, or another namespace";
    compiler.errors.duplicate(&list, Some("name"), ids.iter().map(String::as_str), fix);
    let compiled = settings.iter().enumerate();
    let read: Vec<Option<Policy>> =
        compiled.map(|(i, settings)| policy::compile(settings, &list.index(i), compiler)).collect();
    read.into_iter().collect()
}
