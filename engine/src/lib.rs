//! What modelgate decides: a request (bytes and addresses), a compiled configuration and a clock reading
//! in, a decision out. It knows no proxy; the filter that asks it is the crate `modelgate`.
//!
//! ```
//! use modelgate_engine::{config::Errors, pipeline::Plan, request::{Attributes, Host, Request}};
//!
//! /// A proxy that knows the time, and nothing of the connection.
//! struct Proxy;
//! impl Host for Proxy {
//!     fn now(&self) -> u64 { 1_795_795_088_000_000_000 }
//!     fn is_inbound(&self) -> bool { false }
//! }
//!
//! let config = br#"{"authorization": {"defaultAction": "DENY", "policies": [
//!     {"name": "everybody", "models": ["prod/iris"], "rules": [{"to": [{"operation": {"operations": ["predict"]}}]}]}
//! ]}}"#;
//! let mut errors = Errors::default();
//! let plan = Plan::read(config, &mut errors).ok_or_else(|| errors.to_string())?;
//! let mut cache = plan.token_cache();
//! let mut answer = |path: &[u8]| {
//!     let headers: [(&[u8], &[u8]); 3] =
//!         [(b":method", b"POST"), (b":authority", b"models.example.com"), (b":path", path)];
//!     let attributes = Attributes::new(&Proxy);
//!     let decision = plan.decide(&Request::new(&headers, &attributes), &mut cache, |_shadow| Ok(()));
//!     decision.reply().map(|reply| reply.code)
//! };
//! assert_eq!(answer(b"/seldon/prod/iris/api/v1.0/predictions"), None);
//! assert_eq!(answer(b"/seldon/prod/fraud/api/v1.0/predictions"), Some(403));
//! # Ok::<(), String>(())
//! ```
//!
//! | module | what it decides |
//! |---|---|
//! | `advice` | what an accepted configuration does not do, or does besides |
//! | [`config`] | what an operator writes, and what is wrong with it |
//! | [`request`] | a request as bytes, and the changes to it |
//! | [`header`] | which names of headers are one, and which mean something |
//! | [`path`] | a path taken apart, decoded, matched and filled in |
//! | [`matcher`] | Istio's string match |
//! | [`routing`] | which model an address reaches, and with which operation |
//! | [`rewrite`] | the new path |
//! | [`sanitize`] | which of the client's headers only the gateway may set |
//! | [`authn`] | who is calling |
//! | [`authz`] | whether they may |
//! | [`body`] | which model a request's body names |
//! | [`usage`] | what answers have cost |
//! | [`quota`] | how much of that callers have left |
//! | [`split`] | which variant of a model answers |
//! | [`shadow`] | which requests are copied, and whether the answers agree |
//! | [`place`] | where a key falls: what samples and variants are chosen by |
//! | [`hash`], [`time`] | FNV-1a; nanoseconds, and clocks that are set back |
//! | [`tick`] | when the timer ticks next |
//! | [`pipeline`] | in which order all this happens |
//! | [`telemetry`] | which counters exist, and what they are called |

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::too_many_lines))]

mod advice;
pub mod authn;
pub mod authz;
pub mod body;
mod cluster;
pub mod config;
mod encoding;
pub mod few;
pub mod hash;
pub mod header;
mod load;
pub mod matcher;
mod order;
pub mod path;
pub mod pipeline;
pub mod place;
pub mod quota;
mod reasons;
pub mod refusal;
pub mod request;
pub mod rewrite;
pub mod routing;
pub mod sanitize;
pub mod shadow;
pub mod split;
mod steps;
pub mod telemetry;
pub mod tick;
pub mod time;
pub mod usage;
mod words;
