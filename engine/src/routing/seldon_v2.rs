//! Seldon Core v2: `seldon-model`, which beats `/v2/models/<model>` and `/v2/pipelines/<pipeline>`.

use std::borrow::Cow;

use crate::config::types;
use crate::config::{Errors, Path};
use crate::order;
use crate::refusal::Refusal;

use super::Model;
use super::host::{Host, HostMatch, Hosts};
use super::location::Routing;
use super::names::{is_name, name};
use crate::path::plain::{Plain, other_readings};
use crate::path::segments::{Segments, is_under};

const NO_NAMESPACE: Refusal = Refusal::new("no namespace of Seldon v2 has this host");
const OTHER_MODEL: Refusal = Refusal::new("seldon-model and the path name different models");
const ENCODED: Refusal =
    Refusal::new("the part of the path that names the model is percent-encoded");
const ROUTE_ALONE: Refusal = Refusal::new("x-seldon-route stands without seldon-model");

/// The installations.
#[derive(Debug)]
pub(super) struct SeldonV2 {
    /// Hosts and namespaces, the more exact host first: its routes are those that a request meets.
    installations: Vec<(HostMatch, String)>,
}

impl SeldonV2 {
    /// Compiles the list at `path`.
    pub(super) fn compile(
        settings: &[types::SeldonV2],
        path: &Path<'_>,
        errors: &mut Errors,
    ) -> Self {
        if settings.is_empty() {
            let fix = "a namespace with its hosts, or leave seldon-v2 out of families";
            errors.add(path, "is empty", fix);
        }
        let mut installations = Vec::new();
        for (i, one) in settings.iter().enumerate() {
            let path = path.index(i);
            if !is_name(one.namespace.as_bytes()) {
                let fix = "a DNS-1123 name, as seldon-mesh";
                errors.add_value(&path.field("namespace"), "is not a name", &one.namespace, fix);
            }
            let hosts = Hosts::compile(&one.hosts, &path.field("hosts"), errors).into_matches();
            installations.extend(hosts.into_iter().map(|host| (host, one.namespace.clone())));
        }
        Self { installations: order::stable_by(installations, |a, b| a.0.rank().cmp(&b.0.rank())) }
    }

    /// Whether the path belongs to Seldon v2.
    pub(super) fn contains(path: &[u8]) -> bool {
        is_under(path, b"/v2")
    }

    /// Whether a route of Seldon v2's may take the path: prefixes of Istio's routes are text, and that of Seldon's
    /// documentation is `/v2`, which `/v2models` begins with.
    pub(super) fn may_take(path: &[u8]) -> bool {
        path.starts_with(b"/v2")
    }

    /// Whether the host is one that an installation names.
    pub(super) fn names_host(&self, host: &Host<'_>) -> bool {
        self.installations.iter().any(|(one, _)| *one != HostMatch::Any && one.matches(host))
    }

    /// Whether its gRPC routes take the path, in one reading or another.
    pub(super) fn takes_grpc(path: &[u8]) -> bool {
        let taken = |path: &[u8]| path.starts_with(b"/inference.GRPCInferenceService");
        taken(path) || other_readings(path).any(|path| taken(&path))
    }

    /// The model; `None` for the server's own addresses.
    pub(super) fn model<'a>(
        &self,
        plain: &Plain<'a>,
        host: &Host<'_>,
        routing: &Routing<'a>,
    ) -> Result<Option<Model>, Refusal> {
        let installation = self.installations.iter().find(|(one, _)| one.matches(host));
        let (_, namespace) = installation.ok_or(NO_NAMESPACE)?;
        // Seldon's filter fills in no model where x-seldon-route stands, and its sticky routes need one.
        if routing.seldon_route().is_some() && routing.seldon_model().is_none() {
            return Err(ROUTE_ALONE);
        }
        let by_path = by_path(plain)?;
        let by_header = routing.seldon_model().map(name).transpose()?;
        if let Some(header) = by_header {
            check_repository(plain, header)?;
        }
        let model = match (by_header, by_path) {
            (Some(header), Some(path)) if !path.agrees_with(header) => return Err(OTHER_MODEL),
            (Some(header), _) => Cow::Borrowed(header),
            (None, Some(ByPath::Model(model))) => Cow::Borrowed(model),
            (None, Some(ByPath::Pipeline(pipeline))) => Cow::Owned(format!("{pipeline}.pipeline")),
            (None, None) => return Ok(None),
        };
        let model = name(model.as_bytes())?;
        Ok(Some(Model { id: format!("{namespace}/{model}").into(), predictor: None }))
    }
}

/// What a path names.
#[derive(Debug, Clone, Copy)]
enum ByPath<'a> {
    Model(&'a str),
    Pipeline(&'a str),
}

impl ByPath<'_> {
    /// Whether the header selects what the path names. Seldon's own examples call pipelines and
    /// experiments by `/v2/models/<name>/infer` with `seldon-model: <name>.pipeline` (or
    /// `.experiment`): the header decides, and the path does not speak of another.
    fn agrees_with(self, header: &str) -> bool {
        let rest = match self {
            Self::Model(model) | Self::Pipeline(model) => header.strip_prefix(model),
        };
        match self {
            Self::Model(_) => matches!(rest, Some("" | ".pipeline" | ".experiment")),
            Self::Pipeline(_) => rest == Some(".pipeline"),
        }
    }
}

/// Refuses a path of the model repository that names another model than the header by which it is
/// routed: the server that holds that one may hold others as well, and would load or unload them. Its
/// agent calls a model by name and version there, as `iris_1`, and no name has a `_` of its own.
fn check_repository(plain: &Plain<'_>, header: &str) -> Result<(), Refusal> {
    let segments = Segments::of(plain.decoded());
    let [b"v2", b"repository", rest @ ..] = segments.as_slice() else { return Ok(()) };
    let fits = |named: &[u8]| {
        named.strip_prefix(header.as_bytes()).is_some_and(|version| match version {
            [] => true,
            [b'_', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        })
    };
    // With and without the name of a repository.
    let named = |rest: &[&[u8]]| match rest {
        [b"models", named, ..] => fits(named),
        _ => true,
    };
    let behind = rest.get(1..).filter(|rest| rest.len() > 2).unwrap_or_default();
    if named(rest) && named(behind) { Ok(()) } else { Err(OTHER_MODEL) }
}

/// What the path names, as Seldon's filter reads it before any decoding.
fn by_path<'a>(plain: &Plain<'a>) -> Result<Option<ByPath<'a>>, Refusal> {
    let raw = Segments::of(plain.raw());
    let decoded = Segments::of(plain.decoded());
    let named = match decoded.as_slice() {
        [b"v2", b"models" | b"pipelines", _, ..] => 3,
        _ => return Ok(None),
    };
    if raw.as_slice().get(..named) != decoded.as_slice().get(..named) {
        return Err(ENCODED);
    }
    Ok(match raw.as_slice() {
        [_, b"models", model, ..] => Some(ByPath::Model(name(model)?)),
        [_, _, pipeline, ..] => Some(ByPath::Pipeline(name(pipeline)?)),
        _ => None,
    })
}
