//! A JSON Web Key Set (RFC 7517) or certificates by key id, and the choice of a key for a token.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::algorithm::{Algorithm, KeyKind};
use super::certificate;
use super::failure::Rejection;
use super::json;
use super::jws::{self, Jws};
use super::key::{Key, KeyError};
use super::remarks::{Note, Remarks, Which};
use super::work::Work;
use crate::config::{Errors, Path};
use crate::request::Host;

/// The keys of an issuer; at least one.
#[derive(Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

/// Why a text is no key set.
#[derive(Debug)]
pub enum Unusable {
    /// Not JSON.
    Json(serde_json::Error),
    /// No `keys`.
    NoList,
    /// OpenID Connect's discovery document, which says where the set is.
    Discovery,
    /// No key that can verify, and why each of them cannot.
    NoKey(String),
    /// More than [`MAX_KEYS`].
    TooMany,
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(e) => write!(f, "is not a key set: {e}"),
            Self::NoList => f.write_str("is a key set without a list of keys"),
            Self::Discovery => f.write_str("is a discovery document: the set is at its jwks_uri"),
            Self::NoKey(why) if why.is_empty() => f.write_str("is a key set without a usable key"),
            Self::NoKey(why) => write!(f, "is a key set without a usable key ({why})"),
            Self::TooMany => write!(f, "has more than {MAX_KEYS} keys"),
        }
    }
}

impl Unusable {
    /// What would be right.
    fn fix(&self) -> &'static str {
        match self {
            Self::Json(_) | Self::NoList | Self::Discovery => {
                "a JSON Web Key Set, as {\"keys\": [...]}"
            }
            Self::NoKey(_) => {
                "a key for signatures: RSA of 2048 bits or more, EC, Ed25519, or a secret of 32 bytes or more"
            }
            Self::TooMany => "the keys that sign tokens, and no others",
        }
    }
}

/// How many values the text of a set may hold: enough for hundreds of keys with certificates. Of
/// small objects a mebibyte would take a hundred, and the module's memory never shrinks.
const MAX_VALUES: usize = 8 * 1024;

/// The most keys of a set.
const MAX_KEYS: usize = 256;

/// How long a signature of Ed25519 is, in bytes.
const ED25519_SIGNATURE: usize = 64;

/// Why a key is left out.
type Why = Cow<'static, str>;

impl From<KeyError> for Why {
    fn from(error: KeyError) -> Self {
        error.as_str().into()
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
        let mut remarks = Remarks::default();
        let set = Self::read(text.as_bytes(), &mut remarks);
        if !matches!(set, Err(Unusable::NoKey(_))) {
            remarks.warn(path, errors);
        }
        set.map_err(|unusable| errors.add(path, unusable.to_string(), unusable.fix())).ok()
    }

    /// Reads a set, and remarks on single keys.
    pub fn read(text: &[u8], remarks: &mut Remarks) -> Result<Self, Unusable> {
        let set = json::read(text, MAX_VALUES).map_err(Unusable::Json)?;
        let mut keys = Vec::new();
        if let Some(certificates) = certificates(&set) {
            for (id, text) in certificates {
                match certificate::key(text) {
                    Ok(key) => keys.push(Jwk { id: Some(id.to_owned()), only: None, key }),
                    Err(why) => remarks.add(Which::Id(id), Note::LeftOut(why.into())),
                }
                if keys.len() > MAX_KEYS {
                    return Err(Unusable::TooMany);
                }
            }
        } else {
            let Some(list) = set.get("keys").and_then(Value::as_array) else {
                let elsewhere = set.get("jwks_uri").is_some_and(Value::is_string);
                return Err(if elsewhere { Unusable::Discovery } else { Unusable::NoList });
            };
            for (i, item) in list.iter().enumerate() {
                let which = Which::Index(i, item.get("kid").and_then(Value::as_str));
                match Jwk::read(item) {
                    Ok(jwk) if jwk.key.kind() == KeyKind::Secret => {
                        remarks.add(which, Note::Secret);
                        keys.push(jwk);
                    }
                    Ok(jwk) => keys.push(jwk),
                    Err(why) if is_for_something_else(item) => {
                        remarks.add(which, Note::Unrelated(why));
                    }
                    Err(why) => remarks.add(which, Note::LeftOut(why)),
                }
                if item.get("d").is_some_and(|d| !d.is_null()) {
                    remarks.add(which, Note::Private);
                }
                if keys.len() > MAX_KEYS {
                    return Err(Unusable::TooMany);
                }
            }
        }
        if keys.is_empty() { Err(Unusable::NoKey(remarks.all())) } else { Ok(Self { keys }) }
    }

