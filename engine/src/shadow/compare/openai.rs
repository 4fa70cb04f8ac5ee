//! The answers of OpenAI's API and of those beside it, as servers of language models give them: whose an
//! answer is, and which of its lists are predictions.

use super::json::Json;
use crate::steps::Steps;

/// Whether this is an answer of OpenAI's API: chat, completions, responses, moderations, images, and lists
/// of embeddings, scores, classes and ranks.
pub fn is_answer(answer: &Json<'_>, steps: &mut Steps) -> bool {
    let has = |name| matches!(answer.member(name), Some(Json::Array(_)));
    match answer.text(b"object") {
        Some(b"chat.completion" | b"text_completion") => return has(b"choices"),
        Some(b"response") => return has(b"output"),
        Some(b"list") if answer.has_list_of(b"data", is_indexed, steps) => return true,
        Some(b"list") => {}
        Some(_) => return false,
        None if answer.has_list_of(b"choices", is_choice, steps) => return true,
        None if matches!(answer.member(b"created"), Some(Json::Number(_)))
            && answer.has_list_of(b"data", is_image, steps) =>
        {
            return true;
        }
        None => {}
    }
    answer.text(b"model").is_some()
        && answer.has_list_of(b"results", |item| is_ranked(item) || is_moderated(item), steps)
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
        && answer.has_list_of(b"results", is_indexed, steps)
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
