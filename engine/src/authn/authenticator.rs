//! Who calls: API keys and all rules together, with Istio's way of merging them.

use std::rc::Rc;
use std::time::Duration;

mod explain;

use super::Identity;
use super::api_key::ApiKeys;
use super::cache::{Key, SMALLEST, TokenCache, Verified};
use super::cookies;
use super::failure::{Failure, Rejection, TokenResult};
use super::jws::Jws;
use super::places::{Found, Kind, Places, Tokens};
use super::remote::{Remote, Remotes};
use super::rule::{self, Keys, Rule, places_of};
use super::work::Work;
use crate::config::types;
use crate::config::{Errors, Path};
use crate::header::folded;
use crate::order;
use crate::request::{Edits, Request};
use crate::time::SECOND;

pub use explain::{CredentialsView, TokenView};

/// Authentication, compiled.
#[derive(Debug)]
pub struct Authenticator {
    /// In the order of their issuers, as istiod sorts them.
    rules: Vec<Rule>,
    places: Places,
    remotes: Remotes,
    api_keys: Option<ApiKeys>,
    output_headers: Vec<Vec<u8>>,
    credential_headers: Vec<Vec<u8>>,
    credential_params: Vec<Vec<u8>>,
}

/// Who calls, and what that changes.
#[derive(Debug)]
pub struct Authentication {
    /// Who calls.
    pub identification: Identification,
    /// The path with query, if a verified token was taken out of it.
    pub path: Option<Vec<u8>>,
    /// Which rule accepted the request's tokens, for [`Authenticator::strip`].
    pub rule: Option<usize>,
    /// What became of each credential, for `modelgate_tokens_total`.
    pub tokens: TokenResults,
    /// Claims that have an output header, and cannot stand in one.
    pub unwritable_claims: u32,
    /// Keys that were not there, and might be soon.
    pub missing_keys: Option<MissingKeys>,
}

/// Keys that a token needs and that were not there: with them the identification may be another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingKeys {
    /// Which set, as an index into [`Authenticator::remotes`].
    pub remote: usize,
    /// How long the request may wait for the issuer's first set. `None` where there is a set, and
    /// it lacks the token's key: it is fetched again, and the identification stands.
    pub wait: Option<Duration>,
}

/// Who calls.
#[derive(Debug)]
pub enum Identification {
    /// No credential at any configured place.
    Anonymous,
    /// Every credential is good.
    Identified(Rc<Identity>),
    /// A credential is bad.
    Refused(Failure),
}

/// How often each result came about in one request: tokens that were good, or the one failure that
/// decided.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TokenResults {
    cached: u32,
    verified: u32,
    other: Option<TokenResult>,
}

impl TokenResults {
    /// Results and how often.
    pub fn iter(self) -> impl Iterator<Item = (TokenResult, u32)> {
        let tokens = [(TokenResult::Cached, self.cached), (TokenResult::Verified, self.verified)];
        tokens.into_iter().filter(|(_, n)| *n > 0).chain(self.other.map(|other| (other, 1)))
    }
}

impl Authentication {
    fn of(identification: Identification, tokens: TokenResults) -> Self {
        Self {
            identification,
            path: None,
            rule: None,
            tokens,
            unwritable_claims: 0,
            missing_keys: None,
        }
    }

    fn anonymous() -> Self {
        Self::of(Identification::Anonymous, TokenResults::default())
    }
}

/// What went wrong so far, for the choice that Envoy makes among several rules.
#[derive(Default)]
struct Rejections {
    first: Option<Rejection>,
    last_known_issuer: Option<Rejection>,
}

/// How many bytes of tokens are kept read until a request is decided, so that each rule need not read
/// them again: as many as a request has headers. Read, they take much more.
const KEPT: usize = 64 * 1024;

/// What lasts from one token of a request to the next.
struct Memory<'c> {
    cache: &'c mut TokenCache,
    /// How many more bytes may be kept.
    room: usize,
    missing_keys: Option<MissingKeys>,
    work: Work,
}

impl Memory<'_> {
    /// What can be waited for comes before what cannot.
    fn misses(&mut self, missing_keys: MissingKeys) {
        if self.missing_keys.is_none_or(|before| before.wait.is_none()) {
            self.missing_keys = Some(missing_keys);
        }
    }
}

impl Rejections {
    fn add(&mut self, rejection: Rejection) {
        self.first.get_or_insert(rejection);
        if rejection != Rejection::UnknownIssuer {
            self.last_known_issuer = Some(rejection);
        }
    }

    /// Istio asks for any of the rules, or else for each to be content or without a token. Envoy
    /// answers with the last failure of the list that says more than "unknown issuer"; at the end
    /// of the list stands the first failure again.
    fn decisive(&self) -> Option<Rejection> {
        match self.first {
            Some(Rejection::UnknownIssuer) => self.last_known_issuer.or(self.first),
            first => first,
        }
    }
}

