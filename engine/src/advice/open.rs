//! What is open to everybody: the compiled plan is asked as a caller without a credential would ask it.

use super::Advisor;
use super::order::LOOK_BACK;
use super::probe::Asked;
use crate::authz::RequestPrincipal;
use crate::config::types::{self, Action, Bypass, DefaultAction, Policy, Rule};
use crate::config::{Path, Warning};
use crate::pipeline::Facts;
use crate::telemetry::Verdict;

impl Advisor<'_, '_> {
    pub(super) fn open(&mut self) {
        self.excluded();
        self.rules();
        self.audiences();
        let authorization = &self.settings.authorization;
        let root = Path::ROOT.field("authorization");
        let enforced = || authorization.policies.iter().filter(|policy| !policy.dry_run);
        let allows = |policy: &Policy| policy.action == Action::Allow;
        if authorization.default_action == DefaultAction::Deny
            && authorization.policies.iter().any(allows)
            && !enforced().any(allows)
        {
            let what = "lets nobody through: every ALLOW policy is a dry run";
            let fix = "defaultAction ALLOW while they are tried, or mode REPORT";
            self.warn(Warning::DryRunOnly, &root.field("defaultAction"), what, fix);
        }
        if !self.reads_credentials() {
            return;
        }
        let open = authorization.default_action == DefaultAction::Allow;
        if open && enforced().next().is_none() {
            let what = "asks nobody for a token or key: bad ones are refused, and none is needed";
            let fix = "defaultAction DENY, and an ALLOW policy with requestPrincipals";
            return self.warn(Warning::OpenToEverybody, &root, what, fix);
        }
        let asked = Asked { to: None, models: &[], when: &[], limited: false };
        let here = |facts: &Facts| facts.verdict == Verdict::Allowed && facts.policy.is_none();
        if open && self.reaches(&asked, &here) {
            let what = "ALLOW lets everybody reach the models for which no ALLOW policy applies";
            self.warn(Warning::OpenToEverybody, &root.field("defaultAction"), what, "DENY");
        }
    }

    fn excluded(&mut self) {
        let path = Path::ROOT.field("exclude");
        let path = path.field("hosts");
        let hosts = self.settings.exclude.hosts.iter().enumerate();
        for (i, host) in hosts.filter(|(_, host)| host.contains('*')) {
            let (name, what) = if host == "*" {
                (Warning::OpenToEverybody, "leaves every address open that is not a model's")
            } else {
                let what =
                    "takes hosts without a virtual host of their own, which meet the routes of *";
                (Warning::ExcludedWildcard, what)
            };
            let fix =
                "the hosts of the other applications, each with a virtual host on every listener";
            self.errors.warn_value(name, &path.index(i), what, host, fix);
        }
    }

    /// Rules that let everybody in.
    fn rules(&mut self) {
        let settings = self.settings;
        let authorization = &settings.authorization;
        let policies = &authorization.policies;
        let allows = |policy: &Policy| policy.action == Action::Allow && !policy.dry_run;
        let root = Path::ROOT.field("authorization");
        let list = root.field("policies");
        for (i, policy) in policies.iter().enumerate().filter(|(_, policy)| allows(policy)) {
            let path = list.index(i);
            let path = path.field("rules");
            let near = policies.get(i.saturating_sub(LOOK_BACK)..).unwrap_or_default();
            let in_two = near.iter().take(2 * LOOK_BACK).any(|one| {
                let same = std::ptr::eq(one, policy)
                    || (allows(one) && !one.models.is_empty() && one.models == policy.models);
                same && one.rules.iter().any(is_who)
            });
            for (j, rule) in policy.rules.iter().enumerate() {
                let path = path.index(j);
                let bare = rule.from.is_empty() && rule.to.is_empty() && rule.when.is_empty();
                let closed = authorization.default_action == DefaultAction::Deny;
                if bare && closed && policy.models.is_empty() {
                    let what = "allows everything to everybody, although defaultAction is DENY";
                    let fix = "from, to or when; or models for the policy";
                    self.warn(Warning::OpenToEverybody, &path, what, fix);
                } else if in_two && is_what(rule) {
                    let what =
                        "has no from: everybody may, and what another rule asks is an alternative";
                    let fix = "one rule with from and to, if both shall hold";
                    self.warn(Warning::RuleInTwo, &path, what, fix);
                } else if self.reads_credentials() && !names_callers(rule) {
                    self.rule(policy, j, rule, &path);
                }
            }
        }
    }

    /// A rule that may let in callers without a credential.
    fn rule(&mut self, policy: &Policy, j: usize, rule: &Rule, path: &Path<'_>) {
        let plan = self.plan;
        let here = |facts: &Facts| {
            let is_it = |name: &str| {
                name.strip_suffix(&*policy.name).map(|n| n.trim_end_matches('/'))
                    == Some(&*policy.namespace)
            };
            facts.verdict == Verdict::Allowed
                && facts.rule == Some(j)
                && facts.policy.is_some_and(|id| is_it(plan.policy_name(id)))
        };
        // What the client says of its request is not about who it is.
        let mut when = rule.when.iter();
        let limited =
            !rule.from.is_empty() || when.any(|one| !one.key.starts_with("request.headers[:"));
        let to = rule.to.iter().map(|to| Some(&to.operation));
        for to in to.chain(rule.to.is_empty().then_some(None)) {
            let asked = Asked { to, models: &policy.models, when: &rule.when, limited };
            if self.reaches(&asked, &here) {
                let what = "lets callers without a token or key reach models";
                let fix =
                    "from with requestPrincipals; models alone, for those that are open on purpose";
                return self.warn(Warning::OpenToEverybody, path, what, fix);
            }
        }
    }

