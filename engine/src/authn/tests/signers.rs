//! A key for each algorithm, and what it signs.

use hmac::{Hmac, KeyInit, Mac};
use rsa::BoxedUint;
use sha2::{Sha256, Sha384, Sha512};

use super::vectors::{ALGORITHMS, BILBO_N};
use super::*;
use algorithm::Hash;

/// RFC 7520 §3.4.
const BILBO_D: &str = "bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3XTGgdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzLYGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ";
const BILBO_P: &str = "3Slxg_DwTXJcb6095RoXygQCAZ5RnAvZlno1yhHtnUex_fp7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9JR0AzZ0N2fvuIAmr_WCsmGpeNqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxOrvRJlsPp6Zv8bUq0k";
const BILBO_Q: &str = "uKE2dh-cTf6ERF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95HrUeq3MP15vMMON8lHTeZu2lmKvwqW7anV5UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc";

/// Long enough for every hash.
pub const SECRET: [u8; 64] = [7; 64];

/// Makes signatures with a salt of this many bytes where there is one.
pub fn sign_salted(alg: &str, text: &[u8], salt: usize) -> Vec<u8> {
    let hash = hash(alg);
    let hashed = hash.of(text);
    let rng = &mut getrandom::SysRng;
    match (alg.get(..2).unwrap(), hash) {
        ("RS", Hash::Sha256) => bilbo().sign(rsa::Pkcs1v15Sign::new::<Sha256>(), &hashed).unwrap(),
        ("RS", Hash::Sha384) => bilbo().sign(rsa::Pkcs1v15Sign::new::<Sha384>(), &hashed).unwrap(),
        ("RS", Hash::Sha512) => bilbo().sign(rsa::Pkcs1v15Sign::new::<Sha512>(), &hashed).unwrap(),
        ("PS", Hash::Sha256) => {
            bilbo().sign_with_rng(rng, rsa::Pss::<Sha256>::new_with_salt(salt), &hashed).unwrap()
        }
        ("PS", Hash::Sha384) => {
            bilbo().sign_with_rng(rng, rsa::Pss::<Sha384>::new_with_salt(salt), &hashed).unwrap()
        }
        ("PS", Hash::Sha512) => {
            bilbo().sign_with_rng(rng, rsa::Pss::<Sha512>::new_with_salt(salt), &hashed).unwrap()
        }
        ("ES", Hash::Sha256) => super::sign(text),
        ("ES", Hash::Sha384) => {
            let signature: p384::ecdsa::Signature = p384().sign_prehash(&hashed).unwrap();
            signature.to_bytes().to_vec()
        }
        ("ES", Hash::Sha512) => {
            let signature: p521::ecdsa::Signature = p521().sign_prehash(&hashed).unwrap();
            signature.to_bytes().to_vec()
        }
        ("HS", _) => mac(&SECRET, alg, text),
        _ => {
            use p256::ecdsa::signature::Signer as _;
            ed25519().sign(text).to_bytes().to_vec()
        }
    }
}

/// A signature as it should be.
pub fn sign(alg: &str, text: &[u8]) -> Vec<u8> {
    sign_salted(alg, text, hash(alg).bytes())
}

/// The key that verifies it.
pub fn jwk(alg: &str) -> Value {
    let ec = |crv: &str, point: &[u8]| {
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({"kty": "EC", "crv": crv, "x": b64(x), "y": b64(y)})
    };
    match alg {
        "ES256" => ec_key(),
        "ES384" => ec("P-384", p384().verifying_key().to_sec1_point(false).as_bytes()),
        "ES512" => ec("P-521", p521().verifying_key().to_sec1_point(false).as_bytes()),
        "HS256" | "HS384" | "HS512" => json!({"kty": "oct", "k": b64(SECRET)}),
        "EdDSA" => {
            json!({"kty": "OKP", "crv": "Ed25519", "x": b64(ed25519().verifying_key().as_bytes())})
        }
        _ => json!({"kty": "RSA", "n": BILBO_N, "e": "AQAB"}),
    }
}

