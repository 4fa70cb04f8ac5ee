//! Named rules for requests that need neither a token nor an ALLOW policy.

use super::clause::Clause;
use super::compile::{Compiler, Purpose};
use super::{Subject, policy};
use crate::config::Path;
use crate::config::types;
use crate::routing::names::is_name;

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Bypass {
    pub(super) name: Box<str>,
    pub(super) from: Box<[Box<[Clause]>]>,
    pub(super) to: Box<[Box<[Clause]>]>,
}

impl Bypass {
    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        let undecided = Purpose::Bypass.undecided();
        policy::any(&self.to, subject, undecided) && policy::any(&self.from, subject, undecided)
    }
}

/// Compiles the `bypass` list; `None` after at least one error was recorded.
pub(super) fn compile(settings: &[types::Bypass], c: &mut Compiler<'_, '_>) -> Option<Vec<Bypass>> {
    c.purpose = Purpose::Bypass;
    c.namespace = "";
    let list = Path::ROOT.field("bypass");
    let names = settings.iter().map(|rule| rule.name.as_str());
    c.errors.duplicate(&list, Some("name"), names, "a name of its own");
    let mut read = Vec::with_capacity(settings.len());
    for (i, rule) in settings.iter().enumerate() {
        let path = list.index(i);
        let mut right = true;
        if !is_name(rule.name.as_bytes()) {
            let fix = "a name as Kubernetes takes it: a-z, 0-9, - and .";
            c.errors.add_value(&path.field("name"), "is not a name", &rule.name, fix);
            right = false;
        }
        if rule.to.is_empty() {
            let fix = "at least one operation with paths or operations";
            c.errors.add(&path.field("to"), "is empty, which would open everything", fix);
            right = false;
        }
        let from = policy::from(&rule.from, &path.field("from"), c);
        let to = policy::to(&rule.to, &path.field("to"), c);
        read.push(from.zip(to).filter(|_| right).map(|(from, to)| Bypass {
            name: rule.name.as_str().into(),
            from,
            to,
        }));
    }
    read.into_iter().collect()
}
