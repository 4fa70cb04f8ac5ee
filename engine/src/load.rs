//! From the text that an operator wrote to what decides, with everything that is wrong or weak in it.

use crate::advice::advise;
use crate::config::{self, Errors};
use crate::pipeline::Plan;

impl Plan {
    /// Reads and compiles the text of a `pluginConfig`; `None` after at least one error.
    pub fn read(text: &[u8], errors: &mut Errors) -> Option<Self> {
        let settings = config::read(text, errors)?;
        let mut plan = Self::compile(&settings, errors).filter(|_| errors.is_empty())?;
        plan.seal_with(text);
        advise(&settings, &plan, errors);
        Some(plan)
    }
}
