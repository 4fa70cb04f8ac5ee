//! From a policy's rules to those that decide the same at the gateway. What cannot be had is taken for what refuses more:
//! in ALLOW the part never fits, in DENY it always does.

use super::rule::{Condition, Fields, Rule, positive};
use super::view::{Clause, View};
use crate::convert::part::Done;

/// What a match means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Lets through.
    Allow,
    /// Refuses.
    Deny,
    /// Counts.
    Audit,
}

/// What was not carried over: the field below the rule, why, and what was done.
pub type Loss = (String, String, Done);

/// What becomes of one policy's rules.
#[derive(Debug)]
pub struct Carrier<'v> {
    /// Whose eyes the policy sees with.
    pub view: &'v View,
    /// The policy's namespace.
    pub namespace: &'v str,
    /// What a match means.
    pub action: Action,
    /// Whether a match is carried out.
    pub is_enforced: bool,
    /// What was not carried over.
    pub losses: Vec<Loss>,
}

/// Part of a rule that is left.
enum Left<T> {
    /// This.
    Some(T),
    /// It fits everything.
    Any,
    /// It fits nothing.
    Nothing,
}

impl Carrier<'_> {
    /// The rule; none if no request fits it.
    pub fn rule(&mut self, rule: &Rule) -> Option<Rule> {
        let from = self.list(&rule.from, "from", "source")?;
        let to = self.list(&rule.to, "to", "operation")?;
        let mut when = Vec::new();
        for (i, condition) in rule.when.iter().enumerate() {
            match self.condition(condition, &format!("when[{i}]")) {
                Left::Some(condition) => when.push(condition),
                Left::Any => {}
                Left::Nothing => return None,
            }
        }
        let made = Rule { from, to, when };
        if made.is_any() && !rule.is_any() && self.action == Action::Deny && !self.losses.is_empty()
        {
            let reason = "would refuse every request, because nothing of it can be had here: --keep says that the policy stays with Istio";
            self.losses.push((String::new(), reason.to_owned(), Done::Refused));
        }
        Some(made)
    }

    /// The entries of `from` or `to`; none if no request fits any of them, empty if every one does.
    fn list(&mut self, entries: &[Fields], list: &str, name: &str) -> Option<Vec<Fields>> {
        let mut made = Vec::new();
        let mut is_any = entries.is_empty();
        for (i, entry) in entries.iter().enumerate() {
            match self.entry(entry, &format!("{list}[{i}].{name}")) {
                Left::Some(fields) => made.push(fields),
                Left::Any => is_any = true,
                Left::Nothing => {}
            }
        }
        if is_any {
            return Some(Vec::new());
        }
        (!made.is_empty()).then_some(made)
    }

    fn entry(&mut self, entry: &Fields, at: &str) -> Left<Fields> {
        let mut made = Fields::new();
        for (name, values) in entry {
            let (positive, negated) = positive(name);
            let clause = self.view.field(&positive, values, self.namespace);
            match self.weigh(clause, negated, &format!("{at}.{name}")) {
                Left::Some(values) => drop(made.insert(name.clone(), values)),
                Left::Any => {}
                Left::Nothing => return Left::Nothing,
            }
        }
        if made.is_empty() { Left::Any } else { Left::Some(made) }
    }

    fn condition(&mut self, condition: &Condition, at: &str) -> Left<Condition> {
        let mut made =
            Condition { values: Vec::new(), not_values: Vec::new(), ..condition.clone() };
        let fields = [(&condition.values, false), (&condition.not_values, true)];
        for (values, negated) in fields.into_iter().filter(|(values, _)| !values.is_empty()) {
            let clause = self.view.condition(&condition.key, values, self.namespace);
            match self.weigh(clause, negated, at) {
                Left::Some(values) if negated => made.not_values = values,
                Left::Some(values) => made.values = values,
                Left::Any => {}
                Left::Nothing => return Left::Nothing,
            }
        }
        let is_any = made.values.is_empty() && made.not_values.is_empty();
        // One that Istio refuses stays as it is: the filter says what is wrong with it.
        let was_any = condition.values.is_empty() && condition.not_values.is_empty();
        if is_any && !was_any { Left::Any } else { Left::Some(made) }
    }

    fn weigh(&mut self, clause: Clause, negated: bool, at: &str) -> Left<Vec<String>> {
        match (clause, negated) {
            (Clause::Keep(values), _) => Left::Some(values),
            (Clause::Always, false) | (Clause::Never, true) => Left::Any,
            (Clause::Never, false) | (Clause::Always, true) => Left::Nothing,
            (Clause::Unknown(reason), _) => {
                let (what, done, left) = match (self.action, self.is_enforced) {
                    (Action::Allow, true) => ("it never fits", Done::Stricter, Left::Nothing),
                    (Action::Deny, true) => ("it fits every request", Done::Stricter, Left::Any),
                    _ => ("it never fits, and is not counted", Done::LeftOut, Left::Nothing),
                };
                self.losses.push((at.to_owned(), format!("{reason}; here {what}"), done));
                left
            }
        }
    }
}
