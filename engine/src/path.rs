//! Paths of requests: taken apart, decoded, matched and filled in.
//!
//! | file | what it knows |
//! |---|---|
//! | [`plain`] | which spellings every server reads alike, and what careless servers could read |
//! | [`query`] | parameters: found, and removed |
//! | [`pattern`], [`template`] | what a rewrite applies to, and what it makes of it |
//! | [`uri_template`] | Envoy's `{*}` and `{**}` |

pub(crate) mod pattern;
pub(crate) mod plain;
pub(crate) mod query;
pub mod template;
pub(crate) mod uri_template;
