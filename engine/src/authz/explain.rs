//! What policies make of a request, for people: every clause with what it asks for and what there was. The very
//! clauses and rules that decide are asked; nothing here decides, and no filter calls it.

mod clause;

use super::clause::{self as clauses, Clause};
use super::compile::Purpose;
use super::policy::{Policy, Rule};
use super::{Authorizer, Conditions, Effect, PolicyId, Subject};
use crate::config::types::DefaultAction;

pub use clause::{ClauseView, Had};
use clause::{Place, view};

/// Which headers are not for a page: their values are credentials.
pub type IsSecret<'a> = &'a dyn Fn(&[u8]) -> bool;

/// What one policy makes of a request.
#[derive(Debug, Clone)]
pub struct PolicyView {
    /// Which one.
    pub id: PolicyId,
    /// `ALLOW`, `DENY` or `AUDIT`.
    pub action: &'static str,
    /// Whether it is only counted.
    pub dry_run: bool,
    /// Whether it exists for this request, by its `models`.
    pub applies: bool,
    /// Whether it is asked: not behind the policy that decided, nor an ALLOW policy of a bypassed request.
    pub asked: bool,
    /// The first rule that matches, if it is asked.
    pub matched: Option<usize>,
    /// What its match does.
    pub effect: Effect,
    /// Its rules; none where it does not exist for the request.
    pub rules: Vec<RuleView>,
}

/// What one rule makes of a request.
#[derive(Debug, Clone)]
pub struct RuleView {
    /// Whether it matches.
    pub matches: bool,
    /// Whether only an entry of `to` counts that names what is done: the operation is closed.
    pub naming: bool,
    /// Any of these lists of clauses, which must all hold.
    pub from: Vec<ListView>,
    /// The same.
    pub to: Vec<ListView>,
    /// All of these.
    pub when: ListView,
}

/// Clauses that must all hold.
#[derive(Debug, Clone, Default)]
pub struct ListView {
    /// Whether they do.
    pub matches: bool,
    /// Each of them.
    pub clauses: Vec<ClauseView>,
}

/// What one bypass makes of a request.
#[derive(Debug, Clone)]
pub struct BypassView {
    /// Its name.
    pub name: String,
    /// Whether it matches.
    pub matches: bool,
    /// Any of these.
    pub from: Vec<ListView>,
    /// Any of these.
    pub to: Vec<ListView>,
}

/// What holds where no policy decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPolicy {
    /// A bypass let the request through.
    Bypassed,
    /// The operation is opened by its name only, and no rule that matches has it.
    Closed,
    /// An ALLOW policy exists for the request, and none matches.
    NoneMatches,
    /// The body names the model, and that needs an ALLOW policy that matches.
    InBody,
    /// `defaultAction`, which lets it through or not.
    Default {
        /// Whether it does.
        allows: bool,
    },
}

/// What all policies make of a request.
#[derive(Debug, Clone)]
pub struct PoliciesView {
    /// Those that may concern it, in the order in which they are asked.
    pub list: Vec<PolicyView>,
    /// How many are for other models.
    pub others: usize,
    /// Why it is as it is where none of them decides.
    pub without: NoPolicy,
}

impl Authorizer {
    /// What each policy makes of a request.
    pub fn explain(
        &self,
        subject: &Subject<'_>,
        bypassed: bool,
        secret: IsSecret<'_>,
    ) -> PoliciesView {
        let subject = &Subject { identity: subject.identity.filter(|_| !bypassed), ..*subject };
        let address = subject.address;
        let model = address.and_then(|a| a.model.as_ref());
        let closed = !bypassed && address.is_some_and(|a| a.operation.is_closed());
        let (mut list, mut is_over) = (Vec::new(), false);
        for position in self.index.candidates(model.map(|model| &*model.id)) {
            let Some(policy) = self.policies.get(position) else { continue };
            let applies = policy.applies(subject);
            let allows = policy.purpose == Purpose::Allow;
            let asked = applies && !is_over && !(allows && bypassed);
            let naming = closed && allows;
            let matched = policy.matching_rule(subject, naming).filter(|_| asked);
            let effect = policy.effect();
            is_over |= matched.is_some() && matches!(effect, Effect::Allowed | Effect::Denied);
            let rules = policy.rules.iter().filter(|_| applies);
            let rules = rules.map(|rule| rule.explain(policy, subject, naming, secret)).collect();
            list.push(PolicyView {
                id: PolicyId(position),
                action: policy.action(),
                dry_run: policy.dry_run,
                applies,
                asked,
                matched,
                effect,
                rules,
            });
        }
        let without = self.without(subject, bypassed, closed, &list);
        PoliciesView { others: self.policies.len().saturating_sub(list.len()), list, without }
    }

