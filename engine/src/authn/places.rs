//! Where rules look for tokens, and what stands there: Envoy's `extractor.cc` as Istio sets it up.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::path::escape::decode_lenient;

use super::api_key::ApiKeys;
use super::cache::{self, Known};
use super::failure::Rejection;
use super::jws::Jws;
use crate::config::types::JwtRule;
use crate::order;
use crate::path::query;
use crate::request::{Header, Request};

/// What a place is. Headers are looked at first, cookies last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A header.
    Header,
    /// A query parameter.
    Param,
    /// A cookie.
    Cookie,
}

/// A place where a rule looks for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it is.
    pub kind: Kind,
    /// Of a header in lower case, of a parameter decoded.
    pub name: Vec<u8>,
    /// What stands before a token in a header; case-sensitive.
    pub prefix: Vec<u8>,
}

/// Places are looked at in this order: headers as in Envoy's map, whose keys are name and prefix in one.
impl Ord for Place {
    #[inline(never)]
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = || self.key().cmp(&other.key());
        self.kind.cmp(&other.kind).then_with(keys).then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Place {
    /// The places that a rule names; without any, `Authorization: Bearer` and `access_token`.
    pub fn of(rule: &JwtRule) -> Vec<Self> {
        let place = |kind, name: &str, prefix: &str| {
            let (name, prefix) = (name.as_bytes().to_vec(), prefix.as_bytes().to_vec());
            Self { kind, name, prefix }
        };
        let headers = rule.from_headers.iter();
        let headers = headers.map(|h| place(Kind::Header, &h.name.to_ascii_lowercase(), &h.prefix));
        let params = rule.from_params.iter().map(|name| place(Kind::Param, name, ""));
        let cookies = rule.from_cookies.iter().map(|name| place(Kind::Cookie, name, ""));
        let mut places: Vec<Self> = headers.chain(params).chain(cookies).collect();
        if places.is_empty() {
            places.push(place(Kind::Header, "authorization", "Bearer "));
            places.push(place(Kind::Param, "access_token", ""));
        }
        order::distinct(places)
    }

    /// The name with the prefix behind it.
    pub fn key(&self) -> Vec<u8> {
        [self.name.as_slice(), &self.prefix].concat()
    }

    /// Whether a token is read from this line of a header.
    pub fn reads(&self, line: &[u8], keys: Option<&ApiKeys>) -> bool {
        !self.holds_key(line, keys) && behind(line, &self.prefix).is_some()
    }

    /// Whether there is an API key in a line of the header: it is for who checks these.
    fn holds_key(&self, line: &[u8], keys: Option<&ApiKeys>) -> bool {
        keys.is_some_and(|keys| keys.header == self.name && keys.key(line).is_some())
    }
}

/// Something that stands where a token would, and what is known of it so far: rules that look at the same
/// place need not all find it out.
#[derive(Debug)]
pub struct Found<'a> {
    /// The token. Not shown: it is a credential.
    pub token: Secret<'a>,
    /// Where it was, as an index into the places.
    pub place: usize,
    /// What caches find it by.
    pub hash: u64,
    /// What the cache has of it.
    pub known: Option<Known>,
    /// The token, read.
    pub jws: Option<Result<Jws, Rejection>>,
}

/// Bytes that are not for a log.
pub struct Secret<'a>(pub Cow<'a, [u8]>);

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What was found, in the order of the places. One token, the usual case, allocates nothing.
#[derive(Debug, Default)]
pub struct Tokens<'a> {
    one: Option<Found<'a>>,
    /// All, if there are several.
    many: Vec<Found<'a>>,
}

impl<'a> Tokens<'a> {
    fn push(&mut self, token: Cow<'a, [u8]>, place: usize) {
        let hash = cache::hash(&token);
        let found = Found { token: Secret(token), place, hash, known: None, jws: None };
        match self.one.take() {
            None if self.many.is_empty() => self.one = Some(found),
            first => first.into_iter().chain([found]).for_each(|found| self.many.push(found)),
        }
    }

