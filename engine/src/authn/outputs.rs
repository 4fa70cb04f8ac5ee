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
            let Some(value) = at(claims, &claim.path) else { continue };
            let Some(text) = text(value) else {
                out.unwritable = out.unwritable.saturating_add(value.is_number().into());
                continue;
            };
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

/// Whether names with dots between them cannot be what is meant: a claim with a dot in its own name, the brackets of a
/// policy, a name that is empty.
pub fn is_out_of_reach(claim: &str) -> bool {
    let has_dot = claim.contains('.') && claim.contains('/') || claim.starts_with("kubernetes.io");
    has_dot || claim.contains(['[', ']']) || claim.split('.').any(str::is_empty)
}

/// A claim as Envoy writes it: lists and objects as JSON in base64, nothing for null and "". Nothing for a number that
/// is not known exactly, either.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Bool(b) => b.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(n) => return number(n),
        Value::Array(_) | Value::Object(_) => STANDARD.encode(value.to_string()),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// From here on a number with a point is not read exactly: 2^49. A double holds whole ones up to 2^53, but the reader
/// takes the `0` behind the point for a digit more.
const INEXACT: f64 = 562_949_953_421_312.0;

/// Whole numbers from 0 to 2^64 without a point, others with six decimals, as C's `%f`. Whole ones
/// beyond 2^53 are exact, which Envoy's doubles are not, or not written: two users must not become one.
fn number(n: &Number) -> Option<String> {
    let double = n.as_f64().unwrap_or_default();
    match (n.as_u64(), n.as_i64()) {
        (Some(whole), _) => Some(whole.to_string()),
        (None, Some(negative)) => Some(format!("{negative}.000000")),
        _ if double.abs() >= INEXACT => None,
        _ if double >= 0.0 && double.fract() == 0.0 => Some((double as u64).to_string()),
        _ => Some(format!("{double:.6}")),
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
            (json!(-1.5), Some("-1.500000")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(["a", 1]), Some("WyJhIiwxXQ==")),
            (json!({"a": {}}), Some("eyJhIjp7fX0=")),
            (json!([]), Some("W10=")),
            (json!("é"), Some("é")),
        ] {
            assert_eq!(text(&value).as_deref(), want, "{value}");
        }
    }

    /// Of a token, whose numbers are read as they are in any.
    #[test]
    fn a_number_is_written_exactly_or_not_at_all() {
        let outputs = Outputs {
            payload: None,
            claims: vec![ClaimHeader { header: b"x-n".to_vec(), path: vec!["n".to_owned()] }],
        };
        for (number, want) in [
            ("9007199254740991", Some("9007199254740991")),
            ("9007199254740993", Some("9007199254740993")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("-9007199254740993", Some("-9007199254740993.000000")),
            ("-9223372036854775808", Some("-9223372036854775808.000000")),
            ("-9223372036854775807", Some("-9223372036854775807.000000")),
            ("562949953421311.0", Some("562949953421311")),
            ("-562949953421311.0", Some("-562949953421311.000000")),
            ("1e3", Some("1000")),
            ("-0", Some("0")),
            // Read as the double next to them, which is that of others, too.
            ("18446744073709551616", None),
            ("18446744073709551617", None),
            ("-9223372036854775809", None),
            ("562949953421312.0", None),
            ("9007199254740991.0", None),
            ("9007199254740993.0", None),
            ("9007199254740993.5", None),
            ("1e20", None),
            ("-1e300", None),
        ] {
            let text = format!("{{\"n\":{number}}}");
            let claims = super::super::json::read_object(text.as_bytes()).unwrap();
            let lines = outputs.lines(b"h.p.s", &claims);
            let got = lines.lines.first().map(|(_, value)| std::str::from_utf8(value).unwrap());
            assert_eq!((got, lines.unwritable), (want, u32::from(want.is_none())), "{number}");
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
