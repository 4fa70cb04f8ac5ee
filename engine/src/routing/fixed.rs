//! Routes that choose the model themselves, of which the operator says which it is; and hosts of servers whose requests
//! name it in their body.

use std::rc::Rc;

use crate::config::types;
use crate::config::{Errors, Path};
use crate::matcher::StringMatch;
use crate::order;
use crate::refusal::Refusal;

use super::host::{Host, HostMatch, Hosts};
use super::names::{Named, is_model, is_name};
use super::operation::Operations;
use super::setting::check_path;
use super::{InBody, Model, Operation};
use crate::path::plain::Plain;
use crate::path::segments::{after, cut, is_under, slashes};

const TEXTUAL: Refusal =
    Refusal::new("the path begins with the text of a fixed route and not with its segments");

/// All routes.
#[derive(Debug)]
pub(super) struct FixedRoutes {
    /// The one that decides first: the more exact host, then the longer prefix.
    routes: Vec<Fixed>,
}

/// A route of one host.
#[derive(Debug)]
pub(super) struct Fixed {
    host: HostMatch,
    /// As it was written: a `/` at its end tells how Envoy's textual prefix reads it.
    prefix: Vec<u8>,
    to: To,
}

/// What a route reaches.
#[derive(Debug)]
enum To {
    Model(Rc<str>),
    /// A model of this namespace.
    Namespace(Rc<str>),
}

impl FixedRoutes {
    /// Compiles the lists of the settings at `path`.
    pub(super) fn compile(settings: &types::Targets, path: &Path<'_>, errors: &mut Errors) -> Self {
        let mut routes: Vec<Fixed> = Vec::new();
        let list = path.field("fixed");
        for (i, one) in settings.fixed.iter().enumerate() {
            let path = list.index(i);
            if !is_model(&one.model) {
                let fix = "namespace/name, as prod/chat";
                errors.add_value(&path.field("model"), "is not a model", &one.model, fix);
            }
            let to = || To::Model(one.model.as_str().into());
            add(&mut routes, &one.hosts, &one.path_prefix, &to, &path, errors);
        }
        let list = path.field("openai");
        for (i, one) in settings.openai.iter().enumerate() {
            let path = list.index(i);
            if !is_name(one.namespace.as_bytes()) {
                let fix = "a DNS-1123 name, as llm";
                errors.add_value(&path.field("namespace"), "is not a name", &one.namespace, fix);
            }
            if one.hosts.is_empty() {
                errors.add(&path.field("hosts"), "is empty", "the hosts of the server");
            }
            let prefix = if one.path_prefix.is_empty() { "/" } else { &one.path_prefix };
            let to = || To::Namespace(one.namespace.as_str().into());
            add(&mut routes, &one.hosts, prefix, &to, &path, errors);
        }
        let routes = order::stable_by(routes, |a, b| {
            let (a_len, b_len) = (a.bare().len(), b.bare().len());
            a.host.rank().cmp(&b.host.rank()).then(b_len.cmp(&a_len))
        });
        Self { routes }
    }

    /// The index of the route that takes this address.
    ///
    /// Err: Istio's `prefix`, which is text, and Envoy's `path_separated_prefix` disagree on it. Which
    /// of the two the operator's route is, is not known here.
    pub(super) fn find(&self, host: &Host<'_>, path: &[u8]) -> Result<Option<usize>, Refusal> {
        let begins = |route: &Fixed| path.starts_with(route.bare()) && route.host.matches(host);
        for (index, route) in self.routes.iter().enumerate().filter(|(_, route)| begins(route)) {
            let slash = route.prefix.ends_with(b"/");
            let (as_text, by_segments) =
                (path.starts_with(&route.prefix), is_under(path, route.bare()));
            match (as_text, by_segments) {
                (true, true) => return Ok(Some(index)),
                (false, false) => {}
                // The prefix `/` is everything in both, but for paths that are none.
                _ if slash && route.bare().is_empty() => {}
                _ => return Err(TEXTUAL),
            }
        }
        Ok(None)
    }

    /// The model of a path without its leading `/`, in two parts, and how many segments the route's prefix has.
    pub(super) fn published<'a>(
        &'a self,
        host: &Host<'_>,
        path: &[u8],
    ) -> Result<Option<Named<'a>>, Refusal> {
        let found = self.find(host, &[b"/", path].concat())?;
        Ok(found.and_then(|index| self.routes.get(index)).and_then(|fixed| {
            let To::Model(id) = &fixed.to else { return None };
            let (namespace, name) = cut(id.as_bytes());
            Some((namespace, name?, fixed.segments()))
        }))
    }

    /// The route.
    pub(super) fn get(&self, index: usize) -> Option<&Fixed> {
        self.routes.get(index)
    }
}

impl Fixed {
    /// The prefix without the `/` at its end.
    fn bare(&self) -> &[u8] {
        self.prefix.strip_suffix(b"/").unwrap_or(&self.prefix)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.host == other.host && self.bare() == other.bare()
    }

    /// How many segments its prefix has.
    fn segments(&self) -> usize {
        slashes(self.bare())
    }

    /// Whether the operator names the very host.
    pub(super) fn has_exact_host(&self) -> bool {
        matches!(&self.host, HostMatch::Text(StringMatch::Exact(_)))
    }

    /// The model, unless the body names it.
    pub(super) fn model(&self) -> Option<Model> {
        match &self.to {
            To::Model(id) => Some(Model { id: Rc::clone(id), predictor: None }),
            To::Namespace(_) => None,
        }
    }

    /// How the body names the model that is asked with this method, if it does.
    pub(super) fn in_body(&self, operation: Operation, method: &[u8]) -> Option<InBody> {
        match &self.to {
            To::Namespace(namespace) if operation.asks_model() && method != b"OPTIONS" => {
                Some(InBody::Model(Rc::clone(namespace)))
            }
            _ => None,
        }
    }

    /// The operation. Whether the route rewrites its prefix away is not known: the path is read with
    /// and without it, and where both mean something, a closed operation counts.
    pub(super) fn operation(
        &self,
        operations: &Operations,
        plain: &Plain<'_>,
        method: &[u8],
    ) -> Operation {
        let whole = operations.of(plain.decoded(), method);
        let below = operations.of(after(plain.decoded(), self.segments()), method);
        if whole == Operation::Other || (below.is_closed() && below != Operation::Other) {
            below
        } else {
            whole
        }
    }
}

/// Adds a route for each host.
fn add(
    routes: &mut Vec<Fixed>,
    hosts: &[String],
    prefix: &str,
    to: &dyn Fn() -> To,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    check_path(prefix, &path.field("pathPrefix"), errors);
    for host in Hosts::compile(hosts, &path.field("hosts"), errors).into_matches() {
        let route = Fixed { host, prefix: prefix.as_bytes().to_vec(), to: to() };
        if routes.iter().any(|other| other.is_same(&route)) {
            let what = "is never reached: an entry before it has the same host and prefix";
            errors.add_value(&path.field("pathPrefix"), what, prefix, "one of the two");
        }
        routes.push(route);
    }
}
