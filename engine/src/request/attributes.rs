//! Attributes of a request's connection.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;

use super::{Host, Peer};

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
