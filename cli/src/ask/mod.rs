//! One request and one configuration, decided at a desk by the filter's own engine: for `modelgate decide` and
//! `modelgate test`.
//!
//! | module | what it does |
//! |---|---|
//! | [`configuration`] | finds the configuration in what `check` reads |
//! | [`request`] | a request as a gateway would get it, and what it knows of the connection |
//! | [`curl`] | reads a curl command line |
//! | [`access_log`] | reads a line of the gateway's access log |
//! | [`time`] | reads a time |
//! | [`keys`] | keys of issuers, and tokens whose signature is assumed to be right |
//! | [`decided`] | the decision with its reasons |
//! | [`json`], [`text`] | how it is shown |

pub mod access_log;
pub mod configuration;
pub mod curl;
pub mod decided;
pub mod json;
pub mod keys;
pub mod request;
pub mod text;
pub mod time;
