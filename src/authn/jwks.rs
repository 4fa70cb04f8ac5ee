//! A JSON Web Key Set (RFC 7517) as an operator writes it, and the choice of a key for a token.

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::failure::Rejection;
use super::json;
use super::jws::{self, Jws};
use super::key::Key;
use crate::config::{Errors, Path};
use crate::request::Host;

/// The keys of an issuer; at least one.
#[derive(Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

/// Something to be said of a single key.
#[derive(Debug, Clone, Copy)]
pub enum Note {
    /// It cannot or may not verify.
    LeftOut(&'static str),
    /// Its secret half is there, too.
    Private,
}

/// Why a text is no key set.
#[derive(Debug)]
pub enum Unusable {
    /// Not JSON.
    Json(serde_json::Error),
    /// No `keys`.
    NoList,
    /// No key that can verify.
    NoKey,
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(e) => write!(f, "is not a key set: {e}"),
            Self::NoList => f.write_str("is a key set without a list of keys"),
            Self::NoKey => f.write_str("is a key set without a usable key"),
        }
    }
}

impl Unusable {
    /// What would be right.
    fn fix(&self) -> &'static str {
        match self {
            Self::Json(_) | Self::NoList => "a JSON Web Key Set, as {\"keys\": [...]}",
            Self::NoKey => "an RSA key of 2048 bits or more, or an EC key on P-256, for signatures",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Jwk {
    id: Option<String>,
    /// The only algorithm that the key is for.
    only: Option<&'static Algorithm>,
    key: Key,
}

impl KeySet {
    /// Reads a set from the configuration. Keys that cannot or may not verify are left out with a
    /// warning, as RFC 7517 §5 wants; a set that then has none is an error.
    pub fn parse(text: &str, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let place = path.field("keys");
        let set = Self::read(text.as_bytes(), &mut |i, note| match note {
            Note::Private => errors.warn(
                &place.index(i),
                "holds a private key",
                "remove d and everything else that is secret, and replace the key",
            ),
            Note::LeftOut(what) => errors.warn(
                &place.index(i),
                format!("is left out: {what}"),
                "tokens signed with this key are refused",
            ),
        });
        set.map_err(|unusable| errors.add(path, unusable.to_string(), unusable.fix())).ok()
    }

    /// Reads a set; what is to be said of single keys is said with their indices.
    pub fn read(text: &[u8], note: &mut dyn FnMut(usize, Note)) -> Result<Self, Unusable> {
        let set = json::read(text).map_err(Unusable::Json)?;
        let list = set.get("keys").and_then(Value::as_array).ok_or(Unusable::NoList)?;
        let mut keys = Vec::new();
        for (i, item) in list.iter().enumerate() {
            match Jwk::read(item) {
                Ok(key) => {
                    if item.get("d").is_some() {
                        note(i, Note::Private);
                    }
                    keys.push(key);
                }
                Err(what) => note(i, Note::LeftOut(what)),
            }
        }
        if keys.is_empty() { Err(Unusable::NoKey) } else { Ok(Self { keys }) }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Checks a token's signature with the keys that may have made it. A token or a key without an
    /// id leaves the choice to the others.
    pub fn verify(&self, jws: &Jws, text: &[u8], host: &dyn Host) -> Result<(), Rejection> {
        let mut tried = false;
        for jwk in &self.keys {
            let other = |(a, b)| a != b;
            if jwk.id.as_deref().zip(jws.key_id()).is_some_and(other)
                || jwk.only.is_some_and(|only| only != jws.algorithm)
            {
                continue;
            }
            if jwk.key.verify(jws.algorithm, text, &jws.signature, host) {
                return Ok(());
            }
            tried = true;
        }
        Err(if tried { Rejection::BadSignature } else { Rejection::NoKey })
    }
}

impl Jwk {
    /// Reads a key, or says why it is left out.
    fn read(value: &Value) -> Result<Self, &'static str> {
        let Value::Object(jwk) = value else { return Err("it is not an object") };
        // RFC 7517 §4.2, §4.3: a key for something else does not verify.
        if text(jwk, "use")?.is_some_and(|u| u != "sig") {
            return Err("its use is not sig");
        }
        match jwk.get("key_ops") {
            None => {}
            Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => {}
            Some(_) => return Err("its key_ops do not list verify"),
        }
        let key = match text(jwk, "kty")? {
            Some("RSA") => Key::rsa(&number(jwk, "n")?, &number(jwk, "e")?),
            Some("EC") if text(jwk, "crv")? != Some("P-256") => {
                Err("its curve is not P-256, the only one that this version verifies")
            }
            Some("EC") => Key::p256(&number(jwk, "x")?, &number(jwk, "y")?),
            Some("oct" | "OKP") => Err("its type is not verified by this version"),
            _ => Err("its kty is not known"),
        }?;
        let only = match text(jwk, "alg")? {
            None | Some("") => None,
            Some(name) => match Algorithm::named(name) {
                Some(alg) if alg.kind == key.kind() => Some(alg),
                Some(_) => return Err("its alg does not fit its type and curve"),
                None => return Err("its alg is not verified by this version"),
            },
        };
        let id = text(jwk, "kid")?.filter(|id| !id.is_empty()).map(str::to_owned);
        Ok(Self { id, only, key })
    }
}

/// A member that must be a string if it is there.
fn text<'v>(jwk: &'v Map<String, Value>, name: &str) -> Result<Option<&'v str>, &'static str> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("one of its members is not a string"),
    }
}

/// A number in base64url, RFC 7518 §2.
fn number(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = text(jwk, name)?.ok_or("one of its numbers is missing")?;
    jws::base64url(text.as_bytes()).ok_or("one of its numbers is not unpadded base64url")
}

#[cfg(test)]
impl KeySet {
    pub(super) fn kinds(&self) -> Vec<super::algorithm::KeyKind> {
        self.keys.iter().map(|jwk| jwk.key.kind()).collect()
    }
}
