//! Routes that choose the model themselves: the operator says which.

use std::borrow::Cow;

use crate::config::types;
use crate::config::{Errors, Path};

use super::host::{Host, Hosts};
use super::names::is_name;
use super::operation::Operations;
use super::path::{Plain, after};
use super::{Model, Operation};

/// One route.
#[derive(Debug)]
pub(super) struct Fixed {
    hosts: Hosts,
    prefix: Vec<u8>,
    model: String,
}

impl Fixed {
    /// Compiles the route at `path`.
    pub(super) fn compile(settings: &types::Fixed, path: &Path<'_>, errors: &mut Errors) -> Self {
        super::resolve::check_path(&settings.path_prefix, &path.field("pathPrefix"), errors);
        let names = settings.model.split_once('/');
        if !names.is_some_and(|(ns, name)| is_name(ns.as_bytes()) && is_name(name.as_bytes())) {
            let fix = "namespace/name, as prod/chat";
            errors.add_value(&path.field("model"), "is not a model", &settings.model, fix);
        }
        Self {
            hosts: Hosts::compile(&settings.hosts, &path.field("hosts"), errors),
            prefix: settings.path_prefix.as_bytes().to_vec(),
            model: settings.model.clone(),
        }
    }

    /// Whether the route takes this address: by the text of its prefix, as Istio's `prefix` does.
    pub(super) fn takes(&self, host: &Host<'_>, path: &[u8]) -> bool {
        path.starts_with(&self.prefix) && self.hosts.matches(host)
    }

    /// The model.
    pub(super) fn model(&self) -> Model<'_> {
        Model { id: Cow::Borrowed(&self.model), predictor: None }
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
        let outer = self.prefix.split(|c| *c == b'/').filter(|s| !s.is_empty()).count();
        let below = operations.of(after(plain.decoded(), outer), method);
        if whole == Operation::Other || (below.is_closed() && below != Operation::Other) {
            below
        } else {
            whole
        }
    }
}
