//! Whether the answers of two models agree.
//!
//! | answers | what is compared |
//! |---|---|
//! | other status | nothing more: `status` |
//! | other media type | `content_type`, and the bodies only if both types are JSON |
//! | the same bytes | they agree, whatever they are |
//! | streams of events or of lines | cannot be compared |
//! | JSON (by media type, or without one) | by value, see `walk` |
//! | JSON with tensors behind it | by value as well, see `binary` |
//! | one is JSON, the other claims to be | `shape` |
//! | both claim to be JSON and are not | cannot be compared |
//! | messages of gRPC that are known | by value as well, see `message` |
//! | other messages of protobuf | cannot be compared |
//! | refusals that are no JSON | cannot be compared |
//! | anything else | the bytes |
//!
//! Bodies are compared without their content coding. What a server writes anew into each answer does
//! not count, see `envelope`.

mod bag;
mod binary;
mod envelope;
mod hash;
mod json;
mod kind;
mod message;
mod noise;
mod number;
mod openai;
mod place;
mod pointer;
mod reason;
mod report;
mod walk;
mod wire;

use std::borrow::Cow;
use std::rc::Rc;

pub use envelope::Volatile;
pub use kind::Kind;
pub use message::Message;
pub use noise::Noise;
pub use number::Tolerance;
pub use pointer::Pointers;
pub use reason::Reason;
pub use report::{Difference, Report, escaped};

use super::head::Head;
use crate::encoding::{self, Encoding};
use crate::steps::{MAX_STEPS, Steps};
use hash::PathHash;
use json::{Json, Unread};
use noise::Seen;
use reason::{Doubt, Unreadable};
use report::Found;

/// How answers are compared.
#[derive(Debug, PartialEq)]
pub struct Rules {
    /// For numbers.
    pub tolerance: Tolerance,
    /// What does not count.
    pub ignore: Pointers,
    /// Lists whose order does not count.
    pub unordered: Pointers,
    /// Whose numbers are values: no scores of classes, and no labels.
    pub values: Pointers,
    /// Members that name the answer and not the prediction, if they are left out.
    pub volatile: Option<Volatile>,
    /// How many differences are described.
    pub max_differences: u32,
    /// Whether values are described.
    pub show_values: bool,
    /// Bytes that a coded body may have when it is decoded.
    pub max_bytes: usize,
}

/// Whether two answers agree.
#[derive(Debug, PartialEq)]
pub enum Agreement {
    /// They agree.
    Matched,
    /// They differ.
    Mismatched(Report),
    /// There is no saying, for this reason.
    Uncomparable(Reason),
}

/// Whether a pair agrees, and how far its scores are apart.
#[derive(Debug, PartialEq)]
pub struct Comparison {
    /// Whether they agree.
    pub agreement: Agreement,
    /// The largest difference of two scores at the same place, tolerated or not; absent where no
    /// values were compared.
    pub max_score_delta: Option<f64>,
    /// Where they differ, of a baseline.
    pub noise: Option<Noise>,
    /// What it took, in steps.
    pub steps: u32,
}

/// What else is known of a pair.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// What the answers hold if they are gRPC's.
    pub message: Option<Message>,
    /// Where the live model differs from itself.
    pub noise: Option<Rc<Noise>>,
    /// Whether the live model is compared with itself.
    pub is_baseline: bool,
}

/// A complete answer.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// Its head.
    pub head: &'a Head,
    /// Its body as it came.
    pub body: &'a [u8],
}

impl Rules {
    /// Compares the live answer with the shadow's.
    pub fn compare(&self, live: Whole<'_>, shadow: Whole<'_>, about: &About) -> Comparison {
        let mut steps = Steps::default();
        let compared = self.compare_within(live, shadow, about, &mut steps);
        Comparison { steps: MAX_STEPS.saturating_sub(steps.left()), ..compared }
    }

