//! Policies for people: those that were asked, and the clauses that kept their rules from matching.

use modelgate_engine::authz::{ClauseView, Had, ListView, PoliciesView, PolicyView, RuleView};

use super::super::decided::Bench;
use super::super::json::without;
use super::{BAD, BOLD, FAINT, GOOD, Page, cut};

pub(super) fn policies(page: &mut Page, bench: &Bench, view: &PoliciesView) {
    let mut first = true;
    for policy in view.list.iter().filter(|policy| policy.applies) {
        self::policy(page, bench, policy, &mut first);
    }
    let name = |first: bool| if first { "policies" } else { "" };
    let others = view.others + view.list.iter().filter(|policy| !policy.applies).count();
    let is_decided = view.list.iter().any(|policy| {
        use modelgate_engine::authz::Effect::{Allowed, Denied};
        policy.matched.is_some() && matches!(policy.effect, Allowed | Denied)
    });
    if !is_decided {
        page.line(name(first), without(view.without));
        first = false;
    }
    if others > 0 {
        let said = page.paint(FAINT, &format!("({others} more for other models)"));
        page.line(name(first), &said);
    }
}

fn policy(page: &mut Page, bench: &Bench, policy: &PolicyView, first: &mut bool) {
    let name = if std::mem::take(first) { "policies" } else { "" };
    let dry_run = if policy.dry_run { " (dry run)" } else { "" };
    let id = page.paint(BOLD, bench.plan.policy_name(policy.id));
    let title = format!("{} {id}{dry_run}", policy.action);
    if !policy.asked {
        let said = page.paint(FAINT, "not asked any more");
        page.line(name, &format!("  {title}: {said}"));
        return;
    }
    let is_bad = policy.action == "DENY";
    match policy.matched {
        Some(rule) => {
            let code = if is_bad { BAD } else { GOOD };
            let said =
                page.paint(code, &format!("rule {rule} matches: {}", policy.effect.as_str()));
            let mark = page.mark(!is_bad);
            page.line(name, &format!("{mark} {title}: {said}"));
        }
        None => {
            page.line(name, &format!("\u{b7} {title}: no rule matches"));
            for (i, rule) in policy.rules.iter().enumerate() {
                self::rule(page, i, rule);
            }
        }
    }
}

/// Why a rule does not match.
fn rule(page: &mut Page, index: usize, rule: &RuleView) {
    page.more(2, &format!("rule {index}:"));
    any_of(page, 4, &rule.from);
    any_of(page, 4, &rule.to);
    let opened = rule.to.iter().any(|list| list.matches);
    if rule.naming && (rule.to.is_empty() || opened) && !rule.matches {
        let mark = page.mark(false);
        page.more(
            4,
            &format!(
                "{mark} to: this operation is opened by an entry with `operations` that names it"
            ),
        );
    }
    failed(page, 4, &rule.when);
}

/// Of lists of which one has to hold, why none does.
pub(super) fn any_of(page: &mut Page, indent: usize, lists: &[ListView]) {
    if lists.iter().any(|list| list.matches) {
        return;
    }
    lists.iter().for_each(|list| failed(page, indent, list));
}

pub(super) fn failed(page: &mut Page, indent: usize, list: &ListView) {
    for clause in list.clauses.iter().filter(|clause| !clause.holds) {
        let mark = page.mark(false);
        let said = page.paint("0", &self::clause(clause));
        page.more(indent, &format!("{mark} {said}"));
    }
}

/// A clause in one line: field, wanted, had.
fn clause(view: &ClauseView) -> String {
    let wanted = match view.wanted.as_slice() {
        [] => "values that are not shown".to_owned(),
        values => cut(&values.join(", ")),
    };
    let had = match &view.had {
        Had::Values(values) if values.is_empty() => "nothing".to_owned(),
        Had::Values(values) => cut(&values.join(", ")),
        Had::Unknown => "it cannot be had: not given".to_owned(),
        Had::Hidden(0) => "nothing".to_owned(),
        Had::Hidden(_) => "something that is not shown".to_owned(),
    };
    let none = if view.negated { "none of " } else { "" };
    format!("{}: wants {none}{wanted}; had {had}", view.path)
}
