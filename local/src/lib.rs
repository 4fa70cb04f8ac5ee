//! What modelgate needs on a machine of its own, for `cargo xtask`, the tests, the demo and `modelgate run`.
//!
//! | module | what it does |
//! |---|---|
//! | [`installed`] | the folder in which tools are installed, each once |
//! | [`python`], [`venv`], [`envoy`] | what installs Envoy and the model servers, and how |
//! | [`sh`] | runs a command, with its output in a log |
//! | [`process`] | children that never outlive their parent |
//! | [`iris`] | the built-in model |
//! | [`executor`], [`open_inference`] | how it is asked: as Seldon's executor, and by the Open Inference Protocol |

pub mod envoy;
pub mod executor;
pub mod installed;
pub mod iris;
pub mod open_inference;
pub mod process;
pub mod python;
pub mod sh;
pub mod venv;
