//! Policies and their rules: any rule matches, with any `from`, any `to` and all of `when`.

use super::clause::{self, Clause, Test};
use super::compile::{Compiler, Purpose};
use super::models::Models;
use super::{Subject, condition, operation, source};
use crate::config::Path;
use crate::config::types::{self, Action, From, To};
use crate::routing::names::{is_label, is_name};

/// A compiled policy.
#[derive(Debug)]
pub(super) struct Policy {
    /// `namespace/name`, or `name`.
    pub(super) id: Box<str>,
    pub(super) purpose: Purpose,
    pub(super) dry_run: bool,
    /// The models for which the policy exists; absent: it exists for every request.
    pub(super) scope: Option<Models>,
    /// Whether it depends on the model what the policy does.
    pub(super) asks_for_model: bool,
    pub(super) rules: Box<[Rule]>,
}

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) from: Box<[Box<[Clause]>]>,
    pub(super) to: Box<[Box<[Clause]>]>,
    pub(super) when: Box<[Clause]>,
}

/// Compiles the policy at `path`; `None` after at least one error was recorded.
pub(super) fn compile<'c>(
    policy: &'c types::Policy,
    path: &Path<'_>,
    c: &mut Compiler<'c, '_>,
) -> Option<Policy> {
    let named = is_name(policy.name.as_bytes());
    if !named {
        let fix = "a name as Kubernetes takes it: a-z, 0-9, - and .";
        c.errors.add_value(&path.field("name"), "is not a name", &policy.name, fix);
    }
    let placed = policy.namespace.is_empty() || is_label(policy.namespace.as_bytes());
    if !placed {
        let fix = "a namespace as Kubernetes takes it: a-z, 0-9 and -";
        c.errors.add_value(&path.field("namespace"), "is not a namespace", &policy.namespace, fix);
    }
    c.namespace = &policy.namespace;
    let purpose = match policy.action {
        Action::Allow => Some(Purpose::Allow),
        Action::Deny => Some(Purpose::Deny),
        Action::Audit => Some(Purpose::Audit),
        Action::Custom => {
            c.errors.add_value(
                &path.field("action"),
                "asks an external authorizer, which is not supported by this version",
                "CUSTOM",
                "keep it in Istio's own AuthorizationPolicy, which Envoy enforces as well",
            );
            None
        }
    };
    // The rules of a CUSTOM policy are read as an ALLOW policy's, to report what else is wrong.
    c.purpose = purpose.unwrap_or(Purpose::Allow);
    let mut right = named && placed;
    if matches!(purpose, Some(Purpose::Deny | Purpose::Audit)) && policy.rules.is_empty() {
        let what = "is empty, and such a policy never matches";
        c.errors.add(&path.field("rules"), what, "at least one rule; [{}] matches every request");
        right = false;
    }
    if policy.dry_run && purpose == Some(Purpose::Audit) {
        let fix = "leave it out: AUDIT only counts";
        c.errors.add(&path.field("dryRun"), "has no meaning with AUDIT", fix);
        right = false;
    }
    let scope = Models::compile(&policy.models, c.names, &path.field("models"), c.errors);
    let rules = list(&policy.rules, &path.field("rules"), c, rule);
    let (purpose, scope, rules) = (purpose?, scope?, rules?);
    right.then(|| Policy {
        id: id(policy).into(),
        purpose,
        dry_run: policy.dry_run,
        asks_for_model: !policy.models.is_empty() || rules.iter().any(Rule::asks_for_model),
        scope: (!policy.models.is_empty()).then_some(scope),
        rules,
    })
}

/// `namespace/name`, or `name`.
pub(super) fn id(policy: &types::Policy) -> String {
    match policy.namespace.as_str() {
        "" => policy.name.clone(),
        namespace => [namespace, "/", &policy.name].concat(),
    }
}

