//! What an operator writes, read with every error at its path, and compiled once into a [`Plan`].
//!
//! [`Plan`]: crate::pipeline::Plan

pub mod error;
pub mod read;
pub mod types;

pub use error::{ConfigError, Errors, Path};
pub use types::PluginConfig;

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
    let value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(e) => {
            errors.add(&root, format!("is not JSON: {e}"), "a JSON object");
            return None;
        }
    };
    if value == serde_json::json!({}) {
        errors.add(&root, "is empty", fix);
        return None;
    }
    let settings = PluginConfig::read(&value, &root, errors);
    errors.end_reading();
    settings
}