    /// What stands at a place.
    pub fn at(&mut self, place: usize) -> &mut [Found<'a>] {
        let all = if self.one.is_some() { self.one.as_mut_slice() } else { &mut self.many };
        let start = all.partition_point(|found| found.place < place);
        let end = all.partition_point(|found| found.place <= place);
        all.get_mut(start..end).unwrap_or_default()
    }

    /// Whether anything stands at a place.
    pub fn has(&self, place: usize) -> bool {
        self.one.as_ref().is_some_and(|found| found.place == place)
            || self.many.binary_search_by(|found| found.place.cmp(&place)).is_ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.one.is_none() && self.many.is_empty()
    }
}

/// The places of all rules: each is looked at once in a request, whatever the number of rules.
#[derive(Debug)]
pub struct Places {
    all: Vec<Place>,
    /// Whether there is a rule that does not forward what stands there, for each.
    withheld: Vec<bool>,
    /// A bit for each length that a header's name has, modulo 64.
    headers: u64,
    /// The same of parameters.
    params: u64,
    /// The same of cookies.
    cookies: u64,
}

impl Places {
    /// These, each once and in order; none is withheld.
    pub fn new(all: Vec<Place>) -> Self {
        let withheld = vec![false; all.len()];
        let mut this = Self { all, withheld, headers: 0, params: 0, cookies: 0 };
        for place in &this.all {
            let lengths = match place.kind {
                Kind::Header => &mut this.headers,
                Kind::Param => &mut this.params,
                Kind::Cookie => &mut this.cookies,
            };
            *lengths |= length_bit(&place.name);
        }
        this
    }

    /// The indices of these places, which are withheld where a rule does not forward what stands there.
    pub fn indices(&mut self, places: &[Place], forward: bool) -> Vec<usize> {
        let own: Vec<usize> =
            places.iter().filter_map(|place| self.all.binary_search(place).ok()).collect();
        for place in own.iter().filter(|_| !forward) {
            if let Some(withheld) = self.withheld.get_mut(*place) {
                *withheld = true;
            }
        }
        own
    }

    /// The place with this index.
    pub fn get(&self, index: usize) -> Option<&Place> {
        self.all.get(index)
    }

    /// The same of a header.
    pub fn header(&self, index: usize) -> Option<&Place> {
        self.get(index).filter(|place| place.kind == Kind::Header)
    }

    /// Whether there is a rule that does not forward what stands there.
    pub fn is_withheld(&self, index: usize) -> bool {
        self.withheld.get(index) == Some(&true)
    }

    /// The headers of rules that do not forward what stands there, or of all.
    pub fn headers(&self, all: bool) -> impl Iterator<Item = &Place> {
        let withheld = self.all.iter().zip(&self.withheld);
        let places = withheld.filter(move |(_, withheld)| all || **withheld);
        places.map(|(place, _)| place).filter(|place| place.kind == Kind::Header)
    }

    /// Whether there are parameters that every rule forwards.
    pub fn forwards_params(&self) -> bool {
        let mut places = self.all.iter().zip(&self.withheld);
        places.any(|(place, withheld)| place.kind == Kind::Param && !withheld)
    }

