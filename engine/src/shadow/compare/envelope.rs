//! Members of an answer that name the answer and not the prediction: two answers of one model differ
//! there by nature. Whose answer it is is known by its other members.

use super::json::{Json, Members};
use super::openai;
use super::pointer::Pointers;
use crate::steps::Steps;

/// A form of answers, by the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Envelope {
    /// Open Inference Protocol.
    Inference,
    /// Seldon v1, with a prediction.
    Seldon,
    /// Seldon v1, with nothing but `meta`, whose tags may be what the model has to say.
    SeldonMeta,
    /// OpenAI: chat, completions, embeddings, responses, moderations, rerank, score and classify.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Cohere's rerank and embed.
    Cohere,
    /// SGLang's own API, and a list of its answers.
    Sglang,
    Sglangs,
    /// llama.cpp's own API.
    Llama,
    /// KServe's forecasts of time series.
    Forecast,
    /// What TensorFlow Serving answers by gRPC.
    TensorFlow,
    /// An answer in a CloudEvent.
    CloudEvent,
    /// A refusal. That of a model that is not there names it.
    Refusal,
}

impl Envelope {
    const ALL: [(Self, &[&str]); 13] = [
        // The id of the request, and the name under which the model was asked.
        (Self::Inference, &["/id", "/model_name", "/model_version"]),
        // Tags, metrics and the images on the way.
        (Self::Seldon, &["/meta"]),
        (Self::SeldonMeta, &["/meta/puid", "/meta/requestPath", "/meta/routing", "/meta/metrics"]),
        (
            Self::OpenAi,
            &[
                "/id",
                "/request_id",
                "/created",
                "/created_at",
                "/completed_at",
                "/system_fingerprint",
                "/model",
                "/usage",
                "/timings",
                // vLLM: where the work of a request is handed over, and how long it took.
                "/kv_transfer_params",
                "/ec_transfer_params",
                "/metrics",
                "/choices/*/message/tool_calls/*/id",
                "/choices/*/message/audio/id",
                "/choices/*/message/audio/expires_at",
                "/output/*/id",
                "/output/*/call_id",
                "/output/*/encrypted_content",
            ],
        ),
        // A block of thoughts is signed anew each time.
        (Self::Anthropic, &["/id", "/model", "/usage", "/content/*/id", "/content/*/signature"]),
        // What was paid for, and the version of the API.
        (Self::Cohere, &["/id", "/meta"]),
        (Self::Sglang, SGLANG),
        (Self::Sglangs, SGLANG),
        // Which of its places the server used, the name of the model, and times.
        (Self::Llama, &["/id_slot", "/model", "/timings"]),
        (Self::Forecast, &["/id", "/created_at", "/model", "/usage", "/outputs/*/id"]),
        (Self::TensorFlow, &["/modelSpec/name", "/modelSpec/version", "/modelSpec/versionLabel"]),
        (Self::CloudEvent, &["/id", "/source", "/time"]),
        (Self::Refusal, &["/error", "/message", "/detail"]),
    ];
}

/// Ids and versions, times, and what depends on what else the server does at that time.
const SGLANG: &[&str] = &[
    "/meta_info/id",
    "/meta_info/weight_version",
    "/meta_info/cached_tokens",
    "/meta_info/total_retractions",
    "/meta_info/spec_verify_ct",
    "/meta_info/spec_accept_length",
    "/meta_info/spec_accept_rate",
    "/meta_info/spec_accept_token_num",
    "/meta_info/spec_accept_histogram",
    "/meta_info/spec_draft_token_num",
    "/meta_info/e2e_latency",
    "/meta_info/queue_time",
    "/meta_info/inference_time",
    "/meta_info/decode_throughput",
    "/meta_info/prefill_launch_delay",
    "/meta_info/prefill_launch_latency",
    "/meta_info/request_received_ts",
    "/meta_info/request_sent_to_scheduler_ts",
    "/meta_info/prefill_finished_ts",
    "/meta_info/response_sent_to_client_ts",
];

/// What is left out of each form of answers.
#[derive(Debug, PartialEq)]
pub struct Volatile {
    forms: Vec<(Envelope, Pointers)>,
    none: Pointers,
}

impl Default for Volatile {
    fn default() -> Self {
        let forms = Envelope::ALL.map(|(form, pointers)| match form {
            Envelope::Sglangs => (form, Pointers::of_each(pointers)),
            _ => (form, Pointers::of(pointers)),
        });
        Self { forms: forms.into(), none: Pointers::default() }
    }
}

impl Volatile {
    /// What does not count in these two answers, and whether that is why both refuse. `refused`: by their
    /// status they do.
    pub fn of(
        &self,
        live: &Json<'_>,
        shadow: &Json<'_>,
        refused: bool,
        steps: &mut Steps,
    ) -> (&Pointers, bool) {
        use Envelope::{Refusal, Seldon, SeldonMeta};
        let form = match (form(live, refused, steps), form(shadow, refused, steps)) {
            (live, shadow) if live == shadow => live,
            // Where one of them has no prediction, tags may be all that it has to say.
            (Some(Seldon | SeldonMeta), Some(Seldon | SeldonMeta)) => Some(SeldonMeta),
            _ => None,
        };
        let known = self.forms.iter().find(|(known, _)| Some(*known) == form);
        (known.map_or(&self.none, |(_, pointers)| pointers), form == Some(Refusal))
    }
}

