//! What keeps each rewrite from a request, for people: by the same tests as choose one. No filter calls it.

use super::{Request, Rewrites, Rule};
use crate::routing::host::Host;

/// What a rewrite makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewriteView {
    /// It applies.
    Applies,
    /// The path does not fit its pattern.
    OtherPath,
    /// The host is none of its hosts.
    OtherHost,
    /// The method is none of its methods.
    OtherMethod,
    /// The headers do not fit.
    OtherHeaders,
    /// One before it applies.
    NotAsked,
}

impl RewriteView {
    /// The reason, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applies => "applies",
            Self::OtherPath => "the path does not fit",
            Self::OtherHost => "the host does not fit",
            Self::OtherMethod => "the method does not fit",
            Self::OtherHeaders => "the headers do not fit",
            Self::NotAsked => "not asked: an earlier one applies",
        }
    }
}

impl Rewrites {
    /// What each rule makes of a request, in their order.
    pub fn explain(&self, request: &Request<'_>, host: &Host<'_>) -> Vec<RewriteView> {
        let mut is_over = false;
        let each = self.rules.iter().map(|rule| {
            let view = if is_over { RewriteView::NotAsked } else { rule.explain(request, host) };
            is_over |= view == RewriteView::Applies;
            view
        });
        each.collect()
    }
}

impl Rule {
    fn explain(&self, request: &Request<'_>, host: &Host<'_>) -> RewriteView {
        if self.pattern.captures(request.path_only()).is_none() {
            RewriteView::OtherPath
        } else if !self.hosts.matches(host) {
            RewriteView::OtherHost
        } else if !self.has_method(request) {
            RewriteView::OtherMethod
        } else if !self.matches(request) {
            RewriteView::OtherHeaders
        } else {
            RewriteView::Applies
        }
    }
}
