//! The registered claims (RFC 7519 §4.1): their types, and whether a token is valid now and here.

use serde_json::{Map, Value};

use super::failure::Rejection;
use crate::order;

/// By how many seconds the clocks of issuer and gateway may differ. Envoy's default; Istio has no
/// setting for it.
const SKEW: u64 = 60;

/// Names that RFC 7519 §4.1 registers.
pub const REGISTERED: &[&str] = &["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// The payload of a token, with registered claims of the right types.
#[derive(Debug)]
pub struct Claims {
    /// All claims.
    pub map: Map<String, Value>,
    /// When they hold.
    pub validity: Validity,
}

/// When a token is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// `nbf` in seconds; 0 without one.
    pub not_before: u64,
    /// `exp` in seconds. 0 is never, as in Envoy.
    pub expires: Option<u64>,
}

impl Validity {
    /// Whether the token is valid at `now`, in seconds.
    pub fn check(self, now: u64) -> Result<(), Rejection> {
        if now.saturating_add(SKEW) < self.not_before {
            return Err(Rejection::NotYetValid);
        }
        if self.expires.is_some_and(|at| now > at.saturating_add(SKEW)) {
            return Err(Rejection::Expired);
        }
        Ok(())
    }
}

impl Claims {
    /// Checks types, in Envoy's order.
    pub fn read(map: Map<String, Value>) -> Result<Self, Rejection> {
        use Rejection as R;
        string(&map, "iss", R::IssNotString)?;
        string(&map, "sub", R::SubNotString)?;
        seconds(&map, "iat", R::IatNotInteger, R::IatOutOfRange)?;
        let not_before = seconds(&map, "nbf", R::NbfNotInteger, R::NbfOutOfRange)?;
        let expires = seconds(&map, "exp", R::ExpNotInteger, R::ExpOutOfRange)?;
        string(&map, "jti", R::JtiNotString)?;
        let audiences_ok = match map.get("aud") {
            None | Some(Value::String(_)) => true,
            Some(Value::Array(list)) => list.iter().all(Value::is_string),
            Some(_) => false,
        };
        if !audiences_ok {
            return Err(R::AudNotString);
        }
        let expires = Some(expires).filter(|at| *at != 0);
        Ok(Self { map, validity: Validity { not_before, expires } })
    }

