//! A key, and the check of a signature: by the host if it can, else here.

use ed25519_dalek as ed25519;
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::elliptic_curve::point::AffineCoordinates;
use rsa::{BoxedUint, Pkcs1v15Sign, Pss};
use sha2::{Sha256, Sha384, Sha512};

use super::algorithm::{Algorithm, Hash, KeyKind};
use super::der;
use super::work::Price;
use crate::reasons::reasons;
use crate::request::{Host, SignatureCheck};

/// Sizes of a modulus, in bits. RFC 7518 §3.3 asks for 2048; beyond 8192 a check takes too long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

reasons! {
    /// Why something is not a key that can verify.
    pub enum KeyError {
        UnknownType = "its kty is not known",
        Exponent = "its exponent is neither 3 nor 65537",
        TooLong = "it is longer than 8192 bits",
        TooShort = "it is shorter than 2048 bits",
        Modulus = "its modulus is not that of an RSA key",
        UnknownCurve = "its curve is none of P-256, P-384 and P-521",
        CoordinateLength = "its coordinates are not as long as those of its curve",
        NotOnCurve = "its point is not on its curve",
        NotEd25519 = "its curve is not Ed25519",
        Ed25519Length = "its x is not 32 bytes long",
        NotOnEd25519 = "its point is not on the curve Ed25519",
        SmallOrder = "its point is of small order, for which anybody can sign",
        ShortSecret = "its secret is shorter than 32 bytes",
        NotBase64 = "it is not in base64",
        NotCertificate = "it is not a certificate",
        NotRsa = "its key is not an RSA key",
    }
}

/// A key that can verify.
pub struct Key {
    public: Public,
    /// SubjectPublicKeyInfo, for the host; of keys that it cannot use, the key itself.
    bytes: Vec<u8>,
}

enum Public {
    Rsa { key: rsa::PublicKey, bytes: usize },
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
    Ed25519(ed25519::VerifyingKey),
    Secret,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.bytes == other.bytes
    }
}

impl Eq for Key {}

