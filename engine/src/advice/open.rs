//! What is open to everybody: the compiled plan is asked as a caller without a credential would ask it.

use super::Advisor;
use crate::authz::RequestPrincipal;
use crate::config::types::{self, Action, Bypass, DefaultAction, Family, Rule};
use crate::config::{Path, Warning};
use crate::pipeline::Plan;
use crate::request::{Attributes, Host, Request};
use crate::telemetry::Verdict;

/// A name that nobody gives a model or a namespace.
const UNNAMED: &str = "modelgatenobody";

/// A connection of which nothing is known.
#[derive(Debug)]
struct Nobody;

impl Host for Nobody {
    fn now(&self) -> u64 {
        0
    }
    fn is_inbound(&self) -> bool {
        false
    }
}

impl Advisor<'_, '_> {
    pub(super) fn open(&mut self) {
        self.excluded();
        self.rules();
        self.audiences();
        let authorization = &self.settings.authorization;
        let root = Path::ROOT.field("authorization");
        let enforced = || authorization.policies.iter().filter(|policy| !policy.dry_run);
        let allows = |policy: &types::Policy| policy.action == Action::Allow;
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
        for (path, host) in addresses(&self.settings.targets) {
            self.ask(&path, &host);
        }
    }

    /// Asks for a prediction of a model that no policy names.
    fn ask(&mut self, path: &str, host: &str) {
        let lines = [(":method", "POST"), (":path", path), (":authority", host)];
        let lines = lines.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let attributes = Attributes::new(&Nobody);
        let request = Request::new(&lines, &attributes);
        let plan: &Plan = self.plan;
        let decision = plan.decide(&request, &mut plan.token_cache(), |_| Ok(()));
        let root = Path::ROOT.field("authorization");
        let what = "lets callers without a token or key reach every model";
        match (decision.facts.verdict, decision.facts.policy) {
            (Verdict::Allowed, None) => {
                let what =
                    "ALLOW lets everybody reach the models for which no ALLOW policy applies";
                let path = root.field("defaultAction");
                self.warn(Warning::OpenToEverybody, &path, what, "DENY");
            }
            (Verdict::Allowed, Some(policy)) => {
                let name = plan.policy_name(policy);
                let list = root.field("policies");
                let is_it = |policy: &types::Policy| {
                    name.strip_suffix(&*policy.name).map(|n| n.trim_end_matches('/'))
                        == Some(&*policy.namespace)
                };
                let policies = &self.settings.authorization.policies;
                let Some(i) = policies.iter().position(is_it) else { return };
                let path = list.index(i);
                let fix = "from with requestPrincipals; models, for those that are open on purpose";
                self.warn(Warning::OpenToEverybody, &path.field("rules"), what, fix);
            }
            (Verdict::Bypassed, _) => {
                let bypass = &self.settings.bypass;
                let Some(i) = bypass.iter().position(|rule| rule.from.is_empty()) else { return };
                let path = Path::ROOT.field("bypass");
                let path = path.index(i);
                let fix = "the paths that shall be open, or from";
                self.warn(Warning::OpenToEverybody, &path.field("to"), what, fix);
            }
            _ => {}
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

    /// Rules that let everybody in, by what is written.
    fn rules(&mut self) {
        let authorization = &self.settings.authorization;
        let root = Path::ROOT.field("authorization");
        let list = root.field("policies");
        for (i, policy) in authorization.policies.iter().enumerate() {
            if policy.action != Action::Allow || policy.dry_run {
                continue;
            }
            let path = list.index(i);
            let path = path.field("rules");
            for (j, rule) in policy.rules.iter().enumerate() {
                let bare = rule.from.is_empty() && rule.to.is_empty() && rule.when.is_empty();
                let closed = authorization.default_action == DefaultAction::Deny;
                if bare && closed && policy.models.is_empty() {
                    let what = "allows everything to everybody, although defaultAction is DENY";
                    let fix = "from, to or when; or models for the policy";
                    let path = path.index(j);
                    self.warn(Warning::OpenToEverybody, &path, what, fix);
                }
                let before = j.checked_sub(1).and_then(|before| policy.rules.get(before));
                if before.is_some_and(|before| is_half(before, rule)) {
                    let what =
                        "has no from: everybody may, and the rule before it is another alternative";
                    let fix = "one rule with from and to, if both shall hold";
                    self.warn(Warning::RuleInTwo, &path.index(j), what, fix);
                }
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
    pub(super) fn bypass_from(&mut self, bypass: &Bypass, path: &Path<'_>) {
        let to = path.field("to");
        for (i, types::To { operation }) in bypass.to.iter().enumerate() {
            let all = |path: &String| matches!(path.as_str(), "*" | "/*" | "/{**}");
            let limited = !operation.hosts.is_empty() || !operation.models.is_empty();
            let every = operation.operations.iter().any(|operation| operation == "*");
            let every = every && operation.paths.is_empty();
            if bypass.from.is_empty() && !limited && (operation.paths.iter().any(all) || every) {
                let what = "opens everything to everybody";
                let fix = "the paths or operations that shall be open, or from";
                self.warn(Warning::OpenToEverybody, &to.index(i), what, fix);
            }
        }
        let from = path.field("from");
        for (i, types::From { source }) in bypass.from.iter().enumerate() {
            let path = from.index(i);
            let path = path.field("source");
            let peers = [
                &source.principals,
                &source.namespaces,
                &source.service_accounts,
                &source.trust_domains,
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

/// Whether a rule with `from` alone is followed by one with `to` alone that is no list of open addresses.
fn is_half(before: &Rule, rule: &Rule) -> bool {
    let narrow = |to: &types::To| {
        let o = &to.operation;
        let calls = |operation: &String| {
            matches!(operation.as_str(), "*" | "predict" | "explain" | "feedback")
        };
        o.paths.is_empty() && (o.operations.is_empty() || o.operations.iter().any(calls))
    };
    !before.from.is_empty()
        && before.to.is_empty()
        && rule.from.is_empty()
        && rule.when.is_empty()
        && !rule.to.is_empty()
        && rule.to.iter().all(narrow)
}

/// Whether a block is of private addresses, which nodes have, or of all.
fn is_nodes(block: &str) -> bool {
    let Some((address, bits)) = block.split_once('/') else { return false };
    let second = address.strip_prefix("172.").and_then(|rest| rest.split('.').next());
    let private = ["10.", "192.168.", "100.64.", "fc", "fd"].iter().any(|p| address.starts_with(p))
        || second.and_then(|n| n.parse::<u8>().ok()).is_some_and(|n| (16..32).contains(&n));
    bits == "0" || (private && !matches!(bits, "32" | "128"))
}

/// An address of a model that no policy names, for each family.
fn addresses(targets: &types::Targets) -> Vec<(String, String)> {
    let nowhere = "models.invalid".to_owned();
    let mut addresses = Vec::new();
    for family in &targets.families {
        if *family == Family::SeldonV1 {
            let prefix = &targets.seldon_prefix;
            let path = format!("{prefix}/{UNNAMED}/{UNNAMED}/api/v1.0/predictions");
            addresses.push((path, nowhere.clone()));
        } else if *family == Family::SeldonV2 {
            let host = targets.seldon_v2.first().and_then(|one| one.hosts.first());
            let host = host.map_or(nowhere.clone(), |host| host.replace('*', "models"));
            addresses.push((format!("/v2/models/{UNNAMED}/infer"), host));
        } else if *family == Family::KServe {
            let namespaces = &targets.kserve.namespaces;
            let namespace = namespaces.first().map_or(UNNAMED, String::as_str);
            let fill = |template: &String| {
                template.replace("{namespace}", namespace).replace("{name}", UNNAMED)
            };
            let root = targets.kserve.path_template.as_ref().map(fill).unwrap_or_default();
            let host = targets.kserve.host_template.as_ref().map(fill);
            let host = if root.is_empty() { host } else { None };
            let path = format!("{root}/v1/models/{UNNAMED}:predict");
            addresses.push((path, host.unwrap_or_else(|| nowhere.clone())));
        }
    }
    addresses
}
