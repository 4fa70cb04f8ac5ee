//! Keys of machine clients, known by their SHA-256 only.

use std::rc::Rc;

use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::Identity;
use super::algorithm::Hash;
use super::claims::{self, REGISTERED};
use super::failure::Rejection;
use super::header_name;
use super::scheme::begins_with;
use crate::config::types;
use crate::config::{Errors, Path};
use crate::order;
use crate::request::Request;

/// The issuer of an API key's identity. No token may carry it.
pub const ISSUER: &str = "apikey";

/// The longest prefix, in bytes.
const PREFIX_MAX: usize = 64;

/// The longest name of a key, in bytes.
const NAME_MAX: usize = 253;

const HASH_BYTES: usize = 32;

/// The API keys, at least one.
#[derive(Debug)]
pub struct ApiKeys {
    /// In lower case.
    pub header: Vec<u8>,
    /// What stands before a key.
    pub prefix: Vec<u8>,
    /// Tokens stand in the header, too: keys are told from them by their form.
    pub beside_tokens: bool,
    keys: Vec<ApiKey>,
}

/// How keys begin that `modelgate key new` makes. No token does: it is not the base64url of `{`.
pub const FORM: &[u8] = b"mg_";

struct ApiKey {
    hash: [u8; HASH_BYTES],
    identity: Rc<Identity>,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.identity.subject).finish_non_exhaustive()
    }
}

impl ApiKeys {
    /// Compiles the keys; `None` without any, or after an error was recorded.
    pub fn compile(
        settings: &types::ApiKeys,
        split: &[String],
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let header = header_name(&settings.header, &path.field("header"), errors);
        let list = path.field("keys");
        let names = settings.keys.iter().map(|key| key.name.as_str());
        errors.duplicate(&list, Some("name"), names, "a name of its own");
        let compiled = settings.keys.iter().enumerate();
        let keys: Vec<Option<ApiKey>> =
            compiled.map(|(i, key)| ApiKey::compile(key, split, &list.index(i), errors)).collect();
        let keys = keys.into_iter().collect::<Option<Vec<_>>>()?;
        let hashes: Vec<&[u8]> = keys.iter().map(|key| key.hash.as_slice()).collect();
        for i in order::repeated(&hashes) {
            let place = list.index(i);
            errors.add(&place.field("sha256"), "is that of another key", "a key of its own");
        }
        let prefix = settings.prefix.clone().into_bytes();
        let is_text = prefix.iter().all(|c| matches!(c, b' '..=b'~')) && prefix.len() <= PREFIX_MAX;
        if !is_text || prefix.starts_with(b" ") {
            errors.add_value(
                &path.field("prefix"),
                "cannot stand before a key",
                &settings.prefix,
                "at most 64 printable ASCII characters, no space first, as \"Bearer \"",
            );
        }
        if keys.is_empty() {
            return None;
        }
        Some(Self { header: header?, prefix, beside_tokens: false, keys })
    }

    /// The key in a line of the header.
    pub fn key<'l>(&self, line: &'l [u8]) -> Option<&'l [u8]> {
        let key = line.strip_prefix(self.prefix.as_slice())?;
        (!self.beside_tokens || key.starts_with(FORM)).then_some(key)
    }

    /// Whether a key may stand in a line of the header, for whoever reads it less strictly.
    pub fn may_be_in(&self, line: &[u8]) -> bool {
        let is_token = |c: &u8| c.is_ascii_alphanumeric() || b"-._~+/".contains(c);
        let is_key = |word: &[u8]| word.starts_with(FORM);
        self.prefix.is_empty()
            || (!self.beside_tokens && begins_with(line, &self.prefix))
            || line.split(|c| !is_token(c)).any(is_key)
    }

    /// Who sent the key; `None` without one.
    pub fn check(&self, request: &Request<'_>) -> Option<Result<Rc<Identity>, Rejection>> {
        let sent = request.lines(&self.header).find_map(|line| self.key(line))?;
        if request.lines(&self.header).nth(1).is_some() {
            return Some(Err(Rejection::ApiKeyRepeated));
        }
        let hash = Hash::Sha256.of(sent);
        // Every key is compared to its end, so that time tells nothing about any.
        let mut found = None;
        for key in &self.keys {
            if key.hash.as_slice().ct_eq(&hash).into() {
                found = Some(&key.identity);
            }
        }
        Some(found.map(Rc::clone).ok_or(Rejection::ApiKeyUnknown))
    }
}

