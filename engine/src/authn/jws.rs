//! The compact serialization of a JWS (RFC 7515 §3.1) that holds claims (RFC 7519), read to the byte.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::failure::Rejection;
use super::json;

/// A token that was read. Nothing in it is to be believed before its signature was checked.
#[derive(Debug)]
pub struct Jws {
    /// `alg`.
    pub algorithm: &'static Algorithm,
    key_id: Option<String>,
    /// The payload.
    pub claims: Claims,
    /// The signature, decoded.
    pub signature: Vec<u8>,
}

/// Decodes base64url as RFC 7515 §2 has it: no padding, no whitespace, unused bits zero. So no two
/// texts decode to the same bytes.
pub fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The three parts of a token, still encoded. None may be empty: Envoy skips empty ones, and takes
/// `.h.p.s` and `h..p.s` for tokens.
struct Parts<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(token: &'a [u8]) -> Option<Self> {
        let mut parts = token.split(|c| *c == b'.');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let read = Self { header: next()?, payload: next()?, signature: next()? };
        parts.next().is_none().then_some(read)
    }
}

/// The part of a token that is signed: RFC 7515 §2, JWS Signing Input.
pub fn signed(token: &[u8]) -> &[u8] {
    let end = token.iter().rposition(|c| *c == b'.');
    end.and_then(|end| token.get(..end)).unwrap_or_default()
}

/// The payload as it was sent, base64url.
pub fn payload(token: &[u8]) -> &[u8] {
    token.split(|c| *c == b'.').nth(1).unwrap_or_default()
}

impl Jws {
    /// Reads a token. The order of the checks is Envoy's, so that its text is the same.
    pub fn parse(token: &[u8]) -> Result<Self, Rejection> {
        let parts = Parts::of(token).ok_or(Rejection::BadFormat)?;
        let header = base64url(parts.header).ok_or(Rejection::HeaderBase64)?;
        let header = json::read_object(&header).ok_or(Rejection::HeaderJson)?;
        let Some(Value::String(alg)) = header.get("alg") else { return Err(Rejection::HeaderAlg) };
        let algorithm = Algorithm::named(alg).ok_or(Rejection::HeaderAlgUnsupported)?;
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()).filter(|id| !id.is_empty()),
            Some(_) => return Err(Rejection::HeaderKid),
        };
        if header.contains_key("crit") {
            return Err(Rejection::HeaderCrit);
        }
        let payload = base64url(parts.payload).ok_or(Rejection::PayloadBase64)?;
        let payload = json::read_object(&payload).ok_or(Rejection::PayloadJson)?;
        let claims = Claims::read(payload)?;
        let signature = base64url(parts.signature).ok_or(Rejection::SignatureBase64)?;
        Ok(Self { algorithm, key_id, claims, signature })
    }

    /// `kid`, if it says something.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}
