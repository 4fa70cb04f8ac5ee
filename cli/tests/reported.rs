//! What was reported and mended: the tests that docs/reported names are there.
#![cfg(test)]

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The folder of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The source of every test and module of the project.
fn sources(folder: &Path, text: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, text)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

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
        sources(&root().join(folder), &mut source)?;
    }
    for page in std::fs::read_dir(root().join("docs/reported"))? {
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
