//! The words of the code in CONTRIBUTING.md: what is named there is defined where it says.
#![cfg(test)]

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

fn sources(path: &Path, text: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(path).with_context(|| path.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, text)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Whether a name is that of an item or a field.
fn is_defined(name: &str, text: &str) -> bool {
    let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let item = ["fn ", "struct ", "enum ", "trait ", "type ", "const "].iter().any(|keyword| {
        let start = format!("{keyword}{name}");
        text.match_indices(&start).any(|(at, _)| text.get(at + start.len()..).is_some_and(is_end))
    });
    item || text.contains(&format!("pub {name}: "))
}

#[test]
fn every_word_of_the_code_is_where_it_says() -> Result<()> {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("CONTRIBUTING.md"))?;
    let section = page.split("## The words of the code").nth(1).context("no such section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let (mut names, mut missing) = (0, Vec::new());
    for row in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let places =
            row.trim_end_matches(['|', ' ']).rsplit(" | ").next().context("an empty row")?;
        for place in places.split("; ") {
            let (folder, quoted) = place.split_once(": ").with_context(|| row.to_owned())?;
            let mut text = String::new();
            sources(&root.join(folder.trim_matches('`')), &mut text)?;
            for name in quoted.split(", ").map(|name| name.trim_matches('`')) {
                names += 1;
                if !is_defined(name, &text) {
                    missing.push(format!("{name} in {folder}"));
                }
            }
        }
    }
    ensure!(names > 80, "only {names} names");
    ensure!(missing.is_empty(), "CONTRIBUTING.md names what is not there: {missing:#?}");
    Ok(())
}
