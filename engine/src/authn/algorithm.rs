//! The signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1), in one table.

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
    /// With RSA: whether it is RSASSA-PSS, not PKCS#1 v1.5.
    pub pss: bool,
}

/// A kind of key: type and curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, RFC 7518 §6.3.
    Rsa,
    /// The curve P-256, RFC 7518 §6.2.
    P256,
    /// The curve P-384.
    P384,
    /// The curve P-521.
    P521,
    /// A shared secret, RFC 7518 §6.4.
    Secret,
    /// The curve Ed25519, RFC 8037 §2.
    Ed25519,
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

const fn algorithm(name: &'static str, kind: KeyKind, hash: Hash) -> Algorithm {
    Algorithm { name, kind, hash, pss: false }
}

const fn pss(name: &'static str, hash: Hash) -> Algorithm {
    Algorithm { name, kind: KeyKind::Rsa, hash, pss: true }
}

const TABLE: &[Algorithm] = &[
    algorithm("RS256", KeyKind::Rsa, Hash::Sha256),
    algorithm("RS384", KeyKind::Rsa, Hash::Sha384),
    algorithm("RS512", KeyKind::Rsa, Hash::Sha512),
    pss("PS256", Hash::Sha256),
    pss("PS384", Hash::Sha384),
    pss("PS512", Hash::Sha512),
    algorithm("ES256", KeyKind::P256, Hash::Sha256),
    algorithm("ES384", KeyKind::P384, Hash::Sha384),
    algorithm("ES512", KeyKind::P521, Hash::Sha512),
    algorithm("HS256", KeyKind::Secret, Hash::Sha256),
    algorithm("HS384", KeyKind::Secret, Hash::Sha384),
    algorithm("HS512", KeyKind::Secret, Hash::Sha512),
    algorithm("EdDSA", KeyKind::Ed25519, Hash::Sha512),
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

    /// How long a hash is.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
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
