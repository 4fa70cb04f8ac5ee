//! What answers have cost: the same however they are cut, and what serde reads of them.

use modelgate_engine::usage::{AnswerReader, Report};
use serde_json::Value;

/// Reads an answer in chunks of these sizes, the last ones again and again; as a whole without any.
fn read(kind: &[u8], answer: &[u8], sizes: &[u8], is_over: bool) -> Result<Report, String> {
    let mut reader = AnswerReader::new(kind, b"").map_err(|result| format!("{result:?}"))?;
    let mut rest = answer;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |size| usize::from(*size) % 17);
        let (chunk, behind) = rest.split_at(size.max(1).min(rest.len()));
        rest = behind;
        // Times depend on the chunks, and nothing else may.
        reader.read(chunk, || 7);
    }
    Ok(reader.report(is_over))
}

/// Data of a fuzzer: how many sizes of chunks there are and what kind of answer it is, these, and the answer. The
/// error says what is wrong.
pub fn send(data: &[u8]) -> Result<(), String> {
    let Some((kind, rest)) = data.split_first() else { return Ok(()) };
    let (sizes, answer) = rest.split_at(usize::from(kind % 8).min(rest.len()));
    let is_over = kind & 0x10 == 0;
    let is_json = kind & 0x20 == 0;
    let media: &[u8] = if is_json { b"application/json" } else { b"text/event-stream" };
    let whole = read(media, answer, &[], is_over)?;
    let cut = read(media, answer, sizes, is_over)?;
    if whole != cut {
        return Err(format!("{whole:?} as a whole, {cut:?} by {sizes:?}"));
    }
    if !is_json {
        return Ok(());
    }
    // Of an answer that is JSON as serde writes it, where no name stands twice.
    let Ok(value) = serde_json::from_slice::<Value>(answer) else { return Ok(()) };
    if value.to_string().as_bytes() != answer || value.get("message").is_some() {
        return Ok(());
    }
    let Some(usage) = value.get("usage").filter(|_| value.get("response").is_none()) else {
        return Ok(());
    };
    for (name, found) in
        [("prompt_tokens", whole.tokens.input), ("completion_tokens", whole.tokens.output)]
    {
        let said = usage.get(name).and_then(Value::as_u64);
        let said = said.and_then(|said| u32::try_from(said).ok()).filter(|n| *n < 1_000_000_000);
        if said.is_some() && said != found {
            return Err(format!("{found:?} is read of {name}"));
        }
    }
    Ok(())
}
