//! Where a request goes: what of it the families read.

use crate::header::NameSet;
use crate::path::without_query;
use crate::request::{Header, Request};

use super::host::Host;
use crate::refusal::Refusal;

const REPEATED: Refusal = Refusal::new(
    "a routing header (seldon, namespace, seldon-model, x-seldon-route, x-gateway-...) is empty or repeated",
);

/// What of a request decides which model it reaches.
#[derive(Clone)]
pub struct Location<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`; a query or fragment is cut off.
    path: &'a [u8],
    /// `:authority`.
    pub(super) host: Host<'a>,
    pub(super) routing: Routing<'a>,
}

impl std::fmt::Debug for Location<'_> {
    /// Never shows what the client sent.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Location").finish_non_exhaustive()
    }
}

impl<'a> Location<'a> {
    /// Of these parts. `path` may carry a query, `headers` may carry more than the routing headers.
    pub fn new(
        method: &'a [u8],
        path: &'a [u8],
        host: Host<'a>,
        headers: impl IntoIterator<Item = Header<'a>>,
    ) -> Self {
        Self { method, path: without_query(path), host, routing: Routing::of(headers) }
    }

    /// Of a request as it came, with its host.
    pub fn of(request: &Request<'a>, host: &Host<'a>) -> Self {
        let headers = request.headers().iter().copied();
        Self::new(request.method, request.path, host.clone(), headers)
    }

    /// The path without query.
    pub fn path(&self) -> &'a [u8] {
        self.path
    }
}

/// What the headers say by which the operators' routes choose, in their order.
#[derive(Clone, Default)]
pub(super) struct Routing<'a> {
    values: [Option<&'a [u8]>; 6],
    faulty: bool,
}

/// Their names.
pub(crate) const ROUTING_HEADERS: [&[u8]; 6] = [
    b"seldon",
    b"namespace",
    b"seldon-model",
    b"x-seldon-route",
    b"x-gateway-model-name",
    b"x-gateway-base-model-name",
];

/// The same.
pub(crate) const ROUTING: NameSet = NameSet::of(&ROUTING_HEADERS);

impl<'a> Routing<'a> {
    fn of(headers: impl IntoIterator<Item = Header<'a>>) -> Self {
        let mut routing = Self::default();
        for (name, value) in headers.into_iter().filter(|(name, _)| ROUTING.may_have(name)) {
            let slots = ROUTING_HEADERS.iter().zip(&mut routing.values);
            if let Some((_, slot)) = { slots }.find(|(known, _)| **known == name) {
                // Envoy's routes match line by line: a second line could win the route.
                let value = if slot.is_some() { b"" } else { value };
                routing.faulty |= value.is_empty();
                *slot = Some(value);
            }
        }
        routing
    }

    /// Whether each is there at most once, and not empty.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.faulty { Err(REPEATED) } else { Ok(()) }
    }

    /// `namespace` and `seldon`, by which Seldon v1's gRPC route chooses, if both are there.
    pub(super) fn seldon_v1(&self) -> Option<(&'a [u8], &'a [u8])> {
        let [seldon, namespace, ..] = self.values;
        Some((namespace?, seldon?))
    }

    /// `seldon-model`.
    pub(super) fn seldon_model(&self) -> Option<&'a [u8]> {
        self.values[2]
    }

    /// `x-seldon-route`.
    pub(super) fn seldon_route(&self) -> Option<&'a [u8]> {
        self.values[3]
    }

    /// `x-gateway-model-name` and `x-gateway-base-model-name`, each empty where it is repeated.
    pub(super) fn published(&self) -> [Option<&'a [u8]>; 2] {
        let [.., model, base] = self.values;
        [model, base]
    }
}
