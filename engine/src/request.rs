//! A request as the engine sees it: bytes, with duplicates kept, and attributes asked for lazily.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::header::NameSet;
use crate::path::without_query;
use crate::words::same;

/// What the engine may ask of the proxy while it decides. Each call may cost about a microsecond.
///
/// What a host does not tell cannot be had: it matches in DENY and not in ALLOW.
pub trait Host {
    /// Nanoseconds since the Unix epoch, read now.
    fn now(&self) -> u64;
    /// Whether the listener serves traffic towards a workload (a sidecar's inbound listener).
    fn is_inbound(&self) -> bool;
    /// `x-forwarded-for`'s client, as Envoy derived it (`source.address`).
    fn remote_ip(&self) -> Option<IpAddr> {
        None
    }
    /// The direct peer's address where `source.address` is just that: an address that was read from
    /// `x-forwarded-for` has port 0 there.
    fn peer_ip(&self) -> Option<IpAddr> {
        None
    }
    /// The local address of the downstream socket.
    fn destination_ip(&self) -> Option<IpAddr> {
        None
    }
    /// The local port of the downstream socket.
    fn destination_port(&self) -> Option<u16> {
        None
    }
    /// Server name of the TLS handshake.
    fn sni(&self) -> Option<Vec<u8>> {
        None
    }
    /// The client certificate's identities, if there was one that Envoy validated.
    fn peer(&self) -> Option<Rc<Peer>> {
        None
    }
    /// Whether it checks signatures, as far as is known: they are cheaper there.
    fn checks_signatures(&self) -> bool {
        true
    }
    /// Checks a signature. `None` where the host cannot, and the engine must.
    fn verify_signature(&self, _: &SignatureCheck<'_>) -> Option<bool> {
        None
    }
}

/// A host that knows nothing, and stands still at the epoch.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct NoHost;

#[cfg(test)]
impl Host for NoHost {
    fn now(&self) -> u64 {
        0
    }
    fn is_inbound(&self) -> bool {
        false
    }
}

/// Identities of a client certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// URI SANs in their order, as `spiffe://cluster.local/ns/prod/sa/iris`.
    pub uri_sans: Vec<Vec<u8>>,
    /// DNS SANs in their order.
    pub dns_sans: Vec<Vec<u8>>,
    /// Subject, RFC 2253.
    pub subject: Option<Vec<u8>>,
    /// Whether there is no other name. Where there may be one, a name that is looked for and not found
    /// cannot be had.
    pub all_known: bool,
}

impl Peer {
    /// Every name, in the order in which Envoy tries them.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let sans = self.uri_sans.iter().chain(&self.dns_sans);
        sans.chain(&self.subject).map(Vec::as_slice)
    }

    /// A peer with these URI SANs.
    #[cfg(test)]
    pub(crate) fn named<const N: usize>(uris: [&str; N]) -> Self {
        let uri_sans = uris.iter().map(|uri| uri.as_bytes().to_vec()).collect();
        Self { uri_sans, all_known: true, ..Self::default() }
    }
}

/// A signature to be checked by the host: RSA PKCS#1 v1.5, or ECDSA with a DER signature.
#[derive(Debug, Clone, Copy)]
pub struct SignatureCheck<'a> {
    /// `sha256`, `sha384` or `sha512`.
    pub hash: &'static str,
    /// SubjectPublicKeyInfo in DER.
    pub public_key: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// What was signed.
    pub text: &'a [u8],
}

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

/// Attributes of the connection, each asked of the host at most once.
pub struct Attributes<'a> {
    host: &'a dyn Host,
    now: OnceCell<u64>,
    remote_ip: OnceCell<Option<IpAddr>>,
    peer_ip: OnceCell<Option<IpAddr>>,
    destination_ip: OnceCell<Option<IpAddr>>,
    destination_port: OnceCell<Option<u16>>,
    inbound: OnceCell<bool>,
    sni: OnceCell<Option<Vec<u8>>>,
    peer: OnceCell<Option<Rc<Peer>>>,
}

impl std::fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attributes").finish_non_exhaustive()
    }
}

impl<'a> Attributes<'a> {
    /// Nothing is asked yet.
    pub fn new(host: &'a dyn Host) -> Self {
        Self {
            host,
            now: OnceCell::new(),
            remote_ip: OnceCell::new(),
            peer_ip: OnceCell::new(),
            destination_ip: OnceCell::new(),
            destination_port: OnceCell::new(),
            inbound: OnceCell::new(),
            sni: OnceCell::new(),
            peer: OnceCell::new(),
        }
    }

