//! What the proxy is asked: the clock, the connection, the peer's certificate, signatures.

use std::net::IpAddr;
use std::rc::Rc;

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
