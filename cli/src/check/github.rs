//! Findings as GitHub's workflow commands, which become annotations of the files of a pull request.

use std::fmt::Write as _;

use super::finding::{File, Finding};
use super::source::Source;

/// A command for each finding, and what became of each configuration.
pub fn file(file: &File) -> String {
    let mut out = String::new();
    for checked in &file.checked {
        for finding in &checked.findings {
            let _ = writeln!(out, "{}", command(&file.source, finding));
        }
        // A line of its own that begins with a name, so nobody's file is taken for a command.
        let _ = writeln!(
            out,
            "modelgate: {}",
            message(&super::text::verdict(&file.source.name, checked))
        );
    }
    out
}

fn command(source: &Source, finding: &Finding) -> String {
    let mut place = format!("file={}", property(&source.name));
    if let Some(span) = &finding.span {
        let (start, end) = (source.position(span.start), source.position(span.end));
        let _ = write!(place, ",line={},endLine={}", start.line, end.line);
        // Columns count within one line only.
        if start.line == end.line {
            let _ = write!(place, ",col={},endColumn={}", start.column, end.column);
        }
    }
    let title = property(finding.name.as_str());
    let text = message(&finding.sentence());
    format!("::{} {place},title={title}::{text}", finding.severity.as_str())
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_command_before_its_end() {
        let source = Source::new("a,b:c%.yaml".to_owned(), "mode: x\n".to_owned());
        let mut finding = Finding::unreadable("50%\n::error::forged".to_owned(), "", Some(6..7));
        let start = "::error file=a%2Cb%3Ac%25.yaml,line=1,endLine=1,col=7,endColumn=8";
        let wanted = format!("{start},title=unreadable::50%25%0A::error::forged");
        assert_eq!(command(&source, &finding), wanted);
        finding.span = Some(6..8);
        assert!(!command(&source, &finding).contains("col="), "columns of two lines");
    }
}
