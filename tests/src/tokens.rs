//! An issuer of JSON Web Tokens, good and bad. Keys are made at run time and never written down.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use getrandom::SysRng;
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::Generate as _;
use rsa::sha2::Sha256;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

/// The smallest size that RFC 7518 §3.3 allows.
const RSA_BITS: usize = 2048;

/// The issuer that the shipped resources name.
pub const ISSUER: &str = "https://idp.example.com";

/// The audience that the shipped resources ask for.
pub const AUDIENCE: &str = "models";

/// Signature algorithms (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    fn key_id(self) -> &'static str {
        match self {
            Self::Es256 => "key-es256",
            Self::Rs256 => "key-rs256",
        }
    }
}

/// An issuer with a key for each algorithm.
pub struct Issuer {
    name: String,
    ec: p256::ecdsa::SigningKey,
    rsa: rsa::PrivateKey,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// RSA keys take a while: one issuer and one stranger serve a whole test binary.
static ISSUERS: LazyLock<Result<(Issuer, Issuer), String>> = LazyLock::new(|| {
    let pair = || anyhow::Ok((Issuer::new(ISSUER)?, Issuer::new(ISSUER)?));
    pair().map_err(|error| format!("{error:#}"))
});

impl Issuer {
    /// An issuer with new keys.
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            ec: p256::ecdsa::SigningKey::generate(),
            rsa: rsa::PrivateKey::new(&mut SysRng, RSA_BITS).context("cannot make an RSA key")?,
        })
    }

    /// The issuer [`ISSUER`], the same for the whole process.
    pub fn shared() -> Result<&'static Self> {
        ISSUERS.as_ref().map(|(issuer, _)| issuer).map_err(anyhow::Error::msg)
    }

    /// One who claims to be [`ISSUER`], with the same key ids and other keys.
    pub fn stranger() -> Result<&'static Self> {
        ISSUERS.as_ref().map(|(_, stranger)| stranger).map_err(anyhow::Error::msg)
    }

    /// `iss` of the tokens.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public keys (RFC 7517 §5).
    pub fn jwks(&self) -> String {
        let point = self.ec.verifying_key().to_sec1_point(false);
        // Uncompressed: 0x04, then x and y of 32 bytes each (SEC 1 §2.3.3).
        let (x, y) = point.as_bytes().get(1..).unwrap_or_default().split_at(32);
        let rsa = self.rsa.as_public_key();
        json!({"keys": [
            {
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
                "kid": Algorithm::Es256.key_id(), "x": encode(x), "y": encode(y),
            },
            {
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": Algorithm::Rs256.key_id(),
                "n": encode(&rsa.n_bytes()), "e": encode(&rsa.e_bytes()),
            },
        ]})
        .to_string()
    }

    /// A rule of `authentication.jwtRules` that takes this issuer's tokens for [`AUDIENCE`].
    pub fn rule(&self) -> Value {
        json!({"issuer": self.name, "audiences": [AUDIENCE], "jwks": self.jwks()})
    }

    /// Claims of a token that is valid for an hour.
    pub fn claims(&self, subject: &str) -> Value {
        let now = now();
        json!({"iss": self.name, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 3600})
    }

    /// Signs claims.
    pub fn mint(&self, algorithm: Algorithm, claims: &Value) -> Result<String> {
        let header = json!({"alg": algorithm.name(), "kid": algorithm.key_id(), "typ": "JWT"});
        let signed = signing_input(&header, claims);
        let signature = match algorithm {
            Algorithm::Es256 => {
                let signature: p256::ecdsa::Signature = self.ec.sign(signed.as_bytes());
                encode(&signature.to_bytes())
            }
            Algorithm::Rs256 => encode(&self.rsa.pkcs1v15_sign::<Sha256>(signed.as_bytes())?),
        };
        Ok(format!("{signed}.{signature}"))
    }

    /// A valid ES256 token of this subject, a member of these groups.
    pub fn token(&self, subject: &str, groups: &[&str]) -> Result<String> {
        self.mint(Algorithm::Es256, &with(self.claims(subject), "groups", json!(groups)))
    }

    /// Valid until an hour ago.
    pub fn expired(&self, subject: &str) -> Result<String> {
        self.mint(Algorithm::Es256, &with(self.claims(subject), "exp", json!(now() - 3600)))
    }

    /// Meant for somebody else.
    pub fn wrong_audience(&self, subject: &str) -> Result<String> {
        self.mint(Algorithm::Es256, &with(self.claims(subject), "aud", json!("somebody-else")))
    }

    /// `alg: none` (RFC 7518 §3.6); its signature should be empty.
    pub fn unsigned(&self, subject: &str, signature: &str) -> String {
        let header = json!({"alg": "none", "typ": "JWT"});
        format!("{}.{signature}", signing_input(&header, &self.claims(subject)))
    }
}

/// The claims with one of them replaced.
pub fn with(mut claims: Value, name: &str, value: Value) -> Value {
    if let Some(claims) = claims.as_object_mut() {
        claims.insert(name.to_owned(), value);
    }
    claims
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or_default()
}

fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_parts_of_a_compact_jws() {
        let issuer = Issuer::shared().unwrap();
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let token = issuer.mint(algorithm, &issuer.claims("alice")).unwrap();
            let parts: Vec<&str> = token.split('.').collect();
            assert_eq!(parts.len(), 3);
            let header: Value =
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
            assert_eq!(header["alg"], algorithm.name());
            let length = if algorithm == Algorithm::Es256 { 64 } else { RSA_BITS / 8 };
            assert_eq!(URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len(), length);
        }
        assert!(issuer.unsigned("alice", "").ends_with('.'));
        assert_ne!(issuer.jwks(), Issuer::stranger().unwrap().jwks());
    }
}
