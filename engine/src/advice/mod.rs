//! What a configuration that is accepted does not do, or does besides: which values, rules and models no request can
//! match, and what a caller without a credential reaches. Warnings only; nothing here refuses a configuration.
//!
//! | file | what it asks |
//! |---|---|
//! | `rules` | the fields of a rule, one after the other |
//! | `values` | which single values no request can have |
//! | `models` | which models this configuration can yield, and by which paths |
//! | `issuers` | whose tokens are taken, and made for whom |
//! | `open` | what is open to everybody |
//! | `probe` | what such a caller would ask for |
//! | `roots` | where that may be |
//! | `respelled` | what a client may write otherwise |
//! | `claims` | which claims no token has as they are written, and what `usage` and `quotas` count by |
//! | `bodies` | what holds less than it says where bodies name models |
//! | `aliases` | which models bodies may name otherwise |
//! | `protocols` | which addresses of one model do the same |
//! | `order` | which entries another takes the place of |
//! | `headers` | which headers make up who calls, or hand on who called |
//! | `blocks` | which addresses no caller has, and which every node |

mod aliases;
mod blocks;
mod bodies;
mod claims;
mod headers;
mod issuers;
mod models;
mod open;
mod order;
mod probe;
mod protocols;
mod respelled;
mod roots;
mod rules;
mod values;
mod written;

use crate::authn::TokenCache;
use crate::config::types::{Action, PluginConfig};
use crate::config::{Errors, Path, Warning};
use crate::pipeline::Plan;
use crate::routing::{Operation, Sample, samples};

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
    /// With how many policies and bypasses all the requests together may be compared.
    compared: usize,
    /// With how many of them each is.
    each: usize,
    /// Of how many rules, bypasses and defaults they are.
    asked: usize,
    /// What may be tried besides what is usual.
    samples: &'a [Sample],
    /// Whether there was one for which they were too few.
    left_out: bool,
    cache: TokenCache,
    errors: &'e mut Errors,
}

/// With how many policies and bypasses all the requests together may be compared: what loads must not take a time that is
/// quadratic in its size. The command has the time.
const COMPARED: usize = if cfg!(target_arch = "wasm32") { 1 << 18 } else { 1 << 30 };

/// Whether each address that a model server has is tried, and not only the usual ones. For the module this is too much
/// code; the command has the room.
const TRIES_ALL: bool = !cfg!(target_arch = "wasm32");

/// Warns of what the author of an accepted configuration should know.
pub(crate) fn advise(settings: &PluginConfig, plan: &Plan, errors: &mut Errors) {
    advise_within(COMPARED, settings, plan, errors);
}

/// The same with so many comparisons. Each rule, bypass and default gets its share, wherever it stands.
fn advise_within(compared: usize, settings: &PluginConfig, plan: &Plan, errors: &mut Errors) {
    let policies = settings.authorization.policies.iter();
    let rules = policies.flat_map(|policy| &policy.rules).map(|rule| rule.to.len().max(1));
    let asked = rules.chain(settings.bypass.iter().map(|bypass| bypass.to.len()));
    let asked = asked.fold(1, usize::saturating_add);
    let each = 1 + plan.most_policies() + settings.bypass.len();
    let samples = if TRIES_ALL { every_sample(settings) } else { Vec::new() };
    let mut advisor = Advisor {
        settings,
        plan,
        origins: models::origins(&settings.targets, &settings.rewrites),
        compared,
        each,
        asked,
        samples: &samples,
        left_out: false,
        cache: plan.token_cache(),
        errors,
    };
    advisor.policies();
    advisor.bypass();
    advisor.selectors();
    advisor.body_models();
    advisor.hosts_of_routes();
    advisor.keys();
    advisor.issuers();
    advisor.metrics();
    advisor.headers();
    advisor.open();
    advisor.order();
    if TRIES_ALL {
        advisor.bodies();
        advisor.usage();
        advisor.quotas();
    }
    if advisor.left_out {
        let what = "has more rules, models and addresses than are tried here as a caller without a token or key";
        let fix = "modelgate check, which tries more of them";
        advisor.warn(Warning::NotTried, &Path::ROOT.field("authorization"), what, fix);
    }
}

