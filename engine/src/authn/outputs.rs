//! Headers that carry claims upstream: Istio's `outputPayloadToHeader` and `outputClaimToHeaders`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::jws;
use crate::config::types::JwtRule;

/// The output headers of a rule.
#[derive(Debug)]
pub struct Outputs {
    payload: Option<Vec<u8>>,
    claims: Vec<ClaimHeader>,
}

#[derive(Debug)]
struct ClaimHeader {
    /// In lower case.
    header: Vec<u8>,
    /// Names from the outermost object on.
    path: Vec<String>,
}

/// Name in lower case, and value.
pub type Line = (Box<[u8]>, Box<[u8]>);

/// The lines that a token gives.
#[derive(Debug, Default)]
pub struct Lines {
    /// In the order of the rule.
    pub lines: Vec<Line>,
    /// Claims that cannot stand in a header.
    pub unwritable: u32,
}

impl Outputs {
    /// The output headers that a rule names.
    pub fn new(rule: &JwtRule) -> Self {
        let lower = |name: &String| name.to_ascii_lowercase().into_bytes();
        let claims = rule.output_claim_to_headers.iter().map(|c| ClaimHeader {
            header: lower(&c.header),
            path: c.claim.split('.').map(str::to_owned).collect(),
        });
        Self {
            payload: rule.output_payload_to_header.as_ref().map(lower),
            claims: claims.collect(),
        }
    }

    /// Names of the headers, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &[u8]> {
        self.payload.as_deref().into_iter().chain(self.claims.iter().map(|c| c.header.as_slice()))
    }

    /// The lines for a verified token, of the claims as they were sent.
    pub fn lines(&self, token: &[u8], claims: &Map<String, Value>) -> Lines {
        let mut out = Lines::default();
        if let Some(header) = &self.payload {
            out.lines.push((header.as_slice().into(), jws::payload(token).into()));
        }
        for claim in &self.claims {
            let Some(text) = at(claims, &claim.path).and_then(text) else { continue };
            // A line break would let an issuer's user write headers; Envoy answers with 503. Blanks at an end are lost on
            // the way (RFC 9110 §5.5): two users must not become one.
            let loses_blanks = text.starts_with(' ') || text.ends_with(' ');
            if loses_blanks || text.chars().any(char::is_control) {
                out.unwritable = out.unwritable.saturating_add(1);
            } else {
                out.lines.push((claim.header.as_slice().into(), text.into_bytes().into()));
            }
        }
        out
    }
}

/// A claim, by its names from the outermost object on.
pub fn at<'v>(claims: &'v Map<String, Value>, path: &[String]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(claims.get(first)?, |value, name| value.as_object()?.get(name))
}

/// A claim as Envoy writes it: lists and objects as JSON in base64, nothing for null and "".
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Bool(b) => b.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(n) => number(n),
        Value::Array(_) | Value::Object(_) => STANDARD.encode(value.to_string()),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Whole numbers from 0 to 2^64 without a point, others with six decimals, as C's `%f`. Whole ones
/// beyond 2^53 are exact, which Envoy's doubles are not: two users must not become one.
fn number(n: &Number) -> String {
    let double = n.as_f64().unwrap_or_default();
    match n.as_u64() {
        Some(whole) => whole.to_string(),
        None if double >= 0.0 && double < u64::MAX as f64 && double.fract() == 0.0 => {
            (double as u64).to_string()
        }
        None => format!("{double:.6}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_as_envoy_writes_them() {
        for (value, want) in [
            (json!("a b"), Some("a b")),
            (json!(""), None),
            (json!(null), None),
            (json!(true), Some("true")),
            (json!(7), Some("7")),
            (json!(7.0), Some("7")),
            (json!(-7), Some("-7.000000")),
            (json!(1.5), Some("1.500000")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(1e20), Some("100000000000000000000.000000")),
            (json!(["a", 1]), Some("WyJhIiwxXQ==")),
            (json!({"a": {}}), Some("eyJhIjp7fX0=")),
            (json!([]), Some("W10=")),
            (json!("é"), Some("é")),
        ] {
            assert_eq!(text(&value).as_deref(), want, "{value}");
        }
    }

    #[test]
    fn nested_claims_and_control_characters() {
        let outputs = Outputs {
            payload: Some(b"x-payload".to_vec()),
            claims: [
                "sub",
                "a.b",
                "evil",
                "del",
                "next.line",
                "a.b.c",
                "none",
                "before",
                "behind",
                "blank",
                "within",
            ]
            .map(|claim| ClaimHeader {
                header: format!("x-{claim}").into_bytes(),
                path: claim.split('.').map(str::to_owned).collect(),
            })
            .into(),
        };
        let claims = json!({"sub": "me", "a": {"b": 1}, "evil": "a\r\nx: y", "del": "\u{7f}",
            "next": {"line": "\u{85}"}, "before": " me", "behind": "me ", "blank": " ", "within": "m e"});
        let lines = outputs.lines(b"h.p.s", claims.as_object().unwrap());
        let got: Vec<(&[u8], &[u8])> = lines.lines.iter().map(|(n, v)| (&**n, &**v)).collect();
        let want: [(&[u8], &[u8]); 4] =
            [(b"x-payload", b"p"), (b"x-sub", b"me"), (b"x-a.b", b"1"), (b"x-within", b"m e")];
        assert_eq!((got.as_slice(), lines.unwritable), (want.as_slice(), 6));
    }
}
