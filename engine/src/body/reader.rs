//! Reads which model a JSON body names, as it streams by: the top-level string `model` (RFC 8259).
//!
//! It decides who is let in, so it reads no more leniently than any server behind it: what JSON readers take in
//! different ways is refused.
//!
//! | in the body | what readers make of it |
//! |---|---|
//! | a second `model` | the first one, the last one, or an error |
//! | `Model` | Go's `encoding/json` knows no case |
//! | a NUL in a member's name | a text's end to whoever hands it on to C |
//! | a mark of byte order, UTF-16 | Python's `json.loads` takes bytes of any of these encodings |
//! | comments, single quotes, text behind the value | some allow them |

use super::chooses;
use crate::refusal::Refusal;

const NOT_JSON: Refusal = Refusal::new("the body is not a JSON object");
const TOO_DEEP: Refusal = Refusal::new("the body's JSON is nested too deeply");
const ENDS_EARLY: Refusal = Refusal::new("the body ends before its JSON does");
const NO_MODEL: Refusal = Refusal::new("the body names no model");
const SECOND: Refusal = Refusal::new("the body names a model twice");
const ALIKE: Refusal = Refusal::new("the body has a member that servers may take for model");
const NO_NAME: Refusal = Refusal::new(
    "the body's model is not a name: text of 1 to 256 bytes, with no comma and no empty or dot segment",
);
const OTHERWISE: Refusal =
    Refusal::new("the body chooses a model, an adapter or a server by another member than model");

/// The longest name of a model, in bytes.
const NAME_MAX: usize = 256;

/// As deep as lists and objects may lie in each other, the whole one included.
const DEPTH_MAX: u32 = 128;

const MEMBER: &[u8] = b"model";

/// Bytes of a member's name that are kept: as many as those of [`chooses`] have, and one more.
const KEPT: usize = 25;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The `{` of the whole.
    Open,
    /// A member's name, or where `first`, the whole's end.
    Name { first: bool },
    /// The `:` behind a name.
    Colon,
    /// A member's value.
    Value,
    /// What a scalar value goes on with: a number, `true`, `false`, `null`.
    Scalar,
    /// A `,` or the whole's end.
    Comma,
    /// Whatever lies in a member's value that is a list or an object.
    Nested,
    /// Nothing but blanks.
    End,
}

/// Where in a text the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Plain,
    /// Behind a `\`.
    Escape,
    /// Behind `\u`, so many digits before the fourth, and what the others make.
    Unicode(u8, u16),
}

/// Reads a body's chunks in their order.
pub struct ModelReader {
    next: Next,
    text: Option<Text>,
    /// Which of the open lists and objects are objects, the innermost last.
    objects: u128,
    depth: u32,
    /// Whether the member at hand is the model.
    is_model: bool,
    /// The text at hand, if it is a member's name, as far as it matters, or the model's.
    kept: Vec<u8>,
    /// The first half of a pair of escapes (RFC 8259 §7).
    surrogate: Option<u16>,
    model: Option<String>,
}

impl std::fmt::Debug for ModelReader {
    /// Never shows what a body holds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelReader").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Default for ModelReader {
    fn default() -> Self {
        Self {
            next: Next::Open,
            text: None,
            objects: 0,
            depth: 0,
            is_model: false,
            kept: Vec::new(),
            surrogate: None,
            model: None,
        }
    }
}

