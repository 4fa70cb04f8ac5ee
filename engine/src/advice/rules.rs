//! The fields of a rule: each is given to what knows of it.

use super::{Advisor, Scope, TRIES_ALL};
use crate::config::types::{self, Action, Condition, Family};
use crate::config::{Path, Warning};
use crate::path::segments::is_below;
use crate::routing::Operation;

impl Advisor<'_, '_> {
    pub(super) fn from(&mut self, from: &[types::From], path: &Path<'_>) {
        for (i, types::From { source }) in from.iter().enumerate() {
            let path = path.index(i);
            let path = path.field("source");
            for (field, values, excepted) in [
                ("notPrincipals", &source.principals, &source.not_principals),
                (
                    "notRequestPrincipals",
                    &source.request_principals,
                    &source.not_request_principals,
                ),
                ("notNamespaces", &source.namespaces, &source.not_namespaces),
                ("notServiceAccounts", &source.service_accounts, &source.not_service_accounts),
                ("notTrustDomains", &source.trust_domains, &source.not_trust_domains),
                ("notIpBlocks", &source.ip_blocks, &source.not_ip_blocks),
                ("notRemoteIpBlocks", &source.remote_ip_blocks, &source.not_remote_ip_blocks),
            ] {
                self.excepted(values, excepted, &path.field(field));
            }
            for (field, values, is_remote) in [
                ("ipBlocks", &source.ip_blocks, false),
                ("notIpBlocks", &source.not_ip_blocks, false),
                ("remoteIpBlocks", &source.remote_ip_blocks, true),
                ("notRemoteIpBlocks", &source.not_remote_ip_blocks, true),
            ] {
                if TRIES_ALL {
                    self.mapped(values, is_remote, &path.field(field));
                }
            }
            for (field, values) in [
                ("requestPrincipals", &source.request_principals),
                ("notRequestPrincipals", &source.not_request_principals),
            ] {
                self.request_principals(values, &path.field(field));
            }
            if TRIES_ALL {
                self.written_source(source, &path);
            }
            for (field, values) in
                [("principals", &source.principals), ("notPrincipals", &source.not_principals)]
            {
                self.peers(values, &path.field(field));
            }
        }
    }

    pub(super) fn to(&mut self, to: &[types::To], scope: Scope<'_>, path: &Path<'_>) {
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
            for (field, values, excepted) in [
                ("notMethods", &o.methods, &o.not_methods),
                ("notPaths", &o.paths, &o.not_paths),
                ("notHosts", &o.hosts, &o.not_hosts),
                ("notPorts", &o.ports, &o.not_ports),
                ("notModels", &o.models, &o.not_models),
                ("notOperations", &o.operations, &o.not_operations),
            ] {
                self.excepted(values, excepted, &path.field(field));
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
            if TRIES_ALL {
                self.operations_of(scope.models, o, &operations);
            }
            let is_free = TRIES_ALL && scope.models.is_empty() && o.models.is_empty();
            match scope.action {
                Action::Deny => {
                    self.addresses(&o.paths, &o.hosts, &path.field("paths"));
                    if is_free && o.paths.is_empty() {
                        self.hosts_of_services(&o.hosts, &path.field("hosts"));
                    }
                }
                Action::Allow => {
                    self.addresses(&o.not_paths, &o.hosts, &path.field("notPaths"));
                    if is_free {
                        self.hosts_of_services(&o.not_hosts, &path.field("notHosts"));
                    }
                    self.closed(&o.operations, &operations);
                    if TRIES_ALL && o.operations.is_empty() {
                        self.closed_paths(&o.paths, &path.field("paths"));
                    }
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

    /// Paths in an ALLOW that are nothing but closed operations, which they do not open.
    fn closed_paths(&mut self, paths: &[String], path: &Path<'_>) {
        let targets = &self.settings.targets;
        let has = |family| targets.families.contains(&family);
        let of_metrics = |value: &str| {
            let metrics = targets.metrics_paths.iter();
            metrics.map(String::as_str).any(|metrics| value.ends_with(metrics))
        };
        for (i, value) in paths.iter().enumerate() {
            let below = |root: &str| is_below(value.as_bytes(), root.as_bytes());
            let is_admin = has(Family::SeldonV2) && below("/v2/repository");
            let is_metrics =
                has(Family::SeldonV1) && below(&targets.seldon_prefix) && of_metrics(value);
            if is_admin || is_metrics {
                let what = "opens nothing: metrics and admin are opened by their names only";
                let fix = "operations beside it, as operations: [admin]";
                self.errors.warn_value(Warning::ClosedOperations, &path.index(i), what, value, fix);
            }
        }
    }

    /// Headers by which a DENY means a model, or an ALLOW excepts it.
    pub(super) fn named(&mut self, action: Action, conditions: &[Condition], path: &Path<'_>) {
        for (i, one) in conditions.iter().enumerate() {
            let path = path.index(i);
            let (field, values) = match action {
                Action::Deny => ("values", &one.values),
                Action::Allow => ("notValues", &one.not_values),
                _ => return,
            };
            let path = path.field(field);
            self.names(&one.key, values, &path);
            if one.key.eq_ignore_ascii_case("request.headers[:path]") {
                self.addresses(values, &[], &path);
            }
        }
    }

    pub(super) fn when(&mut self, conditions: &[Condition], path: &Path<'_>) {
        for (i, condition) in conditions.iter().enumerate() {
            let path = path.index(i);
            self.excepted(&condition.values, &condition.not_values, &path.field("notValues"));
            if TRIES_ALL {
                self.written_condition(condition, &path);
            }
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
