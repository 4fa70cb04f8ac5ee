//! What is open to everybody: the compiled plan is asked as a caller without a credential would ask it.

use std::net::IpAddr;

use super::order::{LOOK_BACK, covers};
use super::probe::Asked;
use super::{Advisor, COMPARED};
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

    /// Issuers of which any token is let in, where no audience says for whom it was made.
    fn audiences(&mut self) {
        let list = Path::ROOT.field("authentication");
        let list = list.field("jwtRules");
        let settings = self.settings;
        let authorization = &settings.authorization;
        let enforced = || authorization.policies.iter().filter(|policy| !policy.dry_run);
        let of = |action| enforced().filter(move |policy| policy.action == action);
        let allows = || of(Action::Allow).flat_map(|policy| &policy.rules);
        let denies = || of(Action::Deny).flat_map(|policy| &policy.rules);
        // A DENY that asks all tokens for more than that they are there.
        let narrows = |one: &types::Condition| !asks_for_any(one) && !one.not_values.is_empty();
        let mut narrow = of(Action::Deny).filter(|policy| policy.models.is_empty());
        if narrow.any(|one| one.rules.iter().any(|rule| rule.when.iter().any(narrows))) {
            return;
        }
        let unlimited = authorization.default_action == DefaultAction::Allow
            && of(Action::Allow).all(|policy| !policy.models.is_empty());
        let bare = |rule: &Rule| is_bare(rule) || is_what(rule);
        let open = unlimited || allows().any(bare);
        for (i, jwt) in settings.authentication.jwt_rules.iter().enumerate() {
            let any = |values: &[String]| fit_any(values, jwt.issuer.as_deref());
            let takes = |rule: &Rule| {
                let mut of_tokens = rule.when.iter().filter(|one| is_of_tokens(one));
                let by_source = || rule.from.iter().any(|one| any(&one.source.request_principals));
                of_tokens.clone().all(|one| asks_for_any(one) && any(&one.values))
                    && (of_tokens.next().is_some() || by_source())
            };
            let lacks = |rule: &Rule| {
                rule.from.iter().any(|one| any(&one.source.not_request_principals))
                    || rule.when.iter().any(|one| asks_for_any(one) && any(&one.not_values))
            };
            if jwt.audiences.is_empty() && (allows().any(takes) || open && denies().any(lacks)) {
                let what =
                    "has no audiences, and policies let in whoever has a token of its issuer";
                let fix = "the audience of the models' tokens, as audiences: [models]";
                self.warn(Warning::AnyAudience, &list.index(i), what, fix);
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

    fn blocks(&mut self, blocks: &[String], path: &Path<'_>) {
        for (i, block) in blocks.iter().enumerate().filter(|(_, block)| is_nodes(block)) {
            let what = "fits every client where a node's address stands for theirs, and at a sidecar \
                        a peer's address fits nobody";
            let fix = "principals of those who call, or the address of each";
            self.errors.warn_value(Warning::NodeAddress, &path.index(i), what, block, fix);
        }
    }
}

/// Whether a source names peers or tokens.
fn names(types::From { source }: &types::From) -> bool {
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

/// Whether one of the values fits whoever has a token of the issuer.
#[inline(never)]
fn fit_any(values: &[String], issuer: Option<&str>) -> bool {
    values.iter().any(|value| {
        let principal = RequestPrincipal::new(value);
        principal.is_any_subject() && issuer.is_none_or(|issuer| principal.may_be_of(issuer))
    })
}

/// Whether a condition is about the host.
pub(super) fn is_of_host(condition: &types::Condition) -> bool {
    ["request.headers[:authority]", "request.headers[host]"]
        .iter()
        .any(|key| condition.key.eq_ignore_ascii_case(key))
}

/// Whether a condition is about tokens.
fn is_of_tokens(condition: &types::Condition) -> bool {
    condition.key.starts_with("request.auth.")
}

/// Whether a condition may be one that any token fits: on what each has.
fn asks_for_any(condition: &types::Condition) -> bool {
    let key = condition.key.strip_prefix("request.auth.").unwrap_or_default();
    matches!(key, "principal" | "claims[iss]" | "claims[sub]")
}

/// Whether a condition asks who calls.
fn is_of_callers(condition: &types::Condition) -> bool {
    is_of_tokens(condition) || condition.key.starts_with("source.")
}

/// Whether a rule asks nothing.
fn is_bare(rule: &Rule) -> bool {
    rule.from.is_empty() && rule.to.is_empty() && rule.when.is_empty()
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
        || rule.when.iter().any(|one| is_of_tokens(one) && !one.values.is_empty())
}

/// Blocks from which nodes have their addresses (RFC 1918 §3, RFC 6598 §7, RFC 4193 §3), and how long their prefixes are.
const PRIVATE: [(&str, u32); 5] =
    [("10.0.0.0", 8), ("172.16.0.0", 12), ("192.168.0.0", 16), ("100.64.0.0", 10), ("fc00::", 7)];

/// Whether a block is within private addresses, which nodes have, or holds some of them.
fn is_nodes(block: &str) -> bool {
    let Some((address, bits)) = block.split_once('/') else { return false };
    let (Some((address, long)), Ok(bits)) = (number(address), bits.parse::<u32>()) else {
        return false;
    };
    bits < long
        && PRIVATE.iter().any(|(private, most)| {
            let beyond = u128::BITS.saturating_sub(bits.min(*most));
            number(private).is_some_and(|(private, of)| {
                of == long && (address ^ private).checked_shr(beyond).unwrap_or(0) == 0
            })
        })
}

/// An address with its first bit foremost, and how many bits it has.
fn number(address: &str) -> Option<(u128, u32)> {
    Some(match address.parse().ok()? {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    })
}
