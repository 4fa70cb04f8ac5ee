//! A request as the engine sees it: bytes, with duplicates kept, attributes asked for lazily, and what
//! changes on its way.

use crate::header::NameSet;
use crate::path::without_query;
use crate::words::same;

mod attributes;
mod edits;
mod host;

pub use attributes::Attributes;
pub use edits::Edits;
#[cfg(test)]
pub(crate) use host::NoHost;
pub use host::{Host, Peer, SignatureCheck};

/// One header line: name in lower case, value as bytes.
pub type Header<'a> = (&'a [u8], &'a [u8]);

/// A request's headers, in the order of the wire.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    headers: &'a [Header<'a>],
    names: NameSet,
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`, with query.
    pub path: &'a [u8],
    path_only: &'a [u8],
    /// `:authority`; absent in HTTP/1.0 without Host.
    pub authority: Option<&'a [u8]>,
    attributes: &'a Attributes<'a>,
}

impl std::fmt::Debug for Request<'_> {
    /// Never shows header values: they carry credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("headers", &self.headers.len()).finish_non_exhaustive()
    }
}

impl<'a> Request<'a> {
    /// A request of these header lines, pseudo-headers included.
    pub fn new(headers: &'a [Header<'a>], attributes: &'a Attributes<'a>) -> Self {
        let mut names = NameSet::default();
        let (mut method, mut path, mut authority) = (None, None, None);
        for (name, value) in headers {
            names.add(name);
            let first = match *name {
                b":method" => &mut method,
                b":path" => &mut path,
                b":authority" => &mut authority,
                _ => continue,
            };
            first.get_or_insert(*value);
        }
        let path = path.unwrap_or_default();
        Self {
            headers,
            names,
            method: method.unwrap_or_default(),
            path,
            path_only: without_query(path),
            authority,
            attributes,
        }
    }

    /// The lines among which one of this name can be: all or none.
    fn candidates(&self, name: &[u8]) -> &'a [Header<'a>] {
        if self.may_have(name) { self.headers } else { &[] }
    }

    /// The names that may be there.
    pub fn names(&self) -> &NameSet {
        &self.names
    }

    /// Whether a line of this name may be there, in whatever spelling. Yes does not mean that it is.
    pub fn may_have(&self, name: &[u8]) -> bool {
        self.names.may_have(name)
    }

    /// Every header line, pseudo-headers included.
    pub fn headers(&self) -> &'a [Header<'a>] {
        self.headers
    }

    /// The values of every line with this name (in lower case), in order.
    pub fn lines<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.candidates(name).iter().filter(move |(n, _)| same(n, name)).map(|(_, v)| *v)
    }

    /// The value of the first line with this name (in lower case).
    pub fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.lines(name).next()
    }

    /// The value of the first cookie with this name.
    pub fn cookie(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.cookies().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Name and value of each cookie, as Envoy's `parseCookies` reads them.
    pub fn cookies(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let parts = self.lines(b"cookie").flat_map(|line| line.split(|c| *c == b';'));
        parts.filter_map(|part| {
            let spaces = part.iter().take_while(|c| **c == b' ').count();
            let part = part.get(spaces..).unwrap_or_default();
            let (name, value) = part.split_at_checked(part.iter().position(|c| *c == b'=')?)?;
            let value = value.get(1..).unwrap_or_default();
            let quoted = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
            Some((name, quoted.unwrap_or(value)))
        })
    }

    /// `:path` up to the query or the fragment.
    pub fn path_only(&self) -> &'a [u8] {
        self.path_only
    }

    /// What follows the path: empty, or from `?` or `#` on.
    pub fn path_rest(&self) -> &'a [u8] {
        self.path.get(self.path_only().len()..).unwrap_or_default()
    }

    /// What is known of the connection.
    pub fn attributes(&self) -> &'a Attributes<'a> {
        self.attributes
    }

    /// A CORS preflight, as Envoy's `jwt_authn` recognizes it.
    pub fn is_preflight(&self) -> bool {
        let given = |name: &[u8]| self.header(name).is_some_and(|v| !v.is_empty());
        self.method == b"OPTIONS" && given(b"origin") && given(b"access-control-request-method")
    }

    /// A gRPC request, as Envoy recognizes it: `application/grpc` or `application/grpc+...`.
    pub fn is_grpc(&self) -> bool {
        let kind = self.header(b"content-type").unwrap_or_default();
        kind.strip_prefix(b"application/grpc")
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
    }
}
