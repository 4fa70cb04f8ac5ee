//! IP addresses: which one a field means, and the blocks it is compared with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Subject;
use crate::config::types::SourceAddress;

/// Which address a field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The direct peer's.
    Source(SourceAddress),
    /// The client's, as Envoy reads it from `x-forwarded-for`.
    Remote,
    /// The listener's.
    Destination,
}

impl Whose {
    /// The address; `None` if it cannot be had.
    pub(super) fn of(self, subject: &Subject<'_>) -> Option<IpAddr> {
        let attributes = subject.request.attributes();
        match self {
            Self::Source(SourceAddress::Unavailable) => None,
            // An inbound listener does not append its peer: the last element is the sender's word.
            Self::Source(SourceAddress::Auto) if attributes.is_inbound() => None,
            Self::Source(SourceAddress::Auto) => {
                attributes.peer_ip().or_else(|| behind_trusted(subject))
            }
            Self::Source(SourceAddress::LastForwardedFor) => last_forwarded_for(subject),
            Self::Remote => attributes.remote_ip(),
            Self::Destination => attributes.destination_ip(),
        }
    }
}

/// The peer where `source.address` is what it says of its client: what Envoy appended. In place of
/// 127.0.0.1 and ::1 it appends its own address; only from inside can a loopback address be reached.
fn behind_trusted(subject: &Subject<'_>) -> Option<IpAddr> {
    let appended = last_forwarded_for(subject)?;
    match subject.request.attributes().destination_ip() {
        Some(IpAddr::V4(at)) if at.is_loopback() && !appended.is_loopback() => {
            Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
        Some(IpAddr::V6(at)) if at.is_loopback() => Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        _ => Some(appended),
    }
}

/// The last element of the last `x-forwarded-for` line, which is the peer that Envoy appended. The
/// line of the request itself: a claim written to that header must not choose an address.
fn last_forwarded_for(subject: &Subject<'_>) -> Option<IpAddr> {
    let line = subject.request.lines(b"x-forwarded-for").last()?;
    let last = line.rsplit(|c| *c == b',').next()?;
    std::str::from_utf8(last.trim_ascii()).ok()?.parse().ok()
}

/// A block in CIDR notation, or a single address. IPv4 written as IPv6 stays IPv6, as in Envoy.
pub(super) fn block(value: &str) -> Option<IpNet> {
    value.parse().ok().or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from))
}

/// A port in decimal digits. `u16::from_str` alone would take a sign.
pub(super) fn port(value: &str) -> Option<u16> {
    value.bytes().all(|c| c.is_ascii_digit()).then(|| value.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_ports_are_read_strictly() {
        for (text, good) in [
            ("10.0.0.0/8", true),
            ("10.1.2.3/8", true),
            ("10.1.2.3", true),
            ("2001:db8::/32", true),
            ("::1", true),
            ("10.0.0.0/33", false),
            ("10.0.0", false),
            ("10.0.0.0/", false),
            ("example.com", false),
            ("10.0.0.0/-1", false),
            ("*", false),
        ] {
            assert_eq!(block(text).is_some(), good, "{text}");
        }
        for (text, number) in [
            ("8080", Some(8080)),
            ("0", Some(0)),
            ("65535", Some(65535)),
            ("65536", None),
            ("+80", None),
            ("-1", None),
            ("http", None),
            ("80*", None),
            ("", None),
        ] {
            assert_eq!(port(text), number, "{text}");
        }
    }

    #[test]
    fn mapped_addresses_are_ipv6() {
        let mapped: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
        assert!(!block("10.0.0.0/8").unwrap().contains(&mapped));
        assert!(block("::ffff:0:0/96").unwrap().contains(&mapped));
    }
}
