//! What a rewritten request reaches, and which rewrites name an address themselves.

use std::rc::Rc;

use super::host::Host;
use super::location::Location;
use super::names::named;
use super::resolve::CONTRADICTION;
use super::seldon_v2::SeldonV2;
use super::{Address, Model, Operation, Targets, grpc};
use crate::config::types::Family;
use crate::path::plain::{Plain, other_readings};
use crate::path::segments::is_below;
use crate::refusal::Refusal;
use crate::request::Request;

pub(crate) const CAPTURED: Refusal =
    Refusal::new("the rewritten path is a model's address that the rule does not name");

/// What a rewritten request reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaches {
    /// What the new address names.
    NewAddress,
    /// The model that the incoming address names.
    Incoming,
    /// The rule's own target.
    Named {
        /// `namespace/name`.
        id: Rc<str>,
    },
}

/// Where a rule sends a request.
#[derive(Debug)]
pub struct NewAddress<'a> {
    /// Method, new path and host, and the headers after the rule's edits.
    pub at: Location<'a>,
    /// What is reached.
    pub reaches: &'a Reaches,
    /// Whether the rule alone writes the authority: then the routes are those of that host.
    pub own_host: bool,
    /// Whether the rule writes `seldon-model` itself.
    pub sets_model: bool,
}

impl Targets {
    /// The model that a rewritten request reaches, and with which operation.
    ///
    /// Where the new path does not name the model, the operation is still that of the new path, read
    /// as the model server's own: that path is what the server will see. Only an explainer's address
    /// stays an explanation, unless the new path asks for metrics or administration.
    ///
    /// A fixed route that takes the new address decides before all else, as it does without rewrites; if it
    /// leads to another model than the rule names, the request is refused.
    /// Captured text that makes the new path an address which the rule does not name is refused. That
    /// holds for `/v2` as well while seldon-v2 is among the families, unless the rule writes an authority of
    /// its own that is not named among Seldon v2's hosts: its routes would take the request to a model that nobody authorized.
    /// Neither may a host that a client wrote, or a routing header, select another model.
    /// `request` and `host` are those that came.
    pub fn resolve_rewritten(
        &self,
        new: &NewAddress<'_>,
        request: &Request<'_>,
        host: &Host<'_>,
    ) -> Result<Option<Address>, Refusal> {
        let address = self.by_rule(new, request, host)?;
        self.with_llmisvc(&new.at, address)
    }

    fn by_rule(
        &self,
        new: &NewAddress<'_>,
        request: &Request<'_>,
        host: &Host<'_>,
    ) -> Result<Option<Address>, Refusal> {
        let at = &new.at;
        if let Some(address) = self.fixed(at) {
            let address = address?;
            let other = |id: &str| address.model.as_ref().is_some_and(|model| *model.id != *id);
            return match new.reaches {
                Reaches::Named { id } if other(id) => Err(CAPTURED),
                _ => Ok(Some(address)),
            };
        }
        let address = match new.reaches {
            Reaches::NewAddress => return self.resolve(at),
            Reaches::Named { id } => {
                let model = Model { id: Rc::clone(id), predictor: None };
                Address::new(self.family(), Operation::Other, Some(model), 0)
            }
            Reaches::Incoming => match self.resolve(&Location::of(request, host))? {
                Some(address) => address,
                None => {
                    return match self.resolve(at) {
                        Ok(None) => Ok(None),
                        _ => Err(CAPTURED),
                    };
                }
            },
        };
        self.check_elsewhere(new, address.model.as_ref())?;
        let operation = self.operation_of_tail(at)?;
        let explains = address.operation == Operation::Explain
            && !matches!(operation, Operation::Metrics | Operation::Admin);
        let operation = if explains { Operation::Explain } else { operation };
        // The new path is the server's own: no route takes anything off it.
        Ok(Some(Address { operation, routed: 0, ..address }))
    }

    /// What a request does with the model server that sees this path, which is the server's own, as
    /// `/api/v1.0/predictions`.
    pub(super) fn operation_of_tail(&self, at: &Location<'_>) -> Result<Operation, Refusal> {
        let plain = Plain::new(at.path())?;
        Ok(self.operations.of(plain.decoded(), at.method))
    }

    /// Whether the path, read as some proxies and servers read it, is that of a fixed route or of an
    /// LLMInferenceService, which it is not as it is written.
    fn is_disguised(&self, at: &Location<'_>) -> bool {
        other_readings(at.path()).any(|path| {
            let published = path.strip_prefix(b"/").unwrap_or_default();
            let llmisvc = self.llmisvc.as_ref();
            !matches!(self.fixed.find(&at.host, &path), Ok(None))
                || llmisvc.is_some_and(|namespaces| named(namespaces, published).is_some())
        })
    }

