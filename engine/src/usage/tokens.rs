//! What the numbers of an answer mean.

use super::members::{Field, Members};
use crate::config::declare::words;

words! {
    /// The tag `token_type`. OpenTelemetry has `input` and `output`; the others are parts of these.
    pub enum TokenType {
        /// What was asked, whatever of it came from a cache.
        Input = "input",
        /// What was generated, reasoning included.
        Output = "output",
        /// What of the input came from the server's cache.
        Cached = "cached",
        /// What of the output is reasoning.
        Reasoning = "reasoning",
    }
}

impl TokenType {
    /// The name of the filter state that has the number.
    pub const fn filter_state(self) -> &'static str {
        match self {
            Self::Input => "modelgate.input_tokens",
            Self::Output => "modelgate.output_tokens",
            Self::Cached => "modelgate.cached_tokens",
            Self::Reasoning => "modelgate.reasoning_tokens",
        }
    }
}

/// Numbers of tokens, as far as an answer says them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// What was asked.
    pub input: Option<u32>,
    /// What was generated.
    pub output: Option<u32>,
    /// What of the input came from a cache.
    pub cached: Option<u32>,
    /// What of the output is reasoning.
    pub reasoning: Option<u32>,
}

impl Tokens {
    /// Each of them that is known.
    pub fn iter(&self) -> impl Iterator<Item = (TokenType, u32)> {
        let all = [
            (TokenType::Input, self.input),
            (TokenType::Output, self.output),
            (TokenType::Cached, self.cached),
            (TokenType::Reasoning, self.reasoning),
        ];
        all.into_iter().filter_map(|(of, count)| Some((of, count?)))
    }

    /// Whether an answer has said what was asked or generated.
    pub fn is_known(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// What an answer has said.
    pub(super) fn of(members: &Members) -> Self {
        let get = |field| members.get(field);
        let cache_read = get(Field::CacheRead);
        // Anthropic's `input_tokens` are those behind the last one from a cache. Who translates to `prompt_tokens` has
        // added them, and may show them besides.
        let caches = [cache_read, get(Field::CacheWritten)].into_iter().flatten();
        let all = |input: u32| caches.fold(input, u32::saturating_add);
        let said = Self {
            input: get(Field::Prompt).or_else(|| get(Field::Input).map(all)),
            // Who has both speaks OpenAI's words, and may leave the others at 0.
            output: get(Field::Completion).or_else(|| get(Field::Output)),
            cached: get(Field::Cached).or(cache_read),
            reasoning: get(Field::Reasoning),
        };
        if said.is_known() {
            return said;
        }
        // llama.cpp's server says `timings` also where nobody asked for `usage`.
        let reused = get(Field::Reused);
        let input = get(Field::Evaluated).zip(reused).map(|(n, reused)| n.saturating_add(reused));
        Self { input, output: get(Field::Predicted), cached: reused, reasoning: None }
    }
}
