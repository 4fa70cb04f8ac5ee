//! Names of headers.

mod meaning;
mod name;

pub use meaning::has_meaning;
pub use name::{folded, is_name};
