//! `requestPrincipals`: who a token names, as `<issuer>/<subject>`, split as Istio splits it.

use super::values::Star;
use crate::authn::Identity;
use crate::matcher::StringMatch;

/// A value of `requestPrincipals`. Issuer and subject are matched separately, so that a subject with
/// a `/` cannot pose as another issuer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestPrincipal {
    issuer: StringMatch,
    subject: StringMatch,
}

impl RequestPrincipal {
    /// Istio's `requestPrincipalGenerator`: the last `/` splits; a leading `*` goes before a trailing
    /// one, and of the two only one is a wildcard.
    pub(crate) fn new(value: &str) -> Self {
        let split = value.rsplit_once('/');
        let exact = |text: &str| StringMatch::Exact(text.as_bytes().into());
        let (issuer, subject) = if value == "*" {
            (StringMatch::Present, StringMatch::Present)
        } else if value.starts_with('*') {
            match split {
                Some((issuer, subject)) => (StringMatch::new(issuer), exact(subject)),
                None => (StringMatch::Present, StringMatch::new(value)),
            }
        } else if value.ends_with('*') {
            match split {
                Some((issuer, subject)) => (exact(issuer), StringMatch::new(subject)),
                None => (StringMatch::new(value), StringMatch::Present),
            }
        } else {
            let (issuer, subject) = split.unwrap_or((value, ""));
            (exact(issuer), exact(subject))
        };
        Self { issuer, subject }
    }

    /// What an author of this value probably does not expect of it.
    pub(crate) fn surprise(value: &str) -> Option<&'static str> {
        let Some((issuer, subject)) = value.rsplit_once('/') else {
            return (!value.contains('*'))
                .then_some("has no / and so matches only tokens with an empty `sub`, as in Istio");
        };
        if value.starts_with('*') && subject.ends_with('*') {
            return Some("takes the * behind the / literally, as Istio does");
        }
        issuer
            .ends_with(":/")
            .then_some("is split within its scheme, at the last /, as Istio splits it")
    }

    /// Whether it fits some token of this issuer.
    pub(crate) fn may_be_of(&self, issuer: &str) -> bool {
        self.issuer.matches(issuer.as_bytes())
    }

    /// Whether it fits this issuer and subject.
    pub(crate) fn may_be(&self, issuer: &str, subject: &str) -> bool {
        self.may_be_of(issuer) && self.subject.matches(subject.as_bytes())
    }

    /// Whether it fits whoever has a token of its issuer.
    pub(crate) fn is_any_subject(&self) -> bool {
        self.subject == StringMatch::Present
    }

    /// An identity without a string for issuer or subject fits nothing, not even `*`.
    pub(super) fn matches(&self, identity: &Identity, star: Star) -> bool {
        let fits = |pattern: &StringMatch, value: &str| match pattern {
            StringMatch::Present => star.takes(value.as_bytes()),
            pattern => pattern.matches(value.as_bytes()),
        };
        let (Some(issuer), Some(subject)) = (&identity.issuer, &identity.subject) else {
            return false;
        };
        fits(&self.issuer, issuer) && fits(&self.subject, subject)
    }
}

impl std::fmt::Display for RequestPrincipal {
    /// As it is read: `*` for whatever is there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.issuer, &self.subject) {
            (StringMatch::Present, StringMatch::Present) => f.write_str("*"),
            (issuer, subject) => write!(f, "{issuer}/{subject}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_as_istio_splits_them() {
        // value, issuer, subject, fits
        for (value, iss, sub, fits) in [
            ("*", "i", "s", true),
            ("*", "", "s", false),
            ("*", "i", "", false),
            ("*", "i", "a\nb", false),
            ("*abc", "i", "xabc", true),
            ("*abc", "", "xabc", false),
            ("*abc", "abc", "x", false),
            ("*/sub", "any/issuer", "sub", true),
            ("*/sub", "i", "xsub", false),
            ("*abc/sub", "xabc", "sub", true),
            ("*abc/sub", "x", "sub", false),
            ("*/ab*", "i", "ab*", true),
            ("*/ab*", "i", "abc", false),
            ("*/*", "i", "*", true),
            ("*/*", "i", "s", false),
            ("iss/*", "iss", "s", true),
            ("iss/*", "iss", "", false),
            ("iss/*", "issx", "s", false),
            ("iss/ab*", "iss", "abc", true),
            ("iss/ab*", "iss", "xab", false),
            ("abc*", "abcd", "s", true),
            ("abc*", "xabc", "s", false),
            ("https://idp*", "https:/", "idp.example", true),
            ("https://idp*", "https://idp.example", "s", false),
            ("foo", "foo", "", true),
            ("foo", "foo", "s", false),
            ("https://idp.example/u", "https://idp.example", "u", true),
            ("https://idp.example/u", "https://idp.example/u", "", false),
            // A subject with a slash cannot be named exactly, as in Istio.
            ("iss/a/b", "iss", "a/b", false),
            ("iss/a/b", "iss/a", "b", true),
        ] {
            let identity = Identity {
                issuer: Some(iss.to_owned()),
                subject: Some(sub.to_owned()),
                claims: serde_json::Map::new(),
            };
            assert_eq!(
                RequestPrincipal::new(value).matches(&identity, Star::Text),
                fits,
                "{value} {iss} {sub}"
            );
        }
    }

    #[test]
    fn without_issuer_or_subject_nothing_fits() {
        for (issuer, subject) in [(None, Some("s")), (Some("i"), None), (None, None)] {
            let identity = Identity {
                issuer: issuer.map(str::to_owned),
                subject: subject.map(str::to_owned),
                claims: serde_json::Map::new(),
            };
            for value in ["*", "i/*", "*s", "i", "i/s"] {
                assert!(!RequestPrincipal::new(value).matches(&identity, Star::Bytes), "{value}");
            }
        }
    }

    #[test]
    fn surprises_are_told() {
        for (value, told) in [
            ("*", false),
            ("*/sub", false),
            ("https://idp.example/*", false),
            ("abc*", false),
            ("*abc", false),
            ("*/ab*", true),
            ("*/*", true),
            ("https://idp*", true),
            ("https://idp.example", true),
            ("foo", true),
        ] {
            assert_eq!(RequestPrincipal::surprise(value).is_some(), told, "{value}");
        }
    }
}
