//! Header maps in the host's serialization: the number of fields, the sizes of each name and value, then
//! names and values, each with a NUL behind it.

use proxy_wasm::types::Bytes;

/// A header field.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// The fields of a serialized header map. What does not fit the format ends the list.
pub fn fields(map: &[u8]) -> Vec<Field<'_>> {
    let word = |at: usize| -> Option<usize> {
        let bytes = map.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let Some(count) = word(0) else { return Vec::new() };
    let start = count.checked_mul(8).and_then(|n| n.checked_add(4));
    let Some(mut at) = start else { return Vec::new() };
    // The count is trusted only as far as the bytes bear it out.
    let mut fields = Vec::with_capacity(count.min(map.len() / 10));
    for field in 0..count {
        let sizes = field.saturating_mul(8).saturating_add(4);
        let mut piece = |size: Option<usize>| -> Option<&[u8]> {
            let end = at.checked_add(size?)?;
            let piece = map.get(at..end)?;
            at = end.checked_add(1)?;
            Some(piece)
        };
        let (name, value) = (piece(word(sizes)), piece(word(sizes.saturating_add(4))));
        let Some(field) = name.zip(value) else { break };
        fields.push(field);
    }
    fields
}

/// The host's serialization of header fields.
pub fn serialized(fields: &[Field<'_>]) -> Bytes {
    let size = fields.iter().map(|(n, v)| n.len().saturating_add(v.len()).saturating_add(10)).sum();
    let mut map = Vec::with_capacity(size);
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    map.extend_from_slice(&word(fields.len()));
    for piece in fields.iter().flat_map(|(name, value)| [name, value]) {
        map.extend_from_slice(&word(piece.len()));
    }
    for piece in fields.iter().flat_map(|(name, value)| [name, value]) {
        map.extend_from_slice(piece);
        map.push(0);
    }
    map
}
