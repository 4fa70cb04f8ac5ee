//! What is open to everybody: the compiled plan is asked as a caller without a credential would ask it.

use super::order::{LOOK_BACK, covers};
use super::probe::Asked;
use super::{Advisor, COMPARED, TRIES_ALL};
use crate::config::read::Read;
use crate::config::types::{self, Action, Bypass, DefaultAction, Policy, Rule};
use crate::config::{Path, Warning};
use crate::pipeline::Facts;
use crate::routing::Sample;
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
        let place = root.field("defaultAction");
        if open && self.reaches(&asked, &here) {
            let what = "ALLOW lets everybody reach the models for which no ALLOW policy applies";
            return self.warn(Warning::OpenToEverybody, &place, what, "DENY");
        }
        if !open || !TRIES_ALL {
            return;
        }
        for (to, when) in self.exceptions() {
            let asked = Asked { to: Some(&to), models: &[], when: &when, limited: true };
            if self.reaches(&asked, &here) {
                let what = "ALLOW lets everybody reach models by a header or host that a DENY excepts, \
                            and clients write";
                return self.warn(Warning::OpenToEverybody, &place, what, "DENY");
            }
        }
    }

    /// What DENY rules leave out of requests, as a client would write it.
    fn exceptions(&self) -> Vec<(types::Operation, Vec<types::Condition>)> {
        let mut exceptions = Vec::new();
        let policies = self.settings.authorization.policies.iter();
        let denies = policies.filter(|policy| policy.action == Action::Deny && !policy.dry_run);
        for rule in denies.flat_map(|policy| &policy.rules).take(LOOK_BACK) {
            let is_written = |one: &&types::Condition| {
                let is_header = one.key.starts_with("request.headers[") && !one.key.contains("[:");
                (is_header && !is_of_host(one) || one.key == "connection.sni")
                    && !one.not_values.is_empty()
            };
            let written = |one: &types::Condition| types::Condition {
                key: one.key.clone(),
                values: one.not_values.clone(),
                not_values: Vec::new(),
            };
            let when: Vec<_> = rule.when.iter().filter(is_written).map(written).collect();
            let hosts = rule.to.iter().map(|to| &to.operation.not_hosts);
            let of_host = rule.when.iter().filter(|one| is_of_host(one));
            let hosts = hosts.chain(of_host.map(|one| &one.not_values));
            let hosts: Vec<String> = hosts.flatten().cloned().collect();
            if let Some(nothing) = types::Operation::absent()
                && !(hosts.is_empty() && when.is_empty())
            {
                exceptions.push((types::Operation { hosts, ..nothing }, when));
            }
        }
        exceptions
    }

    /// Paths that count as metrics, and are calls: whoever may scrape may make them.
    pub(super) fn metrics(&mut self) {
        let list = Path::ROOT.field("targets");
        let list = list.field("metricsPaths");
        for (i, value) in self.settings.targets.metrics_paths.iter().enumerate() {
            let is_it = |sample: &&Sample| match sample.path.split_once("{}") {
                Some((start, end)) => value.starts_with(start) && value.ends_with(end),
                None => *value == sample.path,
            };
            if let Some(sample) = self.samples.iter().find(is_it) {
                let what = ["counts as metrics, and is ", sample.operation.as_str(), " to servers"];
                let fix = "a path of metrics alone, as /metrics";
                let what = what.concat();
                self.errors.warn_value(Warning::MetricsPath, &list.index(i), &what, value, fix);
            }
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
        self.excluded_own(&path);
    }

    /// Hosts that are excluded, and that other settings are about.
    fn excluded_own(&mut self, path: &Path<'_>) {
        let settings = self.settings;
        let excluded = &settings.exclude.hosts;
        if excluded.is_empty() {
            return;
        }
        let mut own = OwnHosts { hosts: Vec::new(), room: COMPARED / excluded.len() };
        for fixed in &settings.targets.fixed {
            own.add("targets.fixed", &fixed.hosts, false);
        }
        for one in &settings.targets.seldon_v2 {
            own.add("targets.seldonV2", &one.hosts, false);
        }
        // Without a prefix every address there is a model's.
        for one in settings.targets.openai.iter().filter(|one| one.path_prefix.len() > 1) {
            own.add("targets.openai", &one.hosts, false);
        }
        for rewrite in &settings.rewrites {
            own.add("a rewrite", &rewrite.r#match.hosts, false);
            own.add("a rewrite", std::slice::from_ref(&rewrite.authority), false);
        }
        for policy in settings.authorization.policies.iter().filter(|policy| !policy.dry_run) {
            let is_deny = policy.action == Action::Deny;
            for rule in &policy.rules {
                for to in &rule.to {
                    own.add("a policy", &to.operation.hosts, is_deny);
                }
                for one in rule.when.iter().filter(|one| is_of_host(one)) {
                    own.add("a policy", &one.values, is_deny);
                }
            }
        }
        for (i, host) in excluded.iter().enumerate() {
            let name = host.to_ascii_lowercase();
            // Of what is said of more hosts than these they are an exception, but not from a DENY.
            let is_it = |own: &&OwnHost| {
                covers(&name, &own.name) || own.is_denied && covers(&own.name, &name)
            };
            if let Some(own) = own.hosts.iter().find(is_it) {
                let what = [
                    "is a host of ",
                    own.kind,
                    ", too: what is not a model's address passes before that is asked",
                ];
                let fix = "a host of another application, or leave it out";
                let what = what.concat();
                self.errors.warn_value(Warning::ExcludedHost, &path.index(i), &what, host, fix);
            }
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
                let bare = is_bare(rule);
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
        let is_of_request = |one: &types::Condition| {
            let starts = ["request.headers[:", "connection.", "destination."];
            starts.iter().any(|start| one.key.starts_with(start)) || is_of_host(one)
        };
        let limited = !rule.from.is_empty() || when.any(|one| !is_of_request(one));
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

    /// Who may use a bypass.
    pub(super) fn bypass_from(&mut self, bypass: &Bypass, at: usize, path: &Path<'_>) {
        self.nodes(&bypass.from, &[], path);
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

    /// Callers that a DENY leaves out by an address of such a block.
    pub(super) fn excepted_nodes(&mut self, rule: &Rule, path: &Path<'_>) {
        let list = path.field("from");
        // An exception from a block beside it is meant as it is written.
        let is_free = |from: &types::From| {
            from.source.ip_blocks.is_empty() && from.source.remote_ip_blocks.is_empty()
        };
        let sources = rule.from.iter().enumerate();
        for (i, types::From { source }) in sources.filter(|(_, one)| is_free(one) && !names(one)) {
            let path = list.index(i);
            let path = path.field("source");
            self.blocks(&source.not_ip_blocks, &path.field("notIpBlocks"));
            self.blocks(&source.not_remote_ip_blocks, &path.field("notRemoteIpBlocks"));
        }
        let list = path.field("when");
        for (i, one) in rule.when.iter().enumerate() {
            if one.values.is_empty() && matches!(&*one.key, "source.ip" | "remote.ip") {
                let path = list.index(i);
                self.blocks(&one.not_values, &path.field("notValues"));
            }
        }
    }

    /// Callers that are known by an address of a private block and nothing else.
    pub(super) fn nodes(
        &mut self,
        from: &[types::From],
        when: &[types::Condition],
        path: &Path<'_>,
    ) {
        let is_address = |one: &types::Condition| matches!(&*one.key, "source.ip" | "remote.ip");
        if when.iter().any(|one| is_of_callers(one) && !is_address(one)) {
            return;
        }
        let list = path.field("from");
        for (i, types::From { source }) in from.iter().enumerate().filter(|(_, one)| !names(one)) {
            let path = list.index(i);
            let path = path.field("source");
            self.blocks(&source.ip_blocks, &path.field("ipBlocks"));
            self.blocks(&source.remote_ip_blocks, &path.field("remoteIpBlocks"));
        }
        if !from.is_empty() && from.iter().all(names) {
            return;
        }
        let list = path.field("when");
        for (i, one) in when.iter().enumerate().filter(|(_, one)| is_address(one)) {
            let path = list.index(i);
            self.blocks(&one.values, &path.field("values"));
        }
    }
}

/// Whether a source names peers or tokens.
pub(super) fn names(types::From { source }: &types::From) -> bool {
    let named = [
        &source.principals,
        &source.namespaces,
        &source.service_accounts,
        &source.trust_domains,
        &source.request_principals,
    ];
    named.iter().any(|values| !values.is_empty())
}

/// A host that a setting is about.
struct OwnHost {
    kind: &'static str,
    /// In lower case, without port.
    name: String,
    is_denied: bool,
}

/// As many of them as are compared.
struct OwnHosts {
    hosts: Vec<OwnHost>,
    room: usize,
}

impl OwnHosts {
    #[inline(never)]
    fn add(&mut self, kind: &'static str, hosts: &[String], is_denied: bool) {
        for host in hosts.iter().filter(|host| !matches!(host.as_str(), "" | "*")) {
            if self.hosts.len() == self.room {
                return;
            }
            let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
            let name = port.map_or(host.as_str(), |(name, _)| name).to_ascii_lowercase();
            self.hosts.push(OwnHost { kind, name, is_denied });
        }
    }
}

/// Whether a condition is about the host.
pub(super) fn is_of_host(condition: &types::Condition) -> bool {
    ["request.headers[:authority]", "request.headers[host]"]
        .iter()
        .any(|key| condition.key.eq_ignore_ascii_case(key))
}

/// Whether a condition is about tokens.
pub(super) fn is_of_tokens(condition: &types::Condition) -> bool {
    condition.key.starts_with("request.auth.")
}

/// Whether a condition asks who calls.
fn is_of_callers(condition: &types::Condition) -> bool {
    is_of_tokens(condition) || condition.key.starts_with("source.")
}

/// Whether a rule asks nothing.
pub(super) fn is_bare(rule: &Rule) -> bool {
    rule.from.is_empty() && rule.to.is_empty() && rule.when.is_empty()
}

/// Whether a rule says who may, and not what.
fn is_who(rule: &Rule) -> bool {
    rule.to.is_empty() && (!rule.from.is_empty() || rule.when.iter().any(is_of_callers))
}

/// Whether a rule says what anybody may, and is no list of open addresses.
pub(super) fn is_what(rule: &Rule) -> bool {
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
pub(super) fn names_callers(rule: &Rule) -> bool {
    let named = |from: &types::From| {
        !from.source.request_principals.is_empty() || !from.source.principals.is_empty()
    };
    !rule.from.is_empty() && rule.from.iter().all(named)
        || rule.when.iter().any(|one| is_of_tokens(one) && !one.values.is_empty())
}
