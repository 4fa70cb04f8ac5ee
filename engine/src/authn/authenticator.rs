//! Who calls: API keys and all rules together, with Istio's way of merging them.

use std::rc::Rc;
use std::time::Duration;

use super::Identity;
use super::api_key::ApiKeys;
use super::cache::{Key, SMALLEST, TokenCache, Verified};
use super::cookies;
use super::failure::{Failure, Rejection, TokenResult};
use super::jws::Jws;
use super::places::{Found, Places, Tokens};
use super::query;
use super::remote::Remotes;
use super::rule::{self, Keys, Rule};
use super::withheld::Withheld;
use super::work::Work;
use crate::config::types;
use crate::config::{Errors, Path};
use crate::header::folded;
use crate::order;
use crate::request::{Edits, Request};

const SECOND: u64 = 1_000_000_000;

/// Authentication, compiled.
#[derive(Debug)]
pub struct Authenticator {
    /// In the order of their issuers, as istiod sorts them.
    rules: Vec<Rule>,
    remotes: Remotes,
    api_keys: Option<ApiKeys>,
    withheld: Withheld,
    output_headers: Vec<Vec<u8>>,
    credential_headers: Vec<Vec<u8>>,
    credential_params: Vec<Vec<u8>>,
}

/// Who calls, and what that changes.
#[derive(Debug)]
pub struct Authentication {
    /// Who calls.
    pub verdict: Verdict,
    /// The path with query, if a verified token was taken out of it.
    pub path: Option<Vec<u8>>,
    /// Which rule accepted the request's tokens, for [`Authenticator::strip`].
    pub rule: Option<usize>,
    /// What became of each credential, for `modelgate_tokens_total`.
    pub tokens: TokenResults,
    /// Claims that have an output header, and cannot stand in one.
    pub unwritable_claims: u32,
    /// Keys that were not there, and might be soon.
    pub lack: Option<Lack>,
}

/// Keys that a token needs and that were not there: with them the verdict may be another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// Which set, as an index into [`Authenticator::remotes`].
    pub remote: usize,
    /// How long the request may wait for the issuer's first set. `None` where there is a set, and
    /// it lacks the token's key: it is fetched again, and the verdict stands.
    pub wait: Option<Duration>,
}

/// Who calls.
#[derive(Debug)]
pub enum Verdict {
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
    fn of(verdict: Verdict, tokens: TokenResults) -> Self {
        Self { verdict, path: None, rule: None, tokens, unwritable_claims: 0, lack: None }
    }

    fn anonymous() -> Self {
        Self::of(Verdict::Anonymous, TokenResults::default())
    }
}

/// The token that was read last: rules that look at one place need not all read it.
type LastRead = Option<(Vec<u8>, Result<Jws, Rejection>)>;

/// What went wrong so far, for the choice that Envoy makes among several rules.
#[derive(Default)]
struct Rejections {
    first: Option<Rejection>,
    last_known_issuer: Option<Rejection>,
}

/// What lasts from one token of a request to the next.
struct Memory<'c> {
    cache: &'c mut TokenCache,
    last: LastRead,
    lack: Option<Lack>,
    work: Work,
}

