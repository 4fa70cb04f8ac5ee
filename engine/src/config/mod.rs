//! What an operator writes, read with every error at its path, and compiled once into a [`Plan`].
//!
//! [`Plan`]: crate::pipeline::Plan

pub(crate) mod declare;
pub mod describe;
pub mod document;
pub mod error;
pub mod read;
pub mod types;
pub mod values;
mod warning;

pub use error::{ConfigError, Errors, GIVEN_TWICE, Path};
pub use types::PluginConfig;
pub use warning::Warning;

use document::Document;
use read::Read;

/// Reads the text of a `pluginConfig`.
///
/// Where errors were recorded, placeholders may stand for what could not be read: the settings are
/// then good for further checks, and for nothing else. An empty text is an error: it would protect
/// nothing, and looks like a forgotten configuration.
pub fn read(text: &[u8], errors: &mut Errors) -> Option<PluginConfig> {
    let root = Path::ROOT;
    let fix = "write {authorization: {defaultAction: ALLOW}} if everything shall be open";
    if text.iter().all(u8::is_ascii_whitespace) {
        errors.add(&root, "is empty", fix);
        return None;
    }
    let document = match serde_json::from_slice(text) {
        Ok(document) => document,
        Err(e) if e.is_data() => {
            errors.add(&root, format!("is ambiguous: {e}"), "each name once");
            return None;
        }
        Err(e) => {
            errors.add(&root, format!("is not JSON: {e}"), "a JSON object");
            return None;
        }
    };
    if matches!(&document, Document::Object(members) if members.is_empty()) {
        errors.add(&root, "is empty", fix);
        return None;
    }
    let settings = PluginConfig::read(&document, &root, errors);
    errors.end_reading();
    settings
}
