//! The module in a real Envoy. Needs `ENVOY` and `MODELGATE_WASM`.

mod testbed_itself;
