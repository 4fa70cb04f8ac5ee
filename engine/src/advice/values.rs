//! Values that no request can have.

use serde_json::Value;

use super::blocks::holds;
use super::order::covers;
use super::{Advisor, TRIES_ALL};
use crate::authn::algorithm::Hash;
use crate::authz::RequestPrincipal;
use crate::config::{Path, Warning};
use crate::matcher::StringMatch;
use crate::path::segments::has_dot_segment;
use crate::path::uri_template::Template;

/// What is said of a `*` that is none of Istio's wildcards.
const LITERAL_STAR: &str = "a * that is not the only one, at an end, is compared as it is written";

/// Claims that are numbers in every token that is accepted (RFC 7519 §4.1).
pub(super) const NUMBERS: [&str; 3] = ["exp", "nbf", "iat"];

/// Claims that are texts although they may be all digits.
const TEXTS: [&str; 7] = ["iss", "sub", "aud", "jti", "azp", "client_id", "scope"];

/// Whether the value has a `*` that is none of Istio's wildcards.
pub(super) fn has_literal_star(value: &str) -> bool {
    let inner = value.strip_prefix('*').or_else(|| value.strip_suffix('*')).unwrap_or(value);
    inner.contains('*')
}

impl Advisor<'_, '_> {
    #[inline(never)]
    pub(super) fn never(&mut self, path: &Path<'_>, what: &str, value: &str, fix: &str) {
        let what = format!("never matches: {what}");
        self.errors.warn_value(Warning::NeverMatches, path, &what, value, fix);
    }

    /// Values of which each is excepted in the field beside them.
    pub(super) fn excepted(&mut self, values: &[String], excepted: &[String], path: &Path<'_>) {
        // What loads must not take a time that is quadratic in its size.
        let are_few = values.len().saturating_mul(excepted.len()) < 1 << 16;
        let covers = |wide: &str, value: &str| {
            covers(wide, value) || TRIES_ALL && (holds(wide, value) || fits(wide, value))
        };
        let is = |value: &String| excepted.iter().any(|wide| covers(wide, value));
        if let Some(value) = values.first().filter(|_| are_few && values.iter().all(is)) {
            let what = "it excepts all that stands beside it";
            self.never(path, what, value, "what shall match, without it here");
        }
    }

    pub(super) fn methods(&mut self, values: &[String], path: &Path<'_>) {
        for (i, value) in values.iter().enumerate() {
            let known = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || b"-_*".contains(&c);
            if !value.bytes().all(known) || has_literal_star(value) {
                let fix = "methods in upper case, each as a value of its own, as GET and POST";
                self.never(&path.index(i), "it fits no method", value, fix);
            }
        }
    }

    /// Paths as no request has them behind Envoy's normalization, which Istio switches on.
    pub(super) fn spellings(&mut self, values: &[String], path: &Path<'_>) {
        for (i, value) in values.iter().enumerate() {
            self.spelling(value, values, &path.index(i));
        }
    }

    /// One of them; what `/a//b` beside `/a/b` is meant for is told by its neighbor.
    pub(super) fn spelling(&mut self, value: &str, beside: &[String], path: &Path<'_>) {
        let bare = value.split('?').next().unwrap_or_default();
        let fix = "the path as it is once .., . and %XX of letters, digits, - . _ and ~ are undone";
        if has_dot_segment(bare.as_bytes()) || is_over_encoded(bare) {
            self.never(path, "the proxy undoes this spelling before", value, fix);
        } else if bare.contains("//") && !beside.contains(&merged(bare)) {
            let what =
                "matches only what is asked for with //, and nothing where slashes are merged";
            self.errors.warn_value(Warning::NeverMatches, path, what, value, "single slashes");
        }
    }

