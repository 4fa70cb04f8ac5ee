//! What the `modelgate` command does, for the command and for whoever shows the same things.

pub mod ask;
pub mod check;
pub mod convert;
pub mod decide;
pub mod diff;
pub mod key;
pub mod manual;
mod output;
pub mod report;
pub mod resource;
pub mod run;
pub mod settings;
pub mod test;
