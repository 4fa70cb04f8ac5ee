//! The proxy as the engine sees it, and changes to a request written back to the proxy.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use modelgate_engine::authn::{self, names_in_certificate};
use modelgate_engine::pipeline::LocalReply;
use modelgate_engine::request::{Edits, Host, Peer, Request, SignatureCheck};
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::types::{Action, BufferType, MapType, Status};

use crate::header_map::Field;
use crate::hostcalls::{self, HostCallError};

/// `xds.listener_direction` of a sidecar's inbound listener.
const INBOUND: i64 = 1;

/// The proxy, while it handles a stream.
#[derive(Debug, Default)]
pub struct Proxy {
    lacks_verify_signature: Cell<bool>,
    peers: RefCell<Peers>,
}

impl Host for Proxy {
    fn now(&self) -> u64 {
        now()
    }

    fn remote_ip(&self) -> Option<IpAddr> {
        ip(&property_bytes("source\0address")?)
    }

    fn peer_ip(&self) -> Option<IpAddr> {
        let address = property_bytes("source\0address")?;
        let address: SocketAddr = std::str::from_utf8(&address).ok()?.parse().ok()?;
        (address.port() != 0).then(|| address.ip())
    }

    fn destination_ip(&self) -> Option<IpAddr> {
        ip(&property_bytes("destination\0address")?)
    }

    fn destination_port(&self) -> Option<u16> {
        u16::try_from(property_int("destination\0port")?).ok()
    }

    fn is_inbound(&self) -> bool {
        property_int("xds\0listener_direction") == Some(INBOUND)
    }

    fn sni(&self) -> Option<Vec<u8>> {
        property_bytes("connection\0requested_server_name")
    }

    fn peer(&self) -> Option<Rc<Peer>> {
        let connection = property_int("connection\0id");
        if let Some(peer) = connection.and_then(|id| self.peers.borrow().get(id)) {
            return peer;
        }
        let peer = peer().map(Rc::new);
        if let Some(id) = connection {
            self.peers.borrow_mut().add(id, peer.clone());
        }
        peer
    }

    fn checks_signatures(&self) -> bool {
        !self.lacks_verify_signature.get()
    }

    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Option<bool> {
        if self.lacks_verify_signature.get() {
            return None;
        }
        let arguments = verify_signature_arguments(check);
        match sdk::call_foreign_function("verify_signature", Some(&arguments)) {
            Ok(result) => Some(is_verified(&result.unwrap_or_default())),
            Err(Status::NotFound) => {
                self.lacks_verify_signature.set(true);
                None
            }
            // The engine checks for itself: both ways give the same verdict.
            Err(_) => None,
        }
    }
}

/// Who is behind the connections that were last asked about. Envoy never uses a connection's number
/// again, and a connection keeps its certificate.
#[derive(Debug, Default)]
struct Peers(Vec<(i64, Option<Rc<Peer>>)>);

/// Connections in memory, with names of some kilobytes at most.
const MOST_PEERS: usize = 64;

impl Peers {
    fn get(&self, connection: i64) -> Option<Option<Rc<Peer>>> {
        let found = self.0.iter().find(|(id, _)| *id == connection);
        found.map(|(_, peer)| peer.clone())
    }

    fn add(&mut self, connection: i64, peer: Option<Rc<Peer>>) {
        if self.0.len() >= MOST_PEERS {
            self.0.remove(0);
        }
        self.0.push((connection, peer));
    }
}

/// The client certificate's names. Envoy 1.38 and later show the certificate itself, and so all of
/// them; else only the first of each kind is to be had.
fn peer() -> Option<Peer> {
    let subject = property_bytes("connection\0subject_peer_certificate");
    if let Some(certificate) = property_bytes("connection\0peer_certificate") {
        let names = names_in_certificate(&certificate);
        let all_known = names.is_some();
        let (uri_sans, dns_sans) = names.unwrap_or_else(first_names);
        return Some(Peer { uri_sans, dns_sans, subject, all_known });
    }
    let (uri_sans, dns_sans) = first_names();
    let peer = Peer { uri_sans, dns_sans, subject, all_known: true };
    let has_names = peer.names().next().is_some();
    has_names.then_some(peer)
}

fn first_names() -> authn::CertificateNames {
    let first = |path| property_bytes(path).into_iter().collect();
    (first("connection\0uri_san_peer_certificate"), first("connection\0dns_san_peer_certificate"))
}

