//! Members of an answer that name the answer and not the prediction: two answers of one model differ
//! there by nature. Whose answer it is is known by its other members.

use super::json::{Json, Members};

/// The names of such members.
type Volatile = &'static [&'static [u8]];

/// Open Inference Protocol: the id of the request, and the name under which the model was asked.
const INFERENCE: Volatile = &[b"id", b"model_name", b"model_version"];

/// Seldon v1: tags, metrics and the images on the way.
const SELDON: Volatile = &[b"meta"];

/// OpenAI: chat, completions, embeddings, responses, rerank and score.
const OPENAI: Volatile = &[b"id", b"created", b"system_fingerprint", b"model", b"usage"];

/// Refusals of a model that is not there name it.
const REFUSAL: Volatile = &[b"error"];

/// What does not count at the top of these two answers. `not_found`: both have that status.
pub fn volatile(live: &Members<'_>, shadow: &Members<'_>, not_found: bool) -> Volatile {
    let (live, shadow) = (of(live, not_found), of(shadow, not_found));
    if live == shadow { live } else { &[] }
}

fn of(members: &Members<'_>, not_found: bool) -> Volatile {
    let find = |name: &[u8]| {
        let i = members.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        members.get(i).map(|(_, value)| value)
    };
    let is_list = |name| matches!(find(name), Some(Json::Array(_)));
    let is_object = |name| matches!(find(name), Some(Json::Object(_)));
    let is_text = |name| matches!(find(name), Some(Json::String(_)));
    let has = |name| find(name).is_some();
    let only = |names: &[&[u8]]| members.iter().all(|(name, _)| names.contains(&&**name));
    if not_found && is_text(b"error") && members.len() == 1 {
        return REFUSAL;
    }
    let inference: &[&[u8]] = &[b"id", b"model_name", b"model_version", b"parameters"];
    if is_list(b"outputs") || is_text(b"model_name") && only(inference) {
        return INFERENCE;
    }
    let lists = is_list(b"choices") || is_list(b"data") || is_list(b"output");
    if is_text(b"object") && lists
        || is_list(b"choices")
        || is_list(b"results") && has(b"id") && is_text(b"model")
    {
        return OPENAI;
    }
    let content: &[&[u8]] = &[b"binData", b"customData", b"jsonData", b"strData"];
    let is_seldon = match find(b"data") {
        Some(Json::Object(data)) => data
            .iter()
            .any(|(name, _)| matches!(&**name, b"names" | b"ndarray" | b"tensor" | b"tftensor")),
        Some(_) => false,
        None => {
            content.iter().any(|name| has(name))
                || is_object(b"meta") && only(&[b"meta", b"status"])
        }
    };
    if is_seldon { SELDON } else { &[] }
}