/// HMAC with any secret.
pub fn mac(secret: &[u8], alg: &str, text: &[u8]) -> Vec<u8> {
    fn of<M: Mac + KeyInit>(secret: &[u8], text: &[u8]) -> Vec<u8> {
        let mac = <M as KeyInit>::new_from_slice(secret).unwrap();
        mac.chain_update(text).finalize().into_bytes().to_vec()
    }
    match hash(alg) {
        Hash::Sha256 => of::<Hmac<Sha256>>(secret, text),
        Hash::Sha384 => of::<Hmac<Sha384>>(secret, text),
        Hash::Sha512 => of::<Hmac<Sha512>>(secret, text),
    }
}

/// A token of the issuer `joe`, with this signature of it.
pub fn token_with(alg: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", b64(format!(r#"{{"alg":"{alg}"}}"#)), b64(r#"{"iss":"joe"}"#));
    let signature = b64(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

pub fn p384() -> p384::ecdsa::SigningKey {
    p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap()
}

pub fn p521() -> p521::ecdsa::SigningKey {
    p521::ecdsa::SigningKey::from_slice(&[&[0], [7; 65].as_slice()].concat()).unwrap()
}

pub fn ed25519() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}

fn bilbo() -> rsa::PrivateKey {
    let number =
        |text: &str| BoxedUint::from_be_slice_vartime(&URL_SAFE_NO_PAD.decode(text).unwrap());
    let primes = vec![number(BILBO_P), number(BILBO_Q)];
    let (n, e) = (number(BILBO_N), number("AQAB"));
    rsa::PrivateKey::from_components(n, e, number(BILBO_D), primes).unwrap()
}

fn hash(alg: &str) -> Hash {
    algorithm::Algorithm::named(alg).unwrap().hash
}

const LENGTH: &str = "Jwt ED25519 signature is wrong length";

/// As Envoy: nothing tells that the key is not meant, and the ones behind it are not asked.
#[test]
fn a_key_of_ed25519_ends_the_search_for_longer_signatures() {
    let token = token_with("RS256", |text| sign("RS256", text));
    let (first, rsa) = (jwk("EdDSA"), jwk("RS256"));
    assert_eq!(vectors::verify(&[first.clone(), rsa.clone()], &token), LENGTH);
    let named = vectors::with(first, json!({"alg": "EdDSA"}));
    assert_eq!(vectors::verify(&[named, rsa], &token), vectors::OK);
}

#[test]
fn every_algorithm_verifies_what_it_signed_and_nothing_else() {
    let keys: Vec<Value> = ["RS256", "ES256", "ES384", "ES512", "HS256", "EdDSA"].map(jwk).to_vec();
    for alg in ALGORITHMS {
        // What the key of Ed25519 says of the signatures of others.
        let fails = match sign(alg, b"").len() {
            64 => vectors::FAILS,
            _ => LENGTH,
        };
        let token = token_with(alg, |text| sign(alg, text));
        assert_eq!(vectors::verify(&keys, &token), vectors::OK, "{alg}");
        let others: Vec<Value> = keys.iter().filter(|key| **key != jwk(alg)).cloned().collect();
        assert_eq!(vectors::verify(&others, &token), fails, "{alg}");
        for named in ALGORITHMS.into_iter().filter(|named| *named != alg) {
            // As if the token said another algorithm than the one that signed it.
            let token = token_with(named, |text| sign(alg, text));
            assert_eq!(vectors::verify(&keys, &token), fails, "{alg} as {named}");
            // Nor does a key for one algorithm serve another.
            let only = vectors::with(jwk(alg), json!({"alg": alg}));
            let token = token_with(named, |text| sign(named, text));
            assert_eq!(vectors::verify(&[only], &token), vectors::NO_KEY, "{alg} for {named}");
        }
    }
}