/// Those of the operator's own servers as well.
fn every_sample(settings: &PluginConfig) -> Vec<Sample> {
    let mut samples = samples();
    samples.extend(settings.targets.predict_paths.iter().map(|path| Sample {
        path: path.clone(),
        method: "POST",
        operation: Operation::Predict,
        is_grpc: false,
    }));
    samples
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
            if TRIES_ALL && !policy.dry_run {
                self.aliases(policy, &path);
            }
            let scope = Scope { action: policy.action, models: &policy.models };
            let rules = path.field("rules");
            for (j, rule) in policy.rules.iter().enumerate() {
                let path = rules.index(j);
                self.from(&rule.from, &path.field("from"));
                if policy.action == Action::Allow && !policy.dry_run {
                    self.nodes(&rule.from, &rule.when, &path);
                }
                if TRIES_ALL && policy.action == Action::Deny && !policy.dry_run {
                    self.excepted_nodes(rule, &path);
                }
                self.to(&rule.to, scope, &path.field("to"));
                self.when(&rule.when, &path.field("when"));
                if TRIES_ALL {
                    self.named(policy.action, &rule.when, &path.field("when"));
                }
                if !policy.dry_run {
                    self.callers(policy.action, rule, &path);
                    self.respelled(policy.action, rule, &path);
                }
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
            self.hosts(&rewrite.r#match.hosts, &path.field("hosts"));
            let list = path.field("headers");
            for (j, header) in rewrite.r#match.headers.iter().enumerate() {
                let name = header.name.to_ascii_lowercase();
                let path = list.index(j);
                let are_types = name.starts_with("accept");
                self.literal_star(&header.value, are_types, &path.field("value"));
            }
        }
    }

    fn hosts_of_routes(&mut self) {
        let path = Path::ROOT.field("exclude");
        self.hosts(&self.settings.exclude.hosts, &path.field("hosts"));
        let targets = Path::ROOT.field("targets");
        let list = targets.field("fixed");
        for (i, fixed) in self.settings.targets.fixed.iter().enumerate() {
            let path = list.index(i);
            self.hosts(&fixed.hosts, &path.field("hosts"));
            self.unsent(&fixed.path_prefix, &path.field("pathPrefix"));
        }
        let list = targets.field("seldonV2");
        for (i, one) in self.settings.targets.seldon_v2.iter().enumerate() {
            let path = list.index(i);
            self.hosts(&one.hosts, &path.field("hosts"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// The warnings of policies for an address each, of which one at a place is for everybody instead, where so many
    /// comparisons are made.
    fn warnings(policies: usize, open: usize, are_narrow: bool, compared: usize) -> Vec<String> {
        let policies = (0..policies).map(|i| {
            let models = if are_narrow { format!(r#""models": ["prod/m{i}"], "#) } else { String::new() };
            let one = r#""from": [{"source": {"ipBlocks": ["203.0.113.17"]}}], "to": [{"operation": {"ports": ["PORT"]}}]"#;
            let one = one.replace("PORT", &(1000 + i).to_string());
            let (models, rule) = match i == open {
                true => ("", r#""to": [{"operation": {"operations": ["predict"]}}]"#),
                false => (&*models, &*one),
            };
            format!(r#"{{"name": "p{i}", {models}"rules": [{{{rule}}}]}}"#)
        });
        let text = format!(
            r#"{{"authentication": {{"apiKeys": {{"keys": [{{"name": "a", "sha256": "{}"}}]}}}},
                "authorization": {{"defaultAction": "DENY", "policies": [{}]}}}}"#,
            "ab".repeat(32),
            policies.collect::<Vec<_>>().join(", "),
        );
        let mut errors = Errors::default();
        let settings = config::read(text.as_bytes(), &mut errors).unwrap();
        let plan = Plan::read(text.as_bytes(), &mut errors).unwrap();
        let mut errors = Errors::default();
        advise_within(compared, &settings, &plan, &mut errors);
        let named = errors.warnings().iter().map(|warning| {
            format!("{} {}", warning.name.map_or("", Warning::as_str), warning.path)
        });
        named.collect()
    }

    #[test]
    fn every_rule_has_its_share_wherever_it_stands() {
        const IN_MODULE: usize = 1 << 18;
        for (policies, open, are_narrow, compared) in [
            (300, 299, true, IN_MODULE),
            (300, 0, true, IN_MODULE),
            (60, 59, false, IN_MODULE),
            (300, 299, false, COMPARED),
            (2000, 1999, true, COMPARED),
        ] {
            let found = warnings(policies, open, are_narrow, compared);
            let wanted = format!("open-to-everybody authorization.policies[{open}].rules[0]");
            assert_eq!(found, [wanted], "{policies} {are_narrow}");
        }
    }

    #[test]
    fn what_was_not_tried_is_told() {
        // Three each: enough for the rule that is open, and not for those that are not.
        let found = warnings(300, 299, false, 3 * 301 * 301);
        let open = "open-to-everybody authorization.policies[299].rules[0]";
        assert_eq!(found, [open, "not-tried authorization"]);
        assert_eq!(warnings(300, 299, false, 0), ["not-tried authorization"]);
    }

    #[test]
    fn many_rewrites_take_no_time() {
        for rewrites in [200, 2000] {
            let rules = (0..rewrites).map(|i| {
                format!(r#"{{"name": "r{i}", "match": {{"path": "/team-{i}/{{rest=**}}"}}, "path": "/seldon/team-{i}/{{rest}}"}}"#)
            });
            let text = format!(
                r#"{{"authorization": {{"defaultAction": "DENY"}}, "rewrites": [{}],
                    "bypass": [{{"name": "b", "to": [{{"operation": {{"operations": ["metrics"]}}}}]}}]}}"#,
                rules.collect::<Vec<_>>().join(", "),
            );
            let mut errors = Errors::default();
            let settings = config::read(text.as_bytes(), &mut errors).unwrap();
            let (_, places) = roots::roots(&settings, "*", &[], usize::MAX);
            // One of Seldon v1's and of gRPC's, two of Seldon v2's; each rewrite alone, and before the first of these,
            // and both as the rest of what the new path begins.
            assert_eq!(places.len(), 4 + 4 * rewrites);
            let (_, places) = roots::roots(&settings, "*", &[], 100);
            assert_eq!(places.len(), 100);
            Plan::read(text.as_bytes(), &mut errors).unwrap();
        }
    }
}
