//! The little of DER (X.690) that a verifier needs: public keys and ECDSA signatures.

/// `rsaEncryption` with its NULL parameters, RFC 3279 §2.3.1.
const RSA_ALGORITHM: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// `id-ecPublicKey`, RFC 5480 §2.1.1.
const EC_ALGORITHM: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// `secp256r1`, RFC 5480 §2.1.1.1.
pub const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// `secp384r1`.
pub const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// `secp521r1`.
pub const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

pub const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub const SEQUENCE: u8 = 0x30;

/// SubjectPublicKeyInfo of an RSA key; modulus and exponent are big-endian.
pub fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = element(SEQUENCE, &[&integer(modulus), &integer(exponent)]);
    element(SEQUENCE, &[RSA_ALGORITHM, &element(BIT_STRING, &[&[0], &key])])
}

/// Modulus and exponent, big-endian, from the content of an RSA key's SubjectPublicKeyInfo.
pub fn read_rsa_public_key(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bits, []) = read(BIT_STRING, info.strip_prefix(RSA_ALGORITHM)?)? else { return None };
    let (key, []) = read(SEQUENCE, bits.strip_prefix(&[0])?)? else { return None };
    let (modulus, rest) = read(INTEGER, key)?;
    let (exponent, []) = read(INTEGER, rest)? else { return None };
    let is_positive = |n: &[u8]| n.first().is_some_and(|first| *first < 0x80);
    (is_positive(modulus) && is_positive(exponent)).then_some((modulus, exponent))
}

/// SubjectPublicKeyInfo of a key on this curve; the point is uncompressed.
pub fn ec_public_key(curve: &[u8], point: &[u8]) -> Vec<u8> {
    let algorithm = element(SEQUENCE, &[EC_ALGORITHM, curve]);
    element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[&[0], point])])
}

/// `Ecdsa-Sig-Value` of RFC 3279 §2.2.3 from the two halves of a JWS signature.
pub fn ecdsa_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&integer(r), &integer(s)])
}

/// An integer that is not negative: as short as possible, with a zero before a set first bit.
fn integer(big_endian: &[u8]) -> Vec<u8> {
    let zeros = big_endian.iter().take_while(|b| **b == 0).count();
    let digits = big_endian.get(zeros..).unwrap_or_default();
    let pad: &[u8] = if digits.first().is_none_or(|b| *b >= 0x80) { &[0] } else { &[] };
    element(INTEGER, &[pad, digits])
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
    let mut out = Vec::with_capacity(length.saturating_add(6));
    out.push(tag);
    let bytes = length.to_be_bytes();
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    match digits {
        [] => out.push(0),
        [short @ 0..=0x7f] => out.push(*short),
        long => {
            // At most eight: a length is a usize.
            out.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            out.extend_from_slice(long);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// The content of an element with this tag, and what follows it.
pub fn read(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            // As short as possible, so not indefinite either, and no longer than anything here is.
            let is_good = digits.len() <= 3 && digits.first() != Some(&0) && length > 0x7f;
            (is_good.then_some(length)?, rest)
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_and_signs() {
        assert_eq!(integer(&[]), [2, 1, 0]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
        assert_eq!(integer(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(element(4, &[&[7; 127]])[..3], [4, 127, 7]);
        assert_eq!(element(4, &[&[7; 128]])[..4], [4, 0x81, 128, 7]);
        assert_eq!(element(4, &[&[7; 255], &[8]])[..5], [4, 0x82, 1, 0, 7]);
    }

    #[test]
    fn lengths_that_are_not_der() {
        for bad in [
            &[][..],
            &[4],
            &[5, 0],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81, 1, 7],
            &[4, 0x82, 0, 0x80],
            &[4, 0x84, 1, 0, 0, 0],
            &[4, 0xff, 1],
        ] {
            assert_eq!(read(4, bad), None, "{bad:?}");
        }
        assert_eq!(read(4, &[4, 1, 7, 8]), Some((&[7][..], &[8][..])));
    }

    proptest! {
        #[test]
        fn elements_read_back(content in proptest::collection::vec(any::<u8>(), 0..70_000), rest: [u8; 3]) {
            let text = [&element(4, &[&content]), rest.as_slice()].concat();
            prop_assert_eq!(read(4, &text), Some((content.as_slice(), rest.as_slice())));
        }

        #[test]
        fn a_signature_reads_back(halves in proptest::collection::vec(any::<u8>(), 64)) {
            // The other way round: the reader of the p256 crate.
            if let Ok(plain) = p256::ecdsa::Signature::from_slice(&halves) {
                let der = ecdsa_signature(&halves[..32], &halves[32..]);
                prop_assert_eq!(p256::ecdsa::Signature::from_der(&der).unwrap(), plain);
            }
        }
    }
}
