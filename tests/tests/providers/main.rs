//! Tokens of real identity providers before modelgate and before Envoy's own filters, with the same rule, the same
//! policies and the same keys, given and fetched. Needs `ENVOY`, `MODELGATE_WASM` and the providers
//! (`cargo xtask test providers` installs and names them).
//!
//! Each token has one row: what it is answered, and which policies it fits. A row in which the two sides differ
//! names the row of docs/istio.md that says so. docs/providers/ has a page for each provider.

mod by_hand;
mod hydra;
mod keycloak;
mod keys;
mod kubernetes;
mod mockoidc;
mod oidc_provider;
mod programs;
mod side_by_side;
mod spire;
