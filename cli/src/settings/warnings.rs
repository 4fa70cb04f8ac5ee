//! `docs/warnings.md`: every warning by its name.

use std::fmt::Write as _;

use modelgate_engine::config::Warning;
use modelgate_engine::config::describe::{Describe as _, Shape};

use super::text;

const PREAMBLE: &str = "\
# Warnings

What `modelgate check` says of a configuration that is accepted and may not do what its author means, and what the gateway
logs when it loads one. A warning never keeps a configuration from loading. Each names the place, what happens, the value and a
remedy, and has a name from this table:

    warning[never-matches]: authorization.policies[0].models[0]: never matches ...

In the gateway's log the name stands at the end of the line. `modelgate check` leaves a warning out with `--allow NAME` and takes it for an error
with `--deny NAME`: [check.md](check.md).

Warnings from `not-loaded` on are about the resource around `pluginConfig`, which only the command sees.

| | |
|---|---|
";

/// The page in Markdown.
pub fn markdown() -> String {
    let mut page = PREAMBLE.to_owned();
    if let Shape::Words(words) = Warning::shape() {
        for word in words {
            let about = text(word.about).replace('|', "\\|");
            let _ = writeln!(page, "| `{}` | {about} |", word.word);
        }
    }
    page
}
