//! Models that a DENY names, or that an ALLOW excepts, where the body says which model it is: servers know one by
//! several names, and the others are let in by a wildcard.

use super::Advisor;
use crate::config::types::{Action, Policy};
use crate::config::{Path, Warning};
use crate::matcher::StringMatch;

impl Advisor<'_, '_> {
    /// Those of an enforced policy.
    pub(super) fn aliases(&mut self, policy: &Policy, path: &Path<'_>) {
        let denies = policy.action == Action::Deny;
        let excepts = policy.action == Action::Allow;
        if denies {
            self.by_one_name(&policy.models, &path.field("models"));
        }
        let rules = path.field("rules");
        for (i, rule) in policy.rules.iter().enumerate() {
            let path = rules.index(i);
            let list = path.field("to");
            for (j, to) in rule.to.iter().enumerate() {
                let path = list.index(j);
                let path = path.field("operation");
                if denies {
                    self.by_one_name(&to.operation.models, &path.field("models"));
                } else if excepts {
                    self.by_one_name(&to.operation.not_models, &path.field("notModels"));
                }
            }
        }
    }

    fn by_one_name(&mut self, values: &[String], path: &Path<'_>) {
        for (i, value) in values.iter().enumerate() {
            let is_wider = |other: &String| other.ends_with('*') && matches(other, value);
            let adapters = [value, "/*"].concat();
            // What fits more names, or all adapters, is no single name.
            let is_whole = values.iter().any(|other| is_wider(other) || *other == adapters);
            if value.contains('*') || is_whole || !self.is_in_body(value) || !self.is_open(value) {
                continue;
            }
            let what = "is one name of a model that bodies name: under others a wildcard of an ALLOW lets it in";
            let fix = "in the ALLOW, the models that may be asked for, each by its name";
            self.errors.warn_value(Warning::OtherAddress, &path.index(i), what, value, fix);
        }
    }

    /// Whether the body says that it is this model.
    fn is_in_body(&self, model: &str) -> bool {
        let targets = &self.settings.targets;
        let Some((namespace, name)) = model.split_once('/') else { return false };
        let object = [namespace, "/", name.split('/').next().unwrap_or_default()].concat();
        targets.openai.iter().any(|one| one.namespace == namespace)
            || targets.body_models.iter().any(|value| matches(value, &object))
    }

    /// Whether an ALLOW takes it by what ends in anything.
    fn is_open(&self, model: &str) -> bool {
        let policies = self.settings.authorization.policies.iter();
        let mut allows =
            policies.filter(|policy| policy.action == Action::Allow && !policy.dry_run);
        let is_wide = |value: &String| value.ends_with('*') && matches(value, model);
        allows.any(|policy| {
            let rules = policy.rules.iter().flat_map(|rule| &rule.to);
            let own = rules.flat_map(|to| &to.operation.models);
            policy.models.iter().chain(own).any(is_wide)
        })
    }
}

fn matches(value: &str, model: &str) -> bool {
    StringMatch::new(value).matches(model.as_bytes())
}
