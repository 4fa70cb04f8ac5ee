//! Request bodies that name the model.

mod reader;
#[cfg(test)]
mod tests;

pub use reader::ModelReader;

use crate::refusal::Refusal;
use crate::request::Request;

const NOT_JSON: Refusal =
    Refusal::new("the model is in the body, and its content-type is not application/json");
const CODED: Refusal = Refusal::new("the model is in the body, and that is compressed");

/// Whether the body of a request can be read. A server that takes it for a form, or for something else that is not JSON,
/// finds another model there.
pub(crate) fn check_head(request: &Request<'_>) -> Result<(), Refusal> {
    let mut types = request.lines(b"content-type");
    if !types.all(is_json) {
        return Err(NOT_JSON);
    }
    let is_plain = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"identity");
    if !request.lines(b"content-encoding").all(is_plain) {
        return Err(CODED);
    }
    Ok(())
}

/// Whether a media type is JSON's. A second one behind a comma may be what a server takes.
fn is_json(kind: &[u8]) -> bool {
    let essence = kind.split(|c| *c == b';').next().unwrap_or_default().trim_ascii();
    let (application, json) = (b"application/", b"json");
    let behind = essence.split_at_checked(application.len());
    let is_utf8 = |parameter: &[u8]| {
        let mut parts = parameter.splitn(2, |c| *c == b'=');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let value = value.trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
        !name.trim_ascii().eq_ignore_ascii_case(b"charset")
            || value.eq_ignore_ascii_case(b"utf-8")
            || value.eq_ignore_ascii_case(b"us-ascii")
    };
    !kind.contains(&b',')
        && kind.split(|c| *c == b';').skip(1).all(is_utf8)
        && behind.is_some_and(|(start, kind)| {
            start.eq_ignore_ascii_case(application) && kind.eq_ignore_ascii_case(json)
        })
}
