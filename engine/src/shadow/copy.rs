//! The head of a copy: what goes to the shadow, and what never does.

use std::fmt;

use super::compare::{Message, escaped};
use super::id::ShadowId;
use super::names::{MARK, is_carried, never_copied};
use super::path;
use super::settings::{Shadow, Shadows, host_of};
use crate::header::folded;
use crate::order;
use crate::path::segments::behind_route;
use crate::path::without_query;
use crate::request::{Edits, Header, Request};
use crate::routing::Model;

/// The header lines of a copy, and what is remembered of its request.
pub struct CopyHead {
    /// Names and values, one behind the other.
    text: Vec<u8>,
    /// Where each name and its value end.
    ends: Vec<(usize, usize)>,
    /// `content-length` of the request.
    pub(super) length: Option<usize>,
    /// What a gRPC answer holds.
    pub(super) message: Option<Message>,
    /// Whether nothing of it chooses another model than the request does: neither path, nor authority, nor a
    /// header. In the live model's cluster it finds the live model.
    pub(super) is_same: bool,
    /// Names the request in the log: model and `x-request-id`, escaped.
    pub(super) about: String,
}

impl fmt::Debug for CopyHead {
    /// Never shows header values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyHead").field("lines", &self.ends.len()).finish_non_exhaustive()
    }
}

impl CopyHead {
    /// The header lines, pseudo-headers first.
    pub fn lines(&self) -> impl Iterator<Item = Header<'_>> {
        let mut begin = 0;
        self.ends.iter().filter_map(move |&(name, value)| {
            let line = (self.text.get(begin..name)?, self.text.get(name..value)?);
            begin = value;
            Some(line)
        })
    }

    /// Whether the path has a query.
    pub fn has_query(&self) -> bool {
        self.lines().any(|(name, value)| name == b":path" && value.contains(&b'?'))
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let ends = self.ends.capacity().saturating_mul(size_of::<(usize, usize)>());
        self.text.capacity().saturating_add(ends).saturating_add(self.about.capacity())
    }

    fn push(&mut self, (name, value): Header<'_>) {
        self.text.extend_from_slice(name);
        let name = self.text.len();
        self.text.extend_from_slice(value);
        self.ends.push((name, self.text.len()));
    }
}

/// The lines that the live model receives: the request's, after the edits, and the path behind the
/// route that takes off so many segments ([`crate::routing::Address::routed`]).
pub fn upstream<'a>(request: &Request<'a>, edits: &'a Edits, routed: usize) -> Vec<Header<'a>> {
    let gone = order::distinct(edits.removed());
    let kept = request.headers().iter().copied().filter(|(name, _)| !order::holds(&gone, *name));
    let routed = |(name, value): Header<'a>| match name {
        b":path" => (name, behind_route(value, routed)),
        _ => (name, value),
    };
    kept.chain(edits.added()).map(routed).collect()
}

impl Shadows {
    /// The head of the copy for a shadow, from the lines that go upstream ([`upstream`]). `None`
    /// where none can be had: such a request is not selected.
    pub fn prepare_copy(
        &self,
        shadow: ShadowId,
        lines: &[Header<'_>],
        model: &Model,
        now: u64,
    ) -> Option<CopyHead> {
        let shadow = self.get(shadow)?;
        shadow.prepare_copy(lines, model, &self.seal.mark(&shadow.name, now))
    }
}

impl Shadow {
    fn prepare_copy(&self, lines: &[Header<'_>], model: &Model, mark: &[u8]) -> Option<CopyHead> {
        let first = |name: &[u8]| lines.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let template = self.path.as_ref();
        let upstream = first(b":path")?;
        let path = path::of_copy(template, model, upstream, &self.query, self.payload)?;
        let grpc = first(b"content-type").is_some_and(|t| t.starts_with(b"application/grpc"));
        let length = first(b"content-length");
        let request = escaped(first(b"x-request-id").unwrap_or_default());
        let hops = hop_by_hop(lines);
        let carried = lines.iter().copied().filter(|(name, value)| {
            let folded = folded(name);
            // Servers of gRPC insist on it, and it says nothing about the caller.
            let trailers = grpc && *name == b"te" && *value == b"trailers";
            let wanted = is_carried(name) || self.keep.holds(&folded) && !never_copied(&folded);
            (trailers || wanted)
                && !order::holds(&hops, &*folded)
                && !order::holds(&self.strip, &*folded)
        });
        let authority = self.authority.as_bytes();
        let is_same = (template.is_none() || path == without_query(upstream) || path == upstream)
            && (host_of(&self.cluster) == Some(&*self.authority)
                || first(b":authority") == Some(authority))
            && self.set.is_empty();
        let mut copied: Vec<Header<'_>> = vec![
            (b":method", first(b":method")?),
            (b":path", &path),
            (b":authority", authority),
            (b":scheme", first(b":scheme").unwrap_or(b"http")),
        ];
        copied.extend(carried);
        copied.extend([(&b"accept-encoding"[..], &b"identity"[..]), (MARK, mark)]);
        copied.extend(self.set.iter().map(|(name, value)| (&**name, &**value)));
        let size = |(name, value): &Header<'_>| name.len().saturating_add(value.len());
        let mut copy = CopyHead {
            text: Vec::with_capacity(copied.iter().map(size).fold(0, usize::saturating_add)),
            ends: Vec::with_capacity(copied.len()),
            length: length.and_then(|v| std::str::from_utf8(v).ok()?.trim().parse().ok()),
            message: Message::of_path(upstream).filter(|_| grpc),
            is_same,
            about: format!("model {}, request \"{request}\"", escaped(model.id.as_bytes())),
        };
        copied.into_iter().for_each(|line| copy.push(line));
        Some(copy)
    }
}

/// Headers that `connection` names (RFC 9110 §7.6.1), folded, in order.
fn hop_by_hop(lines: &[Header<'_>]) -> Vec<Vec<u8>> {
    let names = lines
        .iter()
        .filter(|(name, _)| *name == b"connection")
        .flat_map(|(_, value)| value.split(|c| *c == b','));
    order::distinct(names.map(|name| folded(name.trim_ascii()).into_owned()))
}

#[cfg(test)]
mod tests;
