//! A JSON Web Key Set (RFC 7517) or certificates by key id, and the choice of a key for a token.

use serde_json::{Map, Value};

use super::algorithm::{Algorithm, KeyKind};
use super::certificate;
use super::failure::Rejection;
use super::json;
use super::jws::{self, Jws};
use super::key::Key;
use crate::config::{Errors, Path, Warning};
use crate::request::Host;

/// The keys of an issuer; at least one.
#[derive(Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

/// A single key of a set.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// In a list.
    Index(usize),
    /// A certificate.
    Id(&'a str),
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
            Self::NoKey => {
                "a key for signatures: RSA of 2048 bits or more, EC, Ed25519, or a secret of 32 bytes or more"
            }
        }
    }
}

/// How many values the text of a set may hold: enough for hundreds of keys with certificates. Of
/// small objects a mebibyte would take a hundred, and the module's memory never shrinks.
const MAX_VALUES: usize = 8 * 1024;

/// How long a signature of Ed25519 is, in bytes.
const ED25519_SIGNATURE: usize = 64;

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
        let set = Self::read(text.as_bytes(), &mut |which, note| {
            let list = path.field("keys");
            let place = match which {
                Which::Index(i) => list.index(i),
                Which::Id(id) => path.field(id),
            };
            match note {
                Note::Private => errors.warn(
                    Warning::PrivateKey,
                    &place,
                    "holds a private key",
                    "remove d and everything else that is secret, and replace the key",
                ),
                Note::LeftOut(what) => errors.warn(
                    Warning::KeyLeftOut,
                    &place,
                    format!("is left out: {what}"),
                    "tokens signed with this key are refused",
                ),
            }
        });
        set.map_err(|unusable| errors.add(path, unusable.to_string(), unusable.fix())).ok()
    }

    /// Reads a set; what is to be said of single keys is said with their places.
    pub fn read(text: &[u8], note: &mut dyn FnMut(Which<'_>, Note)) -> Result<Self, Unusable> {
        let set = json::read(text, MAX_VALUES).map_err(Unusable::Json)?;
        let mut keys = Vec::new();
        let mut add = |which: Which<'_>, jwk: Result<Jwk, &'static str>| match jwk {
            Ok(key) => keys.push(key),
            Err(what) => note(which, Note::LeftOut(what)),
        };
        if let Some(certificates) = certificates(&set) {
            for (id, text) in certificates {
                let jwk = |key| Jwk { id: Some(id.to_owned()), only: None, key };
                add(Which::Id(id), certificate::key(text).map(jwk));
            }
        } else {
            let list = set.get("keys").and_then(Value::as_array).ok_or(Unusable::NoList)?;
            for (i, item) in list.iter().enumerate() {
                add(Which::Index(i), Jwk::read(item));
            }
            for (i, _) in list.iter().enumerate().filter(|(_, item)| item.get("d").is_some()) {
                note(Which::Index(i), Note::Private);
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
            // As in Envoy, which asks neither for the algorithm nor any further key.
            if jwk.key.kind() == KeyKind::Ed25519 && jws.signature.len() != ED25519_SIGNATURE {
                return Err(Rejection::Ed25519Length);
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
        let name = text(jwk, "alg")?.filter(|name| !name.is_empty());
        let only = name.map(|name| Algorithm::named(name).ok_or("its alg is not known"));
        let only = only.transpose()?;
        let key = match text(jwk, "kty")? {
            Some("RSA") => Key::rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?),
            Some("EC") => {
                // As in Envoy, where RFC 7518 §6.2.1.1 wants a curve.
                let by_alg = match only.map(|alg| alg.kind) {
                    Some(KeyKind::P384) => "P-384",
                    Some(KeyKind::P521) => "P-521",
                    _ => "P-256",
                };
                let curve = text(jwk, "crv")?.filter(|curve| !curve.is_empty());
                Key::ec(curve.unwrap_or(by_alg), &bytes(jwk, "x")?, &bytes(jwk, "y")?)
            }
            Some("OKP") if text(jwk, "crv")? != Some("Ed25519") => Err("its curve is not Ed25519"),
            Some("OKP") => Key::ed25519(&bytes(jwk, "x")?),
            Some("oct") => Key::secret(bytes(jwk, "k")?),
            _ => Err("its kty is not known"),
        }?;
        if let Some(alg) = only.filter(|alg| !key.fits(alg)) {
            return Err(match alg.kind == key.kind() {
                true => "its secret is shorter than the hash of its alg",
                false => "its alg does not fit its type and curve",
            });
        }
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

/// A number, a point or a secret in base64url, RFC 7518 §2.
fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let text = text(jwk, name)?.ok_or("one of its numbers is missing")?;
    jws::base64url(text.as_bytes()).ok_or("one of its numbers is not unpadded base64url")
}

/// Certificates by key id, where a set has nothing else.
fn certificates(set: &Value) -> Option<Vec<(&str, &str)>> {
    let set = set.as_object().filter(|set| !set.is_empty() && !set.contains_key("keys"))?;
    set.iter()
        .map(|(id, text)| Some((id.as_str(), certificate::pem(text.as_str()?)?)))
        .collect::<Option<_>>()
        .filter(|_| !set.contains_key(""))
}

#[cfg(test)]
impl KeySet {
    /// Whether one of the keys made a signature with this algorithm.
    pub(super) fn made(&self, alg: &str, text: &[u8], signature: &[u8], host: &dyn Host) -> bool {
        let by = Algorithm::named(alg);
        by.is_some_and(|by| self.keys.iter().any(|jwk| jwk.key.verify(by, text, signature, host)))
    }

    pub(super) fn kinds(&self) -> Vec<KeyKind> {
        self.keys.iter().map(|jwk| jwk.key.kind()).collect()
    }
}
