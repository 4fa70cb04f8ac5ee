//! Finds the few members of a JSON text that say what an answer has cost, while the text streams by. Every byte is looked
//! at once; nothing is kept but the name at hand, of which only the names below matter, and numbers.
//!
//! | place | protocol |
//! |---|---|
//! | `usage` | OpenAI's completions, chat and embeddings, Responses API, Anthropic's messages |
//! | `response.usage` | events of the Responses API |
//! | `message.usage` | the first event of Anthropic's messages |
//! | `timings` | llama.cpp's server |
//!
//! It is no validator: a server's answer reaches its client as it is.

use crate::body::plain_length;

/// A number of tokens that a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// `prompt_tokens`, those from a cache included.
    Prompt,
    /// `input_tokens`; Anthropic's are without those that are read from a cache or written to it.
    Input,
    /// `completion_tokens`.
    Completion,
    /// `output_tokens`.
    Output,
    /// `cached_tokens`.
    Cached,
    /// `reasoning_tokens`.
    Reasoning,
    /// `cache_read_input_tokens`.
    CacheRead,
    /// `cache_creation_input_tokens`.
    CacheWritten,
    /// `prompt_n`: without those from a cache.
    Evaluated,
    /// `predicted_n`.
    Predicted,
    /// `cache_n`.
    Reused,
}

const FIELDS: usize = Field::Reused as usize + 1;

/// An object or list that is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Response,
    Message,
    Usage,
    InputDetails,
    OutputDetails,
    Timings,
    Choices,
    Choice,
    Delta,
}

/// What the member at hand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Other,
    Opens(Place),
    Counts(Field),
    /// The kind of an event.
    Type,
    /// Where a text, on any level, is what was generated.
    Generated,
}

/// As deep as one place lies in another: `usage.prompt_tokens_details` in `response`, `choices[].delta`.
const DEPTH: usize = 4;

/// A byte more than the longest text that matters.
const KEPT: usize = 44;

/// A text outside of which the reader is, in which, or behind a `\` in which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Plain,
    Escape,
}

/// A number as far as it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    None,
    Whole(u32),
    /// The same with a point behind it, and nothing but zeros behind that.
    Pointed(u32),
    /// None that counts tokens.
    Other,
}

/// More is no number of tokens of one answer.
const MOST: u32 = 1_000_000_000;

const UNKNOWN: u32 = u32::MAX;

/// The members of one JSON text, or of several after each other.
pub(super) struct Members {
    /// [`UNKNOWN`] until it is said.
    fields: [u32; FIELDS],
    open: [Place; DEPTH],
    depth: usize,
    /// How many lists and objects are open that are not looked into.
    skipped: u32,
    text: Text,
    is_name: bool,
    /// Whether a member's name comes next.
    awaits_name: bool,
    member: Member,
    kept: [u8; KEPT],
    length: usize,
    number: Number,
    state: State,
    has_generated: bool,
    is_last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Within,
    Whole,
    /// It is no object.
    Other,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            fields: [UNKNOWN; FIELDS],
            open: [Place::Top; DEPTH],
            depth: 0,
            skipped: 0,
            text: Text::Outside,
            is_name: false,
            awaits_name: false,
            member: Member::Other,
            kept: [0; KEPT],
            length: 0,
            number: Number::None,
            state: State::Before,
            has_generated: false,
            is_last: false,
        }
    }
}

impl Members {
    /// The last number that was said.
    #[inline(never)]
    pub fn get(&self, field: Field) -> Option<u32> {
        self.fields.get(field as usize).copied().filter(|number| *number != UNKNOWN)
    }

    /// Whether the text is an object that has come to its end.
    pub fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Whether the text is an object that has begun and not come to its end.
    pub fn is_open(&self) -> bool {
        self.state == State::Within
    }

    /// Whether there is something in it that was generated.
    pub fn has_generated(&self) -> bool {
        self.has_generated
    }

    /// Whether it says that it is the last one of its answer.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Another text follows. Numbers stay.
    pub fn begin(&mut self) {
        if self.state != State::Before {
            self.state = State::Before;
            (self.depth, self.skipped, self.text) = (0, 0, Text::Outside);
            (self.has_generated, self.is_last) = (false, false);
            self.begin_member();
        }
    }

    /// Reads a chunk.
    #[inline(never)]
    pub fn read(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((&byte, behind)) = rest.split_first() {
            if matches!(self.state, State::Whole | State::Other) {
                return;
            }
            rest = match self.text {
                Text::Outside => {
                    self.structure(byte);
                    behind
                }
                Text::Escape => {
                    self.keep(&[b'\\', byte]);
                    self.text = Text::Plain;
                    behind
                }
                Text::Plain => {
                    let (plain, behind) = rest.split_at(plain_length(rest));
                    self.keep(plain);
                    let Some((&byte, behind)) = behind.split_first() else { return };
                    match byte {
                        b'"' => self.end_text(),
                        b'\\' => self.text = Text::Escape,
                        _ => {}
                    }
                    behind
                }
            };
        }
    }

