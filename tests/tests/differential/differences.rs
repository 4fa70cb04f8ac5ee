//! What docs/istio.md says that modelgate does otherwise, each row by its name and with a prediction: what
//! Envoy's answer becomes under this difference alone. An explanation holds only if every prediction
//! together gives modelgate's answer to the letter.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::answer::{Answer, DETAILS};
use crate::arena::{Arena, Side};
use crate::case::{Ask, Set, filled};
use crate::certificates::Certificates;
use crate::keys::{ALGORITHMS, encode};
use crate::token::Token;

/// A pair whose answers differ.
#[derive(Debug, Clone)]
pub struct Case {
    pub set: Set,
    pub ask: Ask,
    /// Its tokens as they were sent.
    pub texts: Vec<String>,
    pub native: Answer,
    pub ours: Answer,
}

impl Case {
    /// What differs, without what is particular to this pair.
    pub fn kind(&self) -> String {
        let told = |answer: &Answer| {
            let details: String = answer.header("x-details").chars().take(40).collect();
            format!("{} {} {details}", answer.status, answer.body)
        };
        let (native, ours) = (told(&self.native), told(&self.ours));
        if native != ours {
            return format!("native {native}, modelgate {ours}");
        }
        let mut parts = Vec::new();
        for name in self.native.headers.keys().chain(self.ours.headers.keys()) {
            if self.native.headers.get(name) != self.ours.headers.get(name) {
                parts.push(name.clone());
            }
        }
        if let (Some(native), Some(ours)) = (&self.native.seen, &self.ours.seen) {
            if native.path != ours.path {
                parts.push("path".into());
            }
            for name in native.headers.keys().chain(ours.headers.keys()) {
                if native.headers.get(name) != ours.headers.get(name) {
                    parts.push(format!("upstream {name}"));
                }
            }
        }
        parts.sort();
        parts.dedup();
        format!("{native}, but {}", parts.join(", "))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replay = serde_json::to_string(&(&self.set, &self.ask)).unwrap_or_default();
        writeln!(f, "rules:    {}", serde_json::to_string(&self.set.rules).unwrap_or_default())?;
        for policy in &self.set.policies {
            writeln!(f, "policy:   {policy}")?;
        }
        writeln!(f, "request:  {} {} ({})", self.ask.method, self.ask.path, self.ask.host)?;
        for (name, value) in &self.ask.headers {
            writeln!(f, "          {name}: {value}")?;
        }
        writeln!(f, "native:   {:?}\nmodelgate: {:?}", self.native, self.ours)?;
        writeln!(
            f,
            "MODELGATE_REPLAY='{}' cargo xtask test differential",
            replay.replace('\'', r"'\''")
        )
    }
}

pub const SPELLING: &str = "`h.p.s.`, `h..p.s`, white space, padding or unused bits in base64url";
pub const JSON: &str = "JSON with trailing commas, `null` as header or payload";
pub const CRIT: &str = "`crit` in the header";
pub const KEY_TYPE: &str = "key type, curve and algorithm";
pub const SEVERAL: &str = "several valid tokens under one rule";
pub const CHALLENGE: &str = "a token in the query that is refused";
pub const QUERY: &str = "what is left of a query when a token is taken out";
pub const NUMBERS: &str = "whole numbers above 2^53 in claim headers";
pub const BLANKS: &str = "claims with a blank at an end, in a header";
pub const UNDERSCORE: &str = "a client's header that differs from an output header by `_` for `-`";
pub const TRIED_AGAIN: &str = "a good token and a bad one, under several rules";
pub const DOT: &str = "**A host with a dot at its end**";
pub const COOKIE: &str = "`forwardOriginalToken: false`, and a token in a cookie";
pub const UNREAD: &str = "what no rule read, on its way to a model";
pub const MANY_KEYS: &str = "a token without `kid`, or keys without, where many keys may be meant";
pub const MANY_TOKENS: &str =
    "more than four tokens in one request that the module itself has to check (PSS, Ed25519)";
pub const PREFLIGHT: &str = "tokens and API keys of a preflight";

/// Has the answer of Envoy become what this difference makes of it; whether it changes anything.
type Prediction = fn(&Case, &mut Answer) -> bool;

