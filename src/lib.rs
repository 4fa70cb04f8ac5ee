//! The proxy-wasm glue: the only place that talks to the proxy.
//!
//! The ABI (proxy-wasm 0.2.1) is spoken directly. The SDK's wrappers cannot say why a request was
//! refused, cannot send a shadow a header value that is not UTF-8, lose the answer of a shadow that
//! outlives its request, and panic on statuses that they do not know; `docs/decisions.md` has more.

#![cfg(target_arch = "wasm32")]

mod abi;
mod exports;
mod held;
mod host;
mod keys;
mod metrics;
mod shadows;
mod stream;
mod worker;