impl ModelReader {
    /// The model, as soon as it is known.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Reads a chunk. Err: no server may get it, whatever went before.
    pub fn read(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        let mut rest = chunk;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = match self.text {
                Some(Text::Plain) => {
                    let (plain, behind) = rest.split_at(plain_length(rest));
                    if !plain.is_empty() {
                        self.check_pair(None)?;
                    }
                    self.keep(plain);
                    match behind.split_first() {
                        None => behind,
                        Some((&byte, behind)) => {
                            self.end_of_plain(byte)?;
                            behind
                        }
                    }
                }
                Some(Text::Escape) => {
                    self.escape(byte)?;
                    behind
                }
                Some(Text::Unicode(left, code)) => {
                    self.digit(left, code, byte)?;
                    behind
                }
                None => {
                    self.structure(byte)?;
                    behind
                }
            };
        }
        Ok(())
    }

    /// The end of the body.
    pub fn finish(&self) -> Result<&str, Refusal> {
        if self.next != Next::End {
            return Err(ENDS_EARLY);
        }
        self.model().ok_or(NO_MODEL)
    }

    /// A byte outside texts.
    fn structure(&mut self, byte: u8) -> Result<(), Refusal> {
        let is_blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let is_scalar = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        self.next = match (self.next, byte) {
            (Next::Scalar, _) if is_blank => Next::Comma,
            (next, _) if is_blank => next,
            (Next::Open, b'{') => {
                self.open(true)?;
                Next::Name { first: true }
            }
            (Next::Name { .. }, b'"') => {
                self.is_model = false;
                self.begin_text();
                Next::Colon
            }
            (Next::Colon, b':') => Next::Value,
            (Next::Value, b'"') => {
                self.begin_text();
                Next::Comma
            }
            (Next::Value, _) if self.is_model => return Err(NO_NAME),
            (Next::Value, b'{' | b'[') => {
                self.open(byte == b'{')?;
                Next::Nested
            }
            (Next::Value | Next::Scalar, _) if is_scalar => Next::Scalar,
            (Next::Comma | Next::Scalar, b',') => Next::Name { first: false },
            (Next::Name { first: true } | Next::Comma | Next::Scalar, b'}') => Next::End,
            (Next::Nested, b'"') => {
                self.begin_text();
                Next::Nested
            }
            (Next::Nested, b'{' | b'[') => {
                self.open(byte == b'{')?;
                Next::Nested
            }
            (Next::Nested, b'}' | b']') => {
                self.close(byte == b'}')?;
                if self.depth == 1 { Next::Comma } else { Next::Nested }
            }
            (Next::Nested, b',' | b':') => Next::Nested,
            (Next::Nested, _) if is_scalar => Next::Nested,
            _ => return Err(NOT_JSON),
        };
        Ok(())
    }

    fn open(&mut self, is_object: bool) -> Result<(), Refusal> {
        if self.depth == DEPTH_MAX {
            return Err(TOO_DEEP);
        }
        self.objects = self.objects << 1 | u128::from(is_object);
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, is_object: bool) -> Result<(), Refusal> {
        if (self.objects & 1 == 1) != is_object {
            return Err(NOT_JSON);
        }
        self.objects >>= 1;
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    fn begin_text(&mut self) {
        self.text = Some(Text::Plain);
        self.kept.clear();
    }

    /// Whether the text at hand is the name of a member of the whole.
    fn is_name(&self) -> bool {
        self.next == Next::Colon
    }

    fn keep(&mut self, text: &[u8]) {
        let most = match self.next {
            Next::Colon => KEPT,
            Next::Comma if self.is_model => NAME_MAX + 1,
            _ => return,
        };
        let room = most.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(text.get(..room).unwrap_or(text));
    }

    fn end_of_plain(&mut self, byte: u8) -> Result<(), Refusal> {
        match byte {
            b'\\' => self.text = Some(Text::Escape),
            b'"' => {
                self.check_pair(None)?;
                self.text = None;
                return self.end_text();
            }
            // A control character (RFC 8259 §7).
            _ => return Err(NOT_JSON),
        }
        Ok(())
    }

    fn end_text(&mut self) -> Result<(), Refusal> {
        if self.is_name() {
            self.is_model = self.kept == MEMBER;
            if self.is_model && self.model.is_some() {
                return Err(SECOND);
            }
            if !self.is_model && self.kept.eq_ignore_ascii_case(MEMBER) {
                return Err(ALIKE);
            }
            if !self.is_model && chooses(&self.kept) {
                return Err(OTHERWISE);
            }
        } else if self.is_model && self.next == Next::Comma {
            let name = std::str::from_utf8(&self.kept).map_err(|_| NO_NAME)?;
            // Some servers make a path of it, LiteLLM a list.
            let is_part = |part: &str| !matches!(part, "" | "." | "..");
            let is_name = name.split('/').all(is_part) && !name.contains(['\\', ',']);
            if !is_name || name.len() > NAME_MAX || name.chars().any(char::is_control) {
                return Err(NO_NAME);
            }
            self.model = Some(name.to_owned());
            self.is_model = false;
        }
        Ok(())
    }

    fn escape(&mut self, byte: u8) -> Result<(), Refusal> {
        let plain = match byte {
            b'u' => {
                self.text = Some(Text::Unicode(3, 0));
                return Ok(());
            }
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => return Err(NOT_JSON),
        };
        self.check_pair(None)?;
        self.keep(&[plain]);
        self.text = Some(Text::Plain);
        Ok(())
    }

    fn digit(&mut self, left: u8, code: u16, byte: u8) -> Result<(), Refusal> {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
        let code = code << 4 | digit.ok_or(NOT_JSON)?;
        if let Some(left) = left.checked_sub(1) {
            self.text = Some(Text::Unicode(left, code));
            return Ok(());
        }
        self.text = Some(Text::Plain);
        if code == 0 && self.is_name() {
            return Err(ALIKE);
        }
        let Some(c) = self.check_pair(Some(code))? else { return Ok(()) };
        let mut text = [0; 4];
        self.keep(c.encode_utf8(&mut text).as_bytes());
        Ok(())
    }

    /// What a unit of UTF-16 makes together with the one before it. Halves of a pair that stand alone are read in many
    /// ways; in names that matters.
    fn check_pair(&mut self, code: Option<u16>) -> Result<Option<char>, Refusal> {
        let matters = self.is_name() || self.is_model;
        let before = self.surrogate.take();
        let mut units = before.into_iter().chain(code);
        let is_first = |code: &u16| (0xD800..0xDC00).contains(code);
        if let Some(code) = code.filter(|code| before.is_none() && is_first(code)) {
            self.surrogate = Some(code);
            return Ok(None);
        }
        let Some(first) = units.next() else { return Ok(None) };
        let mut read = char::decode_utf16(std::iter::once(first).chain(units));
        match (read.next(), read.next()) {
            (Some(Ok(c)), None) => Ok(Some(c)),
            _ if matters => Err(NOT_JSON),
            _ => Ok(Some(char::REPLACEMENT_CHARACTER)),
        }
    }
}

/// How many bytes at the start of a text are neither its end nor an escape nor a control character.
pub(crate) fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut length = 0;
    for word in text.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*word);
        let below = |limit: u64, word: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
        let equal = |byte: u8| below(1, word ^ (ONES * u64::from(byte)));
        if below(0x20, word) | equal(b'"') | equal(b'\\') != 0 {
            break;
        }
        length += 8;
    }
    let tail = text.get(length..).unwrap_or_default();
    let is_plain = |c: &&u8| **c >= b' ' && !matches!(**c, b'"' | b'\\');
    length + tail.iter().take_while(is_plain).count()
}