impl ApiKey {
    fn compile(
        key: &types::ApiKey,
        split: &[String],
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let named = !key.name.is_empty()
            && key.name.len() <= NAME_MAX
            && key.name.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'/' | b'*'));
        if !named {
            errors.add_value(
                &path.field("name"),
                "cannot be part of a principal",
                &key.name,
                "1 to 253 printable ASCII characters without spaces, / and *",
            );
        }
        let hash = hex(&key.sha256);
        match hash {
            None => errors.add(
                &path.field("sha256"),
                "is not a SHA-256",
                "64 hexadecimal digits, as sha256sum prints them",
            ),
            Some(hash) if *hash.as_slice() == *Hash::Sha256.of(b"") => {
                errors.add(
                    &path.field("sha256"),
                    "is that of an empty key",
                    "the hash of a random key",
                );
            }
            Some(_) => {}
        }
        let claims = match &key.claims.0 {
            Value::Null => Some(Map::new()),
            Value::Object(claims) => Some(claims.clone()),
            _ => {
                errors.add(
                    &path.field("claims"),
                    "is not an object",
                    "claims by name, as {groups: [batch]}",
                );
                None
            }
        };
        if let Some(name) =
            claims.iter().flat_map(Map::keys).find(|c| REGISTERED.contains(&c.as_str()))
        {
            errors.add(
                &path.field("claims").field(name),
                "is a registered claim",
                "leave it out: iss is apikey, sub the name of the key",
            );
            return None;
        }
        let mut claims = claims?;
        claims::split_words(&mut claims, split);
        claims.insert("iss".into(), ISSUER.into());
        claims.insert("sub".into(), key.name.clone().into());
        let identity =
            Identity { issuer: Some(ISSUER.to_owned()), subject: Some(key.name.clone()), claims };
        (named && hash.is_some())
            .then_some(hash)
            .flatten()
            .map(|hash| Self { hash, identity: Rc::new(identity) })
    }
}

/// The bytes of 64 hexadecimal digits.
fn hex(text: &str) -> Option<[u8; HASH_BYTES]> {
    let mut bytes = [0; HASH_BYTES];
    base16ct::mixed::decode(text, &mut bytes).ok().filter(|read| read.len() == HASH_BYTES)?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken off before a model sees it: more than what is a key here.
    #[test]
    fn a_key_may_be_wherever_one_that_reads_loosely_finds_it() {
        for (prefix, beside_tokens, line, may) in [
            ("", false, "anything", true),
            ("ApiKey ", false, "ApiKey anything", true),
            ("ApiKey ", false, "apikey\tanything", true),
            ("ApiKey ", false, "ApiKeys anything", false),
            ("ApiKey ", false, "Basic x", false),
            ("ApiKey ", false, "Basic mg_x", true),
            ("Bearer ", true, "Bearer e30.e30.e30", false),
            ("Bearer ", true, "Bearer mg_x", true),
            ("Bearer ", true, "x,mg_x", true),
            ("Bearer ", true, "xmg_x", false),
        ] {
            let (header, prefix) = (b"authorization".to_vec(), prefix.as_bytes().to_vec());
            let keys = ApiKeys { header, prefix, beside_tokens, keys: Vec::new() };
            assert_eq!(keys.may_be_in(line.as_bytes()), may, "{line}");
        }
    }
}