const PREDICTIONS: &[(&str, Prediction)] = &[
    (DOT, refused_for_its_host),
    (SEVERAL, only_the_identitys_headers),
    (SPELLING, no_space_before_the_token),
    (NUMBERS, exact_numbers),
    (BLANKS, no_blanks_at_an_end),
    (CHALLENGE, challenge_without_tokens),
    (UNDERSCORE, no_other_spelling),
    (PREFLIGHT, no_credentials_of_a_preflight),
    (COOKIE, no_token_in_a_cookie),
    (UNREAD, nothing_that_a_rule_looks_for),
    (QUERY, query_as_it_was_sent),
];

/// The rows that explain a case; `None` if they do not.
pub async fn explain(arena: &Arena, set: usize, case: &Case) -> Result<Option<Vec<&'static str>>> {
    if let Some(rows) = predicted(case, case.native.clone(), Vec::new()) {
        return Ok(Some(rows));
    }
    let stricter = stricter(case)?;
    if !stricter.rows.is_empty() {
        let native = stricter.native(arena, set, case).await?;
        return Ok(predicted(case, native, stricter.rows));
    }
    for ask in with_one_token(case) {
        let asks = [(ask.client.clone(), ask.with(&case.texts)?)];
        let native = arena.answers(Side::Native, set, &asks).await?.pop().context("no answer")?;
        if let Some(rows) = predicted(case, native, vec![SEVERAL]) {
            return Ok(Some(rows));
        }
    }
    Ok(None)
}

/// The request with each of its tokens alone, if what Envoy decided by may be the headers that they
/// have all added: it took them all.
fn with_one_token(case: &Case) -> Vec<Ask> {
    let outputs = output_headers(case);
    let keys = case.set.policies.iter().map(|policy| policy.to_string().to_ascii_lowercase());
    let mut keys = keys.filter(|text| text.contains("request.headers["));
    let is_asked = keys.any(|text| outputs.iter().any(|name| text.contains(&format!("[{name}]"))));
    let is_refused = case.native.header(DETAILS).starts_with("jwt_authn_access_denied");
    if !is_asked || is_refused {
        return Vec::new();
    }
    let others = |text: &str, kept: usize| {
        (0..case.texts.len()).any(|i| i != kept && text.contains(&format!("<{i}>")))
    };
    let without = |text: &str, kept: usize, between: char| {
        let pieces: Vec<&str> = text.split(between).filter(|piece| !others(piece, kept)).collect();
        pieces.join(&between.to_string())
    };
    let only = |kept: usize| {
        let mut ask = case.ask.clone();
        if let Some((path, query)) = case.ask.path.split_once('?') {
            ask.path = format!("{path}?{}", without(query, kept, '&'));
        }
        for (_, value) in ask.headers.iter_mut().filter(|(name, _)| name == "cookie") {
            *value = without(value, kept, ';');
        }
        ask.headers.retain(|(_, value)| !others(value, kept));
        ask
    };
    (0..case.texts.len()).filter(|_| case.texts.len() > 1).map(only).collect()
}

/// The cases that are not explained by Envoy's answer where no token is taken off: where several rules fail
/// it tries each again, and what a good token was taken from by then looks as if there had been none.
pub async fn explain_without_removal(
    certificates: &Arc<Certificates>,
    cases: Vec<Case>,
) -> Result<(Vec<Case>, Vec<&'static str>)> {
    let is_refused = |case: &Case| case.ours.header(DETAILS).starts_with("jwt_authn_access_denied");
    let (some, mut left): (Vec<Case>, Vec<Case>) =
        cases.into_iter().partition(|case| case.set.rules.len() > 1 && is_refused(case));
    let mut explained = Vec::new();
    for some in some.chunks(100) {
        let sets: Vec<Set> = some.iter().map(|case| case.set.keeping_tokens()).collect();
        let arena = Arena::start(&sets, certificates).await?;
        for (i, case) in some.iter().enumerate() {
            let stricter = stricter(case)?;
            let native = stricter.native(&arena, i, case).await?;
            let mut rows = stricter.rows;
            rows.push(TRIED_AGAIN);
            match predicted(case, native, rows) {
                Some(rows) => explained.extend(rows),
                None => left.push(case.clone()),
            }
        }
    }
    Ok((left, explained))
}

