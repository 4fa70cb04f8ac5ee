//! The answers of OpenAI's API and of those beside it, as servers of language models give them: whose an
//! answer is, and which of its lists are predictions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::binary::float;
use super::json::{Json, MAX_VALUES, Unread};
use crate::steps::Steps;

/// Whether this is an answer of OpenAI's API: chat, completions, responses, moderations, images, and lists
/// of embeddings, scores, classes and ranks.
pub fn is_answer(answer: &Json<'_>, steps: &mut Steps) -> bool {
    let has = |name| matches!(answer.member(name), Some(Json::Array(_)));
    match answer.text(b"object") {
        Some(of) if [&b"chat.completion"[..], b"text_completion"].contains(&of) => {
            return has(b"choices");
        }
        Some(of) if of == b"response" => return has(b"output"),
        Some(b"list") if answer.has_list_of(b"data", is_indexed, steps) => return true,
        Some(b"list") if answer.has_empty(b"data") => return answer.text(b"model").is_some(),
        Some(b"list") => {}
        Some(_) => return false,
        None if answer.has_list_of(b"choices", is_choice, steps) => return true,
        // vLLM's answer to tokens.
        None if answer.text(b"request_id").is_some()
            && answer.has_list_of(
                b"choices",
                |choice| choice.member(b"token_ids").is_some(),
                steps,
            ) =>
        {
            return true;
        }
        None if matches!(answer.member(b"created"), Some(Json::Number(_)))
            && answer.has_list_of(b"data", is_image, steps) =>
        {
            return true;
        }
        None => {}
    }
    let is_one = |item: &Json<'_>| is_ranked(item) || is_moderated(item);
    answer.text(b"model").is_some()
        && (answer.has_list_of(b"results", is_one, steps)
            || answer.has_empty(b"results")
                && matches!(answer.member(b"usage"), Some(Json::Object(_))))
}

/// Whether this is an answer of SGLang's own API: a text, its tokens or an embedding, and what there is to say of it.
pub fn is_of_sglang(answer: &Json<'_>) -> bool {
    let info = answer.member(b"meta_info");
    let has = |name| info.is_some_and(|info| info.member(name).is_some());
    let content: [&[u8]; 3] = [b"text", b"output_ids", b"embedding"];
    has(b"id") && has(b"finish_reason") && content.iter().any(|name| answer.member(name).is_some())
}

/// Whether this is a completion of llama.cpp's own API.
pub fn is_of_llama(answer: &Json<'_>) -> bool {
    let has = |name: &&[u8]| answer.member(name).is_some();
    let names: [&[u8]; 4] = [b"id_slot", b"stop", b"tokens_predicted", b"tokens_evaluated"];
    answer.text(b"content").is_some() && names.iter().all(has)
}

/// Whether this is a message of Anthropic's API.
pub fn is_message(answer: &Json<'_>) -> bool {
    answer.text(b"type") == Some(b"message")
        && answer.text(b"role") == Some(b"assistant")
        && answer.text(b"model").is_some()
        && answer.member(b"stop_reason").is_some()
        && matches!(answer.member(b"content"), Some(Json::Array(_)))
}

/// Whether this is the answer of Cohere's rerank or embed, which name no model.
pub fn is_of_cohere(answer: &Json<'_>, steps: &mut Steps) -> bool {
    let embed: &[&[u8]] =
        &[b"id", b"meta", b"embeddings", b"texts", b"images", b"response_type", b"usage"];
    if answer.text(b"response_type").is_some_and(|of| of.starts_with(b"embeddings_")) {
        return answer.member(b"embeddings").is_some() && answer.has_only(embed);
    }
    let is_indexed = |item: &Json<'_>| is_ranked(item) && is_indexed(item);
    let meta = answer.member(b"meta");
    let is_said = |name| matches!(meta.and_then(|m| m.member(name)), Some(Json::Object(_)));
    answer.has_only(&[b"id", b"meta", b"results"])
        && (is_said(b"api_version") || is_said(b"billed_units"))
        && (answer.has_empty(b"results") || answer.has_list_of(b"results", is_indexed, steps))
}

/// Embeddings in base64, as OpenAI's own client asks for them, and what vLLM pools become the floats that they
/// hold: four bytes each, the lowest first.
///
/// # Errors
/// Says whether they are more than is compared.
pub fn decode_embeddings(answer: &mut Json<'_>, steps: &mut Steps) -> Result<(), Unread> {
    let Some(Json::Array(items)) = answer.member_mut(b"data") else { return Ok(()) };
    let mut left = MAX_VALUES;
    for item in items {
        let is_pooled = item.text(b"object") == Some(b"pooling");
        let name: &[u8] = if is_pooled { b"data" } else { b"embedding" };
        let Some(embedding) = item.member_mut(name) else { continue };
        let Json::String(text) = embedding else { continue };
        let Ok(raw) = STANDARD.decode(&**text) else { continue };
        let (floats, []) = raw.as_chunks() else { continue };
        let mut values = Vec::new();
        for bytes in floats {
            left = left.checked_sub(1).filter(|_| steps.take(1)).ok_or(Unread::TooComplex)?;
            values.push(float(f32::from_le_bytes(*bytes).into()));
        }
        *embedding = Json::Array(values);
    }
    Ok(())
}

/// Whether what is called `data` or `results` is a list of predictions.
pub fn are_predictions(list: &Json<'_>) -> bool {
    let is_one = |item| is_indexed(item) || is_moderated(item);
    matches!(list, Json::Array(items) if !items.is_empty() && items.iter().all(is_one))
}

fn is_choice(item: &Json<'_>) -> bool {
    item.member(b"message").is_some() || item.member(b"text").is_some()
}

fn is_image(item: &Json<'_>) -> bool {
    item.text(b"b64_json").is_some() || item.text(b"url").is_some()
}

fn is_ranked(item: &Json<'_>) -> bool {
    item.member(b"relevance_score").is_some()
}

fn is_moderated(item: &Json<'_>) -> bool {
    matches!(item.member(b"flagged"), Some(Json::Bool(_)))
        && matches!(item.member(b"category_scores"), Some(Json::Object(_)))
}

fn is_indexed(item: &Json<'_>) -> bool {
    matches!(item.member(b"index"), Some(Json::Number(_)))
        || matches!(item.member(b"embedding"), Some(Json::Array(_) | Json::String(_)))
}