    pub(super) fn paths(&mut self, values: &[String], path: &Path<'_>) {
        self.spellings(values, path);
        for (i, value) in values.iter().enumerate() {
            // What `/a/**` beside `/a/*` is meant for, its neighbour does.
            let meant = value.strip_suffix('*').filter(|meant| meant.ends_with('*'));
            if meant.is_some_and(|meant| values.iter().any(|other| other == meant)) {
                continue;
            }
            let path = path.index(i);
            let fix = "{*} for one segment, {**} for any number of them, or one * at an end";
            if has_literal_star(value) && !value.contains('{') {
                self.never(&path, LITERAL_STAR, value, fix);
            } else if !self.unsent(value, &path) && is_expression(value) {
                let what = "matches only paths with this very text: it is not read as a pattern";
                self.errors.warn_value(Warning::NeverMatches, &path, what, value, fix);
            }
        }
    }

    /// A path with what reaches nobody as it is written: Envoy's normalization encodes it.
    pub(super) fn unsent(&mut self, value: &str, path: &Path<'_>) -> bool {
        let bare = value.split('?').next().unwrap_or_default();
        let is_unsent = bare.bytes().any(|c| !c.is_ascii() || b"^|\\`\"<> ".contains(&c));
        if is_unsent {
            let what = "it is not read as a pattern, and no path holds this unencoded";
            let fix = "each such byte as %XX; {*} or {**} for a pattern";
            self.never(path, what, value, fix);
        }
        is_unsent
    }

    pub(super) fn hosts(&mut self, values: &[String], path: &Path<'_>) {
        for (i, value) in values.iter().enumerate() {
            let Some(what) = no_host(value) else { continue };
            let fix = "a host as models.example.com, *.example.com or models.example.com:*; other letters as xn--...";
            self.never(&path.index(i), what, value, fix);
        }
    }

    pub(super) fn peers(&mut self, values: &[String], path: &Path<'_>) {
        for (i, value) in values.iter().enumerate().filter(|(_, value)| has_literal_star(value)) {
            let what = LITERAL_STAR;
            let fix = "one * at an end, or namespaces and serviceAccounts";
            self.never(&path.index(i), what, value, fix);
        }
    }

    /// As Istio splits them, against the issuers and keys that are configured.
    pub(super) fn request_principals(&mut self, values: &[String], path: &Path<'_>) {
        if !self.reads_credentials() {
            if let Some(value) = values.first() {
                let fix = "jwtRules or apiKeys under authentication";
                self.never(path, "no token and no key is read", value, fix);
            }
            return;
        }
        let authentication = &self.settings.authentication;
        let rules = &authentication.jwt_rules;
        if rules.iter().any(|rule| rule.issuer.is_none()) {
            return;
        }
        let issuers: Vec<&str> = rules.iter().filter_map(|rule| rule.issuer.as_deref()).collect();
        for (i, value) in values.iter().enumerate() {
            let principal = RequestPrincipal::new(value);
            let keys = authentication.api_keys.keys.iter();
            if has_literal_star(value.rsplit_once('/').map_or(value, |(_, subject)| subject)) {
                self.never(&path.index(i), LITERAL_STAR, value, "one * at an end of the subject");
                continue;
            }
            if RequestPrincipal::surprise(value).is_some()
                || issuers.iter().any(|issuer| principal.may_be_of(issuer))
                || keys.into_iter().any(|key| principal.may_be("apikey", &key.name))
            {
                continue;
            }
            let behind = |issuer: &&&str| value.starts_with(**issuer);
            let (what, fix) = if value.starts_with("apikey/") {
                ("no key has this name", "the name of a key, as apikey/nightly-batch".to_owned())
            } else if let Some(issuer) = issuers.iter().find(behind) {
                let subject = value.get(issuer.len()..).unwrap_or_default();
                match subject.strip_prefix('/') {
                    None if issuer.ends_with('/') => {
                        ("the issuer itself ends with /", format!("{issuer}/{subject}"))
                    }
                    Some(_) => (
                        "the last / splits, as in Istio, and no token has an issuer so long",
                        format!(
                            "{issuer}/* and, in `when`, request.auth.claims[sub] with the subject"
                        ),
                    ),
                    None => (
                        "no rule has this issuer",
                        format!("issuer/subject or issuer/*, of {issuer}"),
                    ),
                }
            } else {
                let fix = format!("issuer/subject or issuer/*, of {}", issuers.join(", "));
                ("no rule has this issuer", fix)
            };
            self.never(&path.index(i), what, value, &fix);
        }
    }

