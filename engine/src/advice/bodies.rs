//! Settings about models that nothing but the body names, which hold for less than they say: of such models only
//! predictions are known, and those when the headers have gone on.

use super::Advisor;
use crate::config::types::{Action, DefaultAction, Operation, Policy};
use crate::config::{Path, Warning};
use crate::matcher::StringMatch;

impl Advisor<'_, '_> {
    /// All of them but policies' operations, which stand with the other fields of a rule.
    pub(super) fn bodies(&mut self) {
        let settings = self.settings;
        let list = Path::ROOT.field("splits");
        for (i, split) in settings.splits.iter().enumerate() {
            let path = list.index(i);
            let path = path.field("models");
            for (j, value) in split.models.iter().enumerate() {
                if self.is_named_in_body(value) {
                    let what = "never applies: only bodies name such a model, and when they do, the headers have gone on";
                    let fix = "shadows, or a route of its own for each variant";
                    self.errors.warn_value(Warning::NeverMatches, &path.index(j), what, value, fix);
                }
            }
        }
        let list = Path::ROOT.field("bypass");
        for (i, bypass) in settings.bypass.iter().enumerate() {
            let path = list.index(i);
            let list = path.field("to");
            for (j, to) in bypass.to.iter().enumerate() {
                let path = list.index(j);
                let path = path.field("operation");
                self.bypassed(&to.operation.models, &path.field("models"));
            }
        }
        if settings.targets.openai.is_empty() {
            return;
        }
        if self.origins.iter().all(|origin| origin.by_body) {
            let list = Path::ROOT.field("targets");
            let list = list.field("predictPaths");
            for (i, value) in settings.targets.predict_paths.iter().enumerate() {
                let what = "is answered with 400: where bodies name models, these are asked at OpenAI's paths alone";
                let fix = "an entry of targets.fixed for that server, or leave it out";
                self.errors.warn_value(Warning::NoEffect, &list.index(i), what, value, fix);
            }
        }
        let authorization = &settings.authorization;
        let policies = authorization.policies.iter().filter(|policy| !policy.dry_run);
        let allows = |policy: &Policy| policy.action == Action::Allow && self.may_name(policy);
        if authorization.default_action == DefaultAction::Allow && !policies.clone().any(allows) {
            let path = Path::ROOT.field("authorization");
            let what = "does not hold for models of targets.openai: what a body names needs an ALLOW policy, and there is none";
            let fix = "an ALLOW policy for the models that may be asked for";
            self.warn(Warning::NoEffect, &path.field("defaultAction"), what, fix);
        }
    }

    /// Models of a bypass.
    fn bypassed(&mut self, models: &[String], path: &Path<'_>) {
        for (i, value) in models.iter().enumerate() {
            if self.is_named_in_body(value) {
                let what =
                    "never matches: headers decide a bypass, and only bodies name such a model";
                let fix = "an ALLOW policy for the model, without from";
                self.errors.warn_value(Warning::NeverMatches, &path.index(i), what, value, fix);
            }
        }
    }

    /// Operations that no model has of those that a rule is about.
    pub(super) fn operations_of(&mut self, models: &[String], to: &Operation, path: &Path<'_>) {
        let models = if to.models.is_empty() { models } else { &to.models };
        let are_named = |models: &[String]| models.iter().all(|one| self.is_named_in_body(one));
        let has_it = |word: &String| word == "*" || word == "predict";
        if !(models.is_empty() || to.operations.is_empty() || to.operations.iter().any(has_it))
            && are_named(models)
        {
            let what =
                "never match: bodies name these models, and only of predictions is that read";
            let fix =
                "predict; for the others a policy without models, for the hosts of targets.openai";
            self.warn(Warning::NeverMatches, path, what, fix);
        }
    }

    /// Whether an ALLOW may be for a model that bodies name.
    fn may_name(&self, policy: &Policy) -> bool {
        let named = |values: &[String]| {
            let of_openai = |value: &String| {
                self.origins.iter().any(|origin| origin.by_body && origin.yields(value))
            };
            values.is_empty() || values.iter().any(of_openai)
        };
        named(&policy.models)
    }

    /// Whether every model that fits is one that nothing but the body names.
    fn is_named_in_body(&self, value: &str) -> bool {
        let mut parts = value.splitn(3, '/');
        let object = [parts.next(), parts.next()].map(Option::unwrap_or_default).join("/");
        let is_adapter = parts.next().is_some() && !value.starts_with('*') && {
            let mut holds = self.settings.targets.body_models.iter();
            holds.any(|held| StringMatch::new(held).matches(object.as_bytes()))
        };
        let yields = |by_body| {
            self.origins.iter().any(|origin| origin.by_body == by_body && origin.yields(value))
        };
        is_adapter || yields(true) && !yields(false)
    }
}