    /// Names of one kind. Those of headers are in lower case, those of parameters decoded.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.all.iter().filter(move |place| place.kind == kind).map(|place| place.name.as_slice())
    }

    /// The bits of the lengths that names of this kind have; 0 without such places.
    fn lengths(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Header => self.headers,
            Kind::Param => self.params,
            Kind::Cookie => self.cookies,
        }
    }

    /// Whether there are places of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.lengths(kind) != 0
    }

    /// Whether a name of this kind is as long as that of a place.
    pub fn may_be(&self, kind: Kind, name: &[u8]) -> bool {
        self.lengths(kind) & length_bit(name) != 0
    }

    /// Which one has this name.
    pub fn named(&self, kind: Kind, name: &[u8]) -> Option<usize> {
        // Most are none by their length alone.
        if self.may_be(kind, name) { self.search(kind, &|known| known.cmp(name)) } else { None }
    }

    /// Which one has this name once it is decoded.
    pub fn encoded(&self, kind: Kind, text: &[u8]) -> Option<usize> {
        if !text.contains(&b'%') {
            return self.named(kind, text);
        }
        let name = decode_lenient(text);
        self.search(kind, &|known| known.iter().copied().cmp(name.clone()))
    }

    /// Which place of this kind has a name that stands so to the one that is looked for.
    #[inline(never)]
    fn search(&self, kind: Kind, order: &dyn Fn(&[u8]) -> Ordering) -> Option<usize> {
        let order = |place: &Place| place.kind.cmp(&kind).then_with(|| order(&place.name));
        self.all.binary_search_by(order).ok()
    }

    /// `path`, or else the request's, without the parameters that are places which `gone` chooses, by
    /// their names as they stand there; `path` as it is if there are none.
    pub fn without_params(
        &self,
        request: &Request<'_>,
        path: Option<Vec<u8>>,
        gone: &dyn Fn(usize, &[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        if !self.has(Kind::Param) || (path.is_none() && request.path_rest().is_empty()) {
            return path;
        }
        let before = path.as_deref().unwrap_or(request.path);
        let goes = |name: &[u8]| self.encoded(Kind::Param, name).is_some_and(|i| gone(i, name));
        query::without(before, &goes).or(path)
    }

    /// Everything that stands where a token would, but for API keys.
    pub fn find<'a>(&self, request: &Request<'a>, keys: Option<&ApiKeys>) -> Tokens<'a> {
        let mut tokens = Tokens::default();
        for (i, place) in self.all.iter().enumerate().filter(|(_, p)| p.kind == Kind::Header) {
            for line in request.lines(&place.name).filter(|line| !place.holds_key(line, keys)) {
                if let Some(token) = behind(line, &place.prefix) {
                    tokens.push(Cow::Borrowed(token), i);
                }
            }
        }
        if self.has(Kind::Cookie) || !request.path_rest().is_empty() {
            self.find_named(request, &mut tokens);
        }
        tokens
    }

    /// The same of parameters and cookies.
    #[inline(never)]
    fn find_named<'a>(&self, request: &Request<'a>, tokens: &mut Tokens<'a>) {
        for (i, read) in self.read(request).iter().enumerate() {
            let Some((_, value)) = *read else { continue };
            let is_encoded = self.get(i).is_some_and(|place| place.kind == Kind::Param);
            let token = if is_encoded { decode_lenient(value).into() } else { value.into() };
            tokens.push(token, i);
        }
    }

    /// The parameter or cookie that is read at each place, its name as it stands in the request.
    #[inline(never)]
    pub fn read<'a>(&self, request: &Request<'a>) -> Vec<Option<Header<'a>>> {
        // The first of a name counts, and the names may stand in any order.
        let mut read = Vec::new();
        let mut put = |place: usize, pair| {
            read.resize(self.all.len(), None);
            if let Some(slot) = read.get_mut(place) {
                slot.get_or_insert(pair);
            }
        };
        if self.has(Kind::Param) {
            for (name, value) in query::all(request.path_rest()) {
                if let Some(place) = self.encoded(Kind::Param, name) {
                    put(place, (name, value));
                }
            }
        }
        if self.has(Kind::Cookie) {
            for (name, value) in request.cookies() {
                if let Some(place) = self.named(Kind::Cookie, name) {
                    put(place, (name, value));
                }
            }
        }
        read
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << (name.len() % 64)
}

/// What follows the prefix, from the first byte on that a token may hold. The prefix may stand
/// anywhere; a line without it holds no token; a prefix with nothing behind it makes the whole line
/// one (which then is not well formed).
fn behind<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    if prefix.is_empty() {
        return Some(line);
    }
    let at = position(line, prefix)?;
    let rest = line.get(at.checked_add(prefix.len())?..)?;
    let is_token = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let start = rest.iter().position(is_token);
    Some(start.and_then(|start| rest.get(start..)).unwrap_or(line))
}

/// Where a text begins in a line; `None` if it is not there, or empty.
pub fn position(line: &[u8], text: &[u8]) -> Option<usize> {
    let first = text.first()?;
    line.windows(text.len()).position(|part| part.first() == Some(first) && part == text)
}
