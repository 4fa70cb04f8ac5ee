//! Members of an answer that name the answer and not the prediction: two answers of one model differ
//! there by nature. Whose answer it is is known by its other members.

use super::json::{Json, Members};
use super::place::{member, text};
use super::pointer::Pointers;

/// A form of answers, by the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Envelope {
    /// Open Inference Protocol.
    Inference,
    /// Seldon v1, with a prediction.
    Seldon,
    /// Seldon v1, with nothing but `meta`, whose tags may be what the model has to say.
    SeldonMeta,
    /// OpenAI: chat, completions, embeddings, responses, rerank, score and classify.
    OpenAi,
    /// A refusal of a model that is not there, which names it.
    Refusal,
}

impl Envelope {
    const ALL: [(Self, &[&str]); 5] = [
        // The id of the request, and the name under which the model was asked.
        (Self::Inference, &["/id", "/model_name", "/model_version"]),
        // Tags, metrics and the images on the way.
        (Self::Seldon, &["/meta"]),
        (Self::SeldonMeta, &["/meta/puid", "/meta/requestPath", "/meta/routing", "/meta/metrics"]),
        (
            Self::OpenAi,
            &[
                "/id",
                "/created",
                "/created_at",
                "/completed_at",
                "/system_fingerprint",
                "/model",
                "/usage",
                "/timings",
                "/choices/*/message/tool_calls/*/id",
                "/output/*/id",
                "/output/*/call_id",
            ],
        ),
        (Self::Refusal, &["/error", "/message", "/detail"]),
    ];
}

/// What is left out of each form of answers.
#[derive(Debug, PartialEq)]
pub struct Volatile {
    forms: Vec<(Envelope, Pointers)>,
    none: Pointers,
}

impl Default for Volatile {
    fn default() -> Self {
        let forms = Envelope::ALL.map(|(form, pointers)| (form, Pointers::of(pointers)));
        Self { forms: forms.into(), none: Pointers::default() }
    }
}

impl Volatile {
    /// What does not count in these two answers. `not_found`: both have that status.
    pub fn of(&self, live: &Json<'_>, shadow: &Json<'_>, not_found: bool) -> &Pointers {
        let (live, shadow) = (form(live, not_found), form(shadow, not_found));
        let known = self.forms.iter().find(|(form, _)| Some(*form) == live && live == shadow);
        known.map_or(&self.none, |(_, pointers)| pointers)
    }
}

fn form(answer: &Json<'_>, not_found: bool) -> Option<Envelope> {
    let Json::Object(members) = answer else { return None };
    let find = |name| member(answer, name);
    let is_text = |name| text(answer, name).is_some();
    let list = |name| match find(name) {
        Some(Json::Array(items)) => Some(items.as_slice()),
        _ => None,
    };
    // Objects all of them, and at least one.
    let are = |name, is: fn(&Json<'_>) -> bool| {
        list(name).is_some_and(|items| !items.is_empty() && items.iter().all(is))
    };
    if not_found && is_refusal(answer, members) {
        return Some(Envelope::Refusal);
    }
    let is_output =
        |item: &Json<'_>| text(item, b"name").is_some() && text(item, b"datatype").is_some();
    let only = |names: &[&[u8]]| members.iter().all(|(name, _)| names.contains(&&**name));
    let inference: &[&[u8]] = &[b"id", b"model_name", b"model_version", b"parameters", b"outputs"];
    if are(b"outputs", is_output) || is_text(b"model_name") && only(inference) {
        return Some(Envelope::Inference);
    }
    let of_openai = match text(answer, b"object") {
        Some(b"chat.completion" | b"text_completion") => list(b"choices").is_some(),
        Some(b"response") => list(b"output").is_some(),
        Some(b"list") => are(b"data", is_indexed),
        Some(_) => false,
        None => {
            are(b"choices", |item| {
                [&b"message"[..], b"text"].iter().any(|name| member(item, name).is_some())
            }) || is_text(b"model")
                && are(b"results", |item| member(item, b"relevance_score").is_some())
        }
    };
    if of_openai {
        return Some(Envelope::OpenAi);
    }
    let content: &[&[u8]] = &[b"binData", b"customData", b"jsonData", b"strData"];
    let is_data = |name: &[u8]| matches!(name, b"names" | b"ndarray" | b"tensor" | b"tftensor");
    match find(b"data") {
        Some(Json::Object(data)) if data.iter().any(|(name, _)| is_data(name)) => {
            Some(Envelope::Seldon)
        }
        Some(_) => None,
        None if content.iter().any(|name| find(name).is_some()) => Some(Envelope::Seldon),
        None => (matches!(find(b"meta"), Some(Json::Object(_))) && only(&[b"meta", b"status"]))
            .then_some(Envelope::SeldonMeta),
    }
}

/// `{"error": "..."}` of most servers, `{"error": {"message": "..."}}` of OpenAI, and vLLM's form of it
/// with the same members at the top; TorchServe's, and FastAPI's.
fn is_refusal(answer: &Json<'_>, members: &Members<'_>) -> bool {
    match member(answer, b"error") {
        Some(Json::String(_)) => members.len() == 1,
        Some(error @ Json::Object(_)) => members.len() == 1 && text(error, b"message").is_some(),
        _ => {
            text(answer, b"object") == Some(b"error")
                || text(answer, b"detail").is_some() && members.len() == 1
                || text(answer, b"message").is_some() && member(answer, b"code").is_some()
        }
    }
}

/// Whether this is one of the items of a list as OpenAI answers it.
pub fn is_indexed(item: &Json<'_>) -> bool {
    matches!(member(item, b"index"), Some(Json::Number(_)))
        || matches!(member(item, b"embedding"), Some(Json::Array(_) | Json::String(_)))
}
