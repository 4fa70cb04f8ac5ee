//! Who is taken for a caller: entries of `jwtRules`, and tokens that were made for others.

use super::open::{is_bare, is_of_tokens, is_what, names, names_callers};
use super::order::repeated;
use super::values::has_literal_star;
use super::{Advisor, TRIES_ALL};
use crate::authz::RequestPrincipal;
use crate::config::types::{self, Action, DefaultAction, Rule};
use crate::config::{Path, Warning};

impl Advisor<'_, '_> {
    /// What is told of single entries.
    pub(super) fn issuers(&mut self) {
        if !TRIES_ALL {
            return;
        }
        let list = Path::ROOT.field("authentication");
        let list = list.field("jwtRules");
        let rules = &self.settings.authentication.jwt_rules;
        for i in repeated(rules, |a, b| a == b) {
            let what = "says the same as an entry before it";
            self.warn(Warning::Duplicate, &list.index(i), what, "leave it out");
        }
        for (i, jwt) in rules.iter().enumerate() {
            let path = list.index(i);
            let path = path.field("audiences");
            for (j, value) in jwt.audiences.iter().enumerate() {
                if value == "*" || has_literal_star(value) || value.ends_with('*') {
                    let what = "audiences have no wildcard, and are compared as they are written";
                    self.never(&path.index(j), what, value, "each audience in full");
                }
            }
        }
    }

    /// Callers of an enforced rule, who are others than they look, or say themselves who they are.
    pub(super) fn callers(&mut self, action: Action, rule: &Rule, path: &Path<'_>) {
        if !TRIES_ALL {
            return;
        }
        let is_allow = action == Action::Allow;
        let list = path.field("from");
        for (i, types::From { source }) in rule.from.iter().enumerate().filter(|_| is_allow) {
            let path = list.index(i);
            let path = path.field("source");
            for (field, values) in [
                ("principals", &source.principals),
                ("requestPrincipals", &source.request_principals),
            ] {
                self.open_ends(values, false, &path.field(field));
            }
        }
        let are_named = !rule.from.is_empty() && rule.from.iter().all(names);
        let list = path.field("when");
        for (i, one) in rule.when.iter().enumerate() {
            let path = list.index(i);
            let key = one.key.to_ascii_lowercase();
            if is_allow && (key.starts_with("request.auth.") || key == "source.principal") {
                let are_claims = key.starts_with("request.auth.claims[");
                self.open_ends(&one.values, are_claims, &path.field("values"));
            }
            let asks = one.values.iter().chain(&one.not_values).any(|value| value != "*");
            if asks && !are_named && OF_ADDRESSES.contains(&&*key) {
                let what = "is a header that clients write, and of which proxies add to the end";
                let fix = "remote.ip, or remoteIpBlocks in from";
                self.errors.warn_value(
                    Warning::SourceAddress,
                    &path.field("key"),
                    what,
                    &one.key,
                    fix,
                );
            }
        }
    }

    /// Values that end, or begin, within a name.
    fn open_ends(&mut self, values: &[String], are_claims: bool, path: &Path<'_>) {
        for (i, value) in values.iter().enumerate() {
            if is_open_end(value) || are_claims && is_open_domain(value) {
                let what = "ends within a name, and fits longer ones as well";
                let fix = "what parts names beside the *, as ns/prod/* or *@example.com";
                self.errors.warn_value(Warning::OpenEnd, &path.index(i), what, value, fix);
            }
        }
    }

    /// Issuers of which any token is let in, where no audience says for whom it was made.
    pub(super) fn audiences(&mut self) {
        let list = Path::ROOT.field("authentication");
        let list = list.field("jwtRules");
        let settings = self.settings;
        let authorization = &settings.authorization;
        let enforced = || authorization.policies.iter().filter(|policy| !policy.dry_run);
        let of = |action| enforced().filter(move |policy| policy.action == action);
        let allows = || of(Action::Allow).flat_map(|policy| &policy.rules);
        let denies = || of(Action::Deny).flat_map(|policy| &policy.rules);
        let mut wide = of(Action::Deny).filter(|policy| policy.models.is_empty());
        if wide.any(|one| one.rules.iter().any(asks_all_tokens)) {
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
            if !jwt.audiences.is_empty() {
                continue;
            }
            if TRIES_ALL && self.is_beside(jwt) {
                let what = "has no audiences, and takes tokens that another entry of its issuer refuses: to \
                            policies they are the same callers";
                let fix = "audiences, as the other entry has them; or one entry";
                self.warn(Warning::AnyAudience, &list.index(i), what, fix);
            } else if allows().any(takes) || open && denies().any(lacks) {
                let what =
                    "has no audiences, and policies let in whoever has a token of its issuer";
                let fix = "the audience of the models' tokens, as audiences: [models]";
                self.warn(Warning::AnyAudience, &list.index(i), what, fix);
            }
        }
    }