    /// A condition's `values` or `notValues`.
    pub(super) fn condition(&mut self, key: &str, values: &[String], path: &Path<'_>) {
        match key {
            "request.auth.principal" => self.request_principals(values, path),
            "source.principal" => self.peers(values, path),
            "connection.sni" => self.literal_stars(values, false, path),
            "source.ip" | "destination.ip" => self.mapped(values, false, path),
            "remote.ip" => self.mapped(values, true, path),
            _ if key.starts_with("request.auth.") => self.claim(key, values, path),
            _ => self.header(key, values, path),
        }
    }

    fn claim(&mut self, key: &str, values: &[String], path: &Path<'_>) {
        if !self.reads_credentials() {
            let value = values.first().map_or("", String::as_str);
            let fix = "jwtRules or apiKeys under authentication";
            return self.never(path, "no token and no key is read", value, fix);
        }
        let claim = key.strip_prefix("request.auth.claims[").and_then(|c| c.strip_suffix(']'));
        let Some(claim) = claim else { return self.literal_stars(values, false, path) };
        if TRIES_ALL {
            self.tokens(claim, values, path);
        }
        for (i, value) in values.iter().enumerate() {
            let path = path.index(i);
            let digits = value.bytes().all(|c| c.is_ascii_digit());
            let what = if NUMBERS.contains(&claim) {
                "never matches: this claim is a number, and only texts are compared"
            } else if matches!(value.as_str(), "true" | "false")
                || (digits && !TEXTS.contains(&claim))
            {
                "is compared with texts only: a claim that is a boolean or a number never matches"
            } else if has_literal_star(value) {
                let what = LITERAL_STAR;
                self.never(&path, what, value, "one * at an end, or the whole value");
                continue;
            } else {
                continue;
            };
            let fix = "a claim that is a text or a list of texts, as a role or group";
            self.errors.warn_value(Warning::ClaimNotText, &path, what, value, fix);
        }
    }

    fn literal_stars(&mut self, values: &[String], are_types: bool, path: &Path<'_>) {
        for (i, value) in values.iter().enumerate() {
            self.literal_star(value, are_types, &path.index(i));
        }
    }

    /// A value with a `*` that stands for nothing. Media types have one.
    pub(super) fn literal_star(&mut self, value: &str, are_types: bool, path: &Path<'_>) {
        if has_literal_star(value) && !(are_types && value.contains("/*")) {
            self.never(path, LITERAL_STAR, value, "one * at an end, or the whole value");
        }
    }

    /// One of the request's own, or what only the gateway sets, after policies were asked.
    fn header(&mut self, key: &str, values: &[String], path: &Path<'_>) {
        let name = key.strip_prefix("request.headers[").and_then(|name| name.strip_suffix(']'));
        let Some(name) = name.map(str::to_ascii_lowercase) else { return };
        if self.settings.trusted_peers.is_empty() && self.plan.is_set_later(name.as_bytes()) {
            let value = values.first().map_or("", String::as_str);
            let what =
                "the gateway takes a client's header of this name off, and sets its own later";
            self.never(path, what, value, "a header of the client's, or a claim");
        }
        match &*name {
            ":method" => self.methods(values, path),
            ":authority" | "host" => self.hosts(values, path),
            ":path" => {
                self.spellings(values, path);
                self.literal_stars(values, false, path);
                for (i, value) in values.iter().enumerate() {
                    self.unsent(value, &path.index(i));
                }
            }
            _ => self.literal_stars(values, name.starts_with("accept"), path),
        }
    }

