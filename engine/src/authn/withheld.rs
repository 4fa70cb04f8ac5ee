//! What no model gets to see: whatever stands where a credential would, whether or not it was read.

use super::api_key::ApiKeys;
use super::places::Places;
use super::rule::Rule;
use super::{cookies, query};
use crate::request::{Edits, Request};

/// The places of all rules that do not forward their tokens, compiled.
#[derive(Debug)]
pub struct Withheld {
    /// Names in lower case, and what stands before a token.
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    params: Vec<Vec<u8>>,
    cookies: Vec<Vec<u8>>,
}

impl Withheld {
    /// What these rules keep at the gateway.
    pub fn new(rules: &[Rule]) -> Self {
        let places = || rules.iter().filter(|rule| !rule.forward).map(|rule| &rule.places);
        let mut headers = Vec::new();
        for line in places().flat_map(Places::lines) {
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
        let reads = |name: &[u8], line: &[u8]| kept.is_some_and(|kept| kept.reads(name, line));
        for (name, prefix) in &self.headers {
            remove(name, request, edits, &reads, &|line| holds(line, prefix));
        }
        if let Some(keys) = keys {
            remove(&keys.header, request, edits, &reads, &|line| keys.may_be_in(line));
        }
        if !self.cookies.is_empty() {
            let is_kept = |name: &[u8]| kept.is_some_and(|kept| kept.cookies().any(|k| k == name));
            let goes = |name: &[u8]| self.cookies.iter().any(|n| n == name) && !is_kept(name);
            cookies::remove(&goes, request, edits);
        }
        query::without(path, &|encoded| {
            let is = |name: &[u8]| query::is(encoded, name);
            self.params.iter().any(|name| is(name))
                && !kept.is_some_and(|kept| kept.params().any(is))
        })
    }
}

/// Removes a header of which a line goes; those that `stays` chooses stay. In one place for both kinds of
/// credentials: it is little code.
fn remove(
    name: &[u8],
    request: &Request<'_>,
    edits: &mut Edits,
    stays: &dyn Fn(&[u8], &[u8]) -> bool,
    goes: &dyn Fn(&[u8]) -> bool,
) {
    if !edits.lines(request, name).any(|line| !stays(name, line) && goes(line)) {
        return;
    }
    let kept = edits.lines(request, name).filter(|line| stays(name, line));
    let kept: Vec<Vec<u8>> = kept.map(<[u8]>::to_vec).collect();
    edits.remove(name);
    for line in kept {
        edits.add(name, line);
    }
}

/// Whether a token may stand in a line: behind the prefix, as it is looked for, or at the start as other
/// readers take it.
fn holds(line: &[u8], prefix: &[u8]) -> bool {
    prefix.is_empty()
        || line.windows(prefix.len()).any(|part| part == prefix)
        || begins_with(line, prefix)
}

/// Whether a line begins with a scheme. It has no case (RFC 9110 §11.1), and servers differ in which and how
/// many blanks they take behind it.
pub fn begins_with(line: &[u8], prefix: &[u8]) -> bool {
    let scheme = prefix.trim_ascii();
    let Some((start, rest)) = line.trim_ascii_start().split_at_checked(scheme.len()) else {
        return false;
    };
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    start.eq_ignore_ascii_case(scheme) && (ends || !prefix.ends_with(b" "))
}
