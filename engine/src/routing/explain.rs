//! What of an address names its model, for people: by the tests that resolve it. No filter calls it.

use super::location::Location;
use super::seldon_v2::SeldonV2;
use super::{Address, InBody, Targets, grpc, seldon_v1};
use crate::config::types::Family;
use crate::reasons::reasons;

reasons! {
    /// What of an address names the model.
    pub enum NamedBy {
        Fixed = "a route of targets.fixed",
        OpenAi = "a host of targets.openai",
        SeldonPrefix = "the path, below Seldon v1's prefix",
        SeldonHeaders = "the headers seldon and namespace",
        SeldonModel = "the header seldon-model",
        SeldonV2Path = "the path, below Seldon v2's /v2",
        GrpcService = "the path, a method of a gRPC service of model servers",
        KServeHost = "the host, by KServe's host template",
        KServePath = "the path, by KServe's path template",
        LlmPath = "the path of an LLMInferenceService",
        LlmHeader = "the name of a published model in a header",
        Rewrite = "the target of the rewrite",
        Nothing = "nothing: it is no address of a model",
    }
}

impl Targets {
    /// What of the location it was read from names this address.
    pub fn explain(&self, at: &Location<'_>, address: Option<&Address>) -> NamedBy {
        let Some(address) = address else { return NamedBy::Nothing };
        if let Ok(Some(index)) = self.fixed.find(&at.host, at.path()) {
            let has_model = self.fixed.get(index).is_some_and(|fixed| fixed.model().is_some());
            return if has_model { NamedBy::Fixed } else { NamedBy::OpenAi };
        }
        let has_service = |host, path| {
            let found = self.kserve.as_ref().map(|kserve| kserve.service(host, path));
            matches!(found, Some(Ok(Some(_))))
        };
        match address.family {
            Family::OpenAi => NamedBy::OpenAi,
            Family::LlmIsvc if address.routed > 0 => NamedBy::LlmPath,
            Family::LlmIsvc => NamedBy::LlmHeader,
            Family::KServe if has_service(&at.host, b"") => NamedBy::KServeHost,
            Family::KServe if has_service(&at.host, at.path()) => NamedBy::KServePath,
            Family::SeldonV1
                if self.seldon_v1.as_ref().is_some_and(|v1| v1.contains(at.path())) =>
            {
                NamedBy::SeldonPrefix
            }
            Family::SeldonV1
                if at.routing.seldon_v1().is_some() && seldon_v1::is_taken(at.path()) =>
            {
                NamedBy::SeldonHeaders
            }
            Family::SeldonV2 if at.routing.seldon_model().is_some() => NamedBy::SeldonModel,
            Family::SeldonV2 if SeldonV2::contains(at.path()) => NamedBy::SeldonV2Path,
            _ if grpc::service(at.path()).is_some() => NamedBy::GrpcService,
            _ => NamedBy::Rewrite,
        }
    }
}

impl InBody {
    /// What the body's `model` names.
    pub fn about(&self) -> String {
        match self {
            Self::Model(namespace) => format!("a model of the namespace {namespace}"),
            Self::Adapter => "the model itself or an adapter of it".to_owned(),
        }
    }
}