/// The rows, with those of the predictions that it takes to come to modelgate's answer.
fn predicted(
    case: &Case,
    mut native: Answer,
    mut rows: Vec<&'static str>,
) -> Option<Vec<&'static str>> {
    for (row, predict) in PREDICTIONS {
        if predict(case, &mut native) {
            rows.push(row);
        }
    }
    (native == case.ours && !rows.is_empty()).then_some(rows)
}

/// A request that Envoy answers as modelgate answers this one: in the place of a token that only
/// modelgate refuses stands one that Envoy refuses for the same reason, and a certificate has only the
/// name that a filter sees.
struct Stricter {
    ask: Ask,
    /// What it is by which it differs.
    rows: Vec<&'static str>,
    /// What stands in it, and in the place of what.
    replaced: Vec<(String, String)>,
}

impl Stricter {
    /// Envoy's answer to it, in the words that it would have for the case.
    async fn native(&self, arena: &Arena, set: usize, case: &Case) -> Result<Answer> {
        let asks = [(self.ask.client.clone(), self.ask.with(&case.texts)?)];
        let mut native =
            arena.answers(Side::Native, set, &asks).await?.pop().context("no answer")?;
        if self.rows.contains(&CRIT) {
            rename(&mut native);
        }
        if let Some(seen) = &mut native.seen {
            let lines = seen.headers.values_mut().flatten().chain([&mut seen.path]);
            for line in lines {
                for (new, old) in &self.replaced {
                    *line = line.replace(new, old);
                }
            }
        }
        Ok(native)
    }
}

fn stricter(case: &Case) -> Result<Stricter> {
    let mut ask = case.ask.clone();
    let (mut rows, mut spaces, mut replaced) = (Vec::new(), false, Vec::new());
    let mut replace = |text: &mut String, ends: &[char]| -> Result<()> {
        let mut from = 0;
        while let Some((i, at)) = (0..case.texts.len())
            .filter_map(|i| Some((i, from + text.get(from..)?.find(&format!("<{i}>"))?)))
            .min_by_key(|(_, at)| *at)
        {
            let rest = text.get(at..).unwrap_or_default();
            let end = rest.find(ends).unwrap_or(rest.trim_end().len());
            let found = filled(rest.get(..end).unwrap_or_default(), &case.texts)?;
            let token = case.ask.tokens.get(i).context("no such token")?;
            from = at + end;
            if let Some((other, row)) = substitute(&found, token).or_else(|| costly(case, &found)) {
                text.replace_range(at..at + end, &other);
                from = at + other.len();
                rows.push(row);
                replaced.push((other, found));
            }
        }
        Ok(())
    };
    replace(&mut ask.path, &['&', '#'])?;
    for (name, value) in &mut ask.headers {
        // Without a prefix the whole line is the token, and the space behind a scheme is in its header.
        let start = value.find('<');
        let before = start.and_then(|start| value.get(..start)).unwrap_or_default();
        if let (Some(start), true) =
            (start, is_read_whole(case, name) && before.trim_start().contains(' '))
        {
            value.insert(start, '!');
            spaces = true;
        }
        let ends: &[char] = if name == "cookie" { &[';', '"'] } else { &[] };
        replace(value, ends)?;
    }
    if spaces {
        rows.push(SPELLING);
    }
    rows.sort_unstable();
    rows.dedup();
    if spaces {
        replaced.extend(case.texts.iter().map(|text| (format!("!{text}"), text.clone())));
    }
    Ok(Stricter { ask, rows, replaced })
}

