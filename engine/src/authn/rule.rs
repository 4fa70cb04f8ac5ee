//! One of Istio's JWT rules, compiled: what it refuses at load, and its judgement of a token.

use std::rc::Rc;
use std::time::Duration;

use super::api_key;
use super::cache::Verified;
use super::claims::{bare_audience, split_words};
use super::failure::Rejection;
use super::jwks::KeySet;
use super::jws::{self, Jws};
use super::outputs::{Outputs, is_out_of_reach};
use super::places::{Place, Places};
use super::remote::Remotes;
use super::work::Work;
use super::{Identity, header_name, warn_of_meaning};
use crate::config::types::JwtRule;
use crate::config::{Errors, GIVEN_TWICE, Path, Warning};
use crate::header::{Classes, folded};
use crate::order;
use crate::request::Host;

/// The most that `spaceDelimitedClaims` may hold. Istio's limit.
const SPLIT_MAX: usize = 64;

/// How long a fetch may take: a token may be held as long.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60);

/// What an absent `timeout` means.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Whence a rule's keys are.
#[derive(Debug)]
pub enum Keys {
    /// `jwks`.
    Inline(KeySet),
    /// `jwksUri`: an index into the authenticator's [`Remotes`].
    Remote(usize),
}

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    /// `iss` of the tokens; `None` for any but [`api_key::ISSUER`].
    pub issuer: Option<String>,
    /// Without scheme and slash, in order.
    audiences: Vec<String>,
    /// What verifies them.
    pub keys: Keys,
    /// Where tokens are looked for.
    pub places: Vec<Place>,
    /// Which of all rules' places these are, in order.
    pub own: Vec<usize>,
    /// Whether a verified token stays on the request.
    pub forward: bool,
    /// What the upstream is told.
    pub outputs: Outputs,
    split: Vec<String>,
    /// How long a token may wait for keys.
    pub timeout: Duration,
}

/// Claims that always hold words, besides those a rule names.
pub fn always_split() -> Vec<String> {
    ["permission", "scope"].map(str::to_owned).into()
}

