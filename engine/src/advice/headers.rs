//! Headers and parameters that make up who calls, or hand on by what callers are known.

use super::order::repeated;
use super::{Advisor, TRIES_ALL};
use crate::config::types::Shadow;
use crate::config::{Path, Warning};
use crate::header::folded;

/// By these servers know who calls, because a proxy that logged the caller in writes them: those of web servers (RFC 3875
/// §4.1.11), oauth2-proxy, Kubeflow, Grafana, Google's, Amazon's and Microsoft's proxies, and Kubernetes' front proxy. `*`
/// stands for any end. The gateway's own table has `x-forwarded-user` and such, which no rewrite makes of a client's text.
const IDENTITIES: &[&str] = &[
    "remote-*",
    "x-remote-*",
    "x-auth-*",
    "x-webauth-*",
    "x-authenticated-*",
    "x-goog-authenticated-*",
    "x-goog-iap-*",
    "x-amzn-oidc-*",
    "x-ms-client-principal*",
    "kubeflow-*",
    "impersonate-*",
];

/// What names end with that say who calls.
const CALLERS: &[&str] = &[
    "user",
    "userid",
    "user-id",
    "username",
    "user-name",
    "email",
    "groups",
    "roles",
    "principal",
];

/// Headers that are somebody's credential: what `keep` is weighed against.
const CREDENTIALS: &[&str] = &[
    "api-key",
    "apikey",
    "ocp-apim-subscription-key",
    "private-token",
    "session-token",
    "token",
    "x-access-token",
    "x-amz-security-token",
    "x-amzn-oidc-accesstoken",
    "x-amzn-oidc-data",
    "x-api-key",
    "x-apikey",
    "x-auth-request-access-token",
    "x-auth-token",
    "x-csrf-token",
    "x-forwarded-access-token",
    "x-functions-key",
    "x-goog-api-key",
    "x-goog-iap-jwt-assertion",
    "x-id-token",
    "x-ms-token-aad-access-token",
    "x-openai-api-key",
    "x-session-token",
    "x-vault-token",
];

/// Parameters that are one, without what parts their words: RFC 6750 §2.3, OpenID Connect, Google's and Azure's keys, and
/// addresses that clouds sign.
const PARAMETERS: &[&str] = &[
    "accesskey",
    "accesstoken",
    "apikey",
    "authorization",
    "authtoken",
    "clientsecret",
    "idtoken",
    "jwt",
    "key",
    "passwd",
    "password",
    "refreshtoken",
    "secret",
    "sessionid",
    "sessiontoken",
    "sig",
    "signature",
    "subscriptionkey",
    "token",
    "xamzsecuritytoken",
    "xamzsignature",
    "xgoogsignature",
];

/// What a copy's body is, whatever the copy says: it is the client's.
const OF_BODY: &[&str] = &["content-encoding", "grpc-encoding", "inference-header-content-length"];

impl Advisor<'_, '_> {
    /// Of rewrites and shadows.
    pub(super) fn headers(&mut self) {
        if !TRIES_ALL {
            return;
        }
        let settings = self.settings;
        let list = Path::ROOT.field("rewrites");
        for (i, rewrite) in settings.rewrites.iter().enumerate() {
            let path = list.index(i);
            let path = path.field("setHeaders");
            for (name, value) in &rewrite.set_headers.0 {
                if value.contains('{') && is_identity(name) {
                    let what =
                        "says who calls, and holds what a client writes: anybody may be anyone";
                    let fix = "a claim, by outputClaimToHeaders; or a name that says no caller's";
                    self.warn(Warning::CapturedIdentity, &path.field(name), what, fix);
                }
            }
        }
        let list = Path::ROOT.field("shadows");
        for (i, shadow) in settings.shadows.iter().enumerate() {
            self.copied(shadow, &list.index(i));
        }
        let same = |a: &Shadow, b: &Shadow| {
            let named = Shadow { name: a.name.clone(), ..b.clone() };
            *a == named
        };
        for i in repeated(&settings.shadows, same) {
            let what = "gets the same copies as a shadow before it, which its server answers twice";
            self.warn(Warning::Duplicate, &list.index(i), what, "leave it out");
        }
    }

    /// What a shadow gets of requests, by headers and parameters.
    fn copied(&mut self, shadow: &Shadow, path: &Path<'_>) {
        let headers = path.field("headers");
        let keep = headers.field("keep");
        for (i, name) in shadow.headers.keep.iter().enumerate() {
            let key = text(name);
            let begun = key.strip_suffix('*');
            // Where `x-api-key` is among them, this was told when the shadow was compiled.
            let is_told = begun.is_some_and(|begun| "x-api-key".starts_with(begun));
            let is_one = |one: &&&str| begun.map_or(key == **one, |begun| one.starts_with(begun));
            let one = CREDENTIALS.iter().find(is_one);
            if let Some(one) = one.filter(|_| !is_told) {
                let what = "hands credentials on to the shadow, as ";
                let fix = "names that carry no credential, in full";
                self.warn(Warning::CopiedCredentials, &keep.index(i), &[what, one].concat(), fix);
            }
        }
        for (field, name) in [
            ("set", shadow.headers.set.0.iter().map(|(name, _)| name).collect()),
            ("remove", shadow.headers.remove.iter().collect::<Vec<&String>>()),
        ] {
            let list = headers.field(field);
            for (i, name) in name.into_iter().enumerate() {
                if OF_BODY.contains(&&*text(name)) {
                    let at = if field == "set" { list.field(name) } else { list.index(i) };
                    let what = "says what the body is, which stays the client's: the shadow reads it wrong";
                    let fix = "leave it out: copies have it from the request";
                    self.warn(Warning::BodyHeader, &at, what, fix);
                }
            }
        }
        let query = path.field("query");
        let keep = query.field("keep");
        for (i, name) in shadow.query.keep.iter().enumerate() {
            let path = keep.index(i);
            let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            let plain = plain.to_ascii_lowercase();
            if name.contains('*') {
                let what = "is compared as it is written: no parameter of another name is kept";
                self.never(&path, what, name, "each parameter by its name in full, as version");
            } else if is_encoded(name) {
                let what = "names are compared once their %XX are decoded";
                self.never(&path, what, name, "the decoded name");
            } else if PARAMETERS.contains(&&*plain) {
                let what = "hands on to the shadow what is a credential by its name";
                let fix = "parameters that carry no credential";
                self.warn(Warning::CopiedCredentials, &path, what, fix);
            }
        }
    }
}

/// A header's name, folded.
fn text(name: &str) -> String {
    String::from_utf8_lossy(&folded(name.as_bytes())).into_owned()
}

/// Whether servers take a header's word for who calls.
fn is_identity(name: &str) -> bool {
    let name = text(name);
    let is_known = |one: &&str| match one.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == **one,
    };
    IDENTITIES.iter().any(is_known) || CALLERS.iter().any(|end| name.ends_with(end))
}

/// Whether a name has a byte as a query writes it.
fn is_encoded(name: &str) -> bool {
    let mut codes = name.split('%').skip(1);
    codes.any(|code| code.get(..2).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok()))
}
