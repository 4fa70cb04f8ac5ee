//! `principals`, `namespaces`, `serviceAccounts`: who the client's certificate names.

use super::values::is_text;
use crate::matcher::StringMatch;
use crate::request::Peer;

const SCHEME: &str = "spiffe://";

/// One value of such a field. Istio makes a regular expression of some; here literal text is compared
/// as it is, so that a dot in a name is a dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PeerMatch {
    /// `*`: any identity.
    Any,
    /// An identity.
    Exact(Box<[u8]>),
    /// What an identity begins with.
    Prefix(Box<[u8]>),
    /// What a SPIFFE identity ends with.
    Suffix(Box<[u8]>),
    /// Texts that follow each other, with anything before, between and behind.
    Namespace(Box<[Box<[u8]>]>),
    /// `/ns/<namespace>/`, and `sa/<service account>`.
    ServiceAccount(Box<[u8]>, Box<[u8]>),
}

impl PeerMatch {
    /// A value of `principals`, which Istio writes without `spiffe://`.
    pub(super) fn principal(value: &str) -> Self {
        let whole = |rest: &[u8]| [SCHEME.as_bytes(), rest].concat().into();
        match StringMatch::new(value) {
            StringMatch::Present => Self::Any,
            StringMatch::Exact(v) => Self::Exact(whole(&v)),
            StringMatch::Prefix(v) => Self::Prefix(whole(&v)),
            StringMatch::Suffix(v) => Self::Suffix(v),
        }
    }

    /// A value of `namespaces`: `.*/ns/<value>/.*` where every `*` is `.*`.
    pub(super) fn namespace(value: &str) -> Self {
        Self::Namespace(
            format!("/ns/{value}/")
                .split('*')
                .filter(|piece| !piece.is_empty())
                .map(|piece| piece.as_bytes().into())
                .collect(),
        )
    }

    /// A service account: `spiffe://.+/ns/<namespace>/(.+/|)sa/<name>(/.+)?`.
    pub(super) fn service_account(namespace: &str, name: &str) -> Self {
        Self::ServiceAccount(
            format!("/ns/{namespace}/").into_bytes().into(),
            format!("sa/{name}").into_bytes().into(),
        )
    }

    /// Envoy tries the URI SANs, the DNS SANs and the subject, and any of them may fit.
    pub(super) fn matches(&self, peer: &Peer) -> bool {
        let names = [&peer.uri_san, &peer.dns_san, &peer.subject];
        names.into_iter().flatten().any(|name| self.matches_name(name))
    }

    fn matches_name(&self, name: &[u8]) -> bool {
        match self {
            Self::Any => is_text(name),
            Self::Exact(v) => **v == *name,
            Self::Prefix(v) => name.starts_with(v),
            Self::Suffix(v) => {
                is_text(name)
                    && name.strip_prefix(SCHEME.as_bytes()).is_some_and(|rest| rest.ends_with(v))
            }
            Self::Namespace(pieces) => {
                let mut rest = Some(name);
                for piece in pieces {
                    rest = rest.and_then(|rest| behind(rest, piece));
                }
                rest.is_some() && is_text(name)
            }
            Self::ServiceAccount(namespace, account) => {
                is_text(name)
                    && name.strip_prefix(SCHEME.as_bytes()).is_some_and(|rest| {
                        // `.+` before `/ns/`: at least one character of trust domain.
                        let tail = rest.get(1..).and_then(|rest| behind(rest, namespace));
                        tail.is_some_and(|tail| holds_account(tail, account))
                    })
            }
        }
    }
}

/// What follows the first occurrence of `piece`.
fn behind<'n>(name: &'n [u8], piece: &[u8]) -> Option<&'n [u8]> {
    let at = name.windows(piece.len()).position(|window| window == piece)?;
    name.get(at.checked_add(piece.len())?..)
}

