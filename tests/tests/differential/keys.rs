//! Issuers, their keys and key sets. Keys are made at run time and never written down.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use getrandom::SysRng;
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::Generate as _;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

/// Whose keys there are. Rules know the keys of `a` and `b`; the stranger's have the same ids.
const OWNERS: [&str; 3] = ["a", "b", "stranger"];

/// A signature algorithm (RFC 7518 §3.1).
pub struct Algorithm {
    pub name: &'static str,
    /// Type and curve of its keys, which is also their id.
    pub key: &'static str,
    sign: fn(&Keys, &[u8]) -> Result<Vec<u8>>,
}

/// Every algorithm that both sides verify. One more is one more line, and its key in [`Keys`].
pub const ALGORITHMS: &[Algorithm] = &[
    Algorithm { name: "ES256", key: "P-256", sign: |keys, text| keys.es256(text) },
    Algorithm {
        name: "RS256",
        key: "RSA",
        sign: |keys, text| Ok(keys.rsa.pkcs1v15_sign::<Sha256>(text)?),
    },
    Algorithm {
        name: "RS384",
        key: "RSA",
        sign: |keys, text| Ok(keys.rsa.pkcs1v15_sign::<Sha384>(text)?),
    },
    Algorithm {
        name: "RS512",
        key: "RSA",
        sign: |keys, text| Ok(keys.rsa.pkcs1v15_sign::<Sha512>(text)?),
    },
];

/// The keys of an owner, one of each type and curve.
struct Keys {
    p256: p256::ecdsa::SigningKey,
    rsa: rsa::PrivateKey,
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
        Ok(Self {
            p256: p256::ecdsa::SigningKey::generate(),
            rsa: rsa::PrivateKey::new(&mut SysRng, 2048).context("cannot make an RSA key")?,
        })
    }

    fn es256(&self, text: &[u8]) -> Result<Vec<u8>> {
        let signature: p256::ecdsa::Signature = self.p256.try_sign(text)?;
        Ok(signature.to_bytes().to_vec())
    }

    fn public(&self, key: &str) -> Value {
        if key == "RSA" {
            let rsa = self.rsa.as_public_key();
            json!({"kty": "RSA", "n": encode(&rsa.n_bytes()), "e": encode(&rsa.e_bytes())})
        } else {
            let point = self.p256.verifying_key().to_sec1_point(false);
            // Uncompressed: 0x04, then x and y of 32 bytes each (SEC 1 §2.3.3).
            let (x, y) = point.as_bytes().get(1..).unwrap_or_default().split_at(32);
            json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
        }
    }
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