    /// How many keys there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Checks a token's signature with the keys that may have made it. A token or a key without an
    /// id leaves the choice to the others: to all of them, if that is not too much work.
    pub fn verify(
        &self,
        jws: &Jws,
        text: &[u8],
        host: &dyn Host,
        work: &mut Work,
    ) -> Result<(), Rejection> {
        let other = |(a, b)| a != b;
        let candidates = || {
            self.keys.iter().filter(|jwk| {
                !jwk.id.as_deref().zip(jws.key_id()).is_some_and(other)
                    && jwk.only.is_none_or(|only| only == jws.algorithm)
            })
        };
        let price = |jwk: &Jwk| jwk.key.price(jws.algorithm, text, &jws.signature, host);
        if !Work::allows(candidates().map(price)) {
            return Err(Rejection::KeyAmbiguous);
        }
        let mut tried = false;
        for jwk in candidates() {
            if !work.take(price(jwk)) {
                return Err(Rejection::KeyAmbiguous);
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
    fn read(value: &Value) -> Result<Self, Why> {
        let Value::Object(jwk) = value else { return Err("it is not an object".into()) };
        // RFC 7517 §4.2, §4.3: a key for something else does not verify.
        match text(jwk, "use")? {
            // The latter is SPIFFE's own (Trust Domain and Bundle §4.2.2): it verifies JWTs.
            None | Some("sig" | "jwt-svid") => {}
            Some("enc") => return Err("its use is enc".into()),
            Some("x509-svid") => return Err("its use is x509-svid".into()),
            Some(_) => return Err("its use is neither sig nor jwt-svid".into()),
        }
        match jwk.get("key_ops") {
            None | Some(Value::Null) => {}
            Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => {}
            Some(Value::Array(_)) => return Err("its key_ops do not list verify".into()),
            Some(_) => return Err("its key_ops are not a list".into()),
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
            Some("OKP") if text(jwk, "crv")? != Some("Ed25519") => Err(KeyError::NotEd25519),
            Some("OKP") => Key::ed25519(&bytes(jwk, "x")?),
            Some("oct") => Key::secret(bytes(jwk, "k")?),
            _ => Err(KeyError::UnknownType),
        }?;
        if let Some(alg) = only.filter(|alg| !key.fits(alg)) {
            let why = match alg.kind == key.kind() {
                true => "its secret is shorter than the hash of its alg",
                false => "its alg does not fit its type and curve",
            };
            return Err(why.into());
        }
        let id = text(jwk, "kid")?.filter(|id| !id.is_empty()).map(str::to_owned);
        Ok(Self { id, only, key })
    }
}

/// Whether no token is ever signed with a key: one that encrypts, or an authority of SPIFFE's.
fn is_for_something_else(jwk: &Value) -> bool {
    matches!(jwk.get("use").and_then(Value::as_str), Some("enc" | "x509-svid"))
}

/// A member that must be a string if it is there. Some serializers write null for what is not.
fn text<'v>(jwk: &'v Map<String, Value>, name: &str) -> Result<Option<&'v str>, Why> {
    match jwk.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("its {name} is not a string").into()),
    }
}

/// A number, a point or a secret in base64url, RFC 7518 §2.
fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Why> {
    let text = text(jwk, name)?.ok_or_else(|| format!("its {name} is missing"))?;
    jws::base64url(text.as_bytes())
        .ok_or_else(|| format!("its {name} is not unpadded base64url").into())
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