fn rule(rule: &types::Rule, path: &Path<'_>, c: &mut Compiler<'_, '_>) -> Option<Rule> {
    let from = from(&rule.from, &path.field("from"), c);
    let to = to(&rule.to, &path.field("to"), c);
    let when = condition::compile(&rule.when, &path.field("when"), c);
    Some(Rule { from: from?, to: to?, when: when? })
}

/// Compiles a `from` list.
pub(super) fn from(
    from: &[From],
    path: &Path<'_>,
    c: &mut Compiler<'_, '_>,
) -> Option<Box<[Box<[Clause]>]>> {
    list(from, path, c, |from, path, c| source::compile(&from.source, &path.field("source"), c))
}

/// Compiles a `to` list.
pub(super) fn to(
    to: &[To],
    path: &Path<'_>,
    c: &mut Compiler<'_, '_>,
) -> Option<Box<[Box<[Clause]>]>> {
    list(to, path, c, |to, path, c| operation::compile(&to.operation, &path.field("operation"), c))
}

/// Compiles every element, so that every error is reported.
fn list<'c, 'e, S, T>(
    settings: &[S],
    path: &Path<'_>,
    c: &mut Compiler<'c, 'e>,
    compile: impl Fn(&S, &Path<'_>, &mut Compiler<'c, 'e>) -> Option<T>,
) -> Option<Box<[T]>> {
    let read: Vec<Option<T>> =
        settings.iter().enumerate().map(|(i, item)| compile(item, &path.index(i), c)).collect();
    read.into_iter().collect()
}

impl Policy {
    /// The models that it may concern; `None`: any, and requests without one.
    pub(super) fn models(&self) -> Option<Vec<&Models>> {
        let mut found: Vec<&Models> = self.scope.iter().collect();
        if found.is_empty() {
            self.rules.iter().try_for_each(|rule| rule.models(&mut found))?;
        }
        Some(found)
    }

    /// Whether the policy exists for this request.
    pub(super) fn applies(&self, subject: &Subject<'_>) -> bool {
        let Some(scope) = &self.scope else { return true };
        let model = subject.address.and_then(|a| a.model.as_ref());
        model.is_some_and(|model| scope.matches(&model.id))
    }

    /// The first rule that matches. `naming`: only one whose `operations` name what is done.
    pub(super) fn matching_rule(&self, subject: &Subject<'_>, naming: bool) -> Option<usize> {
        let undecided = self.purpose.undecided();
        self.rules.iter().position(|rule| rule.matches(subject, undecided, naming))
    }
}

impl Rule {
    pub(super) fn matches(&self, subject: &Subject<'_>, undecided: bool, naming: bool) -> bool {
        let to = if naming {
            self.to.iter().any(|to| names_operations(to) && clause::all(to, subject, undecided))
        } else {
            any(&self.to, subject, undecided)
        };
        to && any(&self.from, subject, undecided) && clause::all(&self.when, subject, undecided)
    }

    fn asks_for_model(&self) -> bool {
        self.to.iter().any(|to| to.iter().any(|clause| matches!(clause.test, Test::Models(_))))
    }

    /// Adds the models of every `to`; `None` if the rule may match without one of them.
    fn models<'r>(&'r self, found: &mut Vec<&'r Models>) -> Option<()> {
        let mut each = self.to.iter().map(|to| to.iter().find_map(models_of));
        let bound = each.try_for_each(|models| models.map(|models| found.push(models)));
        bound.filter(|()| !self.to.is_empty())
    }
}

/// Whether any of these lists matches; an empty list of lists does.
pub(super) fn any(lists: &[Box<[Clause]>], subject: &Subject<'_>, undecided: bool) -> bool {
    lists.is_empty() || lists.iter().any(|list| clause::all(list, subject, undecided))
}

fn names_operations(to: &[Clause]) -> bool {
    to.iter().any(|clause| !clause.negated && matches!(clause.test, Test::Operations(_)))
}

fn models_of(clause: &Clause) -> Option<&Models> {
    match &clause.test {
        Test::Models(models) if !clause.negated => Some(models),
        _ => None,
    }
}
