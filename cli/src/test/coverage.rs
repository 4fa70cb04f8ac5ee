//! What expectations have met of a configuration: policies and rules that matched, and of each clause whether it once was
//! what let a rule match and once what kept it from matching. A clause that never fails could be left out, and no
//! expectation would notice.

use std::collections::BTreeSet;

use modelgate_engine::authz::PolicyId;
use modelgate_engine::pipeline::{Explanation, Plan};

/// What was met.
#[derive(Debug)]
pub struct Coverage {
    policies: Vec<Policy>,
    matched: BTreeSet<(PolicyId, usize)>,
    held: BTreeSet<(PolicyId, usize, usize)>,
    failed: BTreeSet<(PolicyId, usize, usize)>,
}

#[derive(Debug)]
struct Policy {
    id: PolicyId,
    name: String,
    action: &'static str,
    rules: Vec<Vec<String>>,
}

/// How many of something there are, and how many were met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Those that were met.
    pub met: usize,
    /// All of them.
    pub all: usize,
}

impl Share {
    fn add(&mut self, is_met: bool) {
        self.met += usize::from(is_met);
        self.all += 1;
    }
}

/// What was met, and what was not.
#[derive(Debug, Default)]
pub struct Summary {
    /// Policies that matched.
    pub policies: Share,
    /// Rules that did.
    pub rules: Share,
    /// Clauses that both held and failed.
    pub clauses: Share,
    /// What was not met, a line for each.
    pub missing: Vec<String>,
}

impl Coverage {
    /// Of nothing yet.
    pub fn new(plan: &Plan) -> Self {
        let policies = plan.outline().into_iter().map(|outline| Policy {
            id: outline.id,
            name: plan.policy_name(outline.id).to_owned(),
            action: outline.action,
            rules: outline.rules,
        });
        let policies = policies.collect();
        let (matched, held, failed) = Default::default();
        Self { policies, matched, held, failed }
    }

    /// Adds a decision.
    pub fn add(&mut self, explanation: &Explanation) {
        let views = explanation.policies.iter().flat_map(|policies| &policies.list);
        for policy in views.filter(|policy| policy.asked) {
            let asked = policy.matched.map_or(usize::MAX, |rule| rule.saturating_add(1));
            for (i, rule) in policy.rules.iter().enumerate().take(asked) {
                if rule.matches {
                    self.matched.insert((policy.id, i));
                }
                for (j, clause) in rule.clauses().enumerate() {
                    let met = if clause.holds && rule.matches {
                        &mut self.held
                    } else if !clause.holds && !rule.matches {
                        &mut self.failed
                    } else {
                        continue;
                    };
                    met.insert((policy.id, i, j));
                }
            }
        }
    }

    /// What was met, and what was not, of one configuration by several files.
    pub fn summary<'c>(mut all: impl Iterator<Item = &'c Self>) -> Summary {
        let mut summary = Summary::default();
        let Some(first) = all.next() else { return summary };
        let mut met = (first.matched.clone(), first.held.clone(), first.failed.clone());
        for other in all {
            met.0.extend(&other.matched);
            met.1.extend(&other.held);
            met.2.extend(&other.failed);
        }
        let (all_matched, all_held, all_failed) = met;
        for policy in &first.policies {
            let is_met = (0..policy.rules.len()).any(|i| all_matched.contains(&(policy.id, i)));
            summary.policies.add(is_met);
            let name = format!("{} {}", policy.action, policy.name);
            if !is_met {
                summary.missing.push(format!("{name}: never matched"));
            }
            for (i, clauses) in policy.rules.iter().enumerate() {
                let rule = all_matched.contains(&(policy.id, i));
                summary.rules.add(rule);
                if !rule && is_met {
                    summary.missing.push(format!("{name}, rule {i}: never matched"));
                }
                for (j, clause) in clauses.iter().enumerate() {
                    let at = (policy.id, i, j);
                    let (held, failed) = (all_held.contains(&at), all_failed.contains(&at));
                    summary.clauses.add(held && failed);
                    if rule && !held {
                        summary.missing.push(format!("{name}, rule {i}, {clause}: never held"));
                    }
                    if rule && !failed {
                        summary.missing.push(format!("{name}, rule {i}, {clause}: never failed"));
                    }
                }
            }
        }
        summary
    }
}

impl std::fmt::Display for Summary {
    /// In one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { policies, rules, clauses, .. } = self;
        write!(
            f,
            "{} of {} policies, {} of {} rules, {} of {} clauses",
            policies.met, policies.all, rules.met, rules.all, clauses.met, clauses.all
        )
    }
}
