//! What was reported and mended: the tests that docs/reported names are there.
#![cfg(test)]

#[path = "support/sources.rs"]
mod sources;

use anyhow::{Result, ensure};

/// Names of tests among what stands between backquotes: behind a file's name, or a sentence of at
/// least five words.
fn tests(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2).flat_map(|quoted| {
        let behind_file = quoted.contains(".rs: ");
        let names = quoted.rsplit(": ").next().unwrap_or_default().split([',', ' ']);
        names.filter(move |name| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_sentence = name.matches('_').count() >= 4;
            !name.is_empty() && name.chars().all(is_name) && (behind_file || is_sentence)
        })
    })
}

#[test]
fn the_tests_that_are_named_are_there() -> Result<()> {
    let mut source = String::new();
    for folder in ["src", "engine", "cli", "tests"] {
        sources::read(&sources::root().join(folder), &mut source)?;
    }
    for page in std::fs::read_dir(sources::root().join("docs/reported"))? {
        let page = page?.path();
        let text = std::fs::read_to_string(&page)?;
        let mut named = 0;
        for name in tests(&text) {
            let there = source.contains(&format!("fn {name}("));
            ensure!(there, "{}: there is no test {name}", page.display());
            named += 1;
        }
        ensure!(named > 3, "{} names {named} tests", page.display());
    }
    Ok(())
}
