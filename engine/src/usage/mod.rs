//! What answers have cost: tokens as the server counts them, and how soon they came. Read from answers as they stream by,
//! of which no byte is held back, changed or kept.
//!
//! | module | what it does |
//! |---|---|
//! | `settings` | whose answers are read, and by which claim they are counted |
//! | [`answer`] | one answer, from its headers to its end |
//! | `events` | server-sent events |
//! | `members` | the members of a JSON text that matter |
//! | `tokens` | what those members mean |

pub mod answer;
mod events;
mod members;
mod settings;
#[cfg(test)]
mod tests;
mod tokens;

pub use answer::{AnswerReader, Report};
pub use settings::Usage;
pub(crate) use settings::claim_names;
pub use tokens::{TokenType, Tokens};

use crate::config::declare::words;

words! {
    /// What became of reading an answer: the `result` of `modelgate_gen_ai_answers_total`.
    pub enum AnswerResult {
        /// It says what it has cost.
        Read = "read",
        /// It does not say what it has cost.
        NoUsage = "no_usage",
        /// It broke off. What it had said until then is counted.
        BrokenOff = "broken_off",
        /// It has a `content-encoding`.
        Compressed = "compressed",
        /// It is neither JSON nor a stream of events.
        MediaType = "media_type",
    }
}
