//! The words of the code in CONTRIBUTING.md: what is named there is defined where it says.
#![cfg(test)]

#[path = "support/sources.rs"]
mod sources;

use anyhow::{Context as _, Result, ensure};

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
    let root = sources::root();
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
            sources::read(&root.join(folder.trim_matches('`')), &mut text)?;
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
