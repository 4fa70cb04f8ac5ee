//! What no model gets to see: whatever stands where a credential would, whether or not it was read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::api_key::ApiKeys;
use super::places::Places;
use super::rule::Rule;
use super::{cookies, query};
use crate::header::is_same;
use crate::request::{Edits, Request};

/// The places of all rules that do not forward their tokens, compiled.
#[derive(Debug)]
pub struct Withheld {
    /// Names, and what stands before a credential.
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    params: Vec<Vec<u8>>,
    cookies: Vec<Vec<u8>>,
}

impl Withheld {
    /// What these rules keep at the gateway, and what stands in the header of API keys.
    pub fn new(rules: &[Rule], keys: Option<&ApiKeys>) -> Self {
        let places = || rules.iter().filter(|rule| !rule.forward).map(|rule| &rule.places);
        // Beside tokens it is the rules that say what becomes of these.
        let keys = keys.filter(|keys| !keys.beside_tokens);
        let keys = keys.map(|keys| (keys.header.clone(), keys.prefix.clone()));
        let mut headers = Vec::new();
        for line in places().flat_map(Places::lines).chain(keys) {
            if !headers.contains(&line) {
                headers.push(line);
            }
        }
        Self {
            headers,
            params: super::authenticator::set(places().flat_map(Places::params)),
            cookies: super::authenticator::set(places().flat_map(Places::cookies)),
        }
    }

    /// Takes everything off a request but what the rule that accepted it has read and forwards. The
    /// new path with query, if it changed from `path`.
    #[inline(never)]
    pub fn strip(
        &self,
        request: &Request<'_>,
        path: &[u8],
        keys: Option<&ApiKeys>,
        kept: Option<&Places>,
        edits: &mut Edits,
    ) -> Option<Vec<u8>> {
        let headers = request.headers();
        for (i, (name, _)) in headers.iter().enumerate() {
            let keys = keys.filter(|keys| is_same(name, &keys.header));
            let prefixes = || self.headers.iter().filter(|(n, _)| is_same(name, n)).map(|(_, p)| p);
            let holds_tokens = prefixes().next().is_some();
            if (keys.is_none() && !holds_tokens) || headers.iter().take(i).any(|(n, _)| n == name) {
                continue;
            }
            let goes = |line: &[u8]| {
                keys.is_some_and(|keys| keys.may_be_in(line))
                    || prefixes().any(|prefix| holds(line, prefix))
                    || (holds_tokens && shows_token(line))
            };
            let stays = |line: &[u8]| kept.is_some_and(|kept| kept.reads(name, line));
            remove(name, request, edits, &stays, &goes);
        }
        if !self.cookies.is_empty() {
            let is_kept = |name: &[u8]| kept.is_some_and(|kept| kept.cookies().any(|k| k == name));
            // Some servers decode names.
            let is = |name: &[u8], known: &[u8]| name == known || query::is(name, known);
            let goes = |name: &[u8]| self.cookies.iter().any(|n| is(name, n)) && !is_kept(name);
            cookies::remove(&goes, request, edits);
        }
        query::without(path, &|encoded| {
            let is = |name: &[u8]| query::is(encoded, name);
            self.params.iter().any(|name| is(name))
                && !kept.is_some_and(|kept| kept.params().any(is))
        })
    }
}

/// Removes a header of which a line goes; those that stay stay.
fn remove(
    name: &[u8],
    request: &Request<'_>,
    edits: &mut Edits,
    stays: &dyn Fn(&[u8]) -> bool,
    goes: &dyn Fn(&[u8]) -> bool,
) {
    if !edits.lines(request, name).any(|line| !stays(line) && goes(line)) {
        return;
    }
    let kept = edits.lines(request, name).filter(|line| stays(line));
    let kept: Vec<Vec<u8>> = kept.map(<[u8]>::to_vec).collect();
    edits.remove(name);
    for line in kept {
        edits.add(name, line);
    }
}

/// Whether a credential may stand in a line: behind the prefix, as it is looked for, or at the start or
/// behind a comma as other readers take it.
fn holds(line: &[u8], prefix: &[u8]) -> bool {
    prefix.is_empty()
        || line.windows(prefix.len()).any(|part| part == prefix)
        || line.split(|c| *c == b',').any(|part| begins_with(part, prefix))
}

/// Whether a line begins with a scheme. It has no case (RFC 9110 §11.1), and servers differ in what they
/// take behind it.
pub fn begins_with(line: &[u8], prefix: &[u8]) -> bool {
    let scheme = prefix.trim_ascii();
    let Some((start, rest)) = line.trim_ascii_start().split_at_checked(scheme.len()) else {
        return false;
    };
    let is_name = |c: &u8| c.is_ascii_alphanumeric() || b"-._".contains(c);
    let ends = !rest.first().is_some_and(is_name);
    start.eq_ignore_ascii_case(scheme) && (ends || !prefix.ends_with(b" "))
}

/// Whether something in a line looks like a JWS, whatever stands before it: servers find tokens behind
/// other schemes, behind none, or behind whatever they take for a mark.
fn shows_token(line: &[u8]) -> bool {
    // With what may pad a part.
    let is_part = |c: &u8| c.is_ascii_alphanumeric() || b"-_.=".contains(c);
    line.split(|c| !is_part(c)).any(|word| {
        let mut dots = word.iter().enumerate().rev().filter(|(_, c)| **c == b'.');
        let before = dots.nth(1).and_then(|(second_last, _)| word.get(..second_last));
        before.is_some_and(|before| before.windows(8).any(begins_object))
    })
}

/// Whether this is how the base64url of a JSON object with a member begins, in eight characters.
fn begins_object(text: &[u8]) -> bool {
    let mut json = [0; 6];
    if !text.starts_with(b"e") || URL_SAFE_NO_PAD.decode_slice(text, &mut json).is_err() {
        return false;
    }
    let member = json.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    member.is_some_and(|member| matches!(member.first(), None | Some(b'"')))
}
