//! One field of a rule with its values, as `hosts` or `notHosts`, and how a request is tested by it.

use ipnet::IpNet;

use crate::path::uri_template::Template;
use crate::routing::Address;

use super::Subject;
use super::claim::{ClaimPath, claim_matches};
use super::ip::Whose;
use super::models::{Models, Operations};
use super::peer::PeerMatch;
use super::principal::RequestPrincipal;
use super::values::{Star, Values};

/// A test, or its negation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) test: Test,
    /// Whether none of the values may fit.
    pub(super) negated: bool,
}

/// What is compared with the values of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Operations(Operations),
    Models(Models),
    Methods(Values),
    Paths(Values, Box<[Template]>),
    /// In lower case.
    Hosts(Values),
    /// A header's name in lower case.
    Header(Box<[u8]>, Values),
    RequestPrincipals(Box<[RequestPrincipal]>),
    Claim(ClaimPath, Values),
    Ports(Box<[u16]>),
    Ip(Whose, Box<[IpNet]>),
    Sni(Values),
    Peer(Box<[PeerMatch]>),
}

impl Clause {
    /// Whether the request fits. `undecided` is the answer where what is asked for cannot be had, for
    /// the negated form as well; nothing above a clause negates, so one answer does for the whole rule.
    pub(super) fn matches(&self, subject: &Subject<'_>, undecided: bool) -> bool {
        let star = if undecided || self.negated { Star::Bytes } else { Star::Text };
        self.test.fits(subject, star).map_or(undecided, |fits| fits != self.negated)
    }
}

impl Test {
    /// `None` if what is asked for cannot be had.
    fn fits(&self, subject: &Subject<'_>, star: Star) -> Option<bool> {
        let request = subject.request;
        Some(match self {
            Self::Operations(set) => subject.address.is_some_and(|a| set.contains(a.operation)),
            Self::Models(models) => match subject.address {
                Some(Address { model: Some(model), .. }) => models.matches(&model.id),
                // The body has not named it yet.
                Some(Address { in_body: Some(_), .. }) => return None,
                _ => false,
            },
            Self::Methods(values) => values.match_header(request.method),
            Self::Paths(values, templates) => {
                let path = request.path_only();
                values.match_text(path, star) || templates.iter().any(|t| t.matches(path))
            }
            Self::Hosts(values) => request.authority.is_some_and(|a| values.match_ignoring_case(a)),
            // Line by line: joined lines would let a second one hide the first (CVE-2026-26308).
            Self::Header(name, values) => {
                subject.edits.lines(request, name).any(|line| values.match_header(line))
            }
            Self::RequestPrincipals(values) => subject
                .identity
                .is_some_and(|identity| values.iter().any(|v| v.matches(identity, star))),
            Self::Claim(path, values) => subject
                .identity
                .is_some_and(|identity| claim_matches(&identity.claims, path, values, star)),
            Self::Ports(ports) => ports.contains(&request.attributes().destination_port()?),
            Self::Ip(whose, blocks) => {
                let address = whose.of(subject)?;
                blocks.iter().any(|block| block.contains(&address))
            }
            Self::Sni(values) => {
                values.match_text(request.attributes().sni().unwrap_or_default(), star)
            }
            Self::Peer(values) => match request.attributes().peer() {
                None => false,
                Some(peer) if values.iter().any(|v| v.matches(peer, star)) => true,
                Some(peer) => peer.all_known.then_some(false)?,
            },
        })
    }

    /// Whether the host is asked, which costs more than anything that is in memory.
    fn asks_host(&self) -> bool {
        matches!(self, Self::Ports(_) | Self::Ip(..) | Self::Sni(_) | Self::Peer(_))
    }
}

/// Clauses that must all match, in the order in which they are best tried.
pub(super) fn in_order(clauses: Vec<Clause>) -> Box<[Clause]> {
    let (dear, mut ordered): (Vec<_>, Vec<_>) =
        clauses.into_iter().partition(|clause| clause.test.asks_host());
    ordered.extend(dear);
    ordered.into()
}

/// Whether all clauses match.
pub(super) fn all(clauses: &[Clause], subject: &Subject<'_>, undecided: bool) -> bool {
    clauses.iter().all(|clause| clause.matches(subject, undecided))
}
