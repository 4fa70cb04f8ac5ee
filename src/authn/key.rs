//! A public key, and the check of a signature: by the host if it can, else here.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::{BoxedUint, Pkcs1v15Sign};

use super::algorithm::{Algorithm, Hash, KeyKind};
use super::der;
use crate::request::{Host, SignatureCheck};

/// Sizes of a modulus, in bits. RFC 7518 §3.3 asks for 2048; beyond 8192 a check takes too long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Bytes of a coordinate, and of half a signature, of P-256.
const P256_BYTES: usize = 32;

/// A public key that can verify.
pub struct Key {
    public: Public,
    /// SubjectPublicKeyInfo, for the host.
    der: Vec<u8>,
}

enum Public {
    Rsa { key: rsa::PublicKey, bytes: usize },
    P256(p256::ecdsa::VerifyingKey),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

impl PartialEq for Key {
    /// The encoding says everything, the type included.
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Key {}

impl Key {
    /// An RSA key of these big-endian numbers, or what is wrong with it.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, &'static str> {
        if !matches!(exponent, [3] | [1, 0, 1]) {
            return Err("its exponent is neither 3 nor 65537");
        }
        // Some issuers write the sign byte of a DER integer; it changes nothing.
        let zeros = modulus.iter().take_while(|b| **b == 0).count();
        let modulus = modulus.get(zeros..).unwrap_or_default();
        if modulus.len() > RSA_BITS.end().div_ceil(8) {
            return Err("it is longer than 8192 bits");
        }
        let (n, e) =
            (BoxedUint::from_be_slice_vartime(modulus), BoxedUint::from_be_slice_vartime(exponent));
        let key = rsa::PublicKey::new_with_size_limits(n, e, RSA_BITS).map_err(|e| match e {
            rsa::Error::ModulusTooSmall => "it is shorter than 2048 bits",
            rsa::Error::ModulusTooLarge => "it is longer than 8192 bits",
            _ => "its modulus is not that of an RSA key",
        })?;
        let der = der::rsa_public_key(modulus, exponent);
        Ok(Self { public: Public::Rsa { key, bytes: modulus.len() }, der })
    }

    /// The key at a point of P-256, or what is wrong with it.
    pub fn p256(x: &[u8], y: &[u8]) -> Result<Self, &'static str> {
        if x.len() != P256_BYTES || y.len() != P256_BYTES {
            return Err("its coordinates are not 32 bytes long");
        }
        let point = [&[4], x, y].concat();
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)
            .map_err(|_| "its point is not on the curve P-256")?;
        Ok(Self { public: Public::P256(key), der: der::p256_public_key(&point) })
    }

    /// Type and curve.
    pub fn kind(&self) -> KeyKind {
        match self.public {
            Public::Rsa { .. } => KeyKind::Rsa,
            Public::P256(_) => KeyKind::P256,
        }
    }

    /// Whether this key made the signature of `text`, with this algorithm: RFC 7515 §5.2 step 8.
    ///
    /// A key of another type or curve than the algorithm's never did (RFC 8725 §3.1).
    pub fn verify(&self, by: &Algorithm, text: &[u8], signature: &[u8], host: &dyn Host) -> bool {
        if self.kind() != by.kind {
            return false;
        }
        let check = |signature| SignatureCheck {
            hash: by.hash.name(),
            public_key: &self.der,
            signature,
            text,
        };
        match &self.public {
            Public::Rsa { key, bytes } => {
                signature.len() == *bytes
                    && host.verify_signature(&check(signature)).unwrap_or_else(|| {
                        key.verify(pkcs1(by.hash), &by.hash.of(text), signature).is_ok()
                    })
            }
            Public::P256(key) => {
                let Some((r, s)) = signature.split_at_checked(P256_BYTES) else { return false };
                if s.len() != P256_BYTES {
                    return false;
                }
                host.verify_signature(&check(&der::ecdsa_signature(r, s))).unwrap_or_else(|| {
                    p256::ecdsa::Signature::from_slice(signature)
                        .is_ok_and(|s| key.verify_prehash(&by.hash.of(text), &s).is_ok())
                })
            }
        }
    }
}

fn pkcs1(hash: Hash) -> Pkcs1v15Sign {
    match hash {
        Hash::Sha256 => Pkcs1v15Sign::new::<sha2::Sha256>(),
        Hash::Sha384 => Pkcs1v15Sign::new::<sha2::Sha384>(),
        Hash::Sha512 => Pkcs1v15Sign::new::<sha2::Sha512>(),
    }
}
