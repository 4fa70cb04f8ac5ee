//! What a copy carries: headers and parameters that are kept, removed and set.

use super::super::names::{AUTHORIZATION, Line, is_secret, is_value, never_copied};
use super::Credentials;
use crate::config::types;
use crate::config::{Errors, GIVEN_TWICE, Path, Warning};
use crate::header::{folded, is_name};
use crate::order;

/// Headers that are named, folded.
#[derive(Debug, Default)]
pub struct Keep {
    /// In order.
    whole: Vec<Vec<u8>>,
    /// Their first letters.
    begun: Vec<Vec<u8>>,
}

impl Keep {
    /// Whether this header, folded, is one of them.
    pub fn holds(&self, name: &[u8]) -> bool {
        order::holds(&self.whole, name) || self.begun.iter().any(|begun| name.starts_with(begun))
    }
}

fn fold(name: &String) -> Vec<u8> {
    folded(name.as_bytes()).into_owned()
}

/// Whether a header, however it is spelt, is one by which credentials travel.
pub(super) fn is_credential(name: &str, credentials: &Credentials) -> bool {
    let key = folded(name.as_bytes());
    is_secret(&key) || credentials.headers.iter().any(|n| *folded(n.as_bytes()) == *key)
}

/// The headers that a copy gets besides those that each does.
pub(super) fn keep(
    names: &[String],
    credentials: &Credentials,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Keep {
    let path = path.field("keep");
    let mut keep = Keep::default();
    for (i, name) in names.iter().enumerate() {
        let begun = name.strip_suffix('*');
        let key = folded(begun.unwrap_or(name).as_bytes()).into_owned();
        let secret = credentials.headers.iter().any(|n| *folded(n.as_bytes()) == *key);
        if !is_name(begun.unwrap_or(name)) || key.contains(&b'*') {
            let fix = "a header's name, or its first letters and *, as x-shop-*";
            errors.add_value(&path.index(i), "is not a header", name, fix);
        } else if begun.is_none() && (never_copied(&key) || secret) {
            let fix = "a header that is neither a credential nor set by the proxy";
            errors.add_value(&path.index(i), "never reaches a shadow", name, fix);
        } else if begun.is_some() && b"x-api-key".starts_with(&key) {
            let fix = "longer first letters; x-api-key and others would be kept";
            errors.warn(Warning::CopiedCredentials, &path.index(i), "hands credentials on", fix);
        }
        match begun {
            Some(_) => keep.begun.push(key),
            None => keep.whole.push(key),
        }
    }
    order::sort(&mut keep.whole);
    keep
}

/// The parameters of the query that a copy gets.
pub(super) fn query(
    names: &[String],
    credentials: &Credentials,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Vec<Box<[u8]>> {
    let path = path.field("keep");
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            errors.add(&path.index(i), "is empty", "a parameter's name, decoded, as version");
        } else if credentials.params.contains(name) {
            let fix = "a parameter that carries no token";
            errors.add_value(&path.index(i), "never reaches a shadow", name, fix);
        }
    }
    names.iter().map(|name| name.as_bytes().into()).collect()
}

/// The request's headers that a copy does not get, folded: `remove`, those that `set` replaces,
/// credentials, and identities that `keep` does not name in full.
pub(super) fn strip(
    headers: &types::ShadowHeaders,
    credentials: &Credentials,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Vec<Vec<u8>> {
    for (i, name) in headers.remove.iter().enumerate() {
        if !is_name(name) {
            let fix = "a header's name, as x-internal";
            errors.add_value(&path.field("remove").index(i), "is not a header", name, fix);
        }
    }
    let kept = order::distinct(headers.keep.iter().map(fold));
    let identity = credentials.identity.iter().map(fold);
    let identity = identity.filter(|name| !order::holds(&kept, name));
    let replaced = headers.set.0.iter().map(|(name, _)| name);
    let named = headers.remove.iter().chain(replaced).chain(&credentials.headers);
    order::distinct(named.map(fold).chain(identity))
}

/// The headers that a copy gets besides.
pub(super) fn set(
    headers: &types::ShadowHeaders,
    credentials: &Credentials,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Vec<Line> {
    let path = path.field("set");
    let plain: Vec<_> = headers.set.0.iter().map(|(name, _)| folded(name.as_bytes())).collect();
    let plain: Vec<&[u8]> = plain.iter().map(|name| &**name).collect();
    for (name, _) in order::repeated(&plain).iter().filter_map(|i| headers.set.0.get(*i)) {
        let fix = "each header once; case, _ and - do not count";
        errors.add(&path.field(name), GIVEN_TWICE, fix);
    }
    let mut lines = Vec::new();
    for (name, value) in &headers.set.0 {
        let at = path.field(name);
        let key = folded(name.as_bytes()).into_owned();
        if never_copied(&key) && key != AUTHORIZATION {
            errors.add(&at, "cannot be set on a copy", "a header that the proxy does not set");
        } else if !is_name(name) {
            errors.add(&at, "is not a header", "a header's name, as x-shadow");
        } else if is_credential(name, credentials) {
            let fix = "give the shadow one that opens nothing else, or none";
            errors.warn(Warning::PlainSecret, &at, "may hold a secret in plain text", fix);
        }
        if !is_value(value) {
            errors.add(&at, "is not a header's value", "visible ASCII, without spaces around it");
        }
        lines.push((name.to_ascii_lowercase().into_bytes().into(), value.as_bytes().into()));
    }
    lines
}