    /// The host itself.
    pub fn host(&self) -> &'a dyn Host {
        self.host
    }
    /// Nanoseconds since the Unix epoch, read once in this request.
    pub fn now(&self) -> u64 {
        *self.now.get_or_init(|| self.host.now())
    }
    /// See [`Host::remote_ip`].
    pub fn remote_ip(&self) -> Option<IpAddr> {
        *self.remote_ip.get_or_init(|| self.host.remote_ip())
    }
    /// See [`Host::peer_ip`].
    pub fn peer_ip(&self) -> Option<IpAddr> {
        *self.peer_ip.get_or_init(|| self.host.peer_ip())
    }
    /// See [`Host::destination_ip`].
    pub fn destination_ip(&self) -> Option<IpAddr> {
        *self.destination_ip.get_or_init(|| self.host.destination_ip())
    }
    /// See [`Host::destination_port`].
    pub fn destination_port(&self) -> Option<u16> {
        *self.destination_port.get_or_init(|| self.host.destination_port())
    }
    /// See [`Host::is_inbound`].
    pub fn is_inbound(&self) -> bool {
        *self.inbound.get_or_init(|| self.host.is_inbound())
    }
    /// See [`Host::sni`].
    pub fn sni(&self) -> Option<&[u8]> {
        self.sni.get_or_init(|| self.host.sni()).as_deref()
    }
    /// See [`Host::peer`].
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.get_or_init(|| self.host.peer()).as_deref()
    }
}

/// Changes to a request's headers, collected while it is decided and written at the end.
///
/// One text holds all names and values: to allocate each costs more than to copy it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    text: Vec<u8>,
    list: Vec<Edit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edit {
    adds: bool,
    /// Where the name begins in the text, where the value does, and where that ends.
    bounds: [usize; 3],
}

impl Edits {
    /// Room for the edits of most requests.
    const USUAL: (usize, usize) = (256, 8);

    /// Removes every line of this name (in lower case), also one that was added before.
    pub fn remove(&mut self, name: &[u8]) {
        let Self { text, list } = self;
        let mut known = false;
        list.retain(|edit| {
            let is_of_name = same(edit.name(text), name);
            known |= is_of_name && !edit.adds;
            !(is_of_name && edit.adds)
        });
        if !known {
            self.push(false, name, b"");
        }
    }

    /// Replaces every line of this name (in lower case) by one.
    pub fn set(&mut self, name: &[u8], value: impl AsRef<[u8]>) {
        self.remove(name);
        self.push(true, name, value.as_ref());
    }

    /// Adds a line, keeping those that are there.
    pub fn add(&mut self, name: &[u8], value: impl AsRef<[u8]>) {
        self.push(true, name, value.as_ref());
    }

    fn push(&mut self, adds: bool, name: &[u8], value: &[u8]) {
        if self.list.is_empty() {
            let (text, list) = Self::USUAL;
            self.text.reserve(text);
            self.list.reserve(list);
        }
        let start = self.text.len();
        self.text.extend_from_slice(name);
        let middle = self.text.len();
        self.text.extend_from_slice(value);
        self.list.push(Edit { adds, bounds: [start, middle, self.text.len()] });
    }

    /// Names whose lines of the incoming request go.
    pub fn removed(&self) -> impl Iterator<Item = &[u8]> {
        self.list.iter().filter(|edit| !edit.adds).map(|edit| edit.name(&self.text))
    }

    /// Lines that come, in order.
    pub fn added(&self) -> impl Iterator<Item = Header<'_>> {
        let added = self.list.iter().filter(|edit| edit.adds);
        added.map(|edit| (edit.name(&self.text), edit.value(&self.text)))
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the lines of this name that came go.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.removed().any(|removed| same(removed, name))
    }

    /// The lines of `name` that the next filter will see.
    pub fn lines<'s>(
        &'s self,
        request: &Request<'s>,
        name: &'s [u8],
    ) -> impl Iterator<Item = &'s [u8]> + use<'s> {
        let came = if self.removes(name) { &[] } else { request.candidates(name) };
        let came = came.iter().copied().chain(self.added());
        came.filter(move |(n, _)| same(n, name)).map(|(_, v)| v)
    }
}

impl Edit {
    fn name(self, text: &[u8]) -> &[u8] {
        let [start, middle, _] = self.bounds;
        text.get(start..middle).unwrap_or_default()
    }

    fn value(self, text: &[u8]) -> &[u8] {
        let [_, middle, end] = self.bounds;
        text.get(middle..end).unwrap_or_default()
    }
}
