//! Keys for what is built by hand, made anew in each run.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::Generate as _;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::sha2::{Digest as _, Sha256};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

/// The smallest size that RFC 7518 §3.3 allows.
const BITS: usize = 2048;

pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Something to be known by.
pub fn secret() -> Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)?;
    Ok(encode(&bytes))
}

fn rsa_key() -> Result<rsa::PrivateKey> {
    rsa::PrivateKey::new(&mut getrandom::SysRng, BITS).context("cannot make an RSA key")
}

/// An RSA key: PKCS #8, and the public half alone.
pub fn rsa_pem() -> Result<(String, String)> {
    let key = rsa_key()?;
    let public = key.as_public_key().to_public_key_pem(LineEnding::LF)?;
    Ok((key.to_pkcs8_pem(LineEnding::LF)?.to_string(), public))
}

/// A key that signs RS256 or ES256.
pub enum Key {
    Rsa(rsa::PrivateKey),
    Ec(p256::ecdsa::SigningKey),
}

impl Key {
    pub fn rsa() -> Result<Self> {
        Ok(Self::Rsa(rsa_key()?))
    }

    pub fn ec() -> Self {
        Self::Ec(p256::ecdsa::SigningKey::generate())
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
        }
    }

    /// `kty` and the numbers of the key, with these members besides.
    pub fn jwk(&self, more: Value) -> Result<Value> {
        let mut jwk = match self {
            Self::Rsa(key) => {
                let key = key.as_public_key();
                json!({"kty": "RSA", "n": encode(&key.n_bytes()), "e": encode(&key.e_bytes())})
            }
            Self::Ec(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                // Uncompressed: 0x04, then x and y of 32 bytes each (SEC 1 §2.3.3).
                let (x, y) = point.as_bytes().get(1..).context("a point")?.split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
        };
        let members = jwk.as_object_mut().context("a key is an object")?;
        members.extend(more.as_object().cloned().unwrap_or_default());
        Ok(jwk)
    }

    /// `x5c` and the thumbprints of a certificate that this RSA key signed for itself.
    pub fn certificate(&self) -> Result<Value> {
        let Self::Rsa(key) = self else { anyhow::bail!("not an RSA key") };
        let pair = rcgen::KeyPair::from_pem(&key.to_pkcs8_pem(LineEnding::LF)?)?;
        let certificate =
            rcgen::CertificateParams::new(vec!["ml".to_owned()])?.self_signed(&pair)?;
        let thumbprint = encode(&Sha256::digest(certificate.der()));
        Ok(json!({"x5c": [STANDARD.encode(certificate.der())], "x5t#S256": thumbprint}))
    }

    /// A token, as compact JWS; with `=` behind each part if `padded`, as AWS's load balancer writes it.
    pub fn sign(&self, header: &Value, claims: &Value, padded: bool) -> Result<String> {
        let part = |bytes: &[u8]| {
            let text = encode(bytes);
            let pad = if padded { (4 - text.len() % 4) % 4 } else { 0 };
            text + &"=".repeat(pad)
        };
        let [header, claims] = [header, claims].map(|v| part(v.to_string().as_bytes()));
        let signed = format!("{header}.{claims}");
        let signature = match self {
            Self::Rsa(key) => key.pkcs1v15_sign::<Sha256>(signed.as_bytes())?,
            Self::Ec(key) => {
                let signature: p256::ecdsa::Signature = key.sign(signed.as_bytes());
                signature.to_bytes().to_vec()
            }
        };
        Ok(format!("{signed}.{}", part(&signature)))
    }
}

/// The named members of each key of a set; `-` where there is none.
pub fn members<const N: usize>(set: &Value, names: [&str; N]) -> Vec<[String; N]> {
    let keys = set.get("keys").and_then(Value::as_array);
    let of = |key: &Value| {
        names.map(|name| key.get(name).and_then(Value::as_str).unwrap_or("-").to_owned())
    };
    keys.into_iter().flatten().map(of).collect()
}