/// Whether a rule takes every line of this header for a token.
fn is_read_whole(case: &Case, name: &str) -> bool {
    let headers = case.set.rules.iter().filter_map(|rule| rule.get("fromHeaders")?.as_array());
    let text = |header: &Value, field| {
        header.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    headers.flatten().any(|header| {
        text(header, "name").eq_ignore_ascii_case(name) && text(header, "prefix").is_empty()
    })
}

/// What modelgate refuses in a text that Envoy would take for a token, and a text that Envoy refuses
/// for the same reason.
fn substitute(text: &str, token: &Token) -> Option<(String, &'static str)> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.iter().filter(|part| !part.is_empty()).count() != 3 {
        return None;
    }
    let &[header, payload, signature] = parts.as_slice() else {
        // Envoy passes over empty parts. As many full ones, because others may stand in the same line.
        let full = parts.iter().map(|part| if part.is_empty() { "x" } else { part });
        return Some((full.collect::<Vec<_>>().join("."), SPELLING));
    };
    let strict = |part: &str| URL_SAFE_NO_PAD.decode(part);
    let object = |json: &[u8]| serde_json::from_slice::<Map<String, Value>>(json);
    let Ok(json) = strict(header) else {
        return Some((format!("a!.{payload}.{signature}"), SPELLING));
    };
    let Ok(members) = object(&json) else {
        return Some((format!("{}.{payload}.{signature}", encode(b"{")), JSON));
    };
    if members.contains_key("crit") && members.get("kid").is_none_or(Value::is_string) {
        let mut members = members;
        members.insert("kid".into(), 7.into());
        let header = encode(Value::Object(members).to_string().as_bytes());
        return Some((format!("{header}.{payload}.{signature}"), CRIT));
    }
    let Ok(json) = strict(payload) else {
        return Some((format!("{header}.a!.{signature}"), SPELLING));
    };
    if object(&json).is_err() {
        return Some((format!("{header}.{}.{signature}", encode(b"{")), JSON));
    }
    if strict(signature).is_err() {
        return Some((format!("{header}.{payload}.a!"), SPELLING));
    }
    let key = |name: &str| ALGORITHMS.iter().find(|a| a.name == name).map(|a| a.key);
    let alg = members.get("alg").and_then(Value::as_str).and_then(key);
    (alg.is_some() && alg != key(&token.algorithm))
        .then(|| (format!("{header}.{payload}.{}", encode(&[0; 64])), KEY_TYPE))
}

/// How many checks the module itself makes: of one token's keys, and of a request's tokens.
const CHECKS: usize = 4;

/// What modelgate does not check because it would have to do so too often, and the same with a key that
/// nobody has.
fn costly(case: &Case, text: &str) -> Option<(String, &'static str)> {
    let is_costly = |alg: &str| alg == "EdDSA" || alg.starts_with("PS");
    let (header, rest) = text.split_once('.')?;
    let mut header: Map<String, Value> =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let alg = header.get("alg").and_then(Value::as_str).filter(|alg| is_costly(alg))?;
    let owners =
        |rule: &Value| rule.pointer("/jwks/owners").and_then(Value::as_array).map(Vec::len);
    let keys = case.set.rules.iter().filter_map(owners).max().unwrap_or_default();
    let tokens = case.ask.tokens.iter().filter(|token| token.algorithm == alg).count();
    let row = if keys > CHECKS && !header.contains_key("kid") {
        MANY_KEYS
    } else if tokens > CHECKS {
        MANY_TOKENS
    } else {
        return None;
    };
    header.insert("kid".into(), "nobody's".into());
    Some((format!("{}.{rest}", encode(Value::Object(header).to_string().as_bytes())), row))
}

/// Envoy has no text for `crit`: the token has a `kid` of a wrong type instead.
fn rename(native: &mut Answer) {
    let other = |text: &str| match text {
        "Jwt header [kid] field is not a string" => "Jwt header [crit] is not supported".to_owned(),
        "jwt_authn_access_denied{Jwt_header_[kid]_field_is_not_a_string}" => {
            "jwt_authn_access_denied{Jwt_header_[crit]_is_not_supported}".to_owned()
        }
        text => text.to_owned(),
    };
    native.body = other(&native.body);
    native.headers.values_mut().for_each(|value| *value = other(value));
}

