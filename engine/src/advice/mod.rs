//! What a configuration that is accepted does not do, or does besides: which values, rules and models no request can
//! match, and what a caller without a credential reaches. Warnings only; nothing here refuses a configuration.
//!
//! | file | what it asks |
//! |---|---|
//! | `values` | which single values no request can have |
//! | `models` | which models this configuration can yield, and by which paths |
//! | `open` | what is open to everybody |
//! | `probe` | what such a caller would ask for |
//! | `order` | which entries another takes the place of |

mod models;
mod open;
mod order;
mod probe;
mod values;

use crate::authn::TokenCache;
use crate::config::types::{self, Action, Condition, PluginConfig};
use crate::config::{Errors, Path, Warning};
use crate::pipeline::Plan;
use crate::routing::Operation;

use models::Origin;

/// What a rule is asked of.
#[derive(Clone, Copy)]
struct Scope<'a> {
    action: Action,
    /// The policy's `models`; empty: no limit.
    models: &'a [String],
}

/// The whole of what warnings are drawn from.
struct Advisor<'a, 'e> {
    settings: &'a PluginConfig,
    plan: &'a Plan,
    /// Where models can come from.
    origins: Vec<Origin<'a>>,
    /// How many requests may still be tried.
    asks: usize,
    cache: TokenCache,
    errors: &'e mut Errors,
}

/// How many policies all the requests together may be compared with: what loads must not take a time that is quadratic
/// in its size.
const COMPARED: usize = 1 << 18;

/// Warns of what the author of an accepted configuration should know.
pub(crate) fn advise(settings: &PluginConfig, plan: &Plan, errors: &mut Errors) {
    let origins = models::origins(&settings.targets, &settings.rewrites);
    let asks = COMPARED / (1 + settings.authorization.policies.len() + settings.bypass.len());
    let mut advisor = Advisor { settings, plan, origins, asks, cache: plan.token_cache(), errors };
    advisor.policies();
    advisor.bypass();
    advisor.selectors();
    advisor.keys();
    advisor.open();
    advisor.order();
}

