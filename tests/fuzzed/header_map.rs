//! Header maps as the host serializes them: any bytes are read within their bounds, and fields come back as they went.

#[path = "../../src/header_map.rs"]
mod map;

use map::{Field, fields, serialized};

/// The format, read the slow way: a number of fields, two sizes for each, and the texts with a byte behind each.
fn slowly(map: &[u8]) -> Vec<Field<'_>> {
    let word = |at: usize| {
        let bytes = map.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let Some(count) = word(0) else { return Vec::new() };
    let Some(mut at) = count.checked_mul(8).and_then(|sizes| sizes.checked_add(4)) else {
        return Vec::new();
    };
    if at > map.len() {
        return Vec::new();
    }
    let mut found = Vec::new();
    'fields: for i in 0..count {
        let mut pieces = [&map[..0]; 2];
        for (j, piece) in pieces.iter_mut().enumerate() {
            let Some(size) = word(4 + i * 8 + j * 4) else { break 'fields };
            let Some(end) = at.checked_add(size).filter(|end| *end < map.len()) else {
                break 'fields;
            };
            (*piece, at) = (&map[at..end], end + 1);
        }
        found.push((pieces[0], pieces[1]));
    }
    found
}

/// Data of a fuzzer: a map, and the same as lines that are made into one. The error says what is wrong.
pub fn send(data: &[u8]) -> Result<(), String> {
    let found = fields(data);
    if found != slowly(data) {
        return Err(format!("{found:?} are read, and {:?} are there", slowly(data)));
    }
    let lines = data.split(|c| *c == b'\n').map(|line| {
        let colon = line.iter().position(|c| *c == b':').unwrap_or(line.len());
        (&line[..colon], line.get(colon + 1..).unwrap_or_default())
    });
    for fields in [found, lines.collect()] {
        let map = serialized(&fields);
        if self::fields(&map) != fields {
            return Err(format!("{fields:?} come back as {:?}", self::fields(&map)));
        }
    }
    Ok(())
}
