//! gRPC clients of model servers, as users generate them from the protocols' definitions.

/// The Open Inference Protocol, which MLServer, Triton and KServe speak.
pub mod inference {
    tonic::include_proto!("inference");
}

/// Seldon Core's own protocol.
pub mod seldon {
    tonic::include_proto!("seldon.protos");
}
