//! Where a key falls: the hash behind the samples of shadows and the variants of splits.
//!
//! FNV-1a (64 bits) over names and the key, with a zero byte after each name, followed by
//! MurmurHash3's 64-bit finalizer, because FNV alone leaves the high bits of short keys uneven.
//! Integers only: a key falls alike on every worker, natively and as WebAssembly, and in every
//! version.

use crate::hash::{FNV_BASIS, fnv};

/// A scale from 0 to 2^64 on which every key has its place. Scales of other names are independent of
/// it: two shadows do not get the very same requests, nor does a split send one of its variants those
/// that a shadow copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale(u64);

impl Scale {
    /// The scale of these names.
    pub fn new(names: &[&str]) -> Self {
        Self(names.iter().fold(FNV_BASIS, |hash, name| fnv(fnv(hash, name.as_bytes()), &[0])))
    }

    /// The scale of these names and of a number that not everyone knows.
    pub fn salted(self, salt: u64) -> Self {
        Self(self.0 ^ salt)
    }

    /// The place of a key.
    pub fn place(self, key: &[u8]) -> u64 {
        let mut hash = fnv(self.0, key);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_run_together() {
        let scales = [&["a", "b"][..], &["ab"], &["a", "b", ""], &["b", "a"], &["a"], &[]];
        for (i, one) in scales.iter().enumerate() {
            for other in scales.iter().skip(i + 1) {
                assert_ne!(Scale::new(one), Scale::new(other), "{one:?} {other:?}");
            }
        }
    }
}