fn form(answer: &Json<'_>, refused: bool, steps: &mut Steps) -> Option<Envelope> {
    let members = match answer {
        Json::Object(members) => members,
        Json::Array(items) => {
            let are = items.first().is_some_and(openai::is_of_sglang)
                && steps.take(items.len())
                && items.iter().all(openai::is_of_sglang);
            return are.then_some(Envelope::Sglangs);
        }
        _ => return None,
    };
    if refused && is_refusal(answer, members) {
        return Some(Envelope::Refusal);
    }
    let is_output =
        |item: &Json<'_>| item.text(b"name").is_some() && item.text(b"datatype").is_some();
    let inference: &[&[u8]] = &[b"id", b"model_name", b"model_version", b"parameters", b"outputs"];
    let is_said = |name| answer.text(name).is_some();
    // Triton's generate.
    let is_text = || is_said(b"model_version") && answer.member(b"text_output").is_some();
    if answer.has_list_of(b"outputs", is_output, steps)
        || is_said(b"model_name")
            && (answer.member(b"outputs").is_some() && answer.has_only(inference) || is_text())
    {
        return Some(Envelope::Inference);
    }
    let is_forecast = |item: &Json<'_>| {
        item.text(b"type").is_some_and(|of| of.ends_with(b"_forecast"))
            && item.member(b"content").is_some()
    };
    if is_said(b"model") && answer.has_list_of(b"outputs", is_forecast, steps) {
        return Some(Envelope::Forecast);
    }
    let is_object = |name| matches!(answer.member(name), Some(Json::Object(_)));
    if is_object(b"modelSpec")
        && answer.member(b"outputs").is_some()
        && answer.has_only(&[b"modelSpec", b"outputs"])
    {
        return Some(Envelope::TensorFlow);
    }
    if is_said(b"specversion") && is_said(b"id") && is_said(b"source") && is_said(b"type") {
        return Some(Envelope::CloudEvent);
    }
    if openai::is_answer(answer, steps) {
        return Some(Envelope::OpenAi);
    }
    if openai::is_of_sglang(answer) {
        return Some(Envelope::Sglang);
    }
    if openai::is_of_llama(answer) {
        return Some(Envelope::Llama);
    }
    if openai::is_message(answer) {
        return Some(Envelope::Anthropic);
    }
    if openai::is_of_cohere(answer, steps) {
        return Some(Envelope::Cohere);
    }
    seldon(answer, members, steps)
}

/// Whether it is Seldon's, and has a prediction.
fn seldon(answer: &Json<'_>, members: &Members<'_>, steps: &mut Steps) -> Option<Envelope> {
    let names: &[&[u8]] = &[b"names", b"ndarray", b"tensor", b"tftensor"];
    let data = match answer.member(b"data") {
        Some(Json::Object(data))
            if data.iter().any(|(name, _)| names.contains(&&**name))
                || data.is_empty() && answer.has_only(&[b"data", b"meta", b"status"]) =>
        {
            Some(&**data)
        }
        Some(_) => return None,
        None => None,
    };
    let content: &[&[u8]] = &[b"binData", b"customData", b"jsonData", b"strData"];
    let mut others = members.iter().filter(|(name, _)| content.contains(&&**name)).peekable();
    if data.is_none() && others.peek().is_none() {
        let only = answer.has_only(&[b"meta", b"status"]);
        let meta = matches!(answer.member(b"meta"), Some(Json::Object(_)));
        return (meta && only).then_some(Envelope::SeldonMeta);
    }
    let is_said = others.chain(data.unwrap_or_default()).any(|(name, value)| match &**name {
        name if name == b"names" => false,
        name if name == b"tensor" => {
            value.member(b"values").is_some_and(|values| values.says_something(steps))
        }
        _ => value.says_something(steps),
    });
    Some(if is_said { Envelope::Seldon } else { Envelope::SeldonMeta })
}

/// `{"error": "..."}` of most servers, `{"error": {"message": "..."}}` of OpenAI, and vLLM's form of it
/// with the same members at the top; TorchServe's, and FastAPI's.
fn is_refusal(answer: &Json<'_>, members: &Members<'_>) -> bool {
    match answer.member(b"error") {
        Some(Json::String(_)) => members.len() == 1,
        Some(error @ Json::Object(_)) => members.len() == 1 && error.text(b"message").is_some(),
        _ => {
            answer.text(b"object") == Some(b"error")
                || answer.text(b"detail").is_some() && members.len() == 1
                || answer.text(b"message").is_some() && answer.member(b"code").is_some()
        }
    }
}
