//! The names that the curl lines use: where things are, and tokens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde_json::json;
use testbed::tokens::{Algorithm, Issuer, with};

/// A place that requests go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The gateway.
    Gateway,
    /// Prometheus's own sidecar: what it sends carries Prometheus's identity.
    Prometheus,
    /// The sidecar of some other workload of the mesh.
    Notebook,
    /// Envoy's admin interface, at the gateway.
    Admin,
}

impl Place {
    /// The shell variable.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Gateway => "GATEWAY",
            Self::Prometheus => "PROMETHEUS",
            Self::Notebook => "NOTEBOOK",
            Self::Admin => "ADMIN",
        }
    }
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// A data scientist.
    Alice,
    /// From marketing: no policy names that group.
    Bob,
    /// A data scientist whose account is suspended.
    Carol,
    /// An application, which may predict and no more.
    App,
    /// Alice's token of an hour ago.
    Expired,
    /// A token in Alice's name, signed by somebody else.
    Forged,
}

impl Caller {
    const ALL: [Self; 6] =
        [Self::Alice, Self::Bob, Self::Carol, Self::App, Self::Expired, Self::Forged];

    /// The shell variable that holds the token.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Alice => "ALICE",
            Self::Bob => "BOB",
            Self::Carol => "CAROL",
            Self::App => "APP",
            Self::Expired => "EXPIRED",
            Self::Forged => "FORGED",
        }
    }

    fn token(self, issuer: &Issuer) -> Result<String> {
        let alice = || with(issuer.claims("alice"), "groups", json!(["data-science"]));
        match self {
            Self::Alice => issuer.mint(Algorithm::Es256, &alice()),
            Self::Bob => issuer.token("bob", &["marketing"]),
            Self::Carol => issuer.token("carol", &["data-science", "suspended"]),
            Self::App => issuer.token("payments", &["applications"]),
            Self::Expired => {
                let hour_ago = json!(testbed::tokens::now() - 3600);
                issuer.mint(Algorithm::Es256, &with(alice(), "exp", hour_ago))
            }
            Self::Forged => Issuer::stranger()?.mint(Algorithm::Es256, &alice()),
        }
    }
}

/// What the names stand for.
#[derive(Debug)]
pub struct Variables {
    places: BTreeMap<Place, SocketAddr>,
    tokens: BTreeMap<Caller, String>,
}

impl Variables {
    /// Tokens of this issuer for every caller.
    pub fn new(issuer: &Issuer, places: BTreeMap<Place, SocketAddr>) -> Result<Self> {
        let token = |caller: Caller| Ok((caller, caller.token(issuer)?));
        Ok(Self { places, tokens: Caller::ALL.into_iter().map(token).collect::<Result<_>>()? })
    }

    /// Where a place is.
    pub fn address(&self, place: Place) -> Result<SocketAddr> {
        self.places.get(&place).copied().with_context(|| format!("{place:?} does not run"))
    }

    /// The token of a caller.
    pub fn token(&self, caller: Caller) -> Result<&str> {
        self.tokens.get(&caller).map(String::as_str).with_context(|| format!("no {caller:?}"))
    }

    /// Assignments for a shell.
    pub fn to_shell(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        for (place, address) in &self.places {
            let _ = writeln!(text, "{}=http://{address}", place.variable());
        }
        for (caller, token) in &self.tokens {
            let _ = writeln!(text, "{}={token}", caller.variable());
        }
        text
    }
}
