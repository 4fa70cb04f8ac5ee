//! Links of the documentation: to files that are there, to headings that they have, to tests that exist.
#![cfg(test)]

use std::path::{Path, PathBuf};

/// Every page, but for what is installed or built.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        if path.is_dir() && name != "target" && name != "node_modules" && !name.starts_with('.') {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The text and the target of each link that is not on the web, outside of code.
fn links(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut code = false;
    for line in page.lines() {
        code ^= line.trim_start().starts_with("```");
        if code || line.starts_with("    ") {
            continue;
        }
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("](") {
            let Some((target, behind)) = after.split_once(')') else { break };
            let text = before.rsplit_once('[').map_or("", |(_, text)| text);
            if !target.contains("://") && !target.contains(' ') {
                found.push((text.to_owned(), target.to_owned()));
            }
            rest = behind;
        }
    }
    found
}

/// What a heading is called in links: lower case, words with `-` between them.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_heading(page: &str, wanted: &str) -> bool {
    let heading = |line: &str| line.trim_start_matches('#').trim().to_owned();
    page.lines().filter(|line| line.starts_with('#')).any(|line| anchor(&heading(line)) == wanted)
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut found);
    // A part of docs/configuration.md.
    found.retain(|page| !page.ends_with("cli/src/settings/preamble.md"));
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in found {
        let text = std::fs::read_to_string(&page).expect("a page");
        for (name, target) in links(&text) {
            count += 1;
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            let path = page.parent().expect("a folder").join(file);
            let target_page = if file.is_empty() { page.clone() } else { path };
            let place = || format!("{}: [{name}]({target})", page.display());
            if !target_page.exists() {
                wrong.push(place());
                continue;
            }
            let read = || std::fs::read_to_string(&target_page).expect("a text");
            if !heading.is_empty() && !has_heading(&read(), heading) {
                wrong.push(place());
            }
            // A test, as the pages about security name them.
            let test = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
            if let Some(test) = test.filter(|_| file.ends_with(".rs") && !name.contains(['/', '.']))
            {
                let declared = format!("fn {test}(");
                if !read().contains(&declared) {
                    wrong.push(place());
                }
            }
        }
    }
    assert!(count > 200, "only {count} links were found");
    assert!(wrong.is_empty(), "these lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn headings_are_named_as_in_links() {
    assert_eq!(
        anchor("LLMInferenceServices are known by their own names"),
        "llminferenceservices-are-known-by-their-own-names"
    );
    assert_eq!(anchor("`check`, twice"), "check-twice");
    let found = links("see [a](b.md#c) and [`d`](e.rs)\n```\n[f](g)\n```\n[h](https://i)\n");
    assert_eq!(found, [("a".into(), "b.md#c".into()), ("`d`".into(), "e.rs".into())]);
}
