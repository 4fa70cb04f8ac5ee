//! Tokens, and the keys that verify them: what is let in was signed, says what serde reads in it, and is the same
//! whether the host checks its signature or the engine.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use modelgate_engine::authn::{Identity, TokenCache};
use modelgate_engine::config::Errors;
use modelgate_engine::pipeline::{Decision, Plan};
use modelgate_engine::request::{Attributes, Header, Request};
use serde_json::{Map, Value, json};

use super::signatures::{NOW, Verifier};

/// RFC 7515 appendix A.1 to A.3: a secret, an RSA key and an EC key, and the tokens that they sign.
pub const SECRET: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
pub const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
pub const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
pub const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const SIGNED: [(&str, &str); 3] = [
    ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    (
        "eyJhbGciOiJSUzI1NiJ9",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ),
    (
        "eyJhbGciOiJFUzI1NiJ9",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
];

/// The published tokens, each with the member of its key and what that says.
pub fn published() -> [(String, [&'static str; 2]); 3] {
    let members = [["k", SECRET], ["n", RSA_N], ["x", EC_X]];
    let mut members = members.into_iter();
    SIGNED.map(|(header, signature)| {
        let token = format!("{header}.{PAYLOAD}.{signature}");
        (token, members.next().unwrap_or_default())
    })
}

/// The published keys.
pub fn keys() -> String {
    json!({"keys": [
        {"kty": "oct", "k": SECRET}, {"kty": "RSA", "n": RSA_N, "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y},
    ]})
    .to_string()
}

/// A gateway with these keys, if there is one.
pub struct Gateway(Plan, TokenCache);

impl Gateway {
    pub fn new(keys: &str) -> Result<Self, String> {
        let rule = json!({
            "issuer": "joe", "jwks": keys, "outputPayloadToHeader": "x-payload",
            "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}, {"header": "x-deep", "claim": "a.b"}],
        });
        let config = json!({"authentication": {"jwtRules": [rule]}}).to_string();
        let mut errors = Errors::default();
        let plan = Plan::read(config.as_bytes(), &mut errors).ok_or_else(|| errors.to_string())?;
        let cache = plan.token_cache();
        Ok(Self(plan, cache))
    }

    fn ask(&self, token: &[u8], cache: &mut TokenCache, by_host: bool) -> Decision {
        let line = [b"Bearer ", token].concat();
        let lines: [Header<'_>; 4] = [
            (b":method", b"GET"),
            (b":authority", b"models"),
            (b":path", b"/"),
            (b"authorization", &line),
        ];
        let host = Verifier { by_host };
        let attributes = Attributes::new(&host);
        self.0.decide(&Request::new(&lines, &attributes), cache, |_| Ok(()))
    }

    /// Who sends this token. The error says how the ways to ask differ.
    pub fn identify(&mut self, token: &[u8]) -> Result<Option<Identity>, String> {
        let first = self.ask(token, &mut self.0.token_cache(), false);
        let mut cache = std::mem::replace(&mut self.1, self.0.token_cache());
        let others = [
            self.ask(token, &mut self.0.token_cache(), true),
            self.ask(token, &mut cache, false),
            self.ask(token, &mut cache, false),
        ];
        self.1 = cache;
        for other in others {
            if (first.reply(), &first.facts.identity, first.edits())
                != (other.reply(), &other.facts.identity, other.edits())
            {
                return Err(format!("{first:?}, or {other:?}"));
            }
        }
        for (name, value) in first.edits().into_iter().flat_map(|edits| edits.added()) {
            if value.iter().any(u8::is_ascii_control) || value.trim_ascii() != value {
                return Err(format!("{}: {:?}", name.escape_ascii(), value.escape_ascii()));
            }
        }
        Ok(first.facts.identity.as_deref().cloned())
    }
}

fn mac(text: &[u8]) -> Option<Vec<u8>> {
    let secret = URL_SAFE_NO_PAD.decode(SECRET).ok()?;
    let mac = <Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(&secret).ok()?;
    Some(mac.chain_update(text).finalize().into_bytes().to_vec())
}

/// Whether the secret or one of the others has signed it.
fn is_signed(token: &[u8]) -> bool {
    let known = published();
    let by_secret = || {
        let end = token.iter().rposition(|c| *c == b'.')?;
        let signature = URL_SAFE_NO_PAD.decode(&token[end + 1..]).ok()?;
        Some(mac(&token[..end])? == signature)
    };
    known.iter().any(|(known, _)| known.as_bytes() == token) || by_secret() == Some(true)
}

/// A member by which a reader of words has made a list.
fn is_split(said: &Value, claim: &Value) -> bool {
    match (said.as_str(), claim.as_array()) {
        (Some(said), Some(words)) => said
            .split(' ')
            .filter(|word| !word.is_empty())
            .eq(words.iter().filter_map(Value::as_str)),
        _ => false,
    }
}

/// What serde reads in a signed token, against what was made of it.
fn check(header: &[u8], payload: &[u8], identity: Option<&Identity>) -> Result<(), String> {
    let read = |text| serde_json::from_slice::<Map<String, Value>>(text).ok();
    let (header_read, claims) = (read(header), read(payload));
    let Some(identity) = identity else {
        // The plainest of tokens is one.
        let is_anew = |text: &[u8], map: &Map<String, Value>| {
            serde_json::to_vec(map).is_ok_and(|anew| anew == text)
        };
        let plain = header == br#"{"alg":"HS256"}"#
            && claims.is_some_and(|claims| {
                let is_plain = |(name, value): (&String, &Value)| match name.as_str() {
                    "iss" => value == "joe",
                    "exp" | "nbf" | "iat" | "aud" | "sub" | "jti" => false,
                    _ => !value.is_array() && !value.is_object(),
                };
                claims.contains_key("iss")
                    && claims.iter().all(is_plain)
                    && is_anew(payload, &claims)
            });
        return if plain && payload.len() < 4096 {
            Err("a good token is refused".into())
        } else {
            Ok(())
        };
    };
    let (Some(header), Some(claims)) = (header_read, claims) else {
        return Err("serde reads no token".into());
    };
    let number = |name| claims.get(name).and_then(Value::as_f64);
    let now = NOW as f64;
    let is_right = header.get("alg") == Some(&"HS256".into())
        && !header.contains_key("crit")
        && claims.get("iss") == Some(&"joe".into())
        && number("exp").is_none_or(|exp| exp < 1.0 || exp + 61.0 > now)
        && number("nbf").is_none_or(|nbf| nbf <= now + 61.0);
    let alike = claims.len() == identity.claims.len()
        && claims.iter().all(|(name, said)| {
            let words = ["scope", "permission"].contains(&name.as_str());
            let claim = identity.claims.get(name);
            claim.is_some_and(|claim| claim == said || words && is_split(said, claim))
        });
    let subject = claims.get("sub").and_then(Value::as_str);
    if is_right && alike && subject == identity.subject.as_deref() {
        return Ok(());
    }
    Err(format!("{identity:?} of {header:?} and {claims:?}"))
}

/// Data of a fuzzer: a token; or behind a `+`, a header and in the next line a payload, to be signed. The error says
/// what is wrong.
pub fn send(gateway: &mut Gateway, data: &[u8]) -> Result<(), String> {
    let Some(text) = data.strip_prefix(b"+") else {
        return match gateway.identify(data)? {
            Some(identity) if !is_signed(data) => Err(format!("{identity:?} signed nothing")),
            _ => Ok(()),
        };
    };
    let end = text.iter().position(|c| *c == b'\n').unwrap_or(text.len());
    let (header, payload) = (&text[..end], text.get(end + 1..).unwrap_or_default());
    let encoded = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encoded(header), encoded(payload));
    let signature = mac(signed.as_bytes()).ok_or("no secret")?;
    let token = format!("{signed}.{}", encoded(&signature));
    check(header, payload, gateway.identify(token.as_bytes())?.as_ref())
}
