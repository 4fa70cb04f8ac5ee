//! Paths in the settings.

use crate::config::{Errors, Path};
use crate::path::plain::Plain;

/// Records what is wrong with a path of the configuration.
pub(super) fn check_path(text: &str, path: &Path<'_>, errors: &mut Errors) {
    let fix = "a path that begins with /, as /a/b";
    if text.contains(['?', '#', '%']) {
        errors.add_value(path, "holds ?, # or %", text, fix);
    } else if let Err(refusal) = Plain::new(text.as_bytes()) {
        errors.add_value(path, format!("is not usable: {}", refusal.reason), text, fix);
    }
}
