//! Tests of whole policies, through the public interface.

mod errors;
mod evaluation;
mod fields;
#[cfg(not(target_arch = "wasm32"))]
mod scan;

use std::net::IpAddr;
use std::rc::Rc;

use serde_json::{Value, json};

use super::*;
use crate::config::PluginConfig;
use crate::config::read::Read;
use crate::config::types::Family;
use crate::request::{Attributes, Header, Host, Peer, SignatureCheck};
use crate::routing::{Model, Operation};

/// A request and its connection, as a test writes them.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    pub(super) headers: Vec<(String, String)>,
    pub(super) edits: Edits,
    pub(super) remote_ip: Option<IpAddr>,
    pub(super) peer_ip: Option<IpAddr>,
    pub(super) destination_ip: Option<IpAddr>,
    pub(super) destination_port: Option<u16>,
    pub(super) inbound: bool,
    pub(super) sni: Option<String>,
    pub(super) peer: Option<Peer>,
    pub(super) address: Option<Address>,
    pub(super) identity: Option<Identity>,
}

impl Host for Scene {
    fn now(&self) -> u64 {
        0
    }
    fn remote_ip(&self) -> Option<IpAddr> {
        self.remote_ip
    }
    fn peer_ip(&self) -> Option<IpAddr> {
        self.peer_ip
    }
    fn destination_ip(&self) -> Option<IpAddr> {
        self.destination_ip
    }
    fn destination_port(&self) -> Option<u16> {
        self.destination_port
    }
    fn is_inbound(&self) -> bool {
        self.inbound
    }
    fn sni(&self) -> Option<Vec<u8>> {
        self.sni.clone().map(String::into_bytes)
    }
    fn peer(&self) -> Option<Rc<Peer>> {
        self.peer.clone().map(Rc::new)
    }
    fn verify_signature(&self, _: &SignatureCheck<'_>) -> Option<bool> {
        None
    }
}

impl Scene {
    /// `GET` of a path at `models.example`.
    pub(super) fn get(path: &str) -> Self {
        Self::default()
            .header(":method", "GET")
            .header(":path", path)
            .header(":authority", "models.example")
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another value for a pseudo-header.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self.header(name, value)
    }

    pub(super) fn address(mut self, model: Option<&str>, operation: Operation) -> Self {
        let model = model.map(|id| Model { id: id.into(), predictor: None });
        self.address = Some(Address::new(Family::SeldonV1, operation, model, 0));
        self
    }

    pub(super) fn identity(mut self, issuer: &str, subject: &str, claims: Value) -> Self {
        let Value::Object(claims) = claims else { panic!() };
        let (issuer, subject) = (Some(issuer.to_owned()), Some(subject.to_owned()));
        self.identity = Some(Identity { issuer, subject, claims });
        self
    }

    pub(super) fn peer(mut self, uri: &str) -> Self {
        self.peer = Some(Peer::named([uri]));
        self
    }

    pub(super) fn ask<T>(&self, question: impl FnOnce(&Subject<'_>) -> T) -> T {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        let attributes = Attributes::new(self);
        let request = Request::new(&headers, &attributes);
        question(&Subject {
            request: &request,
            edits: &self.edits,
            address: self.address.as_ref(),
            identity: self.identity.as_ref(),
        })
    }

    pub(super) fn decide(&self, authorizer: &Authorizer) -> Authorization {
        self.ask(|subject| authorizer.decide(subject, false))
    }
}

/// Reads and compiles a configuration.
pub(super) fn compile(config: Value) -> (Option<Authorizer>, Errors) {
    let mut errors = Errors::default();
    let read = PluginConfig::read(&config.into(), &Path::ROOT, &mut errors);
    errors.end_reading();
    let authorizer = read.and_then(|c| {
        Authorizer::compile(
            &c.authorization,
            &c.bypass,
            c.source_address,
            ModelNames::Objects,
            &mut errors,
        )
    });
    assert!(authorizer.is_some() || !errors.is_empty());
    (authorizer.filter(|_| errors.is_empty()), errors)
}

/// An authorizer of these policies, which must be right; unnamed ones are `p0`, `p1`, ...
pub(super) fn policies(mut policies: Value) -> Authorizer {
    for (i, policy) in policies.as_array_mut().unwrap().iter_mut().enumerate() {
        if policy.get("name").is_none() {
            policy["name"] = json!(format!("p{i}"));
        }
    }
    let (authorizer, errors) = compile(json!({"authorization": {"policies": policies}}));
    authorizer.unwrap_or_else(|| panic!("{errors}"))
}

/// What was counted, as `policy effect`.
pub(super) fn effects(authorizer: &Authorizer, decision: &Authorization) -> Vec<String> {
    let name = |(id, effect): &(PolicyId, Effect)| {
        format!("{} {}", authorizer.policy_name(*id), effect.as_str())
    };
    decision.effects.iter().map(name).collect()
}
