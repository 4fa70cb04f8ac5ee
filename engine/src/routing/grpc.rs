//! gRPC services of Seldon's and of the Open Inference Protocol's servers, and what their methods do.

use super::Operation;
use crate::path::segments::{cut, fits};

/// Services in front of which only Seldon v1 (or nothing) stands.
const OF_SELDON_V1: &str = "seldon.protos.Seldon|seldon.protos.Model|seldon.protos.Generic|seldon.protos.Router|seldon.protos.Transformer|seldon.protos.OutputTransformer|seldon.protos.Combiner|tensorflow.serving.PredictionService|tensorflow.serving.ModelService";

fn is_seldon_v1_service(service: &[u8]) -> bool {
    fits(OF_SELDON_V1, &[service])
}

/// A service that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Seldon's own protocol, or TensorFlow Serving's.
    SeldonV1,
    /// `inference.GRPCInferenceService`, which all families' servers speak.
    OpenInference,
}

/// The service of a path with its leading `/`.
pub(super) fn service(path: &[u8]) -> Option<Service> {
    match cut(path.strip_prefix(b"/")?).0 {
        b"inference.GRPCInferenceService" => Some(Service::OpenInference),
        service if is_seldon_v1_service(service) => Some(Service::SeldonV1),
        _ => None,
    }
}

/// What a method does; `None` if the segments begin with none of the services.
pub(super) fn operation(segments: &[&[u8]]) -> Option<Operation> {
    let (&service, _) = segments.split_first()?;
    if service != b"inference.GRPCInferenceService" && !is_seldon_v1_service(service) {
        return None;
    }
    let found = METHODS.iter().find(|(path, _)| fits(path, segments));
    Some(found.map_or(Other, |(_, operation)| *operation))
}

use Operation::{Admin, Feedback, Metadata, Other, Predict, Status};

/// The steps of an inference graph (transform, route, aggregate) run model code: they are predictions.
pub(super) const METHODS: &[(&str, Operation)] = &[
    ("inference.GRPCInferenceService/ModelInfer|ModelStreamInfer", Predict),
    ("seldon.protos.Seldon|seldon.protos.Model/Predict", Predict),
    ("tensorflow.serving.PredictionService/Predict|Classify|Regress|MultiInference", Predict),
    ("seldon.protos.Generic/TransformInput|TransformOutput|Route|Aggregate", Predict),
    ("seldon.protos.Router/Route", Predict),
    ("seldon.protos.Transformer/TransformInput", Predict),
    ("seldon.protos.OutputTransformer/TransformOutput", Predict),
    ("seldon.protos.Combiner/Aggregate", Predict),
    ("inference.GRPCInferenceService/ServerLive|ServerReady|ModelReady", Status),
    ("inference.GRPCInferenceService/ServerMetadata|ModelMetadata", Metadata),
    ("inference.GRPCInferenceService/ModelConfig|ModelStatistics|RepositoryIndex", Admin),
    ("inference.GRPCInferenceService/RepositoryModelLoad|RepositoryModelUnload", Admin),
    (
        "inference.GRPCInferenceService/SystemSharedMemoryStatus|SystemSharedMemoryRegister|SystemSharedMemoryUnregister",
        Admin,
    ),
    (
        "inference.GRPCInferenceService/CudaSharedMemoryStatus|CudaSharedMemoryRegister|CudaSharedMemoryUnregister",
        Admin,
    ),
    ("tensorflow.serving.PredictionService/GetModelMetadata", Metadata),
    ("tensorflow.serving.ModelService/GetModelStatus", Status),
    ("tensorflow.serving.ModelService/HandleReloadConfigRequest", Admin),
    (
        "seldon.protos.Seldon|seldon.protos.Model|seldon.protos.Generic|seldon.protos.Router/SendFeedback",
        Feedback,
    ),
    ("seldon.protos.Seldon/ModelMetadata|GraphMetadata", Metadata),
    ("seldon.protos.Model/Metadata", Metadata),
];