    fn compare_within(
        &self,
        live: Whole<'_>,
        shadow: Whole<'_>,
        about: &About,
        steps: &mut Steps,
    ) -> Comparison {
        let unknown = |reason| Comparison {
            agreement: Agreement::Uncomparable(reason),
            max_score_delta: None,
            noise: None,
            steps: 0,
        };
        match self.report(live, shadow, about, steps) {
            Ok(Report { kinds, unsettled: Some(path), refused, known, .. }) if kinds.is_empty() => {
                let doubt = match (refused, known) {
                    (0, _) => Doubt::Noise,
                    (_, None) => Doubt::Refusals,
                    (_, Some(_)) => Doubt::RefusalsOrNoise,
                };
                unknown(Reason::Unsettled(path, doubt))
            }
            Ok(mut report) => Comparison {
                // Of a part of the scores, the largest says nothing.
                max_score_delta: report.max_score_delta.filter(|_| !report.is_partial()),
                noise: report.places.take().map(Noise::ordered),
                steps: 0,
                agreement: match report.kinds.is_empty() {
                    true => Agreement::Matched,
                    false => Agreement::Mismatched(report),
                },
            },
            Err(unreadable) => unknown(Reason::Unreadable(unreadable)),
        }
    }

    /// All differences, or why there is no saying.
    fn report(
        &self,
        live: Whole<'_>,
        shadow: Whole<'_>,
        about: &About,
        steps: &mut Steps,
    ) -> Result<Report, Unreadable> {
        let (a, b) = (live.head, shadow.head);
        let mut report = Report {
            known: about.noise.clone(),
            places: about.is_baseline.then(Noise::default),
            ..Report::default()
        };
        if a.statuses() != b.statuses() {
            let shown = |head: &Head| match head.statuses() {
                (http, 0) => http.to_string().into_bytes(),
                (http, grpc) => format!("{http} with grpc-status {grpc}").into_bytes(),
            };
            self.add(&mut report, Kind::Status, Some((&shown(a), &shown(b))));
            return Ok(report);
        }
        if a.media_type != b.media_type {
            self.add(&mut report, Kind::ContentType, Some((&a.media_type, &b.media_type)));
            if !(a.is_json() && b.is_json()) {
                return Ok(report);
            }
        }
        match self.bodies(live, shadow, about.message, report.clone(), steps) {
            Err(_) if !report.kinds.is_empty() => Ok(report),
            compared => compared,
        }
    }

    fn bodies(
        &self,
        live: Whole<'_>,
        shadow: Whole<'_>,
        message: Option<Message>,
        mut report: Report,
        steps: &mut Steps,
    ) -> Result<Report, Unreadable> {
        let (a, b) = (live.head, shadow.head);
        let coded_alike = (a.encoding, a.message_encoding) == (b.encoding, b.message_encoding);
        if coded_alike && a.json_length == b.json_length && live.body == shadow.body {
            return Ok(report.unmoved());
        }
        let live_body = self.decoded(live, steps).ok_or(Unreadable::LiveCoding)?;
        let shadow_body = self.decoded(shadow, steps).ok_or(Unreadable::ShadowCoding)?;
        if live_body == shadow_body && live.head.json_length == shadow.head.json_length {
            return Ok(report.unmoved());
        }
        if live.head.is_stream() {
            return Err(Unreadable::Streams);
        }
        let status = live.head.effective_status();
        report.refused = if status < 400 { 0 } else { status };
        let untyped = live.head.media_type.is_empty();
        let binary = live.head.json_length.is_some() || shadow.head.json_length.is_some();
        // Triton says that its refusals are plain text.
        let is_object = |body: &[u8]| body.trim_ascii_start().starts_with(b"{");
        let refused = status >= 400 && is_object(&live_body) && is_object(&shadow_body);
        if live.head.is_json() || untyped || binary || refused {
            let a = read(live.head, &live_body, steps);
            let b = read(shadow.head, &shadow_body, steps);
            if a.is_err() && b.is_err() && !binary && !too_complex(&a, &b) {
                if live.head.is_json() {
                    return Err(Unreadable::NotJson);
                }
                if untyped && is_lines(&live_body, steps) && is_lines(&shadow_body, steps) {
                    return Err(Unreadable::Streams);
                }
            }
            return self.values(a, b, Some((&live_body, &shadow_body)), report, steps);
        }
        if live.head.is_message() {
            let message = message.filter(|_| live.head.is_grpc()).ok_or(Unreadable::Messages)?;
            let (live, shadow) =
                (Whole { body: &live_body, ..live }, Whole { body: &shadow_body, ..shadow });
            return self.messages(message, live, shadow, report, steps);
        }
        self.bytes(report, (&live_body, &shadow_body))
    }

    /// By value. One message may be written in different bytes, so that these say nothing.
    fn messages(
        &self,
        message: Message,
        live: Whole<'_>,
        shadow: Whole<'_>,
        report: Report,
        steps: &mut Steps,
    ) -> Result<Report, Unreadable> {
        let a = self.message(live, steps)?;
        let b = self.message(shadow, steps)?;
        let (x, y) = (of(message, &a, steps), of(message, &b, steps));
        self.values(x, y, None, report, steps)
    }