/// What stands between a scheme and a token is a part of its header for both. Envoy passes over white
/// space in it, and only then finds no JSON.
fn no_space_before_the_token(case: &Case, native: &mut Answer) -> bool {
    const JSON: [&str; 2] = ["Jwt header is an invalid JSON", "Jwt_header_is_an_invalid_JSON"];
    const BASE64: [&str; 2] = [
        "Jwt header is an invalid Base64url encoded",
        "Jwt_header_is_an_invalid_Base64url_encoded",
    ];
    let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in &case.ask.headers {
        lines.entry(name).or_default().push(value);
    }
    let has_space = lines.values().map(|lines| lines.join(",")).any(|line| {
        let token = line.split_once(' ').map_or("", |(_, token)| token);
        let before = |i| token.split_once(&format!("<{i}>")).map(|(before, _)| before);
        let texts = case.texts.iter().enumerate().filter(|(_, text)| !text.is_empty());
        texts.filter_map(|(i, _)| before(i)).any(|before| before.contains(' '))
    });
    let [from, _] = JSON;
    let is_one = native.header(DETAILS).contains("invalid_JSON")
        && case.ours.header(DETAILS).contains("invalid_Base64url")
        && (native.body == from || native.body.is_empty());
    if !has_space || !is_one {
        return false;
    }
    for (json, base64) in JSON.into_iter().zip(BASE64) {
        native.body = native.body.replace(json, base64);
        native.headers.values_mut().for_each(|value| *value = value.replace(json, base64));
    }
    true
}

fn rules_strings<'c>(case: &'c Case, field: &str) -> Vec<&'c str> {
    let lists = case.set.rules.iter().filter_map(|rule| rule.get(field)?.as_array());
    lists.flatten().filter_map(Value::as_str).collect()
}

fn output_headers(case: &Case) -> Vec<&str> {
    let claims =
        case.set.rules.iter().filter_map(|rule| rule.get("outputClaimToHeaders")?.as_array());
    let claims = claims.flatten().filter_map(|claim| claim.get("header")?.as_str());
    let payloads =
        case.set.rules.iter().filter_map(|rule| rule.get("outputPayloadToHeader")?.as_str());
    claims.chain(payloads).collect()
}

/// Envoy adds the lines of each token, the identity's last.
fn only_the_identitys_headers(case: &Case, native: &mut Answer) -> bool {
    let (Some(seen), Some(ours)) = (&mut native.seen, &case.ours.seen) else { return false };
    let mut changed = false;
    for name in output_headers(case) {
        let Some(lines) = seen.headers.get(name) else { continue };
        let kept = ours.headers.get(name).map(Vec::as_slice).unwrap_or_default();
        let fits = match kept {
            [] => lines.len() < case.ask.tokens.len(),
            [one] => lines.len() > 1 && lines.last() == Some(one),
            _ => false,
        };
        if fits {
            changed = true;
            if kept.is_empty() {
                seen.headers.remove(name);
            } else {
                seen.headers.insert(name.to_owned(), kept.to_vec());
            }
        }
    }
    changed
}

/// A number that is not known exactly where it is read as a double.
fn large(text: &str) -> Option<f64> {
    text.parse().ok().filter(|n: &f64| n.abs() >= (1_u64 << 49) as f64)
}

fn exact_numbers(case: &Case, native: &mut Answer) -> bool {
    let (Some(seen), Some(ours)) = (&mut native.seen, &case.ours.seen) else { return false };
    let mut changed = false;
    for name in output_headers(case) {
        let Some(lines) = seen.headers.get_mut(name) else { continue };
        let Some(exact) = ours.headers.get(name) else {
            let before = lines.len();
            lines.retain(|line| large(line).is_none());
            changed |= lines.len() < before;
            if lines.is_empty() {
                seen.headers.remove(name);
            }
            continue;
        };
        for (line, exact) in lines.iter_mut().zip(exact) {
            if line != exact && large(exact).is_some() && large(line) == large(exact) {
                line.clone_from(exact);
                changed = true;
            }
        }
    }
    changed
}

fn no_blanks_at_an_end(case: &Case, native: &mut Answer) -> bool {
    let Some(seen) = &mut native.seen else { return false };
    let claims = case.ask.tokens.iter().flat_map(|token| &token.claims);
    let texts = claims.filter_map(|(_, json)| serde_json::from_str::<String>(json).ok());
    // As they arrive.
    let blank = texts.filter(|text| text.starts_with(' ') || text.ends_with(' '));
    let blank: Vec<String> = blank.map(|text| text.trim_matches(' ').to_owned()).collect();
    let mut changed = false;
    for name in output_headers(case) {
        let Some(lines) = seen.headers.get_mut(name) else { continue };
        let before = lines.len();
        lines.retain(|line| !blank.contains(line));
        changed |= lines.len() < before;
        if lines.is_empty() {
            seen.headers.remove(name);
        }
    }
    changed
}