    /// `iss`; empty without one.
    pub fn issuer(&self) -> &str {
        self.map.get("iss").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the token is for one of these, in order, which [`bare_audience`] was applied to; none:
    /// for anybody. A stranger's list may be long.
    pub fn check_audience(&self, allowed: &[String]) -> Result<(), Rejection> {
        let is_allowed =
            |v: &Value| v.as_str().is_some_and(|a| order::holds(allowed, bare_audience(a)));
        let fits = match self.map.get("aud") {
            Some(Value::Array(list)) => list.iter().any(is_allowed),
            Some(one) => is_allowed(one),
            None => false,
        };
        if allowed.is_empty() || fits { Ok(()) } else { Err(Rejection::AudienceNotAllowed) }
    }
}

/// An audience as Envoy compares it: without scheme and without one `/` at the end.
pub fn bare_audience(audience: &str) -> &str {
    let bare = audience
        .strip_prefix("http://")
        .or_else(|| audience.strip_prefix("https://"))
        .unwrap_or(audience);
    bare.strip_suffix('/').unwrap_or(bare)
}

/// Makes lists of the claims in `names` that are strings of words with spaces between them. A
/// string without a word stays.
pub fn split_words(map: &mut Map<String, Value>, names: &[String]) {
    for name in names {
        let Some(value) = map.get_mut(name) else { continue };
        let Value::String(text) = &*value else { continue };
        let words: Vec<Value> =
            text.split(' ').filter(|w| !w.is_empty()).map(Value::from).collect();
        if !words.is_empty() {
            *value = Value::Array(words);
        }
    }
}

fn string(map: &Map<String, Value>, name: &str, wrong: Rejection) -> Result<(), Rejection> {
    match map.get(name) {
        None | Some(Value::String(_)) => Ok(()),
        Some(_) => Err(wrong),
    }
}

/// A time in seconds; 0 if absent. Envoy holds numbers as doubles and cuts off fractions.
fn seconds(
    map: &Map<String, Value>,
    name: &str,
    wrong: Rejection,
    out_of_range: Rejection,
) -> Result<u64, Rejection> {
    let Some(value) = map.get(name) else { return Ok(0) };
    let Value::Number(number) = value else { return Err(wrong) };
    // 2^64 as a double, which is also what 2^64 - 1 becomes as one.
    let limit = 18_446_744_073_709_551_616.0;
    match number.as_f64() {
        Some(n) if (0.0..limit).contains(&n) => Ok(number.as_u64().unwrap_or(n as u64)),
        _ => Err(out_of_range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Claims, Rejection> {
        let Value::Object(map) = value else { panic!("not an object") };
        Claims::read(map)
    }

    #[test]
    fn types_of_registered_claims() {
        use Rejection as R;
        for (claims, want) in [
            (json!({"iss": 1}), R::IssNotString),
            (json!({"iss": null}), R::IssNotString),
            (json!({"sub": ["a"]}), R::SubNotString),
            (json!({"jti": 7}), R::JtiNotString),
            (json!({"iat": "1"}), R::IatNotInteger),
            (json!({"iat": -1}), R::IatOutOfRange),
            (json!({"nbf": null}), R::NbfNotInteger),
            (json!({"nbf": -0.5}), R::NbfOutOfRange),
            (json!({"exp": true}), R::ExpNotInteger),
            (json!({"exp": u64::MAX}), R::ExpOutOfRange),
            (json!({"exp": 1e20}), R::ExpOutOfRange),
            (json!({"aud": 1}), R::AudNotString),
            (json!({"aud": ["a", 1]}), R::AudNotString),
            (json!({"aud": null}), R::AudNotString),
            (json!({"aud": 1, "exp": -1, "iss": {}}), R::IssNotString),
        ] {
            assert_eq!(read(claims.clone()).err(), Some(want), "{claims}");
        }
        for (exp, want) in [
            (json!(0), None),
            (json!(0.5), None),
            (json!(1.9), Some(1)),
            (json!(1e3), Some(1000)),
            (json!(9_007_199_254_740_993u64), Some(9_007_199_254_740_993)),
        ] {
            assert_eq!(read(json!({"exp": exp})).unwrap().validity.expires, want, "{exp}");
        }
    }

    #[test]
    fn times_have_a_minute_of_grace() {
        let claims = read(json!({"nbf": 1000, "exp": 2000})).unwrap();
        for (now, want) in [
            (939, Err(Rejection::NotYetValid)),
            (940, Ok(())),
            (2060, Ok(())),
            (2061, Err(Rejection::Expired)),
            (u64::MAX, Err(Rejection::Expired)),
        ] {
            assert_eq!(claims.validity.check(now), want, "{now}");
        }
        assert_eq!(read(json!({})).unwrap().validity.check(u64::MAX), Ok(()));
        assert_eq!(read(json!({"exp": 0})).unwrap().validity.check(u64::MAX), Ok(()));
    }

    #[test]
    fn audiences_lose_scheme_and_slash() {
        let allowed = |a: &str| vec![bare_audience(a).to_owned()];
        for (configured, aud, want) in [
            ("models", json!("models"), true),
            ("models", json!(["x", "https://models/"]), true),
            ("http://models/", json!("models"), true),
            ("models", json!("models//"), false),
            ("models", json!("Models"), false),
            ("models", json!([]), false),
            ("https://http://m", json!("http://m"), false),
        ] {
            let claims = read(json!({"aud": aud})).unwrap();
            assert_eq!(
                claims.check_audience(&allowed(configured)).is_ok(),
                want,
                "{configured} {aud}"
            );
        }
        let none = read(json!({})).unwrap();
        assert_eq!(none.check_audience(&[]), Ok(()));
        assert_eq!(none.check_audience(&allowed("m")), Err(Rejection::AudienceNotAllowed));
    }

    #[test]
    fn words_become_lists() {
        let names = ["permission", "scope"].map(str::to_owned);
        let mut claims =
            json!({"scope": " a  b ", "permission": " ", "other": "a b", "n": {"scope": "a b"}});
        split_words(claims.as_object_mut().unwrap(), &names);
        assert_eq!(
            claims,
            json!({"scope": ["a", "b"], "permission": " ", "other": "a b", "n": {"scope": "a b"}})
        );
    }
}