    /// The message of a unary answer, if it is one.
    fn message<'a>(
        &self,
        answer: Whole<'a>,
        steps: &mut Steps,
    ) -> Result<Option<Cow<'a, [u8]>>, Unreadable> {
        let Some((bytes, compressed)) = message::unary(answer.body) else { return Ok(None) };
        let coding = if compressed { answer.head.message_encoding } else { Encoding::Identity };
        let decoded = encoding::decode_within(coding, bytes, self.max_bytes, steps);
        decoded.map(Some).ok_or(Unreadable::MessageCoding)
    }

    /// By value; by their bytes, if these say something, where neither can be read.
    fn values(
        &self,
        live: Result<Json<'_>, Unread>,
        shadow: Result<Json<'_>, Unread>,
        bytes: Option<(&[u8], &[u8])>,
        mut report: Report,
        steps: &mut Steps,
    ) -> Result<Report, Unreadable> {
        if too_complex(&live, &shadow) {
            return Err(Unreadable::TooComplex);
        }
        match (live, shadow) {
            (Ok(a), Ok(b)) => walk::compare(self, &a, &b, report, steps).ok_or(Unreadable::TooLong),
            (Err(_), Err(_)) => self.bytes(report, bytes.ok_or(Unreadable::Messages)?),
            _ => {
                self.add(&mut report, Kind::Shape, None);
                Ok(report)
            }
        }
    }

    fn decoded<'a>(&self, answer: Whole<'a>, steps: &mut Steps) -> Option<Cow<'a, [u8]>> {
        encoding::decode_within(answer.head.encoding, answer.body, self.max_bytes, steps)
    }

    /// A difference of the whole answers. Statuses and media types are no secrets: they are always
    /// shown.
    fn add(&self, report: &mut Report, kind: Kind, values: Option<(&[u8], &[u8])>) {
        self.add_at(report, kind, String::new(), values);
    }

    /// By what they are, if they are answers: in which words both refuse says nothing.
    fn bytes(
        &self,
        mut report: Report,
        (live, shadow): (&[u8], &[u8]),
    ) -> Result<Report, Unreadable> {
        if report.refused > 0 && self.volatile.is_some() {
            return Err(Unreadable::Refusals);
        }
        let same = live.iter().zip(shadow).take_while(|(a, b)| a == b).count();
        self.add_at(&mut report, Kind::Bytes, format!("byte {same}"), None);
        Ok(report)
    }

    fn add_at(
        &self,
        report: &mut Report,
        kind: Kind,
        path: String,
        values: Option<(&[u8], &[u8])>,
    ) {
        let hidden = report.hides(PathHash::WHOLE);
        let found = Found { kind, place: PathHash::WHOLE, seen: Seen::Unsettled, hidden };
        report.add(found, self.max_differences, &mut || Difference {
            kind,
            path: path.clone(),
            magnitude: None,
            values: values.map(|(live, shadow)| (escaped(live), escaped(shadow))),
        });
    }
}

fn of<'a>(
    message: Message,
    bytes: &'a Option<Cow<'_, [u8]>>,
    steps: &mut Steps,
) -> Result<Json<'a>, Unread> {
    bytes.as_ref().map_or(Err(Unread::Malformed), |bytes| message.read(bytes, steps))
}

fn read<'a>(head: &Head, body: &'a [u8], steps: &mut Steps) -> Result<Json<'a>, Unread> {
    match head.json_length {
        Some(len) => binary::read(body, len, steps),
        None => {
            let mut answer = json::read(body, steps)?;
            openai::decode_embeddings(&mut answer, steps)?;
            Ok(answer)
        }
    }
}

/// Whether a body without a media type is a stream: events, or a JSON text in each line.
fn is_lines(body: &[u8], steps: &mut Steps) -> bool {
    let mut lines = body.split(|c| *c == b'\n');
    let first = lines.next().unwrap_or_default();
    let more = lines.any(|line| !line.trim_ascii().is_empty());
    first.starts_with(b"data:") || more && json::read(first, steps).is_ok()
}

fn too_complex(live: &Result<Json<'_>, Unread>, shadow: &Result<Json<'_>, Unread>) -> bool {
    [live, shadow].into_iter().any(|read| matches!(read, Err(Unread::TooComplex)))
}

#[cfg(test)]
mod cost;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod tests;
