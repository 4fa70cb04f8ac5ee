//! gRPC services of Seldon's and of the Open Inference Protocol's servers, and what their methods do.

use super::Operation;

/// Services in front of which only Seldon v1 (or nothing) stands.
fn is_seldon_v1_service(service: &[u8]) -> bool {
    matches!(
        service,
        b"seldon.protos.Seldon"
            | b"seldon.protos.Model"
            | b"seldon.protos.Generic"
            | b"seldon.protos.Router"
            | b"seldon.protos.Transformer"
            | b"seldon.protos.OutputTransformer"
            | b"seldon.protos.Combiner"
            | b"tensorflow.serving.PredictionService"
            | b"tensorflow.serving.ModelService"
    )
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
    match path.strip_prefix(b"/")?.split(|c| *c == b'/').next()? {
        b"inference.GRPCInferenceService" => Some(Service::OpenInference),
        service if is_seldon_v1_service(service) => Some(Service::SeldonV1),
        _ => None,
    }
}

/// What a method does; `None` if the segments begin with none of the services.
pub(super) fn operation(segments: &[&[u8]]) -> Option<Operation> {
    let (&service, method) = segments.split_first()?;
    let method: &[u8] = if let [method] = method { method } else { b"" };
    let operation = match service {
        b"inference.GRPCInferenceService" => match method {
            b"ModelInfer" | b"ModelStreamInfer" => Operation::Predict,
            b"ServerLive" | b"ServerReady" | b"ModelReady" => Operation::Status,
            b"ServerMetadata" | b"ModelMetadata" => Operation::Metadata,
            b"ModelConfig"
            | b"ModelStatistics"
            | b"RepositoryIndex"
            | b"RepositoryModelLoad"
            | b"RepositoryModelUnload"
            | b"SystemSharedMemoryStatus"
            | b"SystemSharedMemoryRegister"
            | b"SystemSharedMemoryUnregister"
            | b"CudaSharedMemoryStatus"
            | b"CudaSharedMemoryRegister"
            | b"CudaSharedMemoryUnregister" => Operation::Admin,
            _ => Operation::Other,
        },
        b"tensorflow.serving.PredictionService" => match method {
            b"Predict" | b"Classify" | b"Regress" | b"MultiInference" => Operation::Predict,
            b"GetModelMetadata" => Operation::Metadata,
            _ => Operation::Other,
        },
        b"tensorflow.serving.ModelService" => match method {
            b"GetModelStatus" => Operation::Status,
            b"HandleReloadConfigRequest" => Operation::Admin,
            _ => Operation::Other,
        },
        seldon if is_seldon_v1_service(seldon) => seldon_method(seldon, method),
        _ => return None,
    };
    Some(operation)
}

/// The steps of an inference graph (transform, route, aggregate) run model code: they are predictions.
fn seldon_method(service: &[u8], method: &[u8]) -> Operation {
    let kind = service.strip_prefix(b"seldon.protos.").unwrap_or_default();
    match (kind, method) {
        (b"Seldon" | b"Model", b"Predict")
        | (b"Generic", b"TransformInput" | b"TransformOutput" | b"Route" | b"Aggregate")
        | (b"Router", b"Route")
        | (b"Transformer", b"TransformInput")
        | (b"OutputTransformer", b"TransformOutput")
        | (b"Combiner", b"Aggregate") => Operation::Predict,
        (b"Seldon" | b"Model" | b"Generic" | b"Router", b"SendFeedback") => Operation::Feedback,
        (b"Seldon", b"ModelMetadata" | b"GraphMetadata") | (b"Model", b"Metadata") => {
            Operation::Metadata
        }
        _ => Operation::Other,
    }
}
