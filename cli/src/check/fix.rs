//! `modelgate check --fix`: spellings that the messages themselves know better, mended where they stand.
//!
//! Only names of fields with one that is meant, and words in other letters' case. Everything around them stays as it is,
//! comments too; what a setting means is never guessed.

use std::path::Path;

use anyhow::{Context as _, Result};
use modelgate_engine::config::ConfigError;

use super::finding::{Checked, Edit, Finding};
use super::place::Place;
use super::source::Source;
use super::tree::{Id, Kind, Tree};

/// What the reader of settings says of a name that it does not know.
pub const UNKNOWN_FIELD: &str = "is not a field here";

/// Mends a file's spellings, and says on standard error what was changed; whether anything was.
///
/// # Errors
///
/// The file cannot be written, or is no longer what was checked.
pub fn write(file: &Path, source: &Source, checked: &[Checked]) -> Result<bool> {
    let mut edits: Vec<&Edit> = checked.iter().flat_map(certain).collect();
    edits.sort_by_key(|edit| edit.span.start);
    if edits.is_empty() {
        return Ok(false);
    }
    let now = std::fs::read_to_string(file).with_context(|| source.name.clone())?;
    let mark =
        now.strip_suffix(source.text.as_str()).filter(|mark| matches!(*mark, "" | "\u{feff}"));
    let mark = mark.with_context(|| format!("{} has changed in between", source.name))?;
    let mut text = mark.to_owned();
    let mut from = 0;
    for edit in edits {
        // What several aliases stand for is found for each, and mended once.
        let Some(before) = source.text.get(from..edit.span.start) else { continue };
        let old = source.text.get(edit.span.clone()).unwrap_or_default();
        let at = source.position(edit.span.start);
        let (name, line, column) = (&source.name, at.line, at.column);
        eprintln!("modelgate: {name}:{line}:{column}: {old} is now {}", edit.text);
        text.push_str(before);
        text.push_str(&edit.text);
        from = edit.span.end;
    }
    text.push_str(source.text.get(from..).unwrap_or_default());
    std::fs::write(file, text).with_context(|| source.name.clone())?;
    Ok(true)
}

/// The edits of which no two would give a mapping the same name.
fn certain(checked: &Checked) -> impl Iterator<Item = &Edit> {
    let parent =
        |finding: &Finding| finding.path.rsplit_once('.').map(|(parent, _)| parent.to_owned());
    checked.findings.iter().filter_map(move |finding| {
        let edit = finding.edit.as_ref()?;
        let is_rival = |other: &Finding| {
            let rival =
                other.edit.as_ref().filter(|other| other.is_name && other.span != edit.span);
            rival.is_some_and(|other| other.text == edit.text) && parent(other) == parent(finding)
        };
        let has_rival = edit.is_name && checked.findings.iter().any(is_rival);
        (!has_rival).then_some(edit)
    })
}

/// What mends an error, if its message knows.
pub fn edit(error: &ConfigError, place: &Place, tree: &Tree, source: &Source) -> Option<Edit> {
    if !place.is_whole || error.name.is_some() {
        return None;
    }
    if error.what == UNKNOWN_FIELD {
        let meant = error.fix.strip_prefix("did you mean ")?.strip_suffix('?')?;
        let key = place.key?;
        let is_there = siblings(tree, key).any(|name| name == meant);
        let edit = replace(tree, source, key, meant).filter(|_| !is_there)?;
        return Some(Edit { is_name: true, ..edit });
    }
    let words = error.fix.strip_prefix("one of ").filter(|_| error.what == "is unknown")?;
    let value = place.value?;
    let written = tree.scalar(value)?;
    let meant = words.split(", ").find(|word| word.eq_ignore_ascii_case(written))?;
    replace(tree, source, value, meant)
}

/// The names beside a key.
fn siblings(tree: &Tree, key: Id) -> impl Iterator<Item = &str> {
    let maps = tree.nodes().iter().filter_map(|node| match &node.kind {
        Kind::Map(fields) => Some(fields),
        _ => None,
    });
    let mut map = maps.filter(move |fields| fields.iter().any(|(other, _)| *other == key));
    map.next().into_iter().flatten().filter_map(|(key, _)| tree.scalar(*key))
}

/// Another text for a scalar that is written as it reads, in quotes or without.
fn replace(tree: &Tree, source: &Source, scalar: Id, text: &str) -> Option<Edit> {
    let (node, reads) = (tree.node(scalar)?, tree.scalar(scalar)?);
    let written = source.text.get(node.span.clone())?;
    let quotes = usize::from(written.starts_with(['"', '\'']));
    let start = node.span.start.saturating_add(quotes);
    let span = start..node.span.end.saturating_sub(quotes).max(start);
    let is_literal = source.text.get(span.clone()) == Some(reads);
    is_literal.then(|| Edit { span, text: text.to_owned(), is_name: false })
}