impl Memory<'_> {
    /// What can be waited for comes before what cannot.
    fn lacks(&mut self, lack: Lack) {
        if self.lack.is_none_or(|before| before.wait.is_none()) {
            self.lack = Some(lack);
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
        if let Some(keys) = &mut api_keys {
            keys.beside_tokens = rules.iter().any(|r| r.places.headers().any(|h| h == keys.header));
            rules.iter_mut().for_each(|rule| rule.places.leave_keys(keys));
        }
        let key_header = api_keys.iter().map(|keys| keys.header.as_slice());
        let this = Self {
            output_headers: set(rules.iter().flat_map(|r| r.outputs.headers())),
            credential_headers: set(rules
                .iter()
                .flat_map(|r| r.places.headers())
                .chain(key_header)),
            credential_params: set(rules.iter().flat_map(|r| r.places.params())),
            withheld: Withheld::new(&rules, api_keys.as_ref()),
            rules,
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
        let key = self.api_keys.as_ref().and_then(|keys| Some((keys, keys.check(request)?)));
        if let Some((keys, checked)) = key {
            let has_token = self.rules.iter().any(|rule| !rule.places.find(request).is_empty());
            let checked = if has_token { Err(Rejection::ApiKeyWithToken) } else { checked };
            return match checked {
                Err(rejection) => self.refuse(rejection, request),
                Ok(identity) => {
                    edits.remove(&keys.header);
                    let other = Some(TokenResult::ApiKeyVerified);
                    let tokens = TokenResults { other, ..TokenResults::default() };
                    Authentication::of(Verdict::Identified(identity), tokens)
                }
            };
        }
        let mut memory = Memory { cache, last: None, lack: None, work: Work::default() };
        let mut rejections = Rejections::default();
        let mut found: Option<(&Places, Tokens<'_>)> = None;
        for (index, rule) in self.rules.iter().enumerate() {
            // Most rules look at the places of the one before: nobody knows yet who calls, and a query
            // is long.
            let (_, tokens) = match found.take().filter(|(places, _)| **places == rule.places) {
                Some(same) => found.insert(same),
                None => found.insert((&rule.places, rule.places.find(request))),
            };
            match self.verify(index, rule, tokens, request, &mut memory) {
                None => {}
                Some(Err(rejection)) => rejections.add(rejection),
                Some(Ok((verified, results))) => {
                    let path = self.accept(rule, tokens, &verified, request, edits);
                    let verdict = Verdict::Identified(Rc::clone(&verified.identity));
                    let unwritable_claims = verified.lines.unwritable;
                    let (tokens, lack, rule) = (results, memory.lack, Some(index));
                    return Authentication { verdict, path, rule, tokens, unwritable_claims, lack };
                }
            }
        }
        match rejections.decisive() {
            None => Authentication::anonymous(),
            Some(rejection) => {
                Authentication { lack: memory.lack, ..self.refuse(rejection, request) }
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
        tokens: &Tokens<'_>,
        request: &Request<'_>,
        memory: &mut Memory<'_>,
    ) -> Option<Result<(Rc<Verified>, TokenResults), Rejection>> {
        let mut results = TokenResults::default();
        let mut first = None;
        for found in tokens.iter().rev() {
            match self.verify_one(index, rule, found, request, memory) {
                Err(rejection) => return Some(Err(rejection)),
                Ok((verified, TokenResult::Cached)) => {
                    results.cached = results.cached.saturating_add(1);
                    first = Some(verified);
                }
                Ok((verified, _)) => {
                    results.verified = results.verified.saturating_add(1);
                    first = Some(verified);
                }
            }
        }
        first.map(|verified| Ok((verified, results)))
    }

    fn verify_one(
        &self,
        index: usize,
        rule: &Rule,
        found: &Found<'_>,
        request: &Request<'_>,
        memory: &mut Memory<'_>,
    ) -> Result<(Rc<Verified>, TokenResult), Rejection> {
        let token: &[u8] = &found.token.0;
        let time = request.attributes().now();
        let now = time / SECOND;
        let remote = match rule.keys {
            Keys::Inline(_) => None,
            Keys::Remote(index) => self.remotes.get(index).map(|remote| (index, remote)),
        };
        let generation = remote.map_or(Some(0), |(_, remote)| remote.generation(time));
        // 0 is no generation of fetched keys: without any, nothing is found.
        let key = Key::new(token, index, found.place, generation.unwrap_or(0));
        if let Some(verified) = memory.cache.get(&key, now) {
            return Ok((verified, TokenResult::Cached));
        }
        if let Some(issuer) = rule.issuer.as_deref().filter(|_| self.rules.len() > 1)
            && memory.cache.is_of_another_issuer(&key, issuer)
        {
            return Err(Rejection::UnknownIssuer);
        }
        let read = match &memory.last {
            Some((read, _)) if *read == token => &memory.last,
            _ => {
                memory.last = Some((token.to_vec(), Jws::parse(token)));
                &memory.last
            }
        };
        let Some((_, read)) = read else { return Err(Rejection::BadFormat) };
        let jws = read.as_ref().map_err(|rejection| *rejection)?;
        rule.accepts(jws, now)?;
        if let Some(rejection) = memory.cache.refused(&key) {
            return Err(rejection);
        }
        let host = request.attributes().host();
        memory.work.begin(&mut memory.cache.wrong, now);
        let verified = match (&rule.keys, remote) {
            (Keys::Inline(keys), _) => rule.verify(keys, jws, token, host, &mut memory.work),
            (_, None) => Err(Rejection::KeysUnavailable),
            (_, Some((index, remote))) => match remote.keys(time) {
                Some(keys) => {
                    let verified = rule.verify(&keys, jws, token, host, &mut memory.work);
                    if matches!(verified, Err(Rejection::NoKey)) {
                        memory.lacks(Lack { remote: index, wait: None });
                    }
                    verified
                }
                None => {
                    if remote.is_awaited(time) {
                        memory.lacks(Lack { remote: index, wait: Some(rule.timeout) });
                    }
                    Err(Rejection::KeysUnavailable)
                }
            },
        };
        memory.work.end(&mut memory.cache.wrong, verified.is_ok());
        let verified = verified.inspect_err(|why| memory.cache.refuse(&key, *why))?;
        memory.cache.put(&key, &verified, now);
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
            false => remove(rule, tokens, request.path, request, edits),
        };
        for (name, value) in &verified.lines.lines {
            edits.set(name, &**value);
        }
        path
    }

    fn refuse(&self, rejection: Rejection, request: &Request<'_>) -> Authentication {
        let other = Some(rejection.result());
        let failure = Failure::new(rejection, request, &self.credential_params);
        let tokens = TokenResults { other, ..TokenResults::default() };
        Authentication::of(Verdict::Refused(failure), tokens)
    }

    /// Takes off a request whatever stands where a rule that does not forward its tokens looks for one,
    /// and API keys: the same on every way that leads to a model. `accepted` is the rule that accepted
    /// its tokens; what that rule read and forwards stays. The new path with query, if it changed from
    /// `path`, the request's as it is by now.
    pub fn strip(
        &self,
        request: &Request<'_>,
        path: Option<Vec<u8>>,
        accepted: Option<usize>,
        edits: &mut Edits,
    ) -> Option<Vec<u8>> {
        let rule = accepted.and_then(|rule| self.rules.get(rule)).filter(|rule| rule.forward);
        let kept = rule.map(|rule| &rule.places);
        let before = path.as_deref().unwrap_or(request.path);
        self.withheld.strip(request, before, self.api_keys.as_ref(), kept, edits).or(path)
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

/// Removes what tokens were found in: headers, parameters and cookies. The path without them, if it
/// changed.
fn remove(
    rule: &Rule,
    tokens: &Tokens<'_>,
    path: &[u8],
    request: &Request<'_>,
    edits: &mut Edits,
) -> Option<Vec<u8>> {
    for name in tokens.iter().filter_map(|found| rule.places.header(found.place)) {
        edits.remove(name);
    }
    let cookie = |found: &Found<'_>| rule.places.cookie(found.place);
    if tokens.iter().any(|found| cookie(found).is_some()) {
        let is = |name: &[u8]| tokens.iter().any(|found| cookie(found) == Some(name));
        cookies::remove(&is, request, edits);
    }
    let is_token = |encoded: &[u8]| {
        let mut names = tokens.iter().filter_map(|found| rule.places.param(found.place));
        names.any(|name| query::is(encoded, name))
    };
    query::without(path, &is_token)
}

/// Each once.
pub fn set<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    order::distinct(names.map(<[u8]>::to_vec))
}
