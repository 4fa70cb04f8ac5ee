//! The text of a file: its documents, and lines and columns of what stands in it.

use std::ops::Range;

/// A place as people and editors count it: lines and characters, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line; a tab is one.
    pub column: usize,
}

/// What was read, under the name that the findings give it.
#[derive(Debug)]
pub struct Source {
    /// The file as it was named, or what standard input is called.
    pub name: String,
    /// Everything in it.
    pub text: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

impl Source {
    /// Takes the text. A mark of its encoding is no part of it: editors count without it.
    pub fn new(name: String, mut text: String) -> Self {
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let starts = text.match_indices('\n').map(|(i, _)| i.saturating_add(1));
        let lines = std::iter::once(0).chain(starts).collect();
        Self { name, text, lines }
    }

    /// The line and column of a byte.
    pub fn position(&self, at: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..at).unwrap_or_default();
        Position { line, column: before.chars().count().saturating_add(1) }
    }

    /// The line that holds a byte, without its end.
    pub fn line_at(&self, at: usize) -> Range<usize> {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let rest = self.text.get(start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        start..start.saturating_add(line.len())
    }

    /// A place, no further than the end of its first line and without the blanks and the comma at the end.
    pub fn first_line(&self, span: &Range<usize>) -> Range<usize> {
        let end = span.end.min(self.line_at(span.start).end).max(span.start);
        let text = self.text.get(span.start..end).unwrap_or_default();
        span.start..span.start.saturating_add(text.trim_end().len())
    }

    /// The documents, each with the marker before it. A marker at the beginning of a line ends a document wherever
    /// it stands (YAML 1.2, 9.1.2), so what is wrong in one says nothing of the others.
    pub fn documents(&self) -> Vec<Range<usize>> {
        let mut documents = Vec::new();
        let mut start = 0;
        let mut holds_anything = false;
        for line in &self.lines {
            let text = self.text.get(self.line_at(*line)).unwrap_or_default();
            let is_marker = |marker: &str| {
                let rest = text.strip_prefix(marker);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
            };
            if is_marker("---") && holds_anything {
                documents.push(start..*line);
                start = *line;
            } else if is_marker("...") {
                let end = self.line_at(*line).end;
                documents.push(start..end);
                (start, holds_anything) = (end, false);
                continue;
            }
            // Directives and comments belong to the document behind them.
            holds_anything |= !(text.trim().is_empty() || text.starts_with(['%', '#']));
        }
        documents.push(start..self.text.len());
        documents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<&str> {
        let source = Source::new(String::new(), text.to_owned());
        let spans = source.documents();
        spans.into_iter().map(|span| text.get(span).expect("in the text")).collect()
    }

    #[test]
    fn a_marker_at_the_beginning_of_a_line_parts_documents() {
        assert_eq!(documents("a: 1\n---\nb: 2\n"), ["a: 1\n", "---\nb: 2\n"]);
        assert_eq!(documents("---\na: 1\n--- {b: 2}\n"), ["---\na: 1\n", "--- {b: 2}\n"]);
        assert_eq!(documents("%YAML 1.2\n# one\n---\na: 1"), ["%YAML 1.2\n# one\n---\na: 1"]);
        assert_eq!(documents("a: 1\n...\nb: 2"), ["a: 1\n...", "\nb: 2"]);
        assert_eq!(documents("a: |\n  ---\n  b\n----\n"), ["a: |\n  ---\n  b\n----\n"]);
        assert_eq!(documents(""), [""]);
    }

    #[test]
    fn columns_are_characters() {
        let source =
            Source::new(String::new(), "\u{feff}a: b\r\n\u{e4}\u{1f511}: [x]\n".to_owned());
        let at = source.text.find('[').expect("a list");
        assert_eq!(source.position(at), Position { line: 2, column: 5 });
        assert_eq!(source.text.get(source.line_at(at)), Some("\u{e4}\u{1f511}: [x]"));
        assert_eq!(source.text.get(source.line_at(0)), Some("a: b"));
        assert_eq!(source.position(source.text.len()), Position { line: 3, column: 1 });
        let whole = source.first_line(&(0..source.text.len()));
        assert_eq!(source.text.get(whole), Some("a: b"));
    }
}