impl<'a> Advisor<'a, '_> {
    /// In one place for all of them: a call is little code.
    #[inline(never)]
    fn warn(&mut self, name: Warning, path: &Path<'_>, what: &str, fix: &str) {
        self.errors.warn(name, path, what, fix);
    }

    /// Whether any token or key is read.
    fn reads_credentials(&self) -> bool {
        let authentication = &self.settings.authentication;
        !authentication.jwt_rules.is_empty() || !authentication.api_keys.keys.is_empty()
    }

    fn policies(&mut self) {
        let root = Path::ROOT.field("authorization");
        let list = root.field("policies");
        for (i, policy) in self.settings.authorization.policies.iter().enumerate() {
            let path = list.index(i);
            self.models(&policy.models, &path.field("models"), None);
            if policy.action == Action::Allow && !policy.dry_run {
                self.unlisted(policy, &path);
            }
            let scope = Scope { action: policy.action, models: &policy.models };
            let rules = path.field("rules");
            for (j, rule) in policy.rules.iter().enumerate() {
                let path = rules.index(j);
                self.from(&rule.from, &path.field("from"));
                let tokens = rule.when.iter().any(|one| one.key.starts_with("request.auth."));
                if policy.action == Action::Allow && !policy.dry_run && !tokens {
                    self.nodes(&rule.from, &path.field("from"));
                }
                self.to(&rule.to, scope, &path.field("to"));
                self.when(&rule.when, &path.field("when"));
            }
        }
    }

    fn bypass(&mut self) {
        let list = Path::ROOT.field("bypass");
        for (i, bypass) in self.settings.bypass.iter().enumerate() {
            let path = list.index(i);
            let scope = Scope { action: Action::Audit, models: &[] };
            self.from(&bypass.from, &path.field("from"));
            self.to(&bypass.to, scope, &path.field("to"));
            self.bypass_from(bypass, i, &path);
        }
    }

    /// Shadows and splits: they have models and conditions as policies have.
    fn selectors(&mut self) {
        let list = Path::ROOT.field("splits");
        for (i, split) in self.settings.splits.iter().enumerate() {
            let path = list.index(i);
            self.models(&split.models, &path.field("models"), None);
            self.when(&split.when, &path.field("when"));
            // Beside others it may be the way for some callers, or for the rest of them.
            let alone = self.settings.splits.len() == 1 && split.when.is_empty();
            if alone && split.variants.len() == 1 {
                let fix = "two variants or more; until then no split is needed";
                let path = path.field("variants");
                self.warn(Warning::NoEffect, &path, "has a single variant", fix);
            }
        }
        let list = Path::ROOT.field("shadows");
        for (i, shadow) in self.settings.shadows.iter().enumerate() {
            let path = list.index(i);
            self.models(&shadow.models, &path.field("models"), None);
            self.when(&shadow.when, &path.field("when"));
            if shadow.percent == 0.0 {
                let fix = "a number above 0, or leave the shadow out";
                let path = path.field("percent");
                self.warn(Warning::NoEffect, &path, "is 0: the shadow is off", fix);
            }
        }
        let list = Path::ROOT.field("rewrites");
        for (i, rewrite) in self.settings.rewrites.iter().enumerate() {
            let path = list.index(i);
            let path = path.field("match");
            self.methods(&rewrite.r#match.methods, &path.field("methods"));
            self.spelling(&rewrite.r#match.path, &[], &path.field("path"));
        }
    }

    fn from(&mut self, from: &[types::From], path: &Path<'_>) {
        for (i, types::From { source }) in from.iter().enumerate() {
            let path = path.index(i);
            let path = path.field("source");
            for (field, values) in [
                ("requestPrincipals", &source.request_principals),
                ("notRequestPrincipals", &source.not_request_principals),
            ] {
                self.request_principals(values, &path.field(field));
            }
            for (field, values) in
                [("principals", &source.principals), ("notPrincipals", &source.not_principals)]
            {
                self.peers(values, &path.field(field));
            }
        }
    }

    fn to(&mut self, to: &[types::To], scope: Scope<'_>, path: &Path<'_>) {
        for (i, types::To { operation }) in to.iter().enumerate() {
            let path = path.index(i);
            let path = path.field("operation");
            let o = operation;
            for (field, values) in [("methods", &o.methods), ("notMethods", &o.not_methods)] {
                self.methods(values, &path.field(field));
            }
            for (field, values) in [("paths", &o.paths), ("notPaths", &o.not_paths)] {
                self.paths(values, &path.field(field));
            }
            for (field, values) in [("hosts", &o.hosts), ("notHosts", &o.not_hosts)] {
                self.hosts(values, &path.field(field));
            }
            self.models(&o.models, &path.field("models"), Some(&o.paths));
            self.models(&o.not_models, &path.field("notModels"), None);
            if o.models.is_empty() && !o.paths.is_empty() {
                self.scope(scope.models, &o.paths, &path.field("paths"));
            }
            let operations = path.field("operations");
            if self.origins.is_empty() && !o.operations.is_empty() {
                let what = "never match: no address is a model's";
                let fix = "the families of the models in targets.families, or paths";
                self.warn(Warning::NeverMatches, &operations, what, fix);
            }
            match scope.action {
                Action::Deny => self.addresses(&o.paths, &path.field("paths")),
                Action::Allow => {
                    self.addresses(&o.not_paths, &path.field("notPaths"));
                    self.closed(&o.operations, &operations);
                }
                _ => {}
            }
        }
    }

    /// `*` in an ALLOW. Whoever names a closed operation beside it knows.
    fn closed(&mut self, operations: &[String], path: &Path<'_>) {
        let mut named = operations.iter().filter_map(|word| Operation::from_word(word));
        let Some(star) = operations.iter().position(|word| word == "*") else { return };
        if !named.any(Operation::is_closed) {
            let what = "does not open metrics, admin and other";
            let fix = "name those that are meant beside it: they are opened by their names only";
            self.warn(Warning::ClosedOperations, &path.index(star), what, fix);
        }
    }

    fn when(&mut self, conditions: &[Condition], path: &Path<'_>) {
        for (i, condition) in conditions.iter().enumerate() {
            let path = path.index(i);
            for (field, values) in
                [("values", &condition.values), ("notValues", &condition.not_values)]
            {
                if !values.is_empty() {
                    self.condition(&condition.key, values, &path.field(field));
                }
            }
        }
    }
}
