//! A proxy that checks signatures with readers of keys of its own, as Envoy's BoringSSL does, or leaves them to the engine.

use modelgate_engine::request::{Host, SignatureCheck};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::pkcs8::DecodePublicKey as _;
use sha2::Digest as _;

/// Seconds: a minute before the tokens of RFC 7515 expire.
pub const NOW: u64 = 1_300_819_320;

/// The proxy.
pub struct Verifier {
    pub by_host: bool,
}

impl Host for Verifier {
    fn now(&self) -> u64 {
        NOW * 1_000_000_000
    }
    fn is_inbound(&self) -> bool {
        false
    }
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Option<bool> {
        self.by_host.then(|| verify(check))
    }
}

fn verify(check: &SignatureCheck<'_>) -> bool {
    let (hash, scheme) = match check.hash {
        "sha256" => {
            (sha2::Sha256::digest(check.text).to_vec(), rsa::Pkcs1v15Sign::new::<sha2::Sha256>())
        }
        "sha384" => {
            (sha2::Sha384::digest(check.text).to_vec(), rsa::Pkcs1v15Sign::new::<sha2::Sha384>())
        }
        _ => (sha2::Sha512::digest(check.text).to_vec(), rsa::Pkcs1v15Sign::new::<sha2::Sha512>()),
    };
    macro_rules! try_curve {
        ($curve:ident) => {
            if let Ok(key) = $curve::ecdsa::VerifyingKey::from_public_key_der(check.public_key) {
                let signature = $curve::ecdsa::Signature::from_der(check.signature);
                return signature.is_ok_and(|s| key.verify_prehash(&hash, &s).is_ok());
            }
        };
    }
    try_curve!(p256);
    try_curve!(p384);
    try_curve!(p521);
    let key = rsa::PublicKey::from_public_key_der(check.public_key);
    key.expect("the host reads every key that the engine takes")
        .verify(scheme, &hash, check.signature)
        .is_ok()
}