/// Names of parameters that carry tokens.
fn token_params(case: &Case) -> Vec<&str> {
    let mut names = rules_strings(case, "fromParams");
    let places = ["fromHeaders", "fromParams", "fromCookies"];
    if case.set.rules.iter().any(|rule| places.iter().all(|place| rule.get(place).is_none())) {
        names.push("access_token");
    }
    names
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn halves(part: &str) -> (String, String) {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    (decoded(name), decoded(value))
}

fn challenge_without_tokens(case: &Case, native: &mut Answer) -> bool {
    const HEADER: &str = "www-authenticate";
    let realm = |value: &str| {
        let inner =
            value.strip_prefix("Bearer realm=\"")?.strip_suffix("\", error=\"invalid_token\"")?;
        let host = inner.find("://")? + 3;
        let path = host + inner.get(host..)?.find('/')?;
        Some((inner.get(..path)?.to_owned(), inner.get(path..)?.to_owned()))
    };
    let Some((before, path)) = realm(native.header(HEADER)) else { return false };
    let sent = filled(&case.ask.path, &case.texts).unwrap_or_default();
    let sent = sent.split('#').next().unwrap_or_default();
    let Some((_, query)) = sent.split_once('?') else { return false };
    let names = token_params(case);
    let (path, _) = path.split_once('?').unwrap_or((&path, ""));
    let whole = format!("{path}?{query}");
    let shorter = shorter(&whole, &[], &|name| names.contains(&name)).unwrap_or(whole);
    // As much of it as Envoy repeats.
    let shorter = shorter.get(..256).unwrap_or(&shorter);
    let predicted = format!("Bearer realm=\"{before}{shorter}\", error=\"invalid_token\"");
    let changed = predicted != native.header(HEADER);
    native.headers.insert(HEADER.into(), predicted);
    changed
}

/// What Envoy makes of a query when it takes tokens out: once for each, the parameters that stay in the
/// order of their names, decoded. What was decoded is taken apart again.
fn rebuilt(query: &str, times: usize) -> impl Iterator<Item = String> {
    let mut query = query.to_owned();
    (0..times).map(move |_| {
        let mut parts: Vec<(String, String)> = query.split('&').map(halves).collect();
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        let parts: Vec<String> =
            parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        query = parts.join("&");
        query.clone()
    })
}

/// Whether Envoy may have made the one path of the other.
fn may_become(native: &str, ours: &str, case: &Case) -> bool {
    let rebuilt = ours.split_once('?').is_some_and(|(path, query)| {
        rebuilt(query, case.ask.tokens.len()).any(|query| native == format!("{path}?{query}"))
    });
    native == ours || rebuilt
}

fn query_as_it_was_sent(case: &Case, native: &mut Answer) -> bool {
    let (Some(seen), Some(ours)) = (&mut native.seen, &case.ours.seen) else { return false };
    let fits = seen.path != ours.path && may_become(&seen.path, &ours.path, case);
    if fits {
        seen.path.clone_from(&ours.path);
    }
    fits
}

/// The path without the parameters of which `goes` chooses the name, with others behind `;`, but for the
/// first of each name in `kept`; `None` if there are none.
fn shorter(path: &str, kept: &[&str], goes: &dyn Fn(&str) -> bool) -> Option<String> {
    let (path, query) = path.split_once('?')?;
    let first = |name: &str| query.split('&').find(|part| halves(part).0 == name);
    let is_kept = |part: &str| {
        let name = &halves(part).0;
        let first = first(name).filter(|_| kept.contains(&name.as_str()));
        first.is_some_and(|first| std::ptr::eq(first, part))
    };
    let stays = |part: &&str| part.is_empty() || is_kept(part) || !goes(&halves(part).0);
    let without = |part: &str| {
        let pieces = part.split(';').enumerate().filter(|(i, piece)| *i == 0 || stays(piece));
        pieces.map(|(_, piece)| piece).collect::<Vec<_>>().join(";")
    };
    let kept: Vec<String> = query.split('&').filter(stays).map(without).collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    let shorter = kept.join("&");
    (shorter != query).then(|| format!("{path}{mark}{shorter}"))
}

fn forwards(rule: &Value) -> bool {
    rule.get("forwardOriginalToken") == Some(&Value::Bool(true))
}

/// The rules whose tokens may stay: none, or one that accepted the request and forwards them.
fn forwarding(case: &Case) -> impl Iterator<Item = Option<&Value>> {
    let rules = case.set.rules.iter().filter(|rule| forwards(rule)).map(Some);
    std::iter::once(None).chain(rules)
}

fn strings<'r>(rule: &'r Value, field: &str) -> Vec<&'r str> {
    let list = rule.get(field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Names and prefixes of headers that carry a rule's tokens, and names of parameters.
fn header_and_param_places(rule: &Value) -> (Vec<(String, String)>, Vec<&str>) {
    let places = ["fromHeaders", "fromParams", "fromCookies"];
    if places.iter().all(|place| rule.get(place).is_none()) {
        return (vec![("authorization".into(), "Bearer ".into())], vec!["access_token"]);
    }
    let text = |header: &Value, field| {
        header.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let headers = rule.get("fromHeaders").and_then(Value::as_array).into_iter().flatten();
    let headers = headers.map(|h| (text(h, "name").to_ascii_lowercase(), text(h, "prefix")));
    (headers.collect(), strings(rule, "fromParams"))
}

fn is_preflight(case: &Case) -> bool {
    let given = |name: &str| {
        case.ask.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && !v.is_empty())
    };
    case.ask.method == "OPTIONS" && given("origin") && given("access-control-request-method")
}

/// Envoy looks for no tokens in a preflight, and leaves them where they are.
fn no_credentials_of_a_preflight(case: &Case, native: &mut Answer) -> bool {
    let Some(seen) = native.seen.as_mut().filter(|_| is_preflight(case)) else { return false };
    let mut changed = false;
    for rule in &case.set.rules {
        let (headers, params) = header_and_param_places(rule);
        for (name, prefix) in headers {
            let lines = seen.headers.get(&name).into_iter().flatten();
            if lines.into_iter().any(|line| line.contains(&prefix)) {
                seen.headers.remove(&name);
                changed = true;
            }
        }
        if let Some(path) = shorter(&seen.path, &[], &|name| params.contains(&name)) {
            seen.path = path;
            changed = true;
        }
    }
    changed
}

/// Whether a token stands in a line, or may for those who read schemes in any letters, at the start or
/// behind a comma, or whatever looks like a token.
fn may_hold(line: &str, prefix: &str) -> bool {
    let scheme = prefix.trim();
    let begins = |part: &str| {
        let start = part.trim_start().get(..scheme.len()).unwrap_or_default();
        let rest = part.trim_start().get(scheme.len()..).unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let ends = !rest.starts_with(is_name) || !prefix.ends_with(' ');
        start.eq_ignore_ascii_case(scheme) && ends
    };
    let shows_token = || {
        let words = line.split(|c: char| !c.is_ascii_alphanumeric() && !"-._=".contains(c));
        let mut behind = words.filter_map(|word| Some(word.split_once("eyJ")?.1));
        behind.any(|rest| rest.matches('.').count() >= 2)
    };
    line.contains(prefix) || line.split(',').any(begins) || shows_token()
}

/// Envoy takes off what the rule that accepted the request has read, and nothing else.
fn nothing_that_a_rule_looks_for(case: &Case, native: &mut Answer) -> bool {
    let (Some(seen), Some(ours)) = (&mut native.seen, &case.ours.seen) else { return false };
    for accepted in forwarding(case) {
        let (kept_headers, kept_params) = accepted.map(header_and_param_places).unwrap_or_default();
        let mut predicted = seen.clone();
        for rule in &case.set.rules {
            let (headers, params) = header_and_param_places(rule);
            for (name, prefix) in headers {
                predicted.headers.retain(|spelt, lines| {
                    // From where on a line stays: what may hold a token before one that was read goes.
                    let start = |line: &String| {
                        let own = kept_headers.iter().filter(|(name, _)| name == spelt);
                        let start = own.filter_map(|(_, prefix)| line.find(prefix.as_str())).min();
                        start.map(|start| match line.split_at(start) {
                            (before, _) if may_hold(before, &prefix) => start,
                            _ => 0,
                        })
                    };
                    let is_cut = |line: &String| {
                        start(line).map_or_else(|| may_hold(line, &prefix), |start| start > 0)
                    };
                    if spelt.replace('_', "-") == name && lines.iter().any(is_cut) {
                        let rest = |line: &String| Some(line.split_at(start(line)?).1.to_owned());
                        *lines = lines.iter().filter_map(rest).collect();
                    }
                    !lines.is_empty()
                });
            }
            let goes = |name: &str| params.contains(&name);
            predicted.path =
                shorter(&predicted.path, &kept_params, &goes).unwrap_or(predicted.path);
        }
        let places = case.set.rules.iter().flat_map(|rule| header_and_param_places(rule).0);
        let names: Vec<String> = places.map(|(name, _)| name).collect();
        let mut spelt = seen.headers.keys().filter(|name| names.contains(&name.replace('_', "-")));
        let fits = spelt.all(|name| predicted.headers.get(name) == ours.headers.get(name));
        if fits && predicted != *seen && may_become(&predicted.path, &ours.path, case) {
            *seen = predicted;
            return true;
        }
    }
    false
}

/// Whatever else the request holds.
fn refused_for_its_host(case: &Case, native: &mut Answer) -> bool {
    let host = case.ask.host.as_str();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    if !host.ends_with('.') {
        return false;
    }
    let body = if case.ask.method == "HEAD" { "" } else { "the host ends with a dot" };
    // Envoy joins the lines of this header.
    let types = case.ask.headers.iter().filter(|(name, _)| name == "content-type");
    let types: Vec<&str> = types.map(|(_, value)| value.as_str()).collect();
    let types = types.join(",");
    let is_grpc = types == "application/grpc" || types.starts_with("application/grpc+");
    let mut headers = vec![(DETAILS, "modelgate_refused_address")];
    if is_grpc {
        headers.extend([("content-type", "application/grpc"), ("grpc-status", "3")]);
        headers.extend((!body.is_empty()).then_some(("grpc-message", body)));
    } else {
        headers.push(("content-type", "text/plain"));
    }
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    *native = Answer {
        status: if is_grpc { 200 } else { 400 },
        headers: headers.into_iter().map(owned).collect(),
        body: if is_grpc { String::new() } else { body.to_owned() },
        seen: None,
    };
    true
}

/// Envoy removes tokens from headers and queries only.
fn no_token_in_a_cookie(case: &Case, native: &mut Answer) -> bool {
    let (Some(seen), Some(ours)) = (&mut native.seen, &case.ours.seen) else { return false };
    let cookies = |lines: Option<&Vec<String>>| -> Vec<String> {
        let lines = lines.into_iter().flatten();
        let parts = lines.flat_map(|line| line.split(';').map(|part| part.trim_start().to_owned()));
        parts.filter(|part| !part.is_empty()).collect()
    };
    let (sent, kept) = (cookies(seen.headers.get("cookie")), cookies(ours.headers.get("cookie")));
    let rules = case.set.rules.iter();
    let names: Vec<&str> = rules.flat_map(|rule| strings(rule, "fromCookies")).collect();
    let name = |part: &String| part.split_once('=').map(|(name, _)| name.trim_end().to_owned());
    let fits = forwarding(case).any(|accepted| {
        let stay = accepted.map(|rule| strings(rule, "fromCookies")).unwrap_or_default();
        let goes = |(i, part): &(usize, &String)| {
            let Some(own) = name(part).filter(|own| names.contains(&own.as_str())) else {
                return false;
            };
            let first = sent.iter().position(|other| name(other).as_ref() == Some(&own));
            !stay.contains(&own.as_str()) || first != Some(*i)
        };
        let sent = || sent.iter().enumerate();
        sent().any(|part| goes(&part))
            && sent().filter(|part| !goes(part)).map(|(_, part)| part).eq(&kept)
    });
    if fits {
        match ours.headers.get("cookie") {
            Some(lines) => seen.headers.insert("cookie".into(), lines.clone()),
            None => seen.headers.remove("cookie"),
        };
    }
    fits
}

fn no_other_spelling(case: &Case, native: &mut Answer) -> bool {
    let Some(seen) = &mut native.seen else { return false };
    let outputs = output_headers(case);
    let before = seen.headers.len();
    seen.headers.retain(|name, _| {
        !name.contains('_') || !outputs.contains(&name.replace('_', "-").as_str())
    });
    seen.headers.len() != before
}
