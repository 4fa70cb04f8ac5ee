//! Blocks of addresses: which hold another, which nodes have, and which no request comes from.

use std::net::IpAddr;

use super::{Advisor, TRIES_ALL};
use crate::config::{Path, Warning};

/// Blocks from which nodes have their addresses (RFC 1918 §3, RFC 6598 §7, RFC 4193 §3).
const PRIVATE: [&str; 5] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];

/// IPv4 addresses as IPv6 writes them (RFC 4291 §2.5.5.2).
const MAPPED: &str = "::ffff:0.0.0.0/96";

/// A block, of which bits beyond the prefix do not count.
#[derive(Clone, Copy)]
struct Block {
    /// The first bit foremost.
    address: u128,
    /// Of the prefix.
    bits: u32,
    /// Of an address.
    long: u32,
}

impl Block {
    /// As the settings have them: in CIDR notation, or a single address.
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let (address, long) = match address.parse().ok()? {
            IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let bits = bits.map_or(Some(long), |bits| bits.parse().ok())?;
        Some(Self { address, bits, long })
    }

    /// Whether the two have an address in common: then one of them holds the other.
    fn meets(self, other: Self) -> bool {
        let beyond = u128::BITS.saturating_sub(self.bits.min(other.bits));
        self.long == other.long
            && (self.address ^ other.address).checked_shr(beyond).unwrap_or(0) == 0
    }
}

/// Whether every address of `narrow` is in `wide` as well.
pub(super) fn holds(wide: &str, narrow: &str) -> bool {
    let blocks = Block::read(wide).zip(Block::read(narrow));
    blocks.is_some_and(|(wide, narrow)| wide.bits <= narrow.bits && wide.meets(narrow))
}

/// Whether a block is within private addresses, which nodes have, or holds some of them.
fn is_nodes(block: &str) -> bool {
    Block::read(block).is_some_and(|block| {
        let mut private = PRIVATE.iter().filter_map(|text| Block::read(text));
        block.bits < block.long && private.any(|private| private.meets(block))
    })
}

impl Advisor<'_, '_> {
    /// Blocks of a rule that asks for nothing else of callers.
    pub(super) fn blocks(&mut self, blocks: &[String], path: &Path<'_>) {
        for (i, block) in blocks.iter().enumerate().filter(|(_, block)| is_nodes(block)) {
            let what = "fits every client where a node's address stands for theirs, and at a sidecar \
                        a peer's address cannot be had";
            let fix = "principals of those who call, or the address of each";
            self.errors.warn_value(Warning::NodeAddress, &path.index(i), what, block, fix);
        }
    }

    /// Blocks of IPv4 addresses that are written as IPv6: Envoy compares addresses of one version only, and a
    /// connection's is IPv4, on a socket for both as well.
    pub(super) fn mapped(&mut self, blocks: &[String], is_remote: bool, path: &Path<'_>) {
        if !TRIES_ALL {
            return;
        }
        for (i, block) in blocks.iter().enumerate().filter(|(_, block)| holds(MAPPED, block)) {
            let what = if is_remote {
                "it fits only what another proxy wrote so into x-forwarded-for"
            } else {
                "an IPv4 address is compared with IPv4 blocks only"
            };
            self.never(&path.index(i), what, block, "the block as IPv4, as 10.0.0.0/8");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_block_holds_which() {
        for (wide, narrow, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.200.0.0/8", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.3/32", true),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.1.2.3", false),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("::ffff:0:0/96", "::ffff:10.0.0.0/104", true),
            ("::ffff:0:0/96", "10.0.0.0/8", false),
            ("x", "10.0.0.0/8", false),
        ] {
            assert_eq!(holds(wide, narrow), expected, "{wide} {narrow}");
        }
    }
}
