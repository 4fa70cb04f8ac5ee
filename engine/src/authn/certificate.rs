//! What is read from X.509 certificates (RFC 5280) in PEM: the key, for sets of certificates by key id,
//! and a client's names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::der::{self, SEQUENCE};
use super::key::{Key, KeyError};

/// `[0]`, explicit: the version.
const VERSION: u8 = 0xa0;

/// What is between the lines of PEM, written as Envoy wants it.
pub fn pem(text: &str) -> Option<&str> {
    text.strip_prefix("-----BEGIN CERTIFICATE-----\n")?
        .strip_suffix("\n-----END CERTIFICATE-----\n")
}

/// The RSA key in a certificate, or what is wrong with it. Neither who issued it nor until when it is
/// valid matters: whoever serves the set answers for it.
pub fn key(base64: &str) -> Result<Key, KeyError> {
    let mut text = base64.to_owned();
    text.retain(|c| !matches!(c, '\n' | '\r'));
    let certificate = STANDARD.decode(text).map_err(|_| KeyError::NotBase64)?;
    let key = public_key(&certificate).ok_or(KeyError::NotCertificate)?;
    let (modulus, exponent) = der::read_rsa_public_key(key).ok_or(KeyError::NotRsa)?;
    Key::rsa(modulus, exponent)
}

/// The content of SubjectPublicKeyInfo, RFC 5280 §4.1.
fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    public_key_and_rest(certificate).map(|(key, _)| key)
}

/// The same, and what follows it.
fn public_key_and_rest(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let (certificate, []) = der::read(SEQUENCE, certificate)? else { return None };
    let (signed, _) = der::read(SEQUENCE, certificate)?;
    let rest = der::read(VERSION, signed).map_or(signed, |(_, rest)| rest);
    let (_serial, mut rest) = der::read(der::INTEGER, rest)?;
    for _ in ["signature", "issuer", "validity", "subject"] {
        (_, rest) = der::read(SEQUENCE, rest)?;
    }
    der::read(SEQUENCE, rest)
}

/// URI SANs and DNS SANs, in their order.
pub type Names = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// `[3]`, explicit: the extensions.
const EXTENSIONS: u8 = 0xa3;
/// `[1]` and `[2]` in front of them: unique identifiers, which nobody uses.
const UNIQUE: [u8; 2] = [0x81, 0x82];
const OBJECT_IDENTIFIER: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
/// `id-ce-subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// GeneralName, RFC 5280 §4.2.1.6: `[2]` and `[6]`, IA5String.
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;

/// Bytes of a certificate, encoded as Envoy shows it, and names in it.
const MOST_BYTES: usize = 16 << 10;
const MOST_NAMES: usize = 256;

/// The names in a certificate in PEM, percent-encoded, as Envoy's `connection.peer_certificate` shows
/// it; `None` if it cannot be read or has too many.
pub fn names_in_certificate(encoded: &[u8]) -> Option<Names> {
    if encoded.len() > MOST_BYTES {
        return None;
    }
    let text: Vec<u8> = percent_encoding::percent_decode(encoded).collect();
    let base64 = pem(std::str::from_utf8(&text).ok()?)?;
    let base64: Vec<u8> = base64.bytes().filter(|c| *c != b'\n').collect();
    names_in(&STANDARD.decode(base64).ok()?)
}

fn names_in(certificate: &[u8]) -> Option<Names> {
    let (mut uris, mut hosts) = (Vec::new(), Vec::new());
    let (_, mut rest) = public_key_and_rest(certificate)?;
    for tag in UNIQUE {
        rest = der::read(tag, rest).map_or(rest, |(_, rest)| rest);
    }
    if rest.is_empty() {
        return Some((uris, hosts));
    }
    let (extensions, []) = der::read(EXTENSIONS, rest)? else { return None };
    let (mut extensions, []) = der::read(SEQUENCE, extensions)? else { return None };
    while !extensions.is_empty() {
        let (extension, rest) = der::read(SEQUENCE, extensions)?;
        extensions = rest;
        let (id, rest) = der::read(OBJECT_IDENTIFIER, extension)?;
        if id != SUBJECT_ALT_NAME {
            continue;
        }
        let rest = der::read(BOOLEAN, rest).map_or(rest, |(_, rest)| rest);
        let (value, []) = der::read(OCTET_STRING, rest)? else { return None };
        let (mut names, []) = der::read(SEQUENCE, value)? else { return None };
        while let Some(tag) = names.first().copied() {
            let (name, rest) = der::read(tag, names)?;
            names = rest;
            if uris.len().saturating_add(hosts.len()) >= MOST_NAMES {
                return None;
            }
            match tag {
                URI => uris.push(name.to_vec()),
                DNS_NAME => hosts.push(name.to_vec()),
                _ => {}
            }
        }
    }
    Some((uris, hosts))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DER of a content below 128 bytes.
    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn certificate(extensions: &[u8]) -> Vec<u8> {
        let empty = tlv(SEQUENCE, &[]);
        let mut signed = tlv(der::INTEGER, &[1]);
        (0..5).for_each(|_| signed.extend_from_slice(&empty));
        signed.extend_from_slice(extensions);
        tlv(SEQUENCE, &tlv(SEQUENCE, &signed))
    }

    fn with_names(names: &[u8]) -> Vec<u8> {
        let value = tlv(OCTET_STRING, &tlv(SEQUENCE, names));
        let id = tlv(OBJECT_IDENTIFIER, SUBJECT_ALT_NAME);
        let critical = tlv(BOOLEAN, &[0xff]);
        let other =
            tlv(SEQUENCE, &[tlv(OBJECT_IDENTIFIER, &[0x55]), tlv(OCTET_STRING, &[])].concat());
        let san = tlv(SEQUENCE, &[id, critical, value].concat());
        certificate(&tlv(EXTENSIONS, &tlv(SEQUENCE, &[other, san].concat())))
    }

    fn shown(certificate: &[u8]) -> Vec<u8> {
        let base64 = STANDARD.encode(certificate).replace('+', "%2B").replace('=', "%3D");
        format!("-----BEGIN%20CERTIFICATE-----%0A{base64}%0A-----END%20CERTIFICATE-----%0A").into()
    }

    #[test]
    fn every_name_is_read() {
        let names = [tlv(URI, b"a"), tlv(DNS_NAME, b"h"), tlv(0x87, &[1; 4]), tlv(URI, b"b\0\xff")]
            .concat();
        let read = names_in_certificate(&shown(&with_names(&names)));
        assert_eq!(read, Some((vec![b"a".to_vec(), b"b\0\xff".to_vec()], vec![b"h".to_vec()])));
        assert_eq!(names_in_certificate(&shown(&certificate(&[]))), Some((vec![], vec![])));
    }

    #[test]
    fn what_cannot_be_read_has_no_names() {
        let good = with_names(&tlv(URI, b"a"));
        for end in 0..good.len() {
            assert_eq!(names_in_certificate(&shown(&good[..end])), None, "{end}");
        }
        assert_eq!(names_in_certificate(&good), None);
        assert_eq!(names_in_certificate(&vec![b'A'; MOST_BYTES + 1]), None);
    }
}
