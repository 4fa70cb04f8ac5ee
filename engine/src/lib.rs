//! What modelgate decides: a request (bytes and addresses), a compiled configuration and a clock reading
//! in, a decision out. It knows no proxy; the filter that asks it is the crate `modelgate`.
//!
//! | module | what it decides |
//! |---|---|
//! | `advice` | what an accepted configuration does not do, or does besides |
//! | [`config`] | what an operator writes, and what is wrong with it |
//! | [`request`] | a request as bytes, and the changes to it |
//! | [`matcher`] | Istio's string match |
//! | [`target`] | which model an address reaches, and with which operation |
//! | [`rewrite`] | the new path |
//! | [`sanitise`] | which of the client's headers only the gateway may set |
//! | [`authn`] | who is calling |
//! | [`authz`] | whether they may |
//! | [`split`] | which variant of a model answers |
//! | [`shadow`] | which requests are copied, and whether the answers agree |
//! | [`place`] | where a key falls: what samples and variants are chosen by |
//! | [`pipeline`] | in which order all this happens |
//! | [`telemetry`] | which counters exist, and what they are called |

#![forbid(unsafe_code)]

mod advice;
pub mod authn;
pub mod authz;
pub mod config;
pub mod few;
pub mod matcher;
mod order;
pub mod pipeline;
pub mod place;
pub mod request;
pub mod rewrite;
pub mod sanitise;
pub mod shadow;
pub mod split;
pub mod target;
pub mod telemetry;