/// `(.+/|)<account>(/.+)?`, the whole of `tail`. The first occurrence of the namespace decides: what
/// a later one could match, `.+/` takes here.
fn holds_account(tail: &[u8], account: &[u8]) -> bool {
    tail.windows(account.len()).enumerate().any(|(at, window)| {
        let begins = at == 0 || (at > 1 && tail.get(at.saturating_sub(1)) == Some(&b'/'));
        let rest = tail.get(at.saturating_add(account.len())..).unwrap_or_default();
        let ends = rest.is_empty() || (rest.len() > 1 && rest.starts_with(b"/"));
        window == account && begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(name: &str) -> Peer {
        Peer { uri_san: Some(name.into()), ..Peer::default() }
    }

    #[test]
    fn principals_are_matched_without_their_scheme() {
        for (value, name, fits) in [
            ("td/ns/a/sa/b", "spiffe://td/ns/a/sa/b", true),
            ("td/ns/a/sa/b", "td/ns/a/sa/b", false),
            ("td/ns/a/*", "spiffe://td/ns/a/sa/b", true),
            ("td/ns/a/*", "spiffe://td/ns/ab/sa/b", false),
            ("*/sa/b", "spiffe://td/ns/a/sa/b", true),
            ("*/sa/b", "td/ns/a/sa/b", false),
            ("*/sa/b.c", "spiffe://td/ns/a/sa/bxc", false),
            ("*td", "spiffe://td", true),
            // The scheme itself is not part of what a suffix may match.
            ("*//td", "spiffe://td", false),
            ("*", "CN=somebody", true),
            ("*", "", false),
        ] {
            assert_eq!(PeerMatch::principal(value).matches(&uri(name)), fits, "{value} {name}");
        }
    }

    #[test]
    fn namespaces_are_matched_literally() {
        for (value, name, fits) in [
            ("prod", "spiffe://td/ns/prod/sa/b", true),
            ("prod", "spiffe://td/ns/prod/", true),
            ("prod", "spiffe://td/ns/prod", false),
            ("prod", "spiffe://td/ns/prod-2/sa/b", false),
            ("p.d", "spiffe://td/ns/pxd/sa/b", false),
            ("prod*", "spiffe://td/ns/prod-2/sa/b", true),
            ("*-2", "spiffe://td/ns/prod-2/sa/b", true),
            ("p*-*2", "spiffe://td/ns/prod-x2/sa/b", true),
            ("p*-*2", "spiffe://td/ns/prod2/sa/b", false),
            ("*", "spiffe://td/ns/prod/sa/b", true),
            ("*", "spiffe://td/sa/b", false),
            ("prod", "spiffe://td/ns/prod/\nx", false),
        ] {
            assert_eq!(PeerMatch::namespace(value).matches(&uri(name)), fits, "{value} {name}");
        }
    }

    #[test]
    fn service_accounts_are_matched_literally() {
        for (name, fits) in [
            ("spiffe://td/ns/n/sa/s", true),
            ("spiffe://td/ns/n/sa/s/more", true),
            ("spiffe://td/ns/n/cluster/c/sa/s", true),
            ("spiffe://td/x/ns/n/sa/s", true),
            ("spiffe://td/ns/n/x/ns/n/sa/s", true),
            ("spiffe://td/ns/n/sa/s/", false),
            ("spiffe://td/ns/n/sa/s2", false),
            ("spiffe://td/ns/n/sa/", false),
            ("spiffe://td/ns/n//sa/s", false),
            ("spiffe://td/ns/n/xsa/s", false),
            ("spiffe:///ns/n/sa/s", false),
            ("spiffe://td/ns/m/sa/s", false),
            ("td/ns/n/sa/s", false),
            ("spiffe://td/ns/n/sa/sx/sa/s", true),
        ] {
            assert_eq!(PeerMatch::service_account("n", "s").matches(&uri(name)), fits, "{name}");
        }
    }

    #[test]
    fn any_kind_of_name_may_fit() {
        let peer = Peer {
            uri_san: Some(b"spiffe://td/ns/a/sa/b".into()),
            dns_san: Some(b"spiffe://dns".into()),
            subject: Some(b"spiffe://subject".into()),
        };
        for value in ["td/ns/a/sa/b", "dns", "subject", "*"] {
            assert!(PeerMatch::principal(value).matches(&peer), "{value}");
        }
        assert!(!PeerMatch::principal("*").matches(&Peer::default()));
    }
}
