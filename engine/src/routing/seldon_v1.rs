//! Seldon Core v1: `/seldon/<namespace>/<deployment>/...`, explainers, and gRPC by header.

use super::Model;
use super::location::Routing;
use super::names::{NOT_A_NAME, id, is_name, name};
use crate::path::plain::Plain;
use crate::path::segments::{Segments, after, each, is_under, slashes};
use crate::refusal::Refusal;

const OTHER_ROUTE: Refusal =
    Refusal::new("the path and the headers seldon and namespace select different deployments");

/// The family's settings.
#[derive(Debug)]
pub(super) struct SeldonV1 {
    /// With leading and without trailing `/`.
    prefix: Vec<u8>,
}

/// What a path below the prefix reaches.
#[derive(Debug)]
pub(super) struct Reached {
    pub model: Option<Model>,
    pub explainer: bool,
    /// How many segments the route takes off.
    pub segments: usize,
}

impl SeldonV1 {
    /// `prefix` with leading and without trailing `/`.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.as_bytes().to_vec() }
    }

    /// With leading and without trailing `/`.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether the path belongs to deployments.
    pub(super) fn contains(&self, path: &[u8]) -> bool {
        is_under(path, &self.prefix)
    }

    /// The deployment, or the explainer, of a path below the prefix.
    pub(super) fn by_path<'a>(
        &self,
        plain: &Plain<'a>,
        routing: &Routing<'a>,
        path: &'a [u8],
    ) -> Result<Reached, Refusal> {
        let outer = slashes(&self.prefix);
        let segments = outer.saturating_add(2);
        let below = after(plain.raw(), outer);
        let mut names = each(below);
        let (Some(namespace), Some(deployment)) = (names.next(), names.next()) else {
            let model = by_headers(routing, path)?;
            return Ok(Reached { model, explainer: false, segments: outer });
        };
        let length = namespace.len().saturating_add(1).saturating_add(deployment.len());
        let id = below.get(..length).unwrap_or_default();
        if !is_name(namespace) || !is_name(deployment) {
            return Err(NOT_A_NAME);
        }
        let id = std::str::from_utf8(id).map_err(|_| NOT_A_NAME)?;

        let explained = deployment.strip_suffix(b"-explainer").zip(names.next());
        let explained = explained.filter(|_| {
            let tail = Segments::of(after(plain.decoded(), segments.saturating_add(1)));
            is_explain_path(tail.as_slice())
        });
        if let Some((deployment, predictor)) = explained {
            // The operator makes no gRPC route to an explainer: headers that select one lead elsewhere.
            if by_headers(routing, path)?.is_some() {
                return Err(OTHER_ROUTE);
            }
            name(deployment)?;
            let id = id.strip_suffix("-explainer").unwrap_or(id);
            let predictor = Some(name(predictor)?.into());
            return Ok(Reached {
                model: Some(Model { id: id.into(), predictor }),
                explainer: true,
                segments: segments.saturating_add(1),
            });
        }
        let model = Model { id: id.into(), predictor: None };
        if by_headers(routing, path)?.is_some_and(|other| other != model) {
            return Err(OTHER_ROUTE);
        }
        Ok(Reached { model: Some(model), explainer: false, segments })
    }
}

/// The deployment that the operator's gRPC route selects by its headers, if it takes the path.
pub(super) fn by_headers<'a>(routing: &Routing<'a>, path: &[u8]) -> Result<Option<Model>, Refusal> {
    let Some((namespace, deployment)) = routing.seldon_v1().filter(|_| is_taken(path)) else {
        return Ok(None);
    };
    Ok(Some(Model { id: id(namespace, deployment)?, predictor: None }))
}

/// Whether the operator's gRPC route takes this path (with the right headers): its regular expression
/// is `.*tensorflow.*|.*seldon.protos.*|.*inference.*`, over the whole path without query.
pub(super) fn is_taken(path: &[u8]) -> bool {
    let holds = |word: &[u8]| path.windows(word.len()).any(|window| window == word);
    // The dot between the words stands for any one character, of up to four bytes.
    let seldon_protos = || {
        (1..=4_usize).any(|dot| {
            path.windows(dot.saturating_add(12)).any(|window| {
                window.strip_prefix(b"seldon").and_then(|w| w.strip_suffix(b"protos")).is_some_and(
                    |dot| dot.len() == 1 || std::str::from_utf8(dot).is_ok_and(is_one_character),
                )
            })
        })
    };
    holds(b"tensorflow") || holds(b"inference") || seldon_protos()
}

fn is_one_character(text: &str) -> bool {
    text.chars().count() == 1
}

/// The paths of an explain server: Seldon's own protocol, TensorFlow's, and V2 on MLServer.
fn is_explain_path(tail: &[&[u8]]) -> bool {
    match tail {
        [b"api", b"v0.1" | b"v1.0", b"explain"] => true,
        [b"v1", b"models", model] => model.ends_with(b":explain"),
        [b"v2", b"models", _, b"infer"] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_regular_expression() {
        for yes in [
            "/inference.GRPCInferenceService/ModelInfer",
            "/inference-x",
            "/a/inferences",
            "/tensorflow.serving.PredictionService/Predict",
            "/seldon.protos.Seldon/Predict",
            "/seldon/protos",
            "/x/seldonXprotosx",
            "/seldonéprotos",
        ] {
            assert!(is_taken(yes.as_bytes()), "{yes}");
        }
        for no in ["/", "/infer", "/seldonprotos", "/seldon..protos", "/Inference", "/tensor/flow"]
        {
            assert!(!is_taken(no.as_bytes()), "{no}");
        }
    }
}
