//! Tokens of every algorithm: by the proxy's own check where it has one, else by the module's.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use getrandom::SysRng;
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::Generate as _;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};
use testbed::tokens::{Issuer, with};

use crate::site::{Site, config, open, predict};

const FAILS: &str = "Jwt verification fails";

type Sign = Box<dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync>;

/// A key for one algorithm.
struct Signer {
    alg: &'static str,
    jwk: Value,
    sign: Sign,
}

impl Signer {
    fn new(
        alg: &'static str,
        jwk: &Value,
        sign: impl Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let jwk = with(with(jwk.clone(), "alg", json!(alg)), "kid", json!(alg));
        Self { alg, jwk, sign: Box::new(sign) }
    }

    /// A token of alice whose header says `alg`, with the signature changed.
    fn token(&self, alg: &str, change: impl FnOnce(Vec<u8>) -> Result<Vec<u8>>) -> Result<String> {
        let header = json!({"alg": alg, "kid": self.alg}).to_string();
        let claims = Issuer::shared()?.claims("alice").to_string();
        let text = format!("{}.{}", encode(header), encode(claims));
        let signature = change((self.sign)(text.as_bytes())?)?;
        Ok(format!("{text}.{}", encode(signature)))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ec(curve: &str, point: &[u8]) -> Value {
    // Uncompressed: 0x04, then x and y of the same length (SEC 1 §2.3.3).
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
}

macro_rules! ecdsa {
    ($alg:literal, $curve:literal, $crate_name:ident) => {{
        let key = $crate_name::ecdsa::SigningKey::generate();
        let jwk = ec($curve, key.verifying_key().to_sec1_point(false).as_bytes());
        Signer::new($alg, &jwk, move |text| {
            let signature: $crate_name::ecdsa::Signature = key.sign(text);
            Ok(signature.to_bytes().to_vec())
        })
    }};
}

fn hmac<M: Mac + KeyInit>(alg: &'static str) -> Result<Signer> {
    let mut secret = [0; 64];
    getrandom::fill(&mut secret)?;
    Ok(Signer::new(alg, &json!({"kty": "oct", "k": encode(secret)}), move |text| {
        let mac = <M as KeyInit>::new_from_slice(&secret)?;
        Ok(mac.chain_update(text).finalize().into_bytes().to_vec())
    }))
}

/// One for each algorithm.
fn signers() -> Result<Vec<Signer>> {
    let rsa = std::sync::Arc::new(rsa::PrivateKey::new(&mut SysRng, 2048)?);
    let public = rsa.as_public_key();
    let jwk = json!({"kty": "RSA", "n": encode(public.n_bytes()), "e": encode(public.e_bytes())});
    macro_rules! rsa {
        ($alg:literal, $sign:ident, $hash:ident) => {{
            let key = std::sync::Arc::clone(&rsa);
            Signer::new($alg, &jwk, move |text| Ok(key.$sign::<$hash>(text)?))
        }};
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let ed25519 = ed25519_dalek::SigningKey::from_bytes(&seed);
    let x = encode(ed25519.verifying_key().as_bytes());
    Ok(vec![
        rsa!("RS256", pkcs1v15_sign, Sha256),
        rsa!("RS384", pkcs1v15_sign, Sha384),
        rsa!("RS512", pkcs1v15_sign, Sha512),
        rsa!("PS256", pss_sign, Sha256),
        rsa!("PS384", pss_sign, Sha384),
        rsa!("PS512", pss_sign, Sha512),
        ecdsa!("ES256", "P-256", p256),
        ecdsa!("ES384", "P-384", p384),
        ecdsa!("ES512", "P-521", p521),
        hmac::<Hmac<Sha256>>("HS256")?,
        hmac::<Hmac<Sha384>>("HS384")?,
        hmac::<Hmac<Sha512>>("HS512")?,
        Signer::new("EdDSA", &json!({"kty": "OKP", "crv": "Ed25519", "x": x}), move |text| {
            Ok(ed25519.sign(text).to_bytes().to_vec())
        }),
    ])
}

async fn site(signers: &[Signer]) -> Result<Site> {
    let keys: Vec<&Value> = signers.iter().map(|signer| &signer.jwk).collect();
    site_with(&json!({ "keys": keys })).await
}

async fn site_with(set: &Value) -> Result<Site> {
    let rule = with(Issuer::shared()?.rule(), "jwks", json!(set.to_string()));
    Site::start(open(json!({"authentication": {"jwtRules": [rule]}}))?).await
}

#[tokio::test]
async fn tokens_of_every_algorithm_are_verified() -> Result<()> {
    let signers = signers()?;
    let site = site(&signers).await?;
    for signer in &signers {
        let good = signer.token(signer.alg, Ok)?;
        // Twice: the second time the token has been seen before.
        for _ in 0..2 {
            site.expect(predict().bearer(&good), 200, "ndarray").await?;
        }
        let changed = signer.token(signer.alg, |mut signature| {
            *signature.last_mut().context("no signature")? ^= 1;
            Ok(signature)
        })?;
        site.expect(predict().bearer(&changed), 401, FAILS).await?;
        let shorter = signer.token(signer.alg, |mut signature| {
            signature.pop();
            Ok(signature)
        })?;
        let text = match signer.alg {
            "EdDSA" => "Jwt ED25519 signature is wrong length",
            _ => FAILS,
        };
        site.expect(predict().bearer(&shorter), 401, text).await?;
        // The key of one algorithm, in a token that names another.
        let other = if signer.alg == "ES256" { "RS256" } else { "ES256" };
        let text = "Jwks doesn't have key to match kid or alg from Jwt";
        site.expect(predict().bearer(&signer.token(other, Ok)?), 401, text).await?;
    }
    let [results, cached] = ["verified", "cached"].map(|result| [("result", result)]);
    let each = f64::from(u32::try_from(signers.len())?);
    site.counted("modelgate_tokens_total", &results, each).await?;
    site.counted("modelgate_tokens_total", &cached, each).await?;
    site.check_healthy().await
}

/// RSAPublicKey (RFC 8017 §A.1.1) with a modulus of 2048 bits and the exponent 65537.
struct RsaPublicKey(Vec<u8>);

impl RsaPublicKey {
    fn of(jwk: &Value) -> Result<Self> {
        let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().context("no n")?)?;
        ensure!(modulus.len() == 256 && jwk["e"] == "AQAB", "another size or exponent: {jwk}");
        let before = [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
        Ok(Self([&before, modulus.as_slice(), &[0x02, 0x03, 0x01, 0x00, 0x01]].concat()))
    }
}

impl rcgen::PublicKeyData for RsaPublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// The other form of a set that Envoy takes: certificates by key id.
#[tokio::test]
async fn certificates_verify_the_tokens_that_name_them() -> Result<()> {
    let authority = rcgen::CertificateParams::new(["issuer".to_owned()])?;
    let authority = rcgen::Issuer::new(authority, rcgen::KeyPair::generate()?);
    // All of RSA have one key: only the key id differs.
    let signers = signers()?;
    let named = |alg: &str| signers.iter().find(|signer| signer.alg == alg).context("no signer");
    let (first, other) = (named("RS256")?, named("RS384")?);
    let certificate = rcgen::CertificateParams::new(["keys".to_owned()])?
        .signed_by(&RsaPublicKey::of(&first.jwk)?, &authority)?;
    let pem = certificate.pem().replace('\r', "");
    let site = site_with(&json!({ first.alg: pem })).await?;
    for _ in 0..2 {
        site.expect(predict().bearer(&first.token(first.alg, Ok)?), 200, "ndarray").await?;
    }
    let changed = first.token(first.alg, |mut signature| {
        *signature.last_mut().context("no signature")? ^= 1;
        Ok(signature)
    })?;
    site.expect(predict().bearer(&changed), 401, FAILS).await?;
    let text = "Jwks doesn't have key to match kid or alg from Jwt";
    site.expect(predict().bearer(&other.token(other.alg, Ok)?), 401, text).await?;
    site.check_healthy().await
}

/// The sum of two big-endian numbers of one length, if it fits into that.
fn sum(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0u16;
    let mut digits = Vec::new();
    for (a, b) in a.iter().zip(b).rev() {
        carry = (carry >> 8) + u16::from(*a) + u16::from(*b);
        digits.push(carry.to_le_bytes()[0]);
    }
    digits.reverse();
    (carry >> 8 == 0).then_some(digits)
}

/// What RFC 7518 §3.4 leaves open, and what it does not: the same in the proxy as in the module.
#[tokio::test]
async fn ecdsa_numbers_out_of_range_are_refused_by_the_proxy_too() -> Result<()> {
    let signers = signers()?;
    let site = site(&signers).await?;
    for signer in signers.iter().filter(|signer| signer.alg.starts_with("ES")) {
        for what in ["high s", "r = 0", "s = 0", "s = n", "s + n", "twice as long"] {
            let mut forged = None;
            let token = signer.token(signer.alg, |signature| {
                let (r, s) = signature.split_at(signature.len() / 2);
                let high = high_s(signer.alg, &signature)?;
                let order = sum(s, &high).context("n is no longer than s")?;
                let zero = vec![0; s.len()];
                forged = match what {
                    "high s" => Some([r, &high].concat()),
                    "r = 0" => Some([&zero, s].concat()),
                    "s = 0" => Some([r, &zero].concat()),
                    "s = n" => Some([r, &order].concat()),
                    // Fits where the order is shorter than the bytes: on P-521.
                    "s + n" => sum(s, &order).map(|s| [r, &s].concat()),
                    _ => Some([&zero, r, &zero, s].concat()),
                };
                Ok(forged.clone().unwrap_or_else(|| signature.clone()))
            })?;
            let (status, text) = match (what, &forged) {
                ("high s", _) => (200, "ndarray"),
                (_, Some(_)) => (401, FAILS),
                (_, None) => {
                    ensure!(signer.alg != "ES512", "{what} was not tried");
                    continue;
                }
            };
            site.expect(predict().bearer(&token), status, text).await?;
        }
    }
    site.check_healthy().await
}

/// The other `s` that fits a signature.
fn high_s(alg: &str, signature: &[u8]) -> Result<Vec<u8>> {
    macro_rules! high {
        ($curve:ident) => {{
            let (r, s) = $curve::ecdsa::Signature::from_slice(signature)?.split_scalars();
            $curve::ecdsa::Signature::from_scalars(*r, -*s)?.to_bytes().to_vec()
        }};
    }
    let other = match alg {
        "ES256" => high!(p256),
        "ES384" => high!(p384),
        _ => high!(p521),
    };
    Ok(other.get(signature.len() / 2..).unwrap_or_default().to_vec())
}

/// Of a key that nobody has: it takes none to forge.
#[tokio::test]
async fn forged_tokens_of_a_long_key_take_half_of_a_worker_at_most() -> Result<()> {
    const SENT: u64 = 400;
    const CHECKS_A_SECOND: u64 = 64;
    let set = json!({"keys": [{"kty": "RSA", "n": encode([0xfb; 1024]), "e": "AQAB"}]});
    let long = json!({"issuer": "long", "jwks": set.to_string()});
    let issuer = Issuer::shared()?;
    let site = Site::start(config(json!({
        "authentication": {"jwtRules": [issuer.rule(), long]},
        "authorization": {"defaultAction": "ALLOW"},
    }))?)
    .await?;
    let start = Instant::now();
    let mut checked = 0;
    for i in 0..SENT {
        let claims = json!({"iss": "long", "sub": i.to_string()}).to_string();
        let token = [encode(r#"{"alg":"PS256"}"#), encode(claims), encode([1; 1024])].join(".");
        let answer = site.expect(predict().bearer(&token), 401, "").await?;
        checked += u64::from(answer.text().contains("Jwt verification fails"));
        if i % 100 == 99 {
            // New callers too: the proxy checks these.
            site.expect(predict().bearer(&issuer.token(&format!("user-{i}"), &[])?), 200, "")
                .await?;
        }
    }
    let seconds = start.elapsed().as_secs() + 2;
    ensure!(checked >= CHECKS_A_SECOND, "{checked} were checked");
    ensure!(checked <= CHECKS_A_SECOND * seconds, "{checked} were checked in {seconds} s");
    site.check_healthy().await
}
