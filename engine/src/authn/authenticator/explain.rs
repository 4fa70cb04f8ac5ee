//! What becomes of each credential, for people: by the same reading and checking as decides. No filter calls it.

use serde_json::{Map, Value};

use super::super::api_key::ApiKeys;
use super::super::places::{Kind, Place};
use super::super::work::Work;
use super::{
    Authenticator, Jws, KEPT, Keys, Memory, Request, Rule, TokenCache, TokenResult, Tokens,
};

/// Every credential of a request.
#[derive(Debug, Clone, Default)]
pub struct CredentialsView {
    /// Tokens, in the order in which they are checked: a rule's last first. None behind the rule that accepts.
    pub tokens: Vec<TokenView>,
    /// An API key: whose it is, or why it is nobody's.
    pub api_key: Option<Result<String, &'static str>>,
    /// Places where tokens are looked for, as `header authorization "Bearer "`.
    pub places: Vec<String>,
}

/// What one rule makes of one token.
#[derive(Debug, Clone)]
pub struct TokenView {
    /// The rule's issuer; `None`: any.
    pub issuer: Option<String>,
    /// Whose fetched keys the rule has; `None`: its own.
    pub fetched_from: Option<String>,
    /// Where the token is, as in [`CredentialsView::places`].
    pub place: String,
    /// `alg`, where the token can be read. Nothing of it is to be believed unless it is accepted.
    pub algorithm: Option<&'static str>,
    /// `kid`.
    pub key_id: Option<String>,
    /// All claims.
    pub claims: Option<Map<String, Value>>,
    /// Why it is refused; nothing where it is accepted.
    pub refused: Option<&'static str>,
    /// The word that is counted.
    pub result: TokenResult,
}

impl Authenticator {
    /// What becomes of each credential of a request, with a cache of its own.
    pub fn explain(&self, request: &Request<'_>, cache: &mut TokenCache) -> CredentialsView {
        let all = self.rules.iter().flat_map(|rule| &rule.own).copied();
        let places = crate::order::distinct(all).into_iter().filter_map(|i| self.places.get(i));
        let mut view = CredentialsView {
            places: places.map(place_text).chain(self.api_keys.iter().map(key_text)).collect(),
            ..CredentialsView::default()
        };
        if !request.path.starts_with(b"/") {
            return view;
        }
        let keys = self.api_keys.as_ref();
        if let Some(checked) = keys.and_then(|keys| keys.check(request)) {
            let name = checked.map(|who| who.principal().unwrap_or_default());
            view.api_key = Some(name.map_err(super::Rejection::text));
        }
        let mut tokens = self.places.find(request, keys);
        if view.api_key.is_some() {
            return view;
        }
        let mut memory = Memory { cache, room: KEPT, missing_keys: None, work: Work::default() };
        for (index, rule) in self.rules.iter().enumerate() {
            let seen = self.explain_rule(index, rule, &mut tokens, request, &mut memory);
            let is_accepted = seen.last().is_some_and(|token| token.refused.is_none());
            view.tokens.extend(seen);
            if is_accepted {
                break;
            }
        }
        view
    }

    /// What a rule makes of its tokens, up to the first that it refuses.
    fn explain_rule(
        &self,
        index: usize,
        rule: &Rule,
        tokens: &mut Tokens<'_>,
        request: &Request<'_>,
        memory: &mut Memory<'_>,
    ) -> Vec<TokenView> {
        let mut seen = Vec::new();
        for place in rule.own.iter().rev() {
            for found in tokens.at(*place).iter_mut().rev() {
                let read = Jws::parse(&found.token.0).ok();
                let checked = self.verify_one(index, rule, found, request, memory);
                let refused = checked.as_ref().err().map(|rejection| rejection.text());
                seen.push(TokenView {
                    issuer: rule.issuer.clone(),
                    fetched_from: self.fetched_from(rule),
                    place: self.places.get(*place).map(place_text).unwrap_or_default(),
                    algorithm: read.as_ref().map(|jws| jws.algorithm.name),
                    key_id: read.as_ref().and_then(|jws| jws.key_id().map(str::to_owned)),
                    claims: read.map(|jws| jws.claims.map),
                    refused,
                    result: checked.map_or_else(|rejection| rejection.result(), |(_, word)| word),
                });
                if refused.is_some() {
                    return seen;
                }
            }
        }
        seen
    }

    fn fetched_from(&self, rule: &Rule) -> Option<String> {
        match rule.keys {
            Keys::Inline(_) => None,
            Keys::Remote(index) => Some(self.remotes.get(index)?.source().authority().to_owned()),
        }
    }
}

fn place_text(place: &Place) -> String {
    let text = String::from_utf8_lossy;
    match place.kind {
        Kind::Header if place.prefix.is_empty() => format!("header {}", text(&place.name)),
        Kind::Header => format!("header {} \"{}\"", text(&place.name), text(&place.prefix)),
        Kind::Param => format!("parameter {}", text(&place.name)),
        Kind::Cookie => format!("cookie {}", text(&place.name)),
    }
}

fn key_text(keys: &ApiKeys) -> String {
    let header = String::from_utf8_lossy(&keys.header);
    match keys.prefix.as_slice() {
        b"" => format!("API key in header {header}"),
        prefix => format!("API key in header {header} \"{}\"", String::from_utf8_lossy(prefix)),
    }
}
