//! Who is calling: JSON Web Tokens as Istio's `RequestAuthentication`, and API keys.

use serde_json::{Map, Value};

/// Who is calling, as a verified token or API key says.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// `iss`, if it is a string.
    pub issuer: Option<String>,
    /// `sub`, if it is a string.
    pub subject: Option<String>,
    /// All claims, with space-delimited ones split into lists.
    pub claims: Map<String, Value>,
}
