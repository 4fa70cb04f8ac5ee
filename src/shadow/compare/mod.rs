//! Whether the answers of two models agree.
//!
//! | answers | what is compared |
//! |---|---|
//! | other status | nothing more: `status` |
//! | other media type | `content_type`, and the bodies only if both types are JSON |
//! | the same bytes | they agree, whatever they are |
//! | JSON (by media type, or without one) | by value, see `walk` |
//! | one is JSON, the other claims to be | `shape` |
//! | both claim to be JSON and are not | cannot be compared |
//! | messages of gRPC that are known | by value as well, see `message` |
//! | anything else | the bytes |
//!
//! Bodies are compared without their content coding. Answers that a server marks with ids of its own
//! always differ there, since nothing is ignored that the settings do not name: Seldon v1 writes
//! `/meta/puid`, `/meta/requestPath` and `/meta/metrics`, MLServer `/id` and `/model_version`.

mod encoding;
mod json;
mod message;
mod noise;
mod number;
mod pointer;
mod report;
mod walk;
mod wire;

use std::borrow::Cow;
use std::rc::Rc;

pub use encoding::Encoding;
pub use message::Message;
pub use noise::Noise;
pub use number::Tolerance;
pub use pointer::Pointers;
pub use report::{Difference, Kind, Report, escaped};

use super::head::Head;
use json::{Json, Unread};
use noise::Place;

/// How answers are compared.
#[derive(Debug, PartialEq)]
pub struct Rules {
    /// For numbers.
    pub tolerance: Tolerance,
    /// What does not count.
    pub ignore: Pointers,
    /// Lists whose order does not count.
    pub unordered: Pointers,
    /// How many differences are described.
    pub max_differences: u32,
    /// Whether values are described.
    pub show_values: bool,
    /// Bytes that a coded body may have when it is decoded.
    pub max_bytes: usize,
}

/// What the comparison says.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// They agree.
    Matched,
    /// They differ.
    Mismatched(Report),
    /// They cannot be read, for this reason.
    Uncomparable(&'static str),
}

/// The verdict on a pair, and how far its scores are apart.
#[derive(Debug, PartialEq)]
pub struct Comparison {
    /// Whether they agree.
    pub verdict: Verdict,
    /// The largest difference of two scores at the same place, tolerated or not; absent where no
    /// values were compared.
    pub moved: Option<f64>,
    /// Where they differ, of a baseline.
    pub noise: Option<Noise>,
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
        match self.report(live, shadow, about) {
            Ok(mut report) => Comparison {
                moved: report.moved,
                noise: report.places.take(),
                verdict: match report.kinds.is_empty() {
                    true => Verdict::Matched,
                    false => Verdict::Mismatched(report),
                },
            },
            Err(reason) => {
                Comparison { verdict: Verdict::Uncomparable(reason), moved: None, noise: None }
            }
        }
    }

    /// All differences, or why there is no saying.
    fn report(
        &self,
        live: Whole<'_>,
        shadow: Whole<'_>,
        about: &About,
    ) -> Result<Report, &'static str> {
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
            self.add(&mut report, Kind::Status, &shown(a), &shown(b));
            return Ok(report);
        }
        if a.media_type != b.media_type {
            self.add(&mut report, Kind::ContentType, &a.media_type, &b.media_type);
            if !(a.is_json() && b.is_json()) {
                return Ok(report);
            }
        }
        match self.bodies(live, shadow, about.message, report.clone()) {
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
    ) -> Result<Report, &'static str> {
        if live.head.encoding == shadow.head.encoding && live.body == shadow.body {
            return Ok(report.unmoved());
        }
        let live_body = self.decoded(live).ok_or("the live answer's coding cannot be read")?;
        let shadow_body = self.decoded(shadow).ok_or("the shadow's coding cannot be read")?;
        if live_body == shadow_body {
            return Ok(report.unmoved());
        }
        let untyped = live.head.media_type.is_empty();
        if live.head.is_json() || untyped {
            let (a, b) = (json::read(&live_body), json::read(&shadow_body));
            if a.is_err() && b.is_err() && !untyped && !too_complex(&a, &b) {
                return Err("they claim to be JSON and are not");
            }
            return self.values(a, b, (&live_body, &shadow_body), report);
        }
        if let Some(message) = message.filter(|_| live.head.is_grpc())
            && let (Some(a), Some(b)) = (message::unary(&live_body), message::unary(&shadow_body))
        {
            let message_of = |head: &Head, (bytes, compressed)| match compressed {
                true => encoding::decode(head.message_encoding, bytes, self.max_bytes),
                false => Some(Cow::Borrowed(bytes)),
            };
            let a = message_of(live.head, a).ok_or("the live message's coding cannot be read")?;
            let b = message_of(shadow.head, b).ok_or("the shadow's coding cannot be read")?;
            return self.values(message.read(&a), message.read(&b), (&a, &b), report);
        }
        self.add_bytes(&mut report, &live_body, &shadow_body);
        Ok(report)
    }

    /// By value; by their bytes where neither can be read.
    fn values(
        &self,
        live: Result<Json<'_>, Unread>,
        shadow: Result<Json<'_>, Unread>,
        bytes: (&[u8], &[u8]),
        mut report: Report,
    ) -> Result<Report, &'static str> {
        if too_complex(&live, &shadow) {
            return Err("they have too many values or levels");
        }
        match (live, shadow) {
            (Ok(a), Ok(b)) => {
                walk::compare(self, &a, &b, report).ok_or("they take too long to compare")
            }
            (Err(_), Err(_)) => {
                self.add_bytes(&mut report, bytes.0, bytes.1);
                Ok(report)
            }
            _ => {
                let describe = || Difference {
                    kind: Kind::Shape,
                    path: String::new(),
                    magnitude: None,
                    values: None,
                };
                report.add(Kind::Shape, Place::WHOLE, self.max_differences, describe);
                Ok(report)
            }
        }
    }

    fn decoded<'a>(&self, answer: Whole<'a>) -> Option<Cow<'a, [u8]>> {
        encoding::decode(answer.head.encoding, answer.body, self.max_bytes)
    }

    /// Statuses and media types are no secrets: they are always shown.
    fn add(&self, report: &mut Report, kind: Kind, live: &[u8], shadow: &[u8]) {
        report.add(kind, Place::WHOLE, self.max_differences, || Difference {
            kind,
            path: String::new(),
            magnitude: None,
            values: Some((escaped(live), escaped(shadow))),
        });
    }

    fn add_bytes(&self, report: &mut Report, live: &[u8], shadow: &[u8]) {
        report.add(Kind::Bytes, Place::WHOLE, self.max_differences, || {
            let same = live.iter().zip(shadow).take_while(|(a, b)| a == b).count();
            Difference {
                kind: Kind::Bytes,
                path: format!("byte {same}"),
                magnitude: None,
                values: None,
            }
        });
    }
}

fn too_complex(live: &Result<Json<'_>, Unread>, shadow: &Result<Json<'_>, Unread>) -> bool {
    [live, shadow].into_iter().any(|read| matches!(read, Err(Unread::TooComplex)))
}

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests;