impl Authenticator {
    /// Compiles the settings; `None` after at least one error was recorded.
    pub fn compile(
        settings: &types::Authentication,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        errors.scope(|errors| Self::read(settings, path, errors)).flatten()
    }

    fn read(
        settings: &types::Authentication,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let mut remotes = Remotes::new(&settings.jwks, &path.field("jwks"), errors);
        if (1..SMALLEST).contains(&settings.token_cache.bytes.0) {
            let fix = "8KiB or more, or 0B to switch it off";
            errors.add(&path.field("tokenCache").field("bytes"), "is too small", fix);
        }
        let list = path.field("jwtRules");
        let rules: Vec<Option<Rule>> = settings
            .jwt_rules
            .iter()
            .enumerate()
            .map(|(i, rule)| Rule::compile(rule, &mut remotes, &list.index(i), errors))
            .collect();
        let keys_path = path.field("apiKeys");
        let mut api_keys =
            ApiKeys::compile(&settings.api_keys, &rule::always_split(), &keys_path, errors);
        let rules = rules.into_iter().collect::<Option<Vec<_>>>()?;
        let mut rules = order::stable_by(rules, |a, b| a.issuer.cmp(&b.issuer));
        let places = places_of(&mut rules);
        if let Some(keys) = &mut api_keys {
            keys.beside_tokens = places.names(Kind::Header).any(|header| header == keys.header);
        }
        let key_header = api_keys.iter().map(|keys| keys.header.as_slice());
        let this = Self {
            output_headers: set(rules.iter().flat_map(|r| r.outputs.headers())),
            credential_headers: set(places.names(Kind::Header).chain(key_header)),
            credential_params: set(places.names(Kind::Param)),
            rules,
            places,
            remotes,
            api_keys,
        };
        this.check_headers(path, errors);
        Some(this)
    }

    /// Each header has one meaning: what a client's copy of an output header says would be dropped
    /// before a token is looked for.
    fn check_headers(&self, path: &Path<'_>, errors: &mut Errors) {
        let outputs: Vec<_> = self.output_headers.iter().map(|h| folded(h)).collect();
        for header in self.credential_headers.iter().filter(|h| outputs.contains(&folded(h))) {
            errors.add_value(
                path,
                "has a header that both carries credentials and receives claims",
                String::from_utf8_lossy(header),
                "another header for the claims",
            );
        }
        let Some(keys) = &self.api_keys else { return };
        if keys.beside_tokens && keys.prefix.is_empty() {
            errors.add_value(
                &path.field("apiKeys").field("header"),
                "also carries tokens",
                String::from_utf8_lossy(&keys.header),
                "a header of its own, as x-api-key, or a prefix, as \"Bearer \"",
            );
        }
    }

    /// Decides who calls. Removes verified credentials and adds output headers in `edits`.
    ///
    /// Preflights are the caller's business, and so are clients' copies of the output headers.
    pub fn authenticate(
        &self,
        request: &Request<'_>,
        cache: &mut TokenCache,
        edits: &mut Edits,
    ) -> Authentication {
        // Istio's one requirement is for the prefix `/`: `OPTIONS *` and CONNECT have no identity.
        if !request.path.starts_with(b"/") {
            return Authentication::anonymous();
        }
        let keys = self.api_keys.as_ref();
        let mut tokens = self.places.find(request, keys);
        if let Some((keys, checked)) = keys.and_then(|keys| Some((keys, keys.check(request)?))) {
            let checked = if tokens.is_empty() { checked } else { Err(Rejection::ApiKeyWithToken) };
            return self.with_key(keys, checked, request, edits);
        }
        if tokens.is_empty() {
            return Authentication::anonymous();
        }
        let mut memory = Memory { cache, room: KEPT, missing_keys: None, work: Work::default() };
        let mut rejections = Rejections::default();
        for (index, rule) in self.rules.iter().enumerate() {
            match self.verify(index, rule, &mut tokens, request, &mut memory) {
                None => {}
                Some(Err(rejection)) => rejections.add(rejection),
                Some(Ok((verified, results))) => {
                    let path = self.accept(rule, &tokens, &verified, request, edits);
                    let identification = Identification::Identified(Rc::clone(&verified.identity));
                    let unwritable_claims = verified.lines.unwritable;
                    let (tokens, missing_keys, rule) = (results, memory.missing_keys, Some(index));
                    return Authentication {
                        identification,
                        path,
                        rule,
                        tokens,
                        unwritable_claims,
                        missing_keys,
                    };
                }
            }
        }
        match rejections.decisive() {
            None => Authentication::anonymous(),
            Some(rejection) => Authentication {
                missing_keys: memory.missing_keys,
                ..self.refuse(rejection, request)
            },
        }
    }

