//! Entries that another takes the place of, and addresses that are not a model's only ones.

use super::{Advisor, TRIES_ALL};
use crate::config::types::{Family, Policy};
use crate::config::{Path, Warning};
use crate::matcher::StringMatch;
use crate::path::segments::is_below;

/// With how many policies or rules before it one is compared: what loads must not take a time that is quadratic in its
/// size.
pub(super) const LOOK_BACK: usize = 64;

impl Advisor<'_, '_> {
    pub(super) fn order(&mut self) {
        let list = Path::ROOT.field("rewrites");
        for (later, earlier) in self.plan.hidden_rewrites() {
            let rewrites = &self.settings.rewrites;
            let name = rewrites.get(earlier).map_or("", |rewrite| &rewrite.name);
            self.hidden(&list.index(later), name);
        }
        let list = Path::ROOT.field("splits");
        for (i, split) in self.settings.splits.iter().enumerate() {
            let before = self.settings.splits.iter().take(i).filter(|other| other.when.is_empty());
            let taken = |model: &String| {
                before.clone().find(|other| other.models.iter().any(|wide| covers(wide, model)))
            };
            let by: Option<Vec<_>> = split.models.iter().map(taken).collect();
            if let Some(first) = by.and_then(|by| by.first().copied()) {
                self.hidden(&list.index(i), &first.name);
            }
        }
        let root = Path::ROOT.field("authorization");
        let list = root.field("policies");
        let policies = &self.settings.authorization.policies;
        for (i, policy) in policies.iter().enumerate() {
            let path = list.index(i);
            for j in repeated(&policy.rules, |a, b| a == b) {
                let what = "says the same as a rule before it";
                let path = path.field("rules");
                self.warn(Warning::Duplicate, &path.index(j), what, "leave it out");
            }
        }
        for i in repeated(policies, says_the_same) {
            let what = "says the same as a policy before it";
            self.warn(Warning::Duplicate, &list.index(i), what, "leave it out");
        }
    }

    fn hidden(&mut self, path: &Path<'_>, by: &str) {
        let what = "never applies: an earlier entry takes all that it could take";
        let fix = "the narrower entry first, or leave it out";
        self.errors.warn_value(Warning::Hidden, path, what, by, fix);
    }

    /// Paths that mean a model by one of its addresses, where a DENY has them or an ALLOW excepts them.
    pub(super) fn addresses(&mut self, values: &[String], hosts: &[String], path: &Path<'_>) {
        let targets = &self.settings.targets;
        let has = |family| targets.families.contains(&family);
        for (i, value) in values.iter().enumerate() {
            let literal = value.split(['*', '{']).next().unwrap_or_default();
            let below = |root: &str| is_below(literal.as_bytes(), root.as_bytes());
            let template = targets.kserve.path_template.as_deref().unwrap_or_default();
            let template = template.split('{').next().unwrap_or_default();
            let v1 = has(Family::SeldonV1) && below(&targets.seldon_prefix);
            let v2 = has(Family::SeldonV2)
                && ["/v2/models", "/v2/pipelines", "/v2/repository/models"].into_iter().any(below);
            let leads = self.settings.rewrites.iter().find(|rewrite| {
                let new = rewrite.path.as_deref().unwrap_or_default();
                let start = new.split('{').next().unwrap_or_default();
                start.len() > 1 && (literal.starts_with(start) || start.starts_with(literal))
            });
            let kserve = has(Family::KServe)
                && template.len() > 1
                && literal.starts_with(template)
                && (targets.kserve.host_template.is_some() || leads.is_some());
            let llmisvc = targets.llmisvc.iter().any(|namespace| {
                below(&["/", namespace].concat())
                    || below(&["/publishers/", namespace, "/models"].concat())
            });
            if v1 || v2 || kserve || llmisvc {
                let what = "is not the only way to the model: ";
                let ways = match leads {
                    Some(rewrite) => format!("{what}the rewrite {} leads to it", rewrite.name),
                    None if kserve => format!("{what}its host leads to it"),
                    None if llmisvc => format!("{what}it has two paths, and a header names it"),
                    None => format!("{what}gRPC names it in headers"),
                };
                let fix = "models, which hold for every address; operations for a part of it";
                self.errors.warn_value(Warning::OtherAddress, &path.index(i), &ways, value, fix);
            } else if TRIES_ALL {
                self.protocols(value, values, hosts, &path.index(i));
            }
        }
    }

    /// The same by a header.
    pub(super) fn names(&mut self, key: &str, values: &[String], path: &Path<'_>) {
        let known = NAMES.iter().find(|(name, _)| key.eq_ignore_ascii_case(name));
        let has = |(_, family): &&(&str, Family)| self.settings.targets.families.contains(family);
        if known.filter(has).is_none() {
            return;
        }
        for (i, value) in values.iter().enumerate().filter(|(_, value)| *value != "*") {
            let what = "is not the only way to the model: its paths lead to it without the header";
            let fix = "models, which hold for every address";
            self.errors.warn_value(Warning::OtherAddress, &path.index(i), what, value, fix);
        }
    }
}

/// Headers that name a model, and the family of which it is.
const NAMES: [(&str, Family); 4] = [
    ("request.headers[x-gateway-model-name]", Family::LlmIsvc),
    ("request.headers[x-gateway-base-model-name]", Family::LlmIsvc),
    ("request.headers[seldon-model]", Family::SeldonV2),
    ("request.headers[seldon]", Family::SeldonV1),
];

/// Whether every model that `narrow` fits fits `wide` as well.
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    match StringMatch::new(wide) {
        StringMatch::Present => true,
        StringMatch::Exact(_) => wide == narrow,
        StringMatch::Prefix(start) => narrow.as_bytes().starts_with(&start),
        StringMatch::Suffix(end) => narrow.as_bytes().ends_with(&end),
    }
}

fn says_the_same(a: &Policy, b: &Policy) -> bool {
    let head = |policy: &Policy| (policy.action, policy.dry_run, policy.rules.is_empty());
    head(a) == head(b)
        && !a.rules.is_empty()
        && a.models == b.models
        && a.rules == b.rules
        && a.namespace == b.namespace
}

/// The places of what was said shortly before.
pub(super) fn repeated<T>(list: &[T], same: impl Fn(&T, &T) -> bool) -> Vec<usize> {
    let mut repeated = Vec::new();
    for (i, one) in list.iter().enumerate() {
        if list.iter().take(i).rev().take(LOOK_BACK).any(|other| same(one, other)) {
            repeated.push(i);
        }
    }
    repeated
}