    /// Refuses a request whose model is known otherwise where its new path, host or headers may lead it
    /// elsewhere.
    fn check_elsewhere(&self, new: &NewAddress<'_>, model: Option<&Model>) -> Result<(), Refusal> {
        let not_seldon_v2 = |v2: &SeldonV2| new.own_host && !v2.names_host(&new.at.host);
        let seldon_v2 = self.seldon_v2.as_ref().is_some_and(|v2| !not_seldon_v2(v2));
        if self.is_routed_by_path(new.at.path(), seldon_v2) || self.is_disguised(&new.at) {
            return Err(CAPTURED);
        }
        if !new.own_host {
            self.check_host(&new.at, model)?;
        }
        self.check_headers(new, model)
    }

    /// Refuses it if the host that the client
    /// named is another inference service's: its routes are those that the request meets.
    fn check_host(&self, at: &Location<'_>, model: Option<&Model>) -> Result<(), Refusal> {
        let Some(kserve) = &self.kserve else { return Ok(()) };
        match kserve.service(&at.host, b"")? {
            Some(service) if model.is_none_or(|model| model.id != service.id) => Err(CONTRADICTION),
            _ => Ok(()),
        }
    }

    /// Whether a route of a family may take the path: below Seldon v1's prefix, of KServe's path
    /// template, or below `/v2`, which Seldon v2's routes take although servers of other families
    /// have such paths as well: `seldon_v2` says whether they may be there. Where the rule alone writes the authority, the
    /// routes are those of that host: they are Seldon v2's if the settings name it as a host of such, else the
    /// operator answers for its `/v2`.
    fn is_routed_by_path(&self, path: &[u8], seldon_v2: bool) -> bool {
        let routed = |path: &[u8]| {
            self.seldon_v1.as_ref().is_some_and(|v1| v1.contains(path))
                || (seldon_v2 && SeldonV2::may_take(path))
                || self.kserve.as_ref().is_some_and(|kserve| {
                    !matches!(kserve.service(&Host::default(), path), Ok(None))
                })
        };
        routed(path) || other_readings(path).any(|path| routed(&path))
    }

    /// Refuses it if a routing header selects another model. Where the rule writes `seldon-model` itself, what
    /// that does on a host of the rule's own, the operator answers for; elsewhere Seldon v2's gRPC routes
    /// would take it.
    fn check_headers(&self, new: &NewAddress<'_>, model: Option<&Model>) -> Result<(), Refusal> {
        let at = &new.at;
        at.routing.check()?;
        let answered_for = || new.sets_model && (new.own_host || !SeldonV2::takes_grpc(at.path()));
        if self.seldon_v2.is_some() && at.routing.seldon_model().is_some() && !answered_for() {
            return Err(CONTRADICTION);
        }
        self.check_seldon_v1(at, model)
    }

    /// Whether a family is among them.
    pub(crate) fn has(&self, family: Family) -> bool {
        self.families.contains(&family)
    }

    /// Whether a path that starts with this text is a family's address whatever follows; or, if it is
    /// `complete`, whether it is one.
    pub(crate) fn begins_address(&self, literal: &str, complete: bool) -> bool {
        let text = literal.as_bytes();
        let below = |prefix: &[u8]| is_below(text, prefix) || (complete && text == prefix);
        let service = literal.strip_prefix('/').and_then(|rest| rest.split_once('/'));
        self.seldon_v1.as_ref().is_some_and(|v1| below(v1.prefix()))
            || (self.seldon_v2.is_some() && below(b"/v2"))
            || self.kserve.as_ref().is_some_and(|kserve| kserve.begins_path(text))
            || self.llmisvc.as_ref().is_some_and(|namespaces| {
                // Where anything follows, a name does.
                let whole = if complete { literal.to_owned() } else { [literal, "x"].concat() };
                let path = whole.strip_prefix('/').unwrap_or_default();
                named(namespaces, path.as_bytes()).is_some()
            })
            || (!self.families.is_empty()
                && (service.is_some() || complete)
                && grpc::service(text).is_some())
    }

    /// Whether a host, made of what a rule's author wrote, is one of KServe's template: `host` is given a
    /// namespace that stands for any.
    pub(crate) fn is_kserve_host(&self, host: impl Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
        let Some(kserve) = &self.kserve else { return false };
        let authority = host(kserve.example_namespace());
        authority.is_some_and(|authority| {
            Host::new(Some(&authority))
                .is_ok_and(|host| !matches!(kserve.service(&host, b""), Ok(None)))
        })
    }
}
