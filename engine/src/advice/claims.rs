//! Values of claims that no accepted token has, and what `usage` and `quotas` count by.

use super::Advisor;
use super::values::NUMBERS;
use crate::authn::{always_split, is_out_of_reach};
use crate::config::{Path, Warning};
use crate::matcher::StringMatch;
use crate::routing::Operation;

impl Advisor<'_, '_> {
    /// Values that are compared with a claim.
    pub(super) fn tokens(&mut self, claim: &str, values: &[String], path: &Path<'_>) {
        let rules = &self.settings.authentication.jwt_rules;
        let is_split = self.is_split(claim);
        let issuers: Option<Vec<&str>> = rules.iter().map(|rule| rule.issuer.as_deref()).collect();
        let issuers = issuers.filter(|issuers| claim == "iss" && !issuers.is_empty());
        for (i, value) in values.iter().enumerate() {
            let words = value.split(' ').filter(|word| !word.is_empty());
            let fits = StringMatch::new(value);
            let is_strange =
                |issuers: &Vec<&str>| !issuers.iter().any(|issuer| fits.matches(issuer.as_bytes()));
            if is_split && words.count() > 1 {
                let what = "the claim is taken apart at its spaces, and each part compared";
                self.never(&path.index(i), what, value, "a part, as one value of the list");
            } else if issuers.as_ref().is_some_and(is_strange) {
                let fix = "the issuer as its rule has it";
                self.never(&path.index(i), "no rule has this issuer", value, fix);
            }
        }
    }

    /// Whether every token's claim of this name is taken apart, and every key's.
    fn is_split(&self, claim: &str) -> bool {
        let authentication = &self.settings.authentication;
        let is_it = |name: &String| name == claim;
        let mut rules = authentication.jwt_rules.iter();
        let by_rules = rules.len() > 0
            && rules.all(|rule| rule.space_delimited_claims.iter().any(is_it))
            && !authentication.api_keys.keys.iter().any(|key| key.claims.0.get(claim).is_some());
        always_split().iter().any(is_it) || by_rules
    }

    /// Models and counters of quotas.
    pub(super) fn quotas(&mut self) {
        let list = Path::ROOT.field("quotas");
        for (i, quota) in self.settings.quotas.iter().enumerate() {
            let path = list.index(i);
            self.models(&quota.models, &path.field("models"), None);
            self.when(&quota.when, &path.field("when"));
            let (by, place) = (quota.by.as_str(), path.field("by"));
            let header = by.strip_prefix("header:");
            if by != "none" && header.is_none() && !self.reads_credentials() {
                let what = "counts everybody together: no token and no key is read";
                let fix = "jwtRules or apiKeys under authentication, or none if that is meant";
                self.errors.warn_value(Warning::NoEffect, &place, what, by, fix);
            }
            if header.is_some_and(|name| !self.plan.is_gateways(name.as_bytes())) {
                let what = "is a header that clients write: whoever writes another value has a count of its own";
                let fix = "principal, a claim, or a header of outputClaimToHeaders";
                self.errors.warn_value(Warning::ClientHeader, &place, what, by, fix);
            }
            let reads = |word: &String| word == Operation::Predict.as_str();
            if quota.tokens.is_some() && !quota.operations.iter().any(reads) {
                let fix = "predict among the operations, or requests";
                let what = "is never charged: only answers to predictions are read";
                self.warn(Warning::NoEffect, &path.field("tokens"), what, fix);
            }
        }
    }

    /// Models and the claim of `usage`.
    pub(super) fn usage(&mut self) {
        let usage = &self.settings.usage;
        let path = Path::ROOT.field("usage");
        self.models(&usage.models, &path.field("models"), None);
        let Some(claim) = &usage.claim else { return };
        let place = path.field("claim");
        let name = claim.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(claim);
        let is_bare = name == claim;
        if !self.reads_credentials() {
            let fix = "jwtRules or apiKeys under authentication";
            self.never(&place, "no token and no key is read", claim, fix);
        } else if NUMBERS.contains(&name) {
            let what =
                "counts everybody as none: this claim is a number, and only texts are told apart";
            let fix = "a claim that is a text, as a team";
            self.errors.warn_value(Warning::ClaimNotText, &place, what, claim, fix);
        } else if self.is_split(name) {
            let what = "is taken apart at its spaces: whoever has several parts counts as none";
            let fix = "a claim with one value, as a team";
            self.errors.warn_value(Warning::ClaimNotText, &place, what, claim, fix);
        } else if is_bare && is_out_of_reach(claim) {
            let what = "is read as the names of nested claims, with dots between them";
            let fix = "each name in brackets, as [https://example.com/team] or [kubernetes.io][namespace]";
            self.errors.warn_value(Warning::ClaimOutOfReach, &place, what, claim, fix);
        }
        let max = usage.claim_labels.max;
        if max == 0 || max > crate::telemetry::MOST_CALLERS {
            let what = if max == 0 {
                "is 0: every caller counts as other"
            } else {
                "is more than the 10,000 that have labels"
            };
            let path = path.field("claimLabels");
            self.warn(Warning::NoEffect, &path.field("max"), what, "1 to 10,000");
        }
    }
}
