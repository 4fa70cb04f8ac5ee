//! Keys of issuers at a desk: those that the settings hold are there; those that a gateway fetches come from a file, or
//! their tokens are assumed to be signed by them. An assumed signature is made here, by a secret that nobody else has, and
//! checked by the engine like any other: everything else about the token is still checked.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use modelgate_engine::authn::remote::Answer;
use modelgate_engine::pipeline::Plan;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::request::Asked;

/// Where keys come from.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Sets in files, by issuer.
    pub files: Vec<(String, PathBuf)>,
    /// Whether tokens of other issuers whose keys are fetched are taken for signed.
    pub assume: bool,
}

/// Signs what is assumed to be signed.
pub struct Assumed {
    secret: [u8; 64],
    /// The issuers of which it is assumed; `None`: any other than those that have keys.
    issuers: Vec<Option<String>>,
    /// Those that have keys.
    known: Vec<String>,
}

impl std::fmt::Debug for Assumed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assumed").field("issuers", &self.issuers).finish_non_exhaustive()
    }
}

/// The rules of settings.
fn rules(settings: &Value) -> impl Iterator<Item = &Value> {
    settings.pointer("/authentication/jwtRules").and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(rule: &'v Value, name: &str) -> Option<&'v str> {
    rule.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

impl Assumed {
    /// For the fetched keys of settings that no file has; with `all`, for those that the settings hold as well.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn new(settings: &Value, keys: &Keys, all: bool) -> Result<Self> {
        let mut secret = [0; 64];
        getrandom::fill(&mut secret).context("the system gave no random bytes")?;
        let (mut issuers, mut known) = (Vec::new(), Vec::new());
        for rule in rules(settings) {
            let issuer = text(rule, "issuer").map(str::to_owned);
            let has_file = keys.files.iter().any(|(name, _)| Some(name) == issuer.as_ref());
            let is_fetched = text(rule, "jwksUri").is_some();
            if all || (keys.assume && is_fetched && !has_file) {
                issuers.push(issuer);
            } else {
                known.extend(issuer);
            }
        }
        Ok(Self { secret, issuers, known })
    }

    /// Whether it is assumed of any issuer.
    pub fn is_any(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Whether it is assumed of this one.
    pub fn is_of(&self, issuer: &str) -> bool {
        let named = self.issuers.iter().flatten().any(|one| one == issuer);
        named || (self.issuers.contains(&None) && !self.known.iter().any(|one| one == issuer))
    }

    /// The issuers, for people.
    pub fn names(&self) -> Vec<String> {
        let any = || "any issuer".to_owned();
        self.issuers.iter().map(|issuer| issuer.clone().unwrap_or_else(any)).collect()
    }

    /// The key set of the secret.
    pub fn jwks(&self) -> String {
        let k = URL_SAFE_NO_PAD.encode(self.secret);
        json!({"keys": [{"kty": "oct", "alg": "HS256", "k": k}]}).to_string()
    }

    /// A token with these claims.
    ///
    /// # Errors
    ///
    /// None that can be.
    pub fn sign(&self, header: &Map<String, Value>, payload: &str) -> Result<String> {
        let mut header = header.clone();
        header.remove("kid");
        header.insert("alg".to_owned(), "HS256".into());
        let header = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
        let signed = format!("{header}.{payload}");
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).context("the secret")?;
        mac.update(signed.as_bytes());
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
    }

    /// A request whose tokens of these issuers are signed by the secret. What else is wrong with one stays so.
    ///
    /// # Errors
    ///
    /// None that can be.
    pub fn signed(&self, asked: &Asked) -> Result<Asked> {
        let mut asked = asked.clone();
        if !self.is_any() {
            return Ok(asked);
        }
        asked.path = self.signed_text(&asked.path)?;
        for (_, value) in &mut asked.headers {
            *value = self.signed_text(value)?;
        }
        Ok(asked)
    }

    fn signed_text(&self, text: &str) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
            match self.token(word)? {
                Some(token) => out.push_str(&token),
                None => out.push_str(word),
            }
            let mark = behind.chars().next();
            out.extend(mark);
            rest = behind.get(mark.map_or(0, char::len_utf8)..).unwrap_or_default();
        }
        Ok(out)
    }

    /// The same token with another signature, if it is one of these issuers and signed at all.
    fn token(&self, word: &str) -> Result<Option<String>> {
        let mut parts = word.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Ok(None);
        };
        let object = |part: &str| -> Option<Map<String, Value>> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        let (Some(head), Some(claims)) = (object(header), object(payload)) else { return Ok(None) };
        const ALGORITHMS: [&str; 13] = [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
            "EdDSA", "HS256", "HS384", "HS512",
        ];
        let algorithm = head.get("alg").and_then(Value::as_str).unwrap_or_default();
        let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let is_signed = URL_SAFE_NO_PAD.decode(signature).is_ok_and(|bytes| !bytes.is_empty());
        if !is_signed || !ALGORITHMS.contains(&algorithm) || !self.is_of(issuer) {
            return Ok(None);
        }
        self.sign(&head, payload).map(Some)
    }
}

