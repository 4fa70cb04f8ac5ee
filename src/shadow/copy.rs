//! The head of a copy: what goes to the shadow, and what never does.

use std::collections::BTreeSet;
use std::fmt;

use super::compare::{Message, escaped};
use super::names::{Line, MARK, folded, never_copied};
use super::path;
use super::settings::{Shadow, Shadows};
use crate::request::{Edits, Header, Request};
use crate::target::{Model, behind_route};

/// The header lines of a copy, and what is remembered of its request.
pub struct CopyHead {
    pub(super) lines: Vec<Line>,
    /// `content-length` of the request.
    pub(super) length: Option<usize>,
    /// What a gRPC answer holds.
    pub(super) message: Option<Message>,
    /// Names the request in the log: model and `x-request-id`, escaped.
    pub(super) about: String,
}

impl fmt::Debug for CopyHead {
    /// Never shows header values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyHead").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

impl CopyHead {
    /// The header lines, pseudo-headers first.
    pub fn lines(&self) -> impl Iterator<Item = Header<'_>> {
        self.lines.iter().map(|(name, value)| (&**name, &**value))
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let line = |(n, v): Header<'_>| n.len().saturating_add(v.len()).saturating_add(32);
        self.lines().map(line).fold(self.about.len(), usize::saturating_add)
    }
}

/// The lines that the live model receives: the request's, after the edits, and the path behind the
/// route that takes off so many segments ([`crate::target::Address::routed`]).
pub fn upstream<'a>(
    request: &Request<'a>,
    edits: &'a Edits,
    routed: usize,
) -> impl Iterator<Item = Header<'a>> + Clone + use<'a> {
    let gone: BTreeSet<&[u8]> = edits.removed().collect();
    let kept = request.headers().iter().copied().filter(move |(name, _)| !gone.contains(name));
    // Not `edits.added()` itself: its iterator cannot be cloned.
    let added: Vec<Header<'a>> = edits.added().collect();
    kept.chain(added).map(move |(name, value)| match name {
        b":path" => (name, behind_route(value, routed)),
        _ => (name, value),
    })
}

impl Shadows {
    /// The head of the copy for a shadow, from the lines that go upstream ([`upstream`]). `None`
    /// where none can be had: such a request is not selected.
    pub fn copy<'a>(
        &self,
        shadow: usize,
        lines: impl Iterator<Item = Header<'a>> + Clone,
        model: &Model<'_>,
    ) -> Option<CopyHead> {
        self.get(shadow)?.copy(lines, model)
    }
}

impl Shadow {
    fn copy<'a>(
        &self,
        lines: impl Iterator<Item = Header<'a>> + Clone,
        model: &Model<'_>,
    ) -> Option<CopyHead> {
        let first = |name: &[u8]| lines.clone().find(|(n, _)| *n == name).map(|(_, v)| v);
        let path = path::of_copy(self.path.as_ref(), model, first(b":path")?, &self.params)?;
        let grpc = first(b"content-type").is_some_and(|t| t.starts_with(b"application/grpc"));
        let mut copy = vec![
            line(b":method", first(b":method")?),
            line(b":path", &path),
            line(b":authority", self.authority.as_bytes()),
            line(b":scheme", first(b":scheme").unwrap_or(b"http")),
        ];
        let hops = hop_by_hop(lines.clone());
        copy.extend(lines.clone().filter_map(|(name, value)| {
            let folded = folded(name);
            // Servers of gRPC insist on it, and it says nothing about the caller.
            let trailers = grpc && name == b"te" && value == b"trailers";
            let goes = (trailers || !never_copied(&folded))
                && !hops.contains(&*folded)
                && !self.strip.contains(&*folded);
            goes.then(|| line(name, value))
        }));
        copy.push(line(b"accept-encoding", b"identity"));
        copy.push(line(MARK, self.name.as_bytes()));
        copy.extend(self.set.iter().cloned());
        let length = first(b"content-length");
        let request = escaped(first(b"x-request-id").unwrap_or_default());
        Some(CopyHead {
            lines: copy,
            length: length.and_then(|v| std::str::from_utf8(v).ok()?.trim().parse().ok()),
            message: Message::of_path(first(b":path")?).filter(|_| grpc),
            about: format!("model {}, request \"{request}\"", escaped(model.id.as_bytes())),
        })
    }
}

fn line(name: &[u8], value: &[u8]) -> Line {
    (name.into(), value.into())
}

/// Headers that `connection` names (RFC 9110 §7.6.1), folded.
fn hop_by_hop<'a>(lines: impl Iterator<Item = Header<'a>>) -> BTreeSet<Vec<u8>> {
    lines
        .filter(|(name, _)| *name == b"connection")
        .flat_map(|(_, value)| value.split(|c| *c == b','))
        .map(|name| folded(name.trim_ascii()).into_owned())
        .collect()
}

#[cfg(test)]
mod tests;