    /// Rules that take any token of an issuer, where no audience says for whom it was made.
    fn audiences(&mut self) {
        let list = Path::ROOT.field("authentication");
        let list = list.field("jwtRules");
        let policies = self.settings.authorization.policies.iter();
        let policies = policies.filter(|policy| policy.action == Action::Allow && !policy.dry_run);
        let rules: Vec<&Rule> = policies.flat_map(|policy| &policy.rules).collect();
        for (i, jwt) in self.settings.authentication.jwt_rules.iter().enumerate() {
            let takes_any = |value: &String| {
                let principal = RequestPrincipal::new(value);
                let issuer = jwt.issuer.as_deref();
                principal.is_any_subject()
                    && issuer.is_none_or(|issuer| principal.may_be_of(issuer))
            };
            let takes = |rule: &&&Rule| {
                let mut sources = rule.from.iter().map(|from| &from.source);
                !rule.when.iter().any(|when| when.key.starts_with("request.auth."))
                    && sources.any(|source| source.request_principals.iter().any(takes_any))
            };
            if jwt.audiences.is_empty() && rules.iter().any(|rule| takes(&rule)) {
                let what =
                    "has no audiences, and a policy lets in whoever has a token of its issuer";
                let fix = "the audience of the models' tokens, as audiences: [models]";
                self.warn(Warning::AnyAudience, &list.index(i), what, fix);
            }
        }
    }

    /// Who may use a bypass.
    pub(super) fn bypass_from(&mut self, bypass: &Bypass, at: usize, path: &Path<'_>) {
        self.nodes(&bypass.from, &path.field("from"));
        let path = path.field("to");
        let fix = "the paths or operations that shall be open, or from";
        let is_all = |to: &types::To| {
            let o = &to.operation;
            let all = |path: &String| matches!(path.as_str(), "*" | "/*" | "/{**}");
            let every = o.operations.iter().any(|operation| operation == "*") && o.paths.is_empty();
            o.hosts.is_empty() && o.models.is_empty() && (o.paths.iter().any(all) || every)
        };
        if bypass.from.is_empty() && bypass.to.iter().any(is_all) {
            let what = "opens everything to everybody";
            return self.warn(Warning::OpenToEverybody, &path, what, fix);
        }
        let closed = self.settings.authorization.default_action == DefaultAction::Deny;
        if !closed && !self.reads_credentials() {
            return;
        }
        let here = |facts: &Facts| facts.verdict == Verdict::Bypassed && facts.rule == Some(at);
        let limited = !bypass.from.is_empty();
        for types::To { operation } in &bypass.to {
            let asked = Asked { to: Some(operation), models: &[], when: &[], limited };
            if self.reaches(&asked, &here) {
                let what = "lets callers without a token or key reach models";
                return self.warn(Warning::OpenToEverybody, &path, what, fix);
            }
        }
    }

    /// Sources that are an address of a private block and nothing else.
    pub(super) fn nodes(&mut self, from: &[types::From], path: &Path<'_>) {
        for (i, types::From { source }) in from.iter().enumerate() {
            let path = path.index(i);
            let path = path.field("source");
            let peers = [
                &source.principals,
                &source.namespaces,
                &source.service_accounts,
                &source.trust_domains,
                &source.request_principals,
            ];
            if peers.iter().any(|peers| !peers.is_empty()) {
                continue;
            }
            for (field, blocks) in
                [("ipBlocks", &source.ip_blocks), ("remoteIpBlocks", &source.remote_ip_blocks)]
            {
                let path = path.field(field);
                for (j, block) in blocks.iter().enumerate().filter(|(_, block)| is_nodes(block)) {
                    let what = "fits every client where a node's address stands for theirs, and at a sidecar \
                                ipBlocks fit nobody";
                    let fix = "principals of those who call, or the address of each";
                    self.errors.warn_value(Warning::NodeAddress, &path.index(j), what, block, fix);
                }
            }
        }
    }
}

/// Whether a condition asks who calls.
fn is_of_callers(condition: &types::Condition) -> bool {
    condition.key.starts_with("request.auth.") || condition.key.starts_with("source.")
}

/// Whether a rule says who may, and not what.
fn is_who(rule: &Rule) -> bool {
    rule.to.is_empty() && (!rule.from.is_empty() || rule.when.iter().any(is_of_callers))
}

/// Whether a rule says what anybody may, and is no list of open addresses.
fn is_what(rule: &Rule) -> bool {
    let narrow = |to: &types::To| {
        let o = &to.operation;
        let calls = |operation: &String| {
            matches!(operation.as_str(), "*" | "predict" | "explain" | "feedback" | "admin")
        };
        o.paths.is_empty() && (o.operations.is_empty() || o.operations.iter().any(calls))
    };
    rule.from.is_empty()
        && rule.when.is_empty()
        && !rule.to.is_empty()
        && rule.to.iter().all(narrow)
}

/// Whether only callers with a token, a key or a certificate can fit.
fn names_callers(rule: &Rule) -> bool {
    let named = |from: &types::From| {
        !from.source.request_principals.is_empty() || !from.source.principals.is_empty()
    };
    !rule.from.is_empty() && rule.from.iter().all(named)
}

/// Whether a block is of private addresses, which nodes have, or of all.
fn is_nodes(block: &str) -> bool {
    let Some((address, bits)) = block.split_once('/') else { return false };
    let second = address.strip_prefix("172.").and_then(|rest| rest.split('.').next());
    let private = ["10.", "192.168.", "100.64.", "fc", "fd"].iter().any(|p| address.starts_with(p))
        || second.and_then(|n| n.parse::<u8>().ok()).is_some_and(|n| (16..32).contains(&n));
    bits == "0" || (private && !matches!(bits, "32" | "128"))
}
