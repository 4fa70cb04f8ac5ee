//! What the model gets: the rewrite carried out, and the request's identifier.

use crate::request::{Edits, Request};
use crate::rewrite::Rewritten;

/// Gives the request the identifier that Seldon's servers answer and log under, if it has none: else
/// each would make its own, and what a live model and its shadows log could not be joined.
pub(super) fn identify(request: &Request<'_>, edits: &mut Edits) {
    if edits.lines(request, b"seldon-puid").next().is_none()
        && let Some(id) = request.header(b"x-request-id")
    {
        edits.set(b"seldon-puid", id);
    }
}

/// Adds to the edits what the rewrite changes, and the path without the token that stood in it.
pub(super) fn apply(
    request: &Request<'_>,
    rewritten: Option<&Rewritten>,
    without_token: Option<Vec<u8>>,
    edits: &mut Edits,
) {
    let Some(rewritten) = rewritten else {
        if let Some(path) = without_token {
            edits.set(b":path", path);
        }
        return;
    };
    for name in rewritten.edits.removed() {
        edits.remove(name);
    }
    // In the spelling that came, too: what goes must not arrive under the name that servers take for it.
    if rewritten.edits.removed().any(|name| request.may_have(name)) {
        for (name, _) in request.headers().iter().filter(|(name, _)| rewritten.removes(name)) {
            edits.remove(name);
        }
    }
    for (name, value) in rewritten.edits.added() {
        edits.add(name, value);
    }
    if let Some(authority) = &rewritten.authority {
        edits.set(b":authority", authority.clone());
    }
    let path = match (&rewritten.path, &without_token) {
        (None, _) => without_token,
        (Some(path), without_token) => {
            // The rewrite keeps the query behind its path, without the token that stood there.
            let kept = without_token.as_deref().unwrap_or(request.path);
            Some([path, kept.get(request.path_only().len()..).unwrap_or_default()].concat())
        }
    };
    if let Some(path) = path {
        edits.set(b":path", path);
    }
}
