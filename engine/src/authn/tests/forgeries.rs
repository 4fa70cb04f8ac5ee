//! Signatures that somebody without the key could try, or make of good ones.

use proptest::prelude::*;

use super::signers::{SECRET, ed25519, jwk, mac, sign, sign_salted, token_with};
use super::vectors::{ALGORITHMS, FAILS, NO_KEY, OK, rsa_key, verify, with};
use super::*;

const LENGTH: &str = "Jwt ED25519 signature is wrong length";
const ECDSA: [&str; 3] = ["ES256", "ES384", "ES512"];

/// What the algorithm's key says to a signature, by both ways.
fn judge(alg: &str, forge: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    verify(&[jwk(alg)], &token_with(alg, forge))
}

/// The sum of two big-endian numbers of one length, if it fits into that.
fn sum(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0u16;
    let mut digits: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            carry = (carry >> 8) + u16::from(*a) + u16::from(*b);
            carry.to_le_bytes()[0]
        })
        .collect();
    digits.reverse();
    (carry >> 8 == 0).then_some(digits)
}

/// The halves of a good signature, and the other `s` that fits: the order of the curve less it.
fn halves(alg: &str, text: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let signature = sign(alg, text);
    macro_rules! other {
        ($curve:ident) => {{
            let read = $curve::ecdsa::Signature::from_slice(&signature).unwrap();
            let (r, s) = read.split_scalars();
            $curve::ecdsa::Signature::from_scalars(*r, -*s).unwrap().to_bytes().to_vec()
        }};
    }
    let other = match alg {
        "ES256" => other!(p256),
        "ES384" => other!(p384),
        _ => other!(p521),
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    (r.to_vec(), s.to_vec(), other[r.len()..].to_vec())
}

#[test]
fn both_s_of_ecdsa_are_good_by_both_ways() {
    // Neither RFC 7518 §3.4 nor Envoy asks for the smaller one.
    for alg in ECDSA {
        for other in [false, true] {
            let forge = |text: &[u8]| {
                let (r, s, high) = halves(alg, text);
                [r, if other { high } else { s }].concat()
            };
            assert_eq!(judge(alg, forge), OK, "{alg} {other}");
        }
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    for alg in ECDSA {
        type Forge = fn(&[u8], &[u8], &[u8]) -> Vec<u8>;
        let forgeries: [(&str, Forge); 7] = [
            ("r = 0", |r, s, _| [&vec![0; r.len()], s].concat()),
            ("s = 0", |r, s, _| [r, &vec![0; s.len()]].concat()),
            ("both 0", |r, s, _| vec![0; r.len() + s.len()]),
            ("s = n", |r, s, high| [r, &sum(s, high).unwrap()].concat()),
            ("r = n", |_, s, high| [&sum(s, high).unwrap(), s].concat()),
            ("all ones", |r, s, _| vec![0xff; r.len() + s.len()]),
            ("swapped", |r, s, _| [s, r].concat()),
        ];
        for (what, forge) in forgeries {
            let forge = |text: &[u8]| {
                let (r, s, high) = halves(alg, text);
                forge(&r, &s, &high)
            };
            assert_eq!(judge(alg, forge), FAILS, "{alg} {what}");
        }
    }
    // Of P-521, one more order fits into the bytes.
    let mut tried = 0;
    for which in [0, 1] {
        let forge = |text: &[u8]| {
            let (r, s, high) = halves("ES512", text);
            let order = sum(&s, &high).unwrap();
            tried += 1;
            match which {
                0 => [r, sum(&s, &order).unwrap()].concat(),
                _ => [sum(&r, &order).unwrap(), s].concat(),
            }
        };
        assert_eq!(judge("ES512", forge), FAILS);
    }
    assert_eq!(tried, 2);
}

#[test]
fn other_lengths_and_encodings_are_refused() {
    for alg in ALGORITHMS {
        type Forge = fn(&[u8]) -> Vec<u8>;
        let forgeries: [(&str, Forge); 7] = [
            ("one byte", |_| vec![1]),
            ("without the last", |s| s[..s.len() - 1].to_vec()),
            ("without the first", |s| s[1..].to_vec()),
            ("a zero before", |s| [&[0], s].concat()),
            ("a zero behind", |s| [s, &[0]].concat()),
            ("twice", |s| [s, s].concat()),
            ("half", |s| s[..s.len() / 2].to_vec()),
        ];
        let want = if alg == "EdDSA" { LENGTH } else { FAILS };
        for (what, forge) in forgeries {
            assert_eq!(judge(alg, |text| forge(&sign(alg, text))), want, "{alg} {what}");
        }
    }
    for alg in ECDSA {
        let der = |text: &[u8]| {
            let (r, s, _) = halves(alg, text);
            der::ecdsa_signature(&r, &s)
        };
        assert_eq!(judge(alg, der), FAILS, "{alg}");
        let wide = |text: &[u8]| {
            let (r, s, _) = halves(alg, text);
            [&[0], r.as_slice(), &[0], s.as_slice()].concat()
        };
        assert_eq!(judge(alg, wide), FAILS, "{alg}");
    }
}

#[test]
fn salts_of_another_length_are_refused() {
    // RFC 7518 §3.5: as long as the hash.
    for (alg, good) in [("PS256", 32), ("PS384", 48), ("PS512", 64)] {
        for salt in [0, 1, 20, 31, 32, 33, 47, 48, 49, 63, 64, 65, 94] {
            let want = if salt == good { OK } else { FAILS };
            assert_eq!(judge(alg, |text| sign_salted(alg, text, salt)), want, "{alg} {salt}");
        }
    }
}

#[test]
fn ed25519_has_one_signature() {
    // RFC 8032 §5.1: the order of the base point, little-endian.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
    let plus_order = |text: &[u8]| {
        let good = sign("EdDSA", text);
        let larger = sum(&reversed(&good[32..]), &reversed(&ORDER)).unwrap();
        [&good[..32], &reversed(&larger)].concat()
    };
    assert_eq!(judge("EdDSA", plus_order), FAILS);
    for bit in [0x20, 0x40, 0x80] {
        let high_bit = |text: &[u8]| {
            let mut signature = sign("EdDSA", text);
            signature[63] |= bit;
            signature
        };
        assert_eq!(judge("EdDSA", high_bit), FAILS);
    }
    // R of small order: with S = k * a, the equation without it holds.
    for small in small_order() {
        let forge = |_: &[u8]| [small.as_slice(), &[0; 32]].concat();
        assert_eq!(judge("EdDSA", forge), FAILS);
    }
    assert_eq!(judge("EdDSA", |text| ed25519().sign_text(&[text, b"x"].concat())), FAILS);
}

#[test]
fn ed25519_keys_of_small_order_are_left_out() {
    for point in small_order() {
        let set = jwks(&[json!({"kty": "OKP", "crv": "Ed25519", "x": b64(&point)}), ec_key()]);
        let mut remarks = remarks::Remarks::default();
        let read = jwks::KeySet::read(set.as_bytes(), &mut remarks).unwrap();
        assert_eq!(read.kinds(), [algorithm::KeyKind::P256], "{point:?}");
        assert!(remarks.all().starts_with("keys[0]: its point is of small order"));
    }
}

/// Points for which anybody can sign, in the encodings that there are: RFC 7748 §6.1 tells why.
fn small_order() -> Vec<Vec<u8>> {
    let y = |first: u8, last: u8, middle: u8| {
        let mut point = vec![middle; 32];
        (point[0], point[31]) = (first, last);
        point
    };
    let eight = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    let other_eight = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    let negative = |mut point: Vec<u8>| {
        point[31] |= 0x80;
        point
    };
    vec![
        y(0, 0, 0),
        y(0, 0x80, 0),
        y(1, 0, 0),
        y(0xec, 0x7f, 0xff),
        eight.to_vec(),
        negative(eight.to_vec()),
        other_eight.to_vec(),
        negative(other_eight.to_vec()),
        // 0 and 1 again, not reduced.
        y(0xed, 0x7f, 0xff),
        y(0xed, 0xff, 0xff),
        y(0xee, 0x7f, 0xff),
    ]
}

#[test]
fn what_is_public_is_no_secret() {
    let n = URL_SAFE_NO_PAD.decode(vectors::RSA_N).unwrap();
    let x = URL_SAFE_NO_PAD.decode(EC_X).unwrap();
    let info = der::rsa_public_key(&n, &[1, 0, 1]);
    let lines = base64::engine::general_purpose::STANDARD.encode(&info);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n");
    let text = rsa_key().to_string();
    for secret in [n.as_slice(), &info, pem.as_bytes(), text.as_bytes(), &x, &[]] {
        for alg in ["HS256", "HS384", "HS512"] {
            let token = token_with(alg, |text| mac(secret, alg, text));
            assert_eq!(verify(&[rsa_key(), ec_key()], &token), FAILS);
            let fails = if alg == "HS512" { FAILS } else { LENGTH };
            assert_eq!(verify(&[jwk("EdDSA")], &token), fails);
            let named = with(rsa_key(), json!({"alg": "RS256"}));
            assert_eq!(verify(&[named], &token), NO_KEY);
        }
    }
}

#[test]
fn a_secret_serves_hashes_up_to_its_length() {
    for bytes in [32, 47, 48, 63, 64] {
        let key = json!({"kty": "oct", "k": b64(&SECRET[..bytes])});
        for (alg, least) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
            let token = token_with(alg, |text| mac(&SECRET[..bytes], alg, text));
            let want = if bytes >= least { OK } else { FAILS };
            assert_eq!(verify(std::slice::from_ref(&key), &token), want, "{alg} {bytes}");
        }
    }
}

#[test]
fn a_token_without_a_signature_is_never_one() {
    let keys: Vec<Value> = ALGORITHMS.map(jwk).to_vec();
    for alg in ["none", "None", "NONE", "nOnE", "", "ES256K", "RS1", "HS1", "Ed25519", "ES256 "] {
        for signature in [&[][..], &[0], &SECRET] {
            let verdict = verify(&keys, &token_with(alg, |_| signature.to_vec()));
            let want = match signature {
                [] => {
                    "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
                }
                _ => "Jwt header [alg] is not supported",
            };
            assert_eq!(verdict, want, "{alg}");
        }
    }
}

/// So that a key can sign something else than the token.
trait SignText {
    fn sign_text(&self, text: &[u8]) -> Vec<u8>;
}

impl SignText for ed25519_dalek::SigningKey {
    fn sign_text(&self, text: &[u8]) -> Vec<u8> {
        use p256::ecdsa::signature::Signer as _;
        self.sign(text).to_bytes().to_vec()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The comparison of both ways is in there.
    #[test]
    fn any_change_to_a_signature_is_seen_by_both_ways(
        which in 0..ALGORITHMS.len(), at: prop::sample::Index, by in 1u8..,
    ) {
        let alg = ALGORITHMS[which];
        let forge = |text: &[u8]| {
            let mut signature = sign(alg, text);
            let at = at.index(signature.len());
            signature[at] ^= by;
            signature
        };
        prop_assert_eq!(judge(alg, forge), FAILS);
    }

    #[test]
    fn any_bytes_are_judged_alike(
        which in 0..ALGORITHMS.len(), random in proptest::collection::vec(any::<u8>(), 0..256),
        length in prop::sample::select(vec![0usize, 32, 48, 64, 96, 132, 256]),
    ) {
        let mut bytes = random;
        if length > 0 {
            bytes.resize(length, 0);
        }
        bytes.push(1);
        bytes.rotate_right(1);
        bytes.truncate(bytes.len().saturating_sub(usize::from(length > 0)).max(1));
        prop_assert_ne!(judge(ALGORITHMS[which], |_| bytes), OK);
    }
}