impl Key {
    /// An RSA key of these big-endian numbers, or what is wrong with it.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        // Some issuers write the sign byte of a DER integer, or a full word; it changes nothing.
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        if !matches!(exponent, [3] | [1, 0, 1]) {
            return Err(KeyError::Exponent);
        }
        if modulus.len() > RSA_BITS.end().div_ceil(8) {
            return Err(KeyError::TooLong);
        }
        let (n, e) =
            (BoxedUint::from_be_slice_vartime(modulus), BoxedUint::from_be_slice_vartime(exponent));
        let key = rsa::PublicKey::new_with_size_limits(n, e, RSA_BITS).map_err(|e| match e {
            rsa::Error::ModulusTooSmall => KeyError::TooShort,
            rsa::Error::ModulusTooLarge => KeyError::TooLong,
            _ => KeyError::Modulus,
        })?;
        let bytes = der::rsa_public_key(modulus, exponent);
        Ok(Self { public: Public::Rsa { key, bytes: modulus.len() }, bytes })
    }

    /// The key at a point of a curve, or what is wrong with it.
    pub fn ec(curve: &str, x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let (kind, oid) = match curve {
            "P-256" => (KeyKind::P256, der::P256),
            "P-384" => (KeyKind::P384, der::P384),
            "P-521" => (KeyKind::P521, der::P521),
            _ => return Err(KeyError::UnknownCurve),
        };
        // RFC 7518 §6.2.1.2: the full length, however many zeros there are.
        if x.len() != coordinate_bytes(kind) || y.len() != coordinate_bytes(kind) {
            return Err(KeyError::CoordinateLength);
        }
        let point = [&[4], x, y].concat();
        // By the coordinates, and not by SEC 1, whose reader takes compressed points as well: 20 KiB of code.
        let public = match kind {
            KeyKind::P384 => on_curve(x, y, p384::ecdsa::VerifyingKey::from_affine, Public::P384),
            KeyKind::P521 => on_curve(x, y, p521::ecdsa::VerifyingKey::from_affine, Public::P521),
            _ => on_curve(x, y, p256::ecdsa::VerifyingKey::from_affine, Public::P256),
        };
        let public = public.ok_or(KeyError::NotOnCurve)?;
        Ok(Self { public, bytes: der::ec_public_key(oid, &point) })
    }

    /// The key at a point of Ed25519, or what is wrong with it.
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        let point = x.try_into().map_err(|_| KeyError::Ed25519Length)?;
        let key = ed25519::VerifyingKey::from_bytes(point).map_err(|_| KeyError::NotOnEd25519)?;
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self { public: Public::Ed25519(key), bytes: x.to_vec() })
    }

    /// A shared secret. RFC 7518 §3.2 wants it as long as the hash that is used with it.
    pub fn secret(secret: Vec<u8>) -> Result<Self, KeyError> {
        if secret.len() < Hash::Sha256.bytes() {
            return Err(KeyError::ShortSecret);
        }
        Ok(Self { public: Public::Secret, bytes: secret })
    }

    /// Type and curve.
    pub fn kind(&self) -> KeyKind {
        match self.public {
            Public::Rsa { .. } => KeyKind::Rsa,
            Public::P256(_) => KeyKind::P256,
            Public::P384(_) => KeyKind::P384,
            Public::P521(_) => KeyKind::P521,
            Public::Ed25519(_) => KeyKind::Ed25519,
            Public::Secret => KeyKind::Secret,
        }
    }

    /// Whether it can be used with this algorithm. One of another type or curve never is (RFC 8725
    /// §3.1), nor a secret that is too short for it.
    pub fn fits(&self, algorithm: &Algorithm) -> bool {
        self.kind() == algorithm.kind
            && (algorithm.kind != KeyKind::Secret || self.bytes.len() >= algorithm.hash.bytes())
    }

    /// What [`verify`](Self::verify) costs; nothing where a look at the lengths is enough.
    pub fn price(&self, by: &Algorithm, text: &[u8], signature: &[u8], host: &dyn Host) -> Price {
        let size = u32::try_from(signature.len()).unwrap_or(u32::MAX);
        let by_host = host.checks_signatures();
        let elliptic = |by_host_units: u32| match by_host {
            true => Price { units: by_host_units, in_module: false },
            false => Price { units: by_host_units.saturating_mul(16), in_module: true },
        };
        match &self.public {
            _ if !self.fits(by) => Price::default(),
            Public::Rsa { bytes, .. } if signature.len() != *bytes => Price::default(),
            // The square of its length, in units of 2048 bits.
            Public::Rsa { .. } => {
                let in_module = by.pss || !by_host;
                let words = size.div_ceil(256);
                let units = words.saturating_mul(words);
                Price { units: units.saturating_mul(if in_module { 16 } else { 1 }), in_module }
            }
            Public::Ed25519(_) if signature.len() != ed25519::SIGNATURE_LENGTH => Price::default(),
            Public::Ed25519(_) => Price { units: 16, in_module: true },
            Public::Secret => {
                let blocks = u32::try_from(text.len() / 2048).unwrap_or(u32::MAX);
                Price { units: blocks.saturating_add(1), in_module: false }
            }
            _ if signature.len() != coordinate_bytes(by.kind).saturating_mul(2) => Price::default(),
            Public::P256(_) => elliptic(2),
            Public::P384(_) => elliptic(12),
            Public::P521(_) => elliptic(16),
        }
    }

    /// Whether this key made the signature of `text`, with this algorithm: RFC 7515 §5.2 step 8.
    pub fn verify(&self, by: &Algorithm, text: &[u8], signature: &[u8], host: &dyn Host) -> bool {
        if !self.fits(by) {
            return false;
        }
        let ask = |signature: &[u8]| {
            let (hash, public_key) = (by.hash.name(), self.bytes.as_slice());
            host.verify_signature(&SignatureCheck { hash, public_key, signature, text })
        };
        let hash = || by.hash.of(text);
        let ecdsa = |here: &dyn Fn() -> bool| {
            let half = coordinate_bytes(by.kind);
            signature
                .split_at_checked(half)
                .filter(|(_, s)| s.len() == half)
                .is_some_and(|(r, s)| ask(&der::ecdsa_signature(r, s)).unwrap_or_else(here))
        };
        match &self.public {
            Public::Rsa { bytes, .. } if signature.len() != *bytes => false,
            // The host knows PKCS#1 v1.5 only.
            Public::Rsa { key, .. } if by.pss => match by.hash {
                Hash::Sha256 => key.verify(Pss::<Sha256>::new(), &hash(), signature),
                Hash::Sha384 => key.verify(Pss::<Sha384>::new(), &hash(), signature),
                Hash::Sha512 => key.verify(Pss::<Sha512>::new(), &hash(), signature),
            }
            .is_ok(),
            Public::Rsa { key, .. } => ask(signature)
                .unwrap_or_else(|| key.verify(pkcs1(by.hash), &hash(), signature).is_ok()),
            Public::P256(key) => ecdsa(&|| {
                p256::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|s| key.verify_prehash(&hash(), &s).is_ok())
            }),
            Public::P384(key) => ecdsa(&|| {
                p384::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|s| key.verify_prehash(&hash(), &s).is_ok())
            }),
            Public::P521(key) => ecdsa(&|| {
                p521::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|s| key.verify_prehash(&hash(), &s).is_ok())
            }),
            // Strict: of several ways to read RFC 8032 §5.1.7, the one without a second signature.
            Public::Ed25519(key) => ed25519::Signature::from_slice(signature)
                .is_ok_and(|s| key.verify_strict(text, &s).is_ok()),
            Public::Secret => match by.hash {
                Hash::Sha256 => is_mac::<Hmac<Sha256>>(&self.bytes, text, signature),
                Hash::Sha384 => is_mac::<Hmac<Sha384>>(&self.bytes, text, signature),
                Hash::Sha512 => is_mac::<Hmac<Sha512>>(&self.bytes, text, signature),
            },
        }
    }
}

/// A big-endian number without its leading zeros.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// How long a coordinate is, and half a signature.
fn coordinate_bytes(curve: KeyKind) -> usize {
    match curve {
        KeyKind::P384 => 48,
        KeyKind::P521 => 66,
        _ => 32,
    }
}

/// The key at these coordinates, if they are a point of the curve.
fn on_curve<P: AffineCoordinates, K>(
    x: &[u8],
    y: &[u8],
    key: impl Fn(P) -> Result<K, p256::ecdsa::Error>,
    public: impl Fn(K) -> Public,
) -> Option<Public>
where
    P::FieldRepr: for<'a> TryFrom<&'a [u8]>,
{
    let (x, y) = (P::FieldRepr::try_from(x).ok()?, P::FieldRepr::try_from(y).ok()?);
    let point = P::from_coordinates(&x, &y).into_option()?;
    key(point).ok().map(public)
}

fn pkcs1(hash: Hash) -> Pkcs1v15Sign {
    match hash {
        Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
        Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
        Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
    }
}

/// In constant time.
fn is_mac<M: Mac + KeyInit>(secret: &[u8], text: &[u8], signature: &[u8]) -> bool {
    <M as KeyInit>::new_from_slice(secret)
        .is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok())
}
