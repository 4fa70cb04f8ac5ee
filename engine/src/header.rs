//! Names of headers, and what they mean.

mod class;
mod name;
mod set;

pub use class::{Classes, of_gateway};
pub(crate) use name::{begins, fold};
pub use name::{folded, is_name, is_same};
pub use set::NameSet;
