//! Names of headers.

mod meaning;
mod name;
mod set;

pub use meaning::has_meaning;
pub(crate) use name::{begins, fold};
pub use name::{folded, is_name, is_same};
pub use set::NameSet;
