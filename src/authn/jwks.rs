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
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Debug)]
struct Jwk {
    id: Option<String>,
    /// The only algorithm that the key is for.
    only: Option<&'static Algorithm>,
    key: Key,
}

impl KeySet {
    /// Reads a set. Keys that cannot or may not verify are left out with a warning, as RFC 7517 §5
    /// wants; a set that then has none is an error.
    pub fn parse(text: &str, path: &Path<'_>, errors: &mut Errors) -> Option<Self> {
        let fix = "a JSON Web Key Set, as {\"keys\": [...]}";
        let set = match json::read(text.as_bytes()) {
            Ok(set) => set,
            Err(e) => {
                errors.add(path, format!("is not a key set: {e}"), fix);
                return None;
            }
        };
        let Some(list) = set.get("keys").and_then(Value::as_array) else {
            errors.add(path, "is a key set without a list of keys", fix);
            return None;
        };
        let place = path.field("keys");
        let mut keys = Vec::with_capacity(list.len());
        for (i, item) in list.iter().enumerate() {
            let place = place.index(i);
            match Jwk::read(item) {
                Ok(key) => {
                    if item.get("d").is_some() {
                        errors.warn(
                            &place,
                            "holds a private key",
                            "remove d and everything else that is secret, and replace the key",
                        );
                    }
                    keys.push(key);
                }
                Err(what) => errors.warn(
                    &place,
                    format!("is left out: {what}"),
                    "tokens signed with this key are refused",
                ),
            }
        }
        if keys.is_empty() {
            errors.add(
                path,
                "is a key set without a usable key",
                "an RSA key of 2048 bits or more, or an EC key on P-256, for signatures",
            );
            return None;
        }
        Some(Self { keys })
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
