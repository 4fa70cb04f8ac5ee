//! Why credentials are refused, and the answer that says so: Envoy's texts, codes and challenge.

use crate::config::declare::words;
use crate::request::Request;

words! {
    /// What became of a credential: the `result` of `modelgate_tokens_total`.
    pub enum TokenResult {
        /// A token that was verified in an earlier request.
        Cached = "cached",
        /// A token that was verified in this request.
        Verified = "verified",
        /// Not a well-formed JWS, or claims of a wrong type.
        BadFormat = "bad_format",
        /// An algorithm that nobody should sign with.
        UnsupportedAlgorithm = "unsupported_algorithm",
        /// No rule is for the issuer.
        UnknownIssuer = "unknown_issuer",
        /// Before `nbf`.
        NotYetValid = "not_yet_valid",
        /// After `exp`.
        Expired = "expired",
        /// For somebody else.
        WrongAudience = "wrong_audience",
        /// No key has the key id and algorithm.
        NoKey = "no_key",
        /// The issuer's keys could not be fetched.
        KeysUnavailable = "keys_unavailable",
        /// The signature is wrong.
        BadSignature = "bad_signature",
        /// A key of a machine client.
        ApiKeyVerified = "api_key_verified",
        /// An API key that nobody has.
        ApiKeyUnknown = "api_key_unknown",
        /// More than one API key.
        ApiKeyRepeated = "api_key_repeated",
        /// An API key and a token in one request.
        ApiKeyWithToken = "api_key_with_token",
    }
}