impl Rule {
    /// Compiles a rule; `None` after at least one error was recorded.
    pub fn compile(
        rule: &JwtRule,
        remotes: &mut Remotes,
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Option<Self> {
        check_names(rule, path, errors);
        check_outputs(rule, path, errors);
        let places = Place::of(rule);
        check_places(&places, path, errors);
        let issuer = issuer(rule, path, errors);
        let keys = keys(rule, remotes, path, errors);
        let mut split = always_split();
        split.extend(rule.space_delimited_claims.iter().cloned());
        let split = order::distinct(split);
        let audiences = rule.audiences.iter();
        Some(Self {
            issuer: issuer?,
            audiences: order::distinct(audiences.map(|a| bare_audience(a).to_owned())),
            keys: keys?,
            places,
            own: Vec::new(),
            forward: rule.forward_original_token,
            outputs: Outputs::new(rule),
            split,
            timeout: rule.timeout,
        })
    }

    /// Checks everything but the signature, in Envoy's order, at `now` (seconds).
    pub fn accepts(&self, jws: &Jws, now: u64) -> Result<(), Rejection> {
        let claims = &jws.claims;
        let is_known = match &self.issuer {
            Some(issuer) => claims.issuer() == issuer,
            None => !is_reserved_issuer(claims.issuer()),
        };
        if !is_known {
            return Err(Rejection::UnknownIssuer);
        }
        claims.validity.check(now)?;
        claims.check_audience(&self.audiences)
    }

    /// Checks the signature of a token that was read from these bytes.
    pub fn verify(
        &self,
        keys: &KeySet,
        jws: &Jws,
        token: &[u8],
        host: &dyn Host,
        work: &mut Work,
    ) -> Result<Rc<Verified>, Rejection> {
        let claims = &jws.claims;
        keys.verify(jws, jws::signed(token), host, work)?;
        let lines = self.outputs.lines(token, &claims.map);
        let mut map = claims.map.clone();
        split_words(&mut map, &self.split);
        let text = |name| claims.map.get(name).and_then(|s| s.as_str()).map(str::to_owned);
        let identity = Identity { issuer: text("iss"), subject: text("sub"), claims: map };
        let identity = Rc::new(identity);
        Ok(Rc::new(Verified { identity, lines, validity: claims.validity }))
    }
}

/// The inner `None` is any issuer. Istio has it for fetched keys only: whoever serves them answers for
/// what their tokens say.
fn issuer(rule: &JwtRule, path: &Path<'_>, errors: &mut Errors) -> Option<Option<String>> {
    let place = path.field("issuer");
    let issuer = rule.issuer.as_ref().filter(|issuer| !issuer.is_empty());
    match issuer {
        None if rule.jwks_uri.is_none() => {
            errors.add(&place, "is missing", "exactly the iss of the tokens");
            None
        }
        Some(issuer) if is_reserved_issuer(issuer) => {
            errors.add_value(&place, "is reserved for API keys", issuer, "another issuer");
            None
        }
        None => {
            errors.warn(
                Warning::AnyIssuer,
                &place,
                "is missing: tokens of these keys may name any issuer, that of another rule too",
                "exactly the iss of the tokens",
            );
            Some(None)
        }
        Some(issuer) => Some(Some(issuer.clone())),
    }
}

/// The places of all rules, each once. The rules get the indices of theirs.
pub fn places_of(rules: &mut [Rule]) -> Places {
    let all = rules.iter().flat_map(|rule| rule.places.iter().cloned());
    let mut places = Places::new(order::distinct(all));
    for rule in rules {
        rule.own = places.indices(&rule.places, rule.forward);
    }
    places
}

/// `apikey/a` with the subject `b` would be the principal of an API key.
fn is_reserved_issuer(issuer: &str) -> bool {
    issuer == api_key::ISSUER || issuer.starts_with("apikey/")
}

/// The keys of a rule: its own or fetched ones, and exactly one of the two.
fn keys(
    rule: &JwtRule,
    remotes: &mut Remotes,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<Keys> {
    if rule.jwks_uri.is_none() {
        if rule.jwks_cluster.is_some() {
            let place = path.field("jwksCluster");
            errors.add(&place, "fetches nothing without jwksUri", "give jwksUri, or leave it out");
        }
        if rule.timeout != DEFAULT_TIMEOUT {
            let what = "limits a fetch of jwksUri, which this rule does not have";
            errors.add(&path.field("timeout"), what, "leave it out");
        }
    } else if !TIMEOUTS.contains(&rule.timeout) {
        let shown = format!("{}ms", rule.timeout.as_millis());
        errors.add_value(&path.field("timeout"), "is out of range", shown, "100ms to 1m");
    }
    match (&rule.jwks, &rule.jwks_uri) {
        (Some(text), None) => KeySet::parse(text, &path.field("jwks"), errors).map(Keys::Inline),
        (None, Some(_)) => remotes.add(rule, path, errors).map(Keys::Remote),
        (Some(_), Some(_)) => {
            let fix = "leave one of them out: jwks holds keys, jwksUri is where they are fetched";
            errors.add(path, "has both jwks and jwksUri", fix);
            None
        }
        (None, None) => {
            let fix = "give the issuer's key set in jwks, or jwksUri and jwksCluster";
            errors.add(path, "is a rule without keys", fix);
            None
        }
    }
}

fn check_names(rule: &JwtRule, path: &Path<'_>, errors: &mut Errors) {
    let headers = path.field("fromHeaders");
    for (i, header) in rule.from_headers.iter().enumerate() {
        header_name(&header.name, &headers.index(i).field("name"), errors);
    }
    for (field, names) in [
        ("audiences", &rule.audiences),
        ("fromParams", &rule.from_params),
        ("spaceDelimitedClaims", &rule.space_delimited_claims),
    ] {
        let list = path.field(field);
        for (i, _) in names.iter().enumerate().filter(|(_, name)| name.is_empty()) {
            errors.add(&list.index(i), "is empty", "a name, or leave it out");
        }
    }
    let cookies = path.field("fromCookies");
    for (i, name) in rule.from_cookies.iter().enumerate() {
        if name.is_empty() || name.contains(['=', ';', ' ']) {
            errors.add_value(
                &cookies.index(i),
                "is not a name of a cookie",
                name,
                "a name without = ; and spaces",
            );
        }
    }
    if rule.space_delimited_claims.len() > SPLIT_MAX {
        errors.add(&path.field("spaceDelimitedClaims"), "is too long", "at most 64 claims");
    }
}

/// Envoy has one header for each name with its prefix behind it, the first of the list, and would look at no
/// other.
fn check_places(places: &[Place], path: &Path<'_>, errors: &mut Errors) {
    for pair in places.windows(2) {
        if let [one, other] = pair
            && one.kind == other.kind
            && one.key() == other.key()
        {
            errors.add_value(
                &path.field("fromHeaders"),
                "has two headers whose names are the same with their prefixes behind them",
                String::from_utf8_lossy(&other.name),
                "one of them, or another prefix",
            );
        }
    }
}

fn check_outputs(rule: &JwtRule, path: &Path<'_>, errors: &mut Errors) {
    let plain = |name: &String| folded(name.as_bytes()).into_owned();
    let check = |name: &String, place: &Path<'_>, errors: &mut Errors| {
        let valid = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        let plain = plain(name);
        let classes = Classes::of(&plain);
        let reserved = classes.any(Classes::RESERVED) || plain.starts_with(b"x-modelgate-");
        if name.is_empty() || !name.bytes().all(valid) {
            errors.add_value(place, "is not a name of a header", name, "letters, digits, - and _");
        } else if reserved {
            errors.add_value(
                place,
                "is not a header for claims",
                name,
                "a name of its own, as x-user",
            );
        } else if classes.any(Classes::NOT_COPIED.or(Classes::MEANING)) {
            warn_of_meaning(name, place, errors);
        }
    };
    if let Some(name) = &rule.output_payload_to_header {
        check(name, &path.field("outputPayloadToHeader"), errors);
    }
    let list = path.field("outputClaimToHeaders");
    let claims = rule.output_claim_to_headers.iter().map(|output| &output.header);
    let payload = rule.output_payload_to_header.iter();
    let names: Vec<Vec<u8>> = payload.clone().chain(claims).map(plain).collect();
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    for i in order::repeated(&names) {
        let i = i.saturating_sub(payload.len());
        let name = rule.output_claim_to_headers.get(i).map_or("", |output| &output.header);
        let place = list.index(i);
        errors.add_value(&place.field("header"), GIVEN_TWICE, name, "a header for each claim");
    }
    for (i, output) in rule.output_claim_to_headers.iter().enumerate() {
        let place = list.index(i);
        check(&output.header, &place.field("header"), errors);
        if output.claim.is_empty() {
            errors.add(
                &place.field("claim"),
                "is empty",
                "the name of a claim, as sub or realm_access.roles",
            );
        } else if is_out_of_reach(&output.claim) {
            errors.warn(
                Warning::ClaimOutOfReach,
                &place.field("claim"),
                "is read as the names of nested claims, with dots between them: a claim with a dot in \
                 its own name cannot be reached",
                "names with a dot between them, as realm_access.roles, or a claim without a dot, which most issuers \
                 can be told to add",
            );
        }
    }
}