    /// Claims of API keys are compared as a token's.
    pub(super) fn keys(&mut self) {
        let root = Path::ROOT.field("authentication");
        let root = root.field("apiKeys");
        let list = root.field("keys");
        for (i, key) in self.settings.authentication.api_keys.keys.iter().enumerate() {
            if has_no_text(&key.claims.0) {
                let what = "holds a boolean or a number, which no condition matches";
                let fix = "a text in quotes, or a list of texts";
                let path = list.index(i);
                self.warn(Warning::ClaimNotText, &path.field("claims"), what, fix);
            }
            // Only the command has the room for this.
            if TRIES_ALL && is_guessable(&key.sha256) {
                let what = "is that of a text that everybody tries first";
                let fix = "a key of its own, as `modelgate key new` makes one";
                let path = list.index(i);
                self.warn(Warning::GuessableKey, &path.field("sha256"), what, fix);
            }
        }
    }
}

/// Whether a hash is that of a key that is tried first: a word of an example or a test.
fn is_guessable(sha256: &str) -> bool {
    const WORDS: &str = "a abc abc123 abcdef admin apikey api-key api_key batch changeit changeme change-me demo dev example \
        foo bar foobar hello iris key letmein model models modelgate my-key my-api-key mykey mysecret my-secret nightly none null \
        pass passw0rd password password1 prod qwerty s3cr3t secret secret-key sk-test sk-xxx staging test test123 test-key testing \
        token x xxx your-api-key 0 1 12 123 1234 12345 123456 1234567 12345678 123456789 1234567890 00000000";
    WORDS.split(' ').any(|word| {
        let hash = Hash::Sha256.of(word.as_bytes());
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.eq_ignore_ascii_case(sha256)
    })
}

/// Why no request has a host that fits.
pub(super) fn no_host(value: &str) -> Option<&'static str> {
    let name = value.rsplit_once(':').map_or(value, |(name, _)| name);
    if value.bytes().any(|c| !c.is_ascii() || b" /,@?#\t".contains(&c)) {
        Some("it is not a host as clients write it")
    } else if has_literal_star(value) {
        Some(LITERAL_STAR)
    } else if name.ends_with('.') && !value.ends_with(".*") {
        Some("hosts that end with a dot are refused")
    } else {
        None
    }
}

/// Whether a path looks like a regular expression that has nothing which no path holds: a `$` behind something at the
/// end (OData has one behind a slash), or a range of characters.
fn is_expression(path: &str) -> bool {
    let mut brackets = path.split('[').skip(1);
    (path.ends_with('$') && !path.ends_with("/$"))
        || brackets.any(|inner| inner.as_bytes().get(1) == Some(&b'-') && inner.contains(']'))
}

/// Whether a character is encoded that Envoy decodes: one of RFC 3986's unreserved.
fn is_over_encoded(path: &str) -> bool {
    let code = |at: usize| u8::from_str_radix(path.get(at + 1..at + 3)?, 16).ok();
    let mut codes = path.match_indices('%').filter_map(|(at, _)| code(at));
    codes.any(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
}

/// The path with single slashes.
fn merged(path: &str) -> String {
    let mut merged = String::new();
    for c in path.chars() {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    merged
}

/// Whether a template of paths fits a whole path.
fn fits(template: &str, path: &str) -> bool {
    let is_whole = !path.contains(['*', '{']);
    is_whole && Template::is_template(template) && matches(template, path)
}

/// Whether a value of `paths` fits a path.
pub(super) fn matches(value: &str, path: &str) -> bool {
    match Template::parse(value) {
        Ok(template) if Template::is_template(value) => template.matches(path.as_bytes()),
        _ => StringMatch::new(value).matches(path.as_bytes()),
    }
}

/// Whether a boolean or a number stands in it.
fn has_no_text(claims: &Value) -> bool {
    match claims {
        Value::Bool(_) | Value::Number(_) => true,
        Value::Array(items) => items.iter().any(has_no_text),
        Value::Object(members) => members.values().any(has_no_text),
        Value::Null | Value::String(_) => false,
    }
}
