//! Where a rule looks for tokens, and what it finds there: Envoy's `extractor.cc` as Istio sets it up.

use std::borrow::Cow;

use super::api_key::{self, ApiKeys};
use super::query;
use crate::config::types::JwtRule;
use crate::order;
use crate::request::Request;

/// The places of a rule, in the order in which they are looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Places {
    /// In order of name and prefix.
    headers: Vec<HeaderPlace>,
    /// In order of name.
    params: Vec<Vec<u8>>,
    /// In order of name.
    cookies: Vec<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HeaderPlace {
    /// In lower case.
    name: Vec<u8>,
    /// What stands before the token; case-sensitive.
    prefix: Vec<u8>,
    /// What stands before an API key, where they are carried here, too.
    key_prefix: Option<Vec<u8>>,
}

impl HeaderPlace {
    fn holds_key(&self, line: &[u8]) -> bool {
        let key = self.key_prefix.as_deref().and_then(|prefix| line.strip_prefix(prefix));
        key.is_some_and(|key| key.starts_with(api_key::FORM))
    }
}

/// Which of a rule's places it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A header.
    Header(usize),
    /// A query parameter.
    Param(usize),
    /// A cookie.
    Cookie(usize),
}

/// Something that stands where a token would.
#[derive(Debug)]
pub struct Found<'a> {
    /// The token. Not shown: it is a credential.
    pub token: Secret<'a>,
    /// Where it was.
    pub place: Place,
}

/// Bytes that are not for a log.
pub struct Secret<'a>(pub Cow<'a, [u8]>);

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What a rule found, in the order of the places. One token, the usual case, allocates nothing.
#[derive(Debug, Default)]
pub struct Tokens<'a> {
    first: Option<Found<'a>>,
    more: Vec<Found<'a>>,
}

impl<'a> Tokens<'a> {
    fn push(&mut self, token: Cow<'a, [u8]>, place: Place) {
        let found = Found { token: Secret(token), place };
        if self.first.is_none() {
            self.first = Some(found);
        } else {
            self.more.push(found);
        }
    }

    /// In the order of the places.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Found<'a>> {
        self.first.iter().chain(&self.more)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl Places {
    /// The places that a rule names; without any, `Authorization: Bearer` and `access_token`.
    pub fn new(rule: &JwtRule) -> Self {
        let bytes =
            |names: &[String]| order::distinct(names.iter().map(|n| n.clone().into_bytes()));
        if rule.from_headers.is_empty()
            && rule.from_params.is_empty()
            && rule.from_cookies.is_empty()
        {
            let (name, prefix) = (b"authorization".into(), b"Bearer ".into());
            let bearer = HeaderPlace { name, prefix, key_prefix: None };
            return Self {
                headers: vec![bearer],
                params: vec![b"access_token".into()],
                cookies: vec![],
            };
        }
        let headers = rule.from_headers.iter().map(|h| HeaderPlace {
            name: h.name.to_ascii_lowercase().into_bytes(),
            prefix: h.prefix.clone().into_bytes(),
            key_prefix: None,
        });
        Self {
            headers: order::distinct(headers),
            params: bytes(&rule.from_params),
            cookies: bytes(&rule.from_cookies),
        }
    }

    /// Leaves the API keys in a header to who checks them.
    pub fn leave_keys(&mut self, keys: &ApiKeys) {
        for place in self.headers.iter_mut().filter(|place| place.name == keys.header) {
            place.key_prefix = Some(keys.prefix.clone());
        }
    }

    /// Names of the headers, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().map(|h| h.name.as_slice())
    }

    /// Names of the headers, in lower case, and what stands before a token.
    pub fn lines(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        self.headers.iter().map(|h| (h.name.clone(), h.prefix.clone()))
    }

    /// Names of the cookies.
    pub fn cookies(&self) -> impl Iterator<Item = &[u8]> {
        self.cookies.iter().map(Vec::as_slice)
    }

    /// Whether a token is read from this line of a header.
    pub fn reads(&self, name: &[u8], line: &[u8]) -> bool {
        let mut places = self.headers.iter().filter(|header| header.name == name);
        places.any(|header| !header.holds_key(line) && behind(line, &header.prefix).is_some())
    }

    /// Names of the query parameters, decoded.
    pub fn params(&self) -> impl Iterator<Item = &[u8]> {
        self.params.iter().map(Vec::as_slice)
    }

    /// The name of a header place.
    pub fn header(&self, place: Place) -> Option<&[u8]> {
        let Place::Header(i) = place else { return None };
        self.headers.get(i).map(|h| h.name.as_slice())
    }

    /// The name of a parameter place.
    pub fn param(&self, place: Place) -> Option<&[u8]> {
        let Place::Param(i) = place else { return None };
        self.params.get(i).map(Vec::as_slice)
    }

    /// The name of a cookie place.
    pub fn cookie(&self, place: Place) -> Option<&[u8]> {
        let Place::Cookie(i) = place else { return None };
        self.cookies.get(i).map(Vec::as_slice)
    }

    /// Everything that stands where a token would.
    pub fn find<'a>(&self, request: &Request<'a>) -> Tokens<'a> {
        let mut tokens = Tokens::default();
        for (i, header) in self.headers.iter().enumerate() {
            for line in request.lines(&header.name).filter(|line| !header.holds_key(line)) {
                if let Some(token) = behind(line, &header.prefix) {
                    tokens.push(Cow::Borrowed(token), Place::Header(i));
                }
            }
        }
        for (i, name) in self.params.iter().enumerate() {
            if let Some(token) = query::first(request.path, name) {
                tokens.push(token, Place::Param(i));
            }
        }
        for (i, name) in self.cookies.iter().enumerate() {
            if let Some(token) = request.cookie(name) {
                tokens.push(Cow::Borrowed(token), Place::Cookie(i));
            }
        }
        tokens
    }
}

/// What follows the prefix, from the first byte on that a token may hold. The prefix may stand
/// anywhere; a line without it holds no token; a prefix with nothing behind it makes the whole line
/// one (which then is not well formed).
fn behind<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    if prefix.is_empty() {
        return Some(line);
    }
    let at = line.windows(prefix.len()).position(|w| w == prefix)?;
    let rest = line.get(at.checked_add(prefix.len())?..)?;
    let is_token = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let start = rest.iter().position(is_token);
    Some(start.and_then(|start| rest.get(start..)).unwrap_or(line))
}
