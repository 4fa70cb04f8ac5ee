//! Routes that choose the model themselves: the operator says which.

use std::rc::Rc;

use crate::config::types;
use crate::config::{Errors, Path};
use crate::matcher::StringMatch;
use crate::order;
use crate::refusal::Refusal;

use super::host::{Host, HostMatch, Hosts};
use super::names::{Named, is_model};
use super::operation::Operations;
use super::setting::check_path;
use super::{Model, Operation};
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
    model: Rc<str>,
}

impl FixedRoutes {
    /// Compiles the list at `path`.
    pub(super) fn compile(settings: &[types::Fixed], path: &Path<'_>, errors: &mut Errors) -> Self {
        let mut routes: Vec<Fixed> = Vec::new();
        for (i, one) in settings.iter().enumerate() {
            let path = path.index(i);
            let prefix = &one.path_prefix;
            check_path(prefix, &path.field("pathPrefix"), errors);
            if !is_model(&one.model) {
                let fix = "namespace/name, as prod/chat";
                errors.add_value(&path.field("model"), "is not a model", &one.model, fix);
            }
            let hosts = Hosts::compile(&one.hosts, &path.field("hosts"), errors).into_matches();
            for host in hosts {
                let route = Fixed {
                    host,
                    prefix: prefix.as_bytes().to_vec(),
                    model: one.model.as_str().into(),
                };
                if routes.iter().any(|other| other.is_same(&route)) {
                    let what = "is never reached: an entry before it has the same host and prefix";
                    errors.add_value(&path.field("pathPrefix"), what, prefix, "one of the two");
                }
                routes.push(route);
            }
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
    pub(super) fn model<'a>(
        &'a self,
        host: &Host<'_>,
        path: &[u8],
    ) -> Result<Option<Named<'a>>, Refusal> {
        let found = self.find(host, &[b"/", path].concat())?;
        Ok(found.and_then(|index| self.routes.get(index)).and_then(|fixed| {
            let (namespace, name) = cut(fixed.model.as_bytes());
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

    /// The model.
    pub(super) fn model(&self) -> Model {
        Model { id: Rc::clone(&self.model), predictor: None }
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
