//! The module in front of real model servers, called with their own protocols. Needs `ENVOY`,
//! `MODELGATE_WASM`, `MODELGATE`, `SELDON_VENV` and `MLSERVER_VENV`.

mod clients;
mod grpc;
mod mlserver;
mod report;
mod seldon_wrapper;
mod servers_alone;
mod support;
