//! Request bodies that name the model.

mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::path::escape::decode_lenient;
use crate::path::query;
use crate::refusal::Refusal;
use crate::request::Request;

pub use reader::ModelReader;
pub(crate) use reader::plain_length;

const NOT_JSON: Refusal =
    Refusal::new("the model is in the body, and its content-type is not application/json");
const CODED: Refusal = Refusal::new("the model is in the body, and that is compressed");

const BY_QUERY: Refusal = Refusal::new(
    "the model is in the body, and the query has a parameter that servers may choose one by",
);

/// By what servers choose a model, an adapter of it, or the server behind them, as members of the body or parameters of the
/// query: LiteLLM, OpenRouter, llama.cpp, SGLang, LoRAX. In any case; nothing of OpenAI's API begins like it but `model`.
fn chooses(name: &[u8]) -> bool {
    const STARTS: [&[u8]; 3] = [b"model", b"lora", b"adapter"];
    const NAMES: [&[u8]; 10] = [
        b"fallbacks",
        b"context_window_fallbacks",
        b"content_policy_fallbacks",
        b"api_base",
        b"base_url",
        b"user_config",
        b"router_settings_override",
        b"custom_llm_provider",
        b"litellm_credential_name",
        b"prompt_id",
    ];
    let begins = |start: &[u8]| {
        name.split_at_checked(start.len()).is_some_and(|(head, _)| head.eq_ignore_ascii_case(start))
    };
    STARTS.into_iter().any(begins) || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a query has such a parameter, also behind a `;`.
fn is_chosen_by_query(path: &[u8]) -> bool {
    let names = query::all(path).flat_map(|(name, value)| {
        let behind = value.split(|c| *c == b';').skip(1);
        name.split(|c| *c == b';').chain(behind)
    });
    let names = names.map(|name| name.split(|c| *c == b'=').next().unwrap_or_default());
    names.map(decode_lenient).any(|name| chooses(&Cow::from(name)))
}

/// Whether the body of a request can be read. A server that takes it for a form, or for something else that is not JSON,
/// finds another model there.
pub(crate) fn check_head(request: &Request<'_>) -> Result<(), Refusal> {
    if request.path.len() > request.path_only().len() && is_chosen_by_query(request.path) {
        return Err(BY_QUERY);
    }
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
