//! The signature algorithms (RFC 7518 §3.1) that are carried out, in one table.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// One `alg`.
#[derive(Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// As `alg` spells it.
    pub name: &'static str,
    /// The kind of key that it needs.
    pub kind: KeyKind,
    /// What is hashed with.
    pub hash: Hash,
}

/// A kind of key: type and curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, RFC 7518 §6.3.
    Rsa,
    /// The curve P-256, RFC 7518 §6.2.
    P256,
}

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

const TABLE: &[Algorithm] = &[
    Algorithm { name: "RS256", kind: KeyKind::Rsa, hash: Hash::Sha256 },
    Algorithm { name: "RS384", kind: KeyKind::Rsa, hash: Hash::Sha384 },
    Algorithm { name: "RS512", kind: KeyKind::Rsa, hash: Hash::Sha512 },
    Algorithm { name: "ES256", kind: KeyKind::P256, hash: Hash::Sha256 },
];

impl Algorithm {
    /// The algorithm with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|a| a.name == name)
    }
}

impl Hash {
    /// As the host spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The hash of a text.
    pub fn of(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(text).to_vec(),
            Self::Sha384 => Sha384::digest(text).to_vec(),
            Self::Sha512 => Sha512::digest(text).to_vec(),
        }
    }
}
