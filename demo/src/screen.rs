//! Plain terminal text, in colour if somebody looks at it.

use std::io::{self, IsTerminal as _, Stdout, Write as _};

/// Columns of the text.
const WIDTH: usize = 88;

/// SGR parameters.
#[derive(Debug, Clone, Copy)]
enum Style {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Cyan = 36,
}

/// Standard output.
#[derive(Debug)]
pub struct Screen {
    out: Stdout,
    colour: bool,
}

impl Screen {
    /// Colours only on a terminal, and not if `NO_COLOR` is set (no-color.org).
    pub fn new() -> Self {
        let out = io::stdout();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colour: out.is_terminal() && wanted, out }
    }

    /// A new part.
    pub fn heading(&mut self, title: &str) -> io::Result<()> {
        let line = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 4));
        let title = self.styled(Style::Bold, title);
        let (start, line) = (self.styled(Style::Dim, "──"), self.styled(Style::Dim, &line));
        writeln!(self.out, "\n{start} {title} {line}\n")
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        for line in wrapped(text, WIDTH) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Lines as they are, indented.
    pub fn lines<T: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = T>) -> io::Result<()> {
        for line in lines {
            let line = line.as_ref();
            let indent = if line.is_empty() { "" } else { "  " };
            writeln!(self.out, "{indent}{line}")?;
        }
        Ok(())
    }

    /// An empty line.
    pub fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// A command; short arguments share a line.
    pub fn command(&mut self, parts: &[String]) -> io::Result<()> {
        let mut lines: Vec<String> = Vec::new();
        for part in parts {
            match lines.last_mut() {
                Some(line) if line.len() + part.len() + 8 <= WIDTH => {
                    line.push(' ');
                    line.push_str(part);
                }
                _ => lines.push(part.clone()),
            }
        }
        let last = lines.len().saturating_sub(1);
        writeln!(self.out)?;
        for (number, line) in lines.iter().enumerate() {
            let prompt = if number == 0 { "  $ " } else { "      " };
            let end = if number == last { "" } else { " \\" };
            let line = self.styled(Style::Cyan, &format!("{line}{end}"));
            writeln!(self.out, "{prompt}{line}")?;
        }
        Ok(())
    }

    /// The first line of an answer, and some of its body.
    pub fn answer(&mut self, status: u16, note: &str, body: &str) -> io::Result<()> {
        let line = self.styled(Style::Bold, &format!("{status} {}", reason(status)));
        let note = self.styled(Style::Dim, note);
        writeln!(self.out, "  {line}  {note}")?;
        for line in shortened(body, WIDTH - 2) {
            writeln!(self.out, "  {line}")?;
        }
        writeln!(self.out)
    }

    /// Whether it went as expected.
    pub fn verdict(&mut self, good: bool, text: &str) -> io::Result<()> {
        let mark = if good {
            self.styled(Style::Green, "✓ as expected:")
        } else {
            self.styled(Style::Red, "✗ NOT AS EXPECTED:")
        };
        writeln!(self.out, "  {mark} {text}")
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", style as u8)
        } else {
            text.to_owned()
        }
    }
}

/// Words in lines of at most this many columns.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The beginning of a body, without control characters.
fn shortened(body: &str, width: usize) -> Vec<String> {
    const LINES: usize = 3;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut lines: Vec<String> = Vec::new();
    let mut more = false;
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        let chars: Vec<char> = line.chars().map(clean).collect();
        for piece in chars.chunks(width.max(1)) {
            more = lines.len() == LINES;
            if more {
                break;
            }
            lines.push(piece.iter().collect());
        }
    }
    if let (true, Some(last)) = (more, lines.last_mut()) {
        let kept = last.chars().take(width.saturating_sub(4)).collect::<String>();
        *last = format!("{kept} ...");
    }
    lines
}

/// RFC 9110 §15, those of the tour.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_cut() {
        assert_eq!(shortened("ab\ncd\n", 10), ["ab", "cd"]);
        assert_eq!(shortened("\x1b[31mred", 10), [" [31mred"]);
        let long = shortened(&"x".repeat(100), 10);
        assert_eq!(long, ["xxxxxxxxxx", "xxxxxxxxxx", "xxxxxx ..."]);
        assert!(shortened("", 10).is_empty());
    }

    #[test]
    fn text_is_wrapped() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
    }
}
