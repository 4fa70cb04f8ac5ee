//! Which model an address reaches, and what is done with it. A file for each family.
//!
//! | file | what it knows |
//! |---|---|
//! | `resolve` | which family an address belongs to, and which addresses contradict themselves |
//! | `rewritten` | the same of requests that a rewrite sent elsewhere |
//! | `seldon_v1`, `seldon_v2`, `kserve`, `llmisvc`, `fixed` | how a family, or the operator, names a model |
//! | `operation`, `grpc` | what a model server's own paths and methods do |
//! | `samples` | those paths and methods, written out |
//! | `host`, `names`, `location` | spellings: what may be read, and what is refused |

use std::rc::Rc;

mod explain;
mod fixed;
mod grpc;
pub mod host;
mod kserve;
mod llmisvc;
mod location;
pub(crate) mod names;
mod operation;
mod resolve;
mod rewritten;
mod samples;
mod seldon_v1;
mod seldon_v2;
mod setting;
#[cfg(test)]
mod tests;

pub use explain::NamedBy;
pub use location::Location;
pub(crate) use location::{ROUTING, ROUTING_HEADERS};
pub(crate) use operation::is_named_in_body;
pub use resolve::Targets;
#[cfg(test)]
pub(crate) use rewritten::CAPTURED;
pub use rewritten::{NewAddress, Reaches};
pub(crate) use samples::{Sample, samples};

use crate::config::declare::words;
use crate::config::types::Family;
use crate::path::segments::{each, fits};

words! {
    /// What a request does with a model.
    pub enum Operation {
        /// Asks for a prediction.
        Predict = "predict",
        /// Sends a reward or the truth.
        Feedback = "feedback",
        /// Asks for an explanation.
        Explain = "explain",
        /// Reads what the model is.
        Metadata = "metadata",
        /// Reads whether it is ready.
        Status = "status",
        /// Reads its documentation.
        Docs = "docs",
        /// Scrapes its metrics.
        Metrics = "metrics",
        /// Changes what the server holds.
        Admin = "admin",
        /// Anything else in a family's territory.
        Other = "other",
    }
}

impl Operation {
    /// Whether only a rule that names it, or a bypass, opens it.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Metrics | Self::Admin | Self::Other)
    }

    /// Whether a model is asked, which the address or the body names.
    pub(crate) fn asks_model(self) -> bool {
        matches!(self, Self::Predict | Self::Feedback | Self::Explain)
    }
}

/// An address in a family's territory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Whose territory it is.
    pub family: Family,
    /// What is done.
    pub operation: Operation,
    /// The model; absent for a server's own addresses.
    pub model: Option<Model>,
    /// How many segments of the path the family's own route takes off before the model sees it: 3 of
    /// `/seldon/prod/iris/api/v1.0/predictions`.
    pub routed: usize,
    /// Whether the body has a say in which model it is.
    pub in_body: Option<InBody>,
}

/// What a body's `model` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InBody {
    /// A model of this namespace.
    Model(Rc<str>),
    /// An adapter of the model that the address names, or that one by its own name.
    Adapter,
}

impl Address {
    /// An address that names its model itself, or that is a server's own.
    pub fn new(family: Family, operation: Operation, model: Option<Model>, routed: usize) -> Self {
        Self { family, operation, model, routed, in_body: None }
    }

    /// Whether this is the name by which KServe's routes know the deployment whose adapter the body names.
    pub fn is_published_as(&self, text: &[u8]) -> bool {
        let (Some(InBody::Adapter), Some(model)) = (&self.in_body, &self.model) else {
            return false;
        };
        let published = text.strip_prefix(b"publishers/").and_then(|text| {
            let (namespace, name) = model.id.split_once('/')?;
            text.strip_prefix(namespace.as_bytes())?
                .strip_prefix(b"/models/")?
                .strip_prefix(name.as_bytes())
        });
        published.is_some_and(<[u8]>::is_empty)
    }

    /// The same where the body names this model.
    #[must_use]
    pub fn with_model(&self, named: &str) -> Self {
        let id = match (&self.in_body, &self.model) {
            (Some(InBody::Model(namespace)), _) => Some([namespace, "/", named].concat().into()),
            (_, Some(model)) if model.name() == named => Some(Rc::clone(&model.id)),
            (_, Some(model)) => Some([&*model.id, "/", named].concat().into()),
            (_, None) => None,
        };
        let model = id.map(|id| Model { id, predictor: None });
        Self { model, ..self.clone() }
    }
}

/// Whether a path, without its query, is one of which no copy is made: that of a stream of gRPC messages or of
/// events, or of an answer (`/v1/responses/{id}`) that one server alone has kept.
pub fn is_stream(path: &[u8]) -> bool {
    let mut before: [&[u8]; 2] = [b""; 2];
    each(path).any(|s| {
        let is_kept = before == [&b"v1"[..], b"responses"] && !s.is_empty();
        before = [before[1], s];
        is_kept || fits("ModelStreamInfer|infer_stream|generate_stream", &[s])
    })
}

/// The model that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// `namespace/name`.
    pub id: Rc<str>,
    /// The predictor, where the address names one.
    pub predictor: Option<Rc<str>>,
}

impl Model {
    /// What stands before the `/` of the id.
    pub fn namespace(&self) -> &str {
        self.id.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// What stands behind the `/` of the id.
    pub fn name(&self) -> &str {
        self.id.split_once('/').map_or("", |(_, name)| name)
    }
}
