//! The module in a real Envoy. Needs `ENVOY`, `MODELGATE_WASM` and `MODELGATE`.

mod addresses;
mod algorithms;
mod authn;
mod authz;
mod bypass;
mod bytes;
mod config;
mod credentials;
mod deputy;
mod forged;
mod hostile;
mod in_body;
mod keys;
mod puid;
mod report;
mod rewrite;
mod shadow;
mod shadow_bodies;
mod shadow_copies;
mod shadow_load;
mod shadow_outcomes;
mod site;
mod split;
mod telemetry;
mod testbed_itself;
mod trailers;
