//! Findings for people: what is wrong, the line it stands in with the place underlined, and what would be right.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::finding::{Checked, File, Finding, Name, Severity};
use super::source::Source;

/// Stands for each character of a value that is not shown.
const HIDDEN: char = '*';

/// Columns elsewhere than on a terminal, and the fewest that a line is cut to.
const COLUMNS: usize = 140;
const NARROW: usize = 60;

/// Bytes of a line that is shown as a whole, as far as the terminal goes.
const LONG: usize = 2000;

/// Characters of a longer one that are looked at before and behind a place.
const BEFORE: usize = 150;
const BEHIND: usize = 300;

/// Everything that is said of a file, for a terminal of so many columns if it is for one.
pub fn file(file: &File, is_colored: bool, columns: Option<usize>) -> String {
    let renderer = if is_colored { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(columns.unwrap_or(COLUMNS).max(NARROW));
    let mut out = String::new();
    for checked in &file.checked {
        // A file that cannot be opened has no text, and is told of on standard error.
        let shown =
            checked.findings.iter().filter(|f| f.span.is_some() || f.name != Name::Unreadable);
        for finding in shown {
            let _ = writeln!(out, "{}\n", renderer.render(&groups(&file.source, finding)));
        }
        let _ = writeln!(out, "{}", verdict(&file.source.name, checked));
    }
    out
}

/// What became of a configuration, in one line.
pub fn verdict(file: &str, checked: &Checked) -> String {
    let mut line = file.to_owned();
    if let Some((kind, name)) = &checked.resource {
        let _ = write!(line, " ({kind} {name})");
    }
    let _ = write!(line, ": {}", checked.verdict.as_str());
    for (severity, one, more) in
        [(Severity::Error, "error", "errors"), (Severity::Warning, "warning", "warnings")]
    {
        match checked.count(severity) {
            0 => {}
            1 => line.push_str(&format!(", 1 {one}")),
            count => line.push_str(&format!(", {count} {more}")),
        }
    }
    line
}

fn groups<'f>(source: &'f Source, finding: &'f Finding) -> Vec<Group<'f>> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut title = level.clone().primary_title(finding.title());
    if let Name::Warning(name) = finding.name {
        title = title.id(name.as_str());
    }
    let mut groups = vec![Group::with_title(title)];
    if let Some(span) = &finding.span {
        let first = Mark { span: source.first_line(span), kind: AnnotationKind::Primary, why: "" };
        let other = finding.other.as_ref().map(|(span, why)| Mark {
            span: source.first_line(span),
            kind: AnnotationKind::Context,
            why,
        });
        let shown = shown(source, first.span.start);
        let (same, apart): (Vec<_>, Vec<_>) =
            other.into_iter().partition(|other| holds(&shown, &other.span));
        let marks: Vec<_> = std::iter::once(first).chain(same).collect();
        for marks in [marks, apart] {
            show(source, finding, marks, level.clone(), &mut groups);
        }
    }
    if let Some(group) = groups.pop() {
        let remedy = Some(finding.remedy.as_str()).filter(|remedy| !remedy.is_empty());
        groups.push(group.elements(remedy.map(|remedy| Level::HELP.message(remedy))));
    }
    groups
}

/// A place to underline, and what to say of it.
struct Mark<'w> {
    span: Range<usize>,
    kind: AnnotationKind,
    why: &'w str,
}

/// Adds a line with its marks. A part of a long line is a group of its own: of a snippet's place it would be said that it
/// counts from the part's beginning.
fn show<'f>(
    source: &'f Source,
    finding: &Finding,
    marks: Vec<Mark<'f>>,
    level: Level<'f>,
    groups: &mut Vec<Group<'f>>,
) {
    let Some(at) = marks.first().map(|mark| mark.span.start) else { return };
    let Some(group) = groups.pop() else { return };
    let shown = shown(source, at);
    let position = source.position(at);
    let (text, map) = masked(source, &shown, &finding.hidden);
    let marks = marks.into_iter().map(|Mark { span, kind, why }| {
        let annotation = kind.span(map(span.start)..map(span.end));
        if why.is_empty() { annotation } else { annotation.label(why) }
    });
    let snippet = Snippet::source(text).line_start(position.line).annotations(marks);
    if shown == source.line_at(at) {
        groups.push(group.element(snippet.path(source.name.as_str())));
    } else {
        let origin = Origin::path(source.name.as_str());
        let origin = origin.line(position.line).char_column(position.column);
        groups.extend([group.element(origin), Group::with_level(level).element(snippet)]);
    }
}