/// Envoy's `VerifySignatureArguments`: hash_function = 1, public_key = 2, signature = 3, text = 4.
fn verify_signature_arguments(check: &SignatureCheck<'_>) -> Vec<u8> {
    let fields = [check.hash.as_bytes(), check.public_key, check.signature, check.text];
    let mut message = Vec::with_capacity(fields.iter().map(|f| f.len().saturating_add(6)).sum());
    for (number, bytes) in (1u8..).zip(fields) {
        // Wire type 2: length-delimited, with the length as a varint.
        message.push((number << 3) | 2);
        let mut length = bytes.len();
        while length > 0x7f {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(bytes);
    }
    message
}

/// Envoy's `VerifySignatureResult` says so in field 1, a boolean.
fn is_verified(message: &[u8]) -> bool {
    message.starts_with(&[1 << 3, 1])
}

/// Nanoseconds since the Unix epoch; the end of time if the host has no clock, by which every token
/// has expired.
pub fn now() -> u64 {
    let time = sdk::get_current_time().ok().and_then(|now| now.duration_since(UNIX_EPOCH).ok());
    time.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(u64::MAX)
}

/// A property that is there and not empty.
pub fn property_bytes(path: &str) -> Option<Vec<u8>> {
    hostcalls::property(path).ok().filter(|value| !value.is_empty())
}

/// A property that is a number.
pub fn property_int(path: &str) -> Option<i64> {
    Some(i64::from_le_bytes(property_bytes(path)?.try_into().ok()?))
}

/// So many bytes of the body of the answer to a callout.
pub fn callout_body(bytes: usize) -> Vec<u8> {
    match bytes {
        0 => Vec::new(),
        _ => {
            let body = sdk::get_buffer(BufferType::HttpCallResponseBody, 0, bytes);
            body.ok().flatten().unwrap_or_default()
        }
    }
}

/// The address in `ip:port` or `[ip]:port`.
fn ip(address: &[u8]) -> Option<IpAddr> {
    let address = std::str::from_utf8(address).ok()?;
    address.parse::<SocketAddr>().map(|a| a.ip()).or_else(|_| address.parse()).ok()
}

/// Writes the changes to the request. Envoy then clears its route cache: it selects the route anew.
///
/// A call for a name that the request does not have searches the whole map in vain.
pub fn apply_edits(edits: &Edits, request: &Request<'_>) -> Result<(), HostCallError> {
    const MAP: MapType = MapType::HttpRequestHeaders;
    let came = |name: &[u8]| request.header(name).is_some();
    for (i, (name, value)) in edits.added().enumerate() {
        // One call replaces where a removal and an addition of the same name would be two.
        let is_first = || edits.added().take(i).all(|(other, _)| other != name);
        if edits.removes(name) && came(name) && is_first() {
            hostcalls::replace_header(MAP, name, value)?;
        } else {
            hostcalls::add_header(MAP, name, value)?;
        }
    }
    for name in edits.removed().filter(|name| came(name)) {
        if edits.added().all(|(added, _)| added != name) {
            hostcalls::remove_header(MAP, name)?;
        }
    }
    Ok(())
}

/// Gives the proxy another path to show in access logs. Returns the one that it had, if it took the new one.
pub fn hide_path(shown: Option<Vec<u8>>, path: &[u8]) -> Option<Vec<u8>> {
    let shown = shown?;
    let hidden = hostcalls::replace_header(MapType::HttpRequestHeaders, b":path", &shown);
    hidden.is_ok().then(|| path.to_vec())
}

/// Sends a local reply in the model's stead. The stream stays stopped either way: a request that cannot be
/// answered does not go on.
pub fn send_local_reply(reply: &LocalReply) -> Action {
    if let Some(path) = &reply.path {
        // To fail changes no answer.
        let _ = hostcalls::replace_header(MapType::HttpRequestHeaders, b":path", path);
    }
    let challenge = reply.www_authenticate.as_deref();
    let retry_after = reply.retry_after.map(|seconds| seconds.to_string());
    let headers: Vec<Field<'_>> =
        [("www-authenticate", challenge), ("retry-after", retry_after.as_deref())]
            .into_iter()
            .filter_map(|(name, value)| Some((name.as_bytes(), value?.as_bytes())))
            .chain([("content-type".as_bytes(), "text/plain".as_bytes())])
            .collect();
    let sent = hostcalls::send_local_response(
        reply.code,
        &reply.details,
        &headers,
        reply.body.as_bytes(),
        reply.grpc_status,
    );
    if let Err(HostCallError(status)) = sent {
        log::error!("modelgate: the proxy refused an answer: {status}");
    }
    Action::Pause
}
