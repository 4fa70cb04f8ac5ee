//! What a body names, however it is cut, and as serde reads it.

use modelgate_engine::body::ModelReader;
use modelgate_engine::refusal::Refusal;
use serde_json::{Map, Value};

/// Reads a body in chunks of this many bytes, the last ones again and again.
fn read(body: &[u8], sizes: &[u8]) -> Result<String, Refusal> {
    let mut reader = ModelReader::default();
    let mut rest = body;
    let mut sizes = sizes.iter().cycle();
    let mut early = None;
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |size| usize::from(*size) % 17);
        let (chunk, behind) = rest.split_at(size.max(1).min(rest.len()));
        rest = behind;
        reader.read(chunk)?;
        early = early.or_else(|| reader.model().map(str::to_owned));
    }
    let model = reader.finish()?;
    assert_eq!(early.as_deref(), Some(model), "another model at the end than in between");
    Ok(model.to_owned())
}

/// Data of a fuzzer: how many sizes of chunks there are, these, and the body. The error says what is wrong.
pub fn send(data: &[u8]) -> Result<(), String> {
    let Some((count, rest)) = data.split_first() else { return Ok(()) };
    let (sizes, body) = rest.split_at(usize::from(count % 8).min(rest.len()));
    let whole = read(body, &[]);
    let cut = read(body, sizes);
    if whole != cut {
        return Err(format!("{whole:?} as a whole, {cut:?} by {sizes:?}"));
    }
    let Ok(model) = whole else { return Ok(()) };
    // What serde refuses, no server that reads by it can take.
    let Ok(members) = serde_json::from_slice::<Map<String, Value>>(body) else { return Ok(()) };
    let alike = members.iter().filter(|(name, _)| name.eq_ignore_ascii_case("model"));
    let found: Vec<_> = alike.map(|(_, value)| value.as_str()).collect();
    match *found {
        [Some(one)] if one == model => Ok(()),
        _ => Err(format!("{model} was decided about, and serde finds {found:?}")),
    }
}