    #[inline(never)]
    fn with_key(
        &self,
        keys: &ApiKeys,
        checked: Result<Rc<Identity>, Rejection>,
        request: &Request<'_>,
        edits: &mut Edits,
    ) -> Authentication {
        match checked {
            Err(rejection) => self.refuse(rejection, request),
            Ok(identity) => {
                edits.remove(&keys.header);
                let other = Some(TokenResult::ApiKeyVerified);
                let tokens = TokenResults { other, ..TokenResults::default() };
                Authentication::of(Identification::Identified(identity), tokens)
            }
        }
    }

    /// Checks all tokens that a rule found; the first one is the identity. `None` without any.
    ///
    /// The last is checked first, as in Envoy: its failure is the one that is told.
    fn verify(
        &self,
        index: usize,
        rule: &Rule,
        tokens: &mut Tokens<'_>,
        request: &Request<'_>,
        memory: &mut Memory<'_>,
    ) -> Option<Result<(Rc<Verified>, TokenResults), Rejection>> {
        let mut results = TokenResults::default();
        let mut first = None;
        for place in rule.own.iter().rev() {
            for found in tokens.at(*place).iter_mut().rev() {
                let (verified, result) = match self.verify_one(index, rule, found, request, memory)
                {
                    Ok(verified) => verified,
                    Err(rejection) => return Some(Err(rejection)),
                };
                let count = match result {
                    TokenResult::Cached => &mut results.cached,
                    _ => &mut results.verified,
                };
                *count = count.saturating_add(1);
                first = Some(verified);
            }
        }
        first.map(|verified| Ok((verified, results)))
    }

    fn verify_one(
        &self,
        index: usize,
        rule: &Rule,
        found: &mut Found<'_>,
        request: &Request<'_>,
        memory: &mut Memory<'_>,
    ) -> Result<(Rc<Verified>, TokenResult), Rejection> {
        let time = request.attributes().now();
        let remote = match rule.keys {
            Keys::Inline(_) => None,
            Keys::Remote(index) => self.remotes.get(index).map(|remote| (index, remote)),
        };
        // 0 is no generation of fetched keys: without any, nothing is found.
        let generation = remote.map_or(Some(0), |(_, remote)| remote.generation(time));
        let (hash, place, generation) = (found.hash, found.place, generation.unwrap_or(0));
        let key = Key { token: &found.token.0, hash, rule: index, place, generation };
        let known = found.known.get_or_insert_with(|| memory.cache.known(&key));
        if let Some(verified) = memory.cache.get(known, &key, time / SECOND) {
            return Ok((verified, TokenResult::Cached));
        }
        if let Some(issuer) = rule.issuer.as_deref().filter(|_| self.rules.len() > 1)
            && known.is_of_another_issuer(issuer)
        {
            return Err(Rejection::UnknownIssuer);
        }
        let verified = check(rule, &key, &mut found.jws, remote, request, memory)?;
        Ok((verified, TokenResult::Verified))
    }

    /// Takes the tokens off the request and writes the output headers. Only those of the identity:
    /// what the upstream is told is what was authorized.
    fn accept(
        &self,
        rule: &Rule,
        tokens: &Tokens<'_>,
        verified: &Verified,
        request: &Request<'_>,
        edits: &mut Edits,
    ) -> Option<Vec<u8>> {
        let path = match rule.forward {
            true => None,
            false => self.remove(rule, tokens, request, edits),
        };
        for (name, value) in &verified.lines.lines {
            edits.set(name, &**value);
        }
        path
    }

    /// Removes what a rule's tokens were found in: headers, parameters and cookies. The path without
    /// them, if it changed.
    fn remove(
        &self,
        rule: &Rule,
        tokens: &Tokens<'_>,
        request: &Request<'_>,
        edits: &mut Edits,
    ) -> Option<Vec<u8>> {
        let is_full = |place: usize, _: &[u8]| order::holds(&rule.own, &place) && tokens.has(place);
        let (mut cookie, mut param) = (false, false);
        for place in rule.own.iter().filter(|place| tokens.has(**place)) {
            let Some(place) = self.places.get(*place) else { continue };
            match place.kind {
                Kind::Header => edits.remove(&place.name),
                Kind::Param => param = true,
                Kind::Cookie => cookie = true,
            }
        }
        if cookie {
            let is = |name: &[u8]| {
                self.places.named(Kind::Cookie, name).is_some_and(|i| is_full(i, name))
            };
            cookies::remove(&is, request, edits);
        }
        param.then(|| self.places.without_params(request, None, &is_full))?
    }

