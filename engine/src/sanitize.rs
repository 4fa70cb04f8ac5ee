//! Only the gateway sets gateway headers: client copies of them go, on every way through.

use crate::header::{NameSet, begins, fold, is_same, of_gateway};
use crate::order;
use crate::request::{Edits, Request};

/// Removes what only the gateway may set. Names are compared without regard to case and with `_`
/// equal to `-`, because WSGI servers merge the two.
#[derive(Debug)]
pub struct Sanitizer {
    /// Whole names, folded.
    names: Vec<Vec<u8>>,
    /// The same.
    marked: NameSet,
    /// Starts of names, folded.
    prefixes: Vec<Vec<u8>>,
    /// A bit for each letter that one of these begins with.
    firsts: u32,
}

impl Sanitizer {
    /// Those of the table, and the headers that the configuration makes the gateway set.
    pub fn new<'n>(configured: impl Iterator<Item = &'n [u8]>) -> Self {
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut prefixes = Vec::new();
        for name in of_gateway() {
            match name.strip_suffix('*') {
                Some(prefix) => prefixes.push(prefix.as_bytes().to_vec()),
                None => names.push(name.as_bytes().to_vec()),
            }
        }
        names.extend(configured.map(|name| name.iter().copied().map(fold).collect()));
        let names = order::distinct(names);
        let mut marked = NameSet::default();
        names.iter().for_each(|name| marked.add(name));
        let firsts = prefixes.iter().filter_map(|prefix| prefix.first());
        let firsts = firsts.fold(0, |firsts, c| firsts | 1 << (c & 0x1f));
        Self { names, marked, prefixes, firsts }
    }

    /// Removes every such header of the request, by the very spelling that came. To be applied before
    /// anything is added: what the gateway sets itself stays.
    pub fn apply(&self, request: &Request<'_>, edits: &mut Edits) {
        let may_be_there = request.names().may_share(&self.marked);
        for (name, _) in request.headers() {
            if self.begins_as_one(name) || (may_be_there && self.is_one(name)) {
                edits.remove(name);
            }
        }
    }

    /// Whether a client's header of this name is removed.
    pub fn owns(&self, name: &[u8]) -> bool {
        self.begins_as_one(name) || self.is_one(name)
    }

    fn is_one(&self, name: &[u8]) -> bool {
        self.marked.may_have(name) && self.names.iter().any(|known| is_same(name, known))
    }

    fn begins_as_one(&self, name: &[u8]) -> bool {
        // Both cases of a letter have the same last five bits.
        let first = name.first().is_some_and(|c| self.firsts >> (c & 0x1f) & 1 != 0);
        first && self.prefixes.iter().any(|prefix| begins(name, prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owns(name: &str) -> bool {
        let configured: [&[u8]; 3] = [b"x-user", b"X_Claims", b"variant"];
        Sanitizer::new(configured.into_iter()).owns(name.as_bytes())
    }

    #[test]
    fn the_gateways_headers_go() {
        for name in [
            "seldon-internal-model",
            "seldon_internal-model",
            "Seldon-Logging",
            "seldon-core-user",
            "seldon_core_user",
            "kserve-isvc-name",
            "kserve_isvc_namespace",
            "kserve-isvc-",
            "x-modelgate-shadow",
            "x_modelgate_anything",
            "x-modelgate-",
            "x-gateway-destination-endpoint",
            "x_gateway_destination_endpoint",
            "x-gateway-model-name-rewrite",
            "x-llm-d-model-name-rewrite",
            "X-LLM-D-Model-Name-Rewrite",
            "x-prefiller-host-port",
            "x-prefiller-url",
            "x-encoder-hosts-ports",
            "x-data-parallel-host-port",
            "x-kv-cache-source-host-port",
            "x-user",
            "x_user",
            "X-User",
            "x-claims",
            "x_claims",
            "variant",
        ] {
            assert!(owns(name), "{name}");
        }
    }

    #[test]
    fn the_clients_headers_stay() {
        for name in [
            "",
            ":path",
            "x",
            "x-user-2",
            "x-use",
            "seldon",
            "seldon-model",
            "seldon-puid",
            "namespace",
            "x-seldon-route",
            "x-gateway-model-name",
            "x-gateway-base-model-name",
            "x-gateway-inference-objective",
            "x-llm-d-inference-fairness-id",
            "x-modelgate",
            "kserve-isvc",
            "authorization",
            "variants",
        ] {
            assert!(!owns(name), "{name}");
        }
        assert!(!Sanitizer::new(std::iter::once(&b"x"[..])).owns(b"\xff"));
    }

    #[test]
    fn each_spelling_that_came_is_removed() {
        let lines: [crate::request::Header<'_>; 5] = [
            (b":path", b"/"),
            (b"x_user", b"eve"),
            (b"x-user", b"eve"),
            (b"x_user", b"mallory"),
            (b"accept", b"*/*"),
        ];
        let attributes = crate::request::Attributes::new(&crate::request::NoHost);
        let mut edits = Edits::default();
        let sanitizer = Sanitizer::new(std::iter::once(&b"x-user"[..]));
        sanitizer.apply(&Request::new(&lines, &attributes), &mut edits);
        assert_eq!(edits.removed().collect::<Vec<_>>(), [&b"x_user"[..], b"x-user"]);
        edits.set(b"x-user", "alice");
        assert_eq!(edits.added().count(), 1);
    }
}
