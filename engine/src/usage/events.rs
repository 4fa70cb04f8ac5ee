//! Server-sent events (WHATWG HTML §9.2), of which only the data matters.

use super::members::Members;

const DATA: &[u8] = b"data:";
/// What OpenAI's streams end with.
const DONE: &[u8] = b"[DONE]";

/// What a stream may begin with, and which is no part of its first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Where in a line the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// At the start of the stream, where so many bytes of a [`BYTE_ORDER_MARK`] have come.
    Start(usize),
    /// So many bytes of [`DATA`] have come.
    Name(usize),
    /// Behind the colon, where a blank does not count.
    Blank,
    /// In data of which the first bytes, so many, are those of [`DONE`].
    Data(usize),
    /// In a line of which nothing matters.
    Other,
}

/// A stream of events.
#[derive(Debug)]
pub(super) struct Events {
    line: Line,
    /// Whether the last byte was a CR, of which a LF may be a part.
    after_cr: bool,
    /// Whether the event at hand has been counted.
    is_counted: bool,
    /// Events that hold something generated.
    pub generated: u32,
    /// Whether the last event has come.
    pub is_over: bool,
}

impl Default for Events {
    fn default() -> Self {
        let line = Line::Start(0);
        Self { line, after_cr: false, is_counted: false, generated: 0, is_over: false }
    }
}

impl Events {
    /// Reads a chunk.
    pub fn read(&mut self, chunk: &[u8], members: &mut Members) {
        let mut rest = chunk;
        while let Some((&byte, behind)) = rest.split_first() {
            let after_cr = std::mem::take(&mut self.after_cr);
            if matches!(byte, b'\n' | b'\r') {
                self.after_cr = byte == b'\r';
                if !(after_cr && byte == b'\n') {
                    self.end_line(members);
                }
                rest = behind;
                continue;
            }
            self.line = match self.line {
                Line::Start(matched) if BYTE_ORDER_MARK.get(matched) == Some(&byte) => {
                    let matched = matched.saturating_add(1);
                    rest = behind;
                    if matched == BYTE_ORDER_MARK.len() {
                        Line::Name(0)
                    } else {
                        Line::Start(matched)
                    }
                }
                Line::Start(0) => Line::Name(0),
                Line::Name(matched) if DATA.get(matched) == Some(&byte) => {
                    let matched = matched.saturating_add(1);
                    rest = behind;
                    if matched == DATA.len() { Line::Blank } else { Line::Name(matched) }
                }
                Line::Start(_) | Line::Name(_) => Line::Other,
                Line::Blank => {
                    rest = if byte == b' ' { behind } else { rest };
                    // Some leave the empty line between events out.
                    if members.is_whole() {
                        self.begin(members);
                    }
                    Line::Data(0)
                }
                Line::Other => {
                    rest = rest.get(line_length(rest)..).unwrap_or_default();
                    Line::Other
                }
                Line::Data(done) => {
                    let (data, behind) = rest.split_at(line_length(rest));
                    rest = behind;
                    self.data(data, members);
                    let left = DONE.get(done..).unwrap_or_default();
                    let is_done = data.len() <= left.len() && left.starts_with(data);
                    Line::Data(if is_done { done.saturating_add(data.len()) } else { usize::MAX })
                }
            };
        }
    }

    fn data(&mut self, data: &[u8], members: &mut Members) {
        members.read(data);
        if members.is_whole() && !self.is_counted {
            self.is_counted = true;
            self.generated = self.generated.saturating_add(members.has_generated().into());
            self.is_over |= members.is_last();
        }
    }

    fn end_line(&mut self, members: &mut Members) {
        self.is_over |= self.line == Line::Data(DONE.len());
        // A line without a byte ends the event.
        if self.line == Line::Name(0) {
            self.begin(members);
        }
        self.line = Line::Name(0);
    }

    fn begin(&mut self, members: &mut Members) {
        self.is_counted = false;
        members.begin();
    }
}

/// How many bytes there are before the end of the line.
fn line_length(text: &[u8]) -> usize {
    text.iter().position(|c| matches!(c, b'\n' | b'\r')).unwrap_or(text.len())
}