    /// Whether another entry of the issuer asks for an audience, and not every policy does.
    fn is_beside(&self, jwt: &types::JwtRule) -> bool {
        let is_other = |other: &types::JwtRule| {
            other.issuer.is_some() && other.issuer == jwt.issuer && !other.audiences.is_empty()
        };
        let policies = self.settings.authorization.policies.iter();
        let allows = policies.filter(|one| one.action == Action::Allow && !one.dry_run);
        let mut names = allows.flat_map(|policy| &policy.rules).filter(|rule| names_callers(rule));
        let are_asked = names.clone().next().is_some() && names.all(asks_for_audience);
        self.settings.authentication.jwt_rules.iter().any(is_other) && !are_asked
    }
}

/// Conditions on headers that say an address.
const OF_ADDRESSES: [&str; 5] = [
    "request.headers[x-forwarded-for]",
    "request.headers[x-real-ip]",
    "request.headers[x-client-ip]",
    "request.headers[true-client-ip]",
    "request.headers[forwarded]",
];

/// Whether a value ends within a namespace, of a peer or of a service account's token, or within a trust domain.
fn is_open_end(value: &str) -> bool {
    let Some(start) = value.strip_suffix('*') else { return false };
    let is_begun = |mark: &str, end: char| {
        let namespace = start.split_once(mark).map(|(_, namespace)| namespace);
        namespace.is_some_and(|namespace| !namespace.is_empty() && !namespace.contains(end))
    };
    is_begun("/ns/", '/') || is_begun("system:serviceaccount:", ':')
}

/// Whether a value is the end of an address without what parts it from the name: `*example.com`.
fn is_open_domain(value: &str) -> bool {
    value.strip_prefix('*').is_some_and(|end| {
        end.starts_with(|c: char| c.is_ascii_alphanumeric())
            && end.contains('.')
            && !end.contains(['@', '/', ':'])
    })
}

/// Whether one of the values fits whoever has a token of the issuer.
#[inline(never)]
fn fit_any(values: &[String], issuer: Option<&str>) -> bool {
    values.iter().any(|value| {
        let principal = RequestPrincipal::new(value);
        principal.is_any_subject() && issuer.is_none_or(|issuer| principal.may_be_of(issuer))
    })
}

/// Whether a condition may be one that any token fits: on what each has.
fn asks_for_any(condition: &types::Condition) -> bool {
    let key = condition.key.strip_prefix("request.auth.").unwrap_or_default();
    matches!(key, "principal" | "claims[iss]" | "claims[sub]")
}

/// Whether a condition asks for whom tokens were made.
fn asks_for_audience(rule: &Rule) -> bool {
    rule.when.iter().any(|one| {
        matches!(&*one.key, "request.auth.audiences" | "request.auth.claims[aud]")
            && !one.values.is_empty()
    })
}

/// Whether a DENY asks all tokens, wherever they lead, for more than that they are there.
fn asks_all_tokens(rule: &Rule) -> bool {
    let asks = |one: &types::Condition| {
        is_of_tokens(one) && !asks_for_any(one) && !one.not_values.is_empty()
    };
    let is_all = |types::To { operation: o }: &types::To| {
        let limits = [&o.hosts, &o.ports, &o.methods, &o.paths, &o.models, &o.operations];
        limits.iter().all(|values| values.is_empty())
    };
    let is_any = |from: &types::From| {
        let s = &from.source;
        let limits = [&s.principals, &s.namespaces, &s.service_accounts, &s.trust_domains];
        let blocks = [&s.ip_blocks, &s.not_ip_blocks, &s.remote_ip_blocks, &s.not_remote_ip_blocks];
        limits.iter().chain(&blocks).all(|values| values.is_empty())
    };
    rule.when.iter().any(asks) && rule.to.iter().all(is_all) && rule.from.iter().all(is_any)
}
