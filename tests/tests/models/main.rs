//! The module in front of real model servers, called with their own protocols. Needs `ENVOY`,
//! `MODELGATE_WASM`, `MODELGATE` and the environments of the servers: `SELDON_VENV`, `MLSERVER_VENV`,
//! `KSERVE_VENV`, `MLFLOW_VENV` and `LITSERVE_VENV`.

mod clients;
mod compared;
mod grpc;
mod llama;
mod mlserver;
mod report;
mod routes;
mod seldon_wrapper;
mod servers_alone;
mod support;
