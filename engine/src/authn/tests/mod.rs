//! Tests of authentication as a whole. Tokens are signed with the published keys of RFC 7515.

mod caching;
mod certificates;
mod credentials;
mod extraction;
mod forgeries;
mod properties;
mod providers;
mod settings;
mod signers;
mod texts;
mod vectors;
mod work;

use std::cell::Cell;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::pkcs8::DecodePublicKey;
use serde_json::{Value, json};

use super::*;
use crate::config::read::Read;
use crate::config::values::Size;
use crate::config::{Errors, Path, types};
use crate::request::{Attributes, Edits, Header, Host, Request, SignatureCheck};

/// RFC 7515 appendix A.3.1.
pub const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
pub const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const EC_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

pub fn ec_key() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y})
}

/// The other public key that tests know: RFC 7517 appendix A.1.
pub fn other_ec_key() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})
}

pub fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of these bytes, signed with ES256 whatever the header says.
pub fn mint_raw(header: &str, payload: &str) -> String {
    let text = format!("{}.{}", b64(header), b64(payload));
    format!("{text}.{}", b64(sign(text.as_bytes())))
}

pub fn sign(text: &[u8]) -> Vec<u8> {
    let key = p256::ecdsa::SigningKey::from_slice(&URL_SAFE_NO_PAD.decode(EC_D).unwrap()).unwrap();
    let signature: p256::ecdsa::Signature =
        key.sign_prehash(&algorithm::Hash::Sha256.of(text)).unwrap();
    signature.to_bytes().to_vec()
}

pub fn mint(claims: &Value) -> String {
    mint_raw(r#"{"alg":"ES256"}"#, &claims.to_string())
}

/// Seconds: the time in most tests.
pub const NOW: u64 = 1_700_000_000;

/// A host that reads keys and signatures as Envoy's BoringSSL does, or leaves it to the engine.
pub struct TestHost {
    pub now: Cell<u64>,
    pub verifies: bool,
    pub asked: Cell<u32>,
}

impl TestHost {
    pub fn new(verifies: bool) -> Self {
        Self { now: Cell::new(NOW), verifies, asked: Cell::new(0) }
    }
}

impl Host for TestHost {
    fn now(&self) -> u64 {
        self.now.get() * 1_000_000_000 + 999_999_999
    }
    fn remote_ip(&self) -> Option<IpAddr> {
        None
    }
    fn destination_ip(&self) -> Option<IpAddr> {
        None
    }
    fn destination_port(&self) -> Option<u16> {
        None
    }
    fn is_inbound(&self) -> bool {
        false
    }
    fn sni(&self) -> Option<Vec<u8>> {
        None
    }
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Option<bool> {
        self.asked.set(self.asked.get() + 1);
        if !self.verifies {
            return None;
        }
        let hash = match check.hash {
            "sha256" => algorithm::Hash::Sha256,
            "sha384" => algorithm::Hash::Sha384,
            "sha512" => algorithm::Hash::Sha512,
            other => panic!("{other}"),
        };
        let hashed = hash.of(check.text);
        macro_rules! try_curve {
            ($curve:ident) => {
                if let Ok(key) = $curve::ecdsa::VerifyingKey::from_public_key_der(check.public_key)
                {
                    let signature = $curve::ecdsa::Signature::from_der(check.signature);
                    return Some(signature.is_ok_and(|s| key.verify_prehash(&hashed, &s).is_ok()));
                }
            };
        }
        try_curve!(p256);
        try_curve!(p384);
        try_curve!(p521);
        let key = <rsa::PublicKey as DecodePublicKey>::from_public_key_der(check.public_key)
            .expect("the DER of a key");
        let scheme = match hash {
            algorithm::Hash::Sha256 => rsa::Pkcs1v15Sign::new::<sha2::Sha256>(),
            algorithm::Hash::Sha384 => rsa::Pkcs1v15Sign::new::<sha2::Sha384>(),
            algorithm::Hash::Sha512 => rsa::Pkcs1v15Sign::new::<sha2::Sha512>(),
        };
        Some(key.verify(scheme, &hashed, check.signature).is_ok())
    }
}

/// Compiles `authentication`, and gives errors and warnings.
pub fn compile(settings: Value) -> (Option<Authenticator>, Errors) {
    let mut errors = Errors::default();
    let path = Path::ROOT.field("authentication");
    let settings = types::Authentication::read(&settings.into(), &path, &mut errors);
    let compiled = settings.and_then(|s| Authenticator::compile(&s, &path, &mut errors));
    (compiled, errors)
}

/// Compiles what must be right.
pub fn authenticator(settings: Value) -> Authenticator {
    let (compiled, errors) = compile(settings);
    compiled.unwrap_or_else(|| panic!("{errors}"))
}

/// A rule for the issuer `me` with the EC key, and these fields besides.
pub fn rule(more: Value) -> Value {
    let mut rule = json!({"issuer": "me", "jwks": jwks(&[ec_key()])});
    let more = more.as_object().unwrap().clone();
    rule.as_object_mut().unwrap().extend(more);
    rule
}

pub fn one_rule(more: Value) -> Authenticator {
    authenticator(json!({"jwtRules": [rule(more)]}))
}

pub fn no_cache() -> TokenCache {
    TokenCache::new(&types::TokenCache { bytes: Size(0) })
}

/// A request and what became of it.
pub struct Outcome {
    pub authentication: Authentication,
    pub edits: Edits,
}

impl Outcome {
    /// The principal, or the text of the refusal, or `anonymous`.
    pub fn verdict(&self) -> String {
        match &self.authentication.identification {
            Identification::Anonymous => "anonymous".to_owned(),
            Identification::Identified(identity) => {
                identity.principal().unwrap_or_else(|| "nobody".to_owned())
            }
            Identification::Refused(failure) => failure.text.to_owned(),
        }
    }

    pub fn failure(&self) -> &Failure {
        match &self.authentication.identification {
            Identification::Refused(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    pub fn results(&self) -> Vec<(&'static str, u32)> {
        self.authentication.tokens.iter().map(|(result, n)| (result.as_str(), n)).collect()
    }

    pub fn removed(&self) -> Vec<&str> {
        self.edits.removed().map(|n| std::str::from_utf8(n).unwrap()).collect()
    }
}

pub fn run_with(
    authenticator: &Authenticator,
    host: &TestHost,
    cache: &mut TokenCache,
    path: &str,
    lines: &[(&str, &str)],
) -> Outcome {
    let pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", "gw"), (":path", path)];
    let headers: Vec<Header<'_>> =
        pseudo.iter().chain(lines).map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let attributes = Attributes::new(host);
    let request = Request::new(&headers, &attributes);
    let mut edits = Edits::default();
    let authentication = authenticator.authenticate(&request, cache, &mut edits);
    Outcome { authentication, edits }
}

pub fn run(authenticator: &Authenticator, path: &str, lines: &[(&str, &str)]) -> Outcome {
    let host = TestHost::new(false);
    run_with(authenticator, &host, &mut no_cache(), path, lines)
}

/// With the token as a bearer, by both ways of checking a signature.
pub fn bearer(authenticator: &Authenticator, token: &str) -> Outcome {
    let line = format!("Bearer {token}");
    let lines = [("authorization", line.as_str())];
    let here = run_with(authenticator, &TestHost::new(false), &mut no_cache(), "/", &lines);
    let there = run_with(authenticator, &TestHost::new(true), &mut no_cache(), "/", &lines);
    assert_eq!(here.verdict(), there.verdict(), "{token}");
    assert_eq!(here.edits, there.edits);
    there
}
