//! The key in an X.509 certificate (RFC 5280) in PEM, for sets of certificates by key id.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::der::{self, SEQUENCE};
use super::key::Key;

/// `[0]`, explicit: the version.
const VERSION: u8 = 0xa0;

/// What is between the lines of PEM, written as Envoy wants it.
pub fn pem(text: &str) -> Option<&str> {
    text.strip_prefix("-----BEGIN CERTIFICATE-----\n")?
        .strip_suffix("\n-----END CERTIFICATE-----\n")
}

/// The RSA key in a certificate, or what is wrong with it. Neither who issued it nor until when it is
/// valid matters: whoever serves the set answers for it.
pub fn key(base64: &str) -> Result<Key, &'static str> {
    let mut text = base64.to_owned();
    text.retain(|c| !matches!(c, '\n' | '\r'));
    let certificate = STANDARD.decode(text).map_err(|_| "it is not in base64")?;
    let key = public_key(&certificate).ok_or("it is not a certificate")?;
    let (modulus, exponent) = der::read_rsa_public_key(key).ok_or("its key is not an RSA key")?;
    Key::rsa(modulus, exponent)
}

/// The content of SubjectPublicKeyInfo, RFC 5280 §4.1.
fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, []) = der::read(SEQUENCE, certificate)? else { return None };
    let (signed, _) = der::read(SEQUENCE, certificate)?;
    let rest = der::read(VERSION, signed).map_or(signed, |(_, rest)| rest);
    let (_serial, mut rest) = der::read(der::INTEGER, rest)?;
    for _ in ["signature", "issuer", "validity", "subject"] {
        (_, rest) = der::read(SEQUENCE, rest)?;
    }
    der::read(SEQUENCE, rest).map(|(key, _)| key)
}
