//! Issuers, their keys and key sets. Keys are made at run time and never written down.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use getrandom::SysRng;
use getrandom::rand_core::TryRng as _;
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::Generate as _;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

/// Whose keys there are. Rules know the keys of `a` and `b`; the stranger's have the same ids.
const OWNERS: [&str; 3] = ["a", "b", "stranger"];

/// r and s side by side (RFC 7518 §3.4).
macro_rules! ecdsa {
    ($curve:ident, $key:expr, $text:expr) => {{
        let signature: $curve::ecdsa::Signature = $key.try_sign($text)?;
        signature.to_bytes().to_vec()
    }};
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037).
pub struct Algorithm {
    pub name: &'static str,
    /// Type and curve of its keys, which is also their id.
    pub key: &'static str,
    sign: fn(&Keys, &[u8]) -> Result<Vec<u8>>,
}

macro_rules! algorithm {
    ($name:literal, $key:literal, $keys:ident, $text:ident => $signature:expr) => {
        Algorithm { name: $name, key: $key, sign: |$keys, $text| Ok($signature) }
    };
}

/// Every algorithm that both sides verify, those of one key together.
pub const ALGORITHMS: &[Algorithm] = &[
    algorithm!("ES256", "P-256", keys, text => ecdsa!(p256, keys.p256, text)),
    algorithm!("ES384", "P-384", keys, text => ecdsa!(p384, keys.p384, text)),
    algorithm!("ES512", "P-521", keys, text => ecdsa!(p521, keys.p521, text)),
    algorithm!("EdDSA", "Ed25519", keys, text => keys.ed25519.sign(text).to_bytes().into()),
    algorithm!("HS256", "oct", keys, text => hmac::<Hmac<Sha256>>(&keys.secret, text)?),
    algorithm!("HS384", "oct", keys, text => hmac::<Hmac<Sha384>>(&keys.secret, text)?),
    algorithm!("HS512", "oct", keys, text => hmac::<Hmac<Sha512>>(&keys.secret, text)?),
    algorithm!("RS256", "RSA", keys, text => keys.rsa.pkcs1v15_sign::<Sha256>(text)?),
    algorithm!("RS384", "RSA", keys, text => keys.rsa.pkcs1v15_sign::<Sha384>(text)?),
    algorithm!("RS512", "RSA", keys, text => keys.rsa.pkcs1v15_sign::<Sha512>(text)?),
    algorithm!("PS256", "RSA", keys, text => keys.rsa.pss_sign::<Sha256>(text)?),
    algorithm!("PS384", "RSA", keys, text => keys.rsa.pss_sign::<Sha384>(text)?),
    algorithm!("PS512", "RSA", keys, text => keys.rsa.pss_sign::<Sha512>(text)?),
];

/// The keys of an owner, one of each type and curve.
struct Keys {
    p256: p256::ecdsa::SigningKey,
    p384: p384::ecdsa::SigningKey,
    p521: p521::ecdsa::SigningKey,
    ed25519: ed25519_dalek::SigningKey,
    rsa: rsa::PrivateKey,
    /// As long as the longest hash, as RFC 7518 §3.2 wants it.
    secret: [u8; 64],
}

type Rings = BTreeMap<&'static str, Keys>;

static RINGS: LazyLock<Result<Rings, String>> = LazyLock::new(|| {
    let ring = |owner| anyhow::Ok((owner, Keys::new()?));
    OWNERS.into_iter().map(ring).collect::<Result<Rings>>().map_err(|error| format!("{error:#}"))
});

fn ring(owner: &str) -> Result<&'static Keys> {
    let rings = RINGS.as_ref().map_err(anyhow::Error::msg)?;
    rings.get(owner).with_context(|| format!("nobody is called {owner}"))
}

impl Keys {
    fn new() -> Result<Self> {
        let (mut seed, mut secret) = ([0; 32], [0; 64]);
        SysRng.try_fill_bytes(&mut seed)?;
        SysRng.try_fill_bytes(&mut secret)?;
        Ok(Self {
            p256: p256::ecdsa::SigningKey::generate(),
            p384: p384::ecdsa::SigningKey::generate(),
            p521: p521::ecdsa::SigningKey::generate(),
            ed25519: ed25519_dalek::SigningKey::from_bytes(&seed),
            rsa: rsa::PrivateKey::new(&mut SysRng, 2048).context("cannot make an RSA key")?,
            secret,
        })
    }

    fn public(&self, key: &str) -> Value {
        match key {
            "RSA" => {
                let rsa = self.rsa.as_public_key();
                json!({"kty": "RSA", "n": encode(&rsa.n_bytes()), "e": encode(&rsa.e_bytes())})
            }
            "oct" => json!({"kty": "oct", "k": encode(&self.secret)}),
            "Ed25519" => {
                let x = encode(self.ed25519.verifying_key().as_bytes());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
            "P-384" => curve(key, self.p384.verifying_key().to_sec1_point(false).as_bytes()),
            "P-521" => curve(key, self.p521.verifying_key().to_sec1_point(false).as_bytes()),
            _ => curve(key, self.p256.verifying_key().to_sec1_point(false).as_bytes()),
        }
    }
}

/// A key from its uncompressed point: 0x04, then x and y, each half of the rest (SEC 1 §2.3.3).
fn curve(name: &str, point: &[u8]) -> Value {
    let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
    json!({"kty": "EC", "crv": name, "x": encode(x), "y": encode(y)})
}

fn hmac<M: Mac + KeyInit>(secret: &[u8], text: &[u8]) -> Result<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(secret)?;
    mac.update(text);
    Ok(mac.finalize().into_bytes().to_vec())
}

/// Signs with the owner's key for the algorithm.
pub fn sign(owner: &str, algorithm: &str, text: &[u8]) -> Result<Vec<u8>> {
    let algorithm = ALGORITHMS.iter().find(|a| a.name == algorithm);
    let algorithm = algorithm.context("no such algorithm")?;
    (algorithm.sign)(ring(owner)?, text)
}

/// The key set that `{owners, kid, alg, more}` describes: the keys of these owners, with or without
/// their ids and algorithms (then one for each), and with these members besides.
pub fn jwks(description: &Value) -> Result<String> {
    let flag = |name: &str| description.get(name).and_then(Value::as_bool).unwrap_or_default();
    let owners = description.get("owners").and_then(Value::as_array);
    let mut keys = Vec::new();
    for owner in owners.into_iter().flatten().filter_map(Value::as_str) {
        let mut last = "";
        for algorithm in ALGORITHMS {
            if algorithm.key == last && !flag("alg") {
                continue;
            }
            last = algorithm.key;
            let mut key = ring(owner)?.public(algorithm.key);
            let members = key.as_object_mut().context("a key is an object")?;
            if flag("kid") {
                members.insert("kid".into(), algorithm.key.into());
            }
            if flag("alg") {
                members.insert("alg".into(), algorithm.name.into());
            }
            let more = description.get("more").and_then(Value::as_object);
            members.extend(more.cloned().unwrap_or_default());
            keys.push(key);
        }
    }
    Ok(json!({"keys": keys}).to_string())
}

pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