impl Keys {
    /// Reads `ISSUER=FILE`.
    ///
    /// # Errors
    ///
    /// It has no `=`.
    pub fn pair(text: &str) -> Result<(String, PathBuf), String> {
        // An issuer may hold a `=` in its query, a file may not well be missing behind the last.
        match text.rsplit_once('=') {
            Some((issuer, file)) if !issuer.is_empty() && !file.is_empty() => {
                Ok((issuer.to_owned(), file.into()))
            }
            _ => Err("ISSUER=FILE, as https://idp.example.com=jwks.json".to_owned()),
        }
    }

    /// Gives a plan the sets that it would fetch, at this time.
    ///
    /// # Errors
    ///
    /// A file cannot be read or holds no set, or an issuer is not one whose keys are fetched.
    pub fn serve(&self, plan: &Plan, assumed: &Assumed, now: u64) -> Result<()> {
        let remotes = || plan.remotes().iter();
        for (issuer, _) in &self.files {
            if !remotes().any(|remote| remote.issuer() == issuer) {
                let names: Vec<&str> = remotes().map(|remote| remote.issuer()).collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                bail!("--jwks: keys of {issuer} are not fetched by the configuration: {names}");
            }
        }
        for remote in remotes() {
            let file = self.files.iter().find(|(issuer, _)| issuer == remote.issuer());
            let set = match file {
                Some((_, file)) => std::fs::read_to_string(file)
                    .with_context(|| format!("--jwks: {}", file.display()))?,
                None if assumed.is_of(remote.issuer()) || assumed.issuers.contains(&None) => {
                    assumed.jwks()
                }
                None => continue,
            };
            let headers = [(&b":status"[..], &b"200"[..])];
            let answer = Answer { headers: &headers, body: set.as_bytes(), body_len: set.len() };
            let fetched = remote.finished(Some(&answer), now, 0);
            ensure!(remote.keys(now).is_some(), "{}", fetched.line.unwrap_or_default());
        }
        Ok(())
    }
}

/// Settings of which every rule has the assumed keys in the place of its own.
pub fn with_assumed(settings: &Value, assumed: &Assumed) -> Value {
    let mut settings = settings.clone();
    let rules = settings.pointer_mut("/authentication/jwtRules").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        if text(rule, "jwks").is_some()
            && let Some(rule) = rule.as_object_mut()
        {
            rule.insert("jwks".to_owned(), assumed.jwks().into());
        }
    }
    settings
}

/// Puts a token where the first rule of its issuer looks for one, or the first rule of all.
pub fn place(settings: &Value, token: &str, asked: &mut Asked) {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Value> = claims.and_then(|json| serde_json::from_slice(&json).ok());
    let issuer = claims.as_ref().and_then(|claims| text(claims, "iss"));
    let of_issuer = rules(settings).find(|rule| text(rule, "issuer") == issuer);
    let any = || rules(settings).find(|rule| text(rule, "issuer").is_none());
    let rule = of_issuer.or_else(any).or_else(|| rules(settings).next());
    let first = |name: &str| rule?.get(name)?.as_array()?.first();
    if let Some(header) = first("fromHeaders") {
        let name = text(header, "name").unwrap_or("authorization");
        let prefix = text(header, "prefix").unwrap_or_default();
        asked.headers.push((name.to_owned(), format!("{prefix}{token}")));
    } else if let Some(param) = first("fromParams").and_then(Value::as_str) {
        let mark = if asked.path.contains('?') { '&' } else { '?' };
        asked.path = format!("{}{mark}{param}={token}", asked.path);
    } else if let Some(cookie) = first("fromCookies").and_then(Value::as_str) {
        asked.headers.push(("cookie".to_owned(), format!("{cookie}={token}")));
    } else {
        asked.headers.push(("authorization".to_owned(), format!("Bearer {token}")));
    }
}

/// Puts an API key where the settings have keys.
pub fn place_key(settings: &Value, key: &str, asked: &mut Asked) {
    let keys = settings.pointer("/authentication/apiKeys");
    let get = |name: &str| keys.and_then(|keys| text(keys, name));
    let prefix = get("prefix").unwrap_or_default();
    let header = get("header").unwrap_or("x-api-key").to_owned();
    asked.headers.push((header, format!("{prefix}{key}")));
}

/// The payload of claims, of which the issuer is that of the first rule unless they name one.
pub fn payload(settings: &Value, claims: &Map<String, Value>) -> String {
    let mut claims = claims.clone();
    let first = rules(settings).find_map(|rule| text(rule, "issuer"));
    if let Some(issuer) = first.filter(|_| !claims.contains_key("iss")) {
        claims.insert("iss".to_owned(), issuer.into());
    }
    let audience = rules(settings)
        .find(|rule| text(rule, "issuer") == claims.get("iss").and_then(Value::as_str));
    let audience = audience.and_then(|rule| rule.get("audiences")?.as_array()?.first());
    if let Some(audience) = audience.filter(|_| !claims.contains_key("aud")) {
        claims.insert("aud".to_owned(), audience.clone());
    }
    URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string())
}
