//! Who is calling: JSON Web Tokens as Istio's `RequestAuthentication`, and API keys.
//!
//! | module | what it does |
//! |---|---|
//! | [`authenticator`] | all rules together |
//! | `rule` | one rule |
//! | `places`, `query`, `cookies` | where tokens stand in a request |
//! | `jws`, `json`, `claims` | reading a token |
//! | `jwks`, `key`, `algorithm`, `certificate`, `der` | checking its signature |
//! | `remarks` | what is said of keys that cannot be used |
//! | `withheld` | what no model gets to see |
//! | `work` | how much checking a request may cause |
//! | [`remote`] | key sets that are fetched |
//! | `outputs` | telling the upstream |
//! | [`cache`], `refused` | tokens that were verified, or refused, before |
//! | `api_key` | keys of machine clients |
//! | [`failure`] | what a refused caller is told |

use serde_json::{Map, Value};

use crate::config::{Errors, Path, Warning};
use crate::header::{Classes, folded, is_name};

pub(crate) mod algorithm;
mod api_key;
pub mod authenticator;
pub mod cache;
mod certificate;
mod claims;
mod cookies;
mod der;
pub mod failure;
mod json;
mod jwks;
mod jws;
mod key;
mod outputs;
mod places;
mod refused;
mod remarks;
pub mod remote;
mod rule;
mod scheme;
mod withheld;
mod work;

#[cfg(test)]
mod tests;

pub use authenticator::{
    Authentication, Authenticator, CredentialsView, Identification, MissingKeys, TokenResults,
    TokenView,
};
pub use cache::TokenCache;
pub use certificate::{Names as CertificateNames, names_in_certificate};
pub use failure::{Failure, TokenResult};
pub(crate) use outputs::is_out_of_reach;
pub(crate) use rule::always_split;

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

impl Identity {
    /// `iss/sub`, as Istio writes a request principal; `None` unless both are there.
    pub fn principal(&self) -> Option<String> {
        Some(format!("{}/{}", self.issuer.as_ref()?, self.subject.as_ref()?))
    }

    /// A claim, by its names from the outermost object on.
    pub fn claim(&self, path: &[String]) -> Option<&Value> {
        outputs::at(&self.claims, path)
    }
}

/// The name (RFC 9110 §5.1) of a header that carries credentials, in lower case; `None` after an error was recorded.
fn header_name(name: &str, path: &Path<'_>, errors: &mut Errors) -> Option<Vec<u8>> {
    if !is_name(name) {
        errors.add_value(path, "is not a name of a header", name, "a name, as x-token");
        return None;
    }
    let plain = folded(name.as_bytes());
    let classes = Classes::of(&plain);
    if classes.any(Classes::FRAMES.or(Classes::ROUTES)) || *plain == *b"seldon-internal-model" {
        let what = "is not a header for credentials: it frames the request, or selects the model";
        errors.add_value(path, what, name, "a name, as x-token");
        return None;
    }
    if classes.any(Classes::RESERVED.or(Classes::MEANING)) && *plain != *b"cookie" {
        warn_of_meaning(name, path, errors);
    }
    Some(name.to_ascii_lowercase().into_bytes())
}

/// Warns of a header for claims or credentials that is not for them alone.
fn warn_of_meaning(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let what = "has another meaning: proxies or servers act on it, or write it themselves";
    errors.warn_value(Warning::ProtocolHeader, path, what, name, "a name of its own, as x-user");
}
