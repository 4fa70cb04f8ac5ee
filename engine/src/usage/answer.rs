//! One answer, from its headers to its end.

use super::AnswerResult;
use super::events::Events;
use super::members::Members;
use super::tokens::Tokens;

/// Reads an answer as it streams by, in less than 300 bytes of memory.
pub struct AnswerReader {
    members: Members,
    /// Of a stream of events.
    events: Option<Events>,
    /// When the first and the last event came that hold something generated, in nanoseconds.
    generated: Option<(u64, u64)>,
}

impl std::fmt::Debug for AnswerReader {
    /// Never shows what an answer holds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerReader").field("events", &self.events).finish_non_exhaustive()
    }
}

/// What an answer has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Whether it could be read.
    pub result: AnswerResult,
    /// As far as it says them.
    pub tokens: Tokens,
    /// Of a stream: how many events hold something generated.
    pub events: u32,
    /// Of a stream: when the first event came that holds something generated, in nanoseconds.
    pub first: Option<u64>,
    /// Of a stream: how long it was from one such event to the next, in the mean, in nanoseconds.
    pub per_event: Option<u64>,
}

impl AnswerReader {
    /// A reader for an answer with these headers, or why it cannot be read.
    pub fn new(content_type: &[u8], content_encoding: &[u8]) -> Result<Self, AnswerResult> {
        if !content_encoding.is_empty() && !is(content_encoding, b"identity") {
            return Err(AnswerResult::Compressed);
        }
        let essence = content_type.split(|c| *c == b';').next().unwrap_or_default();
        let events = match essence {
            essence if is(essence, b"application/json") => None,
            essence if is(essence, b"text/event-stream") => Some(Events::default()),
            _ => return Err(AnswerResult::MediaType),
        };
        Ok(Self { members: Members::default(), events, generated: None })
    }

    /// Reads a chunk. `now` is asked only where that matters.
    pub fn read(&mut self, chunk: &[u8], now: impl FnOnce() -> u64) {
        let Some(events) = &mut self.events else { return self.members.read(chunk) };
        let before = events.generated;
        events.read(chunk, &mut self.members);
        if events.generated != before {
            let now = now();
            let (first, _) = self.generated.unwrap_or((now, now));
            self.generated = Some((first, now));
        }
    }

    /// What has been read. `is_over`: the proxy has seen the end of the answer. A client that hangs up when it has all
    /// that it wants has not broken anything off.
    pub fn report(&self, is_over: bool) -> Report {
        let tokens = Tokens::of(&self.members);
        let (is_whole, times) = match &self.events {
            None => (self.members.is_whole(), 0),
            Some(events) => (is_over || events.is_over, events.generated),
        };
        let result = match (is_whole, tokens.is_known()) {
            (false, _) if !is_over || self.members.is_open() => AnswerResult::BrokenOff,
            (_, true) => AnswerResult::Read,
            (_, false) => AnswerResult::NoUsage,
        };
        let per_event = self.generated.and_then(|(first, last)| {
            last.saturating_sub(first).checked_div(u64::from(times.checked_sub(1)?))
        });
        let first = self.generated.map(|(first, _)| first);
        Report { result, tokens, events: times, first, per_event }
    }
}

/// Once in the module, not at every place.
#[inline(never)]
fn is(text: &[u8], word: &[u8]) -> bool {
    text.trim_ascii().eq_ignore_ascii_case(word)
}

impl Report {
    /// Of an answer that is not read.
    pub fn unread(result: AnswerResult) -> Self {
        Self { result, tokens: Tokens::default(), events: 0, first: None, per_event: None }
    }

    /// Tokens that a quota is charged with: input and output, or the events of a stream that says neither.
    pub fn cost(&self) -> u64 {
        let Tokens { input, output, .. } = self.tokens;
        match self.tokens.is_known() {
            true => [input, output].into_iter().flatten().map(u64::from).sum(),
            false => self.events.into(),
        }
    }
}
