//! What no model gets to see: whatever stands where a credential would, whether or not it was read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::api_key::ApiKeys;
use super::cookies;
use super::places::{self, Kind, Places};
use super::scheme::begins_with;
use crate::header::is_same;
use crate::order;
use crate::request::{Edits, Request};

impl Places {
    /// Takes everything off a request but what the rule that accepted it has read, and so verified, and
    /// forwards: `kept` are the indices of its places, in order. `None` where nobody was asked: what all
    /// rules forward stays. The new path with query, if it changed from `path`, or from the request's.
    pub fn strip(
        &self,
        request: &Request<'_>,
        path: Option<Vec<u8>>,
        keys: Option<&ApiKeys>,
        kept: Option<&[usize]>,
        edits: &mut Edits,
    ) -> Option<Vec<u8>> {
        for (i, (name, _)) in request.headers().iter().enumerate() {
            if self.may_be(Kind::Header, name)
                || keys.is_some_and(|keys| is_same(name, &keys.header))
            {
                self.strip_header(request, i, keys, kept, edits);
            }
        }
        let places = kept.unwrap_or_default();
        let read = if places.is_empty() { Vec::new() } else { self.read(request) };
        // The very name that stood before what was read, and not its like.
        let is_read = |i: usize, name: &[u8]| {
            let read = read.get(i).copied().flatten().filter(|_| order::holds(places, &i));
            read.is_some_and(|(read, _)| std::ptr::eq(read, name))
        };
        let may_go = |i: usize| kept.is_some() || self.is_withheld(i);
        if self.has(Kind::Cookie) {
            let goes = |name: &[u8]| {
                let own = self.named(Kind::Cookie, name);
                // Some servers decode names.
                let mut places = own.into_iter().chain(self.encoded(Kind::Cookie, name));
                places.any(may_go) && !own.is_some_and(|i| is_read(i, name))
            };
            cookies::remove(&goes, request, edits);
        }
        self.without_params(request, path, &|i, name| may_go(i) && !is_read(i, name))
    }

    /// The same with the lines of the header that stands there, if it is one of them.
    #[inline(never)]
    fn strip_header(
        &self,
        request: &Request<'_>,
        index: usize,
        keys: Option<&ApiKeys>,
        kept: Option<&[usize]>,
        edits: &mut Edits,
    ) {
        let mut before = request.headers().iter().take(index + 1).rev();
        let Some((name, _)) = before.next() else { return };
        let keys_here = keys.filter(|keys| is_same(name, &keys.header));
        // Beside tokens it is the rules that say what becomes of keys.
        let alone = keys_here.filter(|keys| !keys.beside_tokens);
        let prefixes = || {
            let tokens = self.headers(kept.is_some()).filter(|place| is_same(name, &place.name));
            tokens.map(|place| &place.prefix).chain(alone.map(|keys| &keys.prefix))
        };
        let holds_tokens = prefixes().next().is_some();
        if (keys_here.is_none() && !holds_tokens) || before.any(|(other, _)| other == name) {
            return;
        }
        let goes = |line: &[u8]| {
            keys_here.is_some_and(|keys| keys.may_be_in(line))
                || prefixes().any(|prefix| holds(line, prefix))
                || (holds_tokens && shows_token(line))
        };
        let stays = |line: &[u8]| {
            let mut own = kept.unwrap_or_default().iter().filter_map(|i| self.header(*i));
            let place = own.find(|place| place.name == *name && place.reads(line, keys))?;
            // Prefixes are looked for anywhere: what was not read may stand before one.
            let start = places::position(line, &place.prefix).unwrap_or(0);
            Some(if line.get(..start).is_some_and(goes) { start } else { 0 })
        };
        remove(name, request, edits, &stays, &goes);
    }
}

/// Removes a header of which something goes; of the lines that stay it says from where on.
fn remove(
    name: &[u8],
    request: &Request<'_>,
    edits: &mut Edits,
    stays: &dyn Fn(&[u8]) -> Option<usize>,
    goes: &dyn Fn(&[u8]) -> bool,
) {
    let is_cut = |line: &[u8]| stays(line).map_or_else(|| goes(line), |start| start > 0);
    if !edits.lines(request, name).any(is_cut) {
        return;
    }
    let kept = edits.lines(request, name).filter_map(|line| line.get(stays(line)?..));
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
        || places::position(line, prefix).is_some()
        || line.split(|c| *c == b',').any(|part| begins_with(part, prefix))
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

/// Whether this is how the base64url of a JSON object with a member begins, in eight characters. Around
/// its brace may stand blanks, or the zeros of UTF-16.
fn begins_object(text: &[u8]) -> bool {
    let mut json = [0; 6];
    // `A` to `I` hold the first bits of blanks, `e` those of the brace.
    if !matches!(text.first(), Some(b'A'..=b'I' | b'e'))
        || URL_SAFE_NO_PAD.decode_slice(text, &mut json).is_err()
    {
        return false;
    }
    let mut graphic = json.iter().filter(|c| **c > b' ');
    graphic.next() == Some(&b'{') && matches!(graphic.next(), None | Some(b'"'))
}
