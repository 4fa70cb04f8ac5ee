//! Istio's `Operation`, with models and operations: what is asked for.

use super::clause::{Clause, Test};
use super::compile::{self, Clauses, Compiler, Purpose};
use super::models::{Models, Operations};
use crate::config::Path;
use crate::config::types;
use crate::routing::Operation;

pub(super) fn compile(
    operation: &types::Operation,
    path: &Path<'_>,
    c: &mut Compiler<'_, '_>,
) -> Option<Box<[Clause]>> {
    let mut clauses = Clauses::default();
    let o = operation;
    let opens = matches!(c.purpose, Purpose::Allow | Purpose::Bypass);
    let star = if opens { Operations::open() } else { Operations::ALL };
    let named = [("operations", &*o.operations), ("notOperations", &[])];
    clauses.pair(c, path, named, |c, values, path| operations(c, values, path, star));
    let named = [("operations", &[][..]), ("notOperations", &*o.not_operations)];
    clauses.pair(c, path, named, |c, values, path| operations(c, values, path, Operations::ALL));
    clauses.pair(c, path, [("models", &*o.models), ("notModels", &*o.not_models)], models);
    let methods = [("methods", &*o.methods), ("notMethods", &*o.not_methods)];
    clauses.pair(c, path, methods, compile::methods);
    clauses.pair(c, path, [("paths", &*o.paths), ("notPaths", &*o.not_paths)], compile::paths);
    clauses.pair(c, path, [("hosts", &*o.hosts), ("notHosts", &*o.not_hosts)], compile::hosts);
    clauses.pair(c, path, [("ports", &*o.ports), ("notPorts", &*o.not_ports)], compile::ports);
    if clauses.is_empty() {
        let fix = "at least one field; leave `to` out if everything is meant";
        c.errors.add(path, "names nothing", fix);
        return None;
    }
    if c.purpose == Purpose::Bypass && o.paths.is_empty() && o.operations.is_empty() {
        let what = "has neither paths nor operations";
        c.errors.add(path, what, "say which paths or operations are open to everybody");
        clauses.fail();
    }
    clauses.finish()
}

fn operations(
    c: &mut Compiler<'_, '_>,
    values: &[String],
    path: &Path<'_>,
    star: Operations,
) -> Option<Test> {
    let read: Vec<Option<Operations>> = values
        .iter()
        .enumerate()
        .map(|(i, value)| {
            if value == "*" {
                return Some(star);
            }
            let operation = Operation::from_word(value);
            if operation.is_none() {
                let fix = format!("one of {}, or *", Operation::WORDS.join(", "));
                c.errors.add_value(&path.index(i), "is not an operation", value, fix);
            }
            operation.map(|operation| Operations::default().with(operation))
        })
        .collect();
    let sets = read.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Test::Operations(sets.into_iter().fold(Operations::default(), Operations::union)))
}

fn models(c: &mut Compiler<'_, '_>, values: &[String], path: &Path<'_>) -> Option<Test> {
    Models::compile(values, c.names, path, c.errors).map(Test::Models)
}