/// The line of a place, or of one that no terminal shows as a whole the part around it: a configuration may be one line.
fn shown(source: &Source, at: usize) -> Range<usize> {
    let line = source.line_at(at);
    if line.len() <= LONG {
        return line;
    }
    let text = |range: Range<usize>| source.text.get(range).unwrap_or_default();
    let before = text(line.start..at).char_indices().rev().take(BEFORE).last();
    let behind = text(at..line.end).char_indices().nth(BEHIND);
    let start = before.map_or(at, |(i, _)| line.start.saturating_add(i));
    start..behind.map_or(line.end, |(i, _)| at.saturating_add(i))
}

fn holds(shown: &Range<usize>, span: &Range<usize>) -> bool {
    shown.start <= span.start && span.end <= shown.end
}

/// A line without the values that are not shown, and where its bytes are in it now.
fn masked(
    source: &Source,
    line: &Range<usize>,
    hidden: &[Range<usize>],
) -> (String, impl Fn(usize) -> usize + use<>) {
    let mut text = String::new();
    // Where each character was, and where it is.
    let mut places = Vec::new();
    let old = source.text.get(line.clone()).unwrap_or_default();
    let overlaps = |span: &&Range<usize>| span.start < line.end && line.start < span.end;
    let hidden: Vec<_> = hidden.iter().filter(overlaps).collect();
    for (i, character) in old.char_indices() {
        let at = line.start.saturating_add(i);
        places.push((at, text.len()));
        let is_hidden = hidden.iter().any(|span| span.contains(&at)) && !character.is_whitespace();
        text.push(if is_hidden { HIDDEN } else { character });
    }
    let end = text.len();
    let map = move |at: usize| {
        let after = places.partition_point(|(old, _)| *old < at);
        places.get(after).map_or(end, |(_, new)| *new)
    };
    (text, map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::examine;

    fn told(text: String, columns: usize) -> String {
        let source = Source::new("a.yaml".to_owned(), text);
        let checked = examine::text(&source);
        file(&File { source, checked }, false, Some(columns))
    }

    #[test]
    fn lines_end_at_the_terminal() {
        let hosts = "a.example.com, ".repeat(10);
        let text = format!("exclude: {{hosts: [{hosts}b:1, {hosts}c]}}\nmode: REPORT\n");
        for (columns, most) in [(10, 60), (80, 80), (140, 140)] {
            let told = told(text.clone(), columns);
            let mut lines = told.lines().filter(|line| line.starts_with("1 |"));
            let line = lines.next().expect("the line");
            assert!(line.contains("b:1") && line.chars().count() <= most + 6, "{columns}: {line}");
        }
    }

    #[test]
    fn of_a_long_line_only_a_part_is_looked_at() {
        let text = format!("{}x{}", "\u{e4}".repeat(100_000), "\u{e4}".repeat(100_000));
        let source = Source::new(String::new(), text);
        let part = shown(&source, 200_000);
        assert_eq!(
            source.text.get(part),
            Some(&*format!("{}x{}", "\u{e4}".repeat(BEFORE), "\u{e4}".repeat(BEHIND - 1)))
        );
    }

    /// Texts as they stand while one types, and what else they can be: each is told, and nothing panics.
    #[test]
    fn mangled_texts_are_told() {
        let settings = include_str!("../../../docs/configuration.yaml");
        let plugin = include_str!("../../../wasmplugin/gateway.yaml");
        let mut state = 7_usize;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let pieces = [
            "\u{65e5}", "\"", "\n---\n", "[", "}", "\t", "*a", "&a ", "<<: ", "- ", "\r", "\u{1b}",
            "", ": ", "|",
        ];
        for round in 0..400 {
            let text = if round % 4 == 0 { plugin } else { settings };
            let mut text: Vec<char> = text.chars().collect();
            for _ in 0..=next(3) {
                let at = next(text.len() + 1);
                let piece = pieces.get(next(pieces.len())).copied().unwrap_or_default();
                let end = (at + next(4)).min(text.len());
                text.splice(at..end, piece.chars());
            }
            if round % 3 == 0 {
                text.truncate(next(text.len() + 1));
            }
            let text: String = text.into_iter().collect();
            assert!(told(text, 80).contains("a.yaml"));
        }
    }
}