    fn without(
        &self,
        subject: &Subject<'_>,
        bypassed: bool,
        closed: bool,
        list: &[PolicyView],
    ) -> NoPolicy {
        let is_in_body = subject.address.is_some_and(|address| address.in_body.is_some());
        let demands = |view: &PolicyView| {
            let policy = self.policies.get(view.id.index());
            view.applies && policy.is_some_and(Policy::demands_allow)
        };
        if bypassed {
            NoPolicy::Bypassed
        } else if closed {
            NoPolicy::Closed
        } else if self.allow_everywhere || list.iter().any(demands) {
            NoPolicy::NoneMatches
        } else if is_in_body && !self.policies.is_empty() {
            NoPolicy::InBody
        } else {
            NoPolicy::Default { allows: self.default_action == DefaultAction::Allow }
        }
    }

    /// What each bypass makes of a request.
    pub fn explain_bypass(&self, subject: &Subject<'_>, secret: IsSecret<'_>) -> Vec<BypassView> {
        let undecided = Purpose::Bypass.undecided();
        let each = self.bypass.iter().map(|bypass| BypassView {
            name: bypass.name.to_string(),
            matches: bypass.matches(subject),
            from: lists(&bypass.from, Place::From, subject, undecided, secret),
            to: lists(&bypass.to, Place::To, subject, undecided, secret),
        });
        each.collect()
    }

    /// Every policy and how many clauses each list of its rules has, for whoever counts which were met.
    pub fn outline(&self) -> Vec<PolicyOutline> {
        let policies = self.policies.iter().enumerate();
        policies
            .map(|(position, policy)| PolicyOutline {
                id: PolicyId(position),
                action: policy.action(),
                rules: policy.rules.iter().map(Rule::outline).collect(),
            })
            .collect()
    }
}

/// The shape of a policy.
#[derive(Debug, Clone)]
pub struct PolicyOutline {
    /// Which one.
    pub id: PolicyId,
    /// `ALLOW`, `DENY` or `AUDIT`.
    pub action: &'static str,
    /// The clauses of each rule: where each stands, as `to[0].operation.paths`.
    pub rules: Vec<Vec<String>>,
}

impl Policy {
    fn action(&self) -> &'static str {
        match self.purpose {
            Purpose::Deny => "DENY",
            Purpose::Audit => "AUDIT",
            Purpose::Allow | Purpose::Bypass | Purpose::Select => "ALLOW",
        }
    }
}

impl Rule {
    fn explain(
        &self,
        policy: &Policy,
        subject: &Subject<'_>,
        naming: bool,
        secret: IsSecret<'_>,
    ) -> RuleView {
        let undecided = policy.purpose.undecided();
        RuleView {
            matches: self.matches(subject, undecided, naming),
            naming,
            from: lists(&self.from, Place::From, subject, undecided, secret),
            to: lists(&self.to, Place::To, subject, undecided, secret),
            when: list(&self.when, Place::When, subject, undecided, secret),
        }
    }

    fn outline(&self) -> Vec<String> {
        let names = |lists: &[Box<[Clause]>], place: fn(usize) -> Place| -> Vec<String> {
            let lists = lists.iter().enumerate();
            lists
                .flat_map(|(i, list)| list.iter().map(move |c| clause::path(c, place(i))))
                .collect()
        };
        let when = self.when.iter().map(|one| clause::path(one, Place::When));
        let from = names(&self.from, Place::From).into_iter();
        from.chain(names(&self.to, Place::To)).chain(when).collect()
    }
}

impl RuleView {
    /// Every clause, in the order of [`PolicyOutline::rules`].
    pub fn clauses(&self) -> impl Iterator<Item = &ClauseView> {
        let lists = self.from.iter().chain(&self.to).chain([&self.when]);
        lists.flat_map(|list| &list.clauses)
    }
}

impl Conditions {
    /// What each of them makes of a request.
    pub fn explain(&self, subject: &Subject<'_>, secret: IsSecret<'_>) -> ListView {
        list(&self.0, Place::When, subject, Purpose::Select.undecided(), secret)
    }
}

fn lists(
    lists: &[Box<[Clause]>],
    place: fn(usize) -> Place,
    subject: &Subject<'_>,
    undecided: bool,
    secret: IsSecret<'_>,
) -> Vec<ListView> {
    let lists = lists.iter().enumerate();
    lists.map(|(i, one)| list(one, place(i), subject, undecided, secret)).collect()
}

fn list(
    list: &[Clause],
    place: Place,
    subject: &Subject<'_>,
    undecided: bool,
    secret: IsSecret<'_>,
) -> ListView {
    ListView {
        matches: clauses::all(list, subject, undecided),
        clauses: list.iter().map(|one| view(one, place, subject, undecided, secret)).collect(),
    }
}