    fn refuse(&self, rejection: Rejection, request: &Request<'_>) -> Authentication {
        let other = Some(rejection.result());
        let shown = self.shown_path(request);
        // The challenge repeats none that is forwarded either.
        let hidden = match self.places.forwards_params() {
            true => self.places.without_params(request, shown.clone(), &|_, _| true),
            false => None,
        };
        let path = hidden.as_deref().or(shown.as_deref()).unwrap_or(request.path);
        let mut failure = Failure::new(rejection, request, path);
        failure.path = shown;
        let tokens = TokenResults { other, ..TokenResults::default() };
        Authentication::of(Identification::Refused(failure), tokens)
    }

    /// Takes off a request whatever stands where a rule looks for a token, and API keys. `accepted` is the
    /// rule that accepted its tokens; what that rule verified and forwards stays, and nothing that is like
    /// it. The new path with query, if it changed from `path`, the request's as it is by now.
    pub fn strip(
        &self,
        request: &Request<'_>,
        path: Option<Vec<u8>>,
        accepted: Option<usize>,
        edits: &mut Edits,
    ) -> Option<Vec<u8>> {
        let rule = accepted.and_then(|rule| self.rules.get(rule)).filter(|rule| rule.forward);
        let kept = rule.map_or(&[][..], |rule| &rule.own);
        self.places.strip(request, path, self.api_keys.as_ref(), Some(kept), edits)
    }

    /// The same of a bypassed request, of which nothing is verified: what every rule forwards stays.
    pub fn strip_bypassed(&self, request: &Request<'_>, edits: &mut Edits) -> Option<Vec<u8>> {
        self.places.strip(request, None, self.api_keys.as_ref(), None, edits)
    }

    /// The path of a request without tokens that stay at the gateway; `None` if there are none in it.
    pub fn shown_path(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        self.places.without_params(request, None, &|i, _| self.places.is_withheld(i))
    }

    /// The key sets that are fetched.
    pub fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    /// The same, to be shared with other configurations of the worker.
    pub fn remotes_mut(&mut self) -> &mut Remotes {
        &mut self.remotes
    }

    /// Headers that only the gateway may set, in lower case: those that receive claims.
    pub fn output_headers(&self) -> &[Vec<u8>] {
        &self.output_headers
    }

    /// Headers that may carry tokens or API keys, in lower case. (Cookies are in `cookie`.)
    pub fn credential_headers(&self) -> &[Vec<u8>] {
        &self.credential_headers
    }

    /// Query parameters that may carry tokens, decoded.
    pub fn credential_params(&self) -> &[Vec<u8>] {
        &self.credential_params
    }
}

/// Checks a token that is not known. It is kept read in `kept`.
#[inline(never)]
fn check(
    rule: &Rule,
    key: &Key<'_>,
    kept: &mut Option<Result<Jws, Rejection>>,
    remote: Option<(usize, &Remote)>,
    request: &Request<'_>,
    memory: &mut Memory<'_>,
) -> Result<Rc<Verified>, Rejection> {
    let time = request.attributes().now();
    let now = time / SECOND;
    let read;
    let jws = match (kept, memory.room.checked_sub(key.token.len())) {
        (Some(jws), _) => &*jws,
        (none, Some(room)) => {
            memory.room = room;
            none.insert(Jws::parse(key.token))
        }
        (_, None) => {
            read = Jws::parse(key.token);
            &read
        }
    };
    let jws = jws.as_ref().map_err(|rejection| *rejection)?;
    rule.accepts(jws, now)?;
    if let Some(rejection) = memory.cache.refused(key) {
        return Err(rejection);
    }
    let host = request.attributes().host();
    memory.work.begin(&mut memory.cache.wrong, now);
    let verified = match (&rule.keys, remote) {
        (Keys::Inline(keys), _) => rule.verify(keys, jws, key.token, host, &mut memory.work),
        (_, None) => Err(Rejection::KeysUnavailable),
        (_, Some((index, remote))) => match remote.keys(time) {
            Some(keys) => {
                let verified = rule.verify(&keys, jws, key.token, host, &mut memory.work);
                if matches!(verified, Err(Rejection::NoKey)) {
                    memory.misses(MissingKeys { remote: index, wait: None });
                }
                verified
            }
            None => {
                if remote.is_awaited(time) {
                    memory.misses(MissingKeys { remote: index, wait: Some(rule.timeout) });
                }
                Err(Rejection::KeysUnavailable)
            }
        },
    };
    memory.work.end(&mut memory.cache.wrong, verified.is_ok());
    let verified = verified.inspect_err(|why| memory.cache.refuse(key, *why))?;
    memory.cache.put(key, &verified, now);
    Ok(verified)
}

/// Each once.
fn set<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    order::distinct(names.map(<[u8]>::to_vec))
}