/// Declares the ways to fail: the text of the answer, and what is counted.
macro_rules! rejections {
    ($( $(#[$meta:meta])* $name:ident = $text:literal, $result:ident; )*) => {
        /// A way in which a credential fails. The texts are Envoy's where Envoy has one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Rejection { $( $(#[$meta])* $name, )* }

        impl Rejection {
            /// All of them.
            #[cfg(test)]
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The body of the answer.
            pub const fn text(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }

            /// What is counted.
            pub const fn result(self) -> TokenResult {
                match self { $( Self::$name => TokenResult::$result, )* }
            }
        }
    };
}

rejections! {
    /// `nbf` is to come.
    NotYetValid = "Jwt not yet valid", NotYetValid;
    /// `exp` is past.
    Expired = "Jwt is expired", Expired;
    /// Not three parts.
    BadFormat = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections", BadFormat;
    /// The header is not base64url.
    HeaderBase64 = "Jwt header is an invalid Base64url encoded", BadFormat;
    /// The header is not a JSON object.
    HeaderJson = "Jwt header is an invalid JSON", BadFormat;
    /// `alg` is missing or not a string.
    HeaderAlg = "Jwt header [alg] field is required and must be a string", BadFormat;
    /// `alg` is none that is known.
    HeaderAlgUnsupported = "Jwt header [alg] is not supported", UnsupportedAlgorithm;
    /// `kid` is not a string.
    HeaderKid = "Jwt header [kid] field is not a string", BadFormat;
    /// RFC 7515 §4.1.11: extensions that are not understood make a token invalid. Not in Envoy.
    HeaderCrit = "Jwt header [crit] is not supported", BadFormat;
    /// The payload is not base64url.
    PayloadBase64 = "Jwt payload is an invalid Base64url encoded", BadFormat;
    /// The payload is not a JSON object.
    PayloadJson = "Jwt payload is an invalid JSON", BadFormat;
    /// `iss` is not a string.
    IssNotString = "Jwt payload [iss] field is not a string", BadFormat;
    /// `sub` is not a string.
    SubNotString = "Jwt payload [sub] field is not a string", BadFormat;
    /// `iat` is not a number.
    IatNotInteger = "Jwt payload [iat] field is not an integer", BadFormat;
    /// `iat` is negative or too large.
    IatOutOfRange = "Jwt payload [iat] field is not a positive 64 bit integer", BadFormat;
    /// `nbf` is not a number.
    NbfNotInteger = "Jwt payload [nbf] field is not an integer", BadFormat;
    /// `nbf` is negative or too large.
    NbfOutOfRange = "Jwt payload [nbf] field is not a positive 64 bit integer", BadFormat;
    /// `exp` is not a number.
    ExpNotInteger = "Jwt payload [exp] field is not an integer", BadFormat;
    /// `exp` is negative or too large.
    ExpOutOfRange = "Jwt payload [exp] field is not a positive 64 bit integer", BadFormat;
    /// `jti` is not a string.
    JtiNotString = "Jwt payload [jti] field is not a string", BadFormat;
    /// `aud` is neither a string nor a list of strings.
    AudNotString = "Jwt payload [aud] field is not a string or string list", BadFormat;
    /// The signature is not base64url.
    SignatureBase64 = "Jwt signature is an invalid Base64url encoded", BadFormat;
    /// `iss` is not the rule's.
    UnknownIssuer = "Jwt issuer is not configured", UnknownIssuer;
    /// None of the rule's audiences is in `aud`.
    AudienceNotAllowed = "Audiences in Jwt are not allowed", WrongAudience;
    /// No key has the key id and algorithm.
    NoKey = "Jwks doesn't have key to match kid or alg from Jwt", NoKey;
    /// Without a key id there are too many keys to try. Envoy, which tries them all, has no text.
    KeyAmbiguous = "Jwks doesn't have key to match kid or alg from Jwt", NoKey;
    /// There are no keys yet, or none any more that are fresh enough.
    KeysUnavailable = "Jwks remote fetch is failed", KeysUnavailable;
    /// A key of Ed25519 was tried, and the signature is none of its.
    Ed25519Length = "Jwt ED25519 signature is wrong length", BadSignature;
    /// None of the keys that might be meant made the signature.
    BadSignature = "Jwt verification fails", BadSignature;
    /// An API key that nobody has.
    ApiKeyUnknown = "API key is not valid", ApiKeyUnknown;
    /// The header of the API key stands on several lines.
    ApiKeyRepeated = "API key is given more than once", ApiKeyRepeated;
    /// Two credentials would be two identities.
    ApiKeyWithToken = "API key and Jwt are given together", ApiKeyWithToken;
}

/// The answer to a request whose credentials are bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// 401; 403 for a token that is meant for somebody else.
    pub code: u16,
    /// The body, `text/plain`.
    pub text: &'static str,
    /// Value of `www-authenticate`.
    pub www_authenticate: String,
    /// Envoy's `response_code_details`.
    pub details: String,
    /// The path for access logs, if the request's own has tokens in it.
    pub path: Option<Vec<u8>>,
}

/// How much of an authority and of a path the challenge repeats, in bytes.
const REALM_PART: usize = 256;

impl Failure {
    /// The answer to `request`, of which the challenge repeats this path.
    pub fn new(rejection: Rejection, request: &Request<'_>, path: &[u8]) -> Self {
        let code = if rejection == Rejection::AudienceNotAllowed { 403 } else { 401 };
        let (scheme, kind) = match rejection {
            Rejection::ApiKeyUnknown | Rejection::ApiKeyRepeated | Rejection::ApiKeyWithToken => {
                ("ApiKey", "api_key")
            }
            _ => ("Bearer", "jwt_authn"),
        };
        let text = rejection.text();
        let error = if scheme == "Bearer" { ", error=\"invalid_token\"" } else { "" };
        Self {
            code,
            text,
            www_authenticate: format!("{scheme} realm=\"{}\"{error}", realm(request, path)),
            details: format!("{kind}_access_denied{{{}}}", text.replace(' ', "_")),
            path: None,
        }
    }
}

/// `scheme://authority/path?query`, without bytes that would end the quoted string or the header.
fn realm(request: &Request<'_>, path: &[u8]) -> String {
    let scheme = request.header(b":scheme").unwrap_or(b"http");
    let authority = request.authority.unwrap_or_default();
    let cut = |part: &[u8], out: &mut String| {
        let plain = part.iter().take(REALM_PART).copied();
        out.extend(
            plain
                .filter(|c| matches!(c, b' '..=b'~') && !matches!(c, b'"' | b'\\'))
                .map(char::from),
        );
    };
    let mut out = String::new();
    cut(scheme, &mut out);
    out.push_str("://");
    cut(authority, &mut out);
    cut(path, &mut out);
    out
}