    /// A byte outside texts.
    fn structure(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.text = Text::Plain;
                self.is_name = self.skipped == 0 && self.awaits_name;
                self.length = 0;
            }
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => self.close(),
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ if self.state == State::Before => self.state = State::Other,
            _ if self.skipped > 0 => {}
            b':' => {}
            b',' => self.end_value(),
            _ => self.number(byte),
        }
        if self.state == State::Before && byte == b'"' {
            self.state = State::Other;
        }
    }

    fn number(&mut self, byte: u8) {
        let digit = char::from(byte).to_digit(10);
        self.number = match (self.number, digit) {
            (Number::None, Some(digit)) => Number::Whole(digit),
            (Number::Whole(number), Some(digit)) if number < MOST / 10 => {
                Number::Whole(number.saturating_mul(10).saturating_add(digit))
            }
            (Number::Whole(number), _) if byte == b'.' => Number::Pointed(number),
            (Number::Pointed(number), Some(0)) => Number::Pointed(number),
            _ => Number::Other,
        };
    }

    fn place(&self) -> Option<Place> {
        self.open.get(self.depth.checked_sub(1)?).copied()
    }

    fn open(&mut self, is_object: bool) {
        if self.skipped > 0 {
            self.skipped = self.skipped.saturating_add(1);
            return;
        }
        let inner = match (self.place(), self.member) {
            (None, _) => Some(Place::Top),
            (Some(Place::Choices), _) => Some(Place::Choice),
            (_, Member::Opens(place)) => Some(place),
            _ => None,
        };
        let inner = inner.filter(|place| is_object != (*place == Place::Choices));
        match (inner, self.open.get_mut(self.depth)) {
            (Some(inner), Some(place)) => {
                *place = inner;
                self.depth = self.depth.saturating_add(1);
                self.state = State::Within;
                self.begin_member();
            }
            _ if self.depth == 0 => self.state = State::Other,
            _ => self.skipped = 1,
        }
    }

    fn close(&mut self) {
        if let Some(left) = self.skipped.checked_sub(1) {
            self.skipped = left;
            return;
        }
        self.end_value();
        let closed = self.place();
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.state = State::Whole;
        }
        if closed == Some(Place::Usage) && self.place() == Some(Place::Response) {
            self.is_last = true;
        }
        self.begin_member();
        // Behind a value comes a comma, or the end.
        self.awaits_name = false;
    }

    fn begin_member(&mut self) {
        self.member = Member::Other;
        self.number = Number::None;
        self.awaits_name = self.place() != Some(Place::Choices);
    }

    fn end_value(&mut self) {
        if let Member::Counts(field) = self.member
            && let Number::Whole(number) | Number::Pointed(number) = self.number
            && let Some(place) = self.fields.get_mut(field as usize)
        {
            *place = number;
        }
        self.begin_member();
    }

    fn keep(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        if !self.is_name && self.member != Member::Type {
            self.has_generated |= self.member == Member::Generated;
            return;
        }
        if let Some(room) = self.kept.get_mut(self.length..) {
            room.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
        }
        self.length = self.length.saturating_add(text.len()).min(KEPT);
    }

    fn end_text(&mut self) {
        self.text = Text::Outside;
        let kept = self.kept.get(..self.length).unwrap_or_default();
        if self.is_name {
            self.awaits_name = false;
            self.member = self.place().map_or(Member::Other, |place| member(place, kept));
        } else if self.member == Member::Type && self.skipped == 0 {
            self.has_generated |= kept == b"content_block_delta" || kept.ends_with(b".delta");
            self.is_last |= kept == b"message_stop";
        }
    }
}

/// What a name means.
fn member(place: Place, name: &[u8]) -> Member {
    if place == Place::Delta {
        return if name == b"role" { Member::Other } else { Member::Generated };
    }
    let row = NAMES.iter().find(|(of, known, _)| *of == place && *known == name);
    row.map_or(Member::Other, |(.., member)| *member)
}

#[rustfmt::skip]
static NAMES: &[(Place, &[u8], Member)] = &[
    (Place::Top, b"type", Member::Type),
    (Place::Top, b"usage", Member::Opens(Place::Usage)),
    (Place::Top, b"choices", Member::Opens(Place::Choices)),
    (Place::Top, b"timings", Member::Opens(Place::Timings)),
    (Place::Top, b"message", Member::Opens(Place::Message)),
    (Place::Top, b"response", Member::Opens(Place::Response)),
    (Place::Message, b"usage", Member::Opens(Place::Usage)),
    (Place::Response, b"usage", Member::Opens(Place::Usage)),
    (Place::Choice, b"text", Member::Generated),
    (Place::Choice, b"delta", Member::Opens(Place::Delta)),
    (Place::Usage, b"prompt_tokens", Member::Counts(Field::Prompt)),
    (Place::Usage, b"input_tokens", Member::Counts(Field::Input)),
    (Place::Usage, b"completion_tokens", Member::Counts(Field::Completion)),
    (Place::Usage, b"output_tokens", Member::Counts(Field::Output)),
    (Place::Usage, b"cache_read_input_tokens", Member::Counts(Field::CacheRead)),
    (Place::Usage, b"cache_creation_input_tokens", Member::Counts(Field::CacheWritten)),
    (Place::Usage, b"prompt_tokens_details", Member::Opens(Place::InputDetails)),
    (Place::Usage, b"input_tokens_details", Member::Opens(Place::InputDetails)),
    (Place::Usage, b"completion_tokens_details", Member::Opens(Place::OutputDetails)),
    (Place::Usage, b"output_tokens_details", Member::Opens(Place::OutputDetails)),
    (Place::InputDetails, b"cached_tokens", Member::Counts(Field::Cached)),
    (Place::OutputDetails, b"reasoning_tokens", Member::Counts(Field::Reasoning)),
    (Place::Timings, b"prompt_n", Member::Counts(Field::Evaluated)),
    (Place::Timings, b"predicted_n", Member::Counts(Field::Predicted)),
    (Place::Timings, b"cache_n", Member::Counts(Field::Reused)),
];
