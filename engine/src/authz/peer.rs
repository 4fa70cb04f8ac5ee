//! `principals`, `namespaces`, `serviceAccounts`, `trustDomains`: who the client's certificate names.

use super::values::Star;
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
    /// What a trust domain begins and ends with.
    TrustDomain(Box<[u8]>, Box<[u8]>),
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

    /// A value of `trustDomains`: `spiffe://<value>/.*` where a `*` is `[^/]*`. `None` if it has another
    /// `*` than one at an end.
    pub(super) fn trust_domain(value: &str) -> Option<Self> {
        if value == "*" {
            return Some(Self::Prefix(SCHEME.as_bytes().into()));
        }
        let Some((start, end)) = value.split_once('*') else {
            return Some(Self::Prefix([SCHEME, value, "/"].concat().into_bytes().into()));
        };
        let is_right = !end.contains('*') && (start.is_empty() || end.is_empty());
        is_right.then(|| Self::TrustDomain(start.as_bytes().into(), end.as_bytes().into()))
    }

    /// Envoy tries the URI SANs, the DNS SANs and the subject, and any of them may fit.
    pub(super) fn matches(&self, peer: &Peer, star: Star) -> bool {
        peer.names().any(|name| self.matches_name(name, star))
    }

    fn matches_name(&self, name: &[u8], star: Star) -> bool {
        match self {
            Self::Any => star.takes(name),
            Self::Exact(v) => **v == *name,
            Self::Prefix(v) => name.starts_with(v),
            Self::Suffix(v) => {
                star.takes(name)
                    && name.strip_prefix(SCHEME.as_bytes()).is_some_and(|rest| rest.ends_with(v))
            }
            Self::Namespace(pieces) => {
                let mut rest = Some(name);
                for piece in pieces {
                    rest = rest.and_then(|rest| behind(rest, piece));
                }
                rest.is_some() && star.takes(name)
            }
            Self::ServiceAccount(namespace, account) => {
                star.takes(name)
                    && name.strip_prefix(SCHEME.as_bytes()).is_some_and(|rest| {
                        // `.+` before `/ns/`: at least one character of trust domain.
                        let tail = rest.get(1..).and_then(|rest| behind(rest, namespace));
                        tail.is_some_and(|tail| holds_account(tail, account))
                    })
            }
            Self::TrustDomain(start, end) => {
                star.takes(name)
                    && name.strip_prefix(SCHEME.as_bytes()).is_some_and(|rest| {
                        let domain = rest.iter().position(|c| *c == b'/');
                        domain.and_then(|slash| rest.get(..slash)).is_some_and(|domain| {
                            domain.len() >= start.len().saturating_add(end.len())
                                && domain.starts_with(start)
                                && domain.ends_with(end)
                        })
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
        Peer::named([name])
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
            assert_eq!(
                PeerMatch::principal(value).matches(&uri(name), Star::Text),
                fits,
                "{value} {name}"
            );
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
            assert_eq!(
                PeerMatch::namespace(value).matches(&uri(name), Star::Text),
                fits,
                "{value} {name}"
            );
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
            assert_eq!(
                PeerMatch::service_account("n", "s").matches(&uri(name), Star::Text),
                fits,
                "{name}"
            );
        }
        for (name, fits) in [
            ("spiffe://td/ns/n.n/sa/s.a", true),
            ("spiffe://td/ns/n.n/sa/sxa", false),
            ("spiffe://td/ns/nxn/sa/s.a", false),
        ] {
            let dots = PeerMatch::service_account("n.n", "s.a");
            assert_eq!(dots.matches(&uri(name), Star::Text), fits, "{name}");
        }
    }

    #[test]
    fn any_kind_of_name_may_fit() {
        let peer = Peer {
            dns_sans: vec![b"x".into(), b"spiffe://dns".into()],
            subject: Some(b"spiffe://subject".into()),
            ..Peer::named(["spiffe://td/ns/c/sa/d", "spiffe://td/ns/a/sa/b"])
        };
        for value in ["td/ns/a/sa/b", "td/ns/c/sa/d", "dns", "subject", "*"] {
            assert!(PeerMatch::principal(value).matches(&peer, Star::Text), "{value}");
        }
        assert!(!PeerMatch::principal("*").matches(&Peer::default(), Star::Bytes));
    }

    #[test]
    fn no_byte_hides_a_name_from_what_refuses() {
        for odd in [b'\0', b'\n', 0xff] {
            let name = [b"spiffe://td/ns/a/sa/b/".as_slice(), &[odd], b"/end"].concat();
            let peer = Peer { uri_sans: vec![name], ..Peer::named([]) };
            for value in [
                PeerMatch::principal("*"),
                PeerMatch::principal("*end"),
                PeerMatch::namespace("a"),
                PeerMatch::service_account("a", "b"),
                PeerMatch::trust_domain("t*").unwrap(),
            ] {
                assert!(value.matches(&peer, Star::Bytes), "{value:?}");
                // RE2's `.` takes a NUL.
                assert_eq!(value.matches(&peer, Star::Text), odd == 0, "{value:?}");
            }
            for value in ["td/ns/a/sa/b", "td/ns/a/sa/b/", "*/b", "*/b/"] {
                assert!(!PeerMatch::principal(value).matches(&peer, Star::Bytes), "{value} {odd}");
            }
        }
    }

    #[test]
    fn trust_domains_are_matched_up_to_the_slash() {
        for (value, name, fits) in [
            ("td", "spiffe://td/ns/a/sa/b", true),
            ("td", "spiffe://td/", true),
            ("td", "spiffe://td", false),
            ("td", "spiffe://tds/ns/a/sa/b", false),
            ("td", "td/ns/a/sa/b", false),
            ("t.d", "spiffe://txd/ns/a/sa/b", false),
            ("t*", "spiffe://td/ns/a/sa/b", true),
            ("t*", "spiffe://t/x", true),
            ("t*", "spiffe://td", false),
            ("t*", "spiffe://xtd/t/b", false),
            ("*d", "spiffe://td/ns/a/sa/b", true),
            ("*d", "spiffe://d/ns/a/sa/b", true),
            ("*d", "spiffe://tdx/ns/a/sa/d", false),
            ("*.d", "spiffe://txd/ns", false),
            ("*", "spiffe://td", true),
            ("*", "spiffe://", true),
            ("*", "CN=somebody", false),
        ] {
            let found = PeerMatch::trust_domain(value).unwrap().matches(&uri(name), Star::Text);
            assert_eq!(found, fits, "{value} {name}");
        }
        for value in ["t*d", "*t*", "**"] {
            assert_eq!(PeerMatch::trust_domain(value), None, "{value}");
        }
    }
}
