//! Hosts and paths that a DENY names, or that an ALLOW excepts, where a client may write them otherwise.

use super::Advisor;
use super::open::is_of_host;
use super::values::{has_literal_star, no_host};
use crate::config::types::{Action, Rule, To};
use crate::config::{Path, Warning};
use crate::matcher::StringMatch;

/// How many values of one list are looked at: what loads must not take a time that is quadratic in its size.
const MOST: usize = 512;

impl Advisor<'_, '_> {
    /// Those of an enforced rule.
    pub(super) fn respelled(&mut self, action: Action, rule: &Rule, path: &Path<'_>) {
        let denies = action == Action::Deny;
        if !denies && action != Action::Allow {
            return;
        }
        let list = path.field("to");
        for (i, To { operation }) in rule.to.iter().enumerate() {
            let (field, hosts) = match denies {
                true => ("hosts", &operation.hosts),
                false => ("notHosts", &operation.not_hosts),
            };
            let path = list.index(i);
            let path = path.field("operation");
            let what = "is meant without a port or with one, and a client may write the other";
            let fix = "a host and the same with :*, as models.example.com and models.example.com:*";
            self.spelt(hosts, ["", ":1"], &path.field(field), [what, fix]);
        }
        let list = path.field("when");
        for (i, condition) in rule.when.iter().enumerate() {
            let (field, values) = match denies {
                true => ("values", &condition.values),
                false => ("notValues", &condition.not_values),
            };
            let path = list.index(i);
            let path = path.field(field);
            if is_of_host(condition) {
                // Letters of either case are one host to routes, and two to a condition.
                for (i, value) in values.iter().enumerate() {
                    if no_host(value).is_none() && value.bytes().any(|c| c.is_ascii_alphabetic()) {
                        let what = "is compared with its case and port, which a client may write otherwise";
                        let fix =
                            "hosts in `to`, which have no case: the host and the same with :*";
                        self.errors.warn_value(
                            Warning::Respelled,
                            &path.index(i),
                            what,
                            value,
                            fix,
                        );
                    }
                }
            } else if condition.key.eq_ignore_ascii_case("request.headers[:path]") {
                let what = "is compared with its query, which a client may add";
                let fix = "paths in `to`, or the same with ?* beside it";
                self.spelt(values, ["", "?"], &path, [what, fix]);
            }
        }
    }

    /// Values of which what stands for one, with one of these ends, fits none.
    fn spelt(&mut self, values: &[String], ends: [&str; 2], path: &Path<'_>, says: [&str; 2]) {
        let [what, fix] = says;
        let is_host = ends.contains(&":1");
        let all: Vec<StringMatch> =
            values.iter().map(|value| StringMatch::lower_case(value)).collect();
        for (i, value) in values.iter().enumerate().take(MOST) {
            // Of what fits nothing that is told, and whoever writes a query knows of it.
            let is_told = has_literal_star(value) || (is_host && no_host(value).is_some());
            if is_told || value.contains('?') {
                continue;
            }
            let bare = value.strip_suffix(":*").unwrap_or(value).to_ascii_lowercase();
            let one = bare.replace('*', "x");
            let fits = |end: &&str| {
                let sent = [&*one, *end].concat();
                all.iter().any(|value| value.matches(sent.as_bytes()))
            };
            if !ends.iter().all(fits) {
                self.errors.warn_value(Warning::Respelled, &path.index(i), what, value, fix);
            }
        }
    }
}
